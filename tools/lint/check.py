"""Applies rules to files."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tools.lint.source import Finding, Rule, Source

FOLDERS = (("src/sparkops", ".py"), ("web/src", ".ts"), ("web/src", ".tsx"))
"""What is delivered. Tests and benchmarks may do what they test."""


def sources(root: Path) -> Iterator[Source]:
    """Yield every file that rules hold for, in the order of their paths."""
    for folder, suffix in FOLDERS:
        for path in sorted((root / folder).rglob(f"*{suffix}")):
            if ".test." not in path.name and "generated" not in path.parts:
                yield Source(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"), root)


def check(source: Source, rules: Sequence[Rule]) -> list[Finding]:
    """Return what the rules refuse in a file and nobody has allowed with a reason, and allowances that are wrong."""
    found: list[Finding] = []
    used: set[int] = set()
    for rule in rules:
        if rule.pages == source.is_python:
            continue
        for line, message in rule.find(source):
            allowance = next(
                (one for one in source.allowances if one.rule == rule.name and line in source.reach(one)), None
            )
            if allowance is None:
                found.append(Finding(source.path, line, rule.name, message))
            else:
                used.add(allowance.line)
    return sorted({*found, *_wrong(source, {rule.name for rule in rules}, used)})


def _wrong(source: Source, names: set[str], used: set[int]) -> Iterator[Finding]:
    for line in source.unreadable:
        yield Finding(source.path, line, "allowance", "Write `lint: allow <rule> -- <reason>`.")
    for one in source.allowances:
        if one.rule not in names:
            yield Finding(source.path, one.line, "allowance", f"There is no rule {one.rule!r}.")
        elif one.reason is None:
            yield Finding(source.path, one.line, "allowance", "Say why: `-- <reason>`.")
        elif one.line not in used:
            yield Finding(source.path, one.line, "allowance", "It allows nothing; take it away.")


def check_all(files: Iterable[Source], rules: Sequence[Rule]) -> list[Finding]:
    """Return all findings in all files."""
    return [finding for source in files for finding in check(source, rules)]
