# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RunPod's own library for Python, which speaks REST v2 from 2.0 on."""

from __future__ import annotations

from typing import Any

from tests.fidelity.books import for_rent, keys, runpod_door, runpod_pod
from tests.fidelity.talk import PUBLIC_KEY, Talk
from tests.simulator import offers as offer_table
from tests.simulator.market import Rental

GPU = "RTX 4090"
ORDER = {
    "image_name": "img:1",
    "gpu_type_id": f"NVIDIA {GPU}",
    "cloud_type": "SECURE",
    "container_disk_in_gb": 30,
    "ports": "22/tcp,8000/http",
}


def hold(talk: Talk) -> None:
    """All of it."""
    center = catalogue(talk)
    register_key(talk)
    pod = rent(talk)
    states(talk, pod)
    elsewhere(talk, center)
    refusals(talk, pod)
    end(talk, pod)


def of(rental: Rental) -> str:
    """The id of a pod."""
    return f"sim{rental.id}"


def picked(talk: Talk, rental: Rental) -> Any:
    """What of a pod is compared."""
    expected = runpod_pod(talk, rental)
    return lambda pod: {name: pod[name] for name in expected}


def lowest(talk: Talk, name: str, secure: bool) -> float:
    """Dollars an hour for one GPU in one of the two clouds, 0 where there is none."""
    prices = [
        one["dph_base"] / one["num_gpus"]
        for one in for_rent(talk, gpu_name=name)
        if (one["verification"] == "verified") == secure
    ]
    return round(min(prices, default=0.0), 4)


def countries(talk: Talk, count: int) -> set[str]:
    """Those that have the wished for GPU now, in the secure cloud."""
    found = for_rent(talk, gpu_name=GPU, num_gpus=count, verification="verified")
    return {one["geolocation"].rsplit(", ", 1)[-1] for one in found}


def catalogue(talk: Talk) -> str:
    """Every kind of GPU with its prices, and where one of them is; return one such place."""
    talk.say(
        "get_gpus",
        told=lambda rows: {
            one["id"]: (one["memory"], one["price"]["secure"], one["price"]["community"])
            for one in rows
        },
        want={
            f"NVIDIA {gpu.name}": (
                round(gpu.ram_mib / 1024),
                lowest(talk, gpu.name, True),
                lowest(talk, gpu.name, False),
            )
            for gpu in offer_table.GPUS
        },
    )
    for count in (4, 1):
        told = talk.say(
            *("get_gpu", f"NVIDIA {GPU}", count),
            told=lambda row: {one["id"].split("-")[1] for one in row["dataCenters"]},
            want=countries(talk, count),
        )
    talk.refused("get_gpu", "NVIDIA NOTHING", says="No GPU found")
    return str(told["dataCenters"][0]["id"])


def register_key(talk: Talk) -> None:
    """For the pods that come after; it replaces all.

    By the library's transport: ``update_user_settings`` reads the account by GraphQL afterwards,
    whose end has been announced, and which is not simulated.
    """
    request, path = "api.rest.run_rest_request", "/v2/account/ssh-keys"
    told = {"told": lambda said: (said["keys"], keys(talk))}
    for wanted in ([f"{PUBLIC_KEY}-before"], [PUBLIC_KEY]):
        talk.say(request, "PUT", path, json={"keys": wanted}, want=(wanted, wanted), **told)
    talk.say(request, "GET", path, want=([PUBLIC_KEY], [PUBLIC_KEY]), **told)
    talk.refused(request, "PUT", path, json={"keys": ["no key"]}, says="validation failed")


def rent(talk: Talk) -> Rental:
    """One, which is read alone and in the list, with the way in."""
    talk.say(
        "create_pod", "mk-1", **ORDER, told=lambda pod: pod["id"], want=lambda: of(talk.newest())
    )
    rental = talk.newest()
    books = runpod_pod(talk, rental)
    talk.say("get_pod", of(rental), told=picked(talk, rental), want=books)
    talk.say("get_pods", told=lambda pods: list(map(picked(talk, rental), pods)), want=[books])
    talk.say(
        *("get_pod", of(rental)),
        told=lambda pod: (pod["ssh"]["direct"]["host"], pod["ssh"]["direct"]["port"]),
        want=lambda: runpod_door(talk, rental),
    )
    talk.say(
        *("get_pod", of(rental)),
        told=lambda pod: {one["private"]: one["public"] for one in pod["runtime"]["ports"]},
        want=lambda: {
            int(name.split("/")[0]): port for name, port in talk.row(rental)["ports"].items()
        },
    )
    # What the account has is let in where a pod names no keys of its own.
    talk.say("get_pod", of(rental), told=lambda _pod: talk.let_in(rental), want=[PUBLIC_KEY])
    return rental


def states(talk: Talk, rental: Rental) -> None:
    """Stop and start it; its GPU is for rent meanwhile."""
    for call in ("stop_pod", "resume_pod"):
        talk.say(call, of(rental), told=lambda pod: pod["id"], want=of(rental))
        talk.say(
            "get_pod",
            of(rental),
            told=picked(talk, rental),
            want=lambda: runpod_pod(talk, rental),
        )
    talk.refused("resume_pod", of(rental), says="cannot start a pod that is RUNNING")


def elsewhere(talk: Talk, center: str) -> None:
    """One in a data center, on a machine that has enough."""
    talk.say(
        *("create_pod", "mk-2"),
        **{**ORDER, "data_center_id": center, "min_vcpu_count": 4},
        told=lambda pod: (pod["dataCenterId"], talk.newest().offer["cpu_cores_effective"] >= 4),
        want=(center, True),
    )
    rental = talk.newest()
    talk.say(
        "get_pod",
        of(rental),
        told=lambda pod: pod["dataCenterId"].split("-")[1],
        want=rental.offer["geolocation"].rsplit(", ", 1)[-1],
    )
    talk.say("terminate_pod", of(rental), told=lambda _said: len(talk.state()["rentals"]), want=1)


def refusals(talk: Talk, rental: Rental) -> None:
    """No machine that fits, pods that never were, a body that is none, and a key of nobody."""
    none = {**ORDER, "allowed_cuda_versions": ["1.0"]}
    talk.refused("create_pod", "mk-3", **none, says="no longer any instances available")
    talk.refused("create_pod", "mk-3", **{**ORDER, "ports": "22"}, says="validation failed")
    talk.say("get_pod", "sim1", want=None)
    talk.refused("terminate_pod", "sim1", says="pod not found")
    talk.refused("stop_pod", "sim1", says="pod not found")
    talk.refused_to_strangers("get_pods", says="Unauthorized")
    talk.refused_to_strangers("terminate_pod", of(rental), says="Unauthorized")


def end(talk: Talk, rental: Rental) -> None:
    """Terminate it; it is gone from every answer."""
    talk.say("terminate_pod", of(rental), told=lambda _said: talk.state()["rentals"], want=[])
    talk.say("get_pod", of(rental), want=None)
    talk.say("get_pods", want=[])
    talk.refused("terminate_pod", of(rental), says="pod not found")
