# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What GPUs this machine has, from the driver itself.

NVML is asked through its library (libnvidia-ml.so.1). Without the library, nvidia-smi's query
output is read; its banner never is. Figures are MiB and degrees Celsius; None means unknown.
"""

from __future__ import annotations

import csv
import ctypes
import io
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Optional

MIB = 1024 * 1024
NAME_BYTES = 96
MAX_PROCESSES = 256
NVML_UNKNOWN = 2**64 - 1
SMI_FIELDS = (
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


class GpuError(Exception):
    """The driver cannot be asked; the text is the reason in plain words."""


@dataclass(frozen=True)
class Gpu:
    """One GPU. `processes` holds pid and memory_used_mib as the driver names them: inside a
    container these are PIDs of the machine around it, or nothing at all."""

    index: int
    name: str
    uuid: str
    compute_capability: str | None
    memory_total_mib: int | None
    memory_used_mib: int | None
    memory_free_mib: int | None
    temperature_celsius: int | None
    processes: list[dict[str, int | None]] = field(default_factory=list)


@dataclass(frozen=True)
class Report:
    """All GPUs of the machine. `reason` says why there is none."""

    present: bool
    reason: str | None
    driver_version: str | None
    cuda_driver_version: str | None
    gpus: list[Gpu]
    source: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def report() -> Report:
    """Ask NVML, then nvidia-smi. Never raises: a machine without GPU is a fact, not an error."""
    reasons = []
    for source, ask in (("nvml", _ask_nvml), ("nvidia-smi", _ask_smi)):
        try:
            driver_version, cuda_version, gpus = ask()
        except GpuError as error:
            reasons.append(str(error))
            continue
        reason = None if gpus else "The driver works and sees no GPU."
        return Report(bool(gpus), reason, driver_version, cuda_version, gpus, source)
    return Report(False, " ".join(reasons), None, None, [], "none")


_Answer = tuple[Optional[str], Optional[str], list[Gpu]]


class _Memory(ctypes.Structure):
    """nvmlMemory_t, bytes."""

    _fields_ = [
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    ]


class _ProcessInfo(ctypes.Structure):
    """nvmlProcessInfo_t since driver 450 (calls with suffix _v2 and _v3)."""

    _fields_ = [
        ("pid", ctypes.c_uint),
        ("used_bytes", ctypes.c_ulonglong),
        ("gpu_instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    ]


class _Nvml:
    """The few NVML calls that we need; each raises GpuError with NVML's own words."""

    def __init__(self) -> None:
        try:
            self.library = ctypes.CDLL("libnvidia-ml.so.1")
        except OSError as error:
            raise GpuError(
                "No NVIDIA driver library (libnvidia-ml.so.1) can be loaded: there is no GPU, no "
                "driver, or the container was started without its GPUs."
            ) from error
        self.library.nvmlErrorString.restype = ctypes.c_char_p
        self.call("nvmlInit_v2")

    def call(self, name: str, *arguments: Any) -> None:
        try:
            function = getattr(self.library, name)
        except AttributeError as error:
            raise GpuError(f"This driver has no {name}.") from error
        code = function(*arguments)
        if code:
            words = (self.library.nvmlErrorString(code) or b"").decode(errors="replace")
            raise GpuError(f"The NVIDIA driver does not work: {name} says {words or code}.")

    def text(self, name: str, *before: Any) -> str:
        buffer = ctypes.create_string_buffer(NAME_BYTES)
        self.call(name, *before, buffer, ctypes.c_uint(NAME_BYTES))
        return buffer.value.decode(errors="replace")

    def number(self, name: str, *before: Any) -> int:
        value = ctypes.c_int()
        self.call(name, *before, ctypes.byref(value))
        return value.value


def _ask_nvml() -> _Answer:
    nvml = _Nvml()
    try:
        driver_version = nvml.text("nvmlSystemGetDriverVersion")
        cuda = _or_none(lambda: nvml.number("nvmlSystemGetCudaDriverVersion"))
        count = nvml.number("nvmlDeviceGetCount_v2")
        gpus = [_gpu_from_nvml(nvml, index) for index in range(count)]
        return driver_version, _cuda_version(cuda or _cuda_from_libcuda()), gpus
    finally:
        nvml.library.nvmlShutdown()


def _gpu_from_nvml(nvml: _Nvml, index: int) -> Gpu:
    device = ctypes.c_void_p()
    nvml.call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(index), ctypes.byref(device))
    memory = _Memory()
    nvml.call("nvmlDeviceGetMemoryInfo", device, ctypes.byref(memory))
    return Gpu(
        index=index,
        name=nvml.text("nvmlDeviceGetName", device),
        uuid=nvml.text("nvmlDeviceGetUUID", device),
        compute_capability=_or_none(lambda: _compute_capability(nvml, device)),
        memory_total_mib=memory.total // MIB,
        memory_used_mib=memory.used // MIB,
        memory_free_mib=memory.free // MIB,
        temperature_celsius=_or_none(
            lambda: nvml.number("nvmlDeviceGetTemperature", device, ctypes.c_int(0))
        ),
        processes=_or_none(lambda: _processes(nvml, device)) or [],
    )


def _compute_capability(nvml: _Nvml, device: ctypes.c_void_p) -> str:
    major, minor = ctypes.c_int(), ctypes.c_int()
    nvml.call(
        "nvmlDeviceGetCudaComputeCapability", device, ctypes.byref(major), ctypes.byref(minor)
    )
    return f"{major.value}.{minor.value}"


def _processes(nvml: _Nvml, device: ctypes.c_void_p) -> list[dict[str, int | None]]:
    count = ctypes.c_uint(MAX_PROCESSES)
    entries = (_ProcessInfo * MAX_PROCESSES)()
    newest = hasattr(nvml.library, "nvmlDeviceGetComputeRunningProcesses_v3")
    name = f"nvmlDeviceGetComputeRunningProcesses_v{3 if newest else 2}"
    nvml.call(name, device, ctypes.byref(count), entries)
    return [
        {
            "pid": entry.pid,
            "memory_used_mib": None
            if entry.used_bytes == NVML_UNKNOWN
            else entry.used_bytes // MIB,
        }
        for entry in entries[: count.value]
    ]


def _or_none(ask: Any) -> Any:
    """What the driver answers, or None when it cannot tell: some cards know no temperature."""
    try:
        return ask()
    except GpuError:
        return None


def _cuda_from_libcuda() -> int | None:
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    value = ctypes.c_int()
    return value.value if library.cuDriverGetVersion(ctypes.byref(value)) == 0 else None


def _cuda_version(number: int | None) -> str | None:
    """12080 is 12.8: see cuDriverGetVersion in the CUDA driver API."""
    return f"{number // 1000}.{number % 1000 // 10}" if number else None


def _ask_smi() -> _Answer:
    fields = ",".join(SMI_FIELDS)
    try:
        done = subprocess.run(
            ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    except FileNotFoundError as error:
        raise GpuError("There is no nvidia-smi either.") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GpuError(f"nvidia-smi does not answer: {error}.") from error
    if done.returncode:
        said = (done.stdout or done.stderr).strip()
        raise GpuError(f"nvidia-smi fails with status {done.returncode}: {said}")
    rows = [row for row in csv.reader(io.StringIO(done.stdout), skipinitialspace=True) if row]
    gpus = [_gpu_from_smi(row) for row in rows if len(row) == len(SMI_FIELDS)]
    driver_version = rows[0][3] if gpus else None
    return driver_version, _cuda_version(_cuda_from_libcuda()), gpus


def _gpu_from_smi(row: Sequence[str]) -> Gpu:
    known = dict(zip(SMI_FIELDS, row))
    return Gpu(
        index=int(known["index"]),
        name=known["name"],
        uuid=known["uuid"],
        compute_capability=known["compute_cap"] if known["compute_cap"][:1].isdigit() else None,
        memory_total_mib=_number(known["memory.total"]),
        memory_used_mib=_number(known["memory.used"]),
        memory_free_mib=_number(known["memory.free"]),
        temperature_celsius=_number(known["temperature.gpu"]),
    )


def _number(text: str) -> int | None:
    """nvidia-smi writes "[N/A]" for what it does not know."""
    try:
        return int(float(text))
    except ValueError:
        return None
