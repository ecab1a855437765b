# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ssh-keygen says of a private key: its public half, or why it cannot be used."""

from __future__ import annotations

import subprocess
from pathlib import Path

SECONDS = 60
#: How public keys begin.
_PUBLIC = (b"ssh-", b"ecds", b"sk-s", b"sk-e")


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
