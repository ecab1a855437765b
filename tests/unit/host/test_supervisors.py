# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two supervisors: what systemd is told, and a real supervisord."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import locks
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import Layout, Server
from ansible_collections.inferops.gpu.plugins.module_utils.host.service.library import launcher_of
from ansible_collections.inferops.gpu.plugins.module_utils.host.service.supervisors import (
    choice,
    supervisor,
    supervisord,
    systemd,
)

Program, SupervisorError = supervisor.Program, supervisor.SupervisorError
Supervisord, Systemd, SystemdUser = supervisord.Supervisord, systemd.Systemd, systemd.SystemdUser
BOOT_TARGET = systemd.BOOT_TARGET
BIN = str(Path(sys.executable).parent)


def program(layout: Layout, name: str = "main", command: str = "exit 0") -> supervisor.Program:
    """A program whose launcher is replaced by a shell line in the shipped package's place."""
    server = layout.server(name)
    file = layout.library / f"{launcher_of(server).replace('.', '/')}.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"import os\nos.execlp('sh', 'sh', '-c', {command!r})\n")
    server.folder.mkdir(parents=True, exist_ok=True)
    return Program(server, stop_timeout_seconds=3)


def state(supervisor: supervisord.Supervisord, server: Server) -> str:
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
        supervisor.start(each.service)
    assert not supervisor.install(one)
    supervisor.start(one.service)
    assert state(supervisor, one.service) == "RUNNING"
    assert os.stat(supervisor.socket).st_mode & 0o777 == 0o600

    supervisor.stop_and_remove(one.service)
    assert not supervisor.installed(one.service)
    assert state(supervisor, two.service) == "RUNNING"
    supervisor.stop_and_remove(two.service)
    assert not supervisor.responds()
    supervisor.stop_and_remove(two.service)


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
            lambda: supervisor.stop_and_remove(one.service),
            lambda: supervisor.install(two),
        ):
            with pytest.raises(SupervisorError, match="is being changed by another run"):
                change()
        assert supervisor.responds()
    supervisor.stop_and_remove(one.service)
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
    supervisor.start(each.service)
    assert callable(wait_until)
    wait_until(lambda: again or state(supervisor, each.service) == "EXITED")
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
        choice.choose("systemd", Layout(home), None)


def test_the_unit_restarts_what_served_and_nothing_else(home: Path) -> None:
    unit = Systemd().render(Program(Layout(home / "50%").server("main"), 30))
    lines = unit.splitlines()
    assert "Restart=on-failure" in lines
    assert "RestartPreventExitStatus=1 78" in lines
    assert "KillMode=mixed" in lines
    assert "TimeoutStopSec=50" in lines
    assert f'Environment="PYTHONPATH={home}/50%%/lib"' in lines
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
    systemd = Systemd()
    server = Layout(home).server("main")
    systemd.install(Program(server, 30))
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


@pytest.fixture
def plain_user(
    home: Path, tmp_path: Path, systemctl: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path]:
    """A user without root on a host with systemd, not logged in; the folders of its manager and of
    its lingering, which loginctl turns on as long as that folder is there.
    """
    runtime, lingering = tmp_path / "run", tmp_path / "linger"
    lingering.mkdir()
    account = pwd.getpwuid(os.getuid())
    script = tmp_path / "bin" / "loginctl"
    script.write_text(f"#!/bin/sh\ntouch {lingering}/{account.pw_name}\n")
    script.chmod(0o755)
    monkeypatch.setattr(choice, "systemd_is_running", lambda: True)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(systemd, "RUNTIME", runtime)
    monkeypatch.setattr(systemd, "LINGERING", lingering)
    known = type(account)([*account[:5], str(tmp_path / "account"), account[6]])
    monkeypatch.setattr(systemd.pwd, "getpwuid", lambda uid: known)
    return runtime / str(account.pw_uid) / "systemd", lingering


def test_a_user_without_root_gets_its_own_systemd_where_it_may_linger(
    home: Path, plain_user: tuple[Path, Path]
) -> None:
    manager, lingering = plain_user
    assert choice.choose("auto", Layout(home), None).name == "supervisord"
    with pytest.raises(SupervisorError, match="the user manager of"):
        choice.choose("systemd_user", Layout(home), None)
    manager.mkdir(parents=True)
    assert choice.choose("auto", Layout(home), None, change=False).name == "systemd_user"
    assert list(lingering.iterdir()) == []
    assert choice.choose("auto", Layout(home), None).name == "systemd_user"
    assert len(list(lingering.iterdir())) == 1
    assert {each.name for each in choice.every(Layout(home))} == {"systemd_user", "supervisord"}


def test_lingering_that_is_not_allowed_says_who_can_turn_it_on(
    home: Path, tmp_path: Path, plain_user: tuple[Path, Path]
) -> None:
    plain_user[0].mkdir(parents=True)
    (tmp_path / "bin" / "loginctl").write_text("#!/bin/sh\necho Access denied >&2\nexit 1\n")
    assert choice.choose("auto", Layout(home), None).name == "supervisord"
    with pytest.raises(SupervisorError, match=r"Access denied.*As root: loginctl enable-linger"):
        choice.choose("systemd_user", Layout(home), None)


def test_the_unit_of_a_user_lies_in_its_home_and_is_kept_by_its_manager(
    home: Path, tmp_path: Path, systemctl: Path, plain_user: tuple[Path, Path]
) -> None:
    plain_user[0].mkdir(parents=True)
    server = Layout(home).server("main")
    user = SystemdUser()
    assert user.install(Program(server, 30))
    unit = tmp_path / "account/.config/systemd/user/inferops-main.service"
    assert "WantedBy=default.target" in unit.read_text()
    user.start(server)
    assert "--user start inferops-main.service" in systemctl.read_text()
    assert "--user-unit=inferops-main.service" in user.log_command(server)
    user.stop_and_remove(server)
    assert not unit.exists()


def test_a_start_at_boot_is_refused_where_nothing_would_do_it(home: Path) -> None:
    with pytest.raises(SupervisorError, match="start_at_boot needs systemd"):
        choice.choose("supervisord", Layout(home), BIN, start_at_boot=True)
