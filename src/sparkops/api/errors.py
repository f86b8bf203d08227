"""Failures that only this door knows."""

from sparkops.core.errors import Forbidden, SparkOpsError


class UnsupportedMediaType(SparkOpsError):
    """The body is not declared as JSON: nothing guesses what it might be."""

    code, title = "unsupported-media-type", "Send JSON with Content-Type: application/json"


class ForeignOrigin(Forbidden):
    """The request comes from a page of another origin."""

    code, title = "foreign-origin", "This may only be asked from the pages of this server"
