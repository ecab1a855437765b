# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a private key can log in: its public half, or why it cannot be used."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ansible_collections.inferops.gpu.plugins.module_utils.common.checks import Problem
from ansible_collections.inferops.gpu.plugins.module_utils.market.access.ssh_probe import user_key
from ansible_collections.inferops.gpu.plugins.plugin_utils.controller import unwritable

SECONDS = 60
#: How public keys begin.
_PUBLIC = (b"ssh-", b"ecds", b"sk-s", b"sk-e")


def not_makeable(file: Path) -> Problem | None:
    """Why no pair can be made where none is; None where one can, or one is there already."""
    if file.is_dir():
        return Problem(
            f"{file} is a folder.",
            "Name the file of the private key in it (inferops_ssh_private_key_file).",
        )
    problem = "" if file.is_file() else unwritable(file.parent)
    if problem:
        return Problem(
            f"The SSH key pair {file} cannot be made: {problem}.",
            "Name another place (inferops_ssh_private_key_file).",
        )
    return None


def usable_half(file: Path) -> str:
    """The public key of a private one that ssh and paramiko log in with, without a question.

    Raises ValueError for one that they do not, OSError where it cannot be read.
    """
    public = public_half(file)
    user_key(str(file))
    return public


def public_half(file: Path) -> str:
    """The public key of the private one in *file*, and nothing of its comment.

    No file beside it is read: it may be missing, as where AWX gives the key, or be another key's.
    Raises ValueError for a key that nothing could log in with, OSError where it cannot be read.
    """
    done = keygen("-y", "-P", "", "-f", str(file))
    if done.returncode != 0:
        raise ValueError(f"{file} cannot be used: {_why(file, done.stderr)}")
    return " ".join(done.stdout.split()[:2])


def keygen(*words: str) -> subprocess.CompletedProcess[str]:
    """Run ssh-keygen, which asks nobody. Raises ValueError when it does not end."""
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
        raise ValueError(f"ssh-keygen does not end: {error}.") from error


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
