# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SkyPilot's client for Shadeform."""

from __future__ import annotations

from typing import Any

from tests.fidelity.books import for_rent
from tests.fidelity.talk import PUBLIC_KEY, Talk
from tests.simulator.market import Rental
from tests.simulator.shadeform import Api
from tests.simulator.ways import ADDRESS

OTHER_KEY = f"{PUBLIC_KEY}-2"


def hold(talk: Talk) -> None:
    """All of it; it searches by a catalogue of its own, so only what our client rents is known."""
    ours = talk.ours()
    key = keys(talk)
    order = wish(talk, key)
    talk.say("create_instance", order, told=lambda made: made["id"], want=lambda: of(talk.newest()))
    rental = talk.newest()
    read(talk, [ours, rental])
    talk.say(
        "get_instance_info",
        of(rental),
        told=lambda row: (row["ssh_key_id"], row["tags"], talk.let_in(rental)),
        want=lambda: (key, (rental.label or "").split("\n"), [OTHER_KEY]),
    )
    refusals(talk, order, rental)
    end(talk, ours, rental)


def of(rental: Rental) -> str:
    """The id of an instance."""
    return f"5eade000-0000-4000-8000-{rental.id:012d}"


def books_of_keys(talk: Talk) -> dict[str, str]:
    """The account's keys, by their ids."""
    assert isinstance(talk.api, Api)
    return {one["id"]: one["public_key"] for one in talk.api.keys.values()}


def keys(talk: Talk) -> str:
    """Those that there are, and one more, whose id is returned."""
    told = {"told": lambda said: {one["id"]: one["public_key"] for one in said["ssh_keys"]}}
    talk.say("get_ssh_keys", want=lambda: books_of_keys(talk), **told)
    made = talk.say(
        "add_ssh_key",
        "sky-key",
        OTHER_KEY,
        told=lambda said: said["id"],
        want=lambda: list(books_of_keys(talk))[-1],
    )
    talk.say("get_ssh_keys", want=lambda: books_of_keys(talk), **told)
    talk.refused("add_ssh_key", "sky-key", OTHER_KEY, says="name must be unique")
    return str(made["id"])


def wish(talk: Talk, key: str) -> dict[str, Any]:
    """As its own code asks for an instance."""
    offer = for_rent(talk, gpu_name="RTX A6000", num_gpus=1, verification="verified")[0]
    cloud = ("hyperstack", "massedcompute")[offer["machine_id"] % 2]
    return {
        "cloud": cloud,
        "region": f"{offer['geolocation'].rsplit(', ', 1)[-1].lower()}-1",
        "shade_instance_type": "RTX_A6000",
        "shade_cloud": True,
        "name": "sky-1-head",
        "ssh_key_id": key,
        "os": "ubuntu22.04",
        "tags": ["sky", "head"],
    }


def expected(talk: Talk, rental: Rental) -> dict[str, Any]:
    """An instance in the books."""
    row = talk.row(rental)
    return {
        "id": of(rental),
        "status": {"running": "active"}[row["status"]],
        "ip": ADDRESS,
        "ssh_port": row["ports"]["22/tcp"],
        "hourly_price": round(rental.offer["dph_base"] * 100),
        "gpu_type": rental.offer["gpu_name"].replace(" ", "_"),
        "num_gpus": rental.offer["num_gpus"],
        "tags": [one for one in (row["label"] or "").split("\n") if one],
    }


def picked(row: dict[str, Any]) -> dict[str, Any]:
    """The same of what the client has."""
    names = ("id", "status", "ip", "ssh_port", "hourly_price", "tags")
    machine = {name: row["configuration"][name] for name in ("gpu_type", "num_gpus")}
    return {name: row[name] for name in names} | machine


def read(talk: Talk, rentals: list[Rental]) -> None:
    """Each alone and all of them."""
    books = [expected(talk, one) for one in rentals]
    for rental, one in zip(rentals, books, strict=True):
        talk.say("get_instance_info", of(rental), told=picked, want=one)
    talk.say("get_instances", told=lambda said: list(map(picked, said["instances"])), want=books)


def refusals(talk: Talk, order: dict[str, Any], rental: Rental) -> None:
    """Nothing in stock, no such key, no such instance, and a key of nobody."""
    talk.refused("create_instance", {**order, "region": "xx-1"}, says="Out of stock")
    talk.refused("create_instance", {**order, "ssh_key_id": "x"}, says="ssh key not found")
    talk.refused("create_instance", {**order, "os": "windows"}, says="os is not one of")
    talk.refused("create_instance", {**order, "name": "not a name"}, says="name is invalid")
    talk.refused("get_instance_info", "nothing", says="Instance not found")
    talk.refused("delete_instance", "nothing", says="Instance not found")
    talk.refused_to_strangers("get_instances", says="Invalid API key")
    talk.refused_to_strangers("delete_instance", of(rental), says="Invalid API key")


def end(talk: Talk, ours: Rental, rental: Rental) -> None:
    """Both: a delete is answered by nothing, shown for a while, and known to nobody then."""
    for one, left in ((rental, 1), (ours, 0)):
        talk.say(
            "delete_instance",
            of(one),
            told=lambda said: (said, len(talk.state()["rentals"])),
            want=({}, left),
        )
        talk.say("get_instance_info", of(one), told=lambda row: row["status"], want="deleting")
    talk.market.advance(61)
    talk.say("get_instances", want={"instances": []})
    talk.refused("get_instance_info", of(rental), says="Instance not found")
    talk.refused("delete_instance", of(rental), says="Instance not found")
