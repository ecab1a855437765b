# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a server does not serve: one answer, whoever asks.

Deploy, the evidence, the status of a fleet and recover all ask here, so that one failure has one
cause. What they show of it holds no secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..common.reasons import HUNG, NOT_READY, REQUESTED
from ..common.redaction import redact
from . import diagnosis
from .engines.registry import DEFAULT


class Symptoms(NamedTuple):
    """What is known of one start.

    log: its begin and its end. kernel_log: what the kernel said since. reason: why the record says
    that it ended, the only trace of what could not even be run. engine: what wrote the log.
    """

    log: str = ""
    kernel_log: str = ""
    reason: str = ""
    exit_code: int | None = None
    signal: str | None = None
    engine: str = DEFAULT


STOPPED_BY_US = {
    NOT_READY: {
        "cause_id": "timeout",
        "cause": "Nothing in its log says that it failed.",
        "remedy": "Raise wait_timeout_seconds, or bring the model to the host before the start.",
        "change": "wait_timeout_seconds",
    },
    HUNG: {
        "cause_id": "hung",
        "cause": "Its port is open, it does not get on, and nothing in its log says why.",
        "remedy": "Start it again; if it is only slow, raise that check in check_timeouts_seconds.",
        "change": "check_timeouts_seconds",
    },
    REQUESTED: {
        "cause_id": "stopped",
        "cause": "Another run asked for its end.",
        "remedy": "Launch it again when that run is done.",
        "change": "nothing",
    },
}
"""By the reason of a stop of ours. Where it was no wish, what the log says comes first."""

MAY_BE_ITS_CACHES = frozenset(
    (
        "compile_cache_damaged",
        "crash",
        "engine_hung",
        "gpu_architecture",
        "gpu_kernel_fault",
        "hung",
        "illegal_instruction",
        "timeout",
        "unknown",
    )
)
"""Causes that code which was compiled on another host may be behind. Most others cost the same
minutes once more, and end alike."""


def blames_caches(failure: Mapping[str, Any], carried: bool) -> bool:
    """Whether a start may have failed by what was carried to the host, and is worth another."""
    return carried and failure.get("cause_id") in MAY_BE_ITS_CACHES


def explain(symptoms: Symptoms) -> dict[str, Any]:
    """The likeliest cause, as `diagnosis.explain` returns it, without secrets."""
    ours = STOPPED_BY_US.get(symptoms.reason)
    log = "\n".join(filter(None, (symptoms.log, symptoms.reason)))
    # How it ended tells nothing where we have ended it.
    ended = (None, None) if ours else (symptoms.exit_code, symptoms.signal)
    failure = diagnosis.explain(log, *ended, symptoms.kernel_log, symptoms.engine, bool(ours))
    if ours and (symptoms.reason == REQUESTED or failure["cause_id"] == "unknown"):
        failure.update(ours)
    return {
        **failure,
        "exit_code": symptoms.exit_code,
        "signal": symptoms.signal,
        "cause": redact(failure["cause"]),
        "remedy": redact(failure["remedy"]),
        "evidence": [redact(line) for line in failure["evidence"]],
    }


def symptoms_of(server: Mapping[str, Any]) -> Symptoms:
    """Those of a server that model_server_info returned; it has none for one that runs well."""
    return Symptoms(**(server["symptoms"] or {}))


def failure_of(server: Mapping[str, Any]) -> dict[str, Any]:
    """Why such a server ended; empty for one that runs, starts, or was stopped by a wish."""
    ended = server["phase"] in ("error", "stopped")
    wanted = server["reason"] in (None, REQUESTED)
    return explain(symptoms_of(server)) if ended and not wanted else {}
