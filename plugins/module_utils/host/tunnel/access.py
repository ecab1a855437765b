# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a host lets a gateway in: one line of authorized_keys, for one port of its loopback alone."""

from __future__ import annotations

import re
from pathlib import Path

from ...common import ssh_words
from ...common.private_files import private_folder, replace

COMMENT = "inferops-gateway"
GATEWAY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,130}")
#: Without it a gateway could listen anywhere; this port is of no use to anybody.
NO_PORT = 1
HOST_KEYS = Path("/etc/ssh")
_OWN = re.compile(rf"restrict,\S+ \S+ \S+ {COMMENT}:{GATEWAY.pattern}")


def line(gateway: str, public_key: str, port: int) -> str:
    """What stands in the file. It opens no shell, and forwards to this port and to nothing else."""
    options = (
        "restrict",
        "port-forwarding",
        f'permitopen="127.0.0.1:{port}"',
        f'permitlisten="127.0.0.1:{NO_PORT}"',
        'command="/bin/false"',
    )
    return f"{','.join(options)} {public_key} {COMMENT}:{gateway}"


def own(text: str) -> list[str]:
    """The lines of gateways in the file's text."""
    return [each for each in text.split("\n") if _OWN.fullmatch(each)]


def changed(text: str, wanted: list[str]) -> str:
    """The text with just these lines of gateways. Those of others stay as they are."""
    known = own(text)
    if known == wanted:
        return text
    others = [each for each in text.split("\n") if each not in known]
    while others and not others[-1]:
        others.pop()
    return "".join(f"{each}\n" for each in [*others, *wanted])


def read(file: Path) -> str:
    """The file's text, empty where there is none."""
    return file.read_text() if file.exists() else ""


def write(file: Path, text: str) -> None:
    """Raises OSError, also where somebody else could change it."""
    private_folder(file.parent)
    replace(file, text, 0o600)


def host_keys(folder: Path = HOST_KEYS) -> list[str]:
    """The public keys that this host may show, each of type and body."""
    found = []
    for file in sorted(folder.glob("ssh_host_*_key.pub")):
        key = " ".join(file.read_text(errors="replace").split()[:2])
        found += [key] if ssh_words.is_public_key(key) else []
    return found
