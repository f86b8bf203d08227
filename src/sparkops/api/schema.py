"""The OpenAPI document as clients should see it: our problems instead of the framework's own errors."""

from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from sparkops.api.once import HEADER, MAX_CHARS
from sparkops.api.problems import MEDIA_TYPE
from sparkops.api.responses import PROBLEM_REF
from sparkops.api.views.base import Problem

_OTHER = {"description": "Any other failure", "content": {MEDIA_TYPE: {"schema": PROBLEM_REF}}}
_KEY = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "The same request with the same key is carried out once, and answered alike for a day.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_CHARS, "title": HEADER},
}
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
        for operations in built["paths"].values():
            for method, operation in operations.items():
                _complete(method, operation)
        app.openapi_schema = built
    return app.openapi_schema


def _complete(method: str, operation: dict[str, Any]) -> None:
    """Add what holds for many routes and is declared with none: any other failure, and keys of creating requests."""
    operation["responses"].setdefault("default", _OTHER)
    parameters = operation.get("parameters", [])
    creates = method == "post" and "201" in operation["responses"] and operation.get("security")
    if creates and all(one["name"].lower() != HEADER.lower() for one in parameters):
        operation["parameters"] = [*parameters, _KEY]


def install(app: FastAPI) -> None:
    """Make the application serve this document."""
    app.openapi = lambda: document(app)  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def rendered(app: FastAPI) -> bytes:
    """Return the document as text that changes only when the API does."""
    options = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(document(app), option=options)
