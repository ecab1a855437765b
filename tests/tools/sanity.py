# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs `ansible-test sanity` on what is released: the files of the built tarball.

ansible-test insists on a folder `ansible_collections/inferops/gpu`, and keeps its virtual
environments in the home folder: it gets a copy and a home of its own (.rig/home). The tests, which
nobody installs, are looked at by the linters of the checkout alone.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import ansible_test

from tests.tools import tree
from tests.tools.pythons import find_python

HOME = tree.REPOSITORY / ".rig" / "home"
# What pip and uv find in the user's own home (mirrors, certificates, downloads) holds here, too.
SHARED_WITH_THE_USER = (".config/pip", ".config/uv", ".pip", ".cache/pip", ".cache/uv")
# Our code for rented hosts also runs on this Python; tests that run our code take it if it is here.
OLDEST_PYTHON_MINOR = 9
CONFIG = Path("tests", "config.yml")
# Stands in for get-pip.py, which ansible-test would download: Python's own ensurepip does the same.
GET_PIP = 'import ensurepip, sys\nsys.exit(ensurepip._main(["--default-pip"]))\n'


def prepare_home() -> None:
    """Make the home folder that ansible-test gets."""
    for name in SHARED_WITH_THE_USER:
        theirs, ours = Path.home() / name, HOME / name
        if theirs.exists() and not ours.is_symlink():
            ours.parent.mkdir(parents=True, exist_ok=True)
            ours.symlink_to(theirs)
    requirements = Path(ansible_test.__path__[0], "_internal", "python_requirements.py")
    cache = HOME / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for version in re.findall(r"\bpip=['\"]([\d.]+)['\"]", requirements.read_text()):
        get_pip = cache / f"get_pip_{version.replace('.', '_')}.py"
        if not get_pip.exists():
            get_pip.write_text(GET_PIP)


def sanity(collection: Path, *arguments: str, path: str) -> int:
    """Run `ansible-test sanity` with `arguments` in `collection`; its exit status."""
    return subprocess.run(
        [Path(sys.executable).with_name("ansible-test"), "sanity", "--color", "no", *arguments],
        cwd=collection,
        env={**os.environ, "HOME": str(HOME), "PATH": path},
        check=False,
    ).returncode


def unpack(collection: Path) -> None:
    """Put what the tarball has into `collection`, and which Pythons ansible-test shall try."""
    collection.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="inferops-sanity-") as folder:
        shutil.unpack_archive(tree.build(Path(folder)), collection)
    config = collection / CONFIG
    config.parent.mkdir(exist_ok=True)
    shutil.copy2(tree.REPOSITORY / CONFIG, config)


def main() -> int:
    """Every test on this Python; on the oldest Python those that read or run our code."""
    prepare_home()
    with tempfile.TemporaryDirectory(prefix="inferops-sanity-") as folder:
        collection = Path(folder, "ansible_collections", "inferops", "gpu")
        unpack(collection)
        path = os.environ["PATH"]
        this = f"3.{sys.version_info.minor}"
        status = sanity(collection, "--python", this, path=path)
        oldest = find_python([OLDEST_PYTHON_MINOR])
        if oldest is None:
            print(f"no Python 3.{OLDEST_PYTHON_MINOR} here: compile and import not run on it")
            return status
        tests = ("--test", "compile", "--test", "import")
        path = f"{oldest.parent}{os.pathsep}{path}"
        return status or sanity(
            collection, *tests, "--python", f"3.{OLDEST_PYTHON_MINOR}", path=path
        )


if __name__ == "__main__":
    sys.exit(main())
