# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's words about a server are found, and only those since its start."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import kernel_log
from ansible_collections.inferops.gpu.plugins.module_utils.serving.diagnosis import explain

KILLED = "Memory cgroup out of memory: Killed process 42 (VLLM::EngineCor) total-vm:9kB"
XID = "NVRM: Xid (PCI:0000:06:00): 79, GPU has fallen off the bus."


def record(seconds_ago: float, message: str) -> str:
    """A record as /dev/kmsg gives it: level, number, microseconds since boot, flags."""
    return f"3,339,{int((time.monotonic() - seconds_ago) * 1e6)},-;{message}\n"


@pytest.fixture
def kmsg(tmp_path: Path) -> Path:
    """A ring buffer with an old death, a new one with its details, and things of no interest."""
    path = tmp_path / "kmsg"
    path.write_text(
        record(60, "Out of memory: Killed process 7 (python3) total-vm:9kB")
        + record(20, "eth0: link becomes ready")
        + record(10, KILLED)
        + " SUBSYSTEM=memory\n DEVICE=+NVRM: of no interest\n"
        + record(5, XID)
        + "half a record"
    )
    return path


def test_what_concerns_servers_since_the_start_is_told(kmsg: Path) -> None:
    assert kernel_log.since(time.time() - 30, kmsg) == [KILLED, XID]


def test_nothing_is_told_of_a_server_that_never_started(kmsg: Path) -> None:
    assert kernel_log.since(None, kmsg) == []


def test_only_the_last_lines_of_a_storm_are_told(tmp_path: Path) -> None:
    path = tmp_path / "kmsg"
    path.write_text("".join(record(1, f"NVRM: line {number}") for number in range(500)))
    told = kernel_log.since(time.time() - 30, path)
    assert len(told) == kernel_log.MAX_LINES
    assert told[-1] == "NVRM: line 499"


def test_a_host_that_keeps_its_kernel_log_to_itself_is_no_failure(tmp_path: Path) -> None:
    assert kernel_log.since(time.time(), tmp_path / "none") == []


def test_what_the_control_groups_counted_is_told_where_the_kernel_log_is_closed(
    tmp_path: Path,
) -> None:
    began = time.time()
    assert kernel_log.since(began, tmp_path / "none", oom_kills=0) == []
    told = kernel_log.since(began, tmp_path / "none", oom_kills=2)
    assert explain("EngineDeadError", kernel_log="\n".join(told))["cause_id"] == (
        "host_out_of_memory"
    )


def test_reading_ends_where_the_ring_buffer_ends_without_waiting(tmp_path: Path) -> None:
    """A pipe that stays open for writing blocks a reader just as /dev/kmsg does."""
    path = tmp_path / "kmsg"
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR)
    try:
        os.write(writer, record(1, XID).encode())
        assert kernel_log.since(time.time() - 30, path) == [XID]
    finally:
        os.close(writer)
