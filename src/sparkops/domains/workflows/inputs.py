"""The input of a workflow: its schema, the types that expressions see, and the check of one run's values."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import jsonschema_rs

from sparkops.core.document import Path, dotted
from sparkops.core.errors import Invalid
from sparkops.core.expression_text import KEYWORDS
from sparkops.core.expressions import ValueType
from sparkops.core.json import Json
from sparkops.core.schemas import compile_schema
from sparkops.core.storable import LEAST, MOST, beyond

MAX_MESSAGE = 300
MAX_TOLD = 20
_TYPES = {
    "boolean": ValueType.BOOL,
    "integer": ValueType.INT,
    "string": ValueType.STRING,
    "array": ValueType.LIST,
    "object": ValueType.MAP,
}

InputSchema = Mapping[str, Any]


class InputInvalid(Invalid):
    """The input does not fit the workflow; `errors` says which value and why."""

    code, title = "input-invalid", "The input does not fit the workflow"


def closed_schema(declared: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the schema as it is applied: an object, closed unless it says otherwise. None: no input at all."""
    return {"type": "object", "additionalProperties": False, **(declared or {})}


def input_types(schema: InputSchema) -> dict[str, ValueType]:
    """Return the variables that expressions see, with their types.

    A number may come as 5 or as 5.0, and a property that may be absent (then it is null) has no one type: such
    are `dyn`. Where more properties than the declared ones are allowed, `input` itself can be read, too.
    """
    properties: Mapping[str, Any] = schema.get("properties", {})
    types = {f"input.{name}": _type_of(name, part, schema) for name, part in properties.items()}
    if schema.get("additionalProperties") is not False:
        types["input"] = ValueType.MAP
    return types


def _type_of(name: str, part: Any, schema: InputSchema) -> ValueType:
    always = name in schema.get("required", ()) or (isinstance(part, dict) and "default" in part)
    kind = part.get("type") if isinstance(part, dict) else None
    return _TYPES.get(kind, ValueType.DYN) if always and isinstance(kind, str) else ValueType.DYN


def check_schema(declared: Mapping[str, Any]) -> Iterator[tuple[Path, str, str | None]]:
    """Yield what is wrong with a declared input schema: path within it, message, hint."""
    if declared.get("type", "object") != "object":
        yield ("type",), "the input must be an object", "write type: object, with properties"
    properties = declared.get("properties", {})
    for name in properties if isinstance(properties, dict) else ():
        if not name.isidentifier() or not name.isascii() or name in KEYWORDS:
            yield ("properties", name), f"{name} cannot be a name in expressions", "use letters, digits and _"
    reason = schema_problem(closed_schema(declared))
    if reason is not None:
        yield (), reason, None
        return
    yield from _check_defaults(properties, declared)


def schema_problem(schema: Mapping[str, Any]) -> str | None:
    """Return why this is no JSON Schema that can be used here, or None."""
    try:
        compile_schema(schema)
    except ValueError as error:
        return f"not a valid JSON Schema: {_short(str(error).rpartition('ValueError: ')[2])}"
    return None


def _check_defaults(properties: Mapping[str, Any], declared: Mapping[str, Any]) -> Iterator[tuple[Path, str, None]]:
    shared = {key: declared[key] for key in ("$defs", "definitions") if key in declared}
    for name, part in properties.items():
        if not isinstance(part, dict) or "default" not in part:
            continue
        for error in compile_schema({**shared, **part}).iter_errors(part["default"]):
            yield ("properties", name, "default"), f"the default does not fit: {_short(error.message)}", None


def fit_input(schema: InputSchema, value: Json) -> dict[str, Any]:
    """Return the input with defaults filled in; null counts as no input. The given value is not changed.

    Raises:
        InputInvalid: with one error for each value that does not fit.
    """
    errors = [
        {"path": dotted(path), "message": f"is not between {LEAST} and {MOST}; no other whole number can be kept"}
        for path in islice(beyond(value, ("input",)), MAX_TOLD)
    ]
    if errors:
        raise InputInvalid(f"{errors[0]['path']} {errors[0]['message']}", errors=errors)
    filled = _with_defaults(schema, {} if value is None else value)
    errors = [_input_error(error) for error in compile_schema(schema).iter_errors(filled)]
    if errors:
        raise InputInvalid(f"{errors[0]['path']}: {errors[0]['message']}", errors=errors)
    assert isinstance(filled, dict), "the schema admits objects only"
    return filled


def _with_defaults(schema: Any, value: Json) -> Json:
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(value, dict) or not isinstance(properties, Mapping):
        return value
    defaults = {name: part["default"] for name, part in properties.items() if _has_default(part)}
    return {name: _with_defaults(properties.get(name), item) for name, item in {**defaults, **value}.items()}


def _has_default(part: Any) -> bool:
    return isinstance(part, dict) and "default" in part


def _input_error(error: jsonschema_rs.ValidationError) -> dict[str, Any]:
    path: Path = tuple(error.instance_path)
    return {"path": dotted(("input", *path)), "message": _short(error.message)}


def _short(message: str) -> str:
    """Cut what a library says: it may quote a whole document."""
    return message if len(message) <= MAX_MESSAGE else message[:MAX_MESSAGE] + "…"
