# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What others answer, read within bounds: they may send anything, slowly and without end."""

from __future__ import annotations

import contextlib
import json
import math
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeVar

Answer = TypeVar("Answer")

#: What is sent to us has a handful of levels.
MOST_DEPTH = 64
#: Each takes far more room than its few letters. A listing of thousands of rentals, or all offers
#: of a search, have a tenth of them.
MOST_VALUES = 2_000_000
CHUNK_BYTES = 64 * 2**10
#: Of zlib: a header of gzip or of zlib, whichever there is.
_EITHER_HEADER = 32 + zlib.MAX_WBITS


class UnreadableAnswer(ValueError):
    """An answer that is longer, or packed otherwise, than any that was asked for."""


def within(seconds: float, ask: Callable[[], Answer]) -> Answer:
    """What *ask* returns or raises; TimeoutError after so many seconds, and it is left alone.

    The time limits of sockets start anew with every byte.
    """
    return all_within(seconds, [ask])[0]


def all_within(seconds: float, asks: Iterable[Callable[[], Answer]]) -> list[Answer]:
    """The same for several that are asked at once."""
    until = time.monotonic() + seconds
    answers = [_begun(ask) for ask in asks]
    try:
        return [answer.result(max(0.0, until - time.monotonic())) for answer in answers]
    except FutureTimeoutError as error:
        raise TimeoutError(f"the answer was not complete after {seconds:.0f} s") from error


def _begun(ask: Callable[[], Answer]) -> Future[Answer]:
    """What is asked in a thread of its own. A pool would wait for it at the end of the process."""
    answer: Future[Answer] = Future()

    def run() -> None:
        try:
            answer.set_result(ask())
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return answer


def read(chunks: Iterable[bytes], encoding: str, most_bytes: int) -> bytes:
    """The body in *chunks*, unpacked; raises UnreadableAnswer above *most_bytes* unpacked bytes.

    *encoding* is the answer's Content-Encoding.
    """
    encoding = encoding.strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise UnreadableAnswer(f"its Content-Encoding is {encoding[:20]!r}, which nobody asked for")
    unpack = None if encoding in ("", "identity") else zlib.decompressobj(_EITHER_HEADER)
    body = bytearray()
    try:
        for chunk in chunks:
            left = most_bytes + 1 - len(body)
            try:
                body += unpack.decompress(chunk, left) if unpack else chunk[:left]
            except zlib.error as error:
                raise UnreadableAnswer(f"it is no {encoding}: {error}") from error
            if len(body) > most_bytes:
                raise UnreadableAnswer(f"it is longer than {most_bytes >> 20} MiB")
        return bytes(body)
    finally:
        # An error remembers where it came from, and so would keep the body of every try.
        body.clear()


def beginning(
    chunks: Iterable[bytes], seconds: float, most_bytes: int, pause_seconds: float = math.inf
) -> bytes:
    """What comes of *chunks* in so many seconds, up to so many bytes: a stream may have no end.

    It is also over where it breaks off, and with the first pause that is longer than
    *pause_seconds*. That is no error: what has come by then is what there is.
    """
    body, is_over, has_grown = bytearray(), threading.Event(), threading.Event()

    def run() -> None:
        with contextlib.suppress(Exception):
            for chunk in chunks:
                body.extend(chunk)
                has_grown.set()
                if is_over.is_set() or len(body) >= most_bytes:
                    break
        is_over.set()
        has_grown.set()

    threading.Thread(target=run, daemon=True).start()
    end = time.monotonic() + seconds
    while True:
        has_grown.clear()
        left = end - time.monotonic()
        if is_over.is_set() or left <= 0:
            break
        if not has_grown.wait(min(left, pause_seconds) if body else left):
            break
    # Who goes on sending is not listened to any more.
    is_over.set()
    return bytes(body[:most_bytes])


def has_too_many_values(text: str) -> bool:
    """Whether *text*, as JSON, could be more values than what anybody sends."""
    return sum(map(text.count, "[{,")) > MOST_VALUES


def parse(text: str) -> Any:
    """The JSON in *text*; None where it is not JSON, or more or deeper than what anybody sends."""
    if has_too_many_values(text):
        return None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return data if _depth_fits(data) else None


def _depth_fits(data: Any) -> bool:
    level = [data]
    for _depth in range(MOST_DEPTH):
        level = [
            inner
            for value in level
            if isinstance(value, (dict, list))
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return True
    return False
