"""Secrets are struck out in whatever form they come back, and nothing else is."""

import base64
import html
import io
import json
import logging
import re
import string
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from random import Random
from urllib.parse import quote, quote_plus
from uuid import uuid4

import orjson
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from sparkops.core import log, redaction
from sparkops.core.redaction import MIN_CHARS, Filter, Redactor, Stream

ALPHABET = st.characters(min_codepoint=0x20, max_codepoint=0x17F, exclude_categories=["Cs", "Cc"])
VALUES = st.text(ALPHABET, min_size=12, max_size=40).filter(lambda text: len(text.strip()) >= MIN_CHARS)
AROUND = st.text(st.characters(max_codepoint=0x7F), max_size=20)

FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "hex": lambda text: text.encode().hex(),
    "HEX": lambda text: text.encode().hex().upper(),
    "URL": lambda text: quote(text, safe=""),
    "URL of a form": quote_plus,
    "URL with small escapes": lambda text: re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), quote(text, safe="")),
    "URL in a URL": lambda text: quote(quote(text, safe=""), safe=""),
    "JSON": lambda text: orjson.dumps(text).decode(),
    "JSON in ASCII": json.dumps,
    "JSON for a page": lambda text: json.dumps(text).replace("/", "\\/"),
    "JSON in JSON": lambda text: orjson.dumps(orjson.dumps(text).decode()).decode(),
    "HTML": html.escape,
    "Python": repr,
}


def knowing(value: str, name: str = "key") -> Filter:
    known = Redactor()
    known.learn(name, value, project_id=None)
    return known.of(None)


@pytest.mark.parametrize("form", FORMS)
@given(value=VALUES, before=AROUND, after=AROUND)
def test_a_value_is_struck_out_in_each_form(form: str, value: str, before: str, after: str) -> None:
    written = FORMS[form](value)
    inner = written[1:-1] if form in ("JSON", "JSON in ASCII", "JSON for a page", "JSON in JSON", "Python") else written
    clean = knowing(value).text(f"{before}{written}{after}")
    assert "[secret:key]" in clean
    assert inner not in clean


@given(value=VALUES, before=st.binary(max_size=5), after=st.binary(max_size=5), url_safe=st.booleans())
def test_base64_is_struck_out_wherever_the_value_begins(
    value: str, before: bytes, after: bytes, url_safe: bool
) -> None:
    encode = base64.urlsafe_b64encode if url_safe else base64.b64encode
    clean = knowing(value).text("token " + encode(before + value.encode() + after).decode() + " end")
    assert "[secret:key]" in clean
    left = "".join(re.findall(r"[A-Za-z0-9+/_-]+", re.sub(r"\[secret:key\]", " ", clean.removesuffix(" end"))[6:]))
    # What is left over is what stood around: of the value itself not even one whole byte.
    assert len(left) <= -(-len(before) * 4 // 3) + -(-len(after) * 4 // 3) + 2


@given(value=VALUES, text=AROUND, cuts=st.lists(st.integers(0, 200), max_size=12), form=st.sampled_from(sorted(FORMS)))
def test_a_text_in_pieces_is_cleaned_like_the_whole(value: str, text: str, cuts: list[int], form: str) -> None:
    known = knowing(value)
    whole = f"{text}{FORMS[form](value)}{text}{value[:5]}"
    stream = Stream(lambda: known)
    places = sorted({0, len(whole), *(cut % (len(whole) + 1) for cut in cuts)})
    shown = [stream.feed(whole[start:end]) for start, end in pairwise(places)]
    assert "".join([*shown, stream.end()]) == known.text(whole)


def test_what_may_be_the_beginning_of_a_value_is_held_back() -> None:
    known = knowing("correct-horse-battery")
    stream = Stream(lambda: known)
    assert stream.feed("say correct-ho") == "say "
    assert stream.feed("tel") == "correct-hotel"
    assert stream.feed(" correct-horse-batt") == " "
    assert stream.feed("ery!") == "[secret:key]!"
    assert stream.feed("corre") == ""
    assert stream.end() == "corre"


def test_a_value_that_another_one_begins_with_leaves_nothing_of_the_longer() -> None:
    known = Redactor()
    known.learn("short", "abcdefgh", project_id=None)
    known.learn("long", "abcdefghijklmnop", project_id=None)
    known.learn("over", "mnopqrstuvwx", project_id=None)
    assert known.of(None).text("<abcdefghijklmnop>") in ("<[secret:short]>", "<[secret:long]>")
    assert "qrst" not in known.of(None).text("abcdefghijklmnopqrstuvwx")
    stream = Stream(lambda: known.of(None))
    shown = "".join(stream.feed(each) for each in "<abcdefghijklmnop>") + stream.end()
    assert "ijkl" not in shown


def test_texts_keys_and_numbers_of_a_json_value_are_cleaned() -> None:
    known = Redactor()
    known.learn("pin", "8812345678", project_id=None)
    known.learn("pem", "line one of it\nline two of it", project_id=None)
    clean = known.of(None).value(
        {"pin": 8812345678, "8812345678": [True, None, 1.5, "no"], "pem": "line one of it\nline two of it"}
    )
    assert clean == {"pin": "[secret:pin]", "[secret:pin]": [True, None, 1.5, "no"], "pem": "[secret:pem]"}


def test_a_value_without_secrets_comes_back_itself() -> None:
    value = {"rows": [1, 2, 3], "text": "nothing here"}
    assert knowing("correct-horse-battery").value(value) is value
    assert not redaction.NOTHING


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("postgresql://reader:pass%2Fword-of-it@db/weather", "pass/word-of-it"),
        ("postgresql://reader:pass%2Fword-of-it@db/weather", "pass%2Fword-of-it"),
        (
            "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nqhkiG9w0BAQEFAASCBKcwggS\n-----END KEY-----",
            "MIIEvQIBADANBgkqhkiG9w0B",
        ),
        ('{"type": "account", "private_key_id": "0123456789abcdef0123"}', "0123456789abcdef0123"),
    ],
)
def test_parts_that_are_secrets_by_themselves_are_struck_out_too(value: str, part: str) -> None:
    assert knowing(value).text(f"it says: {part}.") == "it says: [secret:key]."


def test_a_project_does_not_strike_out_the_secrets_of_another() -> None:
    known, one, other = Redactor(), uuid4(), uuid4()
    known.learn("mine", "correct-horse-battery", project_id=one)
    known.learn("ours", "installation-wide", project_id=None)
    text = "correct-horse-battery installation-wide"
    assert known.of(one).text(text) == "[secret:mine] [secret:ours]"
    assert known.of(other).text(text) == "correct-horse-battery [secret:ours]"
    assert known.everything.text(text) == "[secret:mine] [secret:ours]"


def test_what_was_not_met_for_longest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "MAX_KNOWN", 2)
    known = Redactor()
    for name in ("one-of-three", "two-of-three", "one-of-three", "three-of-three"):
        known.learn(name, name, project_id=None)
    assert known.of(None).text("one-of-three two-of-three") == "[secret:one-of-three] two-of-three"


LONG = "".join(Random(1).choices(string.punctuation, k=32_768))
"""A secret of the greatest size, of which every form is another."""


@pytest.mark.parametrize("form", FORMS)
def test_a_long_value_is_struck_out_in_each_form_and_a_text_that_begins_like_it_is_not(form: str) -> None:
    known = knowing(LONG)
    written = FORMS[form](LONG).removesuffix('"')
    assert known.text(f"<{written}>") in (
        "<[secret:key]>",
        "<'[secret:key]'>",
        '<"[secret:key]>',
        '<"\\"[secret:key]\\">',
    )
    assert known.value([f"<{written}>"]) != [f"<{written}>"]
    other = f"<{written[:-40]}{'~' * 40}>"
    assert known.text(other) == other


def test_a_long_value_in_pieces_is_cleaned_like_the_whole() -> None:
    known = knowing(LONG)
    whole = f"{LONG[:500]} {LONG} {base64.b64encode(LONG.encode()).decode()} {LONG[:20_000]}"
    stream = Stream(lambda: known)
    shown = [stream.feed(whole[start : start + 3_000]) for start in range(0, len(whole), 3_000)]
    assert "".join([*shown, stream.end()]) == known.text(whole)


def test_what_a_long_value_costs_is_bounded_however_it_repeats_itself() -> None:
    """Seconds are measured here, generously: what is guarded against took minutes, and gigabytes."""
    begun = time.process_time()
    known = Redactor()
    for number in range(4):
        known.learn(f"key-{number}", LONG[number:] + LONG[:number], project_id=None)
    assert known.everything.text(LONG) == "[secret:key-0]"
    again = knowing("a" * 32_000 + string.punctuation)
    assert string.punctuation not in again.text("a" * 500_000 + string.punctuation)
    assert time.process_time() - begun < 5


def test_a_project_makes_room_for_its_values_in_its_own_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "MAX_KNOWN", 2)
    known, one, other = Redactor(), uuid4(), uuid4()
    known.learn("ours", "installation-wide", project_id=None)
    known.learn("theirs", "correct-horse-battery", project_id=other)
    for number in range(5):
        known.learn(f"mine-{number}", f"value-number-{number}", project_id=one)
    assert known.of(other).text("correct-horse-battery installation-wide") == "[secret:theirs] [secret:ours]"
    assert known.of(one).text("value-number-2 value-number-3") == "value-number-2 [secret:mine-3]"
    monkeypatch.setattr(redaction, "MAX_KNOWN_CHARS", 5_000)
    known.learn("long", "x!" * 1_000, project_id=one)
    known.learn("next", "value-number-next", project_id=one)
    assert known.of(one).text("x!" * 1_000) == "x!" * 1_000
    assert known.of(one).text("value-number-next") == "[secret:next]"
    assert known.of(other).text("correct-horse-battery") == "[secret:theirs]"


@pytest.fixture
def met() -> Redactor:
    """What the process that logs has met."""
    known = Redactor()
    known.learn("key", "correct-horse-battery", project_id=uuid4())
    return known


@pytest.fixture
def lines(met: Redactor, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What this process logs."""
    written = io.StringIO()
    monkeypatch.setattr(log, "SEEN", met)
    root = logging.getLogger()
    before = root.handlers
    log.configure(level="info")
    handler = root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written)
    yield written
    root.handlers = before
    log.configure(level="warning")


def test_log_lines_hold_no_secret(lines: io.StringIO) -> None:
    secret = "correct-horse-battery"
    ours = structlog.get_logger("of-redaction")
    ours.info("it.happened", key=secret, nested={"list": [secret, 7]}, error=ValueError(secret), id=uuid4())
    logging.getLogger("of-others").warning("sent %s to %s", secret, "there")
    try:
        raise RuntimeError(f"cannot use {base64.b64encode(b'x:' + secret.encode()).decode()}")
    except RuntimeError:
        ours.exception("it.broke")
    said = lines.getvalue()
    assert secret not in said
    assert base64.b64encode(b"x:" + secret.encode()).decode()[4:-4] not in said
    parsed = [json.loads(line) for line in said.splitlines()]
    assert [line["event"] for line in parsed] == ["it.happened", "sent [secret:key] to there", "it.broke"]
    assert parsed[0]["nested"] == {"list": ["[secret:key]", 7]}
    assert "RuntimeError: cannot use " in parsed[2]["exception"]


WORDS = ("principal", "timestamp", "request_id", "/api/v1/runs", "2026-11-", "succeeded", "it.happened")


def test_a_secret_that_is_an_ordinary_word_leaves_the_lines_of_others_readable(
    met: Redactor, lines: io.StringIO
) -> None:
    for word in WORDS:
        met.learn("word", word, project_id=uuid4())
    with structlog.contextvars.bound_contextvars(request_id="request_id-of-somebody"):
        structlog.get_logger("of-words").info(
            "it.happened",
            method="PRINCIPAL",
            route="/api/v1/runs",
            status="succeeded",
            principal="principal",
            told="it.happened",
        )
        logging.getLogger("of-others").warning("it.happened")
    ours, theirs = (json.loads(line) for line in lines.getvalue().splitlines())
    said = {"event": "it.happened", "route": "/api/v1/runs", "status": "succeeded", "principal": "principal"}
    assert said.items() <= ours.items()
    assert ours["request_id"] == theirs["request_id"] == "request_id-of-somebody"
    assert "[secret" not in ours["timestamp"] + theirs["timestamp"] + "".join(ours) + "".join(theirs)
    assert ours["told"] == theirs["event"] == "[secret:word]", "what may be anybody's is struck out all the same"
