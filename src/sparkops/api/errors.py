"""Failures that only this door knows."""

from sparkops.core.errors import Conflict, Forbidden, Invalid, SparkOpsError, Unavailable


class UnsupportedMediaType(SparkOpsError):
    """The body is not declared as plain JSON in UTF-8: nothing guesses what it might be, and nothing is unpacked."""

    code, title = "unsupported-media-type", "Send JSON with Content-Type: application/json"


class ForeignOrigin(Forbidden):
    """The request comes from a page of another origin."""

    code, title = "foreign-origin", "This may only be asked from the pages of this server"


class FactorMissing(Forbidden):
    """Until a second factor is set up, a session is good for nothing else."""

    code, title = "second-factor-required", "Set up a second factor first"

    def __init__(self) -> None:
        super().__init__("This installation asks for a second factor: set yours up on the page of your account.")


class Malformed(SparkOpsError):
    """What no client of ours sends, and what servers in a row may read differently."""

    code, title = "malformed", "The request is malformed"


class Misdirected(SparkOpsError):
    """The request names a server that this one is not: a page elsewhere may have had its name point here."""

    code, title = "misdirected", "This server does not answer to that name"


class TooLong(SparkOpsError):
    code, title = "address-too-long", "The address is longer than allowed"


class TooSlow(SparkOpsError):
    """The body did not come in time."""

    code, title = "body-too-slow", "The body did not come in time"


class TooDeep(Invalid):
    code, title = "too-deep", "The JSON is nested deeper than allowed"


class Overdue(Unavailable):
    """Whether it was carried out is unknown: ask again with the same `Idempotency-Key`."""

    code, title = "overdue", "The request took too long"


class KeyReused(Invalid):
    code, title = "idempotency-key-reused", "This Idempotency-Key was used for another request"


class KeyInUse(Conflict):
    code, title = "idempotency-key-in-use", "The request with this Idempotency-Key is still going on"
