"""Mistakes in the shape of a definition: pydantic's complaints, told in our words and at their place."""

from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from sparkops.core.durations import DURATION_HINT
from sparkops.core.expression_text import suggest
from sparkops.core.json import Json
from sparkops.domains.workflows.document import Document, Mistake, Path
from sparkops.domains.workflows.format_values import VARIANT_TAGS

M = TypeVar("M", bound=BaseModel)

_HINTS = {
    "name": "use small letters, digits and -, starting with a letter: weather-report",
    "workflow": "the name of a workflow of this project: small letters, digits and -",
    "id": "use small letters, digits and _, starting with a letter: fetch_all",
    "version": "the only version of the format is 1",
    "join": "one of all, any, none_failed and ended, or {at_least: 2}",
    "on_error": "one of fail and continue, or {goto: handler}",
    "on": "a list of error codes in small letters, digits and -: [timeout, rate-limited]",
    "event": "use small letters, digits, '.', _ and -, starting with a letter: payment.received",
    **dict.fromkeys(("timeout", "deadline", "backoff", "max_backoff", "expires"), DURATION_HINT),
}
_KINDS = {
    "string_type": ("this must be a text", "put it in quotes"),
    "tuple_type": ("this must be a list", None),
    "dict_type": ("this must be a map", None),
    "model_type": ("this must be a map", None),
}


def read_shape(
    document: Document, model: type[M], base: Path, raw: Mapping[str, Json], known: type[BaseModel] | None = None
) -> tuple[M | None, list[Mistake]]:
    """Return what stands at the place, or None and the mistakes in its shape.

    `known` is the whole format where `model` is only a part of it, for hints.
    """
    try:
        return model.model_validate(raw), []
    except ValidationError as error:
        found = [dict(item) for item in error.errors(include_url=False, include_input=False)]
        return None, [_mistake(document, known or model, base, item) for item in found if not _follows(item, found)]


def _follows(item: Mapping[str, Any], found: list[dict[str, Any]]) -> bool:
    """True for a list that is too short only because its items were not valid."""
    loc = item["loc"]
    return item["type"] == "too_short" and any(other["loc"][: len(loc)] == loc != other["loc"] for other in found)


def _mistake(document: Document, model: type[BaseModel], base: Path, item: dict[str, Any]) -> Mistake:
    loc: Path = tuple(part for part in item["loc"] if part not in VARIANT_TAGS)
    path = (*base, *loc)
    name = next((part for part in reversed(loc) if isinstance(part, str)), "")
    match item["type"]:
        case "extra_forbidden":
            known = _keys_at(model, loc[:-1])
            hint = suggest(name, known) or (f"known here: {', '.join(known)}" if known else None)
            return document.mistake(path, f"unknown key {name}", hint, key=True)
        case "missing":
            return document.mistake(path, f"{name} is missing", _HINTS.get(name))
        case "string_pattern_mismatch" | "literal_error":
            hint = _HINTS.get(name)
            return document.mistake(path, f"{name} is not valid" if hint else _sentence(item), hint)
        case "too_short":
            return document.mistake(path, f"{name} must have at least {item['ctx']['min_length']} item")
        case "too_long":
            return document.mistake(path, f"{name} may have {item['ctx']['max_length']:,} items at most")
        case kind if kind in _KINDS:
            return document.mistake(path, *_KINDS[kind])
        case _:
            return document.mistake(path, _sentence(item))


def _sentence(item: Mapping[str, Any]) -> str:
    text = str(item["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return f"this {text}" if str(item["msg"]).startswith("Input ") else text


def _keys_at(model: type[BaseModel], loc: Path) -> list[str]:
    """Return the keys that the format knows at this place, as they are written."""
    current = model
    for part in loc:
        if isinstance(part, int):
            continue
        field = next((field for name, field in current.model_fields.items() if part in (name, field.alias)), None)
        inner = None if field is None else _model_in(field.annotation)
        if inner is None:
            return []
        current = inner
    return [field.alias or name for name, field in current.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model that stands in a type, alone, in a list, or beside words."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for model in map(_model_in, get_args(annotation)) if model is not None), None)
