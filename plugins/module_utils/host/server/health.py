# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does a server that runs still get on with its work? Tokens and completions decide.

`/health` says 200 with a hung engine. So a busy server serves when its token counters move, and an
idle one when a completion comes back within its time; whatever else it answers proves nothing.
"""

from __future__ import annotations

import time
from typing import Any, Callable, NamedTuple

from ..engines.client import Busy, Client, NotYet
from ..engines.engine import Sample
from ..machine import ports
from . import readiness
from .layout import Server
from .spec import Spec

INTERVAL_SECONDS = 2.0
STALL_SECONDS = 60.0
CANARY_SECONDS = 60.0
CHECKS = ("none", "quick", "canary")


class Flow(NamedTuple):
    """What two readings say: `state` is moving, stalled or idle."""

    state: str
    seconds: float
    before: Sample
    after: Sample


def watch(
    read: Callable[[], Sample],
    stall_seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Flow:
    """Read until tokens flow, nothing is pending, or nothing has flowed for `stall_seconds`.

    A long prompt may be worked on for many seconds before its tokens are counted, so the first
    interval without progress proves nothing yet.
    """
    before, began = read(), clock()
    while True:
        sleep(INTERVAL_SECONDS)
        after, seconds = read(), clock() - began
        if after.progress > before.progress:
            return Flow("moving", seconds, before, after)
        if not (before.pending and after.pending):
            return Flow("idle", seconds, before, after)
        if seconds >= stall_seconds:
            return Flow("stalled", seconds, before, after)


def patient(
    read: Callable[[], Sample],
    busy_seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Callable[[], Sample]:
    """Read again for so long as the server is at a step in which it gives no figures."""

    def reading() -> Sample:
        began = clock()
        while True:
            try:
                return read()
            except Busy:
                if clock() - began >= busy_seconds:
                    raise
            sleep(INTERVAL_SECONDS)

    return reading


def check(
    server: Server,
    seen: dict[str, Any],
    mode: str,
    stall_seconds: float = STALL_SECONDS,
    canary_seconds: float = CANARY_SECONDS,
) -> dict[str, Any]:
    """The health of a server that `lifecycle.observe` has `seen`: its state, why, and figures.

    `state` is serving, unproven (it answers, and nothing shows that it can generate), busy (it
    gives no figures for so long as it works on a step), hung, not_answering, starting or
    not_running. `quick` reads metrics only; `canary` asks an idle server for a completion, and
    waits for the longest step that its engine may take.
    """
    spec = server.spec()
    if seen["phase"] == "starting":
        return _health("starting", seen["progress"])
    if not (seen["phase"] == "running" or (seen["phase"] == "unknown" and seen["processes"])):
        return _health("not_running", seen["reason"] or seen["phase"])
    if spec is None:
        return _health("not_answering", "it lives, and its specification is missing or damaged")
    if not ports.listeners(spec.port, server.processes()):
        return _health("not_answering", f"no process of it listens on port {spec.port}")
    step_seconds = spec.runs_on.step_seconds if mode == "canary" else 0
    try:
        flow = watch(patient(_reader(spec), max(stall_seconds, step_seconds)), stall_seconds)
    except Busy as error:
        return _health("hung" if mode == "canary" else "busy", str(error))
    except NotYet as error:
        return _health("not_answering", str(error))
    figures = _figures(flow)
    if flow.state == "moving":
        return _health("serving", "tokens flow", **figures)
    if flow.state == "stalled":
        reason = f"{flow.after.pending:g} requests pending and no token in {flow.seconds:.0f} s"
        return _health("hung", reason, **figures)
    if mode == "quick":
        return _health("unproven", "it answers and is idle", **figures)
    return {**figures, **_canary(server, spec, max(canary_seconds, step_seconds))}


def _health(state: str, reason: str, **figures: Any) -> dict[str, Any]:
    return {"state": state, "reason": reason, **figures}


def _reader(spec: Spec) -> Callable[[], Sample]:
    client = Client(ports.loopback_for(spec.host), spec.port, spec.api_key)
    return lambda: spec.runs_on.sample(client, readiness.QUICK_SECONDS)


def _figures(flow: Flow) -> dict[str, float | None]:
    """What the two readings say in numbers; null for what this version does not publish."""
    before, after = flow.before.generation_tokens, flow.after.generation_tokens
    rate = None if before is None or after is None else round((after - before) / flow.seconds, 1)
    kept = ("requests_running", "requests_waiting", "kv_cache_usage", "preemptions")
    return {"tokens_per_second": rate, **{name: getattr(flow.after, name) for name in kept}}


def _canary(server: Server, spec: Spec, canary_seconds: float) -> dict[str, Any]:
    began = time.monotonic()
    answer = spec.ask(server.processes(), canary_seconds)
    seconds = time.monotonic() - began
    if answer.waiting_for is None:
        return _health("serving", answer.detail, canary_seconds=round(seconds, 2))
    hung = answer.waiting_for == "completion" and seconds >= canary_seconds
    return _health("hung" if hung else "not_answering", answer.detail)
