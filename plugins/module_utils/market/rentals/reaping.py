# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which rentals of a scope should end: a verdict on each, from the provider's list alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import RequestRefused
from ..mark import Mark
from ..model import DEAD, RUNNING, Rental

ADOPTED, ORPHAN, EXPIRED, DUPLICATE, UNKNOWN = (
    "adopted",
    "orphan",
    "expired",
    "duplicate",
    "unknown",
)
VERDICTS = (ADOPTED, EXPIRED, DUPLICATE, ORPHAN, UNKNOWN)
#: A younger rental of a name may belong to a controller that is about to release it itself.
_DUPLICATE_SETTLES_SECONDS = 300.0


@dataclass(frozen=True)
class Judgement:
    """One rental's verdict with its reason; ``release`` says whether a reaper may end it."""

    rental: Rental
    verdict: str
    reason: str
    release: bool

    def to_dict(self, now: float) -> dict[str, Any]:
        """The judgement as plain data; ``now`` is in epoch seconds."""
        mark = self.rental.mark
        return {
            "provider": self.rental.provider,
            "id": self.rental.id,
            "name": mark.name if mark else None,
            "deadline": mark.deadline if mark else None,
            "verdict": self.verdict,
            "reason": self.reason,
            "release": self.release,
            "price_usd_per_hour": self.rental.price_usd_per_hour,
            "billed_usd_per_hour": self.rental.billed_usd_per_hour,
            "cost_usd": self.rental.cost_usd(now),
            "console_url": self.rental.console_url,
        }


@dataclass(frozen=True)
class Clocks:
    """The time in epoch seconds by the controller's clock and by the provider's."""

    controller: float
    provider: float

    @property
    def both(self) -> tuple[float, float]:
        """Both times, to judge by each."""
        return self.controller, self.provider


def judge_rentals(
    rentals: list[Rental],
    damaged: list[Rental],
    clocks: Clocks,
    names: Collection[str] | None,
    strict: bool,
) -> list[Judgement]:
    """A verdict on each of the scope's rentals and of those with a damaged mark.

    *rentals* are sorted by their precedence: the first of a name is the one that counts.

    ``names`` is what the inventory names, None when there is no inventory to compare with; what
    it does not name is an orphan, and may be released only when ``strict``.
    """
    judgements = [Judgement(one, UNKNOWN, _doubt(one), False) for one in damaged]
    counting: dict[str, Rental] = {}
    for rental in rentals:
        mark = rental.mark
        if mark is None:
            raise ValueError("only rentals with a mark can be judged")
        judgement = _by_deadline(rental, mark, clocks)
        if judgement is None:
            # What ends anyway takes no name away from a younger one.
            first = counting.setdefault(mark.name, rental)
            named = names is None or mark.name in names
            judgement = _by_name(rental, first, clocks, named, strict)
        judgements.append(judgement)
    return judgements


def _doubt(rental: Rental) -> str:
    if rental.claim is None:
        return "its mark was changed by hand"
    return "its mark is not proven by the secret of this scope"


def _by_deadline(rental: Rental, mark: Mark, clocks: Clocks) -> Judgement | None:
    past = [bool(mark.deadline) and now >= mark.deadline for now in clocks.both]
    if all(past):
        return Judgement(rental, EXPIRED, f"past its deadline {mark.deadline}", True)
    if not any(past):
        return None
    apart = abs(clocks.controller - clocks.provider)
    reason = (
        "by one clock it is past its deadline, by the other it is not: the controller's and the "
        f"provider's are {apart:.0f} s apart, so set the controller's"
    )
    return Judgement(rental, UNKNOWN, reason, False)


def _by_name(rental: Rental, first: Rental, clocks: Clocks, named: bool, strict: bool) -> Judgement:
    if rental.id != first.id:
        settled = is_settled(rental, min(clocks.both))
        ahead = "lives" if rental.status in DEAD and first.status not in DEAD else "is older"
        reason = f"{first.id} {ahead} under the same name"
        if not settled:
            reason += "; its own controller may be releasing it"
        if waits(rental, first):
            reason += " and has not run yet"
            settled = False
        return Judgement(rental, DUPLICATE, reason, settled)
    if not named:
        return Judgement(rental, ORPHAN, "the inventory does not name it", strict)
    return Judgement(rental, ADOPTED, "the rental of its name that counts", False)


def waits(rental: Rental, first: Rental) -> bool:
    """Whether a dead rental stays until the younger *first* of its name, which lives, has run.

    What has served, and may be shown wrongly, is never ended for what has not served yet.
    """
    return rental.status in DEAD and first.status not in (*DEAD, RUNNING)


def is_settled(rental: Rental, now: float) -> bool:
    """Whether a duplicate is old enough that no controller is about to release it itself."""
    return bool(rental.since) and now - rental.since >= _DUPLICATE_SETTLES_SECONDS


#: AWX names the workflow that a job belongs to, and tells no job that it is a slice.
_WORKFLOWS = ("awx_workflow_job_id", "tower_workflow_job_id")


def refuse_part(variables: Mapping[str, Any]) -> None:
    """Raise RequestRefused where a run with these variables may see a part of the inventory only.

    What such a part does not name is no orphan.
    """
    limit = variables.get("ansible_limit")
    if limit is None and not any(name in variables for name in _WORKFLOWS):
        return
    seen = "a job of a workflow, which may be a slice" if limit is None else f"--limit {limit}"
    raise RequestRefused(
        "reap_strict compares the rentals with the whole inventory, but this run sees only a part "
        f"of it or may do so ({seen}).",
        remedy="Run it without --limit, in a job template of its own.",
        money="Nothing was released.",
    )
