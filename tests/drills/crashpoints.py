# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.drills.crashpoints``: kill rent and teardown at every call and task boundary.

Uninterrupted runs count the points: one in a market whose hosts are sound, and one whose first host
is not what was advertised, so that it is released and another one is rented. Then each point gets a
run of its own: the controller is killed there with all of its processes, and one converging step
must leave what it claims. After a rental request and a release the module alone is killed as well:
the play goes on, and must release what was made, or name it. Some points are taken again for each
of the troubles (troubles.py). The last line is one JSON object behind the word RESULT.

That is at the providers of WHOLE_PLAYS. At another one (``--provider``, or ``all``) modules alone
are killed, before and after every request of a deploy and a teardown, on pretended hosts
(modulekills.py).
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.drills import modulekills
from tests.drills.controller import REAP, TEARDOWN, Controller, Play, kill_modules
from tests.drills.operations import capabilities
from tests.drills.stage import (
    SETTLED_SECONDS,
    Drill,
    Interrupted,
    Outcome,
    Stage,
    print_result,
)
from tests.drills.troubles import TROUBLES, Trouble
from tests.simulator.app import DEFAULT_PROVIDER
from tests.simulator.web import DropConnection, Request

T = TypeVar("T")
REDEPLOY, RELEASE, REAPING = STEPS = ("re-deploy", "teardown", "reap")
DAY_SECONDS = 86_400
SCALE = 10.0
FIGURES = ("missing", "double_rented", "leaked", "wrong_verdicts", "not_converged")
SOUND, LYING = "rent", "rent again"
#: Both markets, by the name of their first play; and in what the host of the second one lies, at
#: each provider at which whole plays are killed: what an offer does not tell is no lie.
MARKETS = (SOUND, LYING)
WHOLE_PLAYS: dict[str, dict[str, Any]] = {
    "vastai": {"driver_version": "470.256.02"},
    "runpod": {"vram_factor": 0.5},
}
#: With this task the second market's course leaves that of the first.
TURN = "Give up the failed attempt"
KEPT = "is older than this run, so it was kept"
#: Where the module that makes a call is killed alone, once that is done.
MODULE_KILLED = "module killed after"
CREATE = "create"
CHANGING = (CREATE, "destroy")
CALM = Trouble("nothing else")
#: How many points each trouble gets.
POINTS_EACH = 6


@dataclass(frozen=True)
class Point:
    """Where a controller is killed: ``before`` or ``after`` a call, ``at`` a task; the n-th.

    Or a module alone: MODULE_KILLED.
    """

    play: str
    moment: str
    what: str
    nth: int

    def __str__(self) -> str:
        return f"{self.play}: {self.moment} {self.what} #{self.nth}"


@dataclass(frozen=True)
class Run:
    """One point, the step that follows, whether a fresh controller takes it, and what else is."""

    point: Point
    step: str
    fresh: bool
    trouble: Trouble = CALM

    def __str__(self) -> str:
        told = f"{self.point}; {self.step} by {'a fresh' if self.fresh else 'the same'} controller"
        return told if self.trouble is CALM else f"{told}; {self.trouble}"


class Course:
    """Follows a deploy and a teardown along their points, and kills the controller at one.

    ``market`` is one of MARKETS.
    """

    def __init__(
        self,
        stage: Stage,
        controller: Controller,
        target: Point | None,
        market: str,
        trouble: Trouble = CALM,
    ) -> None:
        self.stage, self.controller, self.target = stage, controller, target
        self.market, self.trouble = market, trouble
        self.reached = threading.Event()
        self.seen: list[Point] = []
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self.name = ""
        self.play: Play | None = None

    def follow(self, drill: Drill) -> list[Outcome]:
        """Play both, until the target is reached or one of them fails."""
        self.stage.watch, self.stage.hear = self.watch, self.hear
        lies = [{"kind": "lies", **WHOLE_PLAYS[self.stage.provider], "times": 1}]
        faults = lies if self.market == LYING else []
        self.stage.simulator.control.plan_faults([*faults, *self.trouble.renting])
        outcomes: list[Outcome] = []
        for name, playbook in ((self.market, drill.rent), ("teardown", TEARDOWN)):
            self.name = name
            self.play = self.stage.start(self.controller, playbook)
            outcomes.append(self.stage.finish(self.play))
            if outcomes[-1].exit_status != 0:
                break
        self.name = ""
        return outcomes

    def watch(self, phase: str, request: Request) -> None:
        """Pass the point before or after a call; one that is killed before it never makes it."""
        call = self.stage.dialect.name_of(request)
        if self.passes(phase, call) and phase == "before":
            raise DropConnection
        if phase == "after" and call in CHANGING:
            self.passes(MODULE_KILLED, call)
            if call == CREATE:
                time.sleep(self.trouble.slow_seconds)

    def hear(self, _play: Play, news: dict[str, Any]) -> None:
        """Pass the point at the start of a task."""
        if "task" in news:
            self.passes("at", news["task"])

    def passes(self, moment: str, what: str) -> bool:
        """Note a point; kill the controller, or the module, when it is the target, and tell so."""
        if not self.name or self.reached.is_set():
            return False
        key = (self.name, moment, what)
        self.counts[key] += 1
        point = Point(*key, self.counts[key])
        self.seen.append(point)
        if point != self.target or self.play is None:
            return False
        self.reached.set()
        if moment == MODULE_KILLED:
            kill_modules(f"HOME={self.play.home}")
        else:
            self.play.kill()
        return True


@dataclass
class Verdict:
    """What became of one run. ``problems`` has texts for each figure that it spoils."""

    run: Run
    problems: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    last_words: str = ""
    seconds: float = 0.0

    def add(self, figure: str, *problems: str) -> None:
        """Note problems, if there are any."""
        if problems:
            self.problems.setdefault(figure, []).extend(problems)

    def lines(self) -> list[str]:
        """What there is to tell."""
        told = [f"{figure}: {text}" for figure, texts in self.problems.items() for text in texts]
        return [*told, *(f"note: {note}" for note in self.notes)]


# --- one run ---


def crash(stage: Stage, drill: Drill, run: Run) -> Verdict:
    """Kill a controller at a point, converge and judge; try again if it never came there."""
    began = time.monotonic()
    verdict = Verdict(run)
    for _try in range(2):
        stage.clear()
        market, trouble = LYING if run.point.play == LYING else SOUND, run.trouble
        first = stage.controller("first", drill.key_pair, settings=trouble.settings)
        course = Course(stage, first, run.point, market, trouble)
        outcomes = course.follow(drill)
        if course.reached.is_set():
            verdict.add("leaked", *unsaid(stage, run.point, outcomes[-1]))
            verdict.add("missing", *unmet(stage, trouble.renting))
            if trouble.recreated and not stage.recreate_hosts():
                verdict.add("missing", "there was no host to make anew")
            stage.simulator.control.plan_faults(list(trouble.stepping))
            converge(stage, drill, verdict, course.controller)
            verdict.add("missing", *unmet(stage, trouble.stepping))
            break
    else:
        verdict.add("missing", f"it never came there; {outcomes[-1].reason}")
        verdict.last_words = outcomes[-1].last_words
    verdict.add("wrong_verdicts", *stage.contradictions)
    verdict.seconds = time.monotonic() - began
    return verdict


def converge(stage: Stage, drill: Drill, verdict: Verdict, controller: Controller) -> None:
    """Take the converging step after a crash; judge what it leaves and what it claims."""
    run = verdict.run
    before = stage.ids()
    if stage.most_at_once > 1:
        verdict.notes.append(f"{stage.most_at_once} rentals at once before the step")
    if run.fresh:
        controller = stage.controller("second", drill.key_pair, settings=run.trouble.settings)
    outcome = take(stage, drill, run.step, controller)
    if outcome.wants_another_run:
        verdict.notes.append("a duplicate was too young to be released; took the step once more")
        stage.pass_time(SETTLED_SECONDS)
        outcome = take(stage, drill, run.step, controller)
    if run.point.play == LYING and KEPT in outcome.reason:
        # Nobody ends by himself what another run has rented: it says so, and the user does.
        verdict.notes.append("the host that lies was kept, and that was told; took it down first")
        take(stage, drill, RELEASE, controller)
        outcome = take(stage, drill, run.step, controller)
    left = stage.ids()
    if len(left) > 1:
        verdict.add("double_rented", f"{' and '.join(left)} bill")
    verdict.add("leaked", *leaks(stage, run.step, left))
    if outcome.exit_status == 0:
        verdict.add("wrong_verdicts", *wrong_claims(run.step, outcome, before, left))
    else:
        verdict.add("not_converged", f"exit status {outcome.exit_status}: {outcome.reason}")
    verdict.last_words = outcome.last_words


def unmet(stage: Stage, orders: tuple[dict[str, Any], ...]) -> list[str]:
    """Which of the faults that were planned last nobody has met."""
    if not orders:
        return []
    planned = stage.simulator.control.planned_faults(None)["planned"]
    return [f"nothing met {one['kind']}" for one in planned if not one["met"]]


def unsaid(stage: Stage, point: Point, outcome: Outcome) -> list[str]:
    """What bills after a play whose module was killed, and is not named by its last word."""
    if point.moment != MODULE_KILLED:
        return []
    wrong = ["a play went on as if nothing had been killed"] if outcome.exit_status == 0 else []
    for rental, rental_id in zip(stage.rentals(), stage.ids(), strict=True):
        nonce = stage.mark_of(rental).split("/")[3]
        if rental_id not in outcome.reason and nonce not in outcome.reason:
            wrong.append(f"{rental_id} bills, and the play ended with: {outcome.reason}")
    return wrong


def take(stage: Stage, drill: Drill, step: str, controller: Controller) -> Outcome:
    """Take one step with a controller."""
    if step == REDEPLOY:
        return stage.play(controller, drill.rent)
    if step == RELEASE:
        return stage.play(controller, TEARDOWN)
    stage.pass_time(DAY_SECONDS + 60)
    return stage.play(controller, REAP, reap_release=True)


def leaks(stage: Stage, step: str, left: list[str]) -> list[str]:
    """What is there that should not be, or the other way round."""
    wanted = 1 if step == REDEPLOY else 0
    containers = stage.containers()
    found = [f"{left} bill after {step}, wanted {wanted}"] if len(left) != wanted else []
    if len(containers) != len(left):
        found.append(f"hosts {containers} are there for rentals {left}")
    return found


def wrong_claims(step: str, outcome: Outcome, before: list[str], left: list[str]) -> list[str]:
    """What a successful step says about the rentals from before it, and about what it leaves."""
    if step == REDEPLOY:
        rented = outcome.rented
        return [] if [rented] == left else [f"says that {rented} is rented; in truth {left}"]
    if step == RELEASE:
        released = [str(one["id"]) for one in outcome.claim("released").get("released", [])]
        return [] if released == before else [f"says it released {released}; there was {before}"]
    verdicts = outcome.claim("verdicts").get("verdicts", [])
    told = [(str(one["id"]), one["verdict"], one["outcome"]) for one in verdicts]
    wanted = [(one, "expired", "released") for one in before]
    return [] if told == wanted else [f"judges {told}; should be {wanted}"]


# --- all of them ---


def uninterrupted(drill: Drill) -> list[Point]:
    """Every point of a deploy and a teardown that nobody disturbs, in order, market by market.

    Of the second market, what comes after its host was found out and before the teardown.
    """

    def follow(stage: Stage, _drill: Drill, market: str) -> tuple[list[Outcome], list[Point]]:
        stage.clear()
        course = Course(stage, stage.controller("first", drill.key_pair), None, market)
        return course.follow(drill), course.seen

    seen: list[Point] = []
    for market in MARKETS:
        ((outcomes, points),) = drill.run([market], follow)
        if [outcome.exit_status for outcome in outcomes] != [0, 0]:
            raise SystemExit(f"the uninterrupted run failed:\n{outcomes[-1].last_words}")
        seen += points if market == SOUND else after_turn(points)
    return seen


def after_turn(points: list[Point]) -> list[Point]:
    """The points of the second market that the first one does not have."""
    renting = [point for point in points if point.play == LYING]
    turns = [number for number, point in enumerate(renting) if TURN in point.what]
    if not turns:
        raise SystemExit(f"nothing was ever given up: {listed(renting)}")
    return renting[turns[0] :]


def plan(
    points: list[Point], sample: int | None, only: str | None, troubles: list[Trouble]
) -> list[Run]:
    """One run for each point, the steps and controllers alternating; all of them for ``only``.

    Then some for each trouble, or those of some ``troubles`` alone.
    """
    if only:
        chosen = [point for point in points if str(point) == only]
        if not chosen:
            raise SystemExit(f"there is no such point; there are:\n{listed(points)}")
        steps = [(step, fresh) for step in STEPS for fresh in (False, True)]
        return [Run(chosen[0], *step, one) for one in troubles or [CALM] for step in steps]
    among = [run for one in troubles or TROUBLES for run in troubled(points, one)]
    if troubles:
        return among
    if sample:
        points, among = spread(points, sample - sample // 3), evenly(among, sample // 3)
    return alternating(points) + among


def alternating(points: list[Point], trouble: Trouble = CALM) -> list[Run]:
    """One run for each point, the steps and controllers alternating."""
    return [
        Run(point, STEPS[number % 3], trouble.fresh or bool(number // 3 % 2), trouble)
        for number, point in enumerate(points)
    ]


def troubled(points: list[Point], trouble: Trouble) -> list[Run]:
    """The runs of one trouble: points spread over those at which something is rented."""
    plays = [point for point in points if point.play != LYING]
    calls = [
        number
        for number, point in enumerate(plays)
        if point.moment == "after" and point.what in CHANGING
    ]
    between = plays[calls[0] : calls[-1]]
    # Killed modules have points of their own, and a trouble may change how often a call is made.
    rented = [one for one in between if one.moment != MODULE_KILLED and one.nth == 1]
    return alternating(spread(rented, POINTS_EACH), trouble)


def spread(points: list[Point], sample: int) -> list[Point]:
    """So many points, half of them tasks and half of them calls, each half evenly spread."""
    tasks = [point for point in points if point.moment == "at"]
    calls = [point for point in points if point.moment != "at"]
    return evenly(tasks, sample // 2) + evenly(calls, sample - sample // 2)


def evenly(all_of_them: list[T], count: int) -> list[T]:
    """So many of them, evenly spread."""
    return [
        all_of_them[(2 * number + 1) * len(all_of_them) // (2 * count)] for number in range(count)
    ]


def listed(points: list[Point]) -> str:
    """The points, each on its own line."""
    return "\n".join(map(str, points))


def report(verdicts: list[Verdict]) -> Counter[str]:
    """Print what failed, and how to see it again; return the figures."""
    for verdict in verdicts:
        if verdict.problems:
            print(f"\n{verdict.run}:", *verdict.lines(), verdict.last_words, sep="\n  ")
            chosen = f"--only {shlex.quote(str(verdict.run.point))}"
            if verdict.run.trouble is not CALM:
                chosen += f" --trouble {shlex.quote(verdict.run.trouble.name)}"
            print(f"  again: python -m tests.drills.crashpoints {chosen}")
    figures = {name: sum(name in one.problems for one in verdicts) for name in FIGURES}
    return Counter({"points": len(verdicts), **figures})


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument(
        "--provider", default=DEFAULT_PROVIDER, help="whose market it is, or 'all' for one each"
    )
    made.add_argument("--sample", type=int, help="only so many points, spread over all")
    made.add_argument("--only", help="one point, as a run prints it, with every step")
    names = [one.name for one in TROUBLES]
    made.add_argument(
        "--trouble", choices=names, action="append", default=[], help="only with this around them"
    )
    made.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs side by side")
    return made


def plays(provider: str, given: argparse.Namespace) -> Counter[str]:
    """Kill whole plays and modules in them, on real hosts; return the figures."""
    began = time.monotonic()
    verdicts: list[Verdict] = []
    with Drill(given.jobs, SCALE, provider) as drill:
        points = uninterrupted(drill)
        calls = sum(point.moment == "before" for point in points)
        tasks = sum(point.moment == "at" for point in points)
        print(f"{provider}: {len(points)} points: {calls} calls, {tasks} tasks", flush=True)
        troubles = [one for one in TROUBLES if one.name in given.trouble]
        runs = plan(points, given.sample, given.only, troubles)
        for verdict in drill.run(runs, crash):
            verdicts.append(verdict)
            word = "; ".join(verdict.lines()) or "good"
            place = f"[{len(verdicts)}/{len(runs)}, {time.monotonic() - began:.0f} s]"
            print(f"{place} {verdict.run}: {word}, {verdict.seconds:.1f} s", flush=True)
    return report(verdicts)


def modules(provider: str, given: argparse.Namespace) -> Counter[str]:
    """Kill modules alone, in the market of a provider; return the figures."""
    can = capabilities()[provider]
    figures = Counter[str]()
    for verdict in modulekills.drill(provider, can, given.sample, given.jobs):
        figures["points"] += 1
        figures.update(verdict.problems.keys())
        for figure, texts in verdict.problems.items():
            for text in texts:
                print(f"{provider}: {figure}: {verdict}: {text}", flush=True)
    print(f"{provider}: {figures['points']} points at which a module was killed", flush=True)
    return figures


def main() -> int:
    """Run the drill that the command line describes."""
    given = parser().parse_args()
    known = [DEFAULT_PROVIDER]
    if given.provider != DEFAULT_PROVIDER:
        known = list(capabilities())
    chosen = known if given.provider == "all" else [given.provider]
    if given.provider not in (*known, "all"):
        raise SystemExit(f"no such provider: {given.provider}. There are: {', '.join(known)}")
    figures = Counter[str]()
    try:
        for provider in chosen:
            figures += (plays if provider in WHOLE_PLAYS else modules)(provider, given)
    except Interrupted as interruption:
        print(f"ended by {interruption}", file=sys.stderr)
        return 1
    several = {"providers": len(chosen)} if given.provider == "all" else {}
    print_result({**several, **{name: figures[name] for name in ("points", *FIGURES)}})
    return int(any(figures[name] for name in FIGURES))


if __name__ == "__main__":
    sys.exit(main())
