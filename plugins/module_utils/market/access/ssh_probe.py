# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is SSH ready, and is it our host? One fresh connection with paramiko, step by step.

An open port proves little: marketplace proxies answer before sshd runs.
"""

from __future__ import annotations

import errno
import logging
import os
import shlex
import socket
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from ...common.private_files import open_private, private_folder
from ..model import Endpoint, HostKey
from .host_keys import known_hosts_name
from .start_script import replacement_script

try:
    import paramiko
except ImportError:  # reported by probe()
    PARAMIKO_MISSING = True
else:
    PARAMIKO_MISSING = False
    # Without any handler, each host that is not ready yet would print a traceback.
    logging.getLogger("paramiko").addHandler(logging.NullHandler())

#: Where a probe ends, by how far it got. A refused connection comes from a machine that lives; a
#: black-holed one got no answer at all.
REFUSED, BLACK_HOLED, CONNECT = "refused", "black-holed", "connect"
BANNER, KEY_EXCHANGE, HOST_KEY, LOGIN = "banner", "key exchange", "host key", "login"
#: A host that shows a key which proves nothing, because others have it too.
FIRST_KEY = "first host key"
COMMAND, READY = "command", "ready"

_NO_ANSWER = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT)
_KEY_TYPE = "ssh-ed25519"


@dataclass(frozen=True)
class Login:
    """Who logs in, and which host keys count.

    ``expected_keys`` are public key lines, the first one preferred. The preferred one is pinned in
    ``known_hosts_file`` when it is seen, and nothing else. Without any, what the first connection
    shows is pinned. ``seen_by_others`` are keys that prove nothing, because others have them too.
    """

    user: str
    private_key_file: str
    known_hosts_file: str
    expected_keys: tuple[str, ...] = ()
    seen_by_others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Probe:
    """How far one try got. ``final`` means that waiting longer will not help.

    ``host_key`` is the public key line of a host that was believed.
    """

    stage: str
    detail: str
    final: bool = False
    host_key: str = ""

    @property
    def ready(self) -> bool:
        """Whether a command ran over the connection."""
        return self.stage == READY


def probe(endpoint: Endpoint, login: Login, timeout_seconds: float = 10.0) -> Probe:
    """Try a fresh connection once; every step has *timeout_seconds*."""
    return _Visit(endpoint, login, timeout_seconds).run("true")


def replace_host_key(
    endpoint: Endpoint, login: Login, new: HostKey, timeout_seconds: float = 30.0
) -> Probe:
    """Give the host the key *new* over a fresh connection, and confirm it by another one.

    Afterwards *new* is pinned. A host that shows none of the expected keys is given nothing. Takes
    some seconds, until sshd listens again. Whoever is not root has to become it without a password.
    """
    script = replacement_script(new.public)
    if login.user != "root":
        script = f"sudo -n sh -c {shlex.quote(script)}"
    given = _Visit(endpoint, login, timeout_seconds).run(script, new.private)
    if not given.ready:
        return given
    return probe(endpoint, replace(login, expected_keys=(new.public,)), timeout_seconds)


def user_key(path: str) -> paramiko.PKey:
    """The private key in a file. Raises ValueError for one that paramiko cannot log in with."""
    try:
        return paramiko.PKey.from_path(path)
    except Exception as error:
        # The library below has kinds of its own, for keys that live in a token above all.
        raise ValueError(
            f"{path} cannot be used as a key: {error}. Ed25519, ECDSA and RSA keys can."
        ) from error


class _Visit:
    """One fresh connection to a host. Each step returns what failed, or None."""

    def __init__(self, endpoint: Endpoint, login: Login, timeout_seconds: float) -> None:
        self._endpoint = endpoint
        self._login = login
        self._timeout_seconds = timeout_seconds
        self._host_key = ""

    def run(self, command: str, stdin: str = "") -> Probe:
        """Connect, run *command* with *stdin*, and tell how far that got."""
        if PARAMIKO_MISSING:
            text = f"The controller lacks a library: {sys.executable} -m pip install paramiko."
            return Probe(CONNECT, text, final=True)
        address = (self._endpoint.host, self._endpoint.port)
        try:
            sock = socket.create_connection(address, timeout=self._timeout_seconds)
        except OSError as error:
            return Probe(_connect_stage(error), str(error))
        with sock:
            try:
                transport = paramiko.Transport(sock)
            except (paramiko.SSHException, OSError) as error:
                return Probe(BANNER, _said(error))
            try:
                failed = (
                    self._exchange_keys(transport)
                    or self._log_in(transport)
                    or self._execute(transport, command, stdin)
                )
            finally:
                transport.close()
        return failed or Probe(READY, "", host_key=self._host_key)

    def _exchange_keys(self, transport: paramiko.Transport) -> Probe | None:
        transport.banner_timeout = self._timeout_seconds
        if self._login.expected_keys:
            transport.get_security_options().key_types = (_KEY_TYPE,)
        try:
            transport.start_client(timeout=self._timeout_seconds)
            # It also returns when its time is up.
            if not transport.initial_kex_done:
                raise paramiko.SSHException(f"no answer within {self._timeout_seconds:.0f} s")
            key = transport.get_remote_server_key()
        except paramiko.ssh_exception.IncompatiblePeer as error:
            return Probe(HOST_KEY if self._login.expected_keys else KEY_EXCHANGE, _said(error))
        except (paramiko.SSHException, EOFError, OSError) as error:
            return Probe(KEY_EXCHANGE if transport.remote_version else BANNER, _said(error))
        self._host_key = _line(key)
        return _check_host_key(key, self._endpoint, self._login)

    def _log_in(self, transport: paramiko.Transport) -> Probe | None:
        try:
            key = user_key(os.path.expanduser(self._login.private_key_file))
        except ValueError as error:
            return Probe(LOGIN, str(error), final=True)
        transport.auth_timeout = self._timeout_seconds
        try:
            transport.auth_publickey(self._login.user, key)
        except (paramiko.SSHException, EOFError, OSError) as error:
            return Probe(LOGIN, _said(error), host_key=self._host_key)
        return None

    def _execute(self, transport: paramiko.Transport, command: str, stdin: str) -> Probe | None:
        try:
            channel = transport.open_session(timeout=self._timeout_seconds)
            channel.settimeout(self._timeout_seconds)
            channel.exec_command(command)
            channel.sendall(stdin.encode())
            channel.shutdown_write()
        except (paramiko.SSHException, EOFError, OSError) as error:
            return Probe(COMMAND, _said(error), host_key=self._host_key)
        # recv_exit_status() alone would wait for ever.
        if not channel.status_event.wait(self._timeout_seconds):
            text = f"the command did not end within {self._timeout_seconds:.0f} s"
            return Probe(COMMAND, text, host_key=self._host_key)
        status = channel.recv_exit_status()
        if status == 0:
            return None
        return Probe(COMMAND, f"the command exited with {status}", host_key=self._host_key)


def _connect_stage(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return REFUSED
    timed_out = isinstance(error, socket.timeout) or error.errno in _NO_ANSWER
    return BLACK_HOLED if timed_out else CONNECT


def _check_host_key(key: paramiko.PKey, endpoint: Endpoint, login: Login) -> Probe | None:
    """None for the pinned key and, while none is pinned, for an expected one or the first one."""
    path = os.path.expanduser(login.known_hosts_file)
    name = known_hosts_name(endpoint.host, endpoint.port)
    known = paramiko.HostKeys()
    try:
        if os.path.lexists(path):
            os.close(open_private(Path(path), os.O_RDONLY))
            known.load(path)
    except (OSError, ValueError, paramiko.hostkeys.InvalidHostKey) as error:
        return Probe(HOST_KEY, f"The pinned host keys cannot be read: {error}", final=True)
    if known.lookup(name) is not None:
        if known.check(name, key):
            return None
        return Probe(
            HOST_KEY,
            f"It shows another host key than the one pinned in {path}. Someone may be in between, "
            "or the address went to another machine, or the scope's secret changed.",
            final=True,
        )
    if _line(key) in login.seen_by_others:
        return Probe(
            FIRST_KEY,
            "It shows the host key that came with its rental request, which the marketplace has "
            "seen. Only the run that rented it believes that, and replaces it.",
        )
    if login.expected_keys and _line(key) not in login.expected_keys:
        return Probe(HOST_KEY, "It does not show the host key that was delivered with the request.")
    if not login.expected_keys or _line(key) == login.expected_keys[0]:
        _pin(known, path, name, key)
    return None


def _pin(known: paramiko.HostKeys, path: str, name: str, key: paramiko.PKey) -> None:
    known.add(name, key.get_name(), key)
    place = private_folder(Path(path).parent) / Path(path).name
    os.close(open_private(place, os.O_RDWR))
    known.save(str(place))


def _line(key: paramiko.PKey) -> str:
    return f"{key.get_name()} {key.get_base64()}"


def _said(error: Exception) -> str:
    # The library glues the reason of a banner that never came to its own words.
    text = str(error).replace("protocol banner[", "protocol banner: [")
    return text or "the server closed the connection"
