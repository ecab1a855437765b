# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which driver packages a host needs, and who may change its driver at all.

Sources: Debian's package index (nvidia-kernel-dkms and nvidia-open-kernel-dkms: 535.261.03 in
bookworm, 550.163.01 in trixie, components contrib and non-free); Ubuntu's server documentation on
NVIDIA drivers (nvidia-headless-BRANCH-server, nvidia-utils-BRANCH-server); NVIDIA on its open
modules: needed from Blackwell on, not for GPUs before Turing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: The one branch that each release of Debian carries.
DEBIAN_BRANCHES = {"bookworm": 535, "trixie": 550}
DEBIAN_MODULES = {"open": "nvidia-open-kernel-dkms", "proprietary": "nvidia-kernel-dkms"}
DEBIAN_REST = ("nvidia-smi", "libcuda1")
#: What dkms builds the module against.
DEBIAN_HEADERS = {"x86_64": "linux-headers-amd64", "aarch64": "linux-headers-arm64"}
UBUNTU_SUFFIXES = {"open": "-open", "proprietary": ""}
#: States of gpu_info in which the files are right and the kernel is not.
NEEDS_BOOT = ("version_mismatch", "module_not_loaded")


def plan_driver(
    gpu: Mapping[str, Any],
    host: Mapping[str, Any],
    least: int,
    branch: int,
    kernel_modules: str,
    is_controller: bool,
    own_packages: Sequence[str] = (),
) -> dict[str, Any]:
    """What to install on a host whose driver is older than *least*, from gpu_info's two halves.

    *branch* is what is installed where there is a choice; Debian has one branch for each release.

    ``refusal`` says why nothing may or can be done; ``packages`` is empty when nothing need be.
    *own_packages* take the place of the distribution's.
    """
    running = _branch(gpu.get("driver_version") or _part(gpu, "kernel_version"))
    installed = _branch(_part(gpu, "library_version")) or running
    plan: dict[str, Any] = {
        "refusal": None,
        "least": least,
        "running_branch": running,
        "packages": [],
        "why": "",
    }
    if gpu.get("present") and running and running >= least:
        return {**plan, "why": f"Driver {gpu['driver_version']} is at least {least}."}
    refusal = _refusal(gpu, host, is_controller)
    if refusal:
        return {**plan, "refusal": refusal}
    if installed and installed >= least:
        if gpu.get("state") in NEEDS_BOOT or (running and running < least):
            return {**plan, "why": f"Driver {installed} is installed and not loaded yet."}
        # Another driver would not mend it, and packages of the branch could be older ones.
        told = gpu.get("reason") or gpu.get("state")
        refusal = f"Driver {installed} is new enough and does not work: {told}"
        return {**plan, "refusal": refusal}
    packages, problem = list(own_packages), None
    if not packages:
        packages, problem = _packages(host, least, max(least, branch), kernel_modules)
    was = f"driver {installed} is older" if installed else "there is no driver"
    return {
        **plan,
        "refusal": problem,
        "packages": packages,
        "why": f"Driver {least} is needed, and {was}.",
    }


def is_controller(host: Mapping[str, Any], boot_id: str | None, hostname: str | None) -> bool:
    """Whether *host* is the machine that says this of itself: the same boot of the same name.

    Containers share the boot of the machine around them, so the boot alone does not tell.
    """
    told = (host.get("boot_id"), host.get("hostname"))
    return None not in told and told == (boot_id, hostname)


def reboot_reason(gpu: Mapping[str, Any], least: int) -> str | None:
    """Why a host has to boot before its driver works, by what gpu_info says after installing."""
    if gpu.get("state") in NEEDS_BOOT:
        return str(gpu.get("reason") or gpu["state"])
    running = _branch(_part(gpu, "kernel_version"))
    if running and running < least:
        return f"Driver {running} still runs: the new one takes its place at the next boot."
    return None


def _refusal(gpu: Mapping[str, Any], host: Mapping[str, Any], is_controller: bool) -> str | None:
    if is_controller:
        return (
            "This is the controller itself: a reboot would end this very run. Run the role from "
            "another machine."
        )
    if host.get("machine_kind") == "container":
        return (
            f"This is a container ({host.get('machine_kind_detail') or 'of unknown make'}): its "
            "driver belongs to the machine around it. Rent a host with a newer driver "
            "(rent_driver_version), or a release of the engine that runs with the "
            "one that is there."
        )
    if not host.get("is_root"):
        return "Installing a driver needs root: connect as root, or set ansible_become."
    if not gpu.get("present") and _part(gpu, "pci_gpus") == 0:
        return "No NVIDIA GPU is on the PCI bus: a driver would have nothing to drive."
    return None


def _packages(
    host: Mapping[str, Any], least: int, branch: int, kernel_modules: str
) -> tuple[list[str], str | None]:
    """The packages of a distribution, or why it has none."""
    name, codename = host.get("distribution"), host.get("distribution_codename") or ""
    if name == "ubuntu":
        suffix = UBUNTU_SUFFIXES[kernel_modules]
        return [f"nvidia-headless-{branch}-server{suffix}", f"nvidia-utils-{branch}-server"], None
    if name != "debian" or codename not in DEBIAN_BRANCHES:
        return [], (
            f"No packages are known for {name} {host.get('distribution_version')}. Name those of "
            "your own sources in driver_packages."
        )
    carried = DEBIAN_BRANCHES[codename]
    if carried < least:
        return [], (
            f"Debian {codename} has driver {carried} and no newer one. Add NVIDIA's own package "
            f"source and name its packages in driver_packages, or take a stack that "
            f"runs with {carried}."
        )
    headers = DEBIAN_HEADERS.get(host.get("architecture") or "")
    first = [headers] if headers else []
    return [*first, DEBIAN_MODULES[kernel_modules], *DEBIAN_REST], None


def _part(gpu: Mapping[str, Any], name: str) -> Any:
    return (gpu.get("driver") or {}).get(name)


def _branch(version: str | None) -> int | None:
    """580 of 580.65.06."""
    first = (version or "").partition(".")[0]
    return int(first) if first.isdigit() else None
