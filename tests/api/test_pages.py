"""The built pages: what is served where, compressed how, cached how long."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from httpx2 import AsyncClient

from sparkops.core.config import Settings
from tests.api.conftest import client_of, running

INDEX = '<!doctype html><script nonce="__CSP_NONCE__" src="/assets/app-1.js"></script><style nonce="__CSP_NONCE__">'
SCRIPT = b"console.log('spark')\n" * 100


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    directory = tmp_path / "pages"
    (directory / "assets").mkdir(parents=True)
    (directory / "index.html").write_text(INDEX)
    (directory / "robots.txt").write_text("User-agent: *\n")
    (directory / "assets" / "app-1.js").write_bytes(SCRIPT)
    (directory / "assets" / "app-1.js.gz").write_bytes(gzip.compress(SCRIPT))
    (directory / "assets" / "app-1.js.br").write_bytes(b"brotli")
    (tmp_path / "secret.txt").write_text("for nobody")
    return directory


@pytest.fixture
async def browser(settings: Settings, pages: Path) -> AsyncIterator[AsyncClient]:
    async with running(settings, pages) as app, client_of(app) as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/login", "/p/weather/runs/01a204d1-6b66-70f7-88b9-613bd60bd39f/timeline"])
async def test_a_page_of_the_application_gets_a_fresh_nonce(browser: AsyncClient, path: str) -> None:
    first, second = await browser.get(path), await browser.get(path)
    nonce = first.text.split('nonce="')[1].split('"')[0]
    policy = first.headers["content-security-policy"]
    assert first.headers["content-type"].startswith("text/html")
    assert first.text.count(nonce) == 2
    assert f"script-src 'self' 'nonce-{nonce}'" in policy
    assert f"style-src 'self' 'nonce-{nonce}'" in policy
    assert "unsafe" not in policy
    assert first.headers["cache-control"] == "no-store"
    assert nonce not in second.text


@pytest.mark.parametrize(
    "path", ["/assets/none.js", "/assets/", "/favicon.png", "/api/x", "/api/v1/x", "/health/x", "/p/weather/file.csv"]
)
async def test_what_looks_like_a_file_is_a_file_or_nothing(browser: AsyncClient, path: str) -> None:
    assert (await browser.get(path)).status_code == 404


@pytest.mark.parametrize(
    "path",
    ["/../secret.txt", "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt", "/assets/app-1.js.gz", "//etc/passwd"],
)
async def test_nothing_outside_the_list_is_served(browser: AsyncClient, path: str) -> None:
    answer = await browser.get(f"http://testserver{path}")
    assert "for nobody" not in answer.text
    assert answer.status_code == 404 or "<!doctype html>" in answer.text


@pytest.mark.parametrize(
    ("accepts", "encoding"),
    [("gzip, deflate, br", "br"), ("gzip", "gzip"), ("br;q=0.9, gzip", "br"), ("identity", None), ("", None)],
)
async def test_assets_are_immutable_and_sent_as_they_were_compressed(
    browser: AsyncClient, accepts: str, encoding: str | None
) -> None:
    async with browser.stream("GET", "/assets/app-1.js", headers={"Accept-Encoding": accepts}) as answer:
        raw = b"".join([chunk async for chunk in answer.aiter_raw()])
    assert answer.headers.get("content-encoding") == encoding
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "Accept-Encoding" in answer.headers["vary"]
    assert (gzip.decompress(raw) if encoding == "gzip" else raw) == (b"brotli" if encoding == "br" else SCRIPT)


async def test_other_files_are_asked_for_again(browser: AsyncClient) -> None:
    answer = await browser.get("/robots.txt")
    assert (answer.text, answer.headers["cache-control"]) == ("User-agent: *\n", "no-cache")


async def test_without_a_build_the_start_page_says_what_to_do(anonymous: AsyncClient) -> None:
    answer = await anonymous.get("/")
    assert answer.status_code == 200
    assert "not built yet" in answer.text
