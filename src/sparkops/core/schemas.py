"""JSON Schema once: compiled without ever fetching a reference, errors as sentences."""

from collections.abc import Mapping
from typing import Any

import jsonschema_rs

from sparkops.core.json import Json


def _refuse(uri: str) -> Any:
    raise ValueError(f"a reference to {uri} is not followed; define it in this schema under $defs")


def compile_schema(schema: Mapping[str, Any]) -> jsonschema_rs.Validator:
    """Return a validator. References to other documents are refused, over the network and on disk alike.

    Raises:
        ValueError: it is no valid JSON Schema, or points outside itself; the text is one sentence.
    """
    try:
        return jsonschema_rs.validator_for(dict(schema), retriever=_refuse)
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
