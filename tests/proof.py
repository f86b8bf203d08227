"""What a long play came to, kept as one line of JSON: `python -m pytest -p tests.proof --out FILE …`.

A test that plays many cases says how many: `record_property("played", 344)`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from os import cpu_count
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from sparkops import __version__
from sparkops.core.json import dumps
from tests.tiers import WHOLE


def keep(out: Path, what: str, *, number: int, failures: Sequence[str], seconds: float, **more: Any) -> None:
    """Append one result. `number`: how many cases were played; `failures`: which of them, or of the tests, failed."""
    line = {
        "what": what,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "number": number,
        "failures": list(failures),
        "seconds": round(seconds, 1),
        "settings": {**more, "sparkops": __version__, "cores": cpu_count()},
    }
    with out.open("a", encoding="utf-8") as file:
        file.write(dumps(line).decode() + "\n")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--out", type=Path, help="append what was played to this file, as one line of JSON")


def pytest_configure(config: pytest.Config) -> None:
    out = config.getoption("--out")
    if out is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Play(config, out.resolve()))


class Play:
    """The tests of one session, in the process that the user started."""

    def __init__(self, config: pytest.Config, out: Path) -> None:
        self._config = config
        self._out = out
        self._began = monotonic()
        self._tests = self._played = 0
        self._failures: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failures.append(f"{report.nodeid} ({report.when})")
        if report.when == "call":
            self._tests += 1
            self._played += next((int(str(count)) for name, count in report.user_properties if name == "played"), 1)

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        keep(
            self._out,
            " ".join(self._config.args),
            number=self._played,
            failures=self._failures,
            seconds=monotonic() - self._began,
            tests=self._tests,
            chosen=self._config.option.keyword or None,
            seed=self._config.getoption("--hypothesis-seed"),
            tier="whole" if WHOLE else "daily",
            exit=int(exitstatus),
        )
