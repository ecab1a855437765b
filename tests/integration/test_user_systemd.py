# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A user without root where systemd is PID 1: its own manager keeps a service running."""

from __future__ import annotations

import io
import json
import os
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hanging import HANGS_AFTER_SECONDS
from tests.rig import image
from tests.rig.podman import podman
from tests.tools.leftovers import MARK

ROOT = Path(__file__).parents[2]
USER = "renter"
#: What a login through PAM does on a real host; this image has none of it.
LOGIN = f"""
set -e
until systemctl is-system-running | grep -qE 'running|degraded'; do sleep 0.2; done
useradd --create-home --uid 1000 {USER}
cd /etc/systemd/system
mkdir -p user@.service.d user-runtime-dir@.service.d /var/lib/systemd/linger
printf '[Service]\\nEnvironment=XDG_RUNTIME_DIR=/run/user/%%i\\n' >user@.service.d/runtime.conf
printf '[Service]\\nExecStart=\\nExecStart=install -d -m 0700 -o %%i /run/user/%%i\\n' \\
  >user-runtime-dir@.service.d/plain.conf
systemctl daemon-reload
systemctl start user@1000.service
"""
#: As a module of the collection would do it, with a service of a kind of its own.
DRIVER = """
import json, os, signal, sys, time
from pathlib import Path
from inferops_host.host import stand_in_exporter
from inferops_host.host.service import lifecycle, observation
from inferops_host.host.service.supervisors import choice

home = Path.home() / ".inferops"
exporter = stand_in_exporter.of(home, "main")
def running(other=None):
    until = time.monotonic() + 300
    while time.monotonic() < until:
        seen = observation.look(exporter)
        if seen.phase == "running" and seen.record.pid != other:
            return seen
        time.sleep(0.2)
    raise SystemExit(f"it does not run: {observation.look(exporter)}")

supervisor = choice.choose("auto", exporter.layout, None, start_at_boot=True)
spec = stand_in_exporter.Spec("main", supervisor.name, 5, 8, {}, 8080)
lifecycle.start(exporter, spec, supervisor)
supervisor.set_start_at_boot(exporter, True)
first = running()
os.kill(first.record.pid, signal.SIGKILL)
second = running(first.record.pid)
at_boot = supervisor.starts_at_boot(exporter)
left = lifecycle.end(exporter, 5).left
ended = observation.look(exporter)
print(json.dumps({
    "supervisor": supervisor.name, "supervised": first.supervised, "at_boot": at_boot,
    "restarts": second.record.restarts, "left": len(left), "ended": [ended.phase, ended.reason],
    "present": lifecycle.is_present(exporter), "user": os.geteuid(),
}))
"""


@pytest.fixture
def host() -> Iterator[str]:
    """A container that boots systemd, with a user whose manager runs."""
    image.ensure()
    name = f"inferops-user-{uuid.uuid4().hex[:8]}"
    options = ["--detach", "--rm", "--systemd=always", "--privileged", "--network=none"]
    # So that whoever checks for leftovers knows those of its own run from all others.
    options += ["--pull=never", f"--label=inferops.check={os.environ.get(MARK, '')}"]
    podman("run", *options, "--name", name, image.tag(), "/sbin/init")
    try:
        podman("exec", name, "sh", "-c", LOGIN, timeout=HANGS_AFTER_SECONDS)
        podman("exec", "--interactive", name, "tar", "-xC", f"/home/{USER}", stdin=_package())
        yield name
    finally:
        podman("rm", "--force", "--time", "1", name, check=False)


def _package() -> bytes:
    """The host's side of the collection, under the name that it has there, and the second kind."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for part in ("host", "common"):
            archive.add(ROOT / "plugins/module_utils" / part, f"inferops_host/{part}")
        kind = ROOT / "tests/unit/host/stand_in_exporter.py"
        archive.add(kind, "inferops_host/host/stand_in_exporter.py")
    return stream.getvalue()


def _drive(host: str) -> Any:
    driver = ("exec", "--user", USER, "--workdir", f"/home/{USER}", host, "python3", "-c", DRIVER)
    done = podman(*driver, check=False, timeout=HANGS_AFTER_SECONDS)
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout.splitlines()[-1])


def test_a_user_s_own_systemd_starts_restarts_and_ends_a_service_without_root(host: str) -> None:
    podman("exec", host, "touch", f"/var/lib/systemd/linger/{USER}")
    assert _drive(host) == {
        "supervisor": "systemd_user",
        "supervised": True,
        "at_boot": True,
        "restarts": 1,
        "left": 0,
        "ended": ["stopped", "requested"],
        "present": False,
        "user": 1000,
    }


def test_a_user_who_may_not_linger_is_told_what_is_missing(host: str) -> None:
    wish = DRIVER.replace('"auto"', '"systemd_user"')
    driver = ("exec", "--user", USER, "--workdir", f"/home/{USER}", host, "python3", "-c", wish)
    done = podman(*driver, check=False)
    assert done.returncode
    assert f"As root: loginctl enable-linger {USER}" in done.stderr
