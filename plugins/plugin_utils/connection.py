# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How Ansible's ssh reaches a rented host: the same for role connect and for the inventory."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from shlex import quote
from typing import Any

from ansible import constants
from ansible.plugins.loader import connection_loader

DELIVERED, FIRST_CONTACT = "delivered", "first_contact"
#: What the user's own ssh_config says for his hosts, such as to forward the agent, is not for a
#: stranger's.
_NOTHING_OF_THE_USERS = (
    "-F /dev/null -o ForwardAgent=no -o ForwardX11=no -o PermitLocalCommand=no -o Tunnel=no"
)
#: A stranger's sshd that asks for a password is told none, also where Ansible has one.
_BY_KEY_ALONE = (
    "-o PreferredAuthentications=publickey -o PasswordAuthentication=no"
    " -o KbdInteractiveAuthentication=no"
)
#: What Ansible logs in to hosts with, or becomes root with, beside a key. What -k and -K ask for
#: counts where none of these is set.
LOGIN_VARIABLES = (
    "ansible_password",
    "ansible_ssh_pass",
    "ansible_ssh_password",
    "ansible_paramiko_pass",
    "ansible_paramiko_password",
    "ansible_become_pass",
    "ansible_become_password",
    "ansible_sudo_pass",
    "ansible_su_pass",
)
#: The operator's passwords are for hosts of his own: on a rented one each of these is empty.
NO_PASSWORDS = dict.fromkeys(LOGIN_VARIABLES, "")
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
        _BY_KEY_ALONE,
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


def password_for_all(extra: Mapping[str, Any]) -> str | None:
    """Why no rented host may be reached by these *extra* variables, or None.

    A password among them is one for all hosts. Nothing outranks it, so it cannot be kept from one.
    """
    names = [name for name in LOGIN_VARIABLES if extra.get(name)]
    if not names:
        return None
    return (
        f"{' and '.join(names)} as an extra variable (-e) would be told to rented hosts too, which "
        "are somebody else's and need none: give it to your own hosts alone, in their inventory."
    )


def known_hosts_file(folder: str, provider: str, rental_id: str, host_keys: str) -> str:
    """One file for each rental: an address that was used before brings no old key along.

    The derived key has a file of its own; without, the first one seen is pinned by role rent.
    """
    kind = ".derived" if host_keys == DELIVERED else ""
    return f"{folder}/known_hosts/{provider}-{rental_id}{kind}"
