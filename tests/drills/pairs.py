# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drill of faults at two providers at once: one name, two accounts, and one market in trouble.

What a step says is held against both markets together. Afterwards all is healthy: some deploys must
leave one rental in both (P1), a teardown none (P2), and one reaper after all deadlines none either
(P3), though another one met a market that was down. faults.py runs it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.drills import judging, operations
from tests.drills.expectations import FAILURE, OK, Can
from tests.drills.operations import Answer, Leash, Operation
from tests.drills.world import DISK_GIB, NAME, SCOPE, Truth, World
from tests.simulator.app import DEFAULT_PROVIDER
from tests.simulator.offers import DEFAULT_SEED
from tests.simulator.web import Request

#: Whose market is beside that of a provider; of the first itself, the second.
PARTNERS = (DEFAULT_PROVIDER, "runpod")
SECRET = "a-secret-of-20-letters"
#: Its controller shares no listing with the one before.
APART = 60.0
#: By then what was late shows, and a younger rental of two may be released by anybody.
SETTLED = 900.0
DAY = 86_400.0
ALWAYS = 100_000
DOWN = {"kind": "reply", "times": ALWAYS, "status": 503, "body": {"detail": "unavailable"}}
LOST = {"kind": "drop_after_commit", "on": "create"}


@dataclass(frozen=True)
class Case:
    """What happens to one name at two markets.

    ``steps`` are names of methods of Run, each with how it should end; an empty end is no answer.
    ``orders`` are the faults of the market in trouble, which begin with step "trouble".
    """

    name: str
    story: str
    steps: tuple[tuple[str, str], ...]
    orders: tuple[dict[str, Any], ...] = (DOWN,)

    def __str__(self) -> str:
        return self.name


CASES = (
    Case(
        "down",
        "One market is down: the name is rented at the other, and not called gone while it is.",
        (("trouble", ""), ("rent", OK), ("release", FAILURE), ("reap", FAILURE)),
    ),
    Case(
        "down-where-it-was-rented",
        "It is rented at a market that goes down: whoever has seen it there rents nothing else.",
        (("rent_here", OK), ("trouble", ""), ("rent", FAILURE), ("release", FAILURE)),
    ),
    Case(
        "down-and-forgotten",
        "It is rented at a market that goes down, and a controller that has never seen it deploys.",
        (("rent_here", OK), ("trouble", ""), ("forget", ""), ("rent", OK), ("heal", "")),
    ),
    Case(
        "down-from-the-third-call",
        "A market goes down while the name is looked for.",
        (("trouble", ""), ("rent", ""), ("release", FAILURE)),
        ({**DOWN, "skip": 2},),
    ),
    Case(
        "down-after-the-request",
        "A rental request is carried out, its answer is lost, and its market is down from then on.",
        (
            ("trouble", ""),
            ("down_next", ""),
            ("rent_here", FAILURE),
            ("release", FAILURE),
            ("rent", ""),
        ),
        (LOST,),
    ),
    Case(
        "done-and-late",
        "A rental request is carried out, its answer is lost, and it shows ten minutes later.",
        (("trouble", ""), ("rent_here", FAILURE), ("forget", ""), ("rent", OK)),
        (LOST, {"kind": "hidden", "seconds": 600.0}),
    ),
    Case(
        "done-and-told-500",
        "A rental request is carried out and answered with an internal error.",
        (("trouble", ""), ("rent_here", OK)),
        ({"kind": "reply_after_commit", "on": "create", "status": 500, "body": {"detail": "no"}},),
    ),
    Case(
        "killed-after-the-request",
        "A module dies when its request is carried out, and the market is down for the next one.",
        (("kill_next", ""), ("rent_here", ""), ("trouble", ""), ("forget", ""), ("rent", OK)),
    ),
    Case(
        "listed-late",
        "Lists of a market are behind while another controller deploys the same name.",
        (("trouble", ""), ("rent_here", OK), ("forget", ""), ("rent", OK)),
        ({"kind": "list_lag", "seconds": 300.0},),
    ),
    Case(
        "key-refused",
        "One account's key is refused: nothing is rented, and nothing is called gone.",
        (("trouble", ""), ("rent", FAILURE), ("release", FAILURE), ("reap", FAILURE)),
        ({"kind": "reply", "times": ALWAYS, "saying": "bad key"},),
    ),
    Case(
        "ends-that-do-nothing",
        "A market says that it has ended what it has not, at a teardown of both.",
        (("rent_here", OK), ("trouble", ""), ("release", FAILURE)),
        ({"kind": "destroy_noop", "times": ALWAYS},),
    ),
)


@dataclass
class Run:
    """One case in two markets whose time passes together; the one in trouble is the first."""

    case: Case
    worlds: tuple[World, World]
    found: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for world in self.worlds:
            world.begin(DEFAULT_SEED)
        self.here, self.other = self.worlds
        self.name = f"{self.case} of {self.here.provider} beside {self.other.provider}"
        self.other.market.clock = self.here.market.clock
        self.leash = Leash()
        #: What happens when the next rental request is carried out.
        self.when_rented: Callable[[], None] | None = None
        self.here.watch = self.watch

    # --- steps ---

    def rent(self) -> Answer:
        """Deploy the name where it is best."""
        whole_hours = any(world.dialect.whole_hours for world in self.worlds)
        return self.judged(
            "rental",
            judging.rent,
            name=NAME,
            image=self.image or None,
            ssh_public_key=self.here.public_key,
            disk_gib=DISK_GIB,
            deadline_hours=self.lifetime_hours,
            duration_hours=self.lifetime_hours if whole_hours else None,
            max_price_usd_per_hour=self.most_usd_per_hour,
            reaper=True,
        )

    def rent_here(self) -> Answer:
        """Deploy the name while the other market has nothing to rent."""
        offers = dict(self.other.market.offers)
        self.other.market.offers.clear()
        try:
            return self.rent()
        finally:
            self.other.market.offers.update(offers)

    def release(self) -> Answer:
        """Tear the name down at both."""
        return self.judged("rental", judging.release, name=NAME, state="absent")

    def reap(self) -> Answer:
        """Let the reaper release at both, as far as it can ask them."""
        return self.judged("rental_reap", judging.reap, release=True)

    def forget(self) -> None:
        """Let another controller go on, that remembers nothing."""
        self.pass_time(APART)
        self.here.fresh_controller()

    def trouble(self) -> None:
        """Let the faults begin."""
        self.plan(self.case.orders)

    def heal(self) -> None:
        """Let the faults end; each must have been met."""
        planned = self.here.simulator.faults.planned
        self.blame("missing", "met", [f"nothing met {one.kind}" for one in planned if not one.met])
        self.plan(())

    def plan(self, orders: Sequence[Mapping[str, Any]]) -> None:
        """Let exactly these faults be under way."""
        self.here.simulator.faults.replace([dict(order) for order in orders])

    def kill_next(self) -> None:
        """Let the next module die once its rental request is carried out."""
        self.when_rented = lambda: self.leash.pull()

    def down_next(self) -> None:
        """Let the market go down once the next rental request is carried out."""
        self.when_rented = lambda: self.plan((DOWN,))

    def watch(self, phase: str, request: Request, _number: int) -> None:
        """The market calls this for each request."""
        is_create = self.here.dialect.requests["create"].matches(request)
        if self.when_rented and phase == "after" and is_create:
            happens, self.when_rented = self.when_rented, None
            happens()

    # --- what a step does ---

    @property
    def asked(self) -> Sequence[World]:
        """The markets that answer: of another one nobody can know anything."""
        is_down = any(not fault.path for fault in self.here.simulator.faults.planned)
        return self.worlds[1:] if is_down else self.worlds

    def judged(self, kind: str, judge: Callable[..., list[str]], **options: Any) -> Answer:
        """Perform one operation and hold what it says against the markets that answer."""
        before, answer = self.truth(self.asked), self.perform(kind, options)
        after = self.truth(self.asked)
        if not answer.silent:
            self.blame("unexplained", kind, judging.unexplained(kind, answer, after))
        if not answer.silent and not answer.problem:
            self.blame("wrong_verdicts", judge.__name__, judge(answer, before, after))
        for world in self.worlds:
            self.blame("wrong_verdicts", judge.__name__, world.disturbed())
        return answer

    def perform(self, kind: str, options: Mapping[str, Any]) -> Answer:
        """Let the controller do something with both accounts."""
        accounts = [
            {
                "provider": world.provider,
                "api_url": world.simulator.url + world.dialect.api_path,
                **world.dialect.credentials,
            }
            for world in self.worlds
        ]
        shared = {
            "accounts": accounts,
            "scope": SCOPE,
            "scope_secret": SECRET,
            "controller_dir": self.here.controller_dir,
        }
        self.leash = Leash()
        answer = operations.run(Operation(kind, {**shared, **options}), self.serve, self.leash)
        for world in self.worlds:
            world.await_boots()
        return answer

    def serve(self, word: str, given: Any) -> Any:
        """What an operation's process asks for."""
        if word == "now":
            return self.here.market.clock.now()
        if word == "sleep":
            self.pass_time(given)
        return None

    def pass_time(self, seconds: float) -> None:
        """Let time pass in both."""
        for world, passes in zip(self.worlds, (seconds, 0.0), strict=True):
            world.pass_time(passes)

    @property
    def image(self) -> str:
        """What some offers take alone; the first provider takes any. Empty where the usual does."""
        images = (one.dialect.image for one in self.worlds if one.provider != DEFAULT_PROVIDER)
        return next(filter(None, images), "")

    @property
    def lifetime_hours(self) -> float:
        """How long a rental lasts, as far as both rent for so long."""
        return min(world.lifetime_hours for world in self.worlds)

    @property
    def most_usd_per_hour(self) -> float:
        """What a rental may cost at either."""
        return max(world.most_usd_per_hour for world in self.worlds)

    def truth(self, worlds: Sequence[World]) -> Truth:
        """What there is in these markets together."""
        rows = [row for world in worlds for row in world.truth().rows]
        rows.sort(key=lambda row: (row.dead, row.created_at))
        now, hours = self.here.market.clock.now(), self.lifetime_hours
        return Truth(now, tuple(rows), hours, self.most_usd_per_hour, math.inf)

    # --- findings ---

    def blame(self, figure: str, step: str, texts: list[str]) -> None:
        """Note what is wrong."""
        self.found += [(figure, f"{self.name}: {step}: {text}") for text in texts]

    def expect(self, step: str, wanted: str, answer: Answer | None) -> Answer | None:
        """Hold an answer against how it should end."""
        if answer is None or not wanted or answer.problem:
            return answer
        if answer.failed != (wanted == FAILURE):
            told = answer.result.get("msg") or "well"
            self.blame("wrong_verdicts", step, [f"expected {wanted}, but it ended with: {told}"])
        return answer

    # --- what must hold ---

    def follow(self) -> None:
        """Take the steps of the case, then see whether all of it converges."""
        for step, wanted in self.case.steps:
            self.pass_time(APART)
            self.expect(step, wanted, getattr(self, step)())
        self.heal()
        self.converge()
        self.pass_time(APART)
        self.expect("teardown", OK, self.release())
        self.end()

    def converge(self) -> None:
        """Deploys of a controller that knows nothing leave one rental in both, some minutes on."""
        for _deploy in range(2):
            self.pass_time(SETTLED)
            self.here.fresh_controller()
            self.expect("converge", OK, self.rent())
        left = judging.known(self.truth(self.worlds).of_name())
        if len(left) != 1:
            ids = [one.id for one in left]
            self.blame("double_rented", "converge", [f"{ids} bill under one name"])

    def end(self) -> None:
        """What two controllers have rented ends after its deadline, at a market each.

        A reaper that meets one of them down releases what it can, and says whom it could not ask.
        """
        self.forget()
        self.expect("one more rental", OK, self.rent_here())
        self.forget()
        self.plan((DOWN,))
        self.expect("another one elsewhere", OK, self.rent())
        self.pass_time(self.lifetime_hours * 3600 + DAY)
        for orders, wanted in (((DOWN,), FAILURE), ((), OK)):
            self.plan(orders)
            self.forget()
            self.expect("last reap", wanted, self.reap())
            left = self.truth(self.asked).of_name()
            self.blame("leaked", "last reap", [f"{one.id} still bills" for one in left])


def partner_of(provider: str) -> str:
    """Whose market is beside that of a provider."""
    return next(name for name in PARTNERS if name != provider)


class Markets:
    """The market of a provider and that of its partner."""

    def __init__(self, provider: str, every_can: Mapping[str, Can]) -> None:
        partner = partner_of(provider)
        # One name in both would be a duplicate, and not every label has room for a longer scope.
        self.first, self.second = (
            World(name, every_can[name], secret=SECRET, names=((SCOPE, another), ("other", NAME)))
            for name, another in ((provider, "gpu-2"), (partner, "gpu-3"))
        )

    def close(self) -> None:
        """Stop both."""
        self.first.close()
        self.second.close()


def drill(markets: Markets, case: Case, turned: bool) -> Run:
    """One case, with the trouble at the provider, or *turned* at its partner."""
    worlds = (markets.first, markets.second)
    run = Run(case, worlds[::-1] if turned else worlds)
    run.follow()
    return run
