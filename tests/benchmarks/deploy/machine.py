# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured on: this machine, a marketplace on it, and hosts that are rented by hand."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.rig.podman import podman
from tests.simulator import daemon
from tests.simulator.hosts import container_name
from tests.simulator.market import ACCOUNT_KEY

#: Removing hosts with gigabytes on them takes a while where the disk is busy.
CALL_SECONDS, BOOT_SECONDS, COMMAND_SECONDS = 300, 60, 900


class BenchError(RuntimeError):
    """Something could not be measured; the text says what."""


def described() -> str:
    """The machine in words: figures of another one are not comparable."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    memory_gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    cpu = models[0] if models else os.uname().machine
    return f"{os.cpu_count()} x {cpu}, {memory_gib:.0f} GiB of memory, no GPU: vLLM on the CPU"


@dataclass(frozen=True)
class Host:
    """A fresh host that was rented by hand, the same as those that playbooks rent."""

    container: str
    port: int
    key: Path

    def ssh(self, *options: str) -> list[str]:
        """The command line of a new connection: no earlier one is used again."""
        settings = [
            "BatchMode=yes",
            "StrictHostKeyChecking=accept-new",
            "UserKnownHostsFile=/dev/null",
        ]
        settings += ["LogLevel=ERROR", "ConnectTimeout=10", "IdentitiesOnly=yes"]
        chosen = [f"-o{setting}" for setting in settings]
        return ["ssh", "-F", "none", "-i", str(self.key), f"-p{self.port}", *chosen, *options]

    def run(self, command: str, stdin: bytes = b"") -> str:
        """Run one command over a connection of its own. Raises BenchError with its words."""
        try:
            done = subprocess.run(
                [*self.ssh("root@127.0.0.1"), command],
                input=stdin,
                capture_output=True,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            raise BenchError(f"took longer than {COMMAND_SECONDS} s: {command[:200]}") from late
        said = done.stdout.decode(errors="replace")
        if done.returncode != 0:
            why = (said + done.stderr.decode(errors="replace"))[-3000:]
            raise BenchError(f"exit status {done.returncode} of {command[:200]}: {why}")
        return said

    def answers(self) -> bool:
        """Whether a command runs there."""
        try:
            self.run("true")
        except BenchError:
            return False
        return True


@dataclass(frozen=True)
class Market:
    """A simulated marketplace with real containers as hosts."""

    instance: daemon.Instance
    url: str
    hub_url: str
    folder: Path

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer of its API or of its control."""
        key = {"Authorization": f"Bearer {ACCOUNT_KEY}"}
        answer = requests.request(
            method, self.url + path, json=body, headers=key, timeout=CALL_SECONDS
        )
        if answer.status_code != 200:
            raise BenchError(f"{method} {path}: {answer.text}")
        return answer.json()

    def reset(self) -> None:
        """End all rentals; the next host finds the machine and the market as the first one did."""
        self.call("POST", "/simulator/reset", {})

    def containers(self) -> list[str]:
        """The hosts that run, in the order in which they were rented."""
        numbers = sorted(rental["id"] for rental in self.call("GET", "/simulator/state")["rentals"])
        return [container_name(self.instance.name, number) for number in numbers]

    def searches(self) -> int:
        """How many searches were asked for since the log was emptied."""
        return sum(
            "/bundles" in asked["path"] or "/search/" in asked["path"]
            for asked in self.call("GET", "/simulator/requests")
        )

    def rented_at(self) -> float:
        """When the last rental request came in, in epoch seconds."""
        asked = self.call("GET", "/simulator/requests")
        return max(float(one["time"]) for one in asked if one["method"] == "PUT")

    def forget(self) -> None:
        """Empty the request log."""
        self.call("DELETE", "/simulator/requests")

    def rent(self, image: str = "any/image") -> Host:
        """Rent the best offer by hand, let our key in and wait until it answers."""
        key = self.folder / "by-hand"
        if not key.exists():
            make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
            subprocess.run(make, check=True, timeout=30)
        offer = self.call("POST", "/api/v0/bundles/", {"limit": 1})["offers"][0]["id"]
        wish = {"image": image, "disk": 40}
        number = self.call("PUT", f"/api/v0/asks/{offer}/", wish)["new_contract"]
        public = key.with_suffix(".pub").read_text()
        self.call("POST", f"/api/v0/instances/{number}/ssh/", {"ssh_key": public})

        def row() -> dict[str, Any]:
            found: dict[str, Any] = self.call("GET", f"/api/v0/instances/{number}/")["instances"]
            return found

        if not daemon.wait(lambda: row()["actual_status"] == "running", BOOT_SECONDS):
            raise BenchError("a host that was rented by hand never ran")
        container = container_name(self.instance.name, number)
        host = Host(container, int(row()["ports"]["22/tcp"][0]["HostPort"]), key)
        if not daemon.wait(host.answers, BOOT_SECONDS):
            raise BenchError("a host that was rented by hand never answered")
        return host


@contextmanager
def market(folder: Path) -> Iterator[Market]:
    """A marketplace of its own; its hosts are gone afterwards.

    Hosts share the downloads of an earlier run, each installer in its own cache: the line to the
    package index is no part of what is compared.
    """
    caches = daemon.RIG / "bench"
    os.environ["INFEROPS_RIG_UV_CACHE"] = str(caches / "uv")
    os.environ["INFEROPS_RIG_PIP_CACHE"] = str(caches / "pip")
    instance = daemon.Instance(f"bench-{uuid.uuid4().hex[:8]}", folder / "simulator")
    try:
        started = daemon.start(instance, 0, 0, True)
        yield Market(instance, started["url"], started["hub_url"], folder)
    finally:
        daemon.stop(instance)


def inside(container: str, *command: str) -> str:
    """What a command says inside of a host, seen without SSH."""
    return podman("exec", container, *command).stdout
