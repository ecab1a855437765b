# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GPUs as NVML knows them, through its library (libnvidia-ml.so.1) and ctypes.

Layouts and numbers are those of nvml.h. A call that the driver lacks, does not support on this GPU
or does not allow to this user leaves its own field unknown, and no other.
"""

from __future__ import annotations

import ctypes
from typing import Any, Callable, TypeVar

from .gpu import MIB, Answer, Gpu, GpuError, cuda_version

LIBRARY = "libnvidia-ml.so.1"
TEXT_BYTES = 96  # NVML_DEVICE_NAME_V2_BUFFER_SIZE, NVML_DEVICE_UUID_V2_BUFFER_SIZE
MAX_PROCESSES = 256
UNKNOWN = 2**64 - 1  # NVML_VALUE_NOT_AVAILABLE
NOT_FOUND = 13  # NVML_ERROR_FUNCTION_NOT_FOUND
CORRECTED, UNCORRECTED, SINCE_DRIVER_LOAD = 0, 1, 0
P2P_READ, P2P_NVLINK, P2P_OK, P2P_UNKNOWN = 0, 2, 0, 6
TOPOLOGY = {
    0: "same board",
    10: "one PCIe switch",
    20: "several PCIe switches",
    30: "one PCIe host bridge",
    40: "one NUMA node",
    50: "several NUMA nodes",
}

_Value = TypeVar("_Value")


class Memory(ctypes.Structure):
    """nvmlMemory_t, bytes."""

    _fields_ = [
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    ]


class ProcessInfo(ctypes.Structure):
    """nvmlProcessInfo_v2_t."""

    _fields_ = [
        ("pid", ctypes.c_uint),
        ("used_bytes", ctypes.c_ulonglong),
        ("gpu_instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    ]


class Utilization(ctypes.Structure):
    """nvmlUtilization_t, percent of the last moment."""

    _fields_ = [("gpu", ctypes.c_uint), ("memory", ctypes.c_uint)]


class PciInfo(ctypes.Structure):
    """nvmlPciInfo_t as nvmlDeviceGetPciInfo_v3 fills it."""

    _fields_ = [
        ("bus_id_legacy", ctypes.c_char * 16),
        ("domain", ctypes.c_uint),
        ("bus", ctypes.c_uint),
        ("device", ctypes.c_uint),
        ("pci_device_id", ctypes.c_uint),
        ("pci_subsystem_id", ctypes.c_uint),
        ("bus_id", ctypes.c_char * 32),
    ]


class Nvml:
    """The calls that we need; each raises GpuError with NVML's own words."""

    def __init__(self) -> None:
        try:
            self.library = ctypes.CDLL(LIBRARY)
        except OSError as error:
            raise GpuError(
                f"No NVIDIA driver library ({LIBRARY}) can be loaded: there is no GPU, no driver, "
                "or the container was started without its GPUs."
            ) from error
        self.library.nvmlErrorString.restype = ctypes.c_char_p
        self.call("nvmlInit_v2")

    def has(self, name: str) -> bool:
        return hasattr(self.library, name)

    def call(self, name: str, *arguments: Any) -> None:
        if not self.has(name):
            raise GpuError(f"This driver has no {name}.", NOT_FOUND)
        code = getattr(self.library, name)(*arguments)
        if code:
            words = (self.library.nvmlErrorString(code) or b"").decode(errors="replace")
            raise GpuError(f"NVML's {name} says {words or code}.", code)

    def text(self, name: str, *before: Any) -> str:
        buffer = ctypes.create_string_buffer(TEXT_BYTES)
        self.call(name, *before, buffer, ctypes.c_uint(TEXT_BYTES))
        return buffer.value.decode(errors="replace")

    def number(self, name: str, *before: Any) -> int:
        value = ctypes.c_uint()
        self.call(name, *before, ctypes.byref(value))
        return value.value

    def large_number(self, name: str, *before: Any) -> int:
        value = ctypes.c_ulonglong()
        self.call(name, *before, ctypes.byref(value))
        return value.value

    def numbers(self, name: str, count: int, *before: Any) -> list[int]:
        """Several numbers by as many pointers."""
        values = [ctypes.c_uint() for _number in range(count)]
        self.call(name, *before, *map(ctypes.byref, values))
        return [value.value for value in values]

    def filled(self, name: str, structure: _Value, *before: Any) -> _Value:
        self.call(name, *before, ctypes.byref(structure))  # type: ignore[arg-type]
        return structure

    def handle(self, name: str, *before: Any) -> ctypes.c_void_p:
        return self.filled(name, ctypes.c_void_p(), *before)


def ask() -> Answer:
    """All GPUs. Raises GpuError when the driver as a whole does not work."""
    nvml = Nvml()
    try:
        count = nvml.number("nvmlDeviceGetCount_v2")
        handles: dict[int, ctypes.c_void_p] = {}
        gpus, problems = [], []
        for index in range(count):
            try:
                handles[index] = nvml.handle("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(index))
            except GpuError as error:
                problems.append(f"GPU {index} cannot be used. {error}")
        for index, device in handles.items():
            others = {other: handle for other, handle in handles.items() if other != index}
            try:
                gpus.append(_gpu(nvml, index, device, others))
            except GpuError as error:
                problems.append(f"GPU {index} cannot be used. {error}")
        return Answer(
            nvml.text("nvmlSystemGetDriverVersion"), cuda_version(_cuda(nvml)), gpus, problems
        )
    finally:
        nvml.library.nvmlShutdown()


def _gpu(
    nvml: Nvml, index: int, device: ctypes.c_void_p, others: dict[int, ctypes.c_void_p]
) -> Gpu:
    memory = _or_none(lambda: nvml.filled("nvmlDeviceGetMemoryInfo", Memory(), device))
    processes = _or_none(lambda: _processes(nvml, device))
    load = _or_none(lambda: nvml.filled("nvmlDeviceGetUtilizationRates", Utilization(), device))
    pci = _or_none(lambda: nvml.filled("nvmlDeviceGetPciInfo_v3", PciInfo(), device))
    return Gpu(
        index=index,
        name=nvml.text("nvmlDeviceGetName", device),
        uuid=nvml.text("nvmlDeviceGetUUID", device),
        compute_capability=_or_none(lambda: _compute_capability(nvml, device)),
        memory_total_mib=memory.total // MIB if memory else None,
        memory_used_mib=memory.used // MIB if memory else None,
        memory_free_mib=memory.free // MIB if memory else None,
        temperature_celsius=_or_none(
            lambda: nvml.number("nvmlDeviceGetTemperature", device, ctypes.c_int(0))
        ),
        processes=processes or [],
        processes_shown="unknown" if processes is None else "all",
        utilization_percent=load.gpu if load else None,
        pci_bus_id=pci.bus_id.decode(errors="replace") if pci else None,
        ecc=_or_none(lambda: _ecc(nvml, device)),
        mig=_or_none(lambda: _mig(nvml, device)),
        peers=[_peer(nvml, device, other, handle) for other, handle in others.items()],
    )


def _compute_capability(nvml: Nvml, device: ctypes.c_void_p) -> str:
    major, minor = nvml.numbers("nvmlDeviceGetCudaComputeCapability", 2, device)
    return f"{major}.{minor}"


def _processes(nvml: Nvml, device: ctypes.c_void_p) -> list[dict[str, int | None]]:
    """Version 2 of the call first: drivers 535.43 to 535.86 give version 3 another layout."""
    version = 2 if nvml.has("nvmlDeviceGetComputeRunningProcesses_v2") else 3
    count = ctypes.c_uint(MAX_PROCESSES)
    entries = (ProcessInfo * MAX_PROCESSES)()
    name = f"nvmlDeviceGetComputeRunningProcesses_v{version}"
    nvml.call(name, device, ctypes.byref(count), entries)
    return [
        {
            "pid": entry.pid,
            "memory_used_mib": None if entry.used_bytes == UNKNOWN else entry.used_bytes // MIB,
        }
        for entry in entries[: count.value]
    ]


def _ecc(nvml: Nvml, device: ctypes.c_void_p) -> dict[str, Any]:
    """Error correction: whether it is on, errors since the driver was loaded, bad memory rows."""
    enabled, _after_reboot = nvml.numbers("nvmlDeviceGetEccMode", 2, device)

    def errors(kind: int) -> int | None:
        return _or_none(
            lambda: nvml.large_number(
                "nvmlDeviceGetTotalEccErrors",
                device,
                ctypes.c_int(kind),
                ctypes.c_int(SINCE_DRIVER_LOAD),
            )
        )

    rows = _or_none(lambda: nvml.numbers("nvmlDeviceGetRemappedRows", 4, device))
    return {
        "enabled": bool(enabled),
        "corrected_errors": errors(CORRECTED),
        "uncorrected_errors": errors(UNCORRECTED),
        "remapped_rows": rows[0] + rows[1] if rows else None,
        "remapping_pending": bool(rows[2]) if rows else None,
        "remapping_failed": bool(rows[3]) if rows else None,
    }


def _mig(nvml: Nvml, device: ctypes.c_void_p) -> dict[str, Any]:
    """Whether the GPU is divided, and its parts."""
    enabled, _pending = nvml.numbers("nvmlDeviceGetMigMode", 2, device)
    instances = []
    for number in range(nvml.number("nvmlDeviceGetMaxMigDeviceCount", device) if enabled else 0):
        try:
            part = nvml.handle("nvmlDeviceGetMigDeviceHandleByIndex", device, ctypes.c_uint(number))
        except GpuError:  # an empty place: NVML numbers places, not instances
            continue
        instances.append(_instance(nvml, part))
    return {"enabled": bool(enabled), "instances": instances}


def _instance(nvml: Nvml, part: ctypes.c_void_p) -> dict[str, Any]:
    memory = _or_none(lambda: nvml.filled("nvmlDeviceGetMemoryInfo", Memory(), part))
    return {
        "name": _or_none(lambda: nvml.text("nvmlDeviceGetName", part)),
        "uuid": _or_none(lambda: nvml.text("nvmlDeviceGetUUID", part)),
        "memory_total_mib": memory.total // MIB if memory else None,
        "memory_free_mib": memory.free // MIB if memory else None,
    }


def _peer(
    nvml: Nvml, device: ctypes.c_void_p, index: int, other: ctypes.c_void_p
) -> dict[str, Any]:
    """How one GPU reaches another: over what, and whether it may read its memory directly."""

    def can(capability: int) -> bool | None:
        status = _or_none(
            lambda: nvml.number("nvmlDeviceGetP2PStatus", device, other, ctypes.c_int(capability))
        )
        return None if status in (None, P2P_UNKNOWN) else status == P2P_OK

    level = _or_none(lambda: nvml.number("nvmlDeviceGetTopologyCommonAncestor", device, other))
    return {
        "index": index,
        "topology": None if level is None else TOPOLOGY.get(level),
        "direct_access": can(P2P_READ),
        "nvlink": can(P2P_NVLINK),
    }


def _cuda(nvml: Nvml) -> int | None:
    """The newest CUDA that the installed driver library serves.

    The first call asks libcuda; the last knows only what NVML itself was built with.
    """
    return (
        _or_none(lambda: nvml.number("nvmlSystemGetCudaDriverVersion_v2"))
        or cuda_from_libcuda()
        or _or_none(lambda: nvml.number("nvmlSystemGetCudaDriverVersion"))
    )


def cuda_from_libcuda() -> int | None:
    """cuDriverGetVersion needs neither a context nor a GPU; None without the library."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    value = ctypes.c_int()
    return value.value if library.cuDriverGetVersion(ctypes.byref(value)) == 0 else None


def _or_none(question: Callable[[], _Value]) -> _Value | None:
    """What the driver answers, or None when it cannot tell: some cards know no temperature."""
    try:
        return question()
    except GpuError:
        return None
