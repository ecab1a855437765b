# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that calls podman."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

CONTAINERS_CONF = Path(__file__).with_name("containers.conf")
#: Where the monitors of containers run, which leave a file there for one that ran out of memory.
FOLDER = Path(__file__).parents[2] / ".rig"


class PodmanError(RuntimeError):
    """Podman refused; the text is what it said."""


def command(*args: str) -> list[str]:
    """Return the full command line. runc needs fewer privileges than podman's default, crun."""
    runtime = ["--runtime", "runc"] if shutil.which("runc") else []
    return ["podman", *runtime, *args]


def environment() -> dict[str, str]:
    """Return the environment in which podman reads the rig's own configuration."""
    return {**os.environ, "CONTAINERS_CONF": str(CONTAINERS_CONF)}


def podman(
    *args: str, stdin: bytes | None = None, check: bool = True, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run podman and return what it printed.

    Raises PodmanError with podman's own words when ``check`` is true and it failed,
    and when it took longer than ``timeout`` seconds.
    """
    if shutil.which("podman") is None:
        raise PodmanError("podman is not installed; run `make setup`")
    FOLDER.mkdir(exist_ok=True)
    try:
        done = subprocess.run(
            command(*args),
            cwd=FOLDER,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            env=environment(),
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise PodmanError(f"podman {args[0]} took longer than {timeout:.0f} s") from late
    stdout, stderr = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    if check and done.returncode != 0:
        raise PodmanError(f"podman {args[0]} failed: {stderr.strip() or stdout.strip()}")
    return subprocess.CompletedProcess(done.args, done.returncode, stdout, stderr)
