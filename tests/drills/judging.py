# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is what an operation says true, and does its failure explain itself?

A judge gets an answer and the truth before and after it, and returns what is wrong about it. What
no honest list shows yet cannot be known by name, so it is held against nobody before it shows.
"""

from __future__ import annotations

import re

from tests.drills.operations import Answer
from tests.drills.world import (
    FIRST_KEY,
    NAME,
    Row,
    Truth,
)

#: What a message says when it claims that a call left nothing behind, or that there is nothing.
CLAIMS_NOTHING = re.compile(r"nothing was rented|nothing bills|rented nothing", re.IGNORECASE)
NOTHING_BILLS = re.compile(r"nothing bills", re.IGNORECASE)
NOT_MOVED = re.compile(r"stays as it was", re.IGNORECASE)
NONE_THERE = re.compile(r"nothing is rented", re.IGNORECASE)
#: What an inventory must say when it cannot tell, in the plugin's own words: Ansible puts it
#: between these two.
INVENTORY_SAYS = re.compile(r"Failed to parse .*?rentals\.yml(.*?)Unable to parse", re.DOTALL)
REMEDY = re.compile(r"\b(Check the key|Try again|Check the network|[Rr]un again)\b")
#: What says where money is at stake: a rate, or the page that shows and ends it.
STAKES = re.compile(r"dollars an hour|https?://\S+")
#: Remedies of a whole class of errors where a better one is always known.
BARE = ("Change what it names.", "Run again, or widen the wish.")
#: Prices come rounded.
ROUNDED = 0.0005
#: The provider's clock may be so far off: nobody can do better.
HOURS_APART = 3.0


def rent(answer: Answer, before: Truth, after: Truth) -> list[str]:
    """A success has exactly the rental that it names; a failure does not deny what it made."""
    if answer.failed:
        money = answer.result.get("failure", {}).get("money", "")
        made = [row.id for row in after.of_name() if row.created_at >= before.now]
        if made and CLAIMS_NOTHING.search(money):
            return [f"it says {money!r}, but it made {', '.join(made)}"]
        there = [row.id for row in known(after.of_name())]
        if there and NOTHING_BILLS.search(money):
            return [f"it says {money!r}, but {', '.join(there)} bills"]
        return []
    told = answer.result.get("rental") or {}
    there = {row.id: row for row in after.of_name()}
    row = there.get(told.get("id", ""))
    if row is None:
        return [f"it says that {told.get('id')} is rented, but there is {sorted(there) or None}"]
    is_new = row.created_at >= before.now
    # Somebody may have written into a new one after it was looked at.
    if told["label"] != row.label and not (is_new and told["label"] == row.came_with):
        return [f"it shows the label {told['label']} of {row.id}, which is {row.label}"]
    if is_new and beyond(row, after):
        return beyond(row, after)
    told_of = f"{answer.result.get('duplicates')} {answer.result.get('warnings')}"
    return [
        f"it keeps {row.id} and is silent about {other.id} under the same name"
        for other in there.values()
        if other.listed and other.id != row.id and other.id not in told_of
    ]


def beyond(row: Row, truth: Truth) -> list[str]:
    """Which limits of the deploy a new rental breaks, by what it really costs."""
    price = row.price_usd_per_hour
    hours = (row.deadline - row.created_at) / 3600
    wanted = min(truth.lifetime_hours, (truth.budget_usd - row.download_usd) / price)
    wrong = []
    if price > truth.most_usd_per_hour + ROUNDED:
        wrong.append(f"{row.id} costs {price:.4f} an hour, more than {truth.most_usd_per_hour}")
    if row.most_usd > truth.budget_usd + HOURS_APART * price:
        wrong.append(f"{row.id} may cost {row.most_usd:.2f}, more than {truth.budget_usd}")
    if abs(hours - wanted) > HOURS_APART:
        wrong.append(f"{row.id} lives for {hours:.1f} h instead of {wanted:.1f} h")
    return wrong


def release(answer: Answer, _before: Truth, after: Truth) -> list[str]:
    """A success leaves nothing of the name that can be known of."""
    if answer.failed:
        return []
    return [f"it says that {NAME} is gone, but {one.id} is there" for one in known(after.of_name())]


def stop(answer: Answer, _before: Truth, after: Truth) -> list[str]:
    """A success leaves nothing of the name that can be known of and runs."""
    if answer.failed:
        return []
    runs = [one.id for one in known(after.of_name()) if not one.dead]
    return [f"it says that {NAME} stands still, but {one} runs" for one in runs]


def rescue(answer: Answer, after: Truth, nonce: str) -> list[str]:
    """A success leaves nothing that the silent call before it has rented."""
    there = (
        [] if answer.failed else [one.id for one in known(list(after.rows)) if one.nonce == nonce]
    )
    return [f"it says that nothing is left of the call, but {one} is there" for one in there]


def returned(before: Truth, after: Truth, later: Truth) -> list[str]:
    """What an operation took away does not come back within the time of its own proof."""
    back = (before.ids() - after.ids()) & later.ids()
    return [f"{one} came back just after it was called gone" for one in sorted(back)]


def known(rows: list[Row]) -> list[Row]:
    """Those that an honest list shows."""
    return [row for row in rows if row.listed]


def reap(answer: Answer, before: Truth, after: Truth) -> list[str]:
    """Each verdict is the true one or ``unknown`` with a failure, and none is missing."""
    verdicts = answer.result.get("verdicts")
    if verdicts is None:
        return [] if answer.failed else ["it neither fails nor gives verdicts"]
    wrong = []
    told = {one["id"]: one for one in verdicts}
    there = after.ids()
    for rental_id, one in told.items():
        if one["outcome"] == "released" and rental_id in there:
            wrong.append(f"it says that it released {rental_id}, which is there")
        if one["verdict"] == "unknown" and not answer.failed:
            wrong.append(f"it does not know about {rental_id} and ends well")
    for row, allowed in true_verdicts(before, after).values():
        verdict = told.pop(row.id, {}).get("verdict", "missing")
        if verdict not in allowed and not (verdict == "unknown" and answer.failed):
            wrong.append(f"{row.id} ({row.label}) is {' or '.join(allowed)}, it says {verdict}")
    strangers = [one for one in told if one not in before.ids() | there]
    return wrong + [f"it judges {one}, which does not exist" for one in strangers]


def true_verdicts(before: Truth, after: Truth) -> dict[str, tuple[Row, set[str]]]:
    """The verdicts that are right about the listed rentals of the fleet; by their ids.

    While an operation takes its time, a deadline may pass.
    """
    allowed: dict[str, tuple[Row, set[str]]] = {}
    for now in (before.now, after.now):
        counting: dict[str, str] = {}
        for row in known(before.of_scope()):
            if row.deadline and now >= row.deadline:
                verdict = "expired"
            else:
                first = counting.setdefault(row.name, row.id)
                verdict = "adopted" if first == row.id else "duplicate"
            allowed.setdefault(row.id, (row, set()))[1].add(verdict)
    return allowed


def inventory(answer: Answer, _before: Truth, after: Truth) -> list[str]:
    """The hosts are the listed rentals of the fleet, of several with one name the first."""
    if answer.failed:
        return []
    true: dict[str, str] = {}
    for row in known(after.of_scope()):
        true.setdefault(row.name, row.id)
    shown = answer.result["hosts"]
    return [] if shown == true else [f"it shows {shown}, but there is {true}"]


def ready(answer: Answer, stage: str, is_to_blame: bool) -> list[str]:
    """A success can be logged in to, and only who is at fault is blamed."""
    if not answer.failed:
        return [] if stage == "ready" else [f"it says that SSH is ready, but it is {stage}"]
    failure = answer.result.get("failure", {})
    if failure.get("kind") != "HostFault":
        return []
    if failure["blame"] != "machine":
        right = stage in ("login", FIRST_KEY)
        return [] if right else [f"it blames the {failure['blame']}: {failure['cause']}"]
    return [] if is_to_blame else [f"it blames a host that is not at fault: {failure['cause']}"]


def extend(answer: Answer, before: Truth, after: Truth) -> list[str]:
    """A success has moved a deadline as it says; a failure denies neither a rental nor a move."""
    if answer.failed:
        return _denials(answer.result.get("msg", ""), before, after)
    told = answer.result["rental"]
    there = {row.id: row for row in after.of_name()}
    if told["id"] not in there:
        return [f"it extends {told['id']}, but there is {sorted(there) or None}"]
    row = there[told["id"]]
    return [] if told["label"] == row.label else [f"it says {told['label']}, but it is {row.label}"]


def _denials(message: str, before: Truth, after: Truth) -> list[str]:
    there = [row.id for row in known(after.of_name())]
    if there and NONE_THERE.search(message):
        return [f"it says that nothing is rented, but there is {', '.join(there)}"]
    deadlines = {row.id: row.deadline for row in before.of_name()}
    moved = [row.id for row in after.of_name() if deadlines.get(row.id) != row.deadline]
    if moved and NOT_MOVED.search(message):
        return [f"it says that the deadline of {', '.join(moved)} stays, but it has moved"]
    return []


def verify(answer: Answer, lies: bool) -> list[str]:
    """A host is refused when it lies, and only then."""
    if answer.failed == lies:
        return []
    return ["it accepts a host that lies" if lies else "it refuses an honest host"]


def unexplained(kind: str, answer: Answer, after: Truth) -> list[str]:
    """What a failure leaves open: its cause, a remedy that fits, or the money at stake."""
    if answer.problem:
        return [answer.problem]
    if not answer.failed:
        return []
    there = [row.id for row in known(after.of_name())]
    if kind == "inventory":
        said = INVENTORY_SAYS.search(answer.result["said"])
        message = " ".join(said[1].split()) if said else ""
        parts = {"remedy": bool(REMEDY.search(message)), "money": _tells_stakes(message, there)}
    else:
        message, failure = answer.result.get("msg", ""), answer.result.get("failure", {})
        parts = {
            part: bool(failure.get(part)) and failure[part] in message
            for part in ("cause", "remedy", "money")
        }
        parts["remedy"] = parts["remedy"] and failure["remedy"] not in BARE
        parts["money"] = parts["money"] and _tells_stakes(failure["money"], there)
    return [
        f"its message lacks the {part}: {message!r}" for part, told in parts.items() if not told
    ]


def _tells_stakes(money: str, there: list[str]) -> bool:
    """Whether *money* leads to the rentals that bill: an id, a rate, or the provider's page."""
    return not there or bool(STAKES.search(money)) or any(one in money for one in there)
