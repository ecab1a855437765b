# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the NVIDIA driver is on this machine, whether it works or not, and why it does not.

A driver has two halves that must be of one version: the kernel's module, and the libraries that
programs load. Containers get the second half, and the device files, from the machine around them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

LIBRARY_FOLDERS = (
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
    "usr/lib64",
    "usr/lib",
    "usr/local/nvidia/lib64",
    "usr/lib/wsl/lib",
)
NVIDIA, DISPLAY_CLASS, ACCELERATOR_CLASS = "0x10de", "0x03", "0x12"
BUS = "sys/bus/pci/devices"
OTHER_MAKERS = {"0x1002": "AMD"}
# NVML's codes (nvmlReturn_t) that say more than the files do.
NO_PERMISSION, NOT_LOADED, GPU_LOST, MISMATCH = 4, 9, 15, 18


@dataclass(frozen=True)
class Installed:
    """The parts of a driver. `pci_gpus` is None where the bus cannot be seen."""

    kernel_version: str | None
    library_version: str | None
    cuda_library: bool
    device_files: list[str]
    inaccessible_files: list[str]
    pci_gpus: int | None
    #: Who else has made GPUs on the bus.
    other_makers: list[str] = field(default_factory=list)


def installed(root: Path = Path("/")) -> Installed:
    """Look at the files alone: nothing is loaded and nobody is asked."""
    files = sorted(
        path
        for path in (root / "dev").glob("nvidia*")
        if re.fullmatch(r"nvidia(\d+|ctl|-uvm)", path.name)
    )
    closed = [path for path in files if not os.access(path, os.R_OK | os.W_OK)]
    return Installed(
        kernel_version=_kernel_version(root),
        library_version=_library_version(root, "libnvidia-ml.so"),
        cuda_library=bool(_libraries(root, "libcuda.so")),
        device_files=[path.name for path in files],
        inaccessible_files=[path.name for path in closed],
        pci_gpus=_pci_gpus(root),
        other_makers=_other_makers(root),
    )


def explain(found: Installed, code: int | None = None) -> tuple[str, str]:
    """Why a driver does not work, as (state, sentences); `code` is what NVML said, if it did.

    The states: absent, no_driver, no_library, module_not_loaded, version_mismatch,
    no_device_files, no_permission, gpu_lost, broken.
    """
    kernel, library = found.kernel_version, found.library_version
    if code == MISMATCH or (kernel and library and kernel != library):
        return "version_mismatch", (
            f"The driver's libraries are {library or 'of one version'} and its kernel module is "
            f"{kernel or 'of another'}: it was updated and the old module still runs. Reboot the "
            "machine; inside a container only the machine around it can be repaired."
        )
    if code == GPU_LOST:
        return "gpu_lost", "A GPU has fallen off the bus: reboot the machine or take another one."
    if kernel and not library:
        return "no_library", (
            f"The kernel's module {kernel} is there, and the driver's libraries are not: start "
            "the container with its GPUs, or install the libraries of that very version."
        )
    if code == NOT_LOADED or (library and not kernel):
        return "module_not_loaded", (
            "The driver's libraries are installed, but its kernel module is not loaded. "
            + (
                "No NVIDIA GPU is on the PCI bus."
                if found.pci_gpus == 0
                else "Load it with modprobe nvidia; dmesg says why it does not load (Secure Boot, "
                "a kernel without its module)."
            )
        )
    if kernel and not any(name[6:].isdigit() for name in found.device_files):
        return "no_device_files", (
            "The driver is loaded, but there is no device file /dev/nvidia0: start the container "
            "with its GPUs, or run nvidia-modprobe on a machine of its own."
        )
    if code == NO_PERMISSION or found.inaccessible_files:
        names = ", ".join(f"/dev/{name}" for name in found.inaccessible_files)
        return "no_permission", (
            f"This user may not use {names or 'the device files'}: take another user, or add it "
            "to the group that owns them."
        )
    if kernel or library:
        return "broken", "The driver is installed and does not work; dmesg may say why."
    if found.pci_gpus:
        return "no_driver", (
            f"{found.pci_gpus} NVIDIA GPUs are on the PCI bus and no driver is installed: role "
            "inferops.gpu.driver installs one on a machine of its own."
        )
    if found.other_makers:
        return "absent", (
            f"The GPUs of this host are by {' and '.join(found.other_makers)}: what is installed "
            "here is built for NVIDIA's CUDA alone."
        )
    return "absent", ""


def _kernel_version(root: Path) -> str | None:
    try:
        return (root / "sys/module/nvidia/version").read_text().strip() or None
    except OSError:
        pass
    try:
        text = (root / "proc/driver/nvidia/version").read_text()
    except OSError:
        return None
    found = re.search(r"\s(\d+\.\d+(?:\.\d+)?)\s", text)
    return found[1] if found else None


def _libraries(root: Path, name: str) -> list[Path]:
    return [path for folder in LIBRARY_FOLDERS for path in (root / folder).glob(f"{name}*")]


def _library_version(root: Path, name: str) -> str | None:
    """The library's file carries the driver's version in its name."""
    for path in _libraries(root, name):
        version = path.name[len(name) + 1 :]
        if re.fullmatch(r"\d+\.\d+(\.\d+)?", version):
            return version
    return None


def _pci_gpus(root: Path) -> int | None:
    if not (root / BUS).is_dir():
        return None
    return sum(
        vendor == NVIDIA and kind.startswith(DISPLAY_CLASS) for vendor, kind in _devices(root)
    )


def _other_makers(root: Path) -> list[str]:
    """Graphics of a processor count as well: they are told where there is nothing else."""
    kinds = (DISPLAY_CLASS, ACCELERATOR_CLASS)
    seen = {vendor for vendor, kind in _devices(root) if kind.startswith(kinds)}
    return [maker for vendor, maker in OTHER_MAKERS.items() if vendor in seen]


def _devices(root: Path) -> Iterator[tuple[str, str]]:
    """Vendor and class of each device on the PCI bus."""
    for device in sorted((root / BUS).glob("*")):
        try:
            vendor = (device / "vendor").read_text().strip()
            yield vendor, (device / "class").read_text().strip()
        except OSError:
            continue
