"""Where what is being done comes from: the request, its address, and the session or key behind it.

A door sets it for the time of one request, and whoever writes the audit trail reads it. It changes nothing that is
decided: only what is told about it afterwards.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace

from sparkops.core.json import dumps


@dataclass(frozen=True, slots=True)
class Origin:
    """`address`: of the client, as the server sees it. `via`: `session:<id>` or `key:<id>`, None: nobody is known."""

    request_id: str
    address: str | None
    via: str | None = None

    def as_text(self) -> str:
        """Return it as JSON, as the database functions read it."""
        return dumps(asdict(self)).decode()


_origin: ContextVar[Origin | None] = ContextVar("origin", default=None)


def origin() -> Origin | None:
    """Return where the present request comes from; None outside of requests."""
    return _origin.get()


@contextmanager
def coming_from(request_id: str, address: str | None) -> Iterator[None]:
    """Within the block everything that is done is done for this request."""
    token = _origin.set(Origin(request_id, address))
    try:
        yield
    finally:
        _origin.reset(token)


def acting_via(via: str) -> None:
    """Say by which session or key the present request acts; outside of requests this changes nothing."""
    known = _origin.get()
    if known is not None:
        _origin.set(replace(known, via=via))
