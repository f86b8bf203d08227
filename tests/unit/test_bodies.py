"""What a body may look like, found without parsing it."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkops.api.bodies import MAX_DEPTH, NotUtf8, check, is_deeper
from sparkops.api.errors import TooDeep, UnsupportedMediaType
from sparkops.api.texts import UnstorableText, refuse_unstorable

TEXT = st.text(st.sampled_from('[]{}"\\,:a '), max_size=8)
VALUES = st.recursive(
    st.none() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=20,
)


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max((depth(one) for one in value.values()), default=0)
    return 1 + max((depth(one) for one in value), default=0) if isinstance(value, list) else 0


@given(VALUES, st.integers(0, 6))
def test_depth_is_what_a_parser_would_find(value: Any, limit: int) -> None:
    assert is_deeper(json.dumps(value).encode(), limit) == (depth(value) > limit)


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":', '["]",', '{"\\"}":'])
def test_the_limit_is_exact(opening: str) -> None:
    levels = opening.count("[") + opening.count("{") - opening.count('"[') - opening.count('"{')
    closing = "".join({"[": "]", "{": "}"}[one] for one in reversed(opening) if one in "[{")
    times = MAX_DEPTH // levels
    fits = opening * times + "1" + closing * times
    assert not is_deeper(fits.encode(), times * levels)
    assert is_deeper(f"[{fits}]".encode(), times * levels)


BOMBS = {
    "deep": b"[" * 8_000_000 + b"]" * 8_000_000,
    "deep objects": b'{"a":' * 2_000_000,
    "pairs": b"[" + b"[]," * 5_000_000 + b"[]]",
    "pairs within": (b"[[],") * 63 + b"[]," * 4_000_000,
    "a text that does not end": b'["' + b'\\"' * 7_000_000,
    "quotes": b'["' + b'"' * 8_000_000,
    "backslashes": b'["' + b"\\" * 8_000_001 + b'"]',
}


@pytest.mark.parametrize("name", BOMBS)
def test_no_body_takes_long_to_look_at(name: str) -> None:
    began = time.process_time()
    is_deeper(BOMBS[name], MAX_DEPTH)
    assert time.process_time() - began < 5, "a body of 16 MB; one mebibyte is the limit of most routes"


@pytest.mark.parametrize("name", ["escapes", "pairs", "halves at the end", "backslashes"])
def test_no_text_takes_long_to_look_at(name: str) -> None:
    body = {
        "escapes": b"\\u0041" * 2_500_000,
        "pairs": b"\\ud83d\\ude00" * 1_250_000,
        "halves at the end": b"\\ud83d\\ude00" * 1_250_000 + b"\\ud83d",
        "backslashes": b"\\\\u0000" * 2_000_000,
    }[name]
    scope = {"path": "/", "query_string": b""}
    began = time.process_time()
    if name == "halves at the end":
        with pytest.raises(UnstorableText):
            refuse_unstorable(scope, body)
    else:
        refuse_unstorable(scope, body)
    assert time.process_time() - began < 3


@given(st.text(st.sampled_from("\\uU0041dD8cCfF\x00\"'"), max_size=30))
def test_texts_are_refused_exactly_where_they_cannot_be_stored(escapes: str) -> None:
    body = f'["{escapes}"]'
    try:
        [text] = json.loads(body)
    except ValueError:
        return
    unstorable = "\0" in text or any("\ud800" <= one <= "\udfff" for one in text)
    try:
        refuse_unstorable({"path": "/", "query_string": b""}, body.encode())
    except UnstorableText:
        assert unstorable, body
    else:
        assert not unstorable, body


def scope_of(**headers: str) -> dict[str, Any]:
    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "headers": given}


@pytest.mark.parametrize("declared", ["application/json", "Application/JSON", 'application/json; charset="UTF-8"'])
def test_plain_json_is_taken(declared: str) -> None:
    check(scope_of(content_type=declared, content_encoding="identity"), '{"a": "ü"}'.encode())


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content_type": ""},
        {"content_type": "text/json"},
        {"content_type": "application/x-www-form-urlencoded"},
        {"content_type": "multipart/form-data; boundary=x"},
        {"content_type": "text/plain"},
        {"content_type": "application/xml"},
        {"content_type": "application/json; charset=utf-16"},
        {"content_type": "application/json; charset=utf-7"},
        {"content_type": "application/json; profile=x"},
        {"content_type": "application/json", "content_encoding": "gzip"},
        {"content_type": "application/json", "content_encoding": "gzip, gzip"},
        {"content_type": "application/json", "content_encoding": "br"},
    ],
)
def test_nothing_else_is_and_nothing_is_unpacked(headers: dict[str, str]) -> None:
    with pytest.raises(UnsupportedMediaType):
        check(scope_of(**headers), b"{}")


@pytest.mark.parametrize(
    "body",
    [
        '{"a": "\\u0000"}'.encode("utf-16"),
        '{"a": 1}'.encode("utf-16-le"),
        '{"a": 1}'.encode("utf-32"),
        b"\xef\xbb\xbf{}",
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": "\xff"}',
        b'{"a": "\x00"}',
    ],
)
def test_json_in_another_encoding_is_refused(body: bytes) -> None:
    """The library would read it, and find there what the checks in front of it did not."""
    with pytest.raises(NotUtf8):
        check(scope_of(content_type="application/json"), body)


def test_a_hundred_thousand_levels_are_too_deep() -> None:
    with pytest.raises(TooDeep):
        check(scope_of(content_type="application/json"), b"[" * 100_000 + b"]" * 100_000)
