# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stop removes and proves beyond the processes, and that nothing of another server goes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from _multiprocessing import SemLock
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.gpus.report import Gpu, Report
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import (
    locks,
    processes,
    shared_memory,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine.processes import Process
from ansible_collections.inferops.gpu.plugins.module_utils.host.server import proof, vram
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import Layout, Server
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.spec import Spec
from ansible_collections.inferops.gpu.plugins.module_utils.host.service import lifecycle, tending
from ansible_collections.inferops.gpu.plugins.module_utils.host.service.sweeping import Ended
from tests.hanging import HANGS_AFTER_SECONDS
from tests.rig.apart import a_name, own_shared_memory

Call = Callable[..., dict[str, Any]]
ONE_MODULE = """
import json, sys
from ansible.module_utils.testing import patch_module_args
from ansible_collections.inferops.gpu.plugins.modules import model_server
with patch_module_args(json.loads(sys.argv[1])):
    model_server.main()
"""
SHM = Path("/dev/shm")
TEMP = Path(tempfile.gettempdir())


@pytest.fixture(autouse=True)
def apart() -> Iterator[None]:
    """Stops of other tests, also of another checkout, sweep their shared memory and not ours."""
    with own_shared_memory():
        yield


@pytest.fixture
def word() -> Iterator[str]:
    """Part of the names of what a stand-in shares; what is left of it goes with the test."""
    word = a_name()
    yield word
    for path in [*SHM.glob(f"*{word}*"), *TEMP.glob(f"{word}*.sock")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def sharing(word: str) -> dict[str, str]:
    """Share under such names, and put temporary files where everybody's are."""
    return {"FAKE_SHARED_MEMORY": word, "TMPDIR": str(TEMP)}


def left(word: str) -> list[str]:
    return sorted(str(path) for path in [*SHM.glob(f"*{word}*"), *TEMP.glob(f"{word}*.sock")])


def segments() -> set[int]:
    return {number for number, _creator in shared_memory._segments()}


def segments_of(server: Server) -> set[int]:
    """Those that its processes made, whoever else makes some meanwhile."""
    makers = {process.pid for process in server.processes()}
    return {number for number, creator in shared_memory._segments() if creator in makers}


def shared(word: str, name: str) -> list[str]:
    files = (f"psm_{word}_{name}", f"sem.{word}_{name}", f"{word}_{name}_odd")
    return [*(str(SHM / file) for file in files), str(TEMP / f"{word}_{name}.sock")]


def test_shared_memory_semaphores_and_sockets_of_the_server_are_removed_and_named(
    start: Call, stop: Call, server: Server, word: str
) -> None:
    start(fake=sharing(word))
    assert left(word) == sorted(shared(word, "main") + shared(word, "engine"))
    own = segments_of(server)
    assert len(own) == 2
    result = stop()
    assert left(word) == []
    assert segments() & own == set()
    assert result["stopped"] == "proven"
    expected = shared(word, "main") + shared(word, "engine")
    expected += [f"System V segment {number}" for number in own]
    assert sorted(result["shared_memory_removed"]) == sorted(expected)
    assert stop()["shared_memory_removed"] == []


def test_what_a_killed_main_process_left_is_removed_when_its_orphans_are_stopped(
    start: Call, stop: Call, server: Server, home: Path, word: str
) -> None:
    started = start(fake=sharing(word))["server"]
    daemon = int((home / "supervisor" / "supervisord.pid").read_text())
    for pid in (daemon, server.launchers()[0].pid, started["pid"]):
        os.kill(pid, signal.SIGKILL)
    result = stop()
    assert result["stopped"] == "proven"
    assert f"/dev/shm/psm_{word}_main" in result["shared_memory_removed"]
    assert left(word) == []


def test_a_crash_leaves_no_shared_memory_behind_for_the_next_start(start: Call, word: str) -> None:
    assert start(fake={**sharing(word), "FAKE_DIE_WITH": "1"})["failed"]
    assert left(word) == []


@pytest.mark.long
def test_temporary_files_have_a_folder_of_their_own_that_goes_with_the_server(
    start: Call, stop: Call, server: Server, word: str
) -> None:
    fake = {"FAKE_SHARED_MEMORY": word}
    start(fake=fake)
    leftover = server.temporary / "vllm_dist_1234"
    leftover.touch()
    assert {path.name for path in server.temporary.iterdir()} == {
        f"{word}_main.sock",
        f"{word}_engine.sock",
        leftover.name,
    }
    stop()
    assert not server.temporary.exists()
    start(fake={**fake, "FAKE_DIE_WITH": "1"})
    assert not server.temporary.exists()


def test_shared_memory_of_another_server_and_of_strangers_stays(
    start: Call, stop: Call, word: str, free_port: int, another_port: int
) -> None:
    weights = SHM / f"{word}_weights.gguf"
    weights.write_bytes(b"weights")
    older = SHM / f"psm_{word}_older"
    older.touch()
    time.sleep(0.1)
    start(fake=sharing(word))
    other = f"{word}other"
    start(name="other", port=another_port, fake=sharing(other))
    cache = SHM / f"{word}_cache"
    cache.touch()
    younger = SHM / f"psm_{word}_younger"
    with younger.open("wb"):  # a living stranger has it open
        stop()
        assert younger.exists()
    assert {str(weights), str(older), str(cache)} <= set(left(word))
    assert left(other) == sorted(shared(other, "main") + shared(other, "engine"))


def test_a_semaphore_of_a_living_stranger_stays(start: Call, stop: Call, word: str) -> None:
    start()
    # As multiprocessing makes them; the C library maps each under a name that is gone by then.
    semaphore = SemLock(1, 1, 1, f"/{word}", False)
    stop()
    assert left(word) == [f"/dev/shm/sem.{word}"]
    del semaphore


def test_what_a_stranger_makes_while_everybody_is_asked_stays(
    word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A folder of its own: what has not been held since ever is everybody's.
    folder = SHM / word
    folder.mkdir()
    monkeypatch.setattr(shared_memory, "FOLDER", folder)
    made, ended = folder / f"sem.{word}", folder / f"psm_{word}"
    ended.touch()

    def snapshot() -> dict[int, Process]:
        found = processes.snapshot()
        made.touch()
        return found

    monkeypatch.setattr(shared_memory, "snapshot", snapshot)
    held = shared_memory.held_by([])
    assert shared_memory.remove_left(held, since=0.0) == [str(ended)]
    assert list(folder.iterdir()) == [made]


def test_the_port_is_proven_free_or_its_new_owner_named(
    start: Call, stop: Call, free_port: int
) -> None:
    start()
    result = stop()
    assert (result["port_free"], result["port_owners"], result["remedy"]) == (True, [], "")
    with socket.create_server(("127.0.0.1", free_port)):
        result = stop()
    assert (result["stopped"], result["port_free"]) == ("proven", False)
    assert [owner["pid"] for owner in result["port_owners"]] == [os.getpid()]
    assert f"held by process {os.getpid()}" in result["remedy"]


def test_a_port_held_by_nobody_who_can_be_seen_proves_nothing(
    stop: Call, server: Server, spec: Callable[..., Spec], free_port: int
) -> None:
    server.write_spec(spec())
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", free_port))
        result = stop()
    assert (result["stopped"], result["port_free"]) == ("unproven", False)
    assert "become" in result["remedy"]


def test_what_remains_is_named_with_a_way_out(
    home: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vram, "WAIT_SECONDS", 0.0)
    # A server in a container of this machine is none of this host's.
    monkeypatch.setattr(proof, "others", lambda server: [])
    layout = Layout(home)

    def report(used_mib: int) -> Report:
        gpu = Gpu(0, "a GPU", "GPU-1", "8.9", 24000, used_mib, 24000 - used_mib, 40)
        return Report(True, None, "570.1", "12.8", [gpu], "nvml")

    vram.remember(layout.baseline, "main", report(10), others=[])
    stuck = Process(2**22 + 1, 1, 1, 1, 1, "D", "VLLM::Worker", 0)
    result = proof.of_stop(layout, server, Ended([stuck], []), lambda: report(9000))
    assert (result["stopped"], result["port_free"]) == ("unproven", None)
    assert f"Process {stuck.pid} (VLLM::Worker, state D) is left" in result["remedy"]
    assert "GPU GPU-1 has 8990 MiB more in use" in result["remedy"]
    assert "another host" in result["remedy"]


def test_a_full_disk_does_not_keep_a_server_alive(
    start: Call, stop: Call, server: Server, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start()
    daemon = int((home / "supervisor" / "supervisord.pid").read_text())
    for pid in (daemon, server.launchers()[0].pid):
        os.kill(pid, signal.SIGKILL)

    def full(*arguments: object, **changes: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(lifecycle, "write", full)
        patch.setattr(locks.os, "open", full)
        assert stop()["stopped"] == "proven"
    assert server.processes() == []


@pytest.mark.long
def test_two_stops_at_once_both_end_well(start: Call, home: Path, server: Server) -> None:
    start(fake={"FAKE_SWALLOW_FIRST": "1"})
    options = {"name": "main", "home": str(home), "state": "stopped", "stop_timeout_seconds": 5}
    stops = [
        subprocess.Popen(
            [sys.executable, "-c", ONE_MODULE, json.dumps(options)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _number in range(2)
    ]
    results = [json.loads(each.communicate(timeout=HANGS_AFTER_SECONDS)[0]) for each in stops]
    assert [result["stopped"] for result in results] == ["proven", "proven"]
    assert sorted(result["changed"] for result in results) == [False, True]
    assert server.processes() == []


def test_a_second_run_waits_for_its_turn_and_says_whom_for(
    start: Call, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tending, "LOCK_SECONDS", 0)
    with locks.held(server.lock, 0):
        result = start(stop_timeout_seconds=1)
    assert result["failed"]
    assert "is being started or stopped by another run" in result["msg"]
    assert f"process {os.getpid()} holds" in result["msg"]
    assert server.processes() == []
    assert start()["changed"]
