# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept running need not be a model server: an exporter has supervisor, launcher, record and
log as well, and is never taken for a part of the server beside it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import processes
from ansible_collections.inferops.gpu.plugins.module_utils.host.server import lifecycle as servers
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import Layout, Server
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.spec import Spec
from ansible_collections.inferops.gpu.plugins.module_utils.host.service import (
    lifecycle,
    observation,
    sweeping,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.service.supervisors import (
    supervisord,
)
from tests.hanging import HANGS_AFTER_SECONDS
from tests.unit.host.conftest import FOLDER, put_beside

BIN = str(Path(sys.executable).parent)

Call = Callable[..., dict[str, Any]]
Wait = Callable[..., Any]


@pytest.fixture(scope="module")
def kind() -> Any:
    """The module of the second kind, beside those of the collection."""
    return put_beside("stand_in_exporter", FOLDER / "stand_in_exporter.py")


@pytest.fixture
def exporter(kind: Any, home: Path) -> Iterator[Any]:
    """An exporter of the same name as the server."""
    exporter = kind.of(home, "main")
    yield exporter
    assert not lifecycle.end(exporter, timeout_seconds=1).left


@pytest.fixture
def run_exporter(kind: Any, exporter: Any, home: Path, another_port: int, wait_until: Wait) -> Wait:
    """Start the exporter under supervisord and wait until it serves; returns its record."""

    def run() -> Any:
        spec = kind.Spec("main", "supervisord", 5, 8, {"COLOUR": "blue"}, another_port)
        lifecycle.start(exporter, spec, supervisord.Supervisord(exporter.layout, BIN))
        wait_until(lambda: observation.look(exporter).phase == "running")
        return exporter.record()

    return run


def test_an_exporter_is_kept_running_and_its_record_and_log_are_kept(
    run_exporter: Wait, exporter: Any, another_port: int, wait_until: Wait
) -> None:
    first = run_exporter()
    assert observation.look(exporter).supervised
    urllib.request.urlopen(
        f"http://127.0.0.1:{another_port}/record.json", timeout=HANGS_AFTER_SECONDS
    ).close()
    assert "GET /record.json" in exporter.log.read_text()
    assert processes.environment_of(first.pid)["COLOUR"] == "blue"

    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: exporter.record().phase == "running" and exporter.record().pid != first.pid)
    assert exporter.record().restarts == 1
    assert "GET /record.json" in (exporter.folder / "exporter.log.1").read_text()

    assert lifecycle.end(exporter, timeout_seconds=5).left == []
    ended = observation.look(exporter)
    assert (ended.phase, ended.reason, ended.tree) == ("stopped", "requested", [])
    assert exporter.log.exists()
    assert not lifecycle.is_present(exporter)
    assert not (exporter.layout.supervisor / "supervisor.sock").exists()


def test_an_exporter_is_neither_counted_nor_ended_with_the_server_beside_it(
    run_exporter: Wait, exporter: Any, start: Call, stop: Call, server: Server
) -> None:
    kept = run_exporter()
    started = start()
    assert started["completion"]
    # Servers in containers of this machine may be there too.
    assert not [line for line in servers.others(server) if str(exporter.folder) in line]
    both = {process.pid for process in server.processes()}
    assert kept.pid not in both
    assert stop()["stopped"] == "proven"
    assert server.processes() == []
    assert sweeping.sweep(server.processes, 1, None).left == []
    seen = observation.look(exporter)
    assert (seen.phase, seen.record.pid, seen.supervised) == ("running", kept.pid, True)
    assert [one.name for one in Layout(server.layout.home).servers()] == ["main"]


def test_a_server_outlives_the_end_of_the_exporter_of_the_same_name(
    run_exporter: Wait, exporter: Any, start: Call, server: Server
) -> None:
    started = start()
    run_exporter()
    assert lifecycle.end(exporter, timeout_seconds=5).left == []
    seen = observation.look(server)
    assert (seen.phase, seen.record.pid) == ("running", started["server"]["pid"])
    assert seen.supervised


def test_what_a_later_version_asked_for_beside_it_does_not_hide_a_specification(
    server: Server, spec: Callable[..., Spec]
) -> None:
    asked = spec()
    server.write_spec(asked)
    file = server.folder / "spec.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "priority": 3}))
    assert server.spec() == asked
    file.write_text(json.dumps({**json.loads(file.read_text()), "engine": "of tomorrow"}))
    assert server.spec() is None


def test_what_was_asked_for_keeps_its_types(server: Server, start: Call) -> None:
    wished = {"max-model-len": 512, "enforce_eager": True, "limits": {"image": 2}, "off": False}
    first = start(arguments=wished)
    spec = server.spec()
    assert spec.arguments == {"max_model_len": 512, **{k: wished[k] for k in list(wished)[1:]}}
    # As a survey gives it, or recover back: a number and its text are the same wish.
    again = start(arguments={**wished, "max-model-len": "512"})
    assert (again["changed"], again["server"]["pid"]) == (False, first["server"]["pid"])
