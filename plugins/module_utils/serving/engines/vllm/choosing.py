# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which stack a host gets: the table, asked with what a host says of itself and with the wishes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...visible import UnknownDevice, visible
from .planning import StackImpossible, WayOut, plan_stack

_VERSION = re.compile(r"[0-9]+[.][0-9]+([.][0-9]+)?")


@dataclass(frozen=True)
class Wish:
    """What is asked of the stack. `python` is a path, a version, a range, or empty for any."""

    accelerator: str = "cuda"
    vllm_version: str = "auto"
    visible_devices: str = ""
    python: str = ""
    #: The oldest release that knows the model; "" for any.
    least_vllm: str = ""


@dataclass(frozen=True)
class Choice:
    """The plan, and the interpreter that its environment is made with."""

    plan: dict[str, Any]
    interpreter: str


def plan_for(
    host: Mapping[str, Any],
    accelerator: str = "cuda",
    vllm_version: str = "auto",
    gpus: Sequence[Mapping[str, Any]] | None = None,
    visible_devices: str = "",
    least_vllm: str = "",
) -> dict[str, Any]:
    """Filter stack_plan documents it. Raises StackImpossible."""
    pythons = host.get("python_version") or ()
    capability = host.get("compute_capability") or None
    if gpus is not None:
        capability = _capabilities(gpus, visible_devices)
    return plan_stack(
        accelerator,
        host.get("driver_version") or None,
        capability,
        vllm_version,
        (pythons,) if isinstance(pythons, str) else tuple(pythons),
        host.get("glibc_version") or None,
        host.get("architecture") or None,
        least_vllm,
    )


def release_on(
    host: Mapping[str, Any], accelerator: str, vllm_version: str, least_vllm: str
) -> tuple[str, str] | None:
    """The release and the CUDA of its build that a host would get, such as 0.32.0 and 13.0.

    None where no build for CUDA suits, and where the host does not tell the driver that decides it.
    """
    if not host.get("driver_version"):
        return None
    try:
        plan = plan_for(host, accelerator, vllm_version, least_vllm=least_vllm)
    except StackImpossible:
        return None
    return (plan["vllm_version"], plan["cuda_version"]) if plan["cuda_version"] else None


def choose(gpu: Mapping[str, Any], host: Mapping[str, Any], wish: Wish, installer: str) -> Choice:
    """The stack for a host as gpu_info describes it. Raises StackImpossible.

    uv brings any Python; pip works with those that are there, so they limit what can be planned.
    """
    counted = pythons(host["pythons"], wish.python)
    versions = [python["version"] for python in counted]
    if installer == "pip" and not counted:
        there = " and ".join(python["version"] for python in host["pythons"])
        raise StackImpossible(
            f"pip works with the Pythons of this host, which are {there}, and stack_python asks "
            f"for {wish.python}.",
            [WayOut("install it there, leave stack_python empty, or let the host have uv")],
        )
    if installer != "pip" and not wish.python.startswith("/"):
        # Where another can be had, only a version that is asked for limits the plan.
        versions = [wish.python] if _VERSION.fullmatch(wish.python) else []
    plan = plan_on(gpu, host, wish, versions)
    if installer != "pip":
        return Choice(plan, wish.python or plan["python"])
    suited = [python for python in counted if python["version"] == plan["python_version"]]
    return Choice(plan, suited[0]["path"])


def plan_on(
    gpu: Mapping[str, Any], host: Mapping[str, Any], wish: Wish, pythons: Sequence[str] = ()
) -> dict[str, Any]:
    """The plan for a host whose *pythons* count. Raises StackImpossible."""
    known = {
        "driver_version": gpu["driver_version"],
        "glibc_version": host["glibc_version"],
        "architecture": host.get("architecture"),
        "python_version": list(pythons),
    }
    return plan_for(
        known,
        wish.accelerator,
        wish.vllm_version,
        gpu["gpus"],
        wish.visible_devices,
        wish.least_vllm,
    )


def pythons(there: Sequence[Mapping[str, str]], wish: str) -> list[Mapping[str, str]]:
    """Those interpreters of a host that a wish for a path or a version leaves."""
    if wish.startswith("/"):
        return [python for python in there if python["path"] == wish]
    if not _VERSION.fullmatch(wish):
        return list(there)
    return [python for python in there if f"{python['version']}.".startswith(f"{wish}.")]


def _capabilities(gpus: Sequence[Mapping[str, Any]], devices: str) -> tuple[str, ...]:
    """The compute capabilities of the GPUs that count; those that are not known do not."""
    try:
        seen = visible(gpus, devices)
    except UnknownDevice:
        seen = list(gpus)
    return tuple(str(gpu.get("compute_capability")) for gpu in seen)
