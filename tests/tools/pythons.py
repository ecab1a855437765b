# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the other Pythons of this machine, for checks that run on more than one version."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.tools.tree import REPOSITORY

INSTALL_FOLDER = REPOSITORY / ".rig" / "python"


def _folders() -> list[Path]:
    """Where an interpreter may be: on the path, in pyenv's versions, or installed by us."""
    on_path = [Path(folder) for folder in os.get_exec_path()]
    # pyenv's shims are on the path also where its root is not the usual one.
    pyenv = {folder.parent for folder in on_path if folder.name == "shims"}
    pyenv.add(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")))
    return [
        *on_path,
        *(folder for root in sorted(pyenv) for folder in sorted(root.glob("versions/*/bin"))),
        *sorted(INSTALL_FOLDER.glob("*/bin")),
    ]


def find_python(minors: Iterable[int]) -> Path | None:
    """The interpreter of the first minor version (3.`minor`) that is here and runs, or None."""
    for minor in minors:
        for folder in _folders():
            python = folder / f"python3.{minor}"
            # It may be there and still not run: pyenv's shims stand for versions not chosen.
            if python.is_file() and _prints_its_version(python, minor):
                return python
    return None


def _prints_its_version(python: Path, minor: int) -> bool:
    code = f"import sys, ensurepip; sys.exit(sys.version_info[:2] != (3, {minor}))"
    return subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0


def find_or_install_python(minors: Iterable[int]) -> Path:
    """Like `find_python`, but where there is none uv installs the first minor version into .rig.

    Raises `RuntimeError` when uv cannot, with what to do instead.
    """
    minors = tuple(minors)
    python = find_python(minors)
    if python is not None:
        return python
    version = f"3.{minors[0]}"
    installed = subprocess.run(
        [Path(sys.executable).with_name("uv"), "python", "install", "--no-bin", version],
        env={**os.environ, "UV_PYTHON_INSTALL_DIR": str(INSTALL_FOLDER)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    python = find_python(minors)
    if python is None:
        raise RuntimeError(
            f"This machine has no Python {' or '.join(f'3.{minor}' for minor in minors)}, and uv"
            f" could not install one. Install one of them.\n{installed.stdout}"
        )
    return python
