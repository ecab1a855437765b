# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A job's container as AWX starts one, from namespaces: no image is needed, but root is.

It is empty but for what AWX puts into ``/runner``. Its user is one that no file of the machine
knows, in the group of root, as on OpenShift; the entry point writes an account for it. Its
processes end with it, whatever they are, as those of a container do.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.fidelity.clients import Environment
from tests.tools.tree import REPOSITORY

ROOT_GROUP = 0
#: Where every program may write, so where a job could leave something for the next one.
SHARED_PLACES = ("/tmp", "/var/tmp", "/dev/shm", "/run/lock")
_BUILT: dict[str, Any] = yaml.safe_load((REPOSITORY / "execution-environment.yml").read_text())
_NEEDED = _BUILT["dependencies"]
#: What the execution environment has, by its own pins.
ENVIRONMENT = Environment(
    "execution-environment",
    packages=(
        _NEEDED["ansible_runner"]["package_pip"],
        _NEEDED["ansible_core"]["package_pip"],
        *(line.split()[0] for line in _NEEDED["python"]),
    ),
    published_before="2026-11-29T00:00:00Z",
)
#: As root, in namespaces of its own: all that is written but what is in /runner goes with them.
#: $1 is the folder, $2 what the image would bring, $3 the account; the rest is what the user runs.
_ENTRY = """set -eu
mount -t tmpfs none /mnt
mkdir /mnt/written /mnt/work /mnt/root
cd /mnt
mount -t overlay none -o lowerdir=/,upperdir=written,workdir=work root
mount --rbind /dev root/dev
mount -t proc none root/proc
for place in dev/shm run tmp var/tmp; do mount -t tmpfs -o mode=1777 none "root/$place"; done
mkdir -p root/runner "root$2" root/run/lock
mount --bind "$1" root/runner
mount --bind "$2" "root$2"
echo "$3" >>root/etc/passwd
# Its interpreter may be that of a home that nobody else may enter.
place=$(realpath "$2/bin/python")
while [ "$place" != / ]; do place=$(dirname "$place"); chmod a+x "root$place"; done
shift 3
exec chroot root env --chdir=/runner "$@"
"""


@dataclass
class Container:
    """One job's container. ``folder`` becomes ``/runner``; it has the user's id."""

    folder: Path
    user: int
    process: subprocess.Popen[str] | None = field(default=None, init=False)

    def start(self, playbook: str, ident: int, check: bool = False) -> None:
        """Let ansible-runner play it, as AWX does; *check* where the template is a dry run."""
        for path in (self.folder, *self.folder.rglob("*")):
            os.chown(path, self.user, ROOT_GROUP, follow_symlinks=False)
        python = str(ENVIRONMENT.folder / "bin" / "python")
        runs = [python, "-m", "ansible_runner", "run", "/runner", "--ident", str(ident)]
        runs += ["--playbook", playbook, "--inventory", "/runner/inventory/hosts"]
        runs += ["--cmdline=--check"] if check else []
        as_user = ["setpriv", f"--reuid={self.user}", f"--regid={ROOT_GROUP}", "--clear-groups"]
        as_user += ["--no-new-privs", "--inh-caps=-all", "env", "-i"]
        # What the image sets. What AWX gives the job beside it stands in env/envvars.
        path = f"{ENVIRONMENT.folder / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin"
        as_user += ["HOME=/runner", f"PATH={path}", "LC_ALL=C.UTF-8"]
        account = f"runner:x:{self.user}:{ROOT_GROUP}:runner:/runner:/bin/bash"
        entry = ["bash", "-c", _ENTRY, "entry", str(self.folder), str(ENVIRONMENT.folder), account]
        # With the first process of the namespace all others end.
        apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        with self.folder.with_suffix(".log").open("w") as log:
            self.process = subprocess.Popen(
                [*apart, *entry, *as_user, *runs],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
            )

    def cancel(self) -> None:
        """End it at once, as AWX does with the container of a job that somebody cancels."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def output(self) -> str:
        """What the job has said, without the colours that AWX shows."""
        text = self.folder.with_suffix(".log").read_text(errors="replace")
        return re.sub(r"\x1b\[[0-9;]*m", "", text)

    def left_behind(self) -> Iterator[str]:
        """Processes of its user, and files where another job would find them."""
        find = shlex.split(f"find {' '.join(SHARED_PLACES)} -xdev -uid {self.user}")
        done = subprocess.run(find, capture_output=True, text=True, check=False)
        yield from (path for path in done.stdout.splitlines() if str(self.folder) not in path)
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if folder.stat().st_uid == self.user:
                    yield f"process {folder.name}: {(folder / 'cmdline').read_text()}"
            except OSError:
                continue


def install() -> None:
    """Make what containers have. Raises SystemExit where nobody may start one."""
    if os.geteuid() != 0:
        sys.exit("make awx takes root: each job gets namespaces and a user of its own.")
    ENVIRONMENT.install()
