# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does a server that runs still get on with its work? Tokens and completions decide.

`/health` says 200 with a hung engine. So a busy server serves when its token counters move, and an
idle one when a completion comes back within its budget; whatever else it answers proves nothing.
"""

from __future__ import annotations

import time
from typing import Any, Callable, NamedTuple

from ..engines.vllm.metrics import ADDED, METRICS
from ..machine import ports
from . import readiness
from .layout import Server
from .spec import Spec

INTERVAL_SECONDS = 2.0
STALL_SECONDS = 60.0
CANARY_SECONDS = 60.0
CHECKS = ("none", "quick", "canary")


class Sample(NamedTuple):
    """One reading of `/metrics`; None stands for what this version does not publish."""

    requests_running: float | None = None
    requests_waiting: float | None = None
    kv_cache_usage: float | None = None
    prompt_tokens: float | None = None
    generation_tokens: float | None = None
    preemptions: float | None = None

    @property
    def pending(self) -> float:
        """Requests that wait for tokens."""
        return (self.requests_running or 0) + (self.requests_waiting or 0)

    @property
    def tokens(self) -> float:
        """Tokens read and written since the server started."""
        return (self.prompt_tokens or 0) + (self.generation_tokens or 0)


class Flow(NamedTuple):
    """What two readings say: `state` is moving, stalled or idle."""

    state: str
    seconds: float
    before: Sample
    after: Sample


def parse(text: str) -> Sample:
    """The figures in an answer of `/metrics`, the text format of Prometheus."""
    found: dict[str, list[float]] = {}
    for line in text.splitlines():
        name = line.partition("{")[0].partition(" ")[0]
        try:
            found.setdefault(name, []).append(float(line.rsplit(" ", 1)[-1]))
        except ValueError:
            continue
    figures = {}
    for figure, names in METRICS.items():
        values = next((found[name] for name in names if name in found), None)
        if values:
            figures[figure] = sum(values) if figure in ADDED else max(values)
    return Sample(**figures)


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
        if after.tokens > before.tokens:
            return Flow("moving", seconds, before, after)
        if not (before.pending and after.pending):
            return Flow("idle", seconds, before, after)
        if seconds >= stall_seconds:
            return Flow("stalled", seconds, before, after)


def check(
    server: Server,
    seen: dict[str, Any],
    mode: str,
    stall_seconds: float = STALL_SECONDS,
    canary_seconds: float = CANARY_SECONDS,
) -> dict[str, Any]:
    """The health of a server that `lifecycle.observe` has `seen`: its state, why, and figures.

    `state` is serving, unproven (it answers, and nothing shows that it can generate), hung,
    not_answering, starting or not_running. `quick` reads metrics only; `canary` asks an idle
    server for a completion.
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
    try:
        flow = watch(_reader(spec), stall_seconds)
    except readiness.NotYet as error:
        return _health("not_answering", str(error))
    figures = _figures(flow)
    if flow.state == "moving":
        return _health("serving", "tokens flow", **figures)
    if flow.state == "stalled":
        reason = f"{flow.after.pending:g} requests pending and no token in {flow.seconds:.0f} s"
        return _health("hung", reason, **figures)
    if mode == "quick":
        return _health("unproven", "it answers and is idle", **figures)
    return {**figures, **_canary(server, spec, canary_seconds)}


def _health(state: str, reason: str, **figures: Any) -> dict[str, Any]:
    return {"state": state, "reason": reason, **figures}


def _reader(spec: Spec) -> Callable[[], Sample]:
    client = readiness.Client(
        readiness.loopback_for(spec.host), spec.port, spec.environment.get("VLLM_API_KEY")
    )

    def read() -> Sample:
        answer = client.fetch("GET", "/metrics", seconds=readiness.QUICK_SECONDS)
        return parse(answer.decode(errors="replace"))

    return read


def _figures(flow: Flow) -> dict[str, float | None]:
    """What the two readings say in numbers; null for what this version does not publish."""
    before, after = flow.before.generation_tokens, flow.after.generation_tokens
    rate = None if before is None or after is None else round((after - before) / flow.seconds, 1)
    kept = ("requests_running", "requests_waiting", "kv_cache_usage", "preemptions")
    return {"tokens_per_second": rate, **{name: getattr(flow.after, name) for name in kept}}


def _canary(server: Server, spec: Spec, canary_seconds: float) -> dict[str, Any]:
    began = time.monotonic()
    answer = readiness.check(
        server.processes(),
        spec.host,
        spec.port,
        spec.served_model_name,
        spec.environment.get("VLLM_API_KEY"),
        canary_seconds,
    )
    seconds = time.monotonic() - began
    if answer.waiting_for is None:
        return _health("serving", answer.detail, canary_seconds=round(seconds, 2))
    hung = answer.waiting_for == "completion" and seconds >= canary_seconds
    return _health("hung" if hung else "not_answering", answer.detail)
