# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verda's own library for Python."""

from __future__ import annotations

from typing import Any

from tests.fidelity.books import for_rent
from tests.fidelity.talk import PUBLIC_KEY, Talk
from tests.simulator import offers as offer_table
from tests.simulator.market import Rental
from tests.simulator.verda import NEW_IMAGE, OLD_IMAGE, Api
from tests.simulator.ways import ADDRESS

GPU, KIND, DISK_GB = "RTX A6000", "1RTXA6000.22V", 80


def hold(talk: Talk) -> None:
    """All of it, beside what our own client has rented."""
    ours = talk.ours()
    place = catalogue(talk)
    key, script = keys_and_scripts(talk)
    rental = rent(talk, place, key, script)
    read(talk, [ours, rental])
    disks(talk, [ours, rental])
    refusals(talk, place, key, rental)
    end(talk, ours, rental)
    tidy(talk, key, script)


def of(rental: Rental) -> str:
    """The id of an instance."""
    return f"5eed0000-0000-4000-8000-{rental.id:012d}"


def disk_of(rental: Rental) -> str:
    """The id of its disk."""
    return f"d15c0000-0000-4000-8000-{rental.id:012d}"


def things(talk: Talk, kind: str) -> dict[str, Any]:
    """Scripts, keys or disks that the account has, by their ids."""
    assert isinstance(talk.api, Api)
    return dict(getattr(talk.api.things, kind))


def country(offer: offer_table.Offer) -> str:
    """That of a machine."""
    return str(offer["geolocation"]).rsplit(", ", 1)[-1]


def catalogue(talk: Talk) -> str:
    """Types, prices, places and systems; return a place that has the wished for type."""
    every = {
        (gpu.name, count): round(gpu.usd_per_hour * count, 4)
        for gpu in offer_table.GPUS
        for count in gpu.counts
    }
    talk.say(
        "instance_types.get",
        told=lambda rows: {
            (one["model"], one["gpu"]["number_of_gpus"]): one["price_per_hour"]
            for one in rows
            if one["manufacturer"] == "NVIDIA" and one["gpu"]["number_of_gpus"]
        },
        want=every,
    )
    places = sorted({country(one) for one in mine(talk)})
    talk.say(
        "instances.get_availabilities",
        told=lambda rows: [one["location_code"] for one in rows if KIND in one["availabilities"]],
        want=[f"{one}-01" for one in places],
    )
    for place, free in ((f"{places[0]}-01", True), ("XX-01", False)):
        talk.say("instances.is_available", KIND, location_code=place, want=free)
    talk.say(
        "images.get",
        told=lambda rows: [one["image_type"] for one in rows],
        want=[NEW_IMAGE, OLD_IMAGE],
    )
    countries = sorted({where.rsplit(", ", 1)[-1] for where, _weight in offer_table.PLACES})
    talk.say(
        "locations.get", told=lambda rows: [one["country_code"] for one in rows], want=countries
    )
    talk.say(
        "volume_types.get",
        told=lambda rows: {one["type"] for one in rows},
        want={"NVMe", "NVMe_Shared"},
    )
    talk.say(
        "balance.get",
        told=lambda said: said["amount"],
        want=lambda: round(talk.state()["credit_usd"], 4),
    )
    return f"{places[0]}-01"


def mine(talk: Talk) -> list[offer_table.Offer]:
    """The machines of the wished for type."""
    return for_rent(talk, gpu_name=GPU, num_gpus=1, verification="verified")


def keys_and_scripts(talk: Talk) -> tuple[str, str]:
    """One of each; return their ids."""
    key = thing(talk, "ssh_keys", ("keys", "key", "public_key"), f"{PUBLIC_KEY}-2")
    script = ("scripts", "script", "script")
    return key, thing(talk, "startup_scripts", script, "#!/bin/sh\ntrue\n")


def thing(talk: Talk, service: str, words: tuple[str, str, str], text: str) -> str:
    """Make one, and read it alone and among the others; return its id."""
    kind, field, shown = words

    def books() -> dict[str, str]:
        return {one["id"]: one[field] for one in things(talk, kind).values()}

    create = (f"{service}.create", "theirs", text)
    made = talk.say(*create, told=lambda one: one["id"], want=lambda: list(books())[-1])
    talk.say(
        f"{service}.get", told=lambda rows: {one["id"]: one[shown] for one in rows}, want=books
    )
    read = (f"{service}.get_by_id", made["id"])
    talk.say(*read, told=lambda one: (one["name"], one[shown]), want=("theirs", text))
    return str(made["id"])


def wish(place: str, key: str) -> dict[str, Any]:
    """What is asked for of an instance."""
    return {
        "instance_type": KIND,
        "image": OLD_IMAGE,
        "hostname": "theirs-1",
        "description": "mk-1",
        "ssh_key_ids": [key],
        "location": place,
        "os_volume": {"name": "theirs-disk", "size": DISK_GB},
    }


def rent(talk: Talk, place: str, key: str, script: str) -> Rental:
    """One; it waits until that is no longer merely ordered."""
    talk.say(
        "instances.create",
        **wish(place, key),
        startup_script_id=script,
        told=lambda made: made["id"],
        want=lambda: of(talk.newest()),
    )
    rental = talk.newest()
    talk.say(
        "instances.get_by_id",
        of(rental),
        told=lambda _said: talk.let_in(rental),
        want=[f"{PUBLIC_KEY}-2"],
    )
    talk.say(
        "instances.get_by_id",
        of(rental),
        told=lambda one: (one["startup_script_id"], one["ssh_key_ids"]),
        want=(script, [key]),
    )
    return rental


def expected(talk: Talk, rental: Rental) -> dict[str, Any]:
    """An instance in the books."""
    row, gpus = talk.row(rental), rental.offer["num_gpus"]
    price = next(
        one.usd_per_hour for one in offer_table.GPUS if one.name == rental.offer["gpu_name"]
    )
    return {
        "id": of(rental),
        "description": row["label"],
        "status": row["status"],
        "ip": ADDRESS,
        "location": f"{country(rental.offer)}-01",
        "price_per_hour": round(price * gpus, 4),
        "os_volume_id": disk_of(rental),
        "gpu": gpus,
    }


def picked(row: dict[str, Any]) -> dict[str, Any]:
    """The same of what the client has."""
    names = ("id", "description", "status", "ip", "location", "price_per_hour", "os_volume_id")
    return {**{name: row[name] for name in names}, "gpu": row["gpu"]["number_of_gpus"]}


def read(talk: Talk, rentals: list[Rental]) -> None:
    """Each alone, all of them, and those of one status."""
    books = [expected(talk, one) for one in rentals]
    for rental, one in zip(rentals, books, strict=True):
        talk.say("instances.get_by_id", of(rental), told=picked, want=one)
    for status, found in ((None, books), ("running", books), ("offline", [])):
        talk.say("instances.get", status, told=lambda rows: list(map(picked, rows)), want=found)


def disks(talk: Talk, rentals: list[Rental]) -> None:
    """Where they are, what has them and what they cost a month."""
    books = {
        disk_of(one): (of(one), "attached", one.disk_gib * 0.2, f"{country(one.offer)}-01")
        for one in rentals
    }

    def told(row: dict[str, Any]) -> tuple[Any, ...]:
        return row["instance_id"], row["status"], row["monthly_price"], row["location"]

    talk.say("volumes.get", told=lambda rows: {one["id"]: told(one) for one in rows}, want=books)
    for one, row in books.items():
        talk.say("volumes.get_by_id", one, told=told, want=row)
    talk.say("volumes.get_in_trash", want=[])


def refusals(talk: Talk, place: str, key: str, rental: Rental) -> None:
    """Nothing free, no such key, too small a disk, what never was, and credentials of nobody."""
    order = wish(place, key)
    talk.refused("instances.create", **{**order, "location": "XX-01"}, says="No capacity available")
    talk.refused("instances.create", **{**order, "ssh_key_ids": ["x"]}, says="is no SSH key")
    small = {**order, "os_volume": {"name": "x", "size": 10}}
    talk.refused("instances.create", **small, says="too small")
    talk.refused("instances.get_by_id", "x", says="Invalid instance id")
    talk.refused("instances.action", "x", "delete", says="Invalid instance id")
    talk.refused("volumes.delete_by_id", disk_of(rental), says="attached to a running instance")
    talk.refused("ssh_keys.get_by_id", "x", says="not_found")
    # It logs in before it asks for anything.
    talk.refused_to_strangers("instances.get", says="unauthorized_request")


def end(talk: Talk, ours: Rental, rental: Rental) -> None:
    """One with its disk for good, the other with its disk in the trash."""
    talk.say(
        "instances.action",
        of(rental),
        "delete",
        [disk_of(rental)],
        True,
        told=lambda _said: len(talk.state()["rentals"]),
        want=1,
    )
    talk.say(
        "instances.get_by_id",
        of(rental),
        told=lambda one: (one["status"], one["ip"]),
        want=("discontinued", None),
    )
    talk.say("volumes.get", told=lambda rows: [one["id"] for one in rows], want=[disk_of(ours)])
    talk.say(
        "instances.action", of(ours), "delete", told=lambda _said: talk.state()["rentals"], want=[]
    )
    talk.say("instances.get", want=[])
    talk.say(
        "volumes.get_in_trash", told=lambda rows: [one["id"] for one in rows], want=[disk_of(ours)]
    )
    talk.say(
        "volumes.delete_by_id",
        disk_of(ours),
        True,
        told=lambda _said: things(talk, "disks")[disk_of(ours)].state,
        want="gone",
    )
    talk.say("volumes.get_in_trash", want=[])


def tidy(talk: Talk, key: str, script: str) -> None:
    """Delete the key and the script, alone and in a list."""
    talk.say(
        "startup_scripts.delete_by_id",
        script,
        told=lambda _said: script in things(talk, "scripts"),
        want=False,
    )
    talk.refused("startup_scripts.delete_by_id", script, says="not_found")
    talk.refused("ssh_keys.delete", [key, "x"], says="not_found")
    talk.say("ssh_keys.delete", [key], told=lambda _said: key in things(talk, "keys"), want=False)
    left = list(things(talk, "scripts"))
    talk.say("startup_scripts.delete", left, told=lambda _said: things(talk, "scripts"), want={})
