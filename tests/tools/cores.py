# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The built collection by itself, and the oldest and the newest ansible-core that it supports."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

from tests.tools import tree
from tests.tools.pythons import find_or_install_python

RUN_TIME_FOLDERS = ("awx", "meta", "plugins", "roles", "playbooks")
# What ansible-galaxy writes beside them, and Ansible reads to know the version.
RUN_TIME_FILES = ("MANIFEST.json", "FILES.json")

OLDEST, NEWEST = "2.19", "2.21"
NEWEST_CORE = "2.21.5"
NEWEST_CORE_PYTHON_MINORS = (13, 12, 14)
CONTROLLER_LIBRARIES = ("jmespath", "paramiko", "requests")


def install(folder: Path) -> Path:
    """A folder of collections with nothing in it but ours, cut down to what runs."""
    tarball = tree.build(folder)
    with tarfile.open(tarball) as archive:
        wanted = [
            member
            for member in archive.getmembers()
            if member.name.split("/")[0] in RUN_TIME_FOLDERS or member.name in RUN_TIME_FILES
        ]
        # Debian 12's Python knows no filters yet, and newer ones ask for one.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(folder / "ansible_collections" / "inferops" / "gpu", members=wanted)
    return folder


def commands(version: str) -> Path:
    """The folder of an ansible-core's commands, which is made when missing."""
    folder = Path(sys.executable).parent if version == OLDEST else _newest_core()
    said = subprocess.run(
        [folder / "ansible", "--version"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    if f"[core {version}." not in said:
        raise RuntimeError(f"{folder} has another ansible-core than {version}: {said}")
    return folder


def _newest_core() -> Path:
    """The commands of a virtual environment with the newest ansible-core (kept in .rig)."""
    folder = tree.REPOSITORY / ".rig" / f"core-{NEWEST_CORE}"
    ready = folder / ".ready"
    if not ready.exists():
        python = find_or_install_python(NEWEST_CORE_PYTHON_MINORS)
        subprocess.run([python, "-m", "venv", "--clear", folder], check=True)
        libraries = (f"ansible-core=={NEWEST_CORE}", *CONTROLLER_LIBRARIES)
        subprocess.run(
            [folder / "bin" / "pip", "install", "--quiet", *libraries], timeout=600, check=True
        )
        ready.touch()
    return folder / "bin"
