"""No line is ever given to a shell: programs are started by a list of arguments."""

import ast
from collections.abc import Iterator
from typing import Final

from tools.lint.source import Rule, Source

_CALLS: Final = frozenset(
    {
        "os.system",
        "os.popen",
        "os.startfile",
        "subprocess.getoutput",
        "subprocess.getstatusoutput",
        "asyncio.create_subprocess_shell",
        "asyncio.subprocess.create_subprocess_shell",
        "pty.spawn",
        "commands.getoutput",
    }
)
_STARTERS: Final = ("subprocess.", "asyncio.create_subprocess", "os.exec", "os.spawn")
_SHELLS: Final = frozenset({"sh", "bash", "/bin/sh", "/bin/bash", "/usr/bin/env", "cmd", "powershell"})


def _find(source: Source) -> Iterator[tuple[int, str]]:
    for node in source.nodes:
        if not isinstance(node, ast.Call):
            continue
        name = source.name_of(node.func)
        if name in _CALLS:
            yield node.lineno, f"`{name}` reads its argument as a shell does."
        elif _asks_for_a_shell(node):
            yield node.lineno, "`shell=` lets a shell read the arguments."
        elif name is not None and name.startswith(_STARTERS) and _names_a_shell(node):
            yield node.lineno, "The program is a shell."


def _asks_for_a_shell(call: ast.Call) -> bool:
    return any(
        word.arg == "shell" and not (isinstance(word.value, ast.Constant) and word.value.value is False)
        for word in call.keywords
    )


def _names_a_shell(call: ast.Call) -> bool:
    if not call.args:
        return False
    first = call.args[0]
    program = first.elts[0] if isinstance(first, ast.List | ast.Tuple) and first.elts else first
    return isinstance(program, ast.Constant) and program.value in _SHELLS


RULE: Final = Rule("shell", _find)
