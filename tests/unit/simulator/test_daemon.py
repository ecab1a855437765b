# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting, finding and stopping a simulator process for certain."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator import daemon

NOTHING = {"running": False, "url": None, "rentals": 0, "containers": 0, "processes": 0}


class Command:
    """The command line of one instance that no other test uses."""

    def __init__(self, folder: Path, checkout: Path = daemon.ROOT, name: str = "") -> None:
        self.folder, self.checkout = folder, checkout
        self.name = name or f"test-{uuid.uuid4().hex[:8]}"

    def __call__(self, action: str, *more: str) -> subprocess.CompletedProcess[str]:
        given = ["--instance", self.name, "--state-dir", str(self.folder), *more]
        return subprocess.run(
            [sys.executable, "-m", "tests.simulator", action, *given],
            cwd=self.checkout,
            capture_output=True,
            text=True,
            timeout=HANGS_AFTER_SECONDS,
            check=False,
        )

    def status(self, action: str, *more: str) -> Any:
        done = self(action, *more)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start(self) -> Any:
        return self.status("start", "--port", "0", "--no-containers")


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    command = Command(tmp_path)
    yield command
    command.status("stop")


def test_start_answers_and_stop_leaves_nothing(command: Command) -> None:
    started = command.start()
    with urllib.request.urlopen(
        f"{started['url']}/simulator/state", timeout=HANGS_AFTER_SECONDS
    ) as answer:
        assert json.load(answer)["rentals"] == []
    assert (started["running"], started["processes"]) == (True, 1)
    assert NOTHING.items() <= command.status("stop").items()
    assert not (command.folder / "process.json").exists()


def test_without_containers_nothing_listens_but_on_loopback(command: Command) -> None:
    started = command.start()
    for url in (started["url"], started["hub_url"]):
        address, port = url.removeprefix("http://").split(":")
        assert address == "127.0.0.1"
        # Whoever listens everywhere answers at each address of this machine.
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.3", int(port)), timeout=HANGS_AFTER_SECONDS)


def test_without_containers_nobody_needs_podman(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command.start()["containers"] == 0
    assert NOTHING.items() <= command.status("stop").items()


def test_starting_twice_gives_the_same_process(command: Command) -> None:
    assert command.start() == command.start()


def test_stop_is_harmless_when_nothing_runs(command: Command) -> None:
    assert NOTHING.items() <= command.status("stop").items()


def test_a_killed_process_is_not_taken_for_a_running_one(command: Command) -> None:
    first = command.start()
    pid = json.loads((command.folder / "process.json").read_text())["pid"]
    os.kill(pid, signal.SIGKILL)
    assert daemon.wait(lambda: daemon.start_ticks(pid) is None, HANGS_AFTER_SECONDS)
    assert NOTHING.items() <= command.status("status").items()
    assert command.start()["url"] != first["url"]


def test_a_reused_pid_is_never_signalled(command: Command) -> None:
    record = {"pid": os.getpid(), "start_ticks": 1, "url": "", "hub_url": ""}
    (command.folder / "process.json").write_text(json.dumps(record))
    assert NOTHING.items() <= command.status("stop").items()


def test_a_taken_port_is_named(command: Command) -> None:
    port = command.start()["url"].rpartition(":")[2]
    other = Command(command.folder / "other")
    done = other("start", "--port", port, "--hub-port", "0", "--no-containers")
    assert done.returncode == 1
    assert port in done.stderr


def test_an_instance_of_the_same_name_in_another_checkout_is_left_alone(
    command: Command, tmp_path: Path
) -> None:
    checkout = tmp_path / "checkout"
    shutil.copytree(daemon.ROOT / "tests", checkout / "tests")
    other = Command(tmp_path / "other", checkout, command.name)
    try:
        theirs = other.start()
        assert command.start()["processes"] == 1
        assert NOTHING.items() <= command.status("stop").items()
        assert other.status("status") == theirs
    finally:
        assert NOTHING.items() <= other.status("stop").items()


def test_containers_of_another_checkout_have_other_names_and_labels(tmp_path: Path) -> None:
    """Podman is asked by label, and refuses a name twice."""
    shutil.copytree(daemon.ROOT / "tests", tmp_path / "tests")
    names = "from tests.simulator.hosts import *; print(container_name('demo', 1), label('demo'))"
    told = [
        subprocess.run(
            [sys.executable, "-c", names], cwd=checkout, capture_output=True, text=True, check=True
        ).stdout.split()
        for checkout in (daemon.ROOT, tmp_path)
    ]
    assert not set(told[0]) & set(told[1])
