# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.drills.races``: two controllers deploy the same host at once.

The market lets their calls through one at a time, in an order drawn by lot. Exactly one rental
must be left, one of them must have it, and whoever fails must say why. In some races both must have
rented for a moment. The last line is one JSON object behind RESULT.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.drills.controller import PLAY_SECONDS, Controller, Play
from tests.drills.stage import (
    SETTLED_SECONDS,
    Drill,
    Ended,
    Interrupted,
    Outcome,
    Stage,
    print_result,
    unwatched,
)
from tests.simulator.web import Request

RACES, SEED = 20, 1
#: In so many races at least, two rentals have to bill at once for a while.
LEAST_CONTENDED = 4
# Slow enough that a held call does not use up the product's limits, which are simulated seconds.
SCALE = 3.0
# How long a call waits for one of the other controller, in real seconds, and how often at most.
PATIENCE_SECONDS = 2.0
MOST_HELD = 20
RENTS = ("PUT", True)
# Every second race is run in a market whose lists lag, by up to so many simulated seconds.
MOST_LAG_SECONDS = 8.0
# What a failure has to say, and how the money in its last message is told.
PARTS = ("cause", "remedy")
MONEY = ("dollars", "nothing bills", "may bill")


class Referee:
    """Lets one call through at a time. In each race another controller tends to be the faster.

    Where they are to ``meet``, none rents before the other one is about to: both have seen nothing.
    """

    def __init__(self, urls: Sequence[str], lot: random.Random, meet: bool) -> None:
        self.lot = lot
        self.patience = MOST_HELD if meet else 0
        self.letters = dict(zip(urls, "AB", strict=True))
        self.luck = {url: lot.uniform(0.05, 1) for url in urls}
        self.news = threading.Condition()
        self.racing = set(urls)
        #: Who waits, and whether it is to rent.
        self.waiting: dict[str, bool] = {}
        self.served: str | None = None
        self.order = ""

    def watch(self, phase: str, request: Request) -> None:
        """Hold a call until it is its turn; let the next one come when it is done."""
        with self.news:
            if phase == "before":
                self.waiting[request.listener] = (request.method, "/asks/" in request.path) == RENTS
                self.news.notify_all()
                self.news.wait_for(lambda: self.served == request.listener, PLAY_SECONDS)
            else:
                self.served = None
                self.news.notify_all()

    def finished(self, url: str) -> None:
        """A controller makes no calls any more."""
        with self.news:
            self.racing.discard(url)
            self.news.notify_all()

    def decide(self) -> None:
        """Give out turns until both have finished."""
        with self.news:
            while self.racing:
                if self.news.wait_for(lambda: self.waiting and self.served is None, timeout=1):
                    self.news.wait_for(lambda: set(self.waiting) >= self.racing, PATIENCE_SECONDS)
                    self.admit()

    def admit(self) -> None:
        """Draw whose turn it is; nobody's, while who is to rent waits for the other one."""
        if all(self.waiting.get(url) for url in self.racing):
            self.patience = 0
        waiting = sorted(
            url for url, rents in self.waiting.items() if not (rents and self.patience)
        )
        if not waiting:
            self.patience -= 1
            return
        (self.served,) = self.lot.choices(waiting, [self.luck[url] for url in waiting])
        del self.waiting[self.served]
        self.order += self.letters[self.served]
        self.news.notify_all()


@dataclass
class Verdict:
    """What became of one race."""

    number: int
    lag_seconds: float
    order: str = ""
    most_at_once: int = 0
    left_wrong: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    last_words: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        lag = f"lists lag {self.lag_seconds} s, " if self.lag_seconds else ""
        return f"race {self.number}, {lag}{self.order}, at most {self.most_at_once} at once"

    def lines(self) -> list[str]:
        """What there is to tell."""
        return [
            *(f"left wrong: {text}" for text in self.left_wrong),
            *(f"unexplained: {text}" for text in self.unexplained),
            *(f"note: {text}" for text in self.notes),
        ]


# --- one race ---


def race(stage: Stage, drill: Drill, start: tuple[int, int]) -> Verdict:
    """Let two controllers deploy the same host, in the order that seed and number make."""
    began = time.monotonic()
    stage.clear()
    number = start[1]
    lot = random.Random(f"{start[0]}/{number}")
    referee = Referee(stage.urls, lot, meet=number % 4 < 2)
    lags = [round(lot.uniform(1, MOST_LAG_SECONDS), 1) for _create in range(2)]
    verdict = Verdict(number, max(lags) if number % 2 else 0.0)
    if verdict.lag_seconds:
        first = {"kind": "list_lag", "seconds": lags[0]}
        later = {"kind": "list_lag", "seconds": lags[1], "skip": 1, "times": -1}
        stage.simulator.control.plan_faults([first, later])
    outcomes = run_both(stage, drill, referee)
    verdict.order, verdict.most_at_once = referee.order, stage.most_at_once
    for letter, outcome in zip("AB", outcomes, strict=True):
        judge_failure(letter, outcome, verdict)
    judge_rentals(stage, drill, outcomes, verdict)
    verdict.seconds = time.monotonic() - began
    return verdict


def run_both(stage: Stage, drill: Drill, referee: Referee) -> list[Outcome]:
    """Play both to their ends, while the referee gives out turns. Raises Ended."""
    controllers = [stage.controller(f"door-{door}", drill.key_pair, door) for door in (0, 1)]
    outcomes: dict[str, Outcome] = {}

    def follow(controller: Controller, play: Play) -> None:
        with contextlib.suppress(Ended):
            outcomes[controller.url] = stage.finish(play)
        referee.finished(controller.url)

    stage.watch = referee.watch
    plays = [(controller, stage.start(controller, drill.rent)) for controller in controllers]
    threads = [threading.Thread(target=follow, args=pair) for pair in plays]
    threads.append(threading.Thread(target=referee.decide))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stage.watch = unwatched
    if len(outcomes) < len(controllers):
        raise Ended
    return [outcomes[controller.url] for controller in controllers]


def judge_failure(letter: str, outcome: Outcome, verdict: Verdict) -> None:
    """Whoever fails has to explain it."""
    if outcome.exit_status == 0:
        return
    verdict.notes.append(f"{letter} failed: {outcome.reason}")
    if not is_explained(outcome):
        verdict.unexplained.append(f"{letter}, exit status {outcome.exit_status}")
        verdict.last_words = outcome.last_words


def is_explained(outcome: Outcome) -> bool:
    """Whether the last message has a cause, a remedy and the money at stake."""
    explanations = [one["failure"] for one in outcome.failures if one.get("failure")]
    if not explanations:
        return False
    said = [explanations[-1].get(part) for part in PARTS]
    complete = all(part and part in outcome.reason for part in said)
    return complete and any(word in outcome.reason for word in MONEY)


def judge_rentals(stage: Stage, drill: Drill, outcomes: list[Outcome], verdict: Verdict) -> None:
    """One rental has to be left; where lists lag, once another deploy has had a look."""
    left = stage.ids()
    verdict.left_wrong += stage.contradictions
    if all(outcome.exit_status != 0 for outcome in outcomes):
        verdict.left_wrong.append("neither has a host, and one of them should have won")
    if len(left) > 1 and verdict.lag_seconds:
        verdict.notes.append(f"{' and '.join(left)} bill, because lists lag; deploying once more")
        stage.pass_time(SETTLED_SECONDS)
        outcomes = [stage.play(stage.controller("again", drill.key_pair), drill.rent)]
        left = stage.ids()
        if outcomes[0].exit_status != 0:
            verdict.left_wrong.append(f"deploying once more failed: {outcomes[0].reason}")
    if len(left) != 1 or len(stage.containers()) != 1:
        verdict.left_wrong.append(f"{left} bill, {stage.containers()} are there")
    claims = {outcome.rented for outcome in outcomes if outcome.exit_status == 0}
    if not claims <= set(left):
        verdict.left_wrong.append(f"they claim {claims}, but {left} bill")
    if verdict.left_wrong:
        verdict.last_words = "\n".join(outcome.last_words for outcome in outcomes)


# --- all of them ---


def report(verdicts: list[Verdict], seed: int) -> int:
    """Print what failed, how to see it again, and the result; return the exit status."""
    for verdict in verdicts:
        if verdict.left_wrong or verdict.unexplained:
            print(f"\nrace {verdict.number}:", *verdict.lines(), verdict.last_words, sep="\n  ")
            again = f"python -m tests.drills.races --seed {seed} --only {verdict.number}"
            print(f"  again: {again}")
    figures = {
        "races": len(verdicts),
        "rentals_left_wrong": sum(bool(verdict.left_wrong) for verdict in verdicts),
        "unexplained": sum(bool(verdict.unexplained) for verdict in verdicts),
    }
    contended = sum(verdict.most_at_once > 1 for verdict in verdicts)
    print(f"in {contended} of {len(verdicts)} races two rentals billed at once for a while")
    print_result(figures)
    # Controllers that hardly ever met have proven little; in a few races that is mere luck.
    hardly_met = len(verdicts) >= RACES and contended < LEAST_CONTENDED
    return int(bool(figures["rentals_left_wrong"] or figures["unexplained"] or hardly_met))


def main() -> int:
    """Run the drill that the command line describes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=RACES, help="only so many races")
    parser.add_argument("--seed", type=int, default=SEED, help="draws other orders")
    parser.add_argument("--only", type=int, help="only the race of this number")
    # One race has two plays.
    jobs = max(1, (os.cpu_count() or 1) // 2)
    parser.add_argument("--jobs", type=int, default=jobs, help="races side by side")
    given = parser.parse_args()
    numbers = range(1, given.sample + 1) if given.only is None else [given.only]
    verdicts: list[Verdict] = []
    try:
        with Drill(given.jobs, SCALE) as drill:
            for verdict in drill.run([(given.seed, number) for number in numbers], race):
                verdicts.append(verdict)
                word = "; ".join(verdict.lines()) or "good"
                print(f"{verdict}: {word}, {verdict.seconds:.1f} s", flush=True)
    except Interrupted as interruption:
        print(f"ended by {interruption}", file=sys.stderr)
        return 1
    return report(verdicts, given.seed)


if __name__ == "__main__":
    sys.exit(main())
