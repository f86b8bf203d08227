"""The OpenAPI document as clients should see it: our problems instead of the framework's own errors."""

from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from sparkops.api.responses import PROBLEM_REF
from sparkops.api.views.base import Problem

_REPLACED = ("HTTPValidationError", "ValidationError")
"""What FastAPI would answer to a wrong payload; here that is a problem like any other."""


def document(app: FastAPI) -> dict[str, Any]:
    """Return the document of an application, built once."""
    if app.openapi_schema is None:
        built = get_openapi(title=app.title, version=app.version, routes=app.routes)
        schemas = built["components"]["schemas"]
        for name in _REPLACED:
            schemas.pop(name, None)
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
        schemas.update(problem.pop("$defs"))
        schemas[PROBLEM_REF["$ref"].rpartition("/")[2]] = problem
        app.openapi_schema = built
    return app.openapi_schema


def install(app: FastAPI) -> None:
    """Make the application serve this document."""
    app.openapi = lambda: document(app)  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def rendered(app: FastAPI) -> bytes:
    """Return the document as text that changes only when the API does."""
    options = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(document(app), option=options)
