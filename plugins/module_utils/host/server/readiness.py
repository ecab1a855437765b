# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does the server serve? The checks, in order; its engine knows how each is asked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Callable, NamedTuple

from ..engines.client import Client, NotYet
from ..engines.engine import Engine
from ..machine import ports
from ..machine.processes import Process

CHECKS = ("port", "health", "model", "completion")
"""In the order in which they are asked."""

QUICK_SECONDS = 5.0
COMPLETION_SECONDS = 120.0


class Readiness(NamedTuple):
    """The outcome: `waiting_for` is the first check that failed, None when all passed."""

    waiting_for: str | None
    detail: str
    completion: str = ""


def check(
    engine: Engine,
    tree: Iterable[Process],
    host: str,
    port: int,
    served_model_name: str,
    api_key: str | None,
    completion_seconds: float = COMPLETION_SECONDS,
    tell: Callable[[str], None] | None = None,
) -> Readiness:
    """Go through the checks until one fails. Never raises for what the server does.

    `tell` gets the name of each check before its answer is waited for.
    """
    if not ports.listeners(port, tree):
        return Readiness("port", f"no process of the server listens on port {port} yet")
    client = Client(ports.loopback_for(host), port, api_key)
    text = ""
    for stage in CHECKS[1:]:
        if tell:
            tell(stage)
        seconds = completion_seconds if stage == "completion" else QUICK_SECONDS
        try:
            text = engine.ask(stage, client, served_model_name, seconds)
        except NotYet as error:
            return Readiness(stage, str(error))
    return Readiness(None, "a completion came back", text)
