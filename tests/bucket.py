"""As much of S3 as our object storage asks for, over a real socket, with its lists in short pages."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from sparkops.core.blobs import Blobs

NAME = "ops"
KEY_ID, SECRET = "key", "very-secret"


@dataclass
class Bucket:
    """What an S3 holds, and how it answers. `objects` and `written_at` go by the key."""

    page: int = 1_000
    """So many keys are on one page of a list."""
    refuses: bool = False
    """It answers 503 to everything."""
    endpoint: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    written_at: dict[str, datetime] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """Methods with paths and queries, in order."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, key: str, body: bytes) -> None:
        self.objects[key] = body
        self.written_at[key] = datetime.now(UTC)

    def get_older(self, by: timedelta) -> None:
        """Let all objects have been written so much earlier."""
        self.written_at = {key: at - by for key, at in self.written_at.items()}

    def under(self, prefix: str) -> list[str]:
        """Return the keys that begin with this, in order."""
        return sorted(key for key in self.objects if key.startswith(prefix))

    def blobs(self, prefix: str = "deep") -> Blobs:
        """Return our object storage in it, as the settings would."""
        options = {"endpoint": self.endpoint, "region": "eu-1", "access_key_id": KEY_ID, "secret_access_key": SECRET}
        return Blobs.at_url(f"s3://{NAME}/{prefix}", options)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bucket: ClassVar[Bucket]

    def log_message(self, *_: object) -> None: ...

    def _answer(self, status: int, body: bytes = b"", key: str = "") -> None:
        at = self.bucket.written_at.get(key, datetime.now(UTC))
        self.send_response(status)
        self.send_header("ETag", '"x"')
        self.send_header("Last-Modified", format_datetime(at, usegmt=True))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        address = urlsplit(self.path)
        _, name, *rest = unquote(address.path).split("/", 2)
        query = {one: values[0] for one, values in parse_qs(address.query, keep_blank_values=True).items()}
        with self.bucket.lock:
            self.bucket.asked.append(f"{self.command} {self.path}")
            if self.bucket.refuses:
                self._answer(503)
            elif name != NAME or f"Credential={KEY_ID}/" not in self.headers["Authorization"]:
                self._answer(403)
            elif self.command == "POST" and "delete" in query:
                self._delete_many(body.decode())
            elif self.command == "GET" and "list-type" in query:
                self._list(query)
            else:
                getattr(self, f"_{self.command.lower()}")("".join(rest), body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _do

    def _get(self, key: str, _: bytes) -> None:
        found = self.bucket.objects.get(key)
        self._answer(404 if found is None else 200, found or b"", key)

    _head = _get

    def _put(self, key: str, body: bytes) -> None:
        if self.headers["If-None-Match"] == "*" and key in self.bucket.objects:
            self._answer(412)
            return
        source = self.headers["x-amz-copy-source"]
        if source is None:
            self.bucket.put(key, body)
            self._answer(200, key=key)
            return
        copied = self.bucket.objects.get(unquote(source).removeprefix("/").removeprefix(f"{NAME}/"))
        if copied is None:
            self._answer(404)
            return
        self.bucket.put(key, copied)
        at = self.bucket.written_at[key].isoformat().replace("+00:00", "Z")
        answer = f'<CopyObjectResult><LastModified>{at}</LastModified><ETag>"x"</ETag></CopyObjectResult>'
        self._answer(200, answer.encode())

    def _delete(self, key: str, _: bytes) -> None:
        self.bucket.objects.pop(key, None)
        self.bucket.written_at.pop(key, None)
        self._answer(204)

    def _delete_many(self, body: str) -> None:
        keys = re.findall(r"<Key>(.*?)</Key>", body)
        for key in keys:
            self.bucket.objects.pop(key, None)
            self.bucket.written_at.pop(key, None)
        deleted = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
        self._answer(200, f"<DeleteResult>{deleted}</DeleteResult>".encode())

    def _list(self, query: dict[str, str]) -> None:
        """One page, in the order of the keys; a page goes on behind the last key of the one before."""
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter")
        after = query.get("continuation-token") or query.get("start-after") or ""
        entries: dict[str, str] = {}
        for key in self.bucket.under(prefix):
            folder, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
            entry = f"{prefix}{folder}{found}" if found else key
            entries.setdefault(entry, _common(entry) if found else self._content(key))
        left = [entry for entry in entries if entry > after]
        page = left[: self.bucket.page]
        more = len(left) > len(page)
        told = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        body = "".join(entries[entry] for entry in page)
        answer = f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{told}{body}</ListBucketResult>"
        self._answer(200, answer.encode())

    def _content(self, key: str) -> str:
        at = self.bucket.written_at[key].isoformat().replace("+00:00", "Z")
        size = len(self.bucket.objects[key])
        return (
            f"<Contents><Key>{escape(key)}</Key><LastModified>{at}</LastModified>"
            f'<ETag>"x"</ETag><Size>{size}</Size></Contents>'
        )


def _common(prefix: str) -> str:
    return f"<CommonPrefixes><Prefix>{escape(prefix)}</Prefix></CommonPrefixes>"


@contextmanager
def serving(**given: Any) -> Iterator[Bucket]:
    """Serve a bucket of our own."""
    bucket = Bucket(**given)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OneBucket", (_Handler,), {"bucket": bucket}))
    bucket.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield bucket
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
