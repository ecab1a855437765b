# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages of a drill: simulated markets with real hosts, the plays on them, and the truth.

Every claim of a play is held against the truth the moment it is made.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.drills.controller import (
    HOST,
    SCOPE,
    Controller,
    Hear,
    Play,
    inventory,
    make_key_pair,
    rent_playbook,
)
from tests.rig import image
from tests.simulator.app import DEFAULT_PROVIDER, Simulator, dialect_of
from tests.simulator.hosts import ADDRESS, PodmanHosts
from tests.simulator.market import Market, Rental
from tests.simulator.web import Request

LABEL = f"inferops/{SCOPE}/{HOST}/"
HOST_SECONDS = 30
# After so long, a rental that is younger than another of its name may be released by anybody.
SETTLED_SECONDS = 360
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Watch = Callable[[str, Request], None]
Order = TypeVar("Order")
Result = TypeVar("Result")


class Ended(Exception):
    """The drill is over: nothing may start any more."""


@dataclass
class Outcome:
    """How one play ended; the exit status is None for one that was killed."""

    exit_status: int | None
    claims: list[dict[str, Any]]
    failures: list[dict[str, Any]]
    last_words: str

    def claim(self, kind: str) -> dict[str, Any]:
        """The last claim that says something of this kind; an empty one when there is none."""
        told = (one for one in reversed(self.claims) if one.get(kind) is not None)
        return next(told, {})

    @property
    def rented(self) -> str:
        """The id of the rental that it says it has, empty when it says none."""
        return str(self.claim("rental").get("rental", {}).get("id", ""))

    @property
    def wants_another_run(self) -> bool:
        """Whether it left a duplicate alone that its own controller may still be releasing."""
        return any(not one["released"] for one in self.claim("duplicates").get("duplicates", []))

    @property
    def reason(self) -> str:
        """Its last failure in words."""
        return str(self.failures[-1].get("msg", "")) if self.failures else ""


class Stage:
    """One market under a simulator's instance name, used by one run after the other.

    ``watch`` is told of each API request of a controller, ``hear`` of each news from a play. The
    market's clock, and so every pause of the product, runs ``scale`` times as fast as real time.
    """

    def __init__(self, instance: str, folder: Path, scale: float, provider: str) -> None:
        self.folder = folder
        self.scale = scale
        self.provider = provider
        self.dialect = dialect_of(provider)
        folder.mkdir(parents=True)
        self.hosts = PodmanHosts(instance, hub_port=0)
        self.market = Market(self.hosts)
        self.simulator = Simulator(self.market, observe=self.observe, provider=provider)
        self.urls = [self.simulator.url, self.simulator.listen()]
        self.inventory = inventory(folder, provider)
        self.guard = threading.Lock()
        self.ended = False
        self.clear()

    def clear(self) -> None:
        """Forget what the last run left, and let the market begin anew, now."""
        self.simulator.control.reset({})
        self.market.boot_seconds = 0
        self.market.rescale(self.scale)
        for home in self.folder.glob("home-*"):
            shutil.rmtree(home)
        self.watch: Watch = unwatched
        self.hear: Hear = unheard
        self.playing: list[Play] = []
        self.most_at_once = 0
        self.contradictions: list[str] = []

    def close(self) -> None:
        """Destroy every host. Nothing may play any more."""
        self.end()
        self.simulator.close()

    def end(self) -> None:
        """Kill what plays, for good; may be called from another thread."""
        with self.guard:
            self.ended = True
            for play in self.playing:
                play.kill()

    # --- playing ---

    def controller(
        self, name: str, key_pair: Path, door: int = 0, settings: dict[str, str] | None = None
    ) -> Controller:
        """A fresh controller, which calls the market at one of its two addresses."""
        return Controller.fresh(self.folder / f"home-{name}", self.urls[door], key_pair, settings)

    def start(self, controller: Controller, playbook: Path, **variables: Any) -> Play:
        """Start a play. Raises Ended."""
        with self.guard:
            if self.ended:
                raise Ended
            clock = self.market.clock
            play = controller.start(playbook, self.inventory, clock, self.told, **variables)
            self.playing.append(play)
        return play

    def finish(self, play: Play) -> Outcome:
        """Wait for the end of a play. Raises Ended."""
        status = play.wait()
        with self.guard:
            self.playing.remove(play)
            if self.ended:
                raise Ended
        return Outcome(status, play.claims, play.failures, play.last_words())

    def play(self, controller: Controller, playbook: Path, **variables: Any) -> Outcome:
        """Run a play to its end. Raises Ended."""
        return self.finish(self.start(controller, playbook, **variables))

    def told(self, play: Play, news: dict[str, Any]) -> None:
        """Hold a play's claims against the truth, then let the run hear the news."""
        if "claim" in news:
            self.contradictions += self.contradicting(news["claim"])
        self.hear(play, news)

    # --- the truth ---

    def rentals(self) -> list[Rental]:
        """What bills under the drill's name, whatever became of its label; oldest first."""
        with self.market.lock:
            every = self.market.rentals.values()
            return [rental for rental in every if self.mark_of(rental).startswith(LABEL)]

    def mark_of(self, rental: Rental) -> str:
        """The mark that came with a rental's request."""
        return self.dialect.mark(str(rental.wish.get("label") or ""))

    def ids(self) -> list[str]:
        """The ids of what bills under the drill's name, oldest first."""
        return [self.dialect.rental_id(rental.id) for rental in self.rentals()]

    def containers(self) -> list[str]:
        """The hosts that are there, as podman counts them."""
        return self.hosts.names()

    def pass_time(self, seconds: float) -> None:
        """Let simulated seconds pass at once."""
        self.market.advance(seconds)

    def recreate_hosts(self) -> int:
        """Make every host anew in place, wait until they answer, and tell how many they are."""
        rentals = self.rentals()
        for rental in rentals:
            self.market.recycle(rental)
        self.await_hosts()
        return len(rentals)

    def contradicting(self, claim: dict[str, Any]) -> list[str]:
        """What is wrong about a claim right now."""
        there = self.ids()
        rented = str((claim.get("rental") or {}).get("id", ""))
        judged = [one for one in claim.get("verdicts") or [] if one["outcome"] == "released"]
        gone = [str(one["id"]) for one in [*(claim.get("released") or []), *judged]]
        wrong = [f"says that {one} is gone, but it bills" for one in gone if one in there]
        if rented and rented not in there:
            wrong.append(f"says that {rented} is rented, but it is not")
        return wrong

    # --- requests ---

    def observe(self, phase: str, request: Request, _number: int) -> None:
        """The simulator calls this for each request; those of hosts are none of ours."""
        if request.listener not in self.urls:
            return
        if phase == "after":
            self.most_at_once = max(self.most_at_once, len(self.rentals()))
            if self.dialect.name_of(request) == "create":
                self.await_hosts()
        self.watch(phase, request)

    def await_hosts(self) -> None:
        """Let the answer to a request wait for its host, so that every run polls equally often."""
        limit = time.monotonic() + HOST_SECONDS
        while time.monotonic() < limit and not all(map(answers, self.rentals())):
            time.sleep(0.05)


def unwatched(_phase: str, _request: Request) -> None:
    """Watch nothing."""


def unheard(_play: Play, _news: dict[str, Any]) -> None:
    """Hear nothing."""


def answers(rental: Rental) -> bool:
    """Tell whether sshd speaks on a running host."""
    if not rental.running:
        return False
    try:
        with socket.create_connection((ADDRESS, rental.ports["22/tcp"]), timeout=2) as line:
            return line.recv(4) == b"SSH-"
    except OSError:
        return False


# --- several stages ---


class Interrupted(Exception):
    """The user, or the system, asked for an end."""


def interrupt(number: int, _frame: object) -> None:
    """Handle a signal."""
    raise Interrupted(signal.Signals(number).name)


class Drill:
    """Stages side by side, and what their controllers share. A context that leaves nothing."""

    def __init__(self, jobs: int, scale: float, provider: str = DEFAULT_PROVIDER) -> None:
        self.jobs = jobs
        self.scale = scale
        self.provider = provider
        self.folder = Path(tempfile.mkdtemp(prefix="inferops-drill-"))
        self.stages: list[Stage] = []
        self.free: queue.SimpleQueue[Stage] = queue.SimpleQueue()
        self.pool = ThreadPoolExecutor(jobs)

    def __enter__(self) -> Drill:
        for one in SIGNALS:
            signal.signal(one, interrupt)
        try:
            image.ensure()
            self.key_pair = make_key_pair(self.folder)
            self.rent = rent_playbook(self.folder)
            for number in range(self.jobs):
                name = f"test-drill-{os.getpid()}-{number}"
                folder = self.folder / f"stage-{number}"
                stage = Stage(name, folder, self.scale, self.provider)
                self.stages.append(stage)
                self.free.put(stage)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        # A second signal must not keep the clean-up from ending.
        for one in SIGNALS:
            signal.signal(one, signal.SIG_IGN)
        for stage in self.stages:
            stage.end()
        self.pool.shutdown(cancel_futures=True)
        for stage in self.stages:
            stage.close()
        shutil.rmtree(self.folder)

    def run(
        self, orders: Iterable[Order], work: Callable[[Stage, Drill, Order], Result]
    ) -> Iterator[Result]:
        """Do the work for each order, on as many stages as there are; yield as they finish."""

        def one(order: Order) -> Result:
            stage = self.free.get()
            try:
                return work(stage, self, order)
            finally:
                self.free.put(stage)

        for done in as_completed([self.pool.submit(one, order) for order in orders]):
            yield done.result()


def print_result(content: dict[str, Any]) -> None:
    """Print the last line."""
    print(f"RESULT {json.dumps(content)}", flush=True)
