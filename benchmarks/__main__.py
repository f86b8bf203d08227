"""Start a stack of its own on a temporary directory, measure, stop."""

import argparse
import asyncio
import math
import sys
from collections.abc import Sequence

from benchmarks.backtest import backtest_million
from benchmarks.decisions import decisions
from benchmarks.flushed import w3_flushed
from benchmarks.gateway import gateway
from benchmarks.governed import w7
from benchmarks.growth import growth
from benchmarks.limits import measure_limits
from benchmarks.scale import crowd, scale_out
from benchmarks.stack import running
from benchmarks.throughput import w3, w5
from benchmarks.weight import w6
from benchmarks.workloads import w1, w2, w4
from sparkops.core.errors import SparkOpsError

WORKLOADS = {"W1": w1, "W2": w2, "W3": w3, "W4": w4, "W5": w5, "W7": w7, "growth": growth}
ON_THEIR_OWN = {
    "W6": w6,
    "scale": scale_out,
    "crowd": crowd,
    "decisions": decisions,
    "backtest": backtest_million,
    "gateway": gateway,
}
"""What needs a stack of another shape, or none."""
ALL = (*WORKLOADS, "limits", *ON_THEIR_OWN)


async def measure(wanted: Sequence[str], workers: int, flush: float | None) -> None:
    """Measure the workloads that are wanted, and print a line for each figure.

    `flush`: W3 with Redis emptied every so many seconds, instead of W3.
    """
    if set(wanted) - set(ON_THEIR_OWN):
        await _measure_together(wanted, workers, flush)
    for name in wanted:
        if name in ON_THEIR_OWN:
            await ON_THEIR_OWN[name]()


async def _measure_together(wanted: Sequence[str], workers: int, flush: float | None) -> None:
    async with running(workers=workers) as stack:
        embedded = stack.supervisor.embedded
        assert embedded is not None, "benchmarks run on the embedded servers"
        for name in wanted:
            if name in WORKLOADS:
                if name == "W3" and flush is not None:
                    await w3_flushed(stack.bench, flush)
                else:
                    await WORKLOADS[name](stack.bench)
                stack.bench.plain.close()  # it is opened anew by the next request: the server ends what idles
        if "limits" in wanted:
            await measure_limits(stack.bench.report, embedded)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < math.inf:
        raise ValueError(text)
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=f"any of {', '.join(ALL)}; all by default")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--flush", type=_seconds, metavar="SECONDS", help="empty Redis so often during W3")
    options = parser.parse_args()
    unknown = sorted(set(options.workloads) - set(ALL))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; choose from {', '.join(ALL)}")
    wanted = options.workloads or ALL
    if options.flush is not None and "W3" not in wanted:
        parser.error("--flush is for W3")
    try:
        asyncio.run(measure(wanted, options.workers, options.flush))
    except SparkOpsError as error:
        sys.stderr.write(f"bench: {error.detail}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
