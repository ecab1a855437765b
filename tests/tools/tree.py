# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checkout as a clean set of files: what git knows or would add, and nothing that lies around.

`python -m tests.tools.tree build FOLDER` builds the collection's tarball from it.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def files() -> list[Path]:
    """Paths, relative to the checkout, of every file that is tracked or would be."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout.decode()
    paths = (Path(name) for name in listing.split("\0") if name)
    # A file that was deleted but not yet committed is listed, too.
    return sorted(path for path in paths if (REPOSITORY / path).exists())


def copy(destination: Path) -> None:
    """Copy those files into `destination`, without the link that leads back to the checkout."""
    for path in files():
        if path.parts[0] == "collections":
            continue
        target = destination / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / path, target, follow_symlinks=False)


def checkout(destination: Path) -> Path:
    """A copy that is a checkout of its own, with the collection as this one has it."""
    copy(destination)
    link = destination / "collections/ansible_collections/inferops/gpu"
    link.parent.mkdir(parents=True)
    link.symlink_to(Path("..", "..", ".."))
    subprocess.run(["git", "init", "--quiet"], cwd=destination, check=True)
    return destination


def build(folder: Path) -> Path:
    """Build the collection's tarball into `folder` and return its path."""
    with tempfile.TemporaryDirectory(prefix="inferops-tree-") as clean:
        copy(Path(clean))
        subprocess.run(
            [
                *(sys.executable, "-m", "ansible", "galaxy", "collection", "build", "--force"),
                *("--output-path", str(folder.resolve()), clean),
            ],
            stdout=subprocess.DEVNULL,
            check=True,
        )
    return max(folder.glob("inferops-gpu-*.tar.gz"), key=lambda path: path.stat().st_mtime)


def main() -> None:
    """Build the tarball and say where it is."""
    parser = argparse.ArgumentParser(description="Build the collection's tarball.")
    parser.add_argument("action", choices=["build"])
    parser.add_argument("folder", type=Path)
    print(build(parser.parse_args().folder))


if __name__ == "__main__":
    main()
