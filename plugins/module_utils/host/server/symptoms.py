# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tells why a start failed: gathered here alone, and without secrets before it leaves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...common.redaction import redact
from ..machine import kernel_log
from .layout import Server
from .logs import Log
from .spec import secret_values

HEAD_BYTES = 128 * 1024
TAIL_BYTES = 512 * 1024


def of(server: Server, seen: Mapping[str, Any]) -> dict[str, Any]:
    """The latest start of a server that was observed so, as `serving.explanation` takes it.

    Of a log that was cut the begin may name the cause; where the server could not even be run,
    only its record does.
    """
    secrets = secret_values(server.environment())
    kernel = kernel_log.since(seen["started_at"], oom_kills=seen["oom_kills"])
    return {
        "log": redact(Log(server.log).excerpt(HEAD_BYTES, TAIL_BYTES), secrets),
        "kernel_log": redact("\n".join(kernel), secrets),
        "reason": redact(seen["reason"] or "", secrets),
        "exit_code": seen["exit_code"],
        "signal": seen["signal"],
    }


def last_lines(server: Server, count: int) -> list[str]:
    """The end of the log of the latest start, for people, without secrets."""
    lines = Log(server.log).tail().splitlines()[-count:] if count > 0 else []
    return redact("\n".join(lines), secret_values(server.environment())).splitlines()
