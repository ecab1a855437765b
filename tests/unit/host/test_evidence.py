# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is collected of a failure: bounded, in time, without secrets, and explained."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.server import evidence
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import Layout, Server
from ansible_collections.inferops.gpu.plugins.module_utils.host.service.logs import Log
from tests.hanging import HANGS_AFTER_SECONDS, Hanging

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
TRUNCATED = (
    "safetensors_rust.SafetensorError: Error while deserializing header: incomplete metadata, file "
    "not fully covered"
)
SECRET = "key-of-clients-1234"

Call = Callable[..., dict[str, Any]]


def gather(home: Path, log_bytes: int = 1000, timeout: float = 3000, part: float = 1000) -> Any:
    layout = Layout(home)
    return evidence.gather(layout, layout.server("main"), log_bytes, timeout, part)


@pytest.fixture(autouse=True)
def facts_of_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """To ask every Python that there is takes a busy machine half a minute."""
    monkeypatch.setattr(evidence, "host_facts", lambda _home: {})


def bytes_read() -> int:
    """What this process has read so far, from wherever."""
    return int(Path("/proc/self/io").read_text().split()[1])


def test_a_log_of_gigabytes_is_cut_to_its_head_and_tail(home: Path, server: Server) -> None:
    server.folder.mkdir(parents=True)
    with server.log.open("w") as stream:
        stream.write("first line\n")
        stream.truncate(5 * 1024**3)
        stream.seek(0, 2)
        stream.write("last line\n")
    before = bytes_read()
    text = gather(home).parts["server.log"]
    assert bytes_read() - before < 1024**3
    assert text.startswith("first line")
    assert text.endswith("last line\n")
    assert len(text) < 100_000
    assert "is left out here" in text


def test_a_log_that_was_cut_keeps_its_head_and_what_came_before_the_cut(
    home: Path, server: Server
) -> None:
    server.folder.mkdir(parents=True)
    log = Log(server.log)
    os.write(log.begin(), b"the cause\n" + b"x" * 5000 + b"\nbefore the cut\n")
    log.keep_below(4000)
    with server.log.open("a") as stream:
        stream.write("after the cut\n")
    text = gather(home).parts["server.log"]
    assert text.startswith("the cause\n")
    assert text.endswith("before the cut\nafter the cut\n")
    assert "is left out here" in text


def test_secrets_of_every_server_are_taken_out(
    home: Path, start: Call, server: Server, key_variable: str
) -> None:
    start(api_key=SECRET, arguments={"seed": 7})
    with server.log.open("a") as stream:
        stream.write(f"a client sent {SECRET}, another Authorization: Bearer another-key-5678\n")
    parts = gather(home, log_bytes=100_000).parts
    assert "a client sent (redacted)" in parts["server.log"]
    together = json.dumps(parts)
    assert SECRET not in together
    assert "another-key-5678" not in together
    assert f"# environment: {key_variable}" in parts["command.txt"]
    assert re.search(r"seed[ =]7", parts["command.txt"])


def test_what_cannot_be_had_is_named_with_the_reason(home: Path) -> None:
    gathered = gather(home)
    assert gathered.missing["server.log"] == "there is no server.log on the host"
    assert "never started here" in gathered.missing["command.txt"]
    assert set(gathered.parts) | set(gathered.missing) > {"kernel.txt", "gpu.json", "memory.txt"}
    assert "MemTotal" in gathered.parts["memory.txt"]
    assert not list(home.iterdir())


@pytest.fixture
def time_of_hanging(monkeypatch: pytest.MonkeyPatch, hanging: Hanging) -> None:
    """Time passes where somebody waits for what hangs, and nowhere else."""
    now = [0.0]

    class Timed(threading.Thread):
        def join(self, seconds: float | None = None) -> None:
            while self.is_alive():
                if hanging.thread is self:
                    now[0] += seconds or 0
                    return
                super().join(0.01)

    monkeypatch.setattr(evidence, "threading", SimpleNamespace(Thread=Timed))
    monkeypatch.setattr(evidence, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(evidence, "_gpu", hanging)


@pytest.mark.usefixtures("time_of_hanging")
def test_a_part_that_hangs_does_not_keep_the_others(home: Path, hanging: Hanging) -> None:
    gathered = gather(home, timeout=30, part=10)
    assert not hanging.came_back
    assert "took longer than 10 s" in gathered.missing["gpu.json"]
    assert "memory.txt" in gathered.parts


@pytest.mark.usefixtures("time_of_hanging")
def test_the_whole_has_a_limit_too(home: Path, hanging: Hanging) -> None:
    gathered = gather(home, timeout=30, part=40)
    assert not hanging.came_back
    assert "took longer than 30 s" in gathered.missing["gpu.json"]
    assert "the time for collecting was up" in gathered.missing["host.json"]


@pytest.fixture
def play(tmp_path: Path, home: Path) -> Callable[[], tuple[str, dict[str, Any]]]:
    """Run the task as a play does; returns the output and the result."""

    def run() -> tuple[str, dict[str, Any]]:
        result = tmp_path / "result.json"
        options = {"name": "main", "home": str(home), "dest": str(tmp_path / "evidence")}
        tasks = [
            {"inferops.gpu.evidence": options, "register": "result"},
            {
                "inferops.gpu.controller_file": {
                    "path": str(result),
                    "content": "{{ result | to_json }}",
                }
            },
        ]
        host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        playbook = tmp_path / "play.json"
        playbook.write_text(
            json.dumps([{"hosts": "gpu-1", "gather_facts": False, "vars": host, "tasks": tasks}])
        )
        done = subprocess.run(
            [str(BIN / "ansible-playbook"), "-vvv", "-i", "gpu-1,", str(playbook)],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": str(tmp_path / "ansible")},
            capture_output=True,
            text=True,
            timeout=HANGS_AFTER_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr, json.loads(result.read_text())

    return run


def test_the_folder_is_its_owners_alone_and_names_the_cause(
    tmp_path: Path, start: Call, play: Callable[[], tuple[str, dict[str, Any]]]
) -> None:
    log = tmp_path / "log"
    log.write_text(TRUNCATED)
    failed = start(api_key=SECRET, fake={"FAKE_DIE_WITH": "1", "FAKE_LOG_FILE": str(log)})
    assert failed["failed"]
    output, result = play()
    folder = tmp_path / "evidence"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert sorted(path.name for path in folder.iterdir()) == result["files"]
    assert "SafetensorError" in (folder / "server.log").read_text()
    assert result["failure"]["cause_id"] == "weights_truncated"
    assert not result["changed"]
    # The texts go into the files, not into the output.
    assert "Resolved architecture" in (folder / "server.log").read_text()
    assert "Resolved architecture" not in output
    assert SECRET not in output
