# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SkyPilot's client for Lambda Cloud."""

from __future__ import annotations

from typing import Any

from tests.fidelity.books import free_lambda_type, keys, lambda_instance, lambda_told, lambda_types
from tests.fidelity.dialogues.lai import as_types, of
from tests.fidelity.talk import PUBLIC_KEY, Talk


def hold(talk: Talk) -> None:
    """All of it. A refusal is told by code and words."""
    every = lambda_types(talk)
    talk.say("list_catalog", told=lambda types: as_types(list(types.values())), want=every)
    talk.say("get_unique_ssh_key_name", "sky-key", PUBLIC_KEY, want=["sky-key", False])
    talk.say(
        "register_ssh_key", "sky-key", PUBLIC_KEY, told=lambda _said: keys(talk), want=[PUBLIC_KEY]
    )
    talk.say("get_unique_ssh_key_name", "sky-key", PUBLIC_KEY, want=["sky-key", True])
    talk.say("get_unique_ssh_key_name", "sky-key", "another", want=["sky-key-1", False])
    talk.say(
        "list_ssh_keys",
        told=lambda rows: [one["public_key"] for one in rows],
        want=lambda: keys(talk),
    )
    kind, region = free_lambda_type(talk)
    order: dict[str, Any] = {
        "instance_type": kind,
        "region": region,
        "name": "sky-1-head",
        "ssh_key_name": "sky-key",
    }
    talk.say("create_instances", **order, want=lambda: [of(talk.newest())])
    rental = talk.newest()
    talk.say(
        "list_instances",
        told=lambda rows: (list(map(lambda_told, rows)), talk.let_in(rental)),
        want=([lambda_instance(talk, rental)], [PUBLIC_KEY]),
    )
    refusals(talk, order, of(rental))
    talk.say(
        "remove_instances",
        [of(rental)],
        told=lambda rows: list(map(lambda_told, rows)),
        want=[lambda_instance(talk, rental, "terminating")],
    )
    # What its users met, and what its own code lives with.
    talk.refused("remove_instances", [of(rental)], says="global/unknown")
    talk.market.advance(91)
    talk.say("list_instances", told=lambda rows: (rows, talk.state()["rentals"]), want=([], []))
    talk.refused("remove_instances", [of(rental)], says="global/object-does-not-exist")


def refusals(talk: Talk, order: dict[str, Any], instance: str) -> None:
    """No capacity, two at once, an unknown key, an unknown instance, and a key of nobody."""
    no_room = {**order, "region": "us-east-1"}
    talk.refused("create_instances", **no_room, says="insufficient-capacity")
    kind, region = free_lambda_type(talk)
    free = {**order, "instance_type": kind, "region": region}
    talk.refused("create_instances", **{**free, "quantity": 2}, says="global/invalid-parameters")
    talk.refused(
        "create_instances",
        **{**free, "ssh_key_name": "nobody"},
        says="global/object-does-not-exist",
    )
    talk.refused("register_ssh_key", "sky-key", PUBLIC_KEY, says="global/invalid-parameters")
    talk.refused("remove_instances", ["1" * 32], says="global/object-does-not-exist")
    talk.refused_to_strangers("list_instances", says="global/invalid-api-key")
    talk.refused_to_strangers("remove_instances", [instance], says="global/invalid-api-key")
