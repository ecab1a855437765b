# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long it takes from a rental request to the first token, from what an offer tells.

Three phases follow each other, and a deploy measures each: SSH, where the host boots and gets its
image; the installation, where packages and weights arrive side by side over one line; the launch,
where the weights are loaded and the engine compiles. What is assumed for what nobody tells is said.

The figures are what others have measured, on other hardware; [A] is our guess.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..model import Offer

#: The phases that are measured, in their order.
SSH, INSTALL, LAUNCH = "ssh", "install", "launch"
PHASES = (SSH, INSTALL, LAUNCH)

MBIT_PER_GIB = 8 * 1024**3 / 1e6
_MB_PER_GIB = 1024**3 / 1e6

#: What a line brings of what it promises: with it the usual image over the usual line is there in
#: the 1 to 5 minutes below. A healthy host was seen that reached less than half.
_LINE_SHARE = 0.7
#: However fast the line is: 16 GB came in 61 s over a line of a data centre (tensorfuse, L40S).
_MOST_MBIT_PER_SECOND = 2000.0
#: Where a listing says nonsense.
_LEAST_MBIT_PER_SECOND, _LEAST_MB_PER_SECOND, _LEAST_CORES = 10.0, 10.0, 1.0
#: Where an offer tells nothing: what most have that pass the usual filters, and a SATA SSD [A].
USUAL_MBIT_PER_SECOND, _USUAL_MB_PER_SECOND, _USUAL_CORES = 500.0, 500.0, 8.0

#: Vast.ai states 1 to 5 minutes until SSH with an image of its own, which hosts often have already.
_BOOT_SECONDS = 60.0
#: Layers are unpacked one after the other. 10 GB of vLLM's image took 80 s in all (vllm #48193).
_UNPACK_SECONDS_PER_GIB = 8.0
#: Image and packages are about so many times larger when they are unpacked (our own table of
#: releases: 3.5 GiB of packages become 8).
_UNPACKED = 2.3
#: uv, its lock, and torch, numpy and vLLM each proven by running them [A]; that without a download.
_PROVING_SECONDS = 45.0
#: The same where the image has all of it: only the proofs are left [A].
_PROVING_IN_IMAGE_SECONDS = 25.0
#: What one core unzips, of the unpacked size [A]; uv uses all, and wheels are few and large.
_UNZIP_GIB_PER_SECOND, _MOST_UNZIPPING = 0.1, 8.0
#: Where a model's size is left open, so much of the download is packages, as for CUDA.
PACKAGES_GIB = 3.5

#: Per GPU, from the page cache: 70 GB on 8 GPUs took 10 s (vllm #19824).
_LOAD_GIB_PER_SECOND = 0.85
#: What arrived lies in memory still where that is larger than the model by so much.
_CACHED_BELOW_SHARE = 0.7
#: Imports, processes, profiling, the first completion: 108 s from start to token with all of it
#: (vllm #48193), 71 to 78 s for a fresh one (vllm PR 48996).
_ENGINE_SECONDS = 40.0
#: Dynamo, compilation and graphs are the CPU's: 42 s for 8B on L40S with many cores, 85 s for 70B
#: (tensorfuse, vllm #19824); cores beyond these help little [A].
_COMPILE_CORE_SECONDS, _MOST_COMPILING, _COMPILE_GROWS_PER_GIB = 360.0, 8.0, 1 / 100
_GRAPHS_SECONDS = 30.0
#: No model grows beyond this, whatever is asked for.
_LARGEST_GIB = 1000.0

#: Nothing is expected to take longer than a day, whatever is told.
_MOST_SECONDS = 86400.0
#: A floor of the download speed keeps no more than half of the market out.
_HIGHEST_FLOOR_MBIT_PER_SECOND = 500.0


@dataclass(frozen=True)
class Work:
    """What a new host has to fetch, and whether its engine compiles and captures graphs.

    ``guessed`` is said where nobody knows the model's size.
    """

    image_gib: float
    packages_gib: float
    model_gib: float
    guessed: bool = False
    compiles: bool = True


@dataclass(frozen=True)
class FirstToken:
    """The expected seconds of each part, and what they rest on.

    ``weights_seconds`` are beside the stack's, and count that both come over one line.
    ``start_seconds`` are imports, compilation, graphs and the first completion. ``paces`` are what
    the history has made slower or faster, by phase.
    """

    ssh_seconds: float
    stack_seconds: float
    weights_seconds: float
    load_seconds: float
    start_seconds: float
    assumed: tuple[str, ...]
    paces: Mapping[str, float]

    @property
    def phases(self) -> dict[str, float]:
        """The seconds of each phase that is measured."""
        return {
            SSH: self.ssh_seconds,
            INSTALL: max(self.stack_seconds, self.weights_seconds),
            LAUNCH: self.load_seconds + self.start_seconds,
        }

    @property
    def total_seconds(self) -> float:
        """From the request to the first token."""
        return sum(self.phases.values())

    def to_dict(self) -> dict[str, Any]:
        """The estimate as plain data, as modules return it."""
        parts = {
            name: round(value, 1)
            for name, value in asdict(self).items()
            if name.endswith("_seconds")
        }
        return {
            "total_seconds": round(self.total_seconds, 1),
            **parts,
            "phases": {phase: round(seconds, 1) for phase, seconds in self.phases.items()},
            "paces": {phase: round(pace, 3) for phase, pace in self.paces.items()},
            "assumed": list(self.assumed),
        }


def first_token(offer: Offer, work: Work, paces: Mapping[str, float] | None = None) -> FirstToken:
    """What is expected of *offer*. *paces* multiply phases, as History tells them."""
    host = _Host.of(offer)
    pace = {phase: (paces or {}).get(phase, 1.0) for phase in PHASES}
    return FirstToken(
        ssh_seconds=_bounded(_ssh(host, work) * pace[SSH]),
        stack_seconds=_bounded(_stack(host, work) * pace[INSTALL]),
        weights_seconds=_bounded(_weights(host, work) * pace[INSTALL]),
        load_seconds=_bounded(_load(host, work) * pace[LAUNCH]),
        start_seconds=_bounded(_start(host, work) * pace[LAUNCH]),
        assumed=tuple(_assumed(offer, work)),
        paces={phase: seen for phase, seen in pace.items() if seen != 1.0},
    )


@dataclass(frozen=True)
class _Host:
    """What counts of an offer, in GiB per second and GiB, with the usual where it tells nothing."""

    line: float
    disk: float
    cores: float
    memory_gib: float
    gpus: int

    @classmethod
    def of(cls, offer: Offer) -> _Host:
        told = _or(offer.download_mbit_per_second, USUAL_MBIT_PER_SECOND)
        reached = min(told * _LINE_SHARE, _MOST_MBIT_PER_SECOND)
        disk = _or(offer.disk_mb_per_second, _USUAL_MB_PER_SECOND)
        return cls(
            line=max(reached, _LEAST_MBIT_PER_SECOND) / MBIT_PER_GIB,
            disk=max(disk, _LEAST_MB_PER_SECOND) / _MB_PER_GIB,
            cores=max(_or(offer.cpu_cores, _USUAL_CORES), _LEAST_CORES),
            memory_gib=_or(offer.ram_gib, 0.0),
            gpus=max(offer.gpu_count, 1),
        )


def _ssh(host: _Host, work: Work) -> float:
    """Boot and image; layers are unpacked while others still come."""
    came = work.image_gib / host.line
    written = work.image_gib * _UNPACKED / host.disk
    return _BOOT_SECONDS + max(came, written, work.image_gib * _UNPACK_SECONDS_PER_GIB)


def _stack(host: _Host, work: Work) -> float:
    """Packages, unpacked while others still come, and their proof."""
    if not work.packages_gib:
        return _PROVING_IN_IMAGE_SECONDS
    unpacked_gib = work.packages_gib * _UNPACKED
    unzipped = unpacked_gib / (_UNZIP_GIB_PER_SECOND * min(host.cores, _MOST_UNZIPPING))
    came, written = work.packages_gib / host.line, unpacked_gib / host.disk
    return _PROVING_SECONDS + max(came, unzipped, written)


def _weights(host: _Host, work: Work) -> float:
    """The model's files, over the line that the packages take too."""
    came = (work.packages_gib + work.model_gib) / host.line
    return max(came, work.model_gib / host.disk)


def _load(host: _Host, work: Work) -> float:
    """The weights to the GPUs, from memory where they have stayed there."""
    copied = work.model_gib / (_LOAD_GIB_PER_SECOND * host.gpus)
    if work.model_gib <= host.memory_gib * _CACHED_BELOW_SHARE:
        return copied
    return max(copied, work.model_gib / host.disk)


def _start(host: _Host, work: Work) -> float:
    """The engine until its first completion."""
    if not work.compiles:
        return _ENGINE_SECONDS
    grown = 1 + min(work.model_gib, _LARGEST_GIB) * _COMPILE_GROWS_PER_GIB
    compiled = _COMPILE_CORE_SECONDS * grown / min(host.cores, _MOST_COMPILING)
    return _ENGINE_SECONDS + compiled + _GRAPHS_SECONDS


def ratios(estimate: Mapping[str, Any], happened: Mapping[str, float]) -> dict[str, float]:
    """How much slower each phase was than the offer alone had let expect, for the history.

    *estimate* is what :meth:`FirstToken.to_dict` made. What the history had made of it is taken
    out, or it would be learnt twice.
    """
    found = {}
    for phase, expected in estimate.get("phases", {}).items():
        seconds = happened.get(phase, 0.0)
        if seconds > 0 and expected > 0:
            found[phase] = round(seconds / (expected / estimate["paces"].get(phase, 1.0)), 3)
    return found


def beside(estimate: Mapping[str, Any], happened: Mapping[str, float]) -> dict[str, Any]:
    """Each phase as it was expected and as it went; empty where nothing was expected."""
    if not estimate:
        return {}
    phases = {
        phase: {
            "expected_seconds": estimate["phases"][phase],
            "happened_seconds": round(float(happened.get(phase, 0.0)), 1),
        }
        for phase in PHASES
    }
    return {
        "expected_seconds": estimate["total_seconds"],
        "happened_seconds": round(sum(one["happened_seconds"] for one in phases.values()), 1),
        "phases": phases,
        "ratios": ratios(estimate, happened),
    }


def slowest_line(gib: float, longest_hours: float) -> float:
    """The Mbit/s that fetch so much in that time by what is advertised, to tens."""
    needed = math.ceil(gib * MBIT_PER_GIB / (longest_hours * 3600) / 10) * 10.0
    return min(needed, _HIGHEST_FLOOR_MBIT_PER_SECOND)


def _or(told: float | None, usual: float) -> float:
    return usual if told is None else told


def _assumed(offer: Offer, work: Work) -> Iterator[str]:
    """What is counted on without being told."""
    if offer.download_mbit_per_second is None:
        yield f"a line of {USUAL_MBIT_PER_SECOND:.0f} Mbit/s"
    if offer.disk_mb_per_second is None:
        yield f"a disk of {_USUAL_MB_PER_SECOND:.0f} MB/s"
    if offer.cpu_cores is None:
        yield f"{_USUAL_CORES:.0f} cores"
    if offer.ram_gib is None:
        yield "weights that do not stay in memory"
    if work.image_gib:
        # No marketplace tells it.
        yield "an image that is not on the host yet"
    if work.guessed:
        yield f"a model of {work.model_gib:.1f} GiB"


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), _MOST_SECONDS)
