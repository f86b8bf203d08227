"""Programs are started in few places: the embedded stack, its fork server, and the worker's own helpers.
Nothing starts what a request, a definition or a model names."""

from collections.abc import Iterator
from typing import Final

from tools.lint.source import Rule, Source

STARTERS: Final = ("local/", "cli/doors.py", "worker/helper.py", "core/forkserver/", "core/parents.py")
_MODULES: Final = frozenset({"subprocess", "pty", "multiprocessing", "concurrent.futures.ProcessPoolExecutor"})
_CALLS: Final = ("os.exec", "os.spawn", "os.posix_spawn", "os.fork", "asyncio.create_subprocess_", "ctypes.CDLL")


def _find(source: Source) -> Iterator[tuple[int, str]]:
    if source.within(*STARTERS):
        return
    for statement, module in source.modules():
        if module in _MODULES or module.partition(".")[0] in _MODULES:
            yield statement.lineno, f"Programs are started by {', '.join(STARTERS)}."
    for call, name in source.calls():
        if name.startswith(_CALLS):
            yield call.lineno, f"`{name}` starts or loads a program; that is done by {', '.join(STARTERS)}."


RULE: Final = Rule("programs", _find)
