"""One JSON object a line: {"workload", "metric", "value", "unit", "settings"}."""

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sparkops import __version__
from sparkops.core.json import dumps


@dataclass(frozen=True)
class Report:
    """Where figures go. `settings` is what they were measured under."""

    settings: Mapping[str, Any]

    def line(self, workload: str, metric: str, value: float, unit: str, **more: Any) -> None:
        """Print one figure."""
        settings = {**self.settings, **more}
        figure = {"workload": workload, "metric": metric, "value": round(value, 4), "unit": unit, "settings": settings}
        sys.stdout.write(dumps(figure).decode() + "\n")
        sys.stdout.flush()

    def spread(self, workload: str, metric: str, values: Sequence[float], unit: str, **more: Any) -> None:
        """Print the median and the 95th percentile of repeated measurements."""
        self.line(workload, f"{metric}_p50", percentile(values, 50), unit, n=len(values), **more)
        self.line(workload, f"{metric}_p95", percentile(values, 95), unit, n=len(values), **more)


def percentile(values: Sequence[float], rank: float) -> float:
    """Return the value at or next to this rank."""
    ordered = sorted(values)
    return ordered[round(rank / 100 * (len(ordered) - 1))]


def machine() -> dict[str, Any]:
    """Return what every figure is told with."""
    return {"sparkops": __version__, "python": platform.python_version(), "cores": os.cpu_count()}
