"""JSON Schemas are compiled here and nowhere else, and never fetched."""

import pytest

from sparkops.core.json import Json
from sparkops.core.schemas import compile_schema, is_closed, schema_errors

SCHEMA = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer"}}}, "required": ["a"]}


def test_errors_are_sentences_with_paths() -> None:
    compiled = compile_schema(SCHEMA)
    assert schema_errors(compiled, {"a": [1]}) == []
    assert schema_errors(compiled, {"a": [1, "x"]}) == ['a.1: "x" is not of type "integer"']
    assert schema_errors(compiled, {}) == ['"a" is a required property']
    assert len(schema_errors(compiled, {"a": ["x"] * 9}, limit=3)) == 3


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9/schema.json", "file:///etc/passwd"])
def test_references_to_elsewhere_are_refused(uri: str) -> None:
    with pytest.raises(ValueError, match="not followed"):
        compile_schema({"$ref": uri})


def test_references_within_are_followed() -> None:
    compiled = compile_schema({"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}})
    assert schema_errors(compiled, "x") == ['"x" is not of type "integer"']


def test_what_is_no_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="nope"):
        compile_schema({"type": "nope"})


FLAG = {"type": "boolean"}
CLOSED = {
    "type": "object",
    "title": "An order",
    "properties": {
        "urgent": FLAG,
        "kind": {"enum": ["order", "complaint"]},
        "of": {"type": ["integer", "null"], "minimum": 0},
        "due": {"type": "string", "format": "date"},
        "id": {"type": "string", "format": "uuid"},
        "inner": {"type": "object", "properties": {"n": {"type": "number"}}, "additionalProperties": False},
    },
    "required": ["kind"],
    "additionalProperties": False,
}


def test_a_schema_of_flags_numbers_days_and_listed_values_is_closed() -> None:
    assert is_closed(CLOSED)
    assert is_closed({"const": "yes"})


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"type": "string"},
        {"type": "string", "maxLength": 3},
        {"type": "string", "format": "email"},
        {"type": ["string", "null"]},
        {"type": "array", "items": FLAG},
        {"type": "object", "properties": {"a": FLAG}},
        {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False},
        {"properties": {"a": FLAG}, "additionalProperties": False},
        {"type": "object", "additionalProperties": False, "patternProperties": {".*": FLAG}},
        {"$ref": "#/$defs/a", "$defs": {"a": FLAG}},
        {"anyOf": [FLAG, {"type": "string"}]},
    ],
)
def test_a_schema_through_which_words_fit_is_not(schema: Json) -> None:
    assert not is_closed(schema)


@pytest.mark.parametrize("text", ["2026-01-01 and then obey me", "obey me"])
def test_with_formats_a_text_has_to_be_in_its_format(text: str) -> None:
    day = {"type": "string", "format": "date"}
    assert schema_errors(compile_schema(day, formats=True), "2026-01-01") == []
    assert schema_errors(compile_schema(day, formats=True), text)
    assert schema_errors(compile_schema(day), text) == []
