# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for S3 on the loopback: one bucket's objects in memory, for boto3's own client.

It lists (one object a page, so that pages are turned), reads, writes and deletes, and checks that
requests are signed, not how. Errors have S3's shape. Like many stores that are not Amazon's it
knows no checksums beside the content: a request that sends one, or asks for one, is refused.
"""

from __future__ import annotations

import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "team-caches"
#: How the headers of the checksums begin that boto3 sends unless it is told not to.
_CHECKSUMS = ("x-amz-checksum-", "x-amz-sdk-checksum-", "x-amz-trailer")
_SECOND_FORMAT = "%Y-%m-%dT%H:%M:%S.000Z"


class S3:
    """The server; ``objects`` has the content and the time of each key."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, float]] = {}
        self.requests: list[str] = []

        class Handler(_Handler):
            s3 = self

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """For AWS_ENDPOINT_URL_S3."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    s3: ClassVar[S3]
    protocol_version = "HTTP/1.1"

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _refuse(self, status: int, code: str) -> None:
        self._answer(
            status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
        )

    def _key(self) -> str | None:
        """The key that is asked for, empty for the bucket; None where it was refused already."""
        path = unquote(urlsplit(self.path).path)
        self.s3.requests.append(f"{self.command} {path}")
        bucket, _slash, key = path.lstrip("/").partition("/")
        if not self.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256 "):
            self._refuse(403, "AccessDenied")
        elif any(name.lower().startswith(_CHECKSUMS) for name in self.headers):
            self._refuse(501, "NotImplemented")
        elif bucket != BUCKET:
            self._refuse(404, "NoSuchBucket")
        else:
            return key
        return None

    def do_GET(self) -> None:
        """An object, or a page of the list."""
        key = self._key()
        if key == "":
            self._list()
        elif key is not None and key not in self.s3.objects:
            self._refuse(404, "NoSuchKey")
        elif key is not None:
            content, at = self.s3.objects[key]
            self._answer(200, content, Last_Modified=formatdate(at, usegmt=True), ETag='"0"')

    def do_HEAD(self) -> None:
        """What GET would send, without it."""
        key = self._key()
        if key is None or key not in self.s3.objects:
            self._answer(404)
            return
        content, at = self.s3.objects[key]
        told = {"Content_Length": str(len(content)), "ETag": '"0"'}
        self._answer(200, b"", Last_Modified=formatdate(at, usegmt=True), **told)

    def do_PUT(self) -> None:
        """Keep an object."""
        content = self.rfile.read(int(self.headers["Content-Length"]))
        key = self._key()
        if key:
            self.s3.objects[key] = (content, time.time())
            self._answer(200, ETag='"0"')

    def do_DELETE(self) -> None:
        """Remove an object; none is fine."""
        key = self._key()
        if key:
            self.s3.objects.pop(key, None)
            self._answer(204)

    def _list(self) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        keys = sorted(key for key in self.s3.objects if key.startswith(query.get("prefix", "")))
        left = [key for key in keys if key > query.get("continuation-token", "")]
        rows = []
        for key in left[:1]:
            content, at = self.s3.objects[key]
            when = time.strftime(_SECOND_FORMAT, time.gmtime(at))
            rows.append(
                f"<Contents><Key>{escape(key)}</Key><Size>{len(content)}</Size>"
                f"<LastModified>{when}</LastModified></Contents>"
            )
        more = len(left) > 1
        token = f"<NextContinuationToken>{escape(left[0])}</NextContinuationToken>" if more else ""
        told = f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{''.join(rows)}"
        self._answer(200, f"<ListBucketResult>{told}</ListBucketResult>".encode())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
