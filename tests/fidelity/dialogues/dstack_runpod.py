# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""dstack's client for RunPod's REST v2."""

from __future__ import annotations

from typing import Any

from tests.fidelity.books import runpod_pod
from tests.fidelity.dialogues.runpod_sdk import of, picked
from tests.fidelity.talk import Talk

ORDER: dict[str, Any] = {
    "gpu_type_id": "NVIDIA H100 SXM",
    "gpu_count": 1,
    "min_cpu_count_per_gpu": 4,
    "min_memory_in_gb_per_gpu": 16,
    "container_disk_in_gb": 40,
    "image_name": "img:1",
    "entrypoint": ["/bin/sh"],
    "cmd": ["-c", "sleep infinity"],
    "ports": ["10022/tcp"],
    "env": {"A": "b"},
}
LEAST_CUDA = 12.8


def hold(talk: Talk) -> None:
    """Rent in both clouds, read, be refused, terminate."""
    talk.say("validate_api_key", want=True)
    for number, cloud in enumerate(("SECURE", "COMMUNITY")):
        rent(talk, f"mk-{number}", cloud)
    rental = talk.rentals()[0]
    talk.refused(
        "create_pod",
        name="mk",
        cloud="SECURE",
        **{**ORDER, "gpu_count": 7},
        says="no longer any instances available",
    )
    talk.refused("create_pod", name="", cloud="SECURE", **ORDER, says="422")
    talk.say("get_pod", "sim1", want=None)
    talk.say("terminate_pod", "sim1", want=False)
    talk.refused_to_strangers("get_pod", of(rental), says="BackendInvalidCredentialsError")
    talk.refused_to_strangers("terminate_pod", of(rental), says="BackendInvalidCredentialsError")
    for left, ended in ((1, talk.rentals()[0]), (0, talk.rentals()[1])):
        talk.say(
            "terminate_pod",
            of(ended),
            told=lambda gone: (gone, len(talk.rentals())),
            want=(True, left),
        )
        talk.say("get_pod", of(ended), want=None)
    talk.say("terminate_pod", of(rental), want=False)


def rent(talk: Talk, name: str, cloud: str) -> None:
    """On a machine that has what is asked for."""
    talk.say(
        "create_pod",
        name=name,
        cloud=cloud,
        **ORDER,
        told=lambda pod: pod["id"],
        want=lambda: of(talk.newest()),
    )
    rental = talk.newest()
    offer = rental.offer
    enough = offer["cpu_cores_effective"] >= 4 and offer["cpu_ram"] >= 16 * 1024
    kind = "verified" if offer["verification"] == "verified" else "unverified"
    talk.say(
        *("get_pod", of(rental)),
        told=lambda pod: (float(pod["cudaVersion"]) >= LEAST_CUDA, pod["cloud"]),
        want=(enough, {"verified": "SECURE", "unverified": "COMMUNITY"}[kind]),
    )
    talk.say("get_pod", of(rental), told=picked(talk, rental), want=runpod_pod(talk, rental))
    talk.say(
        "get_pod",
        of(rental),
        told=lambda pod: (pod["env"], pod["ports"]),
        want=lambda: (ORDER["env"], ORDER["ports"]),
    )
