# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's SSH on loopback, in the test's own process, whose key and manners the test sets."""

from __future__ import annotations

import contextlib
import io
import re
import socket
import threading
from pathlib import Path
from types import TracebackType

import paramiko
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_SUCCEEDED

from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Endpoint, HostKey
from tests.hanging import HANGS_AFTER_SECONDS

#: How Ansible lets sudo ask, where it has a password for it.
_SUDO_ASKS = re.compile(r"\[sudo via ansible, key=\w+\] password:")


class SshHost:
    """Lets every key in while ``lets_in``, and takes a new host key as a rented host does.

    ``exit_status`` is what commands end with, ``commands`` what was run with which input. A host
    that ``asks`` would like to have passwords, for the login and for sudo: ``told`` are those.
    """

    def __init__(self, host_key: paramiko.PKey) -> None:
        self.host_key = host_key
        self.lets_in = True
        self.asks = False
        self.told: list[str] = []
        self.exit_status = 0
        self.commands: list[tuple[str, str]] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.endpoint = Endpoint("127.0.0.1", self._socket.getsockname()[1])
        self._transports: list[paramiko.Transport] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> SshHost:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(HANGS_AFTER_SECONDS)
        for transport in self._transports:
            transport.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _address = self._socket.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(self.host_key)
            self._transports.append(transport)
            transport.start_server(event=threading.Event(), server=_Session(self))


class _Session(paramiko.ServerInterface):
    def __init__(self, host: SshHost) -> None:
        self._host = host

    def get_allowed_auths(self, username: str) -> str:
        return "publickey,password,keyboard-interactive" if self._host.asks else "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return AUTH_SUCCESSFUL if self._host.lets_in else AUTH_FAILED

    def check_auth_password(self, username: str, password: str) -> int:
        self._host.told.append(password)
        return AUTH_FAILED

    def check_auth_interactive(self, username: str, submethods: str) -> paramiko.InteractiveQuery:
        return paramiko.InteractiveQuery("", "", ("Password: ", False))

    def check_auth_interactive_response(self, responses: list[str]) -> int:
        self._host.told += responses
        return AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self._run, args=(channel, command.decode()), daemon=True).start()
        return True

    def _run(self, channel: paramiko.Channel, command: str) -> None:
        if asked := self._host.asks and _SUDO_ASKS.search(command):
            channel.sendall(asked[0].encode())
            self._host.told.append(channel.recv(1024).decode().strip())
        text = "" if self._host.asks else channel.makefile("r").read()
        stdin = text.decode() if isinstance(text, bytes) else text
        self._host.commands.append((command, stdin))
        if stdin and self._host.exit_status == 0:
            self._host.host_key = as_paramiko(stdin)
        # The other side may have its answer, and hang up, before this one is through.
        with contextlib.suppress(EOFError, OSError):
            channel.send_exit_status(self._host.exit_status)
            channel.close()


def as_paramiko(private: str) -> paramiko.PKey:
    """The key in an OpenSSH PEM text."""
    return paramiko.Ed25519Key.from_private_key(io.StringIO(private))


def write_key_pair(key: HostKey, folder: Path) -> Path:
    """A user's key pair as ssh-keygen leaves it; returns the path of the private half."""
    private = folder / "id_ed25519"
    private.write_text(key.private)
    private.chmod(0o600)
    private.with_suffix(".pub").write_text(f"{key.public} user@example\n")
    return private
