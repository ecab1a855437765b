# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two supervisors: what systemd is told, and a real supervisord."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import locks
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import Layout, Server
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.library import LAUNCHER
from ansible_collections.inferops.gpu.plugins.module_utils.host.supervisors import (
    choice,
    supervisord,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.supervisors.supervisor import (
    Program,
    SupervisorError,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.supervisors.supervisord import (
    Supervisord,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.supervisors.systemd import (
    BOOT_TARGET,
    Systemd,
)

BIN = str(Path(sys.executable).parent)


def program(layout: Layout, name: str = "main", command: str = "exit 0") -> Program:
    """A program whose launcher is replaced by a shell line in the shipped package's place."""
    file = layout.library / f"{LAUNCHER.replace('.', '/')}.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"import os\nos.execlp('sh', 'sh', '-c', {command!r})\n")
    server = layout.server(name)
    server.folder.mkdir(parents=True, exist_ok=True)
    return Program(server, layout, stop_timeout_seconds=3)


def state(supervisor: Supervisord, server: Server) -> str:
    return str(supervisor.remote().getProcessInfo(server.name)["statename"])


def test_supervisord_runs_the_launcher_and_is_gone_with_the_last_server(home: Path) -> None:
    layout = Layout(home)
    supervisor = Supervisord(layout, BIN)
    one, two = (
        program(layout, name, "trap 'exit 0' TERM; while :; do sleep 0.1; done")
        for name in ("one", "two")
    )
    for each in (one, two):
        assert supervisor.install(each)
        supervisor.start(each.server)
    assert not supervisor.install(one)
    supervisor.start(one.server)
    assert state(supervisor, one.server) == "RUNNING"
    assert os.stat(supervisor.socket).st_mode & 0o777 == 0o600

    supervisor.stop_and_remove(one.server)
    assert not supervisor.installed(one.server)
    assert state(supervisor, two.server) == "RUNNING"
    supervisor.stop_and_remove(two.server)
    assert not supervisor.responds()
    supervisor.stop_and_remove(two.server)


def test_the_shared_daemon_does_not_end_while_another_run_adds_a_server(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(home)
    supervisor = Supervisord(layout, BIN)
    one, two = program(layout, "one"), program(layout, "two")
    supervisor.install(one)
    monkeypatch.setattr(supervisord, "LOCK_SECONDS", 0.0)
    with locks.held(supervisor.lock, 0):
        for change in (
            lambda: supervisor.stop_and_remove(one.server),
            lambda: supervisor.install(two),
        ):
            with pytest.raises(SupervisorError, match="is being changed by another run"):
                change()
        assert supervisor.responds()
    supervisor.stop_and_remove(one.server)
    assert not supervisor.responds()


@pytest.mark.parametrize(("status", "again"), [(0, False), (75, True), (78, False)])
def test_the_exit_status_of_the_launcher_decides_about_a_restart(
    home: Path, wait_until: object, status: int, again: bool
) -> None:
    layout = Layout(home)
    supervisor = Supervisord(layout, BIN)
    count = home / "count"
    each = program(layout, command=f"echo x >> {count}; sleep 0.3; exit {status}")
    supervisor.install(each)
    supervisor.start(each.server)
    assert callable(wait_until)
    wait_until(lambda: again or state(supervisor, each.server) == "EXITED")
    if again:
        wait_until(lambda: count.exists() and len(count.read_text().split()) > 1)
    else:
        assert count.read_text().split() == ["x"]


def test_a_missing_supervisord_is_said(home: Path) -> None:
    layout = Layout(home)
    with pytest.raises(SupervisorError, match="set supervisord_bin_dir"):
        Supervisord(layout, None).install(program(layout))
    with pytest.raises(SupervisorError, match="not there or not executable"):
        Supervisord(layout, "/nowhere").install(program(layout))


def test_a_home_too_long_for_a_socket_is_said(home: Path) -> None:
    layout = Layout(home / ("x" * 100))
    with pytest.raises(SupervisorError, match="shorter path"):
        Supervisord(layout, BIN).install(program(layout))


def test_systemd_asked_for_where_it_does_not_run_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "systemd_is_running", lambda: False)
    with pytest.raises(SupervisorError, match="Set supervisor to"):
        choice.choose("systemd", Layout(home), None)
    assert choice.choose("auto", Layout(home), None).name == "supervisord"
    monkeypatch.setattr(choice, "systemd_is_running", lambda: True)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert choice.choose("auto", Layout(home), None).name == "systemd"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SupervisorError, match="needs root"):
        choice.choose("auto", Layout(home), None)


def test_the_unit_restarts_what_served_and_nothing_else(home: Path) -> None:
    unit = Systemd().render(Program(Layout(home / "50%").server("main"), Layout(home), 30))
    lines = unit.splitlines()
    assert "Restart=on-failure" in lines
    assert "RestartPreventExitStatus=1 78" in lines
    assert "KillMode=mixed" in lines
    assert "TimeoutStopSec=50" in lines
    assert f'Environment="PYTHONPATH={home}/lib"' in lines
    assert f'"{home}/50%%/servers/main"' in unit


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in that enables and disables as systemctl does, and writes down what it is told."""
    units = tmp_path / "units"
    wants = units / f"{BOOT_TARGET}.wants"
    wants.mkdir(parents=True)
    told = tmp_path / "told"
    script = tmp_path / "bin" / "systemctl"
    script.parent.mkdir()
    script.write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> {told}\n'
        f'[ "$1" = enable ] && ln -s {units}/"$2" {wants}/"$2"\n'
        f'[ "$1" = disable ] && rm {wants}/"$2"\n'
        "exit 0\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(Systemd, "folder", units)
    return told


def test_a_server_starts_at_boot_only_when_asked_and_until_it_is_stopped(
    home: Path, systemctl: Path
) -> None:
    systemd, layout = Systemd(), Layout(home)
    server = layout.server("main")
    systemd.install(Program(server, layout, 30))
    assert not systemd.starts_at_boot(server)
    assert f"WantedBy={BOOT_TARGET}" in (systemd.folder / "inferops-main.service").read_text()
    systemd.set_start_at_boot(server, True)
    assert systemd.starts_at_boot(server)
    systemd.set_start_at_boot(server, False)
    assert not systemd.starts_at_boot(server)
    systemd.set_start_at_boot(server, True)
    systemd.stop_and_remove(server)
    assert not systemd.starts_at_boot(server)
    assert not systemd.installed(server)
    told = systemctl.read_text().splitlines()
    assert told.index("stop inferops-main.service") < told.index("disable inferops-main.service", 4)
    systemd.stop_and_remove(server)


def test_a_start_at_boot_is_refused_where_nothing_would_do_it(home: Path) -> None:
    with pytest.raises(SupervisorError, match="start_at_boot needs systemd"):
        choice.choose("supervisord", Layout(home), BIN, start_at_boot=True)
