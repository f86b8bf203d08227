"""Large values: which lie in object storage, how a row refers to them, and that nobody can forge a reference."""

import hashlib
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparkops.core import payloads as module
from sparkops.core.blobs import Blobs
from sparkops.core.errors import Unavailable
from sparkops.core.ids import new_id
from sparkops.core.json import Json, canonical, digest, dumps, loads
from sparkops.core.payloads import (
    INLINE_BYTES,
    NotAtHand,
    Packed,
    Payloads,
    Reference,
    ValueLost,
    ValueTooLarge,
    pack,
    references,
)

PROJECT = UUID(int=1)
LARGE = "x" * INLINE_BYTES


@pytest.fixture
def payloads(tmp_path: Path) -> Payloads:
    return Payloads(Blobs.in_directory(tmp_path))


def fresh(tmp_path: Path) -> Payloads:
    """Another process over the same storage: it remembers nothing."""
    return Payloads(Blobs.in_directory(tmp_path))


async def keep(payloads: Payloads, value: Json) -> Json:
    """Store a value, and return what its row holds, of which the text says the same."""
    stored = await payloads.store(PROJECT, value)
    assert loads(dumps(stored.text)) == stored.value
    return stored.value


def packed(value: Json, limit: int | None = None) -> Packed | None:
    return pack(value, dumps(value), limit)


def files(tmp_path: Path) -> list[Path]:
    return [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("value", "kind"), [(LARGE, "string"), ([LARGE], "array"), ({"text": LARGE, "n": [1, None, 2.5, "ä"]}, "object")]
)
async def test_a_large_value_comes_back_as_it_was(payloads: Payloads, tmp_path: Path, value: Json, kind: str) -> None:
    stored = await keep(payloads, value)
    reference = Reference.of(stored)
    assert reference is not None
    assert (reference.type, reference.size) == (kind, len(canonical(value)))
    assert reference.sha256 == digest(value)
    assert canonical(value).decode().startswith(reference.preview)
    assert len(reference.preview) <= 120
    for reader in (payloads, fresh(tmp_path)):
        assert await reader.load(PROJECT, stored) == value


@pytest.mark.parametrize("value", [None, True, 1.5, "", "x" * (INLINE_BYTES - 2), {"blob": 1}, ['"$blob":'], "$blob"])
async def test_a_small_value_stays_where_it_is(payloads: Payloads, tmp_path: Path, value: Json) -> None:
    assert await keep(payloads, value) is value
    assert await payloads.load(PROJECT, value) is value
    assert not files(tmp_path)


async def test_the_bound_is_exact(payloads: Payloads) -> None:
    assert packed("x" * (INLINE_BYTES - 2)) is None
    assert packed("x" * (INLINE_BYTES - 1)) is not None
    with pytest.raises(ValueTooLarge, match="1,003 bytes as JSON; at most 1,002"):
        packed("x" * 1_001, limit=1_002)


def lookalike(depth: int) -> Json:
    value: Json = Reference("0" * 64, 5, "string", "").to_json()
    for level in range(depth):
        value = {"deeper": value} if level % 2 else [value]
    return value


@pytest.mark.parametrize("value", [lookalike(0), lookalike(1), lookalike(6), {"$blob": 1}, [{"$blob": None, "a": 1}]])
async def test_data_that_looks_like_a_reference_is_data(payloads: Payloads, tmp_path: Path, value: Json) -> None:
    stored = await keep(payloads, value)
    reference = Reference.of(stored)
    assert reference is not None
    assert reference.sha256 == digest(value), "the row refers to the data, not to what the data names"
    assert await fresh(tmp_path).load(PROJECT, stored) == value


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "$blob", "sha256", "bytes"]) | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from("abc"), json_values))
async def test_whatever_is_put_together_of_stored_values_comes_back(
    tmp_path_factory: pytest.TempPathFactory, outputs: dict[str, Any]
) -> None:
    payloads = fresh(tmp_path_factory.getbasetemp() / "together")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "INLINE_BYTES", 20)
        stored = {key: await keep(payloads, value) for key, value in outputs.items()}
    assert await payloads.load(PROJECT, stored) == outputs


async def test_projects_do_not_share_what_they_store(payloads: Payloads, tmp_path: Path) -> None:
    stored = await keep(payloads, LARGE)
    (file,) = files(tmp_path)
    assert file.relative_to(tmp_path).parts[:2] == ("projects", str(PROJECT))
    with pytest.raises(ValueLost):
        await payloads.load(new_id(), stored)


async def test_writing_again_changes_nothing(payloads: Payloads, tmp_path: Path) -> None:
    first = await keep(payloads, [LARGE])
    (file,) = files(tmp_path)
    before = file.stat().st_mtime_ns
    for writer in (payloads, fresh(tmp_path)):
        assert await keep(writer, [LARGE]) == first
    assert [path.stat().st_mtime_ns for path in files(tmp_path)] == [before]


@pytest.mark.parametrize("damage", [b"", b'"' + b"y" * INLINE_BYTES + b'"'])
async def test_a_damaged_or_missing_object_is_an_error_that_names_it(tmp_path: Path, damage: bytes) -> None:
    stored = await keep(fresh(tmp_path), LARGE)
    (file,) = files(tmp_path)
    file.write_bytes(damage)
    with pytest.raises(ValueLost, match=f"{digest(LARGE)}.*other bytes than were stored"):
        await fresh(tmp_path).load(PROJECT, stored)
    assert await keep(fresh(tmp_path), LARGE) == stored, "writing it again repairs it"
    assert await fresh(tmp_path).load(PROJECT, stored) == LARGE
    file.unlink()
    with pytest.raises(ValueLost, match="not in the object storage"):
        await fresh(tmp_path).load(PROJECT, stored)


async def test_a_process_without_object_storage_says_so() -> None:
    payloads = Payloads()
    assert await keep(payloads, {"a": 1}) == {"a": 1}
    with pytest.raises(Unavailable, match="no object storage"):
        await keep(payloads, LARGE)
    with pytest.raises(Unavailable, match="no object storage"):
        await payloads.load(PROJECT, Reference("0" * 64, 1, "string", "").to_json())


@pytest.mark.parametrize("distinct", [5, 1])
async def test_more_than_fits_into_memory_is_not_read(payloads: Payloads, distinct: int) -> None:
    digests = [hashlib.sha256(bytes([n % distinct])).hexdigest() for n in range(5)]
    many = {str(n): Reference(found, 50 << 20, "string", "").to_json() for n, found in enumerate(digests)}
    with pytest.raises(ValueTooLarge, match="at most 209,715,200"):
        await payloads.load(PROJECT, many)
    with pytest.raises(ValueTooLarge):
        payloads.desk(PROJECT).load(many)


async def test_the_cache_is_bounded(payloads: Payloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CACHE_BYTES", 3 * INLINE_BYTES)
    stored = [await keep(payloads, LARGE + str(n)) for n in range(4)]
    for file in files(tmp_path):
        file.unlink()
    assert await payloads.load(PROJECT, stored[3]) == LARGE + "3"
    with pytest.raises(ValueLost):
        await payloads.load(PROJECT, stored[0])


def test_references_stand_alone_or_in_a_map() -> None:
    reference = Reference("a" * 64, 1, "string", "")
    assert references(reference.to_json()) == (reference,)
    assert references({"a": reference.to_json(), "b": 1, "c": reference.to_json()}) == [reference, reference]
    assert not references([reference.to_json()])
    assert not references({"$blob": {"sha256": "../../etc/passwd", "bytes": 1, "type": "string", "preview": ""}})


async def test_a_desk_tells_what_is_missing_and_then_has_it(payloads: Payloads) -> None:
    stored = {"a": await keep(payloads, LARGE), "b": await keep(payloads, [LARGE])}
    desk = payloads.desk(PROJECT)
    with pytest.raises(NotAtHand) as missing:
        desk.load(stored)
    assert len(missing.value.to_read) == 2
    await desk.provide(missing.value)
    assert desk.load(stored) == {"a": LARGE, "b": [LARGE]}


async def test_a_desk_writes_what_a_decision_made(payloads: Payloads, tmp_path: Path) -> None:
    desk = payloads.desk(PROJECT)
    assert desk.store({"a": 1}).value == {"a": 1}
    with pytest.raises(NotAtHand) as missing:
        desk.store({"a": LARGE})
    assert not files(tmp_path), "nothing is written while a decision is made"
    await desk.provide(missing.value)
    assert await fresh(tmp_path).load(PROJECT, desk.store({"a": LARGE}).value) == {"a": LARGE}


async def test_a_decision_is_made_again_until_everything_is_there(payloads: Payloads) -> None:
    stored = [await keep(payloads, LARGE + str(n)) for n in range(3)]
    desk = payloads.desk(PROJECT)
    tries = 0

    async def act() -> Json:
        nonlocal tries
        tries += 1
        return desk.store([desk.load(each) for each in stored]).value

    result = await desk.decide(act)
    assert await payloads.load(PROJECT, result) == [LARGE + str(n) for n in range(3)]
    assert tries == 5, "three to read one by one, one to write, one to decide"


async def test_a_desk_keeps_a_loss_for_the_decision(payloads: Payloads, tmp_path: Path) -> None:
    stored = await keep(payloads, LARGE)
    files(tmp_path)[0].unlink()
    desk = fresh(tmp_path).desk(PROJECT)

    async def act() -> Json:
        return desk.load(stored)

    with pytest.raises(ValueLost):
        await desk.decide(act)
