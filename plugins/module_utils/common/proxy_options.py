# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the options of a proxy may be: the controller refuses bad ones before anything is rented,
and the host whatever has come to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from . import proxy_routes

MOST_BODY_KIB = 64 * 1024
LEAST_SILENCE_SECONDS = 0.5

DEFAULTS: dict[str, Any] = {
    "routes": (),
    "max_body_kib": 1024,
    "silence_seconds": 1.0,
    "stalled_seconds": 10.0,
    "hung_seconds": 120.0,
}
"""The options that are judged here, by their names in module proxy."""


def check(
    routes: Iterable[Mapping[str, Any]],
    max_body_kib: int,
    silence_seconds: float,
    stalled_seconds: float,
    hung_seconds: float,
) -> None:
    """Raise ValueError for what no proxy could have, with the names of the options in it."""
    if not 1 <= max_body_kib <= MOST_BODY_KIB:
        raise ValueError(f"max_body_kib: {max_body_kib} is not between 1 and {MOST_BODY_KIB}")
    if not LEAST_SILENCE_SECONDS <= silence_seconds <= stalled_seconds <= hung_seconds:
        raise ValueError(
            f"{LEAST_SILENCE_SECONDS} <= silence_seconds <= stalled_seconds <= hung_seconds must "
            f"hold, and they are {silence_seconds:g}, {stalled_seconds:g} and {hung_seconds:g}"
        )
    try:
        proxy_routes.of(routes)
    except ValueError as error:
        raise ValueError(f"routes: {error}") from error
