# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads a model server that serves, one load after the other, and says what each came to."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

from ...common.loads import MISSED, UNFINISHED, Load, Plan, highest_kept, judged
from ...common.private_files import private_folder
from ...common.redaction import redact
from ..engines.client import Client, NotYet
from ..engines.driving import Driver, GeneratorFailed, TooSlow
from ..engines.engine import Sample
from ..engines.generator import EMPTY, Generator
from ..machine import locks, ports
from . import observation
from .layout import Server
from .spec import Spec

Tell = Callable[[str], None]

START_SECONDS = 300.0
"""How long the generator may take to be there: it imports as much as a server."""
_ASK_SECONDS = 10.0
_SETTLE_SECONDS = 10.0
_POLL_SECONDS = 0.2


class Refused(Exception):
    """Nothing can be measured here; the text says why and what to change."""


class Stopped(Exception):
    """Something ended the loads before their end; the text says what."""


@dataclass
class Bench:
    """One server under load. Raises Refused where it cannot be loaded."""

    server: Server
    plan: Plan
    #: The name under which clients ask for the model; the server's first one where it is empty.
    name: str = ""
    spec: Spec = field(init=False)
    generator: Generator = field(init=False)

    def __post_init__(self) -> None:
        self.spec = _running(self.server)
        generator = self.spec.runs_on.generator(self.spec.wish)
        if generator is None:
            raise Refused(
                f"{self.spec.runs_on.title} brings no load generator, so its servers are not "
                "measured by this."
            )
        self.generator = generator
        self.name = self.name or self.spec.wish.listed_name
        self._require_model()

    def run(self, tell: Tell) -> dict[str, Any]:
        """What it came to: `loads`, and `stopped` where something ended them early.

        Raises Refused where another benchmark is at it, or the generator does not work at all.
        """
        try:
            with locks.held(self.server.layout.locks / f".benchmark-{self.server.name}", 0):
                return self._measured(tell)
        except locks.Busy as error:
            raise Refused(f"Another benchmark of this server is at work ({error}).") from error

    def _measured(self, tell: Tell) -> dict[str, Any]:
        began, at = time.monotonic(), time.time()
        until = began + self.plan.most_seconds
        tell(f"starting {self.generator.title}")
        loading = _Loading(self, private_folder(self.server.folder / "benchmark"), int(at))
        stopped = ""
        try:
            loading.warm_up(tell, until)
            loading.climb(tell, until)
        except Stopped as error:
            stopped = str(error)
        finally:
            loading.end()
        return {
            "server": self.server.name,
            "engine": self.spec.engine,
            "release": loading.release,
            "generator": self.generator.title,
            "model": self.name,
            "arguments": {k: v for k, v in self.spec.wish.arguments.items() if v is not None},
            "measured_at": round(at, 1),
            "seconds": round(time.monotonic() - began, 1),
            "loads": loading.loads,
            "highest_kept": highest_kept(loading.shown) if self.plan.objective_ms else None,
            "stopped": stopped,
        }

    def client(self) -> Client:
        """Who asks the server, with its own key."""
        return Client(ports.loopback_for(self.spec.host), self.spec.port, self.spec.api_key)

    def _require_model(self) -> None:
        """Raises Refused unless it lists the model, and has room for what is asked of it."""
        try:
            self.spec.runs_on.ask("model", self.client(), self.name, _ASK_SECONDS)
            most = self.generator.most_tokens(self.client())
        except NotYet as error:
            raise Refused(
                f"Server {self.server.name} is not asked for what it does not serve: "
                f"{redact(str(error))}. Correct inferops_served_model_name, or deploy again."
            ) from error
        asked = self.plan.input_tokens + self.plan.output_tokens
        if most is not None and asked > most:
            raise Refused(
                f"A request of {self.plan.input_tokens} tokens and its answer of "
                f"{self.plan.output_tokens} do not fit into the {most} that server "
                f"{self.server.name} takes: lower benchmark_input_tokens."
            )


class _Loading:
    """The loads of one run, in the order in which they were sent."""

    def __init__(self, bench: Bench, folder: Path, seed: int) -> None:
        self._bench, self._plan, self._folder, self._seed = bench, bench.plan, folder, seed
        self._driver: Driver | None = None
        self.release = ""
        self.loads: list[dict[str, Any]] = []
        self.shown: dict[int, str] = {}

    def warm_up(self, tell: Tell, until: float) -> None:
        """Send what is not measured. Raises Stopped where not even that is answered."""
        load = self._plan.warmup
        if load is None:
            return
        tell(f"warming up with {load.requests} requests")
        figures = self._sent(load, until)
        if figures["failed"] or not figures["completed"]:
            why = next(iter(figures["errors"]), "none was answered in time")
            raise Stopped(f"The requests of the warm-up failed: {why}")

    def climb(self, tell: Tell, until: float) -> None:
        """Send load after load for as long as the plan goes on. Raises Stopped."""
        while (concurrency := self._plan.following(self.shown)) is not None:
            load = self._plan.load(concurrency, self._seed + len(self.loads) + 1)
            tell(
                f"load {len(self.loads) + 1}: {load.concurrency} at once, {load.requests} requests"
            )
            figures = self._sent(load, until)
            finished = figures.pop("finished")
            verdict = judged(figures, self._plan.objective_ms) if finished else UNFINISHED
            self.shown[concurrency] = verdict
            sent = {"concurrency": load.concurrency, "requests": load.requests}
            self.loads.append({**sent, "verdict": verdict, **figures})
            if verdict in (MISSED, UNFINISHED) and not figures["completed"]:
                self._require_alive()

    def end(self) -> None:
        if self._driver is not None:
            self._driver.end()
            self._driver = None

    def _sent(self, load: Load, until: float) -> dict[str, Any]:
        """The figures of one load, what the server counted meanwhile, and whether it `finished`."""
        generator = self._bench.generator
        address = f"http://{self._address()}:{self._bench.spec.port}"
        words = generator.words(load, self._plan, address)
        try:
            driver = self._driven()
            self._require_time(until)
            seconds = min(self._plan.load_seconds, until - time.monotonic())
            with self._counted() as counted:
                answer = driver.run(words, seconds)
            figures = generator.figures(answer.get("result") or {})
        except TooSlow:
            self._driver = None
            self._require_time(until)
            told = f"it did not end within {seconds:.0f} s (benchmark_load_seconds)"
            counted, figures, answer = {}, {**EMPTY}, {"errors": [told]}
        except (GeneratorFailed, ValueError) as error:
            raise Stopped(f"{generator.title} failed: {self._clean(str(error))}.") from error
        errors = [self._clean(str(one)) for one in answer.get("errors") or ()]
        finished = bool(answer.get("result"))
        return {**figures, "errors": errors, "server": counted, "finished": finished}

    def _driven(self) -> Driver:
        """The generator, started again where a load was cut off. Raises GeneratorFailed."""
        if self._driver is None:
            spec, generator = self._bench.spec, self._bench.generator
            asked = {k: v for k, v in spec.environment.items() if k != spec.runs_on.key_variable}
            variables = generator.environment(os.environ, asked)
            if spec.api_key:
                variables[generator.key_variable] = spec.api_key
            log = self._folder / "generator.log"
            self._driver = Driver(generator.command, variables, log, START_SECONDS)
            self.release = self._driver.release
        return self._driver

    @contextlib.contextmanager
    def _counted(self) -> Iterator[dict[str, Any]]:
        """What the server itself counts while the block runs, in a mapping that is filled at its
        end; empty where it does not say."""
        counted: dict[str, Any] = {}
        before = self._sample()
        yield counted
        if before is not None and (after := self._settled()) is not None:
            counted.update(_between(before, after))

    def _settled(self) -> Sample | None:
        """Its figures after the last request has left it: it counts that after it has answered."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while (sample := self._sample()) is not None and sample.pending:
            if time.monotonic() >= deadline:
                break
            time.sleep(_POLL_SECONDS)
        return sample

    def _sample(self) -> Sample | None:
        try:
            return self._bench.spec.runs_on.sample(self._bench.client(), _ASK_SECONDS)
        except NotYet:
            return None

    def _require_alive(self) -> None:
        """Raises Stopped where no load can be answered any more."""
        seen = observation.observe(self._bench.server, keep=False)
        if seen["phase"] != "running":
            raise Stopped(
                f"Server {self._bench.server.name} did not outlive this load: {seen['progress']}. "
                "Playbook inferops.gpu.recover tells why."
            )

    def _require_time(self, until: float) -> None:
        """Raises Stopped where no load can end in time, or this one could not: that says nothing of
        the server."""
        if time.monotonic() >= until:
            raise Stopped(
                f"The time was up after {self._plan.most_seconds:g} s (benchmark_most_seconds)."
            )

    def _address(self) -> str:
        address = ports.loopback_for(self._bench.spec.host)
        return f"[{address}]" if ":" in address else address

    def _clean(self, text: str) -> str:
        secrets = [self._bench.spec.api_key] if self._bench.spec.api_key else []
        last = text.strip().splitlines()[-1:] or [""]
        return redact(last[0], secrets)[:500]


def _running(server: Server) -> Spec:
    """What a server that serves was asked for. Raises Refused where it does not."""
    spec: Spec | None = server.spec()
    if spec is None:
        raise Refused(
            f"Nothing on this host says how server {server.name} was started: correct "
            "inferops_server, or run playbook inferops.gpu.deploy."
        )
    seen = observation.observe(server, keep=False)
    if seen["phase"] != "running":
        raise Refused(
            f"Server {server.name} does not serve ({seen['progress']}): playbook "
            "inferops.gpu.recover tells why."
        )
    return spec


def _between(before: Sample, after: Sample) -> Mapping[str, Any]:
    """Tokens and mean time to the first one by the server's own figures; null for what it does not
    publish."""

    def grown(name: str) -> float | None:
        first, last = getattr(before, name), getattr(after, name)
        return None if first is None or last is None else last - first

    seconds, count = grown("first_token_seconds"), grown("first_tokens")
    mean = round(seconds / count * 1000, 3) if seconds is not None and count else None
    return {
        "input_tokens": grown("prompt_tokens"),
        "output_tokens": grown("generation_tokens"),
        "mean_ttft_ms": mean,
    }
