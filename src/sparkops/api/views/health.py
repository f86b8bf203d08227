"""Whether the installation works."""

from typing import Literal

from sparkops.api.views.base import View


class Part(View):
    """One part that the service needs. `missing` stops it; `degraded` costs latency only."""

    status: Literal["ok", "degraded", "missing"]
    detail: str | None = None


class Parts(View):
    database: Part
    redis: Part
    workers: Part


class Readiness(View):
    status: Literal["ok", "degraded", "unavailable"]
    parts: Parts


class Liveness(View):
    status: Literal["ok"]
