# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the simulated clock charges."""

from __future__ import annotations

import pytest

from .conftest import Client, Json


def bill(client: Client) -> Json:
    (rental,) = client.control("state")["rentals"]
    return rental


def test_an_hour_of_running_costs_the_hourly_price(client: Client) -> None:
    number = client.rent()
    row = client.wait_status(number, "running")
    before = client.call("GET", "/api/v0/users/current/").json()["credit"]
    client.control("clock", {"advance_seconds": 3600})
    after = client.call("GET", "/api/v0/users/current").json()["credit"]
    assert before - after == pytest.approx(row["dph_total"], rel=1e-2)
    assert bill(client)["charged_usd"] == pytest.approx(row["dph_total"], rel=1e-2)


def test_loading_costs_disk_only(client: Client) -> None:
    client.control("settings", {"boot_seconds": 60})
    row = client.read(client.rent(disk=100))
    client.control("clock", {"advance_seconds": 3600})
    charged = bill(client)
    assert charged["gpu_usd"] == 0
    assert charged["storage_usd"] == pytest.approx(row["storage_cost"] * 100 / 720, rel=1e-2)


def test_a_stopped_rental_still_pays_for_its_disk(client: Client) -> None:
    number = client.rent()
    client.wait_status(number, "running")
    client.call("PUT", f"/api/v0/instances/{number}/", json={"state": "stopped"})
    before = bill(client)
    client.control("clock", {"advance_seconds": 3600})
    after = bill(client)
    assert after["gpu_usd"] == before["gpu_usd"]
    assert after["storage_usd"] > before["storage_usd"]


def test_a_destroyed_rental_costs_nothing_more(client: Client) -> None:
    number = client.rent()
    client.call("DELETE", f"/api/v0/instances/{number}/", json={})
    before = client.control("state")["credit_usd"]
    client.control("clock", {"advance_seconds": 360_000})
    assert client.control("state")["credit_usd"] == before


def test_time_can_run_faster(client: Client) -> None:
    number = client.rent()
    client.wait_status(number, "running")
    start = client.control("clock", {"scale": 100_000})["now"]
    end = client.control("clock", {"scale": 1})["now"]
    assert end - start > 10  # well under a real second has passed
    assert bill(client)["gpu_usd"] > 0


def test_time_never_goes_back(client: Client) -> None:
    answer = client.call("POST", "/simulator/clock", json={"advance_seconds": -1})
    assert answer.status_code == 400


def test_without_credit_nothing_can_be_rented(client: Client) -> None:
    client.control("settings", {"credit_usd": 0})
    answer = client.create()
    assert (answer.status_code, answer.json()["error"]) == (400, "insufficient_credit")
    assert client.page()["instances"] == []
