# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is SSH ready? Four steps with paramiko: TCP and banner, key exchange, login, a command.

An open port proves little: marketplace proxies answer before sshd runs.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

try:
    import paramiko
except ImportError:  # reported by probe()
    PARAMIKO_MISSING = True
else:
    PARAMIKO_MISSING = False

#: The steps in order; a probe ends with the name of the one that failed, or ``ready``.
STAGES = ("connect", "banner", "key exchange", "login", "command", "ready")
READY = STAGES[-1]


@dataclass(frozen=True)
class Probe:
    """How far one try got. ``final`` means that waiting longer will not help."""

    stage: str
    detail: str
    final: bool = False

    @property
    def ready(self) -> bool:
        """Whether a command ran over the connection."""
        return self.stage == READY


def probe(
    host: str,
    port: int,
    user: str,
    private_key_file: str,
    known_hosts_file: str,
    timeout_seconds: float = 10.0,
) -> Probe:
    """Try a fresh connection once.

    The host's key is pinned in *known_hosts_file* by the first connection; another key
    later is final.
    """
    if PARAMIKO_MISSING:
        return Probe(
            "connect", "The controller lacks the library paramiko: pip install paramiko.", True
        )
    try:
        sock = socket.create_connection((host, port), timeout=timeout_seconds)
    except OSError as error:
        return Probe("connect", str(error))
    transport = None
    try:
        transport = paramiko.Transport(sock)
        transport.banner_timeout = timeout_seconds
        return _talk(
            transport, host, port, user, private_key_file, known_hosts_file, timeout_seconds
        )
    except (paramiko.SSHException, OSError, EOFError) as error:
        return Probe("banner", str(error) or type(error).__name__)
    finally:
        if transport is not None:
            transport.close()
        sock.close()


def _talk(
    transport: paramiko.Transport,
    host: str,
    port: int,
    user: str,
    private_key_file: str,
    known_hosts_file: str,
    timeout_seconds: float,
) -> Probe:
    try:
        transport.start_client(timeout=timeout_seconds)
    except (paramiko.SSHException, EOFError, OSError) as error:
        stage = "banner" if "banner" in str(error).casefold() else "key exchange"
        return Probe(stage, str(error) or "the server closed the connection")
    if not _pinned(transport.get_remote_server_key(), host, port, known_hosts_file):
        return Probe(
            "key exchange",
            f"{host}:{port} shows another host key than the one pinned in {known_hosts_file}. "
            "Someone may be in between, or the address went to another machine.",
            final=True,
        )
    try:
        key = paramiko.PKey.from_path(os.path.expanduser(private_key_file))
    except (paramiko.SSHException, OSError, TypeError, ValueError) as error:
        return Probe("login", f"{private_key_file} cannot be used as a key: {error}", final=True)
    try:
        transport.auth_publickey(user, key)
    except (paramiko.SSHException, EOFError) as error:
        return Probe("login", str(error) or "the server closed the connection")
    channel = transport.open_session(timeout=timeout_seconds)
    channel.settimeout(timeout_seconds)
    channel.exec_command("true")
    # recv_exit_status() alone would wait for ever.
    if not channel.status_event.wait(timeout_seconds):
        return Probe("command", f"`true` did not end within {timeout_seconds:.0f} s")
    status = channel.recv_exit_status()
    return Probe(READY, "") if status == 0 else Probe("command", f"`true` exited with {status}")


def _pinned(key: paramiko.PKey, host: str, port: int, known_hosts_file: str) -> bool:
    """Whether *key* is the pinned one; the first key seen becomes the pinned one."""
    path = os.path.expanduser(known_hosts_file)
    entry = host if port == 22 else f"[{host}]:{port}"
    known = paramiko.HostKeys()
    if os.path.exists(path):
        known.load(path)
    if known.lookup(entry) is not None:
        return bool(known.check(entry, key))
    known.add(entry, key.get_name(), key)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    known.save(path)
    os.chmod(path, 0o600)
    return True
