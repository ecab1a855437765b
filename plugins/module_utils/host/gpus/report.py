# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What GPUs this machine has, from the driver itself, and why it has none when it has none.

NVML is asked through its library. Without the library, nvidia-smi's query output is read; its
banner never is. Figures are MiB and degrees Celsius; None means unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ..machine import kernel_log
from ..machine.kind import sees_all_processes
from . import driver_files, nvidia_smi, nvml
from .gpu import MIB, Answer, Gpu, GpuError

__all__ = ["MIB", "Gpu", "GpuError", "Report", "report"]


@dataclass(frozen=True)
class Report:
    """All GPUs of the machine. `reason` says why there is none.

    `state` is works, no_gpu when the driver works and sees none, or one of driver_files.explain.
    """

    present: bool
    reason: str | None
    driver_version: str | None
    cuda_driver_version: str | None
    gpus: list[Gpu]
    source: str
    state: str = "works"
    driver: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def report() -> Report:
    """Ask NVML, then nvidia-smi. Never raises: a machine without GPU is a fact, not an error."""
    found = driver_files.installed()
    errors: list[GpuError] = []
    for source, ask in (("nvml", nvml.ask), ("nvidia-smi", nvidia_smi.ask)):
        try:
            answer = ask()
        except GpuError as error:
            errors.append(error)
            continue
        return _report(answer, source, found)
    code = next((error.code for error in errors if error.code is not None), None)
    state, why = driver_files.explain(found, code)
    reason = " ".join(filter(None, [*map(str, errors), why]))
    return Report(False, reason, None, None, [], "none", state, asdict(found))


def _report(answer: Answer, source: str, found: driver_files.Installed) -> Report:
    log = kernel_log.xids() if answer.gpus else None
    complete = sees_all_processes()
    gpus = [_completed(gpu, log, complete) for gpu in answer.gpus]
    problems = [*answer.problems, *_troubles(gpus)]
    if gpus and not answer.cuda_driver_version and not found.cuda_library:
        problems.append(
            "There is no libcuda.so.1, so no program can compute on these GPUs: start the "
            "container with the driver capability compute."
        )
    # Problems are listed beside the GPUs that work; without any they are the reason.
    reason = None if gpus else " ".join(["The driver works and sees no GPU.", *answer.problems])
    return Report(
        present=bool(gpus),
        reason=reason,
        driver_version=answer.driver_version,
        cuda_driver_version=answer.cuda_driver_version,
        gpus=gpus,
        source=source,
        state="works" if gpus else "no_gpu",
        driver=asdict(found),
        problems=problems,
    )


def _completed(gpu: Gpu, log: dict[str, list[dict[str, Any]]] | None, sees_all: bool) -> Gpu:
    """What the driver itself cannot know: whose processes it names here, and the kernel's log."""
    events = None
    if log is not None and gpu.pci_bus_id:
        events = log.get(kernel_log.pci_address(gpu.pci_bus_id), [])
    shown = "hidden" if gpu.processes_shown == "all" and not sees_all else gpu.processes_shown
    return replace(gpu, xids=events, processes_shown=shown)


def _troubles(gpus: Iterable[Gpu]) -> list[str]:
    """What is wrong with GPUs that answer, in sentences."""
    told = []
    for gpu in gpus:
        ecc = gpu.ecc or {}
        if ecc.get("uncorrected_errors"):
            told.append(
                f"GPU {gpu.index} has {ecc['uncorrected_errors']} memory errors that could not be "
                "corrected: results may be wrong. Take another host."
            )
        if ecc.get("remapping_failed"):
            told.append(f"GPU {gpu.index} has bad memory that cannot be replaced any more.")
        if ecc.get("remapping_pending"):
            told.append(f"GPU {gpu.index} replaces bad memory at its next reset.")
        for number in sorted({event["xid"] for event in gpu.xids or []}):
            told.append(f"GPU {gpu.index} has reported Xid {number} since the machine booted.")
        if (gpu.mig or {}).get("enabled"):
            told.append(f"GPU {gpu.index} is divided (MIG): a program sees one part of it.")
    return told
