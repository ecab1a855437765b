# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The generated market has the shape of the real one."""

from __future__ import annotations

import statistics

from tests.simulator.offers import DRIVERS, GPUS, generate

NOW = 1_800_000_000.0
OFFERS = generate(NOW)


def test_the_same_seed_gives_the_same_market() -> None:
    assert generate(NOW) == OFFERS
    assert generate(NOW, seed=8) != OFFERS


def test_there_are_hundreds_of_offers_on_fewer_machines() -> None:
    assert len({offer["id"] for offer in OFFERS}) == len(OFFERS) == 400
    assert 280 <= len({offer["machine_id"] for offer in OFFERS}) <= 340


def test_each_offer_tells_its_gpu_truly() -> None:
    known = {gpu.name: gpu for gpu in GPUS}
    for offer in OFFERS:
        gpu = known[offer["gpu_name"]]
        assert offer["gpu_ram"] == gpu.ram_mib
        assert offer["gpu_total_ram"] == gpu.ram_mib * offer["num_gpus"]
        assert offer["compute_cap"] == gpu.compute_cap


def test_drivers_fit_the_gpu_and_the_cuda_that_they_support() -> None:
    cuda = {version: supported for _branch, version, supported, _weight in DRIVERS}
    for offer in OFFERS:
        branch = offer["driver_vers"] // 1_000_000
        assert offer["cuda_max_good"] == cuda[offer["driver_version"]]
        assert branch >= 570 or offer["compute_cap"] < 1000, "Blackwell needs driver 570"
        assert branch <= 580 or offer["compute_cap"] >= 750, "Pascal and Volta end with 580"


def test_prices_spread_around_the_street_price() -> None:
    per_gpu = [o["dph_base"] / o["num_gpus"] for o in OFFERS if o["gpu_name"] == "RTX 4090"]
    assert 0.25 < statistics.median(per_gpu) < 0.5
    assert max(per_gpu) > 1.5 * min(per_gpu)


def test_good_and_bad_hosts_are_both_there() -> None:
    assert {offer["verification"] for offer in OFFERS} == {"verified", "unverified", "deverified"}
    assert any(offer["reliability2"] < 0.95 for offer in OFFERS)
    assert sum(offer["reliability2"] > 0.98 for offer in OFFERS) > 150
    assert any(offer["direct_port_count"] == 0 for offer in OFFERS)
    assert len({offer["geolocation"] for offer in OFFERS}) >= 15
    assert all(offer["end_date"] > NOW > offer["start_date"] for offer in OFFERS)
