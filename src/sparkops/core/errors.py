"""Expected failures, typed. `api/problems.py` alone knows which HTTP status each family gets."""

from typing import Any, ClassVar


class SparkOpsError(Exception):
    """A failure that a caller may expect: `code` is stable, `detail` is a sentence that says what to do.

    Extra members travel with the problem document as they are, so they must be JSON values.
    """

    code: ClassVar[str] = "error"
    title: ClassVar[str] = "The request failed"

    def __init__(self, detail: str = "", **members: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.members = members


class Unauthenticated(SparkOpsError):
    code, title = "unauthenticated", "Sign in first"


class Forbidden(SparkOpsError):
    code, title = "forbidden", "You may not do this"


class NotFound(SparkOpsError):
    """Also the answer for what exists in a project the caller is no member of."""

    code, title = "not-found", "There is no such thing here"


class Conflict(SparkOpsError):
    code, title = "conflict", "The state has changed meanwhile"


class Invalid(SparkOpsError):
    """The payload cannot be accepted; `errors` lists where and why."""

    code, title = "invalid", "The request is not valid"


class TooLarge(SparkOpsError):
    code, title = "too-large", "The request is larger than allowed"


class TooMany(SparkOpsError):
    """A rate limit was hit; `retry_after_seconds` says when to come back."""

    code, title = "too-many-requests", "Too many requests"


class Unavailable(SparkOpsError):
    """A part that is needed did not answer, or the outcome of a commit is unknown: retry with the same key."""

    code, title = "unavailable", "The service cannot answer right now"


class ConfigError(SparkOpsError):
    """Start-up cannot go on; the sentence names the setting and what would be right."""

    code, title = "configuration", "The configuration is not valid"
