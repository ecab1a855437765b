# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Provide an SSH key pair. The module of the same name documents it."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.inferops.gpu.plugins.module_utils.common.private_files import (
    make_folders,
    open_private,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.controller import (
    absent,
    here,
    missing,
    unwritable,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import WorkerAction

ARGUMENTS: dict[str, Any] = {
    "private_key_file": {"type": "path", "required": True, "no_log": False},
}
SECONDS = 60


#: How public keys begin.
_PUBLIC = (b"ssh-", b"ecds", b"sk-s", b"sk-e")


class ActionModule(WorkerAction):
    """Makes the pair once, and always tries it."""

    argument_spec = ARGUMENTS

    def work(self, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """The result that the documentation promises."""
        file = here(given["private_key_file"])
        # A pair that nothing here could log in with would be found out after money was spent.
        for problem in (*absent("ssh", "ssh-keygen"), *missing("paramiko")):
            raise AnsibleActionFail(problem)
        if file.is_dir():
            raise AnsibleActionFail(
                f"{file} is a folder: name the file of the private key in it "
                "(inferops_ssh_private_key_file)."
            )
        if self._task.check_mode and not file.is_file():
            if problem := unwritable(file.parent):
                raise AnsibleActionFail(f"The SSH key pair {file} cannot be made: {problem}.")
            return {"changed": True, "public_key": None}
        try:
            return {"changed": _made(file), "public_key": _public_key(file)}
        except OSError as error:
            raise AnsibleActionFail(f"The SSH key pair {file} cannot be made: {error}.") from error


def _made(file: Path) -> bool:
    """Make the pair unless it is there. Of parallel hosts one makes it, and the others wait."""
    if file.is_file():
        return False
    make_folders(file.parent)
    name = Path(f"{file}.lock")
    with os.fdopen(open_private(name, os.O_RDWR), "r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if file.is_file():
            return False
        done = _keygen("-q", "-t", "ed25519", "-N", "", "-C", "inferops", "-f", str(file))
        name.unlink(missing_ok=True)
    if done.returncode != 0:
        raise AnsibleActionFail(f"The SSH key pair {file} cannot be made: {done.stderr.strip()}.")
    return True


def _public_key(file: Path) -> str:
    """Without this a locked or damaged key would be found out only after money was spent."""
    done = _keygen("-y", "-P", "", "-f", str(file))
    if done.returncode != 0:
        raise AnsibleActionFail(f"{file} cannot be used: {_why(file, done.stderr)}")
    return done.stdout.strip()


def _why(file: Path, said: str) -> str:
    """What is wrong with a key, and what helps."""
    if file.read_bytes()[:4] in _PUBLIC:
        return "it is a public key. Name the private one, which has no .pub at its end."
    if "UNPROTECTED" in said:
        return f"others may read it, so ssh refuses it: chmod 600 {file}"
    return (
        f"{said.strip()}. Give a key without a passphrase (inferops_ssh_private_key_file), or "
        "remove it and a new pair is made."
    )


def _keygen(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["ssh-keygen", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise AnsibleActionFail(f"ssh-keygen does not end: {error}.") from error
