# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Vast.ai's own library for Python."""

from __future__ import annotations

from typing import Any

from tests.fidelity.books import for_rent, keys, vastai_instance, vastai_port
from tests.fidelity.dialogues.vastai_cli import books, picked
from tests.fidelity.talk import PUBLIC_KEY, Talk
from tests.simulator import offers as offer_table
from tests.simulator.ways import PROXY_ADDRESS

DISK_GIB = 30


def hold(talk: Talk) -> None:
    """All of it."""
    offer = search(talk)
    number = rent(talk, offer)
    change(talk, number)
    keys_of_both(talk, number)
    pages(talk)
    refusals(talk, offer, number)
    end(talk, number)


def search(talk: Talk) -> int:
    """By price, in the words of the command line and in those of the API."""
    found = for_rent(talk, gpu_name="L40S", num_gpus=2, verification="verified")
    priced = {one["id"]: offer_table.priced(one, DISK_GIB)["dph_total"] for one in found}
    talk.say(
        "search_offers",
        query="gpu_name=L40S num_gpus=2",
        storage=DISK_GIB,
        told=lambda rows: {one["id"]: one["dph_total"] for one in rows},
        want=priced,
    )
    talk.say(
        "search_offers",
        query={"gpu_name": {"eq": "L40S"}, "num_gpus": {"eq": 2}},
        order="dph_total",
        storage=DISK_GIB,
        limit=3,
        told=lambda rows: [one["dph_total"] for one in rows],
        want=sorted(priced.values())[:3],
    )
    return int(min(priced, key=lambda one: priced[one]))


def rent(talk: Talk, offer: int) -> int:
    """One, which is read alone and in the list, and whose log tells of its start."""
    talk.say(
        "create_instance",
        offer,
        image="img:1",
        disk=DISK_GIB,
        label="mk-1",
        env={"A": "b"},
        ssh=True,
        direct=True,
        told=lambda made: (made["success"], made["new_contract"]),
        want=lambda: (True, talk.newest().id),
    )
    rental = talk.newest()
    number = rental.id
    talk.say("show_instance", number, told=picked(talk, number), want=books(talk, number))
    port = talk.row(rental)["ports"]["22/tcp"]
    talk.say("show_instance", number, told=vastai_port, want=port)
    talk.say(
        "show_instances",
        told=lambda rows: list(map(picked(talk, number), rows)),
        want=lambda: [vastai_instance(talk, rental)],
    )
    # It prefers the proxy, where the command line prefers the direct way.
    talk.say("ssh_url", number, want=f"ssh://root@{PROXY_ADDRESS}:{rental.proxy_port}")
    talk.say(
        *("logs", number),
        told=lambda said: f"rental {number} was started" in str(said),
        want=lambda: f"rental {number} was started" in talk.market.log_of(rental),
    )
    return number


def change(talk: Talk, number: int) -> None:
    """Its label and its state."""
    rental = talk.market.rentals[number]
    relabel = ("label_instance", number, "mk-2")
    talk.does(*relabel, says="success", done=lambda: talk.row(rental)["label"] == "mk-2")
    for call, state in (("stop_instance", "stopped"), ("start_instance", "running")):
        talk.does(call, number, says="success", done=talk.is_to(rental, state))
        talk.say("show_instance", number, told=picked(talk, number), want=books(talk, number))
    for call in ("reboot_instance", "recycle_instance"):
        talk.does(call, number, says="success", done=talk.restarts(rental))


def keys_of_both(talk: Talk, number: int) -> None:
    """Of the account and of the instance, whose host knows them at once; and the money."""
    rental = talk.newest()
    add = ("create_ssh_key", PUBLIC_KEY)
    talk.does(*add, says="success", done=lambda: keys(talk) == [PUBLIC_KEY])
    (key,) = talk.market.account_keys
    talk.say(
        "show_ssh_keys",
        told=lambda rows: [(one["id"], one["public_key"]) for one in rows],
        want=[(key, PUBLIC_KEY)],
    )
    attach = ("attach_ssh", number, PUBLIC_KEY)
    talk.does(*attach, says="success", done=lambda: talk.let_in(rental) == [PUBLIC_KEY])
    detach = ("detach_ssh", number, *rental.keys)
    talk.does(*detach, says="success", done=lambda: talk.let_in(rental) == [])
    talk.does("delete_ssh_key", key, says="success", done=lambda: keys(talk) == [])
    talk.say("show_user", told=lambda row: row["credit"], want=lambda: talk.state()["credit_usd"])


def pages(talk: Talk) -> None:
    """More rentals than a page has, in the order of their ids, and those with one label."""
    talk.market.strangers = 30
    every = sorted(rental.id for rental in talk.rentals())
    talk.say("show_instances", told=lambda rows: [one["id"] for one in rows], want=every)
    query: dict[str, Any] = {"select_filters": '{"label": {"in": ["mk-2"]}}', "limit": 25}
    talk.say(
        "show_instances_v1",
        query,
        told=lambda page: ([one["label"] for one in page["instances"]], page["total_instances"]),
        want=(["mk-2"], 1),
    )
    talk.market.strangers = 0


def refusals(talk: Talk, offer: int, number: int) -> None:
    """An offer that is gone, an instance that never was, and a key of nobody."""
    talk.refused("create_instance", offer, image="i", says="no_such_ask")
    talk.refused("create_instance", offer, image="i", cancel_unavail=True, says="410")
    talk.refused("destroy_instance", number + 1, says="no_such_instance")
    talk.refused("attach_ssh", number + 1, PUBLIC_KEY, says="no_such_instance")
    talk.say("show_instance", number + 1, want=None)
    talk.refused_to_strangers("show_instances", says="401")
    talk.refused_to_strangers("destroy_instance", number, says="401")


def end(talk: Talk, number: int) -> None:
    """Destroy it; it is gone from every answer."""
    talk.does("destroy_instance", number, says="success", done=talk.left(0))
    talk.say("show_instance", number, want=None)
    talk.say("show_instances", want=[])
    talk.refused("destroy_instance", number, says="no_such_instance")
