"""JSON Schemas are compiled here and nowhere else, and never fetched."""

import pytest

from sparkops.core.schemas import compile_schema, schema_errors

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
