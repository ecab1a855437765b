# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drives the program of a load generator: one load at a time, each for so long and no longer."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from ...common.private_files import open_private
from .generator import MARK

#: An answer has some figures and a few errors.
_MOST_BYTES = 256 * 1024
_LOG_TAIL_BYTES = 4000
_END_SECONDS = 10


class GeneratorFailed(Exception):
    """The generator does not work; the text says why."""


class TooSlow(Exception):
    """A load did not end in its time. The generator is gone."""


class Driver:
    """A generator's program, while it runs. Its key is in its environment alone."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], log: Path, seconds: float
    ) -> None:
        """Start it. Raises GeneratorFailed where it is not ready in so many seconds."""
        self._log, self._read = log, b""
        handle = open_private(log, os.O_WRONLY | os.O_TRUNC)
        try:
            self._process = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=log.parent,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=handle,
                start_new_session=True,
            )
        except OSError as error:
            raise GeneratorFailed(f"it cannot be started: {error}") from error
        finally:
            os.close(handle)
        try:
            self.release = str(self._answer(seconds).get("release", ""))
        except TooSlow as error:
            raise GeneratorFailed(f"it was not ready within {seconds:g} s") from error

    def run(self, words: Sequence[str], seconds: float) -> dict[str, Any]:
        """What a load came to: `result` and `errors`.

        Raises GeneratorFailed where it is refused, and TooSlow.
        """
        try:
            _pipe(self._process.stdin).write(json.dumps(list(words)).encode() + b"\n")
            _pipe(self._process.stdin).flush()
        except OSError as error:
            raise GeneratorFailed(self._last_words()) from error
        answer = self._answer(seconds)
        if "refused" in answer:
            raise GeneratorFailed(str(answer["refused"]))
        return answer

    def end(self) -> None:
        """Leave nothing of it."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                _pipe(pipe).close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)

    def _answer(self, seconds: float) -> dict[str, Any]:
        """Its next answer. Whatever else it prints is none."""
        deadline = time.monotonic() + seconds
        while True:
            line = self._line(deadline)
            if line.startswith(MARK.encode()):
                try:
                    told = json.loads(line[len(MARK) :])
                except ValueError as error:
                    self.end()
                    raise GeneratorFailed(f"its answer is no JSON: {error}") from error
                return told if isinstance(told, dict) else {}

    def _line(self, deadline: float) -> bytes:
        out = _pipe(self._process.stdout).fileno()
        while b"\n" not in self._read:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([out], [], [], left)[0]:
                self.end()
                raise TooSlow
            got = os.read(out, 65536)
            if not got or len(self._read) > _MOST_BYTES:
                self.end()
                raise GeneratorFailed(self._last_words())
            self._read += got
        line, _newline, self._read = self._read.partition(b"\n")
        return line

    def _last_words(self) -> str:
        """How it ended, and what it said last."""
        with self._log.open("rb") as stream:
            stream.seek(max(0, self._log.stat().st_size - _LOG_TAIL_BYTES))
            lines = stream.read().decode(errors="replace").strip().splitlines()
        return f"it ended: {lines[-1] if lines else 'it said nothing'}"


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise GeneratorFailed("it has no pipe")
    return pipe
