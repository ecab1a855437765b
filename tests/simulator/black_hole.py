# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An address that neither refuses nor answers, as a host whose network is gone."""

from __future__ import annotations

import contextlib
import socket

ADDRESS = "127.0.0.1"
FILLERS = 3  # a queue for none holds one connection; the others wait before it and lose their SYN


class BlackHole:
    """A listening port whose queue is full: the kernel drops whoever else comes, silently."""

    def __init__(self) -> None:
        self.sockets = [socket.socket()]
        self.sockets[0].bind((ADDRESS, 0))
        self.sockets[0].listen(0)
        self.port: int = self.sockets[0].getsockname()[1]
        for _filler in range(FILLERS):
            filler = socket.socket()
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect((ADDRESS, self.port))
            self.sockets.append(filler)

    def close(self) -> None:
        """Free the port."""
        for each in self.sockets:
            each.close()
