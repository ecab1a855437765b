# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that calls podman."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

from tests.hanging import HANGS_AFTER_SECONDS

CONTAINERS_CONF = Path(__file__).with_name("containers.conf")
#: Where the monitors of containers run, which leave a file there for one that ran out of memory.
FOLDER = Path(__file__).parents[2] / ".rig"


#: A UDP socket that is connected there has the address of the way out; nothing is ever sent.
SOMEWHERE = ("192.0.2.1", 9)


class PodmanError(RuntimeError):
    """Podman refused; the text is what it said."""


def command(*args: str) -> list[str]:
    """Return the full command line. runc needs fewer privileges than podman's default, crun."""
    runtime = ["--runtime", "runc"] if shutil.which("runc") else []
    return ["podman", *runtime, *args]


def environment() -> dict[str, str]:
    """Return the environment in which podman reads the rig's own configuration."""
    return {**os.environ, "CONTAINERS_CONF": str(CONTAINERS_CONF)}


def is_installed() -> bool:
    """Tell whether there can be containers at all."""
    return shutil.which("podman") is not None


def gateway() -> str:
    """Return the address of this machine at which its containers reach it.

    It is the bridge's, which appears with the first container; without root, that of the way out.
    """
    if os.geteuid() == 0:
        (network,) = json.loads(podman("network", "inspect", "podman").stdout)
        return str(network["subnets"][0]["gateway"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way_out:
        way_out.connect(SOMEWHERE)
        return str(way_out.getsockname()[0])


def stop_container(name: str) -> None:
    """Stop a container and see it end; one that ends by itself meanwhile is fine.

    Podman fails then, and also to restart it, although the container does what was asked.
    """
    podman("stop", "--time", "1", name, check=False)
    podman("wait", name, timeout=HANGS_AFTER_SECONDS)


def podman(
    *args: str, stdin: bytes | None = None, check: bool = True, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run podman and return what it printed.

    Raises PodmanError with podman's own words when ``check`` is true and it failed,
    and when it took longer than ``timeout`` seconds.
    """
    if not is_installed():
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
