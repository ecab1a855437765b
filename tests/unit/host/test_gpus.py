# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the driver says about GPUs, through its library and through nvidia-smi."""

from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.gpus import (
    driver_files,
    nvml,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.gpus import (
    report as gpus,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import facts, kernel_log

ROOT = Path(__file__).parents[3]
SMI_ROW = "0, NVIDIA GeForce RTX 4090, GPU-1, 580.65.06, 8.9, 24564, 12, 24552, 41"
Out = ctypes.POINTER


def c_function(*types: Any) -> Any:
    return ctypes.CFUNCTYPE(ctypes.c_int, *types)


class FakeNvml:
    """A driver library made of real C functions: two GPUs, one of them of few words."""

    def __init__(self, init_status: int = 0) -> None:
        self.closed = 0
        number = c_function(Out(ctypes.c_uint))
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
        self.nvmlDeviceGetMemoryInfo = c_function(ctypes.c_void_p, Out(nvml.Memory))(self.memory)
        self.nvmlDeviceGetCudaComputeCapability = c_function(
            ctypes.c_void_p, Out(ctypes.c_uint), Out(ctypes.c_uint)
        )(lambda device, major, minor: self.set(major, 8) or self.set(minor, 9))
        self.nvmlDeviceGetTemperature = c_function(
            ctypes.c_void_p, ctypes.c_int, Out(ctypes.c_uint)
        )(lambda device, sensor, out: self.set(out, 41) if device == 100 else 3)
        self.nvmlDeviceGetComputeRunningProcesses_v3 = c_function(
            ctypes.c_void_p, Out(ctypes.c_uint), Out(nvml.ProcessInfo)
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
        pointer[0] = nvml.Memory(24564 * gpus.MIB, 24564 * gpus.MIB - used, used)
        return 0

    def processes(self, device: int, count: Any, pointer: Any) -> int:
        if device != 100:
            return 3
        pointer[0] = nvml.ProcessInfo(77, 990 * gpus.MIB, 0, 0)
        pointer[1] = nvml.ProcessInfo(78, nvml.UNKNOWN, 0, 0)
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
    first = report.gpus[0]
    assert (first.index, first.name, first.uuid) == (0, "NVIDIA GeForce RTX 4090", "GPU-1")
    assert (first.compute_capability, first.temperature_celsius) == ("8.9", 41)
    assert (first.memory_total_mib, first.memory_used_mib, first.memory_free_mib) == (
        24564,
        12,
        24552,
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


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the NVML stand-in, compiled: layouts are checked by C, not by ourselves."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler here")
    folder = tmp_path_factory.mktemp("nvml")
    options = ["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(
        [compiler, *options, "-o", folder / nvml.LIBRARY, ROOT / "tests" / "rig" / "nvml.c"],
        check=True,
    )
    return folder


def report_by(library: Path, **variables: str) -> dict[str, Any]:
    """What a process reports that loads the compiled library as it would load NVIDIA's."""
    code = (
        "import json;"
        "from ansible_collections.inferops.gpu.plugins.module_utils.host.gpus import report;"
        "print(json.dumps(report.report().to_dict()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            "PATH": "/nowhere",
            "LD_LIBRARY_PATH": str(library),
            "PYTHONPATH": str(ROOT / "collections"),
            **variables,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout))


def test_every_field_is_read_as_a_c_compiler_lays_it_out(library: Path) -> None:
    report = report_by(library)
    assert (report["driver_version"], report["cuda_driver_version"]) == ("535.43.02", "12.2")
    gpu = report["gpus"][0]
    assert (gpu["memory_total_mib"], gpu["memory_free_mib"]) == (81559, 80000)
    assert (gpu["temperature_celsius"], gpu["utilization_percent"]) == (41, 37)
    assert gpu["processes"] == [
        {"pid": 77, "memory_used_mib": 990},
        {"pid": 78, "memory_used_mib": None},
    ]
    assert gpu["pci_bus_id"] == "00000000:65:00.0"
    assert gpu["ecc"] == {
        "enabled": True,
        "corrected_errors": 5_000_000_000,
        "uncorrected_errors": 2,
        "remapped_rows": 3,
        "remapping_pending": True,
        "remapping_failed": False,
    }
    assert gpu["peers"] == [
        {"index": 1, "topology": "one NUMA node", "direct_access": True, "nvlink": False}
    ]
    assert gpu["mig"] == {"enabled": False, "instances": []}


def test_what_one_gpu_does_not_tell_is_unknown_and_nothing_else_is(library: Path) -> None:
    report = report_by(library)
    gpu = report["gpus"][1]
    assert (gpu["uuid"], gpu["compute_capability"]) == ("GPU-1", "9.1")
    unknown = ("memory_total_mib", "temperature_celsius", "utilization_percent", "ecc", "mig")
    assert {gpu[name] for name in (*unknown, "pci_bus_id", "xids")} == {None}
    assert (gpu["processes"], gpu["processes_shown"]) == ([], "unknown")
    assert gpu["peers"] == [{"index": 0, "topology": None, "direct_access": None, "nvlink": None}]


def test_a_lost_gpu_and_bad_memory_are_problems_beside_the_gpus_that_work(library: Path) -> None:
    problems = "\n".join(report_by(library)["problems"])
    assert "GPU 2 cannot be used. NVML's nvmlDeviceGetHandleByIndex_v2 says GPU is lost" in problems
    assert "GPU 0 has 2 memory errors that could not be corrected" in problems
    assert "GPU 0 replaces bad memory at its next reset" in problems


def test_the_parts_of_a_divided_gpu_are_listed(library: Path) -> None:
    report = report_by(library, NVML_STANDIN_MIG="1")
    (part,) = report["gpus"][0]["mig"]["instances"]
    assert (part["uuid"], part["memory_total_mib"]) == ("MIG-0", 10240)
    assert "GPU 0 is divided" in "\n".join(report["problems"])


def test_a_driver_that_was_updated_under_a_running_kernel_is_told_apart(library: Path) -> None:
    report = report_by(library, NVML_STANDIN_INIT="18")
    assert (report["present"], report["state"]) == (False, "version_mismatch")
    assert "Reboot the machine" in report["reason"]


@pytest.mark.parametrize(("sees_all", "shown"), [(True, "all"), (False, "hidden")])
def test_no_process_of_others_is_not_the_same_as_none_that_we_may_see(
    monkeypatch: pytest.MonkeyPatch, sees_all: bool, shown: str
) -> None:
    use_nvml(monkeypatch, FakeNvml())
    monkeypatch.setattr(gpus, "sees_all_processes", lambda: sees_all)
    first, second = gpus.report().gpus
    assert first.processes_shown == shown
    assert second.processes_shown == "unknown"  # this one does not answer at all


def test_an_old_nvidia_smi_that_refuses_new_fields_still_tells_the_rest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_nvml(monkeypatch, None)
    use_smi(
        monkeypatch,
        tmp_path,
        'case "$*" in *compute_cap*|*mig.mode*|*compute-apps*) '
        'echo "Field \\"x\\" is not a valid field to query."; exit 2;; esac\n'
        'echo "0, Tesla P40, GPU-1, 470.256.02, 24451, 0, 24451, 30"',
    )
    report = gpus.report()
    assert (report.driver_version, report.gpus[0].name) == ("470.256.02", "Tesla P40")
    assert (report.gpus[0].compute_capability, report.gpus[0].mig) == (None, None)
    assert report.gpus[0].processes_shown == "unknown"


def machine(root: Path, **parts: Any) -> driver_files.Installed:
    """A machine with these parts of a driver."""
    files = {
        "kernel": "sys/module/nvidia/version",
        "library": f"usr/lib64/libnvidia-ml.so.{parts.get('library')}",
    }
    for part, path in files.items():
        if parts.get(part):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(f"{parts[part]}\n")
    (root / "dev").mkdir(parents=True, exist_ok=True)
    for name in parts.get("devices", ()):
        (root / "dev" / name).touch()
    for number in range(parts.get("cards", 0)):
        device = root / "sys/bus/pci/devices" / f"0000:0{number}:00.0"
        device.mkdir(parents=True)
        (device / "vendor").write_text("0x10de\n")
        (device / "class").write_text("0x030200\n")
    if parts.get("amd"):
        device = root / "sys/bus/pci/devices/0000:c0:00.0"
        device.mkdir(parents=True)
        (device / "vendor").write_text("0x1002\n")
        (device / "class").write_text("0x120000\n")
    return driver_files.installed(root)


@pytest.mark.parametrize(
    ("parts", "code", "state", "said"),
    [
        ({}, None, "absent", ""),
        ({"amd": True}, None, "absent", "The GPUs of this host are by AMD"),
        ({"amd": True, "cards": 1}, None, "no_driver", "1 NVIDIA GPUs"),
        ({"cards": 2}, None, "no_driver", "2 NVIDIA GPUs are on the PCI bus"),
        ({"kernel": "580.1", "library": "575.2"}, None, "version_mismatch", "575.2"),
        ({"kernel": "580.1.2"}, None, "no_library", "start the container with its GPUs"),
        ({"library": "580.1.2", "cards": 1}, 9, "module_not_loaded", "modprobe nvidia"),
        ({"kernel": "580.1", "library": "580.1"}, 999, "no_device_files", "/dev/nvidia0"),
        (
            {"kernel": "580.1", "library": "580.1", "devices": ["nvidia0", "nvidiactl"]},
            4,
            "no_permission",
            "may not use",
        ),
        (
            {"kernel": "580.1", "library": "580.1", "devices": ["nvidia0", "nvidiactl"]},
            999,
            "broken",
            "does not work",
        ),
        ({"kernel": "580.1", "library": "580.1"}, 15, "gpu_lost", "fallen off the bus"),
    ],
)
def test_a_broken_driver_is_told_by_its_parts(
    tmp_path: Path, parts: dict[str, Any], code: int | None, state: str, said: str
) -> None:
    told, why = driver_files.explain(machine(tmp_path, **parts), code)
    assert told == state
    assert said in why


def test_trouble_in_the_kernel_s_log_is_found_for_its_own_gpu(tmp_path: Path) -> None:
    log = tmp_path / "kmsg"
    log.write_text(
        "6,1,1000000,-;usb 1-1: new device\n"
        "3,2,90000000,-;NVRM: Xid (PCI:0000:65:00): 79, pid=12, GPU has fallen off the bus.\n"
        "3,3,95000000,-;NVRM: Xid (PCI:0000:b1:00): 31, pid=13, name=python, MMU Fault\n"
    )
    found = kernel_log.xids(log)
    assert found is not None
    (event,) = found[kernel_log.pci_address("00000000:65:00.0")]
    assert (event["xid"], event["seconds_after_boot"]) == (79, 90)
    assert "fallen off the bus" in event["message"]
    assert kernel_log.xids(tmp_path / "closed") is None


def test_the_host_tells_what_vllm_is_known_to_trip_over(tmp_path: Path) -> None:
    found = facts.host_facts(tmp_path)
    assert found["machine_kind"] in ("container", "virtual_machine", "bare_metal")
    assert found["distribution"]
    assert found["memory_usable_mib"] <= found["memory_available_mib"]
    assert sys.version_info[:2] in {
        tuple(map(int, python["version"].split(".")[:2])) for python in found["pythons"]
    }
    assert found["locked_memory_soft_limit_kib"] >= facts.UNLIMITED


def test_a_limited_container_does_not_promise_the_memory_of_its_machine() -> None:
    assert facts._usable(available=60000, limit=8192, used=2000) == 6192
    assert facts._usable(available=3000, limit=8192, used=2000) == 3000
    assert facts._usable(available=60000, limit=None, used=None) == 60000
