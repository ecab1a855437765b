# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done at each place: a deploy, a completion, a deploy that changes nothing, the end."""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.demo.__main__ import tunnels
from tests.drills.listing import Failed, require
from tests.hanging import HANGS_AFTER_SECONDS
from tests.integration.plays import LONGEST_PLAY_SECONDS, Controller, Run
from tests.rig import engine
from tests.rig.podman import podman
from tests.simulator.hosts import ROOT, container_name, container_names

SERVER_KEY = "sk-key-of-the-server"
#: The vLLM that is in the images of hosts: only who rents one of those knows that it is there.
IN_IMAGE = {"inferops_image_python": engine.PYTHON}
#: Who runs what of an inference server, in a container.
PROCESSES = "ps -eo uid=,args= | grep -iE '[v]llm' || true"
#: What a plain user's own systemd waits for after the last login, and some.
LOGIN_SECONDS = 13
LEAST_PLAY_SECONDS = 120.0
TOLD_CHARACTERS = 5000


@dataclass
class Site(ABC):
    """Where a server is deployed to as one user, until *ends_at* (monotonic seconds)."""

    markets: list[Controller]
    user: str
    ends_at: float

    @abstractmethod
    def play(self, playbook: str | Path) -> Run:
        """Run a playbook of ours for this host."""

    @abstractmethod
    def check_end(self, told: str) -> None:
        """Fail unless a teardown has told what is true, and has left nothing of ours."""

    def complete(self, endpoint: str) -> str:
        """The text that the server completes a prompt with."""
        answer = requests.post(
            f"{endpoint}/completions",
            json={"model": "inferops/tiny-llama", "prompt": "Hello", "max_tokens": 8},
            headers={"Authorization": f"Bearer {SERVER_KEY}"},
            timeout=HANGS_AFTER_SECONDS,
        )
        answer.raise_for_status()
        return str(answer.json()["choices"][0]["text"])

    @property
    def left_seconds(self) -> float:
        """For how long a play may run; an end has some time also when the place has none left."""
        left = min(LONGEST_PLAY_SECONDS, self.ends_at - time.monotonic())
        return max(LEAST_PLAY_SECONDS, left)

    def container(self) -> str:
        """The container of the only host that there is."""
        rented = [(one, rental) for one in self.markets for rental in one.rentals()]
        require(len(rented) == 1, f"there are {len(rented)} rentals instead of one: {rented}")
        market, rental = rented[0]
        return container_name(market.instance.name, rental["id"])

    def server_uids(self) -> set[int]:
        """Whose processes the server's are, by the kernel of the host."""
        told = podman("exec", self.container(), "sh", "-c", PROCESSES).stdout
        return {int(line.split()[0]) for line in told.splitlines()}

    def hang_up(self) -> None:
        """End whatever has logged in, the tunnel as well."""
        command = ("pkill", "-KILL", "-u", self.user, "sshd")
        podman("exec", self.container(), *command, check=False)

    def left(self) -> list[Any]:
        """What is left in truth: rentals, containers and tunnels."""
        found: list[Any] = []
        for market in self.markets:
            found += market.rentals()
            found += container_names(market.instance.name)
            found += tunnels(market.folder / "c" / "tunnels")
        return found


def deploy_and_end(site: Site) -> None:
    """Fails where one of it is not as it should be, after an end has been made of it."""
    try:
        served(site)
    finally:
        down = site.play("teardown")
    require(down.status == 0, f"teardown failed: {down.output[-TOLD_CHARACTERS:]}")
    site.check_end(down.message())


def served(site: Site) -> None:
    """A server that completes, run by whoever logs in, which a second deploy leaves as it is."""
    run = site.play("deploy")
    require(run.status == 0, f"deploy failed: {run.output[-TOLD_CHARACTERS:]}")
    found = re.search(r"Endpoint: (http://\S+/v1) serves", run.message())
    if found is None:
        raise Failed(f"no endpoint was told: {run.output[-TOLD_CHARACTERS:]}")
    require(site.complete(found[1]).strip(), "the completion is empty")
    uids = site.server_uids()
    own = {0} if site.user == ROOT else uids - {0}
    require(uids and uids == own, f"the server runs as {uids}, and {site.user} logs in")
    again = site.play("deploy")
    changed = set(re.findall(r"changed=(\d+)", again.output))
    require(
        again.status == 0 and changed == {"0"},
        f"the second deploy changed something: {again.output[-TOLD_CHARACTERS:]}",
    )
    if site.user != ROOT:
        site.hang_up()
        time.sleep(LOGIN_SECONDS)
        require(site.server_uids() == uids, f"the server has ended with the login of {site.user}")
