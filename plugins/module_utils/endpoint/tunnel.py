# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An SSH tunnel from the controller to a server that listens on its host's loopback.

The tunnel is an OpenSSH master with a control socket. The note beside the socket only remembers
what was forwarded: when it is lost, the tunnel is closed and opened again.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shlex
import socket
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from ..common.answers import parse
from ..common.private_files import private_folder, require_ours, write_private

#: What a user sets for his own hosts, such as to forward the agent or to run a command of this
#: machine, is for none that is rented from a stranger: ssh reads no settings of his there.
_NO_SETTINGS = ("-F", "/dev/null")
_OPEN_SECONDS, _CONTROL_SECONDS = 60, 15
_TRIES = 3
#: What ssh is let say. A host may greet with as much as it likes.
_MOST_SAID_BYTES, _MOST_SHOWN = 64 * 2**10, 2000


class TunnelError(Exception):
    """The tunnel could not be opened or closed; the text is OpenSSH's with advice."""


@dataclass(frozen=True)
class Target:
    """Where a tunnel leads, and with which key. The remote side is always the host's loopback.

    A host is a stranger's that has a ``known_hosts_file``, in which its key is pinned. Others are
    the user's own: for them, what is None is as ssh's settings say, and ``ssh_arguments`` are
    further words for ssh.
    """

    host: str
    port: int | None
    user: str | None
    private_key_file: str | None
    known_hosts_file: str | None
    remote_port: int
    ssh_arguments: str = ""


class Tunnel:
    """The tunnel of one name below one folder of the controller."""

    def __init__(self, folder: str, name: str) -> None:
        self._folder = Path(folder).expanduser()
        # A socket's path may have about 100 bytes: ssh runs in the folder and gets the name.
        stem = hashlib.sha256(name.encode()).hexdigest()[:16]
        self._socket = self._folder / f"{stem}.sock"
        self._note = self._folder / f"{stem}.json"
        self._header = self._folder / f"{stem}.header"

    def local_port(self, target: Target) -> int | None:
        """The local end of the open tunnel to *target*, or None when there is no such tunnel."""
        try:
            note = parse(self._note.read_text()) if self._is_ours() else None
        except (OSError, ValueError):
            return None
        if not isinstance(note, dict) or note.get("target") != asdict(target):
            return None
        port = note.get("local_port")
        return port if isinstance(port, int) and self.is_open() else None

    def is_open(self) -> bool:
        """Whether the master answers on its socket."""
        answers = self._is_ours() and self._socket.exists()
        return answers and self._control("check").returncode == 0

    def keep(
        self, target: Target, local_port: int = 0, dry_run: bool = False
    ) -> tuple[int | None, int | None]:
        """Keep the tunnel that is open to *target*, or open one: its local port before, and after.

        They are the same where nothing changes.
        """
        before = self.local_port(target)
        if before is not None and local_port in (0, before):
            return before, before
        if dry_run:
            return before, local_port or None
        self.close()
        return before, self.open(target, local_port)

    def open(self, target: Target, local_port: int = 0) -> int:
        """Open the tunnel and return its local port; 0 takes any free one."""
        private_folder(self._folder)
        for attempt in range(1, _TRIES + 1):
            port = local_port or _free_port()
            said = self._start(target, port)
            if said is None:
                note = {"target": asdict(target), "local_port": port}
                write_private(self._note, json.dumps(note))
                return port
            # A free port may be taken between the look and the bind: only then try another.
            if local_port or "forward" not in said.casefold() or attempt == _TRIES:
                break
        raise TunnelError(
            f"The SSH tunnel to {target.host}:{target.port or 22} could not be opened: {said} "
            "Check that the local port is free and that the host still answers to SSH."
        )

    def keep_key(self, api_key: str) -> str | None:
        """Write down the header that clients send, for their user alone; None without a key.

        A file, because a key in a command line is shown to all users of the machine.
        """
        if not api_key:
            self._header.unlink(missing_ok=True)
            return None
        write_private(self._header, f"Authorization: Bearer {api_key}\n")
        return str(self._header)

    def close(self) -> None:
        """Close the tunnel; a missing one is fine."""
        if self._is_ours() and self._socket.exists():
            self._control("exit")
        for path in (self._socket, self._note, self._header):
            # What is a stranger's stays; no tunnel is opened there.
            with suppress(OSError):
                path.unlink()

    def _is_ours(self) -> bool:
        """Whether nobody else has put a socket there, whose owner would be sent the key."""
        try:
            require_ours(self._folder)
        except OSError:
            return False
        return True

    def _start(self, target: Target, port: int) -> str | None:
        """Start the master in the background; what it complained about, or None."""
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": "15",
            "ControlPath": self._socket.name,
            "ExitOnForwardFailure": "yes",
            "ServerAliveInterval": "15",
            # Whoever rents or connects has pinned the key: here a missing one is a wrong one.
            "StrictHostKeyChecking": "yes",
        }
        command = ["ssh", "-f", "-N", "-o", "ControlMaster=yes"]
        if target.known_hosts_file is not None:
            command += _NO_SETTINGS
            options["IdentitiesOnly"] = "yes"
            options["GlobalKnownHostsFile"] = "/dev/null"
            options["UserKnownHostsFile"] = os.path.expanduser(target.known_hosts_file)
        else:
            # First, for of each option ssh takes what is said first.
            command += shlex.split(target.ssh_arguments)
        command += ["-p", str(target.port)] if target.port else []
        command += ["-l", target.user] if target.user else []
        if target.private_key_file:
            command += ["-i", os.path.expanduser(target.private_key_file)]
        command += ["-L", f"127.0.0.1:{port}:127.0.0.1:{target.remote_port}"]
        command += [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
        # The background process keeps its files open, so a pipe would never end.
        with tempfile.TemporaryFile(mode="w+", errors="replace") as complaints:
            try:
                done = subprocess.run(
                    [*command, target.host],
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=complaints,
                    timeout=_OPEN_SECONDS,
                    check=False,
                    preexec_fn=_write_little,
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                return str(error)
            complaints.seek(0)
            said = " ".join(complaints.read(_MOST_SAID_BYTES).split())
            return None if done.returncode == 0 else said[:_MOST_SHOWN]

    def _control(self, request: str) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                ["ssh", *_NO_SETTINGS, "-S", self._socket.name, "-O", request, "tunnel"],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_CONTROL_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise TunnelError(
                f"The SSH tunnel of {self._socket} does not answer: {error}. End its ssh process."
            ) from error


def _write_little() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (_MOST_SAID_BYTES, _MOST_SAID_BYTES))


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
