# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells HAProxy's agent-check how the engines behind it do, from a thread of the proxy's launcher.

HAProxy connects to one port of the loopback, says which engine it means, and gets a line:
`ready up` for one at work; `drain` for one that gets no new requests, while its streams live on;
`down` for one that hangs, whose streams HAProxy ends then.
"""

from __future__ import annotations

import os
import socket
import socketserver
import sys
import threading
import time
from pathlib import Path
from typing import Any

from ..engines.client import Client, NotYet, TurnedAway
from ..engines.engine import Sample
from ..machine.ports import loopback_for
from . import configuration, keys
from .liveness import Limits, Progress, State, Verdict
from .runtime import NoAnswer, Runtime
from .spec import Spec, Upstream

READY, DRAIN, DOWN = "ready up", "drain", "down"
#: How often an engine is looked at, as a part of the silence that counts.
LOOKS_PER_SILENCE = 2
QUESTION_SECONDS = 2.0
#: Of a port, and of a socket that ssh or an engine would have made.
NOBODY_THERE = (ConnectionRefusedError, FileNotFoundError)
RETRY_SECONDS = 1.0


def word(verdict: Verdict, others_take_requests: bool) -> str:
    """What HAProxy is told. Where nobody else would take its requests, waiting for an engine that
    may come round is better than an error."""
    if verdict.state == State.HUNG:
        return DOWN
    if verdict.state == State.GONE:
        return DRAIN
    if verdict.state == State.STUCK and others_take_requests:
        return DRAIN
    return READY


class Watcher:
    """Looks at one engine again and again."""

    def __init__(self, folder: Path, upstream: Upstream, limits: Limits) -> None:
        self.upstream, self.limits, self.folder = upstream, limits, folder
        self.progress = Progress(limits, time.monotonic())
        self.ended = threading.Event()
        self.told: str | None = None
        self.complained = False

    def run(self) -> None:
        interval = self.limits.silence_seconds / LOOKS_PER_SILENCE
        while not self.ended.is_set():
            began = time.monotonic()
            self.look(interval)
            self.ended.wait(max(0.0, began + interval - time.monotonic()))

    def look(self, seconds: float) -> None:
        """One look. An answer without figures, as of an engine that starts, is a sign of life; one
        that lets nobody in is none of an engine that takes requests."""
        engine = self.upstream.watched
        if engine is None:
            return
        try:
            sample = engine.sample(self.client(), seconds)
        except TurnedAway as error:
            # Without what else it says, for the log.
            self.progress.refused(" ".join(str(error).split()[:3]))
            return
        except NotYet as error:
            if isinstance(error.__cause__, NOBODY_THERE):
                self.progress.refused("nobody listens on its port")
                return
            if error.__cause__ is not None:
                return  # no answer
            sample = Sample()
        except Exception as error:
            # It answered something that cannot be read: no reason to take its clients away.
            self.complain(error)
            sample = Sample()
        self.progress.answered(sample, time.monotonic())

    def complain(self, error: Exception) -> None:
        """Once, for the log."""
        if not self.complained:
            _say(f"{self.upstream.name}: its figures cannot be read: {type(error).__name__}")
        self.complained = True

    def client(self) -> Client:
        """With the key of now."""
        upstream, key = self.upstream, upstream_key(self.folder)
        address = loopback_for(upstream.address)
        return Client(address, upstream.port or 0, key, upstream.socket)

    def verdict(self) -> Verdict:
        return self.progress.verdict(time.monotonic())


def upstream_key(folder: Path) -> str | None:
    """The proxy's own key for its engines, None where they need none."""
    return keys.held_in(folder / configuration.UPSTREAM_KEY).get(keys.UPSTREAM)


class Agent:
    """The watchers of one proxy, and what they tell. Follows a specification that changes."""

    def __init__(self, service: Any) -> None:
        self.service, self.runtime = service, Runtime(service.folder)
        self.watchers: dict[str, Watcher] = {}
        self.known: int | None = None
        self.following = threading.Lock()

    def follow(self) -> None:
        """Watch the engines of the specification as it is now."""
        with self.following:
            changed_at = self._changed_at()
            if changed_at != self.known:
                self._follow(changed_at)

    def _follow(self, changed_at: int | None) -> None:
        spec = self.service.spec()
        self.known = changed_at
        wanted = {} if spec is None else wanted_watchers(spec)
        for name, watcher in list(self.watchers.items()):
            if wanted.get(name) != (watcher.upstream, watcher.limits):
                self.watchers.pop(name).ended.set()
        for name, (upstream, limits) in wanted.items():
            if name not in self.watchers:
                watcher = self.watchers[name] = Watcher(self.service.folder, upstream, limits)
                threading.Thread(target=watcher.run, daemon=True).start()

    def _changed_at(self) -> int | None:
        try:
            return os.stat(self.service.folder / "spec.json").st_mtime_ns
        except OSError:
            return None

    def answer(self, name: str) -> str:
        """The line for one engine; an empty one, which changes nothing, for one that is unknown."""
        self.follow()
        watcher = self.watchers.get(name)
        if watcher is None:
            return ""
        verdict = watcher.verdict()
        said = word(verdict, verdict.state == State.STUCK and self.others_take_requests(name))
        if said != watcher.told:
            watcher.told = said
            _say(f"{name}: {said}, {verdict.state.value}: {verdict.reason}")
        return said

    def others_take_requests(self, name: str) -> bool:
        """Whether another engine would get what this one does not."""
        try:
            servers = self.runtime.servers()
        except NoAnswer:
            return False
        return any(each.takes_requests for each in servers if each.name != name)

    def serve(self, port: int) -> None:
        """Answer for ever. Where the port cannot be had, try again: without an agent HAProxy's own
        checks go on."""
        said = False
        while True:
            self.follow()
            try:
                with Listening(("127.0.0.1", port), self) as listening:
                    listening.serve_forever()
            except OSError as error:
                if not said:
                    _say(f"the agent cannot listen on port {port}: {error}")
                said = True
            time.sleep(RETRY_SECONDS)


def wanted_watchers(spec: Spec) -> dict[str, tuple[Upstream, Limits]]:
    """What is to be watched, by name."""

    def limits(engine: Upstream) -> Limits:
        hung_seconds = spec.hung_after_seconds(engine)
        return Limits(spec.silence_seconds, spec.stalled_seconds, hung_seconds)

    return {each.name: (each, limits(each)) for each in spec.engines if each.watched}


class Listening(socketserver.ThreadingTCPServer):
    """The agent's port."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, place: tuple[str, int], agent: Agent) -> None:
        self.agent = agent
        super().__init__(place, Answering)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """HAProxy went away before its answer: it asks again."""


class Answering(socketserver.BaseRequestHandler):
    """One question: the name of an engine, with a line's end."""

    def handle(self) -> None:
        connection: socket.socket = self.request
        connection.settimeout(QUESTION_SECONDS)
        name = connection.recv(256).decode(errors="replace").strip()
        server: Any = self.server  # a Listening
        connection.sendall(f"{server.agent.answer(name)}\n".encode())


def start(service: Any) -> None:
    """Answer from a thread of this process, for as long as it lives."""
    spec = service.spec()
    if spec is not None:
        agent = Agent(service)
        threading.Thread(target=agent.serve, args=(spec.agent_port,), daemon=True).start()


def _say(text: str) -> None:
    """To the launcher's log."""
    sys.stderr.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {text}\n")
    sys.stderr.flush()
