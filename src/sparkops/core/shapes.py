"""Shapes of definitions: the small parts that formats are made of, and pydantic's complaints told in our words."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from sparkops.core.document import Document, Mistake, Path
from sparkops.core.durations import DURATION_PATTERN, parse_duration
from sparkops.core.expression_text import suggest
from sparkops.core.json import Json
from sparkops.core.permissions import Role

M = TypeVar("M", bound=BaseModel)

WORD, MAP = "<word>", "<map>"
_VARIANT_TAGS: Final = frozenset({WORD, MAP})
"""Parts that pydantic puts into the paths of values that are either a word or a map; they stand in no text."""


class Closed(BaseModel):
    """A part of a definition: frozen, types as written, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, serialize_by_alias=True)


def _duration(text: str) -> str:
    parse_duration(text)
    return text


Duration = Annotated[str, Field(pattern=DURATION_PATTERN), AfterValidator(_duration)]
Text = Annotated[str, Field(min_length=1)]


def _approver(text: str) -> str:
    if "@" not in text and text not in set(Role):
        raise ValueError(f"'{text}' is neither a role ({', '.join(Role)}) nor an e-mail address")
    return text


MAX_QUORUM: Final = 20
Approvers = Annotated[
    tuple[Annotated[str, Field(max_length=320), AfterValidator(_approver)], ...],
    Field(strict=False, min_length=1, max_length=50),
]
"""Roles and e-mail addresses of those who may agree to something."""

_KINDS = {
    "string_type": ("this must be a text", "put it in quotes"),
    "tuple_type": ("this must be a list", None),
    "dict_type": ("this must be a map", None),
    "model_type": ("this must be a map", None),
}


def read_shape(
    document: Document,
    model: type[M],
    base: Path,
    raw: Mapping[str, Json],
    *,
    hints: Mapping[str, str],
    known: type[BaseModel] | None = None,
) -> tuple[M | None, list[Mistake]]:
    """Return what stands at the place, or None and the mistakes in its shape.

    `hints` say for a key what may stand there; `known` is the whole format where `model` is only a part of it.
    """
    try:
        return model.model_validate(raw), []
    except ValidationError as error:
        found = [dict(item) for item in error.errors(include_url=False, include_input=False)]
        return None, [
            _mistake(document, known or model, base, item, hints) for item in found if not _follows(item, found)
        ]


def _follows(item: Mapping[str, Any], found: list[dict[str, Any]]) -> bool:
    """True for a list that is too short only because its items were not valid."""
    loc = item["loc"]
    return item["type"] == "too_short" and any(other["loc"][: len(loc)] == loc != other["loc"] for other in found)


def _mistake(
    document: Document, model: type[BaseModel], base: Path, item: dict[str, Any], hints: Mapping[str, str]
) -> Mistake:
    loc: Path = tuple(part for part in item["loc"] if part not in _VARIANT_TAGS)
    path = (*base, *loc)
    name = next((part for part in reversed(loc) if isinstance(part, str)), "")
    match item["type"]:
        case "extra_forbidden":
            known = _keys_at(model, loc[:-1])
            hint = suggest(name, known) or (f"known here: {', '.join(known)}" if known else None)
            return document.mistake(path, f"unknown key {name}", hint, key=True)
        case "missing":
            return document.mistake(path, f"{name} is missing", hints.get(name))
        case "string_pattern_mismatch" | "literal_error" | "enum":
            hint = hints.get(name)
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
