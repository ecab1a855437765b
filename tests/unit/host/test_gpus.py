# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the driver says about GPUs, through its library and through nvidia-smi."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host import facts, gpus

SMI_ROW = "0, NVIDIA GeForce RTX 4090, GPU-1, 580.65.06, 8.9, 24564, 12, 24552, 41"
Out = ctypes.POINTER


def c_function(*types: Any) -> Any:
    return ctypes.CFUNCTYPE(ctypes.c_int, *types)


class FakeNvml:
    """A driver library made of real C functions: two GPUs, one of them of few words."""

    def __init__(self, init_status: int = 0) -> None:
        self.closed = 0
        number = c_function(Out(ctypes.c_int))
        text = c_function(ctypes.c_void_p, ctypes.c_uint)
        of_device = c_function(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint)
        self.nvmlInit_v2 = c_function()(lambda: init_status)
        self.nvmlShutdown = c_function()(self.close)
        self.words = ctypes.create_string_buffer(b"Driver Not Loaded")
        self.nvmlErrorString = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_int)(
            lambda code: ctypes.addressof(self.words)
        )
        self.nvmlSystemGetDriverVersion = text(lambda out, size: self.put(out, "580.65.06"))
        self.nvmlSystemGetCudaDriverVersion = number(lambda out: self.set(out, 13000))
        self.nvmlDeviceGetCount_v2 = number(lambda out: self.set(out, 2))
        self.nvmlDeviceGetHandleByIndex_v2 = c_function(ctypes.c_uint, Out(ctypes.c_void_p))(
            lambda index, out: self.set(out, 100 + index)
        )
        self.nvmlDeviceGetName = of_device(lambda device, out, size: self.put(out, "RTX 4090"))
        self.nvmlDeviceGetUUID = of_device(lambda device, out, size: self.put(out, f"GPU-{device}"))
        self.nvmlDeviceGetMemoryInfo = c_function(ctypes.c_void_p, Out(gpus._Memory))(self.memory)
        self.nvmlDeviceGetCudaComputeCapability = c_function(
            ctypes.c_void_p, Out(ctypes.c_int), Out(ctypes.c_int)
        )(lambda device, major, minor: self.set(major, 8) or self.set(minor, 9))
        self.nvmlDeviceGetTemperature = c_function(
            ctypes.c_void_p, ctypes.c_int, Out(ctypes.c_int)
        )(lambda device, sensor, out: self.set(out, 41) if device == 100 else 3)
        self.nvmlDeviceGetComputeRunningProcesses_v3 = c_function(
            ctypes.c_void_p, Out(ctypes.c_uint), Out(gpus._ProcessInfo)
        )(self.processes)

    def close(self) -> int:
        self.closed += 1
        return 0

    def put(self, address: int, text: str) -> int:
        ctypes.memmove(address, text.encode() + b"\0", len(text) + 1)
        return 0

    def set(self, pointer: Any, value: int) -> int:
        pointer[0] = value
        return 0

    def memory(self, device: int, pointer: Any) -> int:
        used = (1000 if device == 100 else 0) * gpus.MIB
        pointer[0] = gpus._Memory(24564 * gpus.MIB, 24564 * gpus.MIB - used, used)
        return 0

    def processes(self, device: int, count: Any, pointer: Any) -> int:
        if device != 100:
            return 3
        pointer[0] = gpus._ProcessInfo(77, 990 * gpus.MIB, 0, 0)
        pointer[1] = gpus._ProcessInfo(78, gpus.NVML_UNKNOWN, 0, 0)
        return self.set(count, 2)


def use_nvml(monkeypatch: pytest.MonkeyPatch, library: object | None) -> None:
    def load(name: str) -> object:
        if library is None or name != "libnvidia-ml.so.1":
            raise OSError(f"{name}: cannot open shared object file")
        return library

    monkeypatch.setattr(ctypes, "CDLL", load)


def use_smi(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str | None) -> None:
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    if script is not None:
        (folder / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "nvidia-smi").chmod(0o755)


def test_the_driver_library_is_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    library = FakeNvml()
    use_nvml(monkeypatch, library)
    report = gpus.report()
    assert (report.present, report.source, report.reason) == (True, "nvml", None)
    assert (report.driver_version, report.cuda_driver_version) == ("580.65.06", "13.0")
    first, second = report.gpus
    assert (first.name, first.uuid, first.compute_capability) == ("RTX 4090", "GPU-100", "8.9")
    assert (first.memory_total_mib, first.memory_used_mib) == (24564, 1000)
    assert first.processes == [
        {"pid": 77, "memory_used_mib": 990},
        {"pid": 78, "memory_used_mib": None},
    ]
    assert (first.temperature_celsius, second.temperature_celsius) == (41, None)
    assert second.processes == []
    assert library.closed == 1


def test_nvidia_smi_stands_in_for_the_library(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_nvml(monkeypatch, None)
    use_smi(
        monkeypatch,
        tmp_path,
        f'echo "{SMI_ROW}"; echo "1, T4, GPU-2, 580.65.06, 7.5, 15360, [N/A], [N/A], [N/A]"',
    )
    report = gpus.report()
    assert (report.present, report.source, report.driver_version) == (
        True,
        "nvidia-smi",
        "580.65.06",
    )
    assert report.cuda_driver_version is None
    assert report.gpus[0] == gpus.Gpu(
        0, "NVIDIA GeForce RTX 4090", "GPU-1", "8.9", 24564, 12, 24552, 41
    )
    assert report.gpus[1].memory_used_mib is None


@pytest.mark.parametrize(
    ("library", "script", "reason"),
    [
        (None, None, "no GPU, no driver"),
        (None, "echo 'No devices were found'; exit 6", "fails with status 6: No devices"),
        (FakeNvml(init_status=9), None, "nvmlInit_v2 says Driver Not Loaded"),
        (None, "true", "sees no GPU"),
    ],
)
def test_a_host_without_a_gpu_is_told_why(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    library: object | None,
    script: str | None,
    reason: str,
) -> None:
    use_nvml(monkeypatch, library)
    use_smi(monkeypatch, tmp_path, script)
    report = gpus.report()
    assert not report.present
    assert report.gpus == []
    assert reason in (report.reason or "")


def test_the_facts_of_this_very_host_are_read(tmp_path: Path) -> None:
    found = facts.host_facts(tmp_path / "not" / "there" / "yet")
    assert found["cpu_count"] >= 1
    assert 0 < found["memory_available_mib"] <= found["memory_total_mib"]
    assert found["disk_free_mib"] > 0
    assert found["shared_memory_mib"] >= 0
    assert found["open_files_soft_limit"] > 0
    assert found["init_system"] in ("systemd", "none")
