"""`python -m sparkops.local.doors FD`: the fork server of a stack. It has loaded every program that runs in one."""

import sys
from collections.abc import Mapping
from importlib import import_module

from sparkops.core.forkserver.server import Door, serve


def load() -> Mapping[str, Door]:
    """Load them all. They stand beside this part of the program, not below it, and are only known by name."""
    return {
        "sparkops.api": import_module("sparkops.api.__main__").main,
        "sparkops.worker": import_module("sparkops.worker.__main__").main,
        "sparkops.worker.isolated": import_module("sparkops.worker.isolated").main,
        "sparkops.worker.backtester": import_module("sparkops.worker.backtester").main,
    }


if __name__ == "__main__":
    sys.exit(serve(int(sys.argv[1]), load()))
