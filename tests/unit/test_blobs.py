"""Object storage by content."""

import hashlib
from pathlib import Path

import pytest

from sparkops.core.blobs import CHUNK_BYTES, Blobs, Damaged, open_blobs
from sparkops.core.config import load_settings
from sparkops.core.errors import ConfigError, NotFound, TooLarge, Unavailable
from tests.bucket import KEY_ID, SECRET, serving


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs.in_directory(tmp_path / "objects")


def only_file(tmp_path: Path) -> Path:
    (found,) = (path for path in tmp_path.rglob("*") if path.is_file())
    return found


async def test_bytes_lie_under_their_digest(blobs: Blobs) -> None:
    sha256 = await blobs.put(b"rain")
    assert sha256 == hashlib.sha256(b"rain").hexdigest()
    assert await blobs.get(sha256, max_bytes=4) == b"rain"


async def test_the_same_bytes_are_kept_once(blobs: Blobs, tmp_path: Path) -> None:
    first = await blobs.put(b"rain")
    before = only_file(tmp_path).stat().st_mtime_ns
    assert await blobs.put(b"rain") == first
    assert only_file(tmp_path).stat().st_mtime_ns == before


async def test_a_file_url_names_the_same_store(blobs: Blobs, tmp_path: Path) -> None:
    sha256 = await blobs.put(b"rain")
    again = Blobs.at_url((tmp_path / "objects").as_uri())
    assert await again.get(sha256, max_bytes=100) == b"rain"


async def test_too_much_is_not_read_and_nothing_is_not_found(blobs: Blobs) -> None:
    sha256 = await blobs.put(b"rain")
    with pytest.raises(TooLarge, match="4 bytes; at most 3"):
        await blobs.get(sha256, max_bytes=3)
    with pytest.raises(NotFound):
        await blobs.get("0" * 64, max_bytes=3)


async def test_other_bytes_than_were_stored_are_noticed(blobs: Blobs, tmp_path: Path) -> None:
    sha256 = await blobs.put(b"rain")
    only_file(tmp_path).write_bytes(b"sun!")
    with pytest.raises(Unavailable, match="other bytes"):
        await blobs.get(sha256, max_bytes=100)


async def test_a_store_that_takes_nothing_says_so(blobs: Blobs, tmp_path: Path) -> None:
    (tmp_path / "objects" / "blobs").write_bytes(b"in the way")
    with pytest.raises(Unavailable, match="did not take"):
        await blobs.put(b"rain")


async def test_a_file_that_a_power_cut_left_half_is_written_anew(blobs: Blobs, tmp_path: Path) -> None:
    sha256 = await blobs.put(b"rain")
    only_file(tmp_path).write_bytes(b"")
    assert await blobs.put(b"rain") == sha256
    assert await blobs.get(sha256, max_bytes=4) == b"rain"


async def test_the_last_piece_comes_only_after_the_whole_was_checked(blobs: Blobs, tmp_path: Path) -> None:
    data = b"r" * CHUNK_BYTES + b"a" * CHUNK_BYTES
    sha256 = await blobs.put(data)
    assert b"".join([piece async for piece in await blobs.stream(sha256, len(data))]) == data
    only_file(tmp_path).write_bytes(data[:-1] + b"b")
    pieces = aiter(await blobs.stream(sha256, len(data)))
    assert await anext(pieces)
    with pytest.raises(Damaged):
        await anext(pieces)


async def test_a_part_of_the_store_is_apart(blobs: Blobs, tmp_path: Path) -> None:
    part = blobs.under("projects/1")
    sha256 = await part.put(b"rain")
    assert only_file(tmp_path) == tmp_path / "objects/projects/1/blobs" / sha256[:2] / sha256
    for other in (blobs, blobs.under("projects/2")):
        with pytest.raises(NotFound):
            await other.get(sha256, max_bytes=4)


async def test_the_settings_name_an_s3_that_is_used() -> None:
    with serving() as bucket:
        options = (
            f'{{endpoint = "{bucket.endpoint}", region = "eu-1", access_key_id = "{KEY_ID}",'
            f' secret_access_key = "{SECRET}"}}'
        )
        settings = load_settings(
            {"SPARKOPS_OBJECT_STORAGE_URL": "s3://ops/deep", "SPARKOPS_OBJECT_STORAGE_OPTIONS": options}
        )
        assert SECRET not in repr(settings)
        blobs = open_blobs(settings).under("projects/1")
        large = b"r" * (12 << 20)
        for data in (b"rain", large, b"rain"):
            sha256 = await blobs.put(data)
            assert await blobs.get(sha256, max_bytes=len(large)) == data
            assert f"deep/projects/1/blobs/{sha256[:2]}/{sha256}" in bucket.objects
        assert len(bucket.objects) == 2
        with pytest.raises(NotFound):
            await blobs.get("0" * 64, max_bytes=4)


async def test_an_s3_that_does_not_answer_is_unavailable() -> None:
    blobs = Blobs.at_url("s3://ops", {"endpoint": "http://127.0.0.1:9", "access_key_id": "k", "secret_access_key": "s"})
    with pytest.raises(Unavailable, match="did not take"):
        await blobs.put(b"rain")


@pytest.mark.parametrize(("url", "options"), [("ftp://ops", {}), ("s3://ops", {"colour": "red"}), ("not a url", {})])
def test_a_storage_that_cannot_be_is_a_mistake_in_the_settings(url: str, options: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="object storage at"):
        Blobs.at_url(url, options)


def test_without_a_setting_files_lie_in_the_data_directory(tmp_path: Path) -> None:
    open_blobs(load_settings({"SPARKOPS_DATA_DIR": str(tmp_path)}))
    assert (tmp_path / "objects").is_dir()
