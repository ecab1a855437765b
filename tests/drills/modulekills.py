# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drill of crash points for any provider: modules are killed, without a play around them.

Uninterrupted calls of ``rental`` tell the points: before and after each request to the provider, of
a deploy and of a teardown. Then each point gets a market of its own, in which the module is killed
there, and one converging step must leave what it claims. crashpoints.py runs it.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from tests.drills import judging
from tests.drills.faults import DAY, PROOF_SECONDS, Run
from tests.drills.operations import Answer
from tests.drills.world import World
from tests.simulator.offers import DEFAULT_SEED
from tests.simulator.web import DropConnection, Request

RENT, RELEASE = "rent", "teardown"
STEPS = ("re-deploy", "teardown", "reap")
#: By then a duplicate may be released by anybody.
SETTLED_SECONDS = 360.0


@dataclass(frozen=True)
class Point:
    """Where a module is killed: ``before`` or ``after`` its n-th request, and what that was."""

    call: str
    moment: str
    nth: int
    what: str

    def __str__(self) -> str:
        return f"{self.call}: {self.moment} request {self.nth}, {self.what}"


@dataclass
class Course:
    """Follows one module along its requests, and kills it at one of them."""

    world: World
    target: Point | None = None
    seen: list[str] = field(default_factory=list)
    reached: bool = False
    #: Until then, requests are none of the course's.
    follows: bool = False

    def watch(self, phase: str, request: Request, _number: int) -> None:
        """The simulator calls this for each request; one that is killed before it is never made."""
        if not self.follows or self.reached:
            return
        if phase == "before":
            self.seen.append(self.world.dialect.name_of(request))
        if self.target and (phase, len(self.seen)) == (self.target.moment, self.target.nth):
            self.reached = True
            self.world.leash.pull()
            if phase == "before":
                raise DropConnection


@dataclass
class Verdict:
    """What became of one point. ``problems`` has texts for each figure that it spoils."""

    point: Point
    step: str
    fresh: bool
    problems: dict[str, list[str]] = field(default_factory=dict)

    def add(self, figure: str, *problems: str) -> None:
        """Note problems, if there are any."""
        if problems:
            self.problems.setdefault(figure, []).extend(problems)

    def __str__(self) -> str:
        who = "a fresh" if self.fresh else "the same"
        return f"{self.point}; {self.step} by {who} controller"


def follow(world: World, target: Point | None, call: str) -> tuple[Course, Run, Answer]:
    """Deploy, and tear down where *call* is that, in a market of its own, until the target."""
    course, run = Course(world, target), Run(world, str(target or call), DEFAULT_SEED)
    world.watch = course.watch
    if call == RELEASE:
        run.rent()
    course.follows = True
    answer = perform(run, call)
    course.follows = False
    return course, run, answer


def perform(run: Run, step: str) -> Answer:
    """Take one step with the controller that there is. What it says is judged by whoever asks."""
    if step in (RENT, STEPS[0]):
        return run.rent(rescued=False)
    return run.release() if step == RELEASE else run.reap()


def points(world: World) -> list[Point]:
    """Every point of a deploy and a teardown that nobody disturbs."""
    found: list[Point] = []
    for call in (RENT, RELEASE):
        course, _run, answer = follow(world, None, call)
        if answer.failed or answer.problem:
            raise SystemExit(f"the uninterrupted {call} failed: {answer.result}{answer.problem}")
        found += [
            Point(call, moment, number, what)
            for number, what in enumerate(course.seen, start=1)
            for moment in ("before", "after")
        ]
    return found


def crash(world: World, point: Point, step: str, fresh: bool) -> Verdict:
    """Kill a module at a point, converge and judge."""
    verdict = Verdict(point, step, fresh)
    course, run, _answer = follow(world, point, point.call)
    if not course.reached:
        verdict.add("missing", "it never came there")
        return verdict
    world.pass_time(PROOF_SECONDS)
    if fresh:
        world.fresh_controller()
    if step == "reap":
        world.pass_time(DAY + 60)
    answer = perform(run, step)
    if any(not one["released"] for one in answer.result.get("duplicates") or ()):
        world.pass_time(SETTLED_SECONDS)
        answer = perform(run, step)
    verdict.add("wrong_verdicts", *(text for _figure, text in run.found))
    if answer.failed or answer.problem:
        verdict.add("not_converged", str(answer.problem or answer.result.get("msg")))
    left = judging.known(world.truth().of_name())
    if len(left) > 1:
        verdict.add("double_rented", f"{[one.id for one in left]} bill")
    if len(left) != (1 if step == STEPS[0] else 0):
        verdict.add("leaked", f"{[one.id for one in left]} bill after {step}")
    return verdict


def drill(
    provider: str, can: Mapping[str, Any], sample: int | None, jobs: int
) -> Iterator[Verdict]:
    """Each point once, or so many, the steps and controllers alternating."""
    worlds: queue.SimpleQueue[World] = queue.SimpleQueue()
    made = [World(provider, can) for _job in range(jobs)]
    for world in made:
        worlds.put(world)

    def on_free_world(numbered: tuple[int, Point]) -> Verdict:
        number, point = numbered
        world = worlds.get()
        try:
            return crash(world, point, STEPS[number % 3], bool(number // 3 % 2))
        finally:
            worlds.put(world)

    try:
        every: Sequence[Point] = points(made[0])
        chosen = list(enumerate(every))
        if sample:
            chosen = [chosen[number * len(chosen) // sample] for number in range(sample)]
        with ThreadPoolExecutor(jobs) as pool:
            yield from pool.map(on_free_world, chosen)
    finally:
        for world in made:
            world.close()
