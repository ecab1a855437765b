# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of faults: what each does to an answer, or to the rental or list that a request makes.

An answering fault gets its parameters and the call, whose ``answer`` does what would be done
without it. A changing fault gets its parameters and the traits, and returns others; an asking one
gets the request. Which requests, rows and words that is about are the dialect's.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from time import sleep
from typing import Any

from tests.simulator.dialect import Dialect
from tests.simulator.market import Market, Rental, Traits
from tests.simulator.ways import BOTH, WAYS
from tests.simulator.web import DropConnection, Reply, Request, http_date, json_reply

Parameters = dict[str, Any]
PAGE_OF_MAINTENANCE = b"<html><body><h1>Down for maintenance</h1></body></html>"


@dataclass(frozen=True)
class Call:
    """One request that meets a fault. ``answer`` does it, inside the faults that come after."""

    request: Request
    market: Market
    answer: Callable[[], Reply]
    dialect: Dialect


# --- any answer ---


def reply(given: Parameters, call: Call) -> Reply:
    """Answer what the test says, without doing anything; text is sent as plain text."""
    return said(given, call, None)


def reply_after_commit(given: Parameters, call: Call) -> Reply:
    """Do it, then answer what the test says."""
    return said(given, call, call.answer())


def said(given: Parameters, call: Call, told: Reply | None) -> Reply:
    """The answer that the parameters have, or a saying of the dialect."""
    status, body = given["status"], given["body"]
    if given["saying"]:
        status, body = call.dialect.say(given["saying"], call.request, told)
    if isinstance(body, str):
        reply = Reply(status, body.encode(), {"Content-Type": "text/plain"})
    else:
        reply = json_reply(body, status)
    reply.headers |= given["headers"]
    return reply


def drop_before(given: Parameters, call: Call) -> Reply:
    """Do nothing and close the connection."""
    raise DropConnection


def drop_after_commit(given: Parameters, call: Call) -> Reply:
    """Do it, then close the connection without an answer."""
    call.answer()
    raise DropConnection


def hold_after_commit(given: Parameters, call: Call) -> Reply:
    """Do it, and keep the answer back for real seconds: others see already what was done."""
    told = call.answer()
    sleep(given["seconds"])
    return told


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


def decoded(told: Reply) -> Any:
    """Return what an answer has; None when another fault has spoilt it."""
    try:
        return json.loads(told.body)
    except ValueError:
        return None


def rows_of(body: Any, name: str) -> Any:
    """What a body has in the field of its rows, or of its row; no name is all of it."""
    if not name:
        return body
    return body.get(name) if isinstance(body, dict) else None


def edited_list(call: Call, edit: Callable[[list[Any]], Any], whole: bool = False) -> Reply:
    """Do it and put what ``edit`` makes of the rows into the answer, if that is a list.

    As a ``whole`` list it counts what it has.
    """
    told, name = call.answer(), call.dialect.rows
    body = decoded(told)
    rows = rows_of(body, name)
    if told.status != 200 or not isinstance(rows, list):
        return told
    edited = edit(rows)
    if name:
        body[name] = edited
    else:
        body = edited
    if whole:
        call.dialect.recount(body, edited)
    return json_reply(body)


def short_page(given: Parameters, call: Call) -> Reply:
    """Lose the last row of a page, which counts it all the same."""
    return edited_list(call, lambda rows: rows[:-1])


def overlap(given: Parameters, call: Call) -> Reply:
    """Show the first row of a page a second time, as when pages overlap, and count it once."""
    return edited_list(call, lambda rows: rows + rows[:1])


def drop_token(given: Parameters, call: Call) -> Reply:
    """Say of a page that no other comes after it."""
    told, name = call.answer(), call.dialect.next_page
    body = decoded(told)
    if told.status != 200 or not name or not isinstance(body, dict):
        return told
    return json_reply({**body, name: None})


def list_is(given: Parameters, call: Call) -> Reply:
    """Answer 200 with something else in place of the rows, or of all."""
    if given["whole"]:
        return json_reply(given["body"])
    return edited_list(call, lambda rows: given["body"])


def list_without(given: Parameters, call: Call) -> Reply:
    """Leave the rentals of some label out, and out of the counts: a replica that lags."""

    def left(rows: list[Any]) -> list[Any]:
        return [row for row in rows if given["label"] not in label_of(row, call)]

    return edited_list(call, left, whole=True)


def rental_of(row: Any, call: Call) -> Rental | None:
    """The rental that a row shows; None where that has ended."""
    number = call.dialect.number(str(row.get("id"))) if isinstance(row, dict) else -1
    return call.market.rentals.get(number)


def label_of(row: Any, call: Call) -> str:
    """The label of the rental that a row shows, as it is in truth."""
    rental = rental_of(row, call)
    return call.dialect.mark(rental.label or "") if rental else ""


def row_is(given: Parameters, call: Call) -> Reply:
    """Show other values in the fields of rentals whose label holds a text, in lists and reads."""
    dialect, told = call.dialect, call.answer()
    body, fields = decoded(told), given["fields"]
    if given["shows"]:
        fields = dialect.shows[given["shows"]]
    rows = rows_of(body, dialect.rows)
    if not isinstance(rows, list):
        row = rows_of(body, dialect.row)
        rows = [row] if isinstance(row, dict) else []
    for row in rows:
        if rental_of(row, call) and given["of"] in label_of(row, call):
            row.update(fields)
    return json_reply(body, told.status) if rows else told


# --- searches ---


def unfiltered(given: Parameters, dialect: Dialect, request: Request) -> Request:
    """Answer a search with offers that it did not ask for."""
    return dialect.unfiltered(request) if dialect.unfiltered else request


# --- destroys ---


def released(call: Call) -> Reply:
    """A claim to have destroyed."""
    return said({**REPLY, "saying": "released"}, call, None)


def destroy_noop(given: Parameters, call: Call) -> Reply:
    """Claim to have destroyed, and don't."""
    return released(call)


def destroy_late(given: Parameters, call: Call) -> Reply:
    """Claim to have destroyed, and do it after simulated seconds."""

    def destroy() -> None:
        with contextlib.suppress(DropConnection):
            call.answer()

    call.market.later(float(given["seconds"]), destroy)
    return released(call)


def resurrect(given: Parameters, call: Call) -> Reply:
    """Destroy, and bring the rental back after simulated seconds."""
    numbers = [call.dialect.number(one) for one in call.dialect.ids(call.request)]
    rentals = [call.market.rentals[one] for one in numbers if one in call.market.rentals]
    told = call.answer()
    for rental in rentals:
        if rental.gone.is_set():
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
    if told.status >= 300:
        return told
    return said({**REPLY, **given}, call, told)


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
    """One kind of fault: what it does, its parameters, and the requests that it is for.

    ``on`` is what the dialect calls them; any, where it is empty.
    """

    parameters: Parameters
    answer: Callable[[Parameters, Call], Reply] | None = None
    traits: Callable[[Parameters, Traits], Traits] | None = None
    asks: Callable[[Parameters, Dialect, Request], Request] | None = None
    on: str = ""


REPLY: Parameters = {"status": 500, "body": {}, "saying": "", "headers": {}}
BESIDE = {"saying": "refused beside id"}
BOOT = {"seconds": None, "statuses": None, "status_msg": ""}
LIES = {"driver_version": None, "gpu_count": None, "vram_factor": 1.0, "disk_factor": 1.0}
ROW_IS = {"fields": {}, "shows": "", "of": ""}
WIPE = {"after_seconds": 3600.0, "keep_attached": True}
RELABELS = {"after_seconds": 600.0, "label": "{label} keep"}
DIES = {"after_seconds": 3600.0, "status": "exited"}
KINDS = {
    "reply": Kind(REPLY, answer=reply),
    "reply_after_commit": Kind(REPLY, answer=reply_after_commit),
    "drop_before": Kind({}, answer=drop_before),
    "drop_after_commit": Kind({}, answer=drop_after_commit),
    "hold_after_commit": Kind({"seconds": 1.0}, answer=hold_after_commit),
    "delay": Kind({"seconds": 1.0}, answer=delay),
    "truncate": Kind({}, answer=truncate),
    "garble": Kind({}, answer=garble),
    "clock_skew": Kind({"seconds": 3600.0}, answer=clock_skew),
    "short_page": Kind({}, answer=short_page, on="list"),
    "overlap": Kind({}, answer=overlap, on="list"),
    "drop_token": Kind({}, answer=drop_token, on="list"),
    "list_is": Kind({"body": None, "whole": False}, answer=list_is, on="list"),
    "row_is": Kind(ROW_IS, answer=row_is, on="rows"),
    "unfiltered": Kind({}, asks=unfiltered, on="search"),
    "destroy_late": Kind({"seconds": 10.0}, answer=destroy_late, on="destroy"),
    "list_without": Kind({"label": ""}, answer=list_without, on="list"),
    "destroy_noop": Kind({}, answer=destroy_noop, on="destroy"),
    "resurrect": Kind({"seconds": 60.0}, answer=resurrect, on="destroy"),
    "list_lag": Kind({"seconds": 5.0}, traits=list_lag, on="create"),
    "hidden": Kind({"seconds": 60.0}, traits=hidden, on="create"),
    "boot": Kind(BOOT, traits=boot, on="create"),
    "never_ssh": Kind({"way": BOTH}, traits=never_ssh, on="create"),
    "black_hole": Kind({"way": BOTH}, traits=black_hole, on="create"),
    "price_change": Kind({"factor": 2.0}, traits=price_change, on="create"),
    "stopped_create": Kind(BESIDE, answer=refused_beside_id, traits=stopped, on="create"),
    "lies": Kind(LIES, traits=lies, on="create"),
    "attach_delay": Kind({"seconds": 15.0}, traits=attach_delay, on="create"),
    "wipe_keys": Kind(WIPE, traits=wipe_keys, on="create"),
    "host_key_changes": Kind({"after_seconds": 3600.0}, traits=host_key_changes, on="create"),
    "recreates": Kind({"after_seconds": 600.0}, traits=recreates, on="create"),
    "relabels": Kind(RELABELS, traits=relabels, on="create"),
    "dies": Kind(DIES, traits=dies, on="create"),
}
