# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one run has rented and spent, what is its to release, and whether it may try another host.

A run rents in attempts: one call of module rental, and what follows it until the host works. All of
this is decided here, from plain data; plays only do what it says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..errors import HostFault, ImageRefused
from ..mark import draw_nonce
from .starting import started_in

#: A rental request on a machine that a parallel host rents is never sent.
_NOT_SENT = "claimed"
#: The shell's own words for a program that could not be run at all.
_NEVER_RAN = (126, 127)
#: What a text has of one machine alone: its ids, addresses, ports and times.
_ITS_OWN = re.compile(r"[0-9a-f]{8,}|[0-9]+")
RELEASE, KEEP = "release", "keep"


@dataclass(frozen=True)
class Ledger:
    """What a run has sent and spent before the attempt that it is in now.

    ``nonce`` is that attempt's, drawn before its call: a call that is killed after its request
    takes along what it would have returned. ``attempts`` are those that failed and were released.
    ``installs`` says that no image has the engine, whatever was thought.
    """

    nonce: str = ""
    requests_sent: int = 0
    spent_usd: float = 0.0
    attempts: tuple[dict[str, Any], ...] = ()
    installs: bool = False

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Ledger:
        """The ledger that :meth:`to_dict` made *data* from; an empty one of a run without any."""
        return cls(
            nonce=str(data.get("nonce", "")),
            requests_sent=int(data.get("requests_sent", 0)),
            spent_usd=float(data.get("spent_usd", 0.0)),
            attempts=tuple(data.get("attempts", ())),
            installs=bool(data.get("installs", False)),
        )

    def to_dict(self) -> dict[str, Any]:
        """The ledger as plain data, with the machines that are rented no more."""
        blamed = (one for one in self.attempts if one["blame"] == "machine")
        machines = [one["machine_id"] for one in blamed if one["machine_id"]]
        return {
            "nonce": self.nonce,
            "requests_sent": self.requests_sent,
            "spent_usd": self.spent_usd,
            "attempts": list(self.attempts),
            "installs": self.installs,
            "shunned": machines,
        }

    def begun(self) -> Ledger:
        """With the nonce of another attempt."""
        return replace(self, nonce=draw_nonce())

    def counted(self, created: Mapping[str, Any]) -> Ledger:
        """With what the rental requests of this attempt's call have cost by themselves.

        What was rented on the way and released again was never listed, or too dear.
        """
        if self._is_older(created):
            return self
        sent = [one for one in created.get("attempts", ()) if one["outcome"] != _NOT_SENT]
        return replace(
            self,
            requests_sent=self.requests_sent + len(sent),
            spent_usd=self.spent_usd + sum(one["cost_usd"] for one in sent),
        )

    def requests_left(self, max_attempts: int) -> int:
        """How many rental requests the attempt that begins may send. It may send one."""
        return max(max_attempts - self.requests_sent, 1)

    def open_nonce(self, created: Mapping[str, Any]) -> str:
        """The nonce of what this attempt may have rented; empty where that is nothing.

        *created* is what its call of module rental returned, empty before it was made. Only what
        carries this nonce is this run's to release.
        """
        if is_silent(created):
            return self.nonce
        return self.nonce if created.get("nonce") == self.nonce else ""

    def has_seen(self, sign: str, machine: str) -> bool:
        """Whether another machine of this run has failed in the same way."""
        return bool(sign) and any(
            _common(one.get("sign") or "") == _common(sign) and one["machine_id"] != machine
            for one in self.attempts
        )

    def _is_older(self, created: Mapping[str, Any]) -> bool:
        """Whether *created* comes from an attempt before this one."""
        return created.get("nonce", "") not in ("", self.nonce)


def is_silent(created: Mapping[str, Any]) -> bool:
    """Whether the call has ended without a word of its own: nobody knows what it has done."""
    spoke = "nonce" in created or "failure" in created
    return bool(created) and not spoke and created.get("rc") not in _NEVER_RAN


def _common(sign: str) -> str:
    """What another machine that fails for the same reason shows, too."""
    return _ITS_OWN.sub("#", sign.casefold())


@dataclass(frozen=True)
class Limits:
    """What a run may take: rental requests, and dollars where ``budget_usd`` is not 0."""

    max_attempts: int
    budget_usd: float = 0.0


@dataclass(frozen=True)
class Failure:
    """What ended an attempt: the task's message, at which stage, and who is to blame for it.

    Both are empty where the host has not failed: the market did, or this controller. ``sign`` is
    what another machine would show too if it were not the machine's. ``bare`` is the message
    without what it says of a rental that bills: who releases it says what became of it. ``cause``
    and ``kind`` are those of the market's error.
    """

    message: str
    stage: str = ""
    blame: str = ""
    sign: str = ""
    bare: str = ""
    cause: str = ""
    kind: str = ""

    @classmethod
    def of(cls, result: Mapping[str, Any], looks: Iterable[Mapping[str, Any]] = ()) -> Failure:
        """The failure in the result of a task. *looks* are those at the host before it.

        A host that had let us in and does not answer any of them is to blame without a word.
        """
        silent = any(look.get("unreachable") for look in looks)
        told = result.get("failure")
        if not told or not isinstance(told, Mapping):
            told = {"stage": "ssh", "blame": "machine"} if silent else {}
        return cls(
            message=str(result.get("msg") or "no message"),
            stage=str(told.get("stage", "")),
            blame=str(told.get("blame", "")),
            sign=str(told.get("sign", "")),
            bare=_without_bill(told),
            cause=str(told.get("cause") or ""),
            kind=str(told.get("kind", "")),
        )

    @property
    def is_a_cut_off_runs(self) -> bool:
        """Whether another run has left the host before it could be proven to be ours."""
        return self.blame == "run"

    @property
    def is_the_machines(self) -> bool:
        """Whether this machine is to blame, so that another one helps."""
        return bool(self.stage) and self.blame == "machine"


def fallen_silent(looks: Iterable[Mapping[str, Any]]) -> str:
    """What is said of a host that let us in and answers one of these tasks no more; else empty."""
    silent = next((look for look in looks if look.get("unreachable")), None)
    if silent is None:
        return ""
    said = silent.get("msg") or "no reason known"
    return f"The host accepted SSH and does not answer any more: {said}"


def _lacks_our_image(failure: Failure, created: Mapping[str, Any]) -> bool:
    """Whether no host gets the image with an engine in it that we chose, and nobody asked for."""
    ours = bool((created.get("offer") or {}).get("engine_image"))
    return ours and failure.kind == ImageRefused.__name__


@dataclass(frozen=True)
class Verdict:
    """What becomes of a failed attempt.

    ``release`` is the nonce by which it is released, empty where it is not, and ``release_id`` its
    id where that is known: labels are written into, ids are not. ``shunned`` is the
    machine that is to blame, empty where none is. ``stop`` is the id of an older rental that this
    run has started, or may have, and that has to stand still again; empty where there is none.
    ``stop_provider`` says whose it is.
    """

    try_next: bool
    release: str
    release_id: str
    shunned: str
    #: What is said before anything is released.
    told: str
    attempt: dict[str, Any]
    ledger: Ledger
    stop: str = ""
    stop_provider: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The verdict as plain data."""
        return {**asdict(self), "ledger": self.ledger.to_dict()}


def _without_bill(told: Mapping[str, Any]) -> str:
    """Cause and remedy of a failure; empty where it has no cause of its own."""
    remedy = str(told.get("remedy") or "")
    if remedy == HostFault.remedy_default:
        remedy = ""
    # That is done already; what else helps is behind it.
    done, _semicolon, more = remedy.partition("; ")
    if more and f"{done}." == HostFault.remedy_default:
        remedy = more[0].upper() + more[1:]
    return " ".join(filter(None, (str(told.get("cause") or ""), remedy)))


def judge(
    ledger: Ledger,
    created: Mapping[str, Any],
    failure: Failure,
    rental: Mapping[str, Any],
    cost_usd: float,
    limits: Limits,
    on_failure: str,
) -> Verdict:
    """What becomes of an attempt that failed when its rental had cost so much.

    Only a machine that is to blame makes room for the next one, and only where this run has rented
    it, may release it and has a rental request left. So does what a run that was cut off has left,
    and an image of our own choice that nobody gets: then the next one is installed.
    """
    nonce = ledger.open_nonce(created)
    if failure.is_a_cut_off_runs:
        nonce = str((rental.get("mark") or {}).get("nonce") or "")
    release = nonce if on_failure == RELEASE else ""
    counted = ledger.counted(created)
    machine = str(rental.get("machine_id") or "")
    alike = ledger.has_seen(failure.sign, machine)
    no_image = _lacks_our_image(failure, created)
    try_next = (
        bool(release)
        and not alike
        and (failure.is_the_machines or failure.is_a_cut_off_runs or no_image)
        and counted.requests_sent < limits.max_attempts
        and _leaves_enough(counted.spent_usd, cost_usd, limits.budget_usd)
    )
    # Of what there is to bill, the last message speaks by itself.
    reason = (failure.bare if release or rental else "") or failure.message
    more = f" {_alike(failure.sign)}" if alike else ""
    if no_image:
        counted = replace(counted, installs=True)
        # What the error advises is for whoever has named the image.
        reason, more = failure.cause, f" {_NO_IMAGE}"
    attempt = {
        "rental": str(rental.get("id") or ""),
        "machine_id": machine,
        "stage": failure.stage,
        "blame": "" if alike else failure.blame,
        "sign": failure.sign,
        "message": f"{reason}{more}",
        "cost_usd": cost_usd,
    }
    shunned = machine if failure.is_the_machines and not alike else ""
    made = created.get("rental") if release else None
    release_id = str((made or {}).get("id") or "")
    told = f"{failure.message}{more}"
    started = started_in(created) if on_failure == RELEASE else {}
    stop, whose = started.get("started", ""), started.get("started_provider", "")
    return Verdict(try_next, release, release_id, shunned, told, attempt, counted, stop, whose)


_NO_IMAGE = "Nobody asked for this image: from now on the engine is installed."

#: What to look at when two machines have failed in the same way, by the beginning of their sign.
_COMMON_CAUSES = {
    "black-holed": "See whether this controller may connect to other ports than 80 and 443.",
    "connect": "See whether this controller may connect by SSH, and whether names resolve.",
    "host key": "See whether inferops_scope_secret is the one that this scope was begun with.",
    "login": "See whether inferops_ssh_private_key_file is the key that the hosts are given.",
    "boot": "See what it says there, and whether rent_image is the image that you want.",
    "ended": "See the account's credit, and whether rent_image can run there.",
}


def _alike(sign: str) -> str:
    helps = next((text for word, text in _COMMON_CAUSES.items() if sign.startswith(word)), "")
    return f"Another machine has failed in the same way, so none of them is to blame. {helps}"


def _leaves_enough(spent_usd: float, cost_usd: float, budget_usd: float) -> bool:
    """Whether the rest of the budget lets the next attempt get at least as far as this one."""
    return not budget_usd or spent_usd + 2 * cost_usd < budget_usd


def after_release(
    ledger: Ledger, attempt: Mapping[str, Any], released: Iterable[Mapping[str, Any]]
) -> Ledger:
    """The ledger after an attempt was released, for the next one.

    A host that has ended by itself is not among the *released*, and has cost all the same.
    """
    cost = max(sum(one["cost_usd"] for one in released), attempt["cost_usd"])
    return replace(
        ledger,
        spent_usd=ledger.spent_usd + cost,
        attempts=(*ledger.attempts, {**attempt, "cost_usd": cost}),
    ).begun()
