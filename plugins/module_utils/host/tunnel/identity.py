# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The key pair that a gateway logs in with at its hosts: made there, so that its private half is
nowhere else.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from ...common.private_files import private_folder
from ..machine.tools import search_path, tool_environment

FOLDER, FILE = "gateways", "id_ed25519"
SECONDS = 60


class Unable(Exception):
    """It cannot be had; the text says what to change."""


def tool(name: str) -> str:
    """A program of OpenSSH. Raises Unable."""
    found = shutil.which(name, path=search_path(os.environ.get("PATH", "")))
    if found is None:
        raise Unable(f"{name} is not on this host: install OpenSSH's client (openssh-client).")
    return found


def file_of(home: Path, gateway: str) -> Path:
    """Where the private key is, in a folder of its own."""
    return home / FOLDER / gateway / FILE


def public_key(file: Path) -> str | None:
    """Type and body of the public one, None where there is none yet. Raises Unable."""
    if not file.exists():
        return None
    # From the private one: the file beside it may be another's, or gone.
    return " ".join(_run([tool("ssh-keygen"), "-y", "-P", "", "-f", str(file)]).split()[:2])


def make(file: Path) -> str:
    """Type and body of the public one. A pair is made where there is none. Raises Unable."""
    known = public_key(file)
    if known is not None:
        return known
    private_folder(file.parent)
    command = [tool("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "inferops-gateway"]
    _run([*command, "-f", str(file)])
    return public_key(file) or ""


def _run(command: list[str]) -> str:
    """What it says. Raises Unable."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
            env=tool_environment(),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unable(f"{command[0]} cannot be run: {error}") from error
    if done.returncode:
        raise Unable(f"{command[0]}: {' '.join(done.stderr.split())[:500]}")
    return done.stdout
