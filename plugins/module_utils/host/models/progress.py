# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a download of several threads is, and whether they are to end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..machine.files import write_json


class Stopped(Exception):
    """Something else went wrong, and that is told."""


class Progress:
    """Counts what arrives and what of it is checked."""

    def __init__(self, path: Path, total: int, done: int) -> None:
        self.path, self.total, self.done = path, total, done
        self.checked = self.arrived = 0
        self.began, self.began_with = time.monotonic(), done
        #: What went wrong first.
        self.cause: BaseException | None = None
        self.guard = threading.Lock()

    def stop(self, cause: BaseException) -> None:
        """Let the other threads end at their next bytes."""
        with self.guard:
            self.cause = self.cause or cause

    @contextmanager
    def watched(self, *harmless: type[Exception]) -> Iterator[None]:
        """What goes wrong within ends the other threads, too, unless it is harmless."""
        try:
            yield
        except harmless:
            raise
        except BaseException as error:
            self.stop(error)
            raise

    def count(self, size: int, checked: int = 0) -> None:
        """So many bytes more have arrived, or less where they were thrown away. Raises Stopped."""
        if self.cause:
            raise Stopped
        with self.guard:
            self.done += size
            self.arrived += max(size, 0)
            self.checked += checked

    def tell(self) -> None:
        """Write it down for whoever looks."""
        speed = (self.done - self.began_with) / max(time.monotonic() - self.began, 0.1)
        write_json(
            self.path,
            {
                "bytes_done": self.done,
                "bytes_total": self.total,
                "bytes_per_second": round(max(speed, 0)),
                "bytes_checked": self.checked,
            },
        )

    def close(self) -> None:
        """Nothing is under way any more."""
        self.path.unlink(missing_ok=True)
