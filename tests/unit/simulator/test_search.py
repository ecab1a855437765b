# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Searching the simulated market as Vast.ai's clients do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import Client


def test_a_search_answers_the_best_scores_first_and_at_most_64(client: Client) -> None:
    scores = [offer["score"] for offer in client.search(limit=10_000)]
    assert len(scores) == 64
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("column", "test", "holds"),
    [
        ("gpu_name", {"eq": "RTX 4090"}, lambda o: o["gpu_name"] == "RTX 4090"),
        ("gpu_name", {"neq": "RTX 4090"}, lambda o: o["gpu_name"] != "RTX 4090"),
        ("gpu_ram", {"gte": 40000, "lt": 90000}, lambda o: 40000 <= o["gpu_ram"] < 90000),
        ("num_gpus", {"gt": 2}, lambda o: o["num_gpus"] > 2),
        ("num_gpus", {"eq": "2"}, lambda o: o["num_gpus"] == 2),
        ("dph_total", {"lte": 0.2}, lambda o: o["dph_total"] <= 0.2),
        ("geolocation", {"in": ["SE", "DE"]}, lambda o: o["geolocation"][-2:] in ("SE", "DE")),
        ("geolocation", {"notin": ["US"]}, lambda o: not o["geolocation"].endswith("US")),
        ("verified", {"eq": True}, lambda o: o["verification"] == "verified"),
        ("datacenter", {"eq": True}, lambda o: o["hosting_type"] == 1),
        ("driver_version", {"gte": 580_000_000}, lambda o: o["driver_vers"] >= 580_000_000),
        ("duration", {"gte": 86400 * 10}, lambda o: o["duration"] >= 864_000),
        ("cpu_ghz", {"gt": 3.0}, lambda o: o["cpu_ghz"] > 3.0),
        ("gpu_max_power", {"lte": 300}, lambda o: o["gpu_max_power"] <= 300),
        ("total_flops", {"lt": 100}, lambda o: o["total_flops"] < 100),
        ("flops_per_dphtotal", {"gte": 100}, lambda o: o["flops_per_dphtotal"] >= 100),
        ("ubuntu_version", {"eq": "22.04"}, lambda o: o["os_version"] == "22.04"),
        ("mobo_name", {"neq": "BOARD-1"}, lambda o: o["mobo_name"] != "BOARD-1"),
    ],
)
def test_every_filter_keeps_what_it_should_and_only_that(
    client: Client, column: str, test: dict[str, Any], holds: Any
) -> None:
    found = client.search(**{column: test})
    assert found
    assert all(holds(offer) for offer in found)
    assert not all(holds(offer) for offer in client.search(order=[["id", "asc"]]))


#: What vast-ai/docs api-reference/openapi/yaml/search_offers.yaml says that can be searched for.
DOCUMENTED = (
    "verified", "rentable", "rented", "gpu_name", "reliability", "num_gpus", "gpu_ram", "duration",
    "machine_id", "dlperf_per_dphtotal", "dph_total", "flops_per_dphtotal", "geolocation",
    "gpu_arch", "dlperf", "cuda_max_good", "inet_down", "inet_up", "inet_down_cost", "inet_up_cost",
    "driver_version", "compute_cap", "cpu_arch", "has_avx", "cpu_cores", "cpu_cores_effective",
    "cpu_ghz", "cpu_ram", "datacenter", "external", "disk_bw", "disk_space", "bw_nvlink",
    "gpu_max_power", "gpu_max_temp", "gpu_mem_bw", "gpu_total_ram", "gpu_frac",
    "gpu_display_active", "direct_port_count", "host_id", "id", "min_bid", "mobo_name", "pci_gen",
    "pcie_bw", "storage_cost", "static_ip", "total_flops", "os_version", "ubuntu_version",
    "verification", "vms_enabled",
)  # fmt: skip


def test_no_documented_filter_is_refused(client: Client) -> None:
    for column in DOCUMENTED:
        assert client.search(**{column: {"notin": []}}), column


def test_order_by_two_columns(client: Client) -> None:
    found = client.search(order=[["num_gpus", "desc"], ["dph_total", "asc"]])
    keys = [(-offer["num_gpus"], offer["dph_total"]) for offer in found]
    assert keys == sorted(keys)


def test_the_price_counts_the_disk_that_is_asked_for(client: Client) -> None:
    small = client.search(order=[["id", "asc"]], limit=1, allocated_storage=10)[0]
    large = client.search(order=[["id", "asc"]], limit=1, allocated_storage=730)[0]
    assert large["id"] == small["id"]
    more = large["dph_total"] - small["dph_total"]
    assert more == pytest.approx(small["storage_cost"], abs=2e-6)  # 720 GB for an hour of a month


def test_a_bid_search_shows_the_lowest_bid_as_price(client: Client) -> None:
    bid = client.search(type="bid", order=[["id", "asc"]], limit=1)[0]
    assert bid["is_bid"] is True
    assert bid["dph_base"] == bid["min_bid"]


def test_the_three_ways_to_ask_give_the_same_answer(client: Client) -> None:
    query = {"gpu_name": {"eq": "L40S"}, "order": [["dph_total", "asc"]], "limit": 5}
    by_post = client.call("POST", "/api/v0/bundles", json=query).json()
    by_get = client.call("GET", "/api/v0/bundles/", params={"q": json.dumps(query)}).json()
    by_put = client.call("PUT", "/api/v0/search/asks/", json={"select_cols": ["*"], "q": query})
    assert len(by_post["offers"]) == 5
    assert by_post == by_get == by_put.json()


@pytest.mark.parametrize(
    "query",
    [
        {"gpu_nmae": {"eq": "L4"}},
        {"gpu_ram": {"about": 5}},
        {"gpu_ram": 24000},
        {"gpu_ram": {"gte": "much"}},
        {"type": "gift"},
        {"order": [["speed", "asc"]]},
    ],
)
def test_a_query_that_makes_no_sense_is_refused(client: Client, query: dict[str, Any]) -> None:
    answer = client.call("POST", "/api/v0/bundles/", json=query)
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_args"


def test_the_content_type_is_exactly_what_the_official_client_wants(client: Client) -> None:
    answer = client.call("POST", "/api/v0/bundles/", json={})
    assert answer.headers["Content-Type"] == "application/json"


def test_gpu_names_need_no_key(client: Client) -> None:
    del client.session.headers["Authorization"]
    names = client.call("GET", "/api/v0/gpu_names/unique/").json()["gpu_names"]
    assert {"RTX 4090", "H100 SXM"} <= set(names)
