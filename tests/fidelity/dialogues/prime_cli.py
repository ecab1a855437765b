# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prime Intellect's own command line."""

from __future__ import annotations

from typing import Any

from tests.fidelity.books import for_rent, usd_per_hour
from tests.fidelity.talk import Talk
from tests.simulator import prime
from tests.simulator.market import Rental
from tests.simulator.offers import Offer
from tests.simulator.ways import ADDRESS

GPU, KIND = "RTX 4090", "RTX4090_24GB"
JSON = ("--output", "json")


def hold(talk: Talk) -> None:
    """All of it, beside what our own client has rented."""
    ours = talk.ours()
    found = search(talk)
    rental = rent(talk, found)
    read(talk, [ours, rental])
    money(talk)
    refusals(talk, rental)
    end(talk, [ours, rental])


def of(rental: Rental) -> str:
    """The id of a pod."""
    return f"{rental.id:032x}"


def plans(talk: Talk, count: int, **columns: Any) -> dict[str, float]:
    """What can be rented: each plan with its price, and the disk that is in that."""
    found = for_rent(talk, gpu_name=GPU, num_gpus=count, **columns)
    return {f"NVIDIA {GPU} {one['id']}": price(one) for one in found}


def price(offer: Offer) -> float:
    """Dollars an hour. On every third machine a disk costs extra."""
    return float(offer["dph_base"]) + prime.included_usd(offer)


def search(talk: Talk) -> dict[str, Any]:
    """Every kind, the plans of one, and those of one region; return one that can be had so."""
    kinds = {prime.GPUS[one["gpu_name"]][0] for one in prime.on_offer(talk.market)}
    talk.say(
        "availability", "gpu-types", *JSON, told=lambda said: set(said["gpu_types"]), want=kinds
    )
    wish = ("availability", "list", "--gpu-type", KIND, *JSON, "--no-group-similar")
    told = {
        "told": lambda said: {one["cloud_id"]: one["price_value"] for one in said["gpu_resources"]}
    }
    for count in (4, 1):
        found = talk.say(*wish, "--gpu-count", count, want=plans(talk, count), **told)
    american = [one for one in for_rent(talk, gpu_name=GPU, num_gpus=1) if is_in(one, "US", "CA")]
    talk.say(
        *wish,
        "--gpu-count",
        1,
        "--regions",
        "united_states",
        "--regions",
        "canada",
        want={f"NVIDIA {GPU} {one['id']}": price(one) for one in american},
        **told,
    )
    # It names no highest price, which that cloud wants.
    fitting = (one for one in found["gpu_resources"] if one["provider"] != prime.WANTS_MAX_PRICE)
    return dict(next(fitting))


def is_in(offer: Offer, *countries: str) -> bool:
    """Whether a machine stands in one of them."""
    return str(offer["geolocation"]).rsplit(", ", 1)[-1] in countries


def create(plan: dict[str, Any], name: str) -> tuple[Any, ...]:
    """The command that rents."""
    sizes = ("--disk-size", 30, "--vcpus", 8, "--memory", 32)
    image = ("--image", "ubuntu_22_cuda_12")
    return "pods", "create", "--id", plan["id"], "--name", name, *sizes, *image, "--yes"


def rent(talk: Talk, plan: dict[str, Any]) -> Rental:
    """One, of the plan that was chosen."""
    talk.does(
        *create(plan, "my-pod"),
        says="Successfully created pod",
        done=lambda: f"NVIDIA {GPU} {talk.newest().offer['id']}" == plan["cloud_id"],
    )
    return talk.newest()


def listed(talk: Talk, rental: Rental) -> dict[str, Any]:
    """A pod in the books."""
    row = talk.row(rental)
    return {
        "id": of(rental),
        "name": row["label"],
        "gpu": f"{prime.GPUS[rental.offer['gpu_name']][0]} x{rental.offer['num_gpus']}",
        "status": {"running": "ACTIVE"}[row["status"]],
    }


def read(talk: Talk, rentals: list[Rental]) -> None:
    """All of them, and each alone."""
    books = [listed(talk, one) for one in rentals]
    talk.say(
        *("pods", "list", *JSON),
        told=lambda said: [{name: one[name] for name in books[0]} for one in said["pods"]],
        want=books,
    )
    talk.say("pods", "list", *JSON, told=lambda said: said["total_count"], want=len(books))
    for rental in rentals:
        read_one(talk, rental)


def read_one(talk: Talk, rental: Rental) -> None:
    """With its price and the way in."""
    port = talk.row(rental)["ports"]["22/tcp"]
    books = {
        **listed(talk, rental),
        "ip": ADDRESS,
        "cost_per_hour": round(usd_per_hour(rental), 6),
    }
    status = ("pods", "status", of(rental), *JSON)
    talk.say(*status, told=lambda said: {name: said[name] for name in books}, want=books)
    talk.say(
        *status,
        told=lambda said: (
            said["ssh"].split()[-3:],
            [(one["internal"], one["external"]) for one in said["port_mappings"]],
        ),
        want=([f"root@{ADDRESS}", "-p", str(port)], [("22", str(port))]),
    )


def money(talk: Talk) -> None:
    """What is left, and whose it is."""
    talk.market.advance(3600)
    talk.say(
        "wallet",
        *JSON,
        told=lambda said: said["balance_usd"],
        want=lambda: round(talk.state()["credit_usd"], 4),
    )
    talk.say("whoami", told=lambda said: prime.USER in said, want=True)


def refusals(talk: Talk, rental: Rental) -> None:
    """No such plan, pods that never were, and a key of nobody."""
    talk.refused(*create({"id": "abcdef"}, "x"), says="No valid GPU configuration found")
    talk.refused("pods", "status", "1" * 32, *JSON, says="Pod not found")
    talk.refused("pods", "terminate", "1" * 32, "--yes", says="Pod not found")
    talk.refused_to_strangers("pods", "list", *JSON, says="API key")
    talk.refused_to_strangers("pods", "terminate", of(rental), "--yes", says="API key")


def end(talk: Talk, rentals: list[Rental]) -> None:
    """Both; what they have cost is in the history."""
    for left, rental in zip((1, 0), reversed(rentals), strict=True):
        terminate = ("pods", "terminate", of(rental), "--yes")
        talk.does(*terminate, says="Successfully terminated pod", done=talk.left(left))
    talk.say("pods", "list", *JSON, told=lambda said: said["pods"], want=[])
    talk.say(
        *("pods", "history", *JSON),
        told=lambda said: {one["id"]: one["total_cost"] for one in said["history"]},
        want=lambda: {of(one): one.charged_usd for one in talk.market.ended},
    )
    talk.refused("pods", "terminate", of(rentals[0]), "--yes", says="Pod not found")
