# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where lines for people go: to callback phases where it shows the run, else to the screen.

Nothing of ours comes between what another callback writes for a program, such as one JSON document.
"""

from __future__ import annotations

import contextlib
import os

from ansible import constants
from ansible.utils.display import Display

#: Callbacks whose standard output is for people. What another one writes may be for a program.
_FOR_PEOPLE = frozenset(
    name
    for short in ("default", "minimal", "oneline")
    for name in (short, f"ansible.builtin.{short}")
) | {"inferops.gpu.phases", "awx_display"}
#: So much is written in one piece, or not at all.
_MOST_BYTES = 4000


class _Channel:
    """A pipe from the workers, which Ansible forks, to the callback in Ansible's own process."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        for end in (self.reading, self.writing):
            os.set_blocking(end, False)
        self._rest = b""

    def put(self, host: str, text: str) -> None:
        line = f"{host}\t{text}".encode()[:_MOST_BYTES]
        # A line that nobody has fetched yet must not hold up the work that it tells of.
        with contextlib.suppress(BlockingIOError):
            os.write(self.writing, line + b"\n")

    def take(self) -> list[tuple[str, str]]:
        """Each line that was told since the last call, with its host."""
        read = self._rest
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self.reading, 65536):
                read += piece
        *lines, self._rest = read.split(b"\n")
        pairs = (line.decode(errors="replace").partition("\t") for line in lines)
        return [(host, text) for host, _tab, text in pairs]


_channels: list[_Channel] = []


def open_channel() -> _Channel:
    """From now on what :func:`tell` is told is no line of its own, but comes out of this."""
    _channels[:] = [_Channel()]
    return _channels[0]


def is_taken() -> bool:
    """Whether callback phases shows the run, and says by itself what others would."""
    return bool(_channels)


def tell(host: str, text: str) -> None:
    """What a host is doing now. *text* is shown as it is, so it has to be one plain line."""
    if _channels:
        _channels[0].put(host, text)
    else:
        show(f"{host}: {text}")


def show(line: str) -> None:
    """Show one plain line: on standard output where that is for people, else beside it."""
    Display().display(line, stderr=constants.DEFAULT_STDOUT_CALLBACK not in _FOR_PEOPLE)
