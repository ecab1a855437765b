# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.drills.faults``: every fault of the catalogue alone, then random combinations.

Alone, a fault meets each operation anew, and each has an expectation (expectations.py).
Combined, faults begin at random moments and last, hours may pass between operations, and an
operation may fail as long as it says so and explains itself. Afterwards all is healthy: one more
deploy must leave one rental, and one reaper after all deadlines must leave none.

Faults that a provider cannot have are left out, counted and named (tests/simulator/dialect.py).
Last come the cases of one name at two providers, of whom either is in trouble (pairs.py).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import queue
import random
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

from tests.drills import judging, pairs
from tests.drills.expectations import EITHER, FAILURE, OK, Can, expected
from tests.drills.operations import Answer, capabilities
from tests.drills.world import (
    CONTROLLER_FAULTS,
    DISK_GIB,
    LIFETIME_HOURS,
    NAME,
    SCOPE,
    World,
)
from tests.simulator import catalogue
from tests.simulator.app import DEFAULT_PROVIDER, dialect_of
from tests.simulator.catalogue import NamedFault
from tests.simulator.offers import DEFAULT_SEED

EVERY_FAULT = (*catalogue.FAULTS, *CONTROLLER_FAULTS)
EVERY_PROVIDER = "all"
WRONG, UNEXPLAINED, DOUBLE, LEAKED = "wrong_verdicts", "unexplained", "double_rented", "leaked"
DEFAULT_COMBINATIONS = 200
DAY = 86_400.0
#: By then a late request shows and a duplicate is settled, unless a list hides it for a week.
MINUTES = 900.0
#: Two looks at an absent rental are at least so far apart: what comes back sooner is seen.
PROOF_SECONDS = 5.0
#: So long after one operation, what it has listed is of no use to the next one.
APART = 60.0
HOUR = 3600.0
#: By then everything shows and is past its deadline, but for the innocents.
BEYOND = 10 * DAY
EXTENDED_HOURS = LIFETIME_HOURS + 6
PAST_DEADLINES = EXTENDED_HOURS * HOUR + MINUTES
#: Operations that must say when nothing but lists tells them what is rented.
DOUBTING = (judging.release, judging.reap, judging.extend)
#: What may pass between two operations of a combination.
PAUSES = (0.0, 0.0, 30.0, MINUTES, 11 * HOUR)


class Closing(Protocol):
    """What has to be closed."""

    def close(self) -> None: ...


Place = TypeVar("Place", bound=Closing)
Found = TypeVar("Found", "Run", pairs.Run)


@dataclass
class Run:
    """One fresh market with what happens on it. ``found`` holds what is wrong, by figure."""

    world: World
    name: str
    seed: int
    found: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world.begin(self.seed)
        self.offer: dict[str, object] = {}
        self.rental_id = self.nonce = ""

    # --- operations, each judged at once; a step without its object does nothing ---

    def rent(self, rescued: bool = True) -> Answer:
        """Deploy the name; what a call without a word may have rented is released, as by a play.

        Unless it is not ``rescued``: then there is no play.
        """
        drawn = secrets.token_hex(4)
        answer = self.judged(
            "rental",
            judging.rent,
            nonce=drawn,
            name=NAME,
            scope=SCOPE,
            image=self.world.dialect.image or None,
            ssh_public_key=self.world.public_key,
            disk_gib=DISK_GIB,
            deadline_hours=self.world.lifetime_hours,
            # Longer than it is extended, however late that is.
            duration_hours=self.world.dialect.whole_hours or 2 * EXTENDED_HOURS,
            max_price_usd_per_hour=self.world.most_usd_per_hour,
            # No budget is one of 0.
            budget_usd=self.world.budget_usd if self.world.budget_usd < math.inf else 0,
            # Whoever does not end it in time, the drill's own reaper does.
            reaper=True,
        )
        self.rental_id = str((answer.result.get("rental") or {}).get("id", ""))
        self.offer = answer.result.get("offer") or {}
        # Only of what it has rented itself a run knows the nonce.
        self.nonce = answer.result.get("nonce", "")
        if answer.silent and rescued:
            self.rescue(drawn)
        return answer

    def rescue(self, nonce: str) -> None:
        """Release by its nonce what a call has rented, if it has."""
        options = {"name": NAME, "scope": SCOPE, "nonce": nonce, "state": "absent"}
        answer = self.world.perform("rental", **options)
        self.explained("rescue", answer)
        if not answer.problem and not answer.silent:
            self.blame(WRONG, "rescue", judging.rescue(answer, self.world.truth(), nonce))

    def release(self) -> Answer:
        """Tear the name down."""
        return self.judged("rental", judging.release, name=NAME, scope=SCOPE, state="absent")

    def stop(self) -> Answer:
        """Let the name stand still. Whoever starts it, the drill's own reaper ends it."""
        return self.judged(
            "rental", judging.stop, name=NAME, scope=SCOPE, state="stopped", reaper=True
        )

    def look(self) -> Answer:
        """Let the reaper judge."""
        return self.judged("rental_reap", judging.reap, scope=SCOPE)

    def reap(self) -> Answer:
        """Let the reaper release."""
        return self.judged("rental_reap", judging.reap, scope=SCOPE, release=True)

    def extend(self) -> Answer:
        """Give the rental more time."""
        return self.judged(
            "rental_extend", judging.extend, name=NAME, scope=SCOPE, hours=EXTENDED_HOURS
        )

    def inventory(self) -> Answer:
        """Read the dynamic inventory."""
        return self.judged("inventory", judging.inventory)

    def ready(self) -> Answer | None:
        """Wait for the rental as a play does."""
        if not self.rental_id:
            return None
        answer = self.world.perform(
            "ready",
            id=self.rental_id,
            **({"nonce": self.nonce} if self.nonce else {}),
            ssh_private_key_file=str(self.world.key_file),
            known_hosts_file=str(self.world.folder / "known_hosts"),
            download_mbit_per_second=500.0,
        )
        self.explained("ready", answer)
        if not answer.problem and not answer.silent:
            stage = self.world.probe(self.rental_id)["stage"]
            is_to_blame = self.world.is_to_blame(self.rental_id)
            self.blame(WRONG, "ready", judging.ready(answer, stage, is_to_blame))
        return answer

    def verify(self) -> Answer | None:
        """Compare a host that lets us in with its offer."""
        rental = self.world.rental(self.rental_id)
        if not self.offer or rental is None or not rental.running:
            return None
        measured = self.world.measured(self.rental_id)
        answer = self.world.perform("offer_check", offer=self.offer, **measured)
        traits = rental.traits
        # A disk that is smaller than its offer says may be large enough for what was asked.
        short = traits.disk_factor < 1 and rental.disk_gib * traits.disk_factor < DISK_GIB
        lies = bool(traits.driver_version) or traits.vram_factor < 1 or short
        self.blame(WRONG, "verify", judging.verify(answer, lies))
        self.explained("verify", answer)
        return answer

    def judged(self, kind: str, judge: Callable[..., list[str]], **options: object) -> Answer:
        """Perform one operation and hold it against the truth."""
        before = self.world.truth()
        answer = self.world.perform(kind, **options)
        self.explained(kind, answer)
        if not answer.problem and not answer.silent:
            after = self.world.truth()
            self.blame(WRONG, judge.__name__, self.inexcusable(judge, judge(answer, before, after)))
            self.world.pass_time(PROOF_SECONDS)
            self.blame(WRONG, judge.__name__, judging.returned(before, after, self.world.truth()))
        self.blame(WRONG, judge.__name__, self.world.disturbed())
        return answer

    def inexcusable(self, judge: Callable[..., list[str]], wrong: list[str]) -> list[str]:
        """What of this nobody excuses: who was misled by lists alone has to say that he may be."""
        if not self.world.is_misled:
            return wrong
        if judge not in DOUBTING or not self.world.saw_lists_alone or self.world.has_doubted:
            return []
        return [f"{one}; and it does not say that lists alone tell it so" for one in wrong]

    # --- findings ---

    def blame(self, figure: str, step: str, texts: Iterable[str]) -> None:
        """Note what is wrong."""
        self.found += [(figure, f"{self.name}: {step}: {text}") for text in texts]

    def explained(self, kind: str, answer: Answer) -> None:
        """Note what a failure does not say; what nobody hears need not say anything."""
        if answer.silent:
            return
        self.blame(UNEXPLAINED, kind, judging.unexplained(kind, answer, self.world.truth()))

    def expect(self, step: str, wanted: str, answer: Answer | None) -> None:
        """Hold an answer against the expectation."""
        if answer is None or answer.problem or wanted == EITHER:
            return
        failure = answer.result.get("failure", {})
        stage = failure.get("stage", FAILURE) if answer.failed else OK
        if wanted not in (stage, FAILURE if answer.failed else OK):
            told = f": {answer.result.get('msg') or answer.result.get('said')}"
            self.blame(WRONG, step, [f"expected {wanted}, but it ended with {stage}{told}"])

    # --- what must hold when all is healthy again ---

    def converge(self) -> None:
        """One more deploy, some minutes later, must leave one rental of the name.

        One whose time is over is ended first, as deploy says that it must be. What no list shows by
        now is counted later, when it must be gone.
        """
        self.world.pass_time(MINUTES)
        if self.is_over():
            self.expect("converge past the deadline", FAILURE, self.rent())
            self.expect("converge by a teardown", OK, self.release())
        self.expect("converge", OK, self.rent())
        left = judging.known(self.world.truth().of_name())
        if len(left) > 1:
            self.blame(DOUBLE, "converge", [f"{[row.id for row in left]} bill under one name"])

    def is_over(self) -> bool:
        """Whether the rental that counts is past its deadline."""
        truth = self.world.truth()
        rows = truth.of_name()
        # What no list shows is known by its bills, where there are any.
        counting = (rows if self.world.can["tells_charges"] else judging.known(rows))[:1]
        return any(0 < row.deadline <= truth.now for row in counting)

    def end(self) -> None:
        """One reaper, that knows nothing, must leave nothing that is past its deadline."""
        self.world.pass_time(BEYOND)
        self.world.fresh_controller()
        self.expect("last reap", OK, self.reap())
        innocent = {self.world.dialect.rental_id(one.id) for one in self.world.innocents}
        left = [row for row in self.world.truth().of_scope() if row.id not in innocent]
        self.blame(LEAKED, "last reap", [f"{row.id} ({row.label}) still bills" for row in left])


STEPS: dict[str, Callable[[Run], Answer | None]] = {
    "rent": Run.rent,
    "ready": Run.ready,
    "verify": Run.verify,
    "later": Run.ready,
    "again": Run.rent,
    "inventory": Run.inventory,
    "look": Run.look,
    "extend": Run.extend,
    "release": Run.release,
    "renew": Run.rent,
    "reap": Run.reap,
}


def alone(world: World, fault: NamedFault) -> Run:
    """One fault, planned anew before each operation and lifted after it.

    Each operation has a controller of its own, that remembers nothing.
    """
    run = Run(world, fault.name, DEFAULT_SEED)

    def meet(*steps: str) -> None:
        for step in steps:
            world.pass_time(APART)
            world.fresh_controller()
            world.plan([fault])
            answer = STEPS[step](run)
            world.lift()
            run.expect(step, expected(fault.name, step, world.can, world.dialect), answer)

    meet("rent", "ready", "verify")
    run.converge()
    world.pass_time(max((order.get("after_seconds", 0.0) for order in fault.orders), default=0.0))
    meet("later", "again", "inventory", "look", "extend", "release")
    run.expect("renew", OK, run.rent())
    run.converge()
    world.pass_time(PAST_DEADLINES)
    meet("reap")
    run.end()
    if not world.met[fault.name]:
        run.blame("missing", "met", ["no call ever met it"])
    return run


@dataclass(frozen=True)
class Combination:
    """Some faults, each with the step before which it begins.

    Before each step some time passes, and the controller may be a new one.
    """

    number: int
    seed: int
    faults: tuple[tuple[str, NamedFault], ...]
    pauses: tuple[float, ...]
    fresh: tuple[bool, ...]

    @classmethod
    def drawn(cls, faults: Sequence[NamedFault], seed: int, number: int) -> Combination:
        """The combination of this number; each can be drawn without the others."""
        lot = random.Random(f"{seed}/{number}")
        chosen = lot.sample(faults, lot.randint(2, 4))
        # Half of them begin with the first rental request, which most of them are about.
        moments = [lot.choice(["rent", lot.choice(list(STEPS))]) for _fault in chosen]
        pauses = tuple(lot.choice(PAUSES) for _step in STEPS)
        fresh = tuple(lot.random() < 0.5 for _step in STEPS)
        begun = tuple(zip(moments, chosen, strict=True))
        return cls(number, lot.randrange(1000), begun, pauses, fresh)

    def __str__(self) -> str:
        return f"combination {self.number} ({', '.join(f'{f.name}@{m}' for m, f in self.faults)})"


def combined(world: World, combination: Combination) -> Run:
    """Several faults that begin one after the other and last until the end."""
    run = Run(world, str(combination), combination.seed)
    turns = zip(STEPS.items(), combination.pauses, combination.fresh, strict=True)
    for (step, act), pause, fresh in turns:
        if fresh:
            world.fresh_controller()
        world.plan(fault for moment, fault in combination.faults if moment == step)
        world.pass_time(PAST_DEADLINES if step == "reap" else pause)
        act(run)
    world.lift()
    run.converge()
    run.end()
    return run


def play(
    make: Callable[[], Place], jobs: Sequence[Callable[[Place], Found]], workers: int
) -> Iterator[Found]:
    """Do the jobs in as many worlds, or pairs of them, as there are workers."""
    worlds: queue.SimpleQueue[Place] = queue.SimpleQueue()
    for _worker in range(workers):
        worlds.put(make())

    def on_free_world(job: Callable[[Place], Found]) -> Found:
        world = worlds.get()
        try:
            return job(world)
        finally:
            worlds.put(world)

    try:
        with ThreadPoolExecutor(workers) as pool:
            yield from pool.map(on_free_world, jobs)
    finally:
        for _worker in range(workers):
            worlds.get().close()


def possible(provider: str) -> tuple[list[NamedFault], dict[str, list[str]]]:
    """The faults that a provider can have, and the names of the others, by why it cannot."""
    dialect = dialect_of(provider)
    found: list[NamedFault] = []
    left_out: dict[str, list[str]] = {}
    for fault in EVERY_FAULT:
        why = fault.lacking(provider, dialect)
        if why:
            left_out.setdefault(why, []).append(fault.name)
        else:
            found.append(fault)
    return found, left_out


def chosen_faults(given: argparse.Namespace, faults: Sequence[NamedFault]) -> list[NamedFault]:
    """All of these faults, those of comma-separated names, or so many of them."""
    if given.only is not None:
        return [fault for fault in faults if fault.name in given.only.split(",")]
    if given.sample is not None:
        return random.Random(given.seed).sample(faults, given.sample)
    return list(faults)


def chosen_pairs(given: argparse.Namespace) -> list[Callable[[pairs.Markets], pairs.Run]]:
    """Each case with the trouble at either, those of one name, or a sixth as many as faults."""
    every = [(case, turned) for case in pairs.CASES for turned in (False, True)]
    if given.only_pair is not None:
        every = [one for one in every if one[0].name == given.only_pair]
        if not every:
            known = ", ".join(case.name for case in pairs.CASES)
            raise SystemExit(f"no such case: {given.only_pair}. There are: {known}")
    elif given.sample is not None:
        every = random.Random(given.seed).sample(every, given.sample // 6)
    return [partial(pairs.drill, case=case, turned=turned) for case, turned in every]


def check_names(only: str | None) -> None:
    """See that there are such faults. Raises SystemExit."""
    unknown = set(filter(None, (only or "").split(","))) - {fault.name for fault in EVERY_FAULT}
    if unknown:
        known = ", ".join(fault.name for fault in EVERY_FAULT)
        raise SystemExit(f"no such fault: {', '.join(sorted(unknown))}. There are: {known}")


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    made = argparse.ArgumentParser(prog="python -m tests.drills.faults", description=__doc__)
    made.add_argument(
        "--provider", default=DEFAULT_PROVIDER, help="whose market it is, or 'all' for one each"
    )
    made.add_argument("--seed", type=int, default=1, help="changes the combinations")
    made.add_argument("--combinations", type=int, default=DEFAULT_COMBINATIONS)
    made.add_argument("--only", help="names of faults, comma-separated; no combinations")
    made.add_argument("--only-combination", type=int, help="the number of one; no faults alone")
    made.add_argument("--only-pair", help="the name of a case at two providers; nothing else")
    made.add_argument("--sample", type=int, help="so many of the faults")
    made.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1))
    return made


def drill(provider: str, can: Mapping[str, Can], given: argparse.Namespace) -> Counter[str]:
    """Run one provider's faults, print what is wrong with each, and return the figures."""
    every, left_out = possible(provider)
    faults, numbers = chosen_faults(given, every), list(range(given.combinations))
    cases = chosen_pairs(given)
    if given.only is not None:
        numbers, cases = [], []
    if given.only_combination is not None:
        faults, numbers, cases = [], [given.only_combination], []
    if given.only_pair is not None:
        faults, numbers = [], []
    jobs: list[Callable[[World], Run]] = [
        lambda world, f=fault: alone(world, f) for fault in faults
    ]
    drawn = [Combination.drawn(every, given.seed, number) for number in numbers]
    jobs += [lambda world, c=one: combined(world, c) for one in drawn]
    began = time.monotonic()
    figures = Counter({"faults": len(faults), "combinations": len(numbers)})
    for run in play(lambda: World(provider, can[provider]), jobs, given.jobs):
        figures.update(told(run.found))
        if run.found and run.name.startswith("combination"):
            number = run.name.split()[1]
            again = f"--provider {provider} --seed {given.seed} --only-combination {number}"
            print(f"  again: {again}", flush=True)
    for pair in play(lambda: pairs.Markets(provider, can), cases, given.jobs):
        figures.update(told(pair.found))
    count = sum(map(len, left_out.values()))
    print(f"{provider}: {len(every)} faults, {count} left out; {time.monotonic() - began:.0f} s")
    for why, names in left_out.items():
        print(f"  {len(names)} because {why}: {', '.join(names)}")
    return figures + Counter(pairs=len(cases))


def told(found: Sequence[tuple[str, str]]) -> Counter[str]:
    """Print what is wrong with one run; return how often each figure is spoilt."""
    for figure, text in found:
        print(f"{figure}: {text}", flush=True)
    return Counter(figure for figure, _text in found)


def main() -> int:
    """Run the faults, print what is wrong with each, and end with the RESULT line."""
    given = parser().parse_args()
    check_names(given.only)
    with tempfile.TemporaryDirectory(prefix="inferops-faults-") as folder:
        # Ansible's own files of all operations: those that are killed take none of theirs away.
        os.environ |= {"TMPDIR": folder, "ANSIBLE_LOCAL_TEMP": folder}
        return drilled(given)


def drilled(given: argparse.Namespace) -> int:
    """Run what was chosen; return the exit status."""
    can = capabilities()
    chosen = list(can) if given.provider == EVERY_PROVIDER else [given.provider]
    if unknown := set(chosen) - set(can):
        raise SystemExit(f"no such provider: {', '.join(unknown)}. There are: {', '.join(can)}")
    figures = Counter[str]()
    for provider in chosen:
        figures += drill(provider, can, given)
    counted = ("missing", DOUBLE, LEAKED, WRONG, UNEXPLAINED)
    result = {
        **({"providers": len(chosen)} if given.provider == EVERY_PROVIDER else {}),
        "faults": figures["faults"],
        "missing": figures["missing"],
        "combinations": figures["combinations"],
        "pairs": figures["pairs"],
        **{name: figures[name] for name in counted[1:]},
    }
    print(f"RESULT {json.dumps(result)}")
    return 1 if any(figures[name] for name in counted) else 0


if __name__ == "__main__":
    sys.exit(main())
