# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Vast.ai's own command line."""

from __future__ import annotations

from typing import Any

from tests.fidelity.books import for_rent, keys, usd_per_hour, vastai_instance, vastai_port
from tests.fidelity.talk import PUBLIC_KEY, Talk
from tests.simulator import offers as offer_table
from tests.simulator.ways import ADDRESS

QUERY = "gpu_name=RTX_4090 num_gpus=1"
DISK_GIB = 40


def hold(talk: Talk) -> None:
    """All of it."""
    offer = search(talk)
    number = rent(talk, offer)
    change(talk, number)
    keys_of_both(talk, number)
    restart(talk, number)
    refusals(talk, offer, number)
    end(talk, number)


def picked(talk: Talk, number: int) -> Any:
    """What of an instance is compared."""
    expected = vastai_instance(talk, talk.market.rentals[number])
    return lambda instance: {name: instance[name] for name in expected}


def books(talk: Talk, number: int) -> Any:
    """The same of the books."""
    return lambda: vastai_instance(talk, talk.market.rentals[number])


def search(talk: Talk) -> dict[str, Any]:
    """By price, with the disk; and what bids cost at least."""
    found = for_rent(talk, gpu_name="RTX 4090", num_gpus=1, verification="verified")
    priced = [offer_table.priced(one, DISK_GIB) for one in found]
    priced.sort(key=lambda one: one["dph_total"])
    offers = talk.say(
        *("search", "offers", QUERY, "-o", "dph_total", "--storage", DISK_GIB),
        told=lambda rows: [(one["id"], one["dph_total"], one["gpu_ram"]) for one in rows],
        want=[(one["id"], one["dph_total"], one["gpu_ram"]) for one in priced][:64],
    )
    talk.say(
        *("search", "offers", QUERY, "-i", "-o", "dph_total"),
        told=lambda rows: sorted((one["id"], one["dph_base"], one["is_bid"]) for one in rows),
        want=sorted((one["id"], one["min_bid"], True) for one in found),
    )
    talk.say(
        *("search", "offers", f"{QUERY} driver_version>=550.0.0 geolocation in [SE,DE,US]"),
        told=lambda rows: sorted(one["id"] for one in rows),
        want=sorted(
            one["id"]
            for one in found
            if one["driver_vers"] >= 550_000_000
            and one["geolocation"].rsplit(", ", 1)[-1] in ("SE", "DE", "US")
        ),
    )
    return dict(offers[0])


def rent(talk: Talk, offer: dict[str, Any]) -> int:
    """One, which is read alone and in the list."""
    options = ["--image", "img:1", "--disk", DISK_GIB, "--ssh", "--direct", "--label", "mk-1"]
    options += ["--env", "-p 8000:8000 -e A=b", "--cancel-unavail"]
    talk.say(
        *("create", "instance", offer["id"], *options),
        told=lambda made: (made["success"], made["new_contract"]),
        want=lambda: (True, talk.newest().id),
    )
    rental = talk.newest()
    read = ("show", "instance", rental.id)
    talk.say(*read, told=picked(talk, rental.id), want=books(talk, rental.id))
    talk.say(*read, told=lambda row: row["dph_total"], want=offer["dph_total"])
    talk.say(*read, told=vastai_port, want=lambda: talk.row(rental)["ports"]["22/tcp"])
    talk.say(
        *("show", "instances"),
        told=lambda rows: [picked(talk, rental.id)(row) for row in rows],
        want=lambda: [vastai_instance(talk, rental)],
    )
    port = talk.row(rental)["ports"]["22/tcp"]
    talk.say(
        *("ssh-url", rental.id),
        told=lambda said: said.strip().strip('"'),
        want=f"ssh://root@{ADDRESS}:{port}",
    )
    return rental.id


def change(talk: Talk, number: int) -> None:
    """Its label."""
    rental = talk.market.rentals[number]
    relabel = ("label", "instance", number, "mk-2")
    talk.does(*relabel, says="mk-2", done=lambda: talk.row(rental)["label"] == "mk-2")
    talk.say("show", "instance", number, told=lambda row: row["label"], want="mk-2")


def keys_of_both(talk: Talk, number: int) -> None:
    """Of the instance and of the account, and what the account has."""
    rental = talk.market.rentals[number]
    attach = ("attach", "ssh", number, PUBLIC_KEY)
    talk.does(*attach, says="success", done=lambda: list(rental.keys.values()) == [PUBLIC_KEY])
    create = ("create", "ssh-key", PUBLIC_KEY, "--yes")
    talk.does(*create, says="success", done=lambda: keys(talk) == [PUBLIC_KEY])
    (key,) = talk.market.account_keys
    talk.say(
        *("show", "ssh-keys"),
        told=lambda rows: {one["id"]: one["public_key"] for one in rows},
        want=lambda: talk.market.account_keys,
    )
    talk.does("delete", "ssh-key", key, says="success", done=lambda: keys(talk) == [])
    talk.say("show", "ssh-keys", want=[])
    talk.say(
        "show", "user", told=lambda row: row["credit"], want=lambda: talk.state()["credit_usd"]
    )


def restart(talk: Talk, number: int) -> None:
    """Reboot and recycle it, read its log, stop and start it."""
    rental = talk.newest()
    for action, said in (("reboot", "Rebooting"), ("recycle", "Recycling")):
        words = f"{said} instance {number}"
        talk.does(action, "instance", number, says=words, done=talk.restarts(rental))
    talk.say(
        *("logs", number, "--tail", "5"),
        told=lambda said: f"rental {number} was started" in str(said),
        want=lambda: f"rental {number} was started" in talk.market.log_of(rental),
    )
    for command, said, state in (("stop", "stopping", "stopped"), ("start", "starting", "running")):
        words = f"{said} instance {number}"
        talk.does(command, "instance", number, says=words, done=talk.is_to(rental, state))
        talk.say("show", "instance", number, told=picked(talk, number), want=books(talk, number))


def refusals(talk: Talk, offer: dict[str, Any], number: int) -> None:
    """An offer that is gone in two ways, an instance that never was, and a key of nobody."""
    create = ("create", "instance", offer["id"], "--image", "i")
    talk.refused(*create, says="error 404/3603: no_such_ask")
    talk.refused(*create, "--cancel-unavail", says="error 410/3907: no_such_ask")
    unknown = f"Instance {number + 1} not found"
    talk.refused("destroy", "instance", number + 1, "--yes", says=unknown)
    talk.refused("label", "instance", number + 1, "x", says=unknown)
    talk.refused_to_strangers("show", "instances", says="401")
    talk.refused_to_strangers("destroy", "instance", number, "--yes", says="401")


def end(talk: Talk, number: int) -> None:
    """Destroy it; its machine is for rent again, under a new id."""
    rental = talk.market.rentals[number]
    price, machine = usd_per_hour(rental), rental.offer["machine_id"]
    destroy = ("destroy", "instance", number, "--yes")
    # With --raw it prints nothing.
    talk.does(*destroy, says="", done=talk.left(0))
    talk.say("show", "instances", want=[])
    talk.refused(*destroy, says=f"Instance {number} not found")
    talk.say(
        *("search", "offers", f"machine_id={machine} num_gpus=1", "--storage", DISK_GIB),
        told=lambda rows: [(one["id"], one["dph_total"]) for one in rows],
        want=lambda: [(one["id"], price) for one in for_rent(talk, machine_id=machine, num_gpus=1)],
    )
