# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of the ways to a host leads to an SSH server, before anybody logs in."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from ..model import Endpoint

_GREETING = b"SSH-"


def first_that_answers(ways: Sequence[Endpoint], seconds: float = 5.0) -> Endpoint:
    """The first of *ways* at which SSH answers within *seconds*; the very first when none does."""
    return next((way for way in ways if _answers(way, seconds)), ways[0])


def _answers(way: Endpoint, seconds: float) -> bool:
    try:
        with socket.create_connection((way.host, way.port), timeout=seconds) as line:
            return line.recv(len(_GREETING)) == _GREETING
    except OSError:
        return False
