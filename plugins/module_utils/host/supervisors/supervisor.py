# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two supervisors that may keep our launcher running: systemd and supervisord.

Both get one program per server, restart it on any exit status but 0 and 78 (the launcher's own
words for "stopped" and "never again"), and forget it when the server is stopped.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shlex
import socket
import subprocess
import sys
import time
import xmlrpc.client
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from ..machine import locks
from ..machine.facts import systemd_is_running
from ..machine.processes import LAUNCHER_MARKER, alive, read_process
from ..server.launcher import EXIT_BROKEN, EXIT_FINAL, EXIT_STOPPED
from ..server.layout import Layout, Server
from ..server.library import LAUNCHER
from ..server.records import write_private

STOP_MARGIN_SECONDS = 20
LOCK_SECONDS = 60.0
LONGEST_SOCKET_PATH = 100
BOOT_TARGET = "multi-user.target"
NAMES = ("systemd", "supervisord")


class SupervisorError(Exception):
    """The supervisor refused or is not there; the text says what to change."""


@dataclass(frozen=True)
class Program:
    """What the supervisor runs for one server."""

    server: Server
    layout: Layout
    stop_timeout_seconds: float

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", LAUNCHER, self.server.id]

    @property
    def environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(self.layout.library), LAUNCHER_MARKER: self.server.id}

    @property
    def stop_seconds(self) -> int:
        """The launcher needs the server's time to drain, and then some to kill and to write."""
        return int(self.stop_timeout_seconds) + STOP_MARGIN_SECONDS


class Supervisor(ABC):
    """What a server needs from a supervisor. Every method may be called again without harm."""

    name: str

    @abstractmethod
    def install(self, program: Program) -> bool:
        """Make the program known, not running yet. Returns whether its definition changed."""

    @abstractmethod
    def start(self, server: Server) -> None:
        """Run the launcher, unless it runs already."""

    @abstractmethod
    def starts_at_boot(self, server: Server) -> bool:
        """Whether the server comes back when the host does."""

    @abstractmethod
    def set_start_at_boot(self, server: Server, wanted: bool) -> None:
        """Whether an installed server shall come back when the host does."""

    @abstractmethod
    def installed(self, server: Server) -> bool:
        """Whether the supervisor was ever told about this server and not told to forget it."""

    @abstractmethod
    def stop_and_remove(self, server: Server) -> None:
        """End the launcher (it ends the server) and forget the program."""


def choose(
    wanted: str, layout: Layout, supervisord_bin_dir: str | None, start_at_boot: bool = False
) -> Supervisor:
    """The supervisor for `auto`, `systemd` or `supervisord`."""
    if wanted == "auto":
        wanted = "systemd" if systemd_is_running() else "supervisord"
    if wanted == "systemd":
        if not systemd_is_running():
            raise SupervisorError(
                "systemd is not PID 1 on this host. Set supervisor to 'supervisord' or 'auto'."
            )
        if os.geteuid() != 0:
            raise SupervisorError(
                "A systemd unit needs root. Connect as root, use become, "
                "or set supervisor to 'supervisord'."
            )
        return Systemd()
    if start_at_boot:
        raise SupervisorError(
            "start_at_boot needs systemd as PID 1. supervisord runs in hosts that are containers, "
            "and nothing starts it when such a host comes back. Launch the server again then, "
            "and take start_at_boot away."
        )
    return Supervisord(layout, supervisord_bin_dir)


def every(layout: Layout) -> list[Supervisor]:
    """All that could know a server here: for stopping, whoever started it."""
    found: list[Supervisor] = [Supervisord(layout, None)]
    return [Systemd(), *found] if systemd_is_running() else found


def is_installed(layout: Layout, server: Server) -> bool:
    """Whether a supervisor here knows the server, running or not."""
    return any(supervisor.installed(server) for supervisor in every(layout))


class Systemd(Supervisor):
    """One unit per server under /etc, enabled only when it shall start at boot."""

    name = "systemd"
    folder = Path("/etc/systemd/system")

    def unit(self, server: Server) -> str:
        return f"inferops-{server.name}.service"

    def install(self, program: Program) -> bool:
        path = self.folder / self.unit(program.server)
        text = self.render(program)
        try:
            if path.read_text() == text:
                return False
        except OSError:
            pass
        path.write_text(text)
        self.call("daemon-reload")
        return True

    def render(self, program: Program) -> str:
        environment = "".join(
            f"Environment={_systemd_quote(f'{key}={value}')}\n"
            for key, value in sorted(program.environment.items())
        )
        command = " ".join(_systemd_quote(word) for word in program.command)
        return (
            "# Written by inferops.gpu.model_server, removed when the server is stopped.\n"
            "[Unit]\n"
            f"Description=inference server {program.server.name} (inferops.gpu)\n"
            "Wants=network-online.target\n"
            "After=network-online.target\n"
            "\n"
            "[Service]\n"
            # Proxies, mirrors and certificates of the host, as a login (and supervisord) has them.
            "EnvironmentFile=-/etc/environment\n"
            f"{environment}"
            f"ExecStart={command}\n"
            "Restart=on-failure\n"
            "RestartSec=1\n"
            f"RestartPreventExitStatus={EXIT_BROKEN} {EXIT_FINAL}\n"
            # The launcher alone gets SIGTERM; what it leaves is killed with its control group.
            "KillMode=mixed\n"
            f"TimeoutStopSec={program.stop_seconds}\n"
            "LimitNOFILE=65535\n"
            "UMask=0077\n"
            "\n"
            "[Install]\n"
            f"WantedBy={BOOT_TARGET}\n"
        )

    def start(self, server: Server) -> None:
        self.call("reset-failed", self.unit(server), may_fail=True)
        self.call("start", self.unit(server))

    def starts_at_boot(self, server: Server) -> bool:
        return (self.folder / f"{BOOT_TARGET}.wants" / self.unit(server)).is_symlink()

    def set_start_at_boot(self, server: Server, wanted: bool) -> None:
        self.call("enable" if wanted else "disable", self.unit(server))

    def installed(self, server: Server) -> bool:
        return (self.folder / self.unit(server)).exists()

    def stop_and_remove(self, server: Server) -> None:
        if not self.installed(server):
            return
        self.call("stop", self.unit(server), may_fail=True)
        if self.starts_at_boot(server):
            self.call("disable", self.unit(server), may_fail=True)
        (self.folder / self.unit(server)).unlink(missing_ok=True)
        self.call("daemon-reload")
        self.call("reset-failed", self.unit(server), may_fail=True)

    def call(self, *arguments: str, may_fail: bool = False) -> None:
        done = subprocess.run(
            ["systemctl", *arguments], capture_output=True, text=True, check=False, timeout=600
        )
        if done.returncode and not may_fail:
            raise SupervisorError(f"systemctl {shlex.join(arguments)}: {done.stderr.strip()}")


def _systemd_quote(word: str) -> str:
    """One word of a unit file: systemd.service(5), systemd.syntax(7)."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


class Supervisord(Supervisor):
    """A supervisord of our own below the home folder, there only while a server is."""

    name = "supervisord"

    def __init__(self, layout: Layout, bin_dir: str | None) -> None:
        self.folder = layout.supervisor
        self.programs = self.folder / "programs"
        self.socket = self.folder / "supervisor.sock"
        self.bin_dir = bin_dir
        self.lock = layout.home / "locks" / ".supervisord"

    def definition(self, server: Server) -> Path:
        return self.programs / f"{server.name}.conf"

    def install(self, program: Program) -> bool:
        with self.alone():
            changed = write_private(self.definition(program.server), self.render(program))
            self.ensure_daemon()
            self.reload()
        return changed

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Servers share the daemon: it must not end for one while another one is added."""
        try:
            with locks.held(self.lock, LOCK_SECONDS):
                yield
        except locks.Busy as error:
            raise SupervisorError(
                f"supervisord is being changed by another run: {error}."
            ) from None

    def render(self, program: Program) -> str:
        environment = ",".join(
            f'{key}="{_supervisord_quote(value)}"'
            for key, value in sorted(program.environment.items())
        )
        return (
            f"[program:{program.server.name}]\n"
            f"command={_supervisord_quote(shlex.join(program.command))}\n"
            f"environment={environment}\n"
            "autostart=false\n"
            "autorestart=unexpected\n"
            f"exitcodes={EXIT_STOPPED},{EXIT_BROKEN},{EXIT_FINAL}\n"
            # With a start time of zero every exit is judged by its status, never just retried.
            "startsecs=0\n"
            f"stopwaitsecs={program.stop_seconds}\n"
            f"stdout_logfile={_supervisord_quote(str(program.server.folder / 'launcher.log'))}\n"
            "stdout_logfile_maxbytes=1MB\n"
            "stdout_logfile_backups=1\n"
            "redirect_stderr=true\n"
        )

    def ensure_daemon(self) -> None:
        if self.responds():
            return
        if self.bin_dir is None:
            raise SupervisorError(
                "systemd is not PID 1 on this host and no supervisord is named. "
                "Install supervisor in a virtual environment and set supervisord_bin_dir to its "
                "bin folder."
            )
        executable = Path(self.bin_dir) / "supervisord"
        if not os.access(executable, os.X_OK):
            raise SupervisorError(
                f"{executable} is not there or not executable. Install supervisor, or correct "
                "supervisord_bin_dir."
            )
        if len(str(self.socket)) > LONGEST_SOCKET_PATH:
            raise SupervisorError(
                f"{self.socket} is too long for a Unix socket. Set home to a shorter path."
            )
        configuration = self.folder / "supervisord.conf"
        write_private(configuration, self.render_daemon())
        done = subprocess.run(
            [str(executable), "-c", str(configuration)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            cwd=self.folder,
        )
        if done.returncode or not _wait_until(self.responds):
            raise SupervisorError(
                f"supervisord did not start: {(done.stderr or done.stdout).strip()} "
                f"See {self.folder / 'supervisord.log'}."
            )

    def render_daemon(self) -> str:
        folder = _supervisord_quote(str(self.folder))
        return (
            "[unix_http_server]\n"
            f"file={folder}/supervisor.sock\n"
            "chmod=0600\n"
            "[supervisord]\n"
            f"logfile={folder}/supervisord.log\n"
            "logfile_maxbytes=1MB\n"
            "logfile_backups=1\n"
            f"pidfile={folder}/supervisord.pid\n"
            f"childlogdir={folder}\n"
            "umask=077\n"
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory = "
            "supervisor.rpcinterface:make_main_rpcinterface\n"
            "[include]\n"
            "files = programs/*.conf\n"
        )

    def reload(self) -> None:
        """Take over what the definition files say now; running programs that are unchanged stay."""
        remote = self.remote()
        added, changed, removed = remote.reloadConfig()[0]
        for name in [*changed, *removed]:
            remote.stopProcessGroup(name)
            remote.removeProcessGroup(name)
        for name in [*added, *changed]:
            remote.addProcessGroup(name)

    def start(self, server: Server) -> None:
        try:
            self.remote().startProcess(server.name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultString.partition(":")[0] != "ALREADY_STARTED":
                raise SupervisorError(f"supervisord: {fault.faultString}") from fault

    def starts_at_boot(self, server: Server) -> bool:
        return False

    def set_start_at_boot(self, server: Server, wanted: bool) -> None:
        """Nothing of ours would start supervisord: `choose` refuses the wish."""

    def installed(self, server: Server) -> bool:
        return self.definition(server).exists()

    def stop_and_remove(self, server: Server) -> None:
        if not self.installed(server):
            return
        # NOT_RUNNING or BAD_NAME, or no daemon at all: then there is nothing to stop.
        with contextlib.suppress(xmlrpc.client.Fault, OSError, http.client.HTTPException):
            self.remote().stopProcess(server.name, True)
        with self.alone():
            self.forget(server)

    def forget(self, server: Server) -> None:
        """Take the definition away, and with the last one the daemon."""
        self.definition(server).unlink(missing_ok=True)
        if not self.responds():
            return
        remote = self.remote()
        self.reload()
        if not any(self.programs.glob("*.conf")):
            daemon = read_process(remote.getPID())
            remote.shutdown()
            # It removes its socket when it ends, which must not hit that of a successor.
            _wait_until(lambda: daemon is None or not alive(daemon.identity))

    def responds(self) -> bool:
        try:
            self.remote().getPID()
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return False
        return True

    def remote(self) -> Any:
        """supervisord's XML-RPC interface over its socket: structured, and no text to parse."""
        transport = _UnixTransport(str(self.socket))
        return xmlrpc.client.ServerProxy("http://localhost", transport=transport).supervisor


def _wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _supervisord_quote(text: str) -> str:
    """supervisord expands %(name)s in its files."""
    return text.replace("%", "%%")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=600)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        return _UnixConnection(self._path)
