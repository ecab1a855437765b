# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tunnel that is kept open, as a kind of service: from a gateway to what listens on the loopback
of another host.

It is OpenSSH's client in the foreground. The other host may be away for hours, so that it is tried
again for ever. Its end here is a Unix socket in a folder of ours: a port of the loopback could be
taken by any user of the gateway while the host is away, who would be sent what is asked of it.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from ...common import ssh_words
from ...common.private_files import write_private
from ...common.server_words import SERVER_NAME
from ..machine.processes import Process
from ..service import launcher, service
from ..service.layout import NAME
from ..service.service import Probe

FOLDER = "tunnels"
KNOWN_HOSTS = "known_hosts"
SOCKET = "way.sock"
ANSWER_SECONDS = 5.0
_MOST_SAID = 24
#: Known hosts are called by this name, however they are reached.
ALIAS = "inferops-host"
OPTIONS = {
    "BatchMode": "yes",
    "CheckHostIP": "no",
    "ConnectTimeout": "10",
    "ControlMaster": "no",
    "ControlPath": "none",
    "ExitOnForwardFailure": "yes",
    "GlobalKnownHostsFile": "/dev/null",
    "HostKeyAlias": ALIAS,
    "IdentitiesOnly": "yes",
    "IdentityAgent": "none",
    # A cut that nobody tells is found by the third question without an answer.
    "ServerAliveInterval": "3",
    "ServerAliveCountMax": "3",
    "StreamLocalBindMask": "0177",
    "StreamLocalBindUnlink": "yes",
    "StrictHostKeyChecking": "yes",
    "UserKnownHostsFile": KNOWN_HOSTS,
}


@dataclass(frozen=True)
class Spec(service.Spec):
    """What is asked of one tunnel, of a gateway to a *server*. *host_keys* are public keys, of
    which the host has to show one; *identity_file* is the private key to log in with.
    """

    gateway: str
    server: str
    executable: str
    host: str
    port: int
    user: str
    host_keys: list[str]
    identity_file: str
    remote_port: int

    def __post_init__(self) -> None:
        """Raises ValueError for what no tunnel could be."""
        if not SERVER_NAME.fullmatch(self.server):
            raise ValueError(f"name: {self.server!r} may hold only letters, digits, ., - and _")
        if not ssh_words.is_host(self.host):
            raise ValueError(f"host: {self.host!r} is not the name or address of a host")
        if not ssh_words.is_user(self.user):
            raise ValueError(f"user: {self.user!r} is no name to log in with")
        if not self.host_keys or not all(map(ssh_words.is_public_key, self.host_keys)):
            raise ValueError("host_keys: they are public keys, each of its type and body")
        for name in ("port", "remote_port"):
            if not 0 < getattr(self, name) < 65536:
                raise ValueError(f"{name}: {getattr(self, name)} is not between 1 and 65535")

    @property
    def known_hosts(self) -> str:
        """The keys as ssh reads them from a file."""
        return "".join(f"{ALIAS} {key}\n" for key in self.host_keys)

    @property
    def hash(self) -> str:
        """Nothing of it can be changed while it is open."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


class Tunnel(service.Service[Spec]):
    """One tunnel's folder."""

    kind = "tunnel"
    title = "tunnel to inference server"
    marker = "INFEROPS_TUNNEL"
    launcher = "host.tunnel.tunnel"
    spec_type = Spec
    first_check = "open"
    gives_up = False
    longest_pause_seconds = 5.0
    #: Longer than connecting may take: ssh has no limit for a host that vanishes while it logs in.
    most_start_seconds = 20.0

    @property
    def description(self) -> str:
        spec = self.spec()
        return f"{self.title} {spec.server} of gateway {spec.gateway}" if spec else self.title

    @property
    def socket(self) -> Path:
        """Its end on this host."""
        return self.folder / SOCKET

    def command(self, spec: Spec) -> list[str]:
        """It is run in the folder, where the known hosts are written first."""
        write_private(self.folder / KNOWN_HOSTS, spec.known_hosts)
        command = [spec.executable, "-F", "/dev/null", "-N", "-T"]
        command += [word for name, value in OPTIONS.items() for word in ("-o", f"{name}={value}")]
        command += ["-i", spec.identity_file, "-p", str(spec.port), "-l", spec.user]
        command += ["-L", f"./{SOCKET}:127.0.0.1:{spec.remote_port}"]
        return [*command, "--", spec.host]

    def probe(
        self,
        spec: Spec,
        tree: list[Process],
        quick: bool = False,
        tell: Callable[[str], None] | None = None,
    ) -> Probe:
        """OpenSSH listens once it has logged in. A socket that an earlier one has left refuses."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(ANSWER_SECONDS)
            try:
                client.connect(str(self.socket))
            except OSError:
                return Probe("open", "ssh has not logged in")
        return Probe(None, "it is open")


def tunnel_of(home: Path, gateway: str, server: str) -> Tunnel:
    """The tunnel of this gateway to this server. Names of hosts may be longer than that of a
    service, and have dots."""
    both = f"{gateway}-{server}"
    said = re.sub("[^A-Za-z0-9_-]", "_", both)[:_MOST_SAID]
    return Tunnel(home / FOLDER / f"{said}-{hashlib.sha256(both.encode()).hexdigest()[:8]}")


def tunnels(home: Path) -> list[Tunnel]:
    """Those that have a folder below a home folder, by name."""
    folder = home / FOLDER
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [Tunnel(path) for path in found if path.is_dir() and NAME.fullmatch(path.name)]


if __name__ == "__main__":
    raise SystemExit(launcher.main(Tunnel(Path(sys.argv[1]))))
