"""Object storage by content."""

import hashlib
from pathlib import Path

import pytest

from sparkops.core.blobs import Blobs
from sparkops.core.errors import NotFound, TooLarge, Unavailable


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
