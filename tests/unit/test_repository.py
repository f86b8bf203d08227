"""What the repository as a whole must keep to."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src" / "sparkops").rglob("*.py"))

OPENS_TRANSACTIONS = ("engine/", "runtime/tools/", "api/", "local/", "cli/", "migrations/", "core/tenancy.py")
"""Doors commit; below them only the engine does, and tools: one whose effect is a row, one that reads elsewhere. The
walls open what doors ask them for."""


@pytest.mark.parametrize("lock", [*sorted(ROOT.glob("requirements*.lock")), ROOT / "web" / "package-lock.json"])
def test_a_lock_file_names_no_host(lock: Path) -> None:
    found = [
        line for line in lock.read_text(encoding="utf-8").splitlines() if re.search(r"resolved.*://|index-url", line)
    ]
    assert not found


@pytest.mark.parametrize("lock", sorted(ROOT.glob("requirements*.lock")))
def test_every_pinned_release_has_hashes(lock: Path) -> None:
    pins = re.split(r"\n(?=\S)", lock.read_text(encoding="utf-8").strip())
    assert pins
    assert all("--hash=sha256:" in pin for pin in pins)


def test_only_doors_and_the_engine_begin_transactions() -> None:
    begins = {
        str(path.relative_to(ROOT / "src" / "sparkops"))
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("begin", "transaction", "commit")
    }
    assert [path for path in sorted(begins) if not path.startswith(OPENS_TRANSACTIONS)] == []


def test_nothing_but_the_gate_sends_an_effect() -> None:
    callers = {
        str(path.relative_to(ROOT / "src" / "sparkops"))
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "send"
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "effect"
    }
    assert callers == {"runtime/gate.py"}


def test_workers_do_without_the_orm() -> None:
    doors = "import sys, sparkops.worker.__main__, sparkops.worker.isolated; print('sqlalchemy' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", doors], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n", "it costs each process half a second to start, and 15 MiB"
