# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SSH host keys that are derived, so that every later controller knows them without a file.

Generation 1 travels with the request, where the marketplace sees it. Generation 2 replaces it over
the first connection and is known to nobody but the host and whoever has the scope's secret.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import RequestRefused
from ..mark import Mark
from ..model import HostKey
from ..secret import derived

if TYPE_CHECKING:
    from ..model import Endpoint

try:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )
except ImportError:  # reported by derive()
    CRYPTOGRAPHY_MISSING = True
else:
    CRYPTOGRAPHY_MISSING = False

_SSH_PORT = 22


def derive(secret: str, mark: Mark, generation: int) -> HostKey:
    """The host key of the rental with *mark*; its deadline may move without changing the key.

    Raises RequestRefused without the library cryptography, which comes with paramiko.
    """
    if CRYPTOGRAPHY_MISSING:
        raise RequestRefused(
            "Host keys need the Python library cryptography on the controller.",
            remedy="pip install paramiko",
        )
    # Scope, name and nonce hold no slash.
    text = f"inferops host key/{mark.scope}/{mark.name}/{mark.nonce}/{generation}"
    key = Ed25519PrivateKey.from_private_bytes(derived(secret, text))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return HostKey(private.decode(), public.decode())


def known_hosts_name(host: str, port: int) -> str:
    """How known_hosts files call *port* of *host*."""
    return host if port == _SSH_PORT else f"[{host}]:{port}"


def known_hosts_lines(endpoints: Iterable[Endpoint], public: str) -> list[str]:
    """One line of a known_hosts file for each way to a host that shows the key *public*."""
    return [f"{known_hosts_name(way.host, way.port)} {public}" for way in endpoints]
