# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GPUs as nvidia-smi's query output tells them, where NVML's library cannot be loaded.

Its banner is never read. Fields that older versions do not know are asked for apart.
"""

from __future__ import annotations

import csv
import io
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from ..machine.tools import tool_environment
from .gpu import Answer, Gpu, GpuError, cuda_version
from .nvml import cuda_from_libcuda

FIELDS = (
    "index",
    "name",
    "uuid",
    "driver_version",
    "compute_cap",
    "memory.total",
    "memory.used",
    "memory.free",
    "temperature.gpu",
)
# Older drivers' nvidia-smi refuses a whole query for one field that it does not know.
WITHOUT_CAPABILITY = tuple(field for field in FIELDS if field != "compute_cap")
FURTHER = (
    "uuid",
    "pci.bus_id",
    "utilization.gpu",
    "ecc.mode.current",
    "ecc.errors.corrected.volatile.total",
    "ecc.errors.uncorrected.volatile.total",
    "mig.mode.current",
)
PROCESS_FIELDS = ("gpu_uuid", "pid", "used_gpu_memory")


def ask() -> Answer:
    """All GPUs. Raises GpuError when nvidia-smi is missing or does not work."""
    try:
        rows = _query("gpu", FIELDS)
    except GpuError as error:
        try:
            rows = _query("gpu", WITHOUT_CAPABILITY)
        except GpuError:
            raise error from None
    further = {row["uuid"]: row for row in _query_or_none("gpu", FURTHER) or []}
    processes = _query_or_none("compute-apps", PROCESS_FIELDS)
    gpus = [_gpu(row, further.get(row["uuid"], {}), processes) for row in rows]
    driver_version = rows[0]["driver_version"] if rows else None
    return Answer(driver_version, cuda_version(cuda_from_libcuda()), gpus)


def _query(what: str, fields: Sequence[str]) -> list[dict[str, str]]:
    command = ["nvidia-smi", f"--query-{what}={','.join(fields)}"]
    try:
        done = subprocess.run(
            [*command, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
            env=tool_environment(),
        )
    except FileNotFoundError as error:
        raise GpuError("There is no nvidia-smi either.") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GpuError(f"nvidia-smi does not answer: {error}.") from error
    if done.returncode:
        said = (done.stdout or done.stderr).strip()
        raise GpuError(f"nvidia-smi fails with status {done.returncode}: {said}")
    rows = csv.reader(io.StringIO(done.stdout), skipinitialspace=True)
    return [dict(zip(fields, row)) for row in rows if len(row) == len(fields)]


def _query_or_none(what: str, fields: Sequence[str]) -> list[dict[str, str]] | None:
    try:
        return _query(what, fields)
    except GpuError:
        return None


def _gpu(
    row: Mapping[str, str],
    further: Mapping[str, str],
    processes: list[dict[str, str]] | None,
) -> Gpu:
    capability = row.get("compute_cap", "")
    return Gpu(
        index=int(row["index"]),
        name=row["name"],
        uuid=row["uuid"],
        compute_capability=capability if capability[:1].isdigit() else None,
        memory_total_mib=_number(row["memory.total"]),
        memory_used_mib=_number(row["memory.used"]),
        memory_free_mib=_number(row["memory.free"]),
        temperature_celsius=_number(row["temperature.gpu"]),
        processes=[
            {"pid": _number(one["pid"]), "memory_used_mib": _number(one["used_gpu_memory"])}
            for one in processes or []
            if one["gpu_uuid"] == row["uuid"]
        ],
        processes_shown="unknown" if processes is None else "all",
        utilization_percent=_number(further.get("utilization.gpu", "")),
        pci_bus_id=_known(further.get("pci.bus_id", "")),
        ecc=_ecc(further),
        mig=_mig(further),
    )


def _ecc(further: Mapping[str, str]) -> dict[str, Any] | None:
    enabled = _switch(further.get("ecc.mode.current", ""))
    if enabled is None:
        return None
    return {
        "enabled": enabled,
        "corrected_errors": _number(further["ecc.errors.corrected.volatile.total"]),
        "uncorrected_errors": _number(further["ecc.errors.uncorrected.volatile.total"]),
        "remapped_rows": None,
        "remapping_pending": None,
        "remapping_failed": None,
    }


def _mig(further: Mapping[str, str]) -> dict[str, Any] | None:
    enabled = _switch(further.get("mig.mode.current", ""))
    return None if enabled is None else {"enabled": enabled, "instances": None}


def _switch(text: str) -> bool | None:
    return {"Enabled": True, "Disabled": False}.get(text)


def _known(text: str) -> str | None:
    """nvidia-smi writes "[N/A]", and other words in brackets, for what it does not know."""
    return text if text and not text.startswith("[") else None


def _number(text: str) -> int | None:
    try:
        return int(float(text))
    except ValueError:
        return None
