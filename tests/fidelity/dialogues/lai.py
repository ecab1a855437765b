# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lai``, a command line that is generated from Lambda Cloud's OpenAPI document."""

from __future__ import annotations

from typing import Any

from tests.fidelity.books import free_lambda_type, keys, lambda_instance, lambda_told, lambda_types
from tests.fidelity.talk import Talk
from tests.simulator.lambda_cloud import OTHER_TYPES
from tests.simulator.market import Rental


def hold(talk: Talk) -> None:
    """All of it. It cannot add a key, so that is the one with which our own client has rented."""
    ours = talk.ours()
    found = talk.say(
        "keys",
        "--json",
        told=lambda rows: [one["public_key"] for one in rows],
        want=lambda: keys(talk),
    )
    kind, region = types(talk)
    rental = rent(talk, kind, region, found[0]["name"])
    read(talk, [ours, rental])
    change(talk, rental)
    refusals(talk, rental)
    end(talk, ours, rental)


def of(rental: Rental) -> str:
    """The id of an instance."""
    return f"{rental.id:032x}"


def as_types(rows: list[dict[str, Any]]) -> dict[str, tuple[int, list[str]]]:
    """What is compared of types with a GPU of the market."""
    return {
        kind["name"]: (
            kind["price_cents_per_hour"],
            sorted(one["name"] for one in row["regions_with_capacity_available"]),
        )
        for row in rows
        if (kind := row["instance_type"])["name"] not in OTHER_TYPES
    }


def types(talk: Talk) -> tuple[str, str]:
    """All of them, those that can be had, and one; return that and a region that has it."""
    every = lambda_types(talk)
    talk.say("types", "--json", told=as_types, want=every)
    free = {name: one for name, one in every.items() if one[1]}
    talk.say("types", "--available", "--json", told=as_types, want=free)
    kind, region = free_lambda_type(talk)
    talk.say("types", "--instance-type", kind, "--json", told=as_types, want={kind: every[kind]})
    return kind, region


def rent(talk: Talk, kind: str, region: str, key: str) -> Rental:
    """One in a region. It looks at the types first, and reads what it has made."""
    options = ["--region", region, "--ssh-key", key, "--name", "mk-1", "--tag", "inferops=yes"]
    talk.say(
        *("start", "--instance-type", kind, *options, "--json"),
        told=lambda made: (made["id"], made["name"], made["region"]["name"], made["tags"]),
        want=lambda: (of(talk.newest()), "mk-1", region, [{"key": "inferops", "value": "yes"}]),
    )
    return talk.newest()


def read(talk: Talk, rentals: list[Rental]) -> None:
    """Each alone, and all of them as JSON and as a table."""
    books = [lambda_instance(talk, one) for one in rentals]
    for rental, expected in zip(rentals, books, strict=True):
        talk.say("get", of(rental), told=lambda_told, want=expected)
    # Its --status and --region filter nothing, whatever the simulator answers.
    talk.say("ls", "--json", told=lambda rows: list(map(lambda_told, rows)), want=books)
    talk.say(
        *("ls",),
        told=lambda table: [one["ip"] in table and one["id"] in table for one in books],
        want=[True, True],
    )


def change(talk: Talk, rental: Rental) -> None:
    """Its name, which is the book's label."""
    talk.say(
        "rename",
        of(rental),
        "mk-2",
        told=lambda made: (made["name"], rental.label),
        want=("mk-2", "mk-2"),
    )
    talk.say("get", of(rental), told=lambda_told, want=lambda: lambda_instance(talk, rental))


def refusals(talk: Talk, rental: Rental) -> None:
    """No such key, a name that is too long, no such instance, and a key of nobody."""
    start = ("start", "--instance-type", free_lambda_type(talk)[0], "--json", "--name", "x")
    talk.refused(*start, "--ssh-key", "nobody", says="global/object-does-not-exist")
    talk.refused("rename", of(rental), "x" * 65, says="global/invalid-parameters")
    talk.refused("rename", "1" * 32, "x", says="global/object-does-not-exist")
    talk.refused("get", "1" * 32, says="No instance found")
    talk.refused("stop", "1" * 32, says="No instance found")
    talk.refused_to_strangers("ls", "--json", says="global/invalid-api-key")
    talk.refused_to_strangers("stop", of(rental), says="global/invalid-api-key")


def end(talk: Talk, ours: Rental, rental: Rental) -> None:
    """Both: shown as terminating, then as terminated, then not at all."""
    for one, left in ((rental, 1), (ours, 0)):
        talk.say(
            *("stop", of(one)),
            told=lambda rows: (list(map(lambda_told, rows)), len(talk.state()["rentals"])),
            want=([lambda_instance(talk, one, "terminating")], left),
        )
        talk.say("get", of(one), told=lambda made: made["status"], want="terminating")
    talk.refused("stop", of(one), says="global/unknown")
    talk.market.advance(31)
    talk.say("ls", "--json", told=lambda rows: {one["status"] for one in rows}, want={"terminated"})
    talk.market.advance(60)
    talk.say("ls", "--json", want=[])
