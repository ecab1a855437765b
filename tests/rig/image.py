# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the container image that every rented host of the simulator runs.

``python -m tests.rig.image`` builds it when it is missing, then runs the command that follows, if
any. The tag is a hash of the recipe, so a
changed recipe makes a new image and an unchanged one costs nothing. The image holds no host keys
and no secrets. It is made from Debian packages only: no image registry is needed.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.rig.podman import PodmanError, command, environment, podman

NAME = "localhost/inferops-host"
SUITE = "bookworm"
KEEP_SECONDS = 7 * 86_400
ENTRY = Path(__file__).with_name("host_entry.sh")

PACKAGES = (
    "ca-certificates",
    "dbus",
    "g++",  # the inference server compiles kernels at start
    "iproute2",
    "libc6-dev",
    "libnuma1",
    "libpam-systemd",  # a plain user's login starts the user's own systemd, as on machines
    "openssh-server",
    "polkitd",  # what lets a plain user's services outlive the login
    "procps",
    "python3",
    "python3-dev",  # what is compiled there wants its headers
    "python3-venv",
    "sudo",
    "systemd-sysv",  # hosts that run systemd as PID 1 start /sbin/init
    "tini",  # the other hosts start this: it reaps orphans, as PID 1 must
)
APT_OPTIONS = (
    'Acquire::Languages "none"',
    'Apt::Install-Recommends "false"',
)
DPKG_OPTIONS = (
    "force-unsafe-io",
    "path-exclude=/usr/share/doc/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/man/*",
)
SSHD_CONFIG = "PermitRootLogin prohibit-password\\nPasswordAuthentication no\\n"
SSH_UNIT = (
    "[Service]\\nExecStartPre=\\nExecStartPre=/usr/bin/ssh-keygen -A\\n"
    "ExecStartPre=/usr/sbin/sshd -t\\n"
)
HANDS_OFF = "getty.target systemd-sysctl.service systemd-modules-load.service"
SETUP = (
    'rm -f "$1"/etc/ssh/ssh_host_* "$1"/etc/machine-id',
    f'printf "{SSHD_CONFIG}" >"$1/etc/ssh/sshd_config.d/inferops.conf"',
    'mkdir -p "$1/etc/systemd/system/ssh.service.d"',
    f'printf "{SSH_UNIT}" >"$1/etc/systemd/system/ssh.service.d/keys.conf"',
    'touch "$1/etc/machine-id"',
    # A host with systemd is privileged: it must not reach for this machine's consoles and kernel.
    f'for unit in {HANDS_OFF}; do ln -s /dev/null "$1/etc/systemd/system/$unit"; done',
)
COMMAND = ("/usr/bin/tini", "-g", "--", "/usr/local/sbin/inferops-host")


def tag() -> str:
    """Return the image's full name, which tells the recipe."""
    recipe = [SUITE, PACKAGES, APT_OPTIONS, DPKG_OPTIONS, SETUP, COMMAND, ENTRY.read_text()]
    return f"{NAME}:{hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:12]}"


def exists() -> bool:
    """Tell whether the image of this very recipe is there."""
    return podman("image", "exists", tag(), check=False).returncode == 0


def ensure() -> str:
    """Build the image when it is missing and return its name."""
    if not exists():
        build()
    return tag()


def build() -> None:
    """Build the image, telling on standard output what takes time. Raises PodmanError."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="inferops-image-") as folder:
        tarball = Path(folder, "host.tar")
        say(f"installing {len(PACKAGES)} packages and what they need from Debian {SUITE}")
        made = subprocess.run(bootstrap(tarball), capture_output=True, text=True, check=False)
        if made.returncode != 0:
            last = "\n".join(made.stderr.strip().splitlines()[-5:])
            raise PodmanError(f"mmdebstrap could not make the host image:\n{last}")
        say(f"importing {tarball.stat().st_size / 2**20:.0f} MiB into podman")
        change = f"CMD {json.dumps(COMMAND)}"
        imported = subprocess.run(
            command("import", "--quiet", "--change", change, str(tarball), tag()),
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if imported.returncode != 0:
            raise PodmanError(f"podman could not import the image: {imported.stderr.strip()}")
    forget_older_images()
    say(f"{tag()} is ready after {time.monotonic() - began:.0f} s")


def forget_older_images() -> None:
    """Remove the images of earlier recipes; those that still run somewhere stay.

    So do young ones: another checkout on this machine may be at another recipe.
    """
    named = ("--filter", f"reference={NAME}", "--format", "json")
    for other in json.loads(podman("images", *named).stdout or "[]"):
        if time.time() - other["Created"] > KEEP_SECONDS:
            for name in set(other["Names"]) - {tag()}:
                podman("image", "rm", name, check=False)


def bootstrap(tarball: Path) -> list[str]:
    """Return the mmdebstrap command that writes the root file system to a tarball."""
    return [
        "mmdebstrap",
        "--variant=minbase",
        "--format=tar",
        f"--include={','.join(PACKAGES)}",
        *[f"--aptopt={option}" for option in APT_OPTIONS],
        *[f"--dpkgopt={option}" for option in DPKG_OPTIONS],
        *[f"--customize-hook={line}" for line in SETUP],
        f"--customize-hook=upload {ENTRY} /usr/local/sbin/inferops-host",
        "--customize-hook=chmod 0755 $1/usr/local/sbin/inferops-host",
        SUITE,
        str(tarball),
    ]


def say(line: str) -> None:
    """Print one line of progress at once."""
    print(f"host image: {line}", flush=True)


def main(then: list[str]) -> int:
    """Build when missing; exit 1 with podman's or mmdebstrap's words when that fails."""
    try:
        if exists():
            say(f"{tag()} is there already")
        else:
            build()
    except PodmanError as failure:
        print(failure, file=sys.stderr)
        return 1
    if then:
        os.execvp(then[0], then)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
