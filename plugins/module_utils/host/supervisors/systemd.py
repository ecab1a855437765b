# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd, where it is PID 1: one unit per server."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from ..server.launcher import EXIT_BROKEN, EXIT_FINAL
from ..server.layout import Server
from .supervisor import Program, Supervisor, SupervisorError

BOOT_TARGET = "multi-user.target"


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
