# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a call tells which rental it has started, so that whoever rescues lets it stand still again.

It is older than the run, so it carries no nonce of it: its id is all that leads to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..errors import MarketError
from ..model import Rental


def as_started(rental: Rental) -> dict[str, str]:
    """*rental* as results and errors tell it."""
    return {"started": rental.id, "started_provider": rental.provider}


def started_in(result: Mapping[str, Any]) -> dict[str, str]:
    """What a result tells of a rental that was started, or may have been; empty for nothing."""
    if not result.get("started"):
        return {}
    return {name: str(result.get(name) or "") for name in ("started", "started_provider")}


@contextmanager
def telling_start(started: Mapping[str, str]) -> Iterator[None]:
    """Let every error tell what has been *started*, or may have: some come before an answer."""
    try:
        yield
    except MarketError as error:
        error.started = error.started or dict(started)
        raise
