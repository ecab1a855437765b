# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of a marketplace that want to be more than data."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market import border
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import (
    ProviderUnavailable,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import UNREADABLE
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.fields import tcp_ways
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.presence import PRESENT
from tests.simulator import vastai as simulated
from tests.unit.market.conftest import Market, order

COMMAND = "7 -oProxyCommand=touch${IFS}/tmp/owned"
STRANGERS_KEY = "203.0.113.9\n* ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGk9"

HOSTILE_FIELDS: list[dict[str, Any]] = [
    {"ssh_host": STRANGERS_KEY},
    {"ssh_host": "-oProxyCommand=id"},
    {"ssh_host": "203.0.113.9 -oProxyCommand=id"},
    {"ssh_host": "fe80::1%eth0"},
    {"ssh_host": ["203.0.113.9"]},
    {"ssh_port": 0x10000, "ports": None},
    {"ssh_port": -1, "ports": None},
    {"ssh_port": "22 -oProxyCommand=id", "ports": None},
    {"ssh_port": 22.5, "ports": None},
    {"public_ipaddr": "*", "ports": {"22/tcp": [{"HostPort": "22"}]}},
    {"machine_id": "../../x"},
    {"machine_id": ["7"]},
    {"gpu_name": "RTX\x1b[2J4090"},
    {"gpu_name": "x" * 10_000},
    {"gpu_name": 5090},
    {"driver_version": 570},
    {"driver_version": "58²"},
    {"driver_version": "580.95.05; reboot"},
    {"dph_total": -1},
]


@pytest.mark.parametrize("fields", HOSTILE_FIELDS, ids=lambda fields: str(fields)[:60])
def test_a_hostile_row_is_unreadable_and_still_there(
    market: Market, fields: dict[str, Any]
) -> None:
    rental = market.rent()["rental"]
    # Also while it boots, it has a way in that can be looked at.
    market.fault("row_is", fields={"ssh_port": 33526, **fields}, times=99)
    (listed,) = market.provider().list_rentals()
    assert (listed.id, listed.status) == (rental["id"], UNREADABLE)
    assert listed.ssh == ()
    assert listed.ports == {}
    assert listed.mark is not None
    assert listed.status_text.isprintable()
    with pytest.raises(ProviderUnavailable):
        market.provider().get(rental["id"])
    assert market.lifecycle().account.judge(rental["id"]).presence != "gone"


#: Rows with an odd port, the ports by which one gets in by SSH all the same, and those of others.
ODD_PORTS: list[tuple[dict[str, Any], list[int], dict[str, int]]] = [
    ({"ports": {"22/tcp": [{"HostPort": "invalid"}]}}, [33526], {}),
    ({"ports": {"22/tcp": [{"HostPort": "22 -oProxyCommand=id"}]}}, [33526], {}),
    ({"ports": {"22/tcp": [{"HostPort": 0x10000}]}}, [33526], {}),
    (
        {"ports": {"22/tcp": [{}], "8000/tcp": [{"HostPort": "33001"}]}},
        [33526],
        {"8000": 33001},
    ),
    (
        {"ports": {"22/tcp": "33000", "8000/tcp": [{"HostPort": 33001}]}},
        [33526],
        {"8000": 33001},
    ),
    (
        {"ports": {"-p/tcp": [{"HostPort": "33002"}], "22/tcp": [{"HostPort": "33000"}]}},
        [33000, 33526],
        {"22": 33000},
    ),
    (
        {"ports": {"22/tcp": [{"HostPort": "33000"}]}, "ssh_port": "invalid"},
        [33000],
        {"22": 33000},
    ),
]


@pytest.mark.parametrize(("fields", "by_ssh", "ports"), ODD_PORTS, ids=lambda told: str(told)[:60])
def test_an_odd_port_hides_neither_the_rental_nor_its_other_ways(
    market: Market, fields: dict[str, Any], by_ssh: list[int], ports: dict[str, int]
) -> None:
    market.rent()
    address = {"public_ipaddr": "203.0.113.9", "ssh_host": "203.0.113.7", "ssh_port": 33526}
    market.fault("row_is", fields={**address, **fields}, times=99)
    (listed,) = market.provider().list_rentals()
    assert listed.status != UNREADABLE
    assert [way.port for way in listed.ssh] == by_ssh
    assert {port: way.port for port, way in listed.ports.items()} == ports
    # Deploys and status of its name go on.
    assert not market.rent().get("failed")


def test_no_provider_lets_an_odd_port_hide_the_others() -> None:
    odd = [(22, "x"), (None, 1), (8000, 9000), ("8001", "9001"), (8002, 0), 7, (True, 5), (8000, 1)]
    found = tcp_ways("203.0.113.9", odd)
    assert {port: way.port for port, way in found.items()} == {"8000": 9000, "8001": 9001}


@pytest.mark.parametrize("fields", HOSTILE_FIELDS[:2], ids=str)
def test_a_hostile_row_can_be_released_and_only_closes_its_own_name(
    market: Market, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]
) -> None:
    first = market.rent("gpu-1")["rental"]
    row_of = simulated.instance_row
    monkeypatch.setattr(
        simulated,
        "instance_row",
        lambda world, one: {
            **row_of(world, one),
            **(fields if str(one.id) == first["id"] else {}),
        },
    )
    assert market.rent("gpu-2")["changed"]
    (second,) = market.run("rental_info", scope="test", name="gpu-2")["rentals"]
    assert second["ssh"]
    assert "cannot be understood" in market.run("rental_info", scope="test", name="gpu-1")["msg"]
    gone = market.run("rental", name="gpu-1", scope="test", state="absent")
    assert [one["id"] for one in gone["released"]] == [first["id"]]


@pytest.mark.parametrize("odd", [COMMAND, "-oProxyCommand=id", "../8", "7\n", "", None, [7], 7.5])
def test_a_list_with_a_hostile_id_proves_nothing(market: Market, odd: Any) -> None:
    rental_id = market.rent()["rental"]["id"]
    market.fault("row_is", fields={"id": odd}, times=99, path="/api/v1/instances/")
    with pytest.raises(ProviderUnavailable):
        market.provider().list_rentals()
    assert market.lifecycle().account.judge(rental_id).presence == PRESENT


def test_a_create_that_answers_with_a_hostile_id_is_found_by_its_mark(market: Market) -> None:
    market.fault(
        "reply_after_commit",
        method="PUT",
        path="/asks/",
        status=200,
        body={"success": True, "new_contract": COMMAND},
    )
    result = market.rent()
    assert [str(row["id"]) for row in market.billing()] == [result["rental"]["id"]]
    assert len(market.creates()) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"ask_contract_id": None, "id": None},
        {"ask_contract_id": "7/../../instances/8", "id": "7/../../instances/8"},
        {"machine_id": "x y"},
        {"gpu_name": "\x1b]0;owned\x07"},
        {"geolocation": "Here, S\u202eE"},
        {"driver_version": 570.5},
        {"driver_version": "58²"},
        {"cuda_max_good": "13\n"},
        {"dph_total": -0.5},
    ],
    ids=str,
)
def test_a_hostile_offer_is_left_out_and_hides_no_other(
    market: Market, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]
) -> None:
    whole = {one.offer.id for one in market.ranked()}
    victim = market.ranked()[0].offer.id
    in_order = simulated.ordered
    monkeypatch.setattr(
        simulated,
        "ordered",
        lambda rows, by: [
            {**row, **(fields if str(row["id"]) == victim else {})} for row in in_order(rows, by)
        ],
    )
    assert {one.offer.id for one in market.ranked()} == whole - {victim}


def test_a_label_of_a_thousand_digits_is_a_strangers(market: Market) -> None:
    market.rent()
    market.fault(
        "row_is",
        fields={"extra_env": [], "label": f"inferops/x/y/9f2c41aa/{'1' * 5000}/0"},
        times=99,
    )
    (listed,) = market.provider().list_rentals()
    assert listed.mark is None


@pytest.mark.parametrize(
    "host",
    ["ssh4.vast.ai", "203.0.113.7", "2001:db8::7", "localhost", "xn--bcher-kva.example", "a_b.c"],
)
def test_hosts_that_are_hosts(host: str) -> None:
    border.check_host(host)


@pytest.mark.parametrize(
    "host",
    [
        *("", " ", "a b", "a,b", "*", "-a.b", "a..b", "a\n", "[::1]", "a@b", "a:22", "%h", "$(id)"),
        *("2130706433", "127.1", "0x7f.1", "a" * 64, ".".join(["a" * 60] * 5), "b\u00fccher.de"),
    ],
)
def test_hosts_that_are_none(host: str) -> None:
    with pytest.raises(ValueError, match="host"):
        border.check_host(host)


@pytest.mark.parametrize("name", ["localhost", "all", "ungrouped", "127.0.0.1", "ALL", "../../x"])
def test_nothing_is_rented_under_a_name_that_means_something_else(
    market: Market, name: str
) -> None:
    assert market.rent(name)["failed"]
    assert market.creates() == []


def test_a_mark_with_such_a_name_is_still_one_of_ours(market: Market) -> None:
    mark = Mark("test", "localhost", "9f2c41aa", 0, 0)
    assert Mark.decode(mark.encode()) == mark
    assert order().mark.name == "gpu-1"
