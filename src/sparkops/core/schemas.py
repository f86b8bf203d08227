"""JSON Schema once: compiled without ever fetching a reference, errors as sentences."""

from collections.abc import Mapping
from typing import Any, Final

import jsonschema_rs

from sparkops.core.json import Json


def _refuse(uri: str) -> Any:
    raise ValueError(f"a reference to {uri} is not followed; define it in this schema under $defs")


_CLOSED_TYPES: Final = frozenset({"boolean", "number", "integer", "null"})
_CLOSED_FORMATS: Final = frozenset({"date", "date-time", "uuid"})
_PLAIN_KEYS: Final = frozenset(
    {
        *("$schema", "$id", "title", "description", "type", "enum", "const", "format", "default", "examples"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength"),
        *("properties", "required", "additionalProperties", "minProperties", "maxProperties"),
    }
)
"""Keys that do not widen what a schema lets through."""


def is_closed(schema: Json) -> bool:
    """Say whether a value that fits cannot carry words of somebody else: its texts are the schema's own, days or ids.

    Objects without further properties, whose leaves are true or false, numbers, null, one of listed values, or a text
    in the format date, date-time or uuid. What is not plain, such as a list or a reference, is not closed. Only for
    schemas that are compiled with `formats`.
    """
    if not isinstance(schema, dict) or schema.keys() - _PLAIN_KEYS:
        return False
    if "enum" in schema or "const" in schema:
        return True
    kind = schema.get("type")
    if isinstance(kind, list):
        return bool(kind) and all(is_closed({**schema, "type": each}) for each in kind)
    if kind == "object":
        properties = schema.get("properties", {})
        return schema.get("additionalProperties") is False and all(map(is_closed, properties.values()))
    return kind in _CLOSED_TYPES or (kind == "string" and schema.get("format") in _CLOSED_FORMATS)


def compile_schema(schema: Mapping[str, Any], *, formats: bool = False) -> jsonschema_rs.Validator:
    """Return a validator. References to other documents are refused, over the network and on disk alike.

    `formats`: a text that is not in the format that the schema states does not fit.

    Raises:
        ValueError: it is no valid JSON Schema, or points outside itself; the text is one sentence.
    """
    try:
        return jsonschema_rs.validator_for(dict(schema), retriever=_refuse, validate_formats=formats or None)
    except jsonschema_rs.ValidationError as error:
        raise ValueError(error.message) from None


def schema_errors(compiled: jsonschema_rs.Validator, value: Json, *, limit: int = 5) -> list[str]:
    """Return up to `limit` sentences on what is wrong with the value, each with its path; none: it fits."""
    sentences: list[str] = []
    for error in compiled.iter_errors(value):
        path = ".".join(str(part) for part in error.instance_path)
        sentences.append(f"{path}: {error.message}" if path else error.message)
        if len(sentences) == limit:
            break
    return sentences
