# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd, where it is PID 1: one unit per service, of the system or of a user's own manager."""

from __future__ import annotations

import os
import pwd
import shlex
import subprocess
from pathlib import Path
from typing import Any

from ....common.private_files import holds, make_folders, replace
from ...machine.tools import tool_environment
from ..exits import EXIT_BROKEN, EXIT_FINAL
from ..service import Service
from .supervisor import Program, Supervisor, SupervisorError

UNIT_MODE = 0o644
BOOT_TARGET = "multi-user.target"
USER_BOOT_TARGET = "default.target"
RUNTIME = Path("/run/user")
LINGERING = Path("/var/lib/systemd/linger")
"""Holds a file for each user whose services may outlive the last login: loginctl(1)."""


class Systemd(Supervisor):
    """One unit per service under /etc, enabled only when it shall start at boot."""

    name = "systemd"
    folder = Path("/etc/systemd/system")
    boot_target = BOOT_TARGET

    def unit(self, service: Service[Any]) -> str:
        return f"inferops-{service.program}.service"

    def install(self, program: Program) -> bool:
        path = self.folder / self.unit(program.service)
        text = self.render(program)
        if holds(path, text, UNIT_MODE):
            return False
        make_folders(path.parent)
        replace(path, text, UNIT_MODE)
        self.call("daemon-reload")
        return True

    def render(self, program: Program) -> str:
        environment = "".join(
            f"Environment={_systemd_quote(f'{key}={value}')}\n"
            for key, value in sorted(program.environment.items())
        )
        command = " ".join(_systemd_quote(word) for word in program.command)
        return (
            "# Written by inferops.gpu, removed when the service is stopped.\n"
            "[Unit]\n"
            f"Description={program.service.description} (inferops.gpu)\n"
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
            f"WantedBy={self.boot_target}\n"
        )

    def start(self, service: Service[Any]) -> None:
        self.call("reset-failed", self.unit(service), may_fail=True)
        self.call("start", self.unit(service))

    def starts_at_boot(self, service: Service[Any]) -> bool:
        return (self.folder / f"{self.boot_target}.wants" / self.unit(service)).is_symlink()

    def set_start_at_boot(self, service: Service[Any], wanted: bool) -> None:
        self.call("enable" if wanted else "disable", self.unit(service))

    def installed(self, service: Service[Any]) -> bool:
        return (self.folder / self.unit(service)).exists()

    def stop_and_remove(self, service: Service[Any]) -> None:
        if not self.installed(service):
            return
        self.call("stop", self.unit(service), may_fail=True)
        if self.starts_at_boot(service):
            self.call("disable", self.unit(service), may_fail=True)
        (self.folder / self.unit(service)).unlink(missing_ok=True)
        self.call("daemon-reload")
        self.call("reset-failed", self.unit(service), may_fail=True)

    def log_command(self, service: Service[Any]) -> list[str]:
        return ["journalctl", "--no-pager", "--lines=200", f"--unit={self.unit(service)}"]

    def call(self, *arguments: str, may_fail: bool = False) -> None:
        done = self.systemctl(*arguments)
        if done.returncode and not may_fail:
            raise SupervisorError(f"systemctl {shlex.join(arguments)}: {done.stderr.strip()}")

    def systemctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return _run("systemctl", *arguments)


class SystemdUser(Systemd):
    """The same in the user's own manager: no root is needed.

    It ends with the user's last login, unless lingering is on for the user.
    """

    name = "systemd_user"
    boot_target = USER_BOOT_TARGET

    def __init__(self) -> None:
        self.user = pwd.getpwuid(os.getuid())
        self.folder = Path(self.user.pw_dir) / ".config" / "systemd" / "user"

    @property
    def runtime(self) -> Path:
        """Where the manager is reached. A task may not see the XDG_RUNTIME_DIR of the login."""
        return RUNTIME / str(self.user.pw_uid)

    def problem(self, change: bool) -> str:
        """Why services of this user cannot be kept running here, empty when they can.

        Lingering that is off is turned on where `change` allows it and the host does.
        """
        if not (self.runtime / "systemd").is_dir():
            return f"the user manager of {self.user.pw_name} does not run ({self.runtime})"
        lingering = LINGERING / self.user.pw_name
        if lingering.exists() or not change:
            return ""
        done = _run("loginctl", "enable-linger")
        if lingering.exists():
            return ""
        why = done.stderr.strip() or "loginctl gave no reason"
        return (
            f"lingering is off for {self.user.pw_name}, so that its services would end with its "
            f"login ({why}). As root: loginctl enable-linger {self.user.pw_name}"
        )

    def install(self, program: Program) -> bool:
        problem = self.problem(change=True)
        if problem:
            raise SupervisorError(f"systemd of a user: {problem}.")
        return super().install(program)

    def log_command(self, service: Service[Any]) -> list[str]:
        return ["journalctl", "--no-pager", "--lines=200", f"--user-unit={self.unit(service)}"]

    def systemctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        runtime = {"XDG_RUNTIME_DIR": str(self.runtime)}
        return _run("systemctl", "--user", *arguments, environment=runtime)


def _run(
    *command: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
            env={**tool_environment(), **(environment or {})},
        )
    except FileNotFoundError as error:
        return subprocess.CompletedProcess(command, 127, "", str(error))


def _systemd_quote(word: str) -> str:
    """One word of a unit file: systemd.service(5), systemd.syntax(7)."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'
