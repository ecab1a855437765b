# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Provide an SSH key pair. The module of the same name documents it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.inferops.gpu.plugins.module_utils.common.private_files import (
    lock,
    make_folders,
    open_private,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.controller import (
    absent,
    here,
    missing,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import WorkerAction
from ansible_collections.inferops.gpu.plugins.plugin_utils.key_pair import (
    keygen,
    not_makeable,
    usable_half,
)

ARGUMENTS: dict[str, Any] = {
    "private_key_file": {"type": "path", "required": True, "no_log": False},
}
#: Whoever makes the pair has it in a second.
_PATIENCE_SECONDS = 30.0


class ActionModule(WorkerAction):
    """Makes the pair once, and always tries it."""

    argument_spec = ARGUMENTS

    def work(self, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """The result that the documentation promises."""
        file = here(given["private_key_file"])
        # A pair that nothing here could log in with would be found out after money was spent.
        for problem in (*absent("ssh", "ssh-keygen"), *missing("paramiko")):
            raise AnsibleActionFail(str(problem))
        if refusal := not_makeable(file):
            raise AnsibleActionFail(str(refusal))
        if self._task.check_mode and not file.is_file():
            return {"changed": True, "public_key": None}
        try:
            return {"changed": _made(file), "public_key": usable_half(file)}
        except ValueError as error:
            # Without its cause, which Ansible would say a second time.
            raise AnsibleActionFail(str(error)) from None
        except OSError as error:
            raise AnsibleActionFail(f"The SSH key pair {file} cannot be made: {error}.") from error


def _made(file: Path) -> bool:
    """Make the pair unless it is there. Of parallel hosts one makes it, and the others wait."""
    if file.is_file():
        return False
    make_folders(file.parent)
    name = Path(f"{file}.lock")
    with os.fdopen(open_private(name, os.O_RDWR), "r+") as held:
        try:
            lock(held.fileno(), _PATIENCE_SECONDS)
        except TimeoutError as error:
            raise ValueError(
                f"The SSH key pair {file} is not made: its lock {name} is {error}. End that "
                "process (fuser names it), and run again."
            ) from error
        if file.is_file():
            return False
        done = keygen("-q", "-t", "ed25519", "-N", "", "-C", "inferops", "-f", str(file))
        name.unlink(missing_ok=True)
    if done.returncode != 0:
        raise ValueError(f"The SSH key pair {file} cannot be made: {done.stderr.strip()}.")
    return True
