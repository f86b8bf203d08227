"""`python -m tools.lint`: prints what is refused, a line each; the exit code is 1 if there is any."""

import sys
from pathlib import Path

from tools.lint.check import check_all, sources
from tools.lint.rules import RULES

ROOT = Path(__file__).parents[2]


def main() -> int:
    files = list(sources(ROOT))
    findings = check_all(files, RULES)
    for finding in findings:
        print(finding)
    print(f"{len(findings)} findings in {len(files)} files, by {len(RULES)} rules.")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
