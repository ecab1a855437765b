# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the simulator's books say of a rental, in the words of each provider.

Read from the market and from ``GET /simulator/state``, never from the rows that the routes make.
"""

from __future__ import annotations

from typing import Any

from tests.fidelity.talk import Talk
from tests.simulator import offers as offer_table
from tests.simulator.market import Rental
from tests.simulator.offers import Offer
from tests.simulator.ways import ADDRESS


def usd_per_hour(rental: Rental) -> float:
    """What it costs while it runs, with its disk."""
    disk = offer_table.storage_usd_per_hour(rental.offer, rental.disk_gib)
    return float(rental.offer["dph_base"]) + disk


def for_rent(talk: Talk, **columns: Any) -> list[Offer]:
    """The offers of the market that have these values."""
    return [
        one
        for one in talk.market.search()
        if all(one[name] == value for name, value in columns.items())
    ]


def vastai_instance(talk: Talk, rental: Rental) -> dict[str, Any]:
    """An instance of Vast.ai."""
    row = talk.row(rental)
    return {
        "id": row["id"],
        "label": row["label"],
        "actual_status": row["status"],
        "intended_status": row["intended"],
        "machine_id": row["machine_id"],
        "gpu_name": rental.offer["gpu_name"],
        "num_gpus": rental.offer["num_gpus"],
        "disk_space": rental.disk_gib,
        "dph_total": usd_per_hour(rental),
        "image_uuid": rental.wish["image"],
    }


def vastai_port(instance: dict[str, Any]) -> int:
    """The port of its sshd, as Vast.ai tells it."""
    return int(instance["ports"]["22/tcp"][0]["HostPort"])


def runpod_pod(talk: Talk, rental: Rental) -> dict[str, Any]:
    """A pod of RunPod."""
    row, wish = talk.row(rental), rental.wish["pod"]
    status = {"running": "RUNNING", "stopped": "EXITED"}[row["status"]]
    return {
        "id": f"sim{row['id']}",
        "name": row["label"],
        "status": status,
        "image": wish["image"],
        "gpu": {"id": f"NVIDIA {rental.offer['gpu_name']}", "count": rental.offer["num_gpus"]},
        "disk": rental.disk_gib,
        "cost": usd_per_hour(rental) if status == "RUNNING" else 0.0,
    }


def runpod_door(talk: Talk, rental: Rental) -> tuple[str, int]:
    """Where its sshd answers."""
    return ADDRESS, talk.row(rental)["ports"]["22/tcp"]


def lambda_instance(talk: Talk, rental: Rental, status: str = "active") -> dict[str, Any]:
    """An instance of Lambda Cloud; one that does not run has no address."""
    row = talk.row(rental) if rental.id in talk.market.rentals else {"label": rental.label}
    name = f"gpu_{rental.offer['num_gpus']}x_{rental.offer['gpu_name'].lower().replace(' ', '_')}"
    return {
        "id": f"{rental.id:032x}",
        "name": row["label"],
        "status": status,
        "ip": ADDRESS if status == "active" else None,
        "type": name,
        "gpus": rental.offer["num_gpus"],
        "cents": round(rental.offer["dph_base"] * 100),
    }


def lambda_told(instance: dict[str, Any]) -> dict[str, Any]:
    """The same of what a client has."""
    kind = instance["instance_type"]
    return {
        **{name: instance[name] for name in ("id", "name", "status")},
        "ip": instance.get("ip"),
        "type": kind["name"],
        "gpus": kind["specs"]["gpus"],
        "cents": kind["price_cents_per_hour"],
    }


#: Where Lambda Cloud has the machines of these countries of the market.
LAMBDA_REGIONS = {
    "US": "us-west-1",
    "DE": "europe-central-1",
    "JP": "asia-northeast-2",
    "AU": "australia-east-1",
}


def lambda_regions(talk: Talk, name: str) -> list[str]:
    """Where a type of instance can be had."""
    _gpu, count, model = name.split("_", 2)
    return sorted(
        {
            LAMBDA_REGIONS[country]
            for one in talk.market.search()
            if one["gpu_name"].lower().replace(" ", "_") == model
            and one["num_gpus"] == int(count.removesuffix("x"))
            and (country := one["geolocation"].rsplit(", ", 1)[-1]) in LAMBDA_REGIONS
        }
    )


def lambda_types(talk: Talk) -> dict[str, tuple[int, list[str]]]:
    """Every type with a GPU of the market: cents an hour, and the regions that have one."""
    return {
        name: (round(gpu.usd_per_hour * count * 100), lambda_regions(talk, name))
        for gpu in offer_table.GPUS
        for count in gpu.counts
        for name in [f"gpu_{count}x_{gpu.name.lower().replace(' ', '_')}"]
    }


def free_lambda_type(talk: Talk) -> tuple[str, str]:
    """A type with one GPU, and a region that has one."""
    free = {name: regions for name, (_cents, regions) in lambda_types(talk).items() if regions}
    name = next(one for one in free if one.startswith("gpu_1x_"))
    return name, free[name][0]


def keys(talk: Talk) -> list[str]:
    """The account's public keys."""
    return list(talk.market.account_keys.values())
