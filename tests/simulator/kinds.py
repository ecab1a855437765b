# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of faults: what each does to an answer, or to the rental or list that a request makes.

An answering fault gets its parameters and the call, whose ``answer`` does what would be done
without it. A changing fault gets its parameters and the traits, and returns others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from time import sleep
from typing import Any

from tests.simulator.market import Market, Rental, Traits
from tests.simulator.ways import BOTH, WAYS
from tests.simulator.web import DropConnection, Reply, Request, http_date, json_reply

Parameters = dict[str, Any]
INSTANCE_ID = r"/instances/(\d+)"
PAGE_OF_MAINTENANCE = b"<html><body><h1>Down for maintenance</h1></body></html>"


@dataclass(frozen=True)
class Call:
    """One request that meets a fault. ``answer`` does it, inside the faults that come after."""

    request: Request
    market: Market
    answer: Callable[[], Reply]


# --- any answer ---


def reply(given: Parameters, call: Call) -> Reply:
    """Answer what the test says, without doing anything; text is sent as plain text."""
    body = given["body"]
    if isinstance(body, str):
        told = Reply(given["status"], body.encode(), {"Content-Type": "text/plain"})
    else:
        told = json_reply(body, given["status"])
    told.headers |= given["headers"]
    return told


def reply_after_commit(given: Parameters, call: Call) -> Reply:
    """Do it, then answer what the test says."""
    call.answer()
    return reply(given, call)


def drop_before(given: Parameters, call: Call) -> Reply:
    """Do nothing and close the connection."""
    raise DropConnection


def drop_after_commit(given: Parameters, call: Call) -> Reply:
    """Do it, then close the connection without an answer."""
    call.answer()
    raise DropConnection


def delay(given: Parameters, call: Call) -> Reply:
    """Take real seconds before doing it."""
    sleep(given["seconds"])
    return call.answer()


def truncate(given: Parameters, call: Call) -> Reply:
    """Do it, and send half of the answer as if it were whole."""
    told = call.answer()
    return replace(told, body=told.body[: len(told.body) // 2])


def garble(given: Parameters, call: Call) -> Reply:
    """Do nothing and answer 200 with a page for people."""
    return Reply(200, PAGE_OF_MAINTENANCE, {"Content-Type": "text/html"})


def clock_skew(given: Parameters, call: Call) -> Reply:
    """Do it, and be wrong about the time in the answer's Date."""
    told = call.answer()
    told.headers["Date"] = http_date(call.market.clock.now() + given["seconds"])
    return told


# --- lists ---


def decoded(told: Reply) -> dict[str, Any]:
    """Return the object in an answer, an empty one when another fault has spoilt it."""
    try:
        body = json.loads(told.body)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def edited_list(call: Call, edit: Callable[[dict[str, Any]], Any]) -> Reply:
    """Do it and let ``edit`` change the list in the answer, if it is one."""
    told = call.answer()
    body = decoded(told)
    if told.status != 200 or not isinstance(body.get("instances"), list):
        return told
    edit(body)
    return json_reply(body)


def short_page(given: Parameters, call: Call) -> Reply:
    """Lose the last row of a page, which counts it all the same."""
    return edited_list(call, lambda body: body.update(instances=body["instances"][:-1]))


def overlap(given: Parameters, call: Call) -> Reply:
    """Show the first row of a page a second time, as when pages overlap, and count it once."""

    def repeat(body: dict[str, Any]) -> None:
        rows = body["instances"]
        body.update(instances=rows + [dict(row) for row in rows[:1]])

    return edited_list(call, repeat)


def drop_token(given: Parameters, call: Call) -> Reply:
    """Say of a page that no other comes after it."""
    return edited_list(call, lambda body: body.update(next_token=None))


def list_is(given: Parameters, call: Call) -> Reply:
    """Answer 200 with something else in place of the rows, or of all."""
    if given["whole"]:
        return json_reply(given["body"])
    return edited_list(call, lambda body: body.update(instances=given["body"]))


def list_without(given: Parameters, traits: Traits) -> Traits:
    """Leave the rentals of some label out, and out of the counts: a replica that lags."""
    return replace(traits, unlisted_label=given["label"])


def row_is(given: Parameters, call: Call) -> Reply:
    """Show other values in the fields of rentals whose label holds a text, in lists and reads."""
    told = call.answer()
    body = decoded(told)
    rows = body.get("instances")
    for row in rows if isinstance(rows, list) else [rows]:
        if isinstance(row, dict) and given["of"] in (row.get("label") or ""):
            row.update(given["fields"])
    return json_reply(body, told.status) if rows else told


# --- searches ---


def unfiltered(given: Parameters, traits: Traits) -> Traits:
    """Answer a search with offers that it did not ask for."""
    return replace(traits, unfiltered=True)


# --- destroys ---


def destroy_noop(given: Parameters, call: Call) -> Reply:
    """Claim to have destroyed, and don't."""
    return json_reply({"success": True})


def destroy_late(given: Parameters, call: Call) -> Reply:
    """Claim to have destroyed, and do it after simulated seconds."""
    found = re.search(INSTANCE_ID, call.request.path)
    if found:
        destroy = partial(call.market.destroy, int(found[1]))
        call.market.later(float(given["seconds"]), destroy)
    return json_reply({"success": True})


def resurrect(given: Parameters, call: Call) -> Reply:
    """Destroy, and bring the rental back after simulated seconds."""
    found = re.search(INSTANCE_ID, call.request.path)
    rental = call.market.rentals.get(int(found[1])) if found else None
    told = call.answer()
    if rental and rental.gone.is_set():
        call.market.later(float(given["seconds"]), partial(call.market.resurrect, rental))
    return told


# --- what a rental request makes ---


def list_lag(given: Parameters, traits: Traits) -> Traits:
    """Keep the new rental out of lists for simulated seconds; a read by its id shows it."""
    return replace(traits, list_lag_seconds=float(given["seconds"]))


def hidden(given: Parameters, traits: Traits) -> Traits:
    """Keep the new rental out of lists and reads by id for simulated seconds."""
    return replace(traits, hidden_seconds=float(given["seconds"]))


def boot(given: Parameters, traits: Traits) -> Traits:
    """Change how long booting takes and which statuses it goes through; the last one stays."""
    seconds, statuses = given["seconds"], given["statuses"]
    return replace(
        traits,
        boot_seconds=traits.boot_seconds if seconds is None else float(seconds),
        boot_statuses=traits.boot_statuses if statuses is None else tuple(statuses),
        status_msg=given["status_msg"],
    )


def never_ssh(given: Parameters, traits: Traits) -> Traits:
    """Let one way to the host's SSH refuse connections, or run the host without sshd."""
    return replace(traits, never_ssh=a_way(given))


def black_hole(given: Parameters, traits: Traits) -> Traits:
    """Let the ways to its SSH swallow connections: they are neither refused nor answered."""
    return replace(traits, black_hole=a_way(given))


def a_way(given: Parameters) -> str:
    """Return which way a fault is of. Raises ValueError."""
    if given["way"] not in WAYS:
        raise ValueError(f"unknown way {given['way']!r}; known: {', '.join(WAYS)}")
    return str(given["way"])


def price_change(given: Parameters, traits: Traits) -> Traits:
    """Charge another price than the offer's."""
    return replace(traits, price_factor=float(given["factor"]))


def stopped(given: Parameters, traits: Traits) -> Traits:
    """Make a rental that is stopped from the start and pays for its disk."""
    return replace(traits, stopped=True)


def refused_beside_id(given: Parameters, call: Call) -> Reply:
    """Do it, and answer that it failed, beside the id of what was made."""
    told = call.answer()
    made = decoded(told).get("new_contract")
    if made is None:
        return told
    return json_reply({"success": False, "error": given["error"], "new_contract": made})


def lies(given: Parameters, traits: Traits) -> Traits:
    """Give the host something else than its offer and its row say."""
    return replace(
        traits,
        driver_version=given["driver_version"],
        gpu_count=given["gpu_count"],
        vram_factor=float(given["vram_factor"]),
        disk_factor=float(given["disk_factor"]),
    )


def attach_delay(given: Parameters, traits: Traits) -> Traits:
    """Let keys work only simulated seconds after they were attached."""
    return replace(traits, attach_delay_seconds=float(given["seconds"]))


def wipe_keys(given: Parameters, traits: Traits) -> Traits:
    """Write authorized_keys anew some time after the rental began to run."""
    keep = bool(given["keep_attached"])
    return with_event(given, traits, lambda market, rental: market.wipe_keys(rental, keep))


def host_key_changes(given: Parameters, traits: Traits) -> Traits:
    """Show another host key some time after the rental began to run."""
    return with_event(given, traits, lambda market, rental: market.change_host_key(rental))


def dies(given: Parameters, traits: Traits) -> Traits:
    """Go down by itself some time after the rental began to run."""
    status = str(given["status"])
    return with_event(given, traits, lambda market, rental: market.die(rental, status))


def recreates(given: Parameters, traits: Traits) -> Traits:
    """Make its container anew in place some time after the rental began to run."""
    return with_event(given, traits, lambda market, rental: market.recycle(rental))


def with_event(
    given: Parameters, traits: Traits, event: Callable[[Market, Rental], None]
) -> Traits:
    """Return the traits with one event more."""
    return replace(traits, events=(*traits.events, (float(given["after_seconds"]), event)))


def relabels(given: Parameters, traits: Traits) -> Traits:
    """Let somebody write into its label some time after the rental began to run."""
    label = str(given["label"])
    return with_event(given, traits, lambda market, rental: market.relabel(rental, label))


@dataclass(frozen=True)
class Kind:
    """One kind of fault: what it does, its parameters, and the requests that it is for."""

    parameters: Parameters
    answer: Callable[[Parameters, Call], Reply] | None = None
    traits: Callable[[Parameters, Traits], Traits] | None = None
    requests: tuple[str, str] = ("ANY", "")  # method and path, unless the order says otherwise


CREATE = ("PUT", "^/api/v0/asks/")
DESTROY = ("DELETE", "^/api/v0/instances/")
SEARCH = ("ANY", "^/api/v0/(bundles|search/asks)/?$")
ROWS = ("GET", r"^/api/v[01]/instances(/\d+)?/?$")
LIST = ("GET", "^/api/v1/instances/?$")
LISTS = ("GET", "^/api/v[01]/instances/?$")
REPLY = {"status": 500, "body": {}, "headers": {}}
BOOT = {"seconds": None, "statuses": None, "status_msg": ""}
LIES = {"driver_version": None, "gpu_count": None, "vram_factor": 1.0, "disk_factor": 1.0}
NO_MONEY = {"error": "insufficient_credit"}
WIPE = {"after_seconds": 3600.0, "keep_attached": True}
RELABELS = {"after_seconds": 600.0, "label": "{label} keep"}
DIES = {"after_seconds": 3600.0, "status": "exited"}
KINDS = {
    "reply": Kind(REPLY, answer=reply),
    "reply_after_commit": Kind(REPLY, answer=reply_after_commit),
    "drop_before": Kind({}, answer=drop_before),
    "drop_after_commit": Kind({}, answer=drop_after_commit),
    "delay": Kind({"seconds": 1.0}, answer=delay),
    "truncate": Kind({}, answer=truncate),
    "garble": Kind({}, answer=garble),
    "clock_skew": Kind({"seconds": 3600.0}, answer=clock_skew),
    "short_page": Kind({}, answer=short_page, requests=LISTS),
    "overlap": Kind({}, answer=overlap, requests=LISTS),
    "drop_token": Kind({}, answer=drop_token, requests=LIST),
    "list_is": Kind({"body": None, "whole": False}, answer=list_is, requests=LISTS),
    "row_is": Kind({"fields": {}, "of": ""}, answer=row_is, requests=ROWS),
    "unfiltered": Kind({}, traits=unfiltered, requests=SEARCH),
    "destroy_late": Kind({"seconds": 10.0}, answer=destroy_late, requests=DESTROY),
    "list_without": Kind({"label": ""}, traits=list_without, requests=LISTS),
    "destroy_noop": Kind({}, answer=destroy_noop, requests=DESTROY),
    "resurrect": Kind({"seconds": 60.0}, answer=resurrect, requests=DESTROY),
    "list_lag": Kind({"seconds": 5.0}, traits=list_lag, requests=CREATE),
    "hidden": Kind({"seconds": 60.0}, traits=hidden, requests=CREATE),
    "boot": Kind(BOOT, traits=boot, requests=CREATE),
    "never_ssh": Kind({"way": BOTH}, traits=never_ssh, requests=CREATE),
    "black_hole": Kind({"way": BOTH}, traits=black_hole, requests=CREATE),
    "price_change": Kind({"factor": 2.0}, traits=price_change, requests=CREATE),
    "stopped_create": Kind(NO_MONEY, answer=refused_beside_id, traits=stopped, requests=CREATE),
    "lies": Kind(LIES, traits=lies, requests=CREATE),
    "attach_delay": Kind({"seconds": 15.0}, traits=attach_delay, requests=CREATE),
    "wipe_keys": Kind(WIPE, traits=wipe_keys, requests=CREATE),
    "host_key_changes": Kind({"after_seconds": 3600.0}, traits=host_key_changes, requests=CREATE),
    "recreates": Kind({"after_seconds": 600.0}, traits=recreates, requests=CREATE),
    "relabels": Kind(RELABELS, traits=relabels, requests=CREATE),
    "dies": Kind(DIES, traits=dies, requests=CREATE),
}
