"""The built web pages: index.html with a fresh nonce for every answer, and files that never change.

A path that looks like a page of the application gets index.html, and its router decides what to show. A path under
/api or /assets, or one that ends in a file name, is a file or nothing.
"""

import mimetypes
import secrets
from pathlib import Path, PurePosixPath

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, HTMLResponse

from sparkops.core.errors import NotFound

PAGES = Path(__file__).parent / "pages"
"""Where the build of `web/` is put; shipped in the wheel, absent in a fresh clone."""
NONCE_MARK = "__CSP_NONCE__"
IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"
_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))
_NOT_PAGES = ("api", "assets", "health")
_NOT_BUILT = """<!doctype html><meta charset="utf-8"><title>Spark-Ops</title>
<h1>The pages are not built yet</h1>
<p>The API works. To build the pages run <code>make up</code>, or install Spark-Ops from its wheel.</p>
"""


def content_security_policy(nonce: str) -> str:
    """Return the policy of a page: nothing runs or styles but what we ship, with this nonce."""
    return (
        "default-src 'none'; "
        f"script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; "
        "img-src 'self' data:; font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; "
        "form-action 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
    )


class Pages:
    """The pages of one directory. What may be served is listed once: no path from outside touches the disk."""

    def __init__(self, directory: Path) -> None:
        index = directory / "index.html"
        self._index = index.read_text(encoding="utf-8") if index.is_file() else None
        found = directory.rglob("*") if directory.is_dir() else ()
        self._files = {path.relative_to(directory).as_posix(): path for path in found if path.is_file()}

    def answer(self, path: str, accept_encoding: str) -> Response:
        """Return the file or the page at this path.

        Raises:
            NotFound: it is neither.
        """
        if path in self._files and path != "index.html" and not path.endswith((".br", ".gz")):
            return self._file(path, accept_encoding)
        first = path.partition("/")[0]
        if first in _NOT_PAGES or PurePosixPath(path).suffix not in ("", ".html"):
            raise NotFound("There is nothing at this address.")
        return self._page()

    def _page(self) -> Response:
        nonce = secrets.token_urlsafe(16)
        headers = {"Content-Security-Policy": content_security_policy(nonce), "Cache-Control": "no-store"}
        return HTMLResponse((self._index or _NOT_BUILT).replace(NONCE_MARK, nonce), headers=headers)

    def _file(self, path: str, accept_encoding: str) -> Response:
        accepted = {part.partition(";")[0].strip() for part in accept_encoding.split(",")}
        headers = {"Cache-Control": IMMUTABLE if path.startswith("assets/") else REVALIDATE, "Vary": "Accept-Encoding"}
        media_type = mimetypes.guess_type(path)[0] or "application/octet-stream"
        for encoding, suffix in _ENCODINGS:
            if encoding in accepted and (packed := self._files.get(path + suffix)):
                return FileResponse(packed, media_type=media_type, headers=headers | {"Content-Encoding": encoding})
        return FileResponse(self._files[path], media_type=media_type, headers=headers)


def pages_router(directory: Path) -> APIRouter:
    """Return the routes that serve the pages of a directory, read now; they belong behind all others."""
    pages = Pages(directory)
    router = APIRouter(include_in_schema=False)

    @router.api_route("/{path:path}", methods=["GET", "HEAD"])
    def get_page(path: str, request: Request) -> Response:
        return pages.answer(path, request.headers.get("accept-encoding", ""))

    return router
