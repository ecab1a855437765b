# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""dstack's client for Lambda Cloud."""

from __future__ import annotations

from typing import Any

from tests.fidelity.books import free_lambda_type, keys, lambda_instance, lambda_told, lambda_types
from tests.fidelity.dialogues.lai import as_types, of
from tests.fidelity.talk import PUBLIC_KEY, Talk


def hold(talk: Talk) -> None:
    """All of it."""
    talk.say("validate_api_key", want=True)
    every = lambda_types(talk)
    talk.say("list_instance_types", told=lambda types: as_types(list(types.values())), want=every)
    talk.say(
        "add_ssh_key",
        "mine",
        PUBLIC_KEY,
        told=lambda key: (key["name"], key["public_key"]),
        want=lambda: ("mine", *keys(talk)),
    )
    talk.say(
        "list_ssh_keys", told=lambda rows: [one["public_key"] for one in rows], want=[PUBLIC_KEY]
    )
    kind, region = free_lambda_type(talk)
    order: dict[str, Any] = {
        "region_name": region,
        "instance_type_name": kind,
        "ssh_key_names": ["mine"],
        "file_system_names": [],
        "quantity": 1,
        "name": "mk-1",
    }
    talk.say("launch_instances", **order, want=lambda: [of(talk.newest())])
    rental = talk.newest()
    talk.say(
        "list_instances",
        told=lambda rows: (list(map(lambda_told, rows)), talk.let_in(rental)),
        want=([lambda_instance(talk, rental)], [PUBLIC_KEY]),
    )
    refusals(talk, order, of(rental))
    talk.say(
        *("terminate_instances", [of(rental)]),
        told=lambda said: list(map(lambda_told, said["terminated_instances"])),
        want=[lambda_instance(talk, rental, "terminating")],
    )
    talk.say(
        "list_instances", told=lambda rows: [one["status"] for one in rows], want=["terminating"]
    )
    talk.market.advance(91)
    talk.say("list_instances", told=lambda rows: (rows, talk.state()["rentals"]), want=([], []))


def refusals(talk: Talk, order: dict[str, Any], instance: str) -> None:
    """No capacity, two at once, an unknown key, an unknown instance, and a key of nobody."""
    no_room = {**order, "region_name": "us-east-1"}
    talk.refused("launch_instances", **no_room, says="insufficient-capacity")
    talk.refused("launch_instances", **{**order, "quantity": 2}, says="global/invalid-parameters")
    talk.refused(
        "launch_instances",
        **{**order, "ssh_key_names": ["nobody"]},
        says="global/object-does-not-exist",
    )
    talk.refused("add_ssh_key", "mine", PUBLIC_KEY, says="400")
    talk.refused("terminate_instances", ["1" * 32], says="global/object-does-not-exist")
    talk.refused_to_strangers("list_instances", says="global/invalid-api-key")
    talk.refused_to_strangers("terminate_instances", [instance], says="global/invalid-api-key")
