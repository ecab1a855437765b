# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""supervisord, where the host is a container: a daemon of our own, there only while needed."""

from __future__ import annotations

import contextlib
import http.client
import os
import shlex
import socket
import subprocess
import time
import xmlrpc.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

from ....common.private_files import write_private
from ...machine import locks
from ...machine.processes import alive, read_process
from ..exits import EXIT_BROKEN, EXIT_FINAL, EXIT_STOPPED
from ..layout import Layout
from ..service import Service
from .supervisor import Program, Supervisor, SupervisorError

LOCK_SECONDS = 60.0
LONGEST_SOCKET_PATH = 100


class Supervisord(Supervisor):
    """A supervisord of our own below the home folder, there only while a service is."""

    name = "supervisord"

    def __init__(self, layout: Layout, bin_dir: str | None) -> None:
        self.folder = layout.supervisor
        self.programs = self.folder / "programs"
        self.socket = self.folder / "supervisor.sock"
        self.bin_dir = bin_dir
        self.lock = layout.locks / ".supervisord"

    def definition(self, service: Service[Any]) -> Path:
        return self.programs / f"{service.program}.conf"

    def install(self, program: Program) -> bool:
        with self.alone():
            changed = write_private(self.definition(program.service), self.render(program))
            self.ensure_daemon()
            self.reload()
        return changed

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Services share the daemon: it must not end for one while another one is added."""
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
            f"[program:{program.service.program}]\n"
            f"command={_supervisord_quote(shlex.join(program.command))}\n"
            f"environment={environment}\n"
            "autostart=false\n"
            "autorestart=unexpected\n"
            f"exitcodes={EXIT_STOPPED},{EXIT_BROKEN},{EXIT_FINAL}\n"
            # With a start time of zero every exit is judged by its status, never just retried.
            "startsecs=0\n"
            f"stopwaitsecs={program.stop_seconds}\n"
            f"stdout_logfile={_supervisord_quote(str(program.service.launcher_log))}\n"
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

    def start(self, service: Service[Any]) -> None:
        try:
            self.remote().startProcess(service.program, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultString.partition(":")[0] != "ALREADY_STARTED":
                raise SupervisorError(f"supervisord: {fault.faultString}") from fault

    def starts_at_boot(self, service: Service[Any]) -> bool:
        return False

    def set_start_at_boot(self, service: Service[Any], wanted: bool) -> None:
        """Nothing of ours would start supervisord: `choose` refuses the wish."""

    def installed(self, service: Service[Any]) -> bool:
        return self.definition(service).exists()

    def stop_and_remove(self, service: Service[Any]) -> None:
        if not self.installed(service):
            return
        # NOT_RUNNING or BAD_NAME, or no daemon at all: then there is nothing to stop.
        with contextlib.suppress(xmlrpc.client.Fault, OSError, http.client.HTTPException):
            self.remote().stopProcess(service.program, True)
        with self.alone():
            self.forget(service)

    def forget(self, service: Service[Any]) -> None:
        """Take the definition away, and with the last one the daemon."""
        self.definition(service).unlink(missing_ok=True)
        if not self.responds():
            return
        remote = self.remote()
        self.reload()
        if not any(self.programs.glob("*.conf")):
            daemon = read_process(remote.getPID())
            remote.shutdown()
            # It removes its socket when it ends, which must not hit that of a successor.
            _wait_until(lambda: daemon is None or not alive(daemon.identity))

    def log_command(self, service: Service[Any]) -> None:
        """It writes a log file in its own folder."""

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
