# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How Ansible's ssh reaches a rented host: the same for role connect and for the inventory."""

from __future__ import annotations

import re
import shlex
from shlex import quote

from ansible import constants
from ansible.plugins.loader import connection_loader

DELIVERED, FIRST_CONTACT = "delivered", "first_contact"
#: What the user's own ssh_config says for his hosts, such as to forward the agent, is not for a
#: stranger's.
_NOTHING_OF_THE_USERS = (
    "-F /dev/null -o ForwardAgent=no -o ForwardX11=no -o PermitLocalCommand=no -o Tunnel=no"
)
#: What opens this machine to a host, wherever it stands among the options, and whatever others say:
#: the agent, the display, ports and networks behind it, another file of settings, the environment.
_OPENS = frozenset("AFRXYw")
_OPENS_BY_NAME = re.compile(r"\s*(?:SendEnv|SetEnv|RemoteForward|Include)\b", re.I)
_TAKES_A_VALUE = frozenset("BbcDEeFIiJLlmOopQRSWw")
#: A host that falls silent is given up after a minute, or a task would wait for hours while it
#: bills.
COMMON_ARGUMENTS = "-o IdentitiesOnly=yes -o ServerAliveInterval=15 -o ServerAliveCountMax=4"


def ssh_arguments(known_hosts_file: str, host_keys: str) -> str:
    """Options for ssh. It goes by what it reads first, so these come before those of Ansible."""
    delivered = host_keys == DELIVERED
    ours = [
        _NOTHING_OF_THE_USERS,
        f"-o StrictHostKeyChecking={'yes' if delivered else 'accept-new'}",
        "-o HostKeyAlgorithms=ssh-ed25519" if delivered else "",
        f"-o UserKnownHostsFile={quote(known_hosts_file)} -o GlobalKnownHostsFile=/dev/null",
        configured_arguments(),
    ]
    return " ".join(filter(None, ours))


def configured_arguments() -> str:
    """What Ansible's configuration sets for all hosts, as far as it is for a stranger's."""
    # The options of a plugin are known when it is loaded.
    connection_loader.get("ssh", class_only=True)
    kind = {"plugin_type": "connection", "plugin_name": "ssh"}
    return _closed(str(constants.config.get_config_value("ssh_args", **kind) or ""))


def _closed(arguments: str) -> str:
    """The options of ssh in *arguments* but for those that open this machine to a host."""
    words, kept = iter(shlex.split(arguments)), []
    for word in words:
        letters = word[1:] if word.startswith("-") else ""
        if not letters:
            kept.append(word)
        while letters:
            flag, letters = letters[0], letters[1:]
            option = [f"-{flag}"]
            if flag in _TAKES_A_VALUE:
                option.append(letters or next(words, ""))
                letters = ""
            named = flag == "o" and _OPENS_BY_NAME.match(option[1])
            if flag not in _OPENS and not named:
                kept += option
    return shlex.join(kept)


def known_hosts_file(folder: str, provider: str, rental_id: str, host_keys: str) -> str:
    """One file for each rental: an address that was used before brings no old key along.

    The derived key has a file of its own; without, the first one seen is pinned by role rent.
    """
    kind = ".derived" if host_keys == DELIVERED else ""
    return f"{folder}/known_hosts/{provider}-{rental_id}{kind}"
