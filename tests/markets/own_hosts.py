# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of one's own: by SSH from this machine, or from a controller on the host itself.

Each is a container that the simulated market rents out, and nobody tells that it is. So this
machine stays as it is also where ``local`` is proven: Ansible runs inside of it.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.drills.controller import rent_playbook
from tests.drills.listing import require
from tests.integration.plays import INVENTORY, ROOT, Controller, Run
from tests.markets.rented import account, market, scratch
from tests.markets.site import IN_IMAGE, SERVER_KEY, Site
from tests.rig.podman import podman
from tests.simulator.hosts import GATEWAY
from tests.simulator.hosts import ROOT as ROOT_USER
from tests.simulator.ways import ADDRESS
from tests.tools import tree

NAME = "box-1"
#: Where such a host is had from, by who logs in on it.
HAD_FROM = {ROOT_USER: "vastai", "shadeform": "shadeform"}
RENT_SECONDS, SETUP_SECONDS = 180, 300
#: What a controller needs.
LIBRARIES = ("ansible-core", "jmespath", "paramiko", "requests")
VENV, INSIDE = "/opt/controller", "/srv/inferops"
SETUP = f"""set -eu
python3 -m venv {VENV}
{VENV}/bin/pip install --quiet --requirement {INSIDE}/requirements.txt
LC_ALL=C.UTF-8 {VENV}/bin/ansible-galaxy collection install --offline \\
    --collections-path /usr/share/ansible/collections {INSIDE}/inferops-gpu.tar.gz
"""
COMPLETE = """
import json, sys, urllib.request
body = {"model": "inferops/tiny-llama", "prompt": "Hello", "max_tokens": 8}
headers = {"Content-Type": "application/json", "Authorization": "Bearer " + sys.argv[2]}
asked = urllib.request.Request(sys.argv[1] + "/completions", json.dumps(body).encode(), headers)
print(json.load(urllib.request.urlopen(asked, timeout=60))["choices"][0]["text"])
"""


@dataclass
class Own(Site):
    """A host that is there before us, and after us."""

    host: str = ""
    variables: dict[str, Any] = field(default_factory=dict)

    def check_end(self, told: str) -> None:
        """Fail unless the server is gone, and nothing but that."""
        require("Server: stopped, proven." in told, f"the server was not stopped: {told}")
        require("is a host of your own" in told, f"it does not know its own host: {told}")
        require(not self.server_uids(), "teardown says that the server has ended, and it has not")
        require(self.container() == self.host, "the host is another one, or gone")

    def left(self) -> list[Any]:
        """What is left once its owner has given the host back."""
        self.markets[0].play("teardown", **self.variables)
        return super().left()


class Ssh(Own):
    """Reached as an inventory says."""

    def play(self, playbook: str | Path) -> Run:
        """Run it on this machine."""
        return self.markets[0].play(
            playbook,
            *("-i", str(inventory_of(self.markets[0], self.user)), "--limit", NAME),
            secret={"inferops_server_api_key": SERVER_KEY},
            most_seconds=self.left_seconds,
        )


class Local(Own):
    """The controller is the host."""

    def prepare(self) -> None:
        """Install Ansible and the collection there, and write an inventory of this host alone."""
        controller = self.markets[0]
        folder = controller.folder / "inside"
        folder.mkdir()
        tree.build(folder).rename(folder / "inferops-gpu.tar.gz")
        (folder / "requirements.txt").write_text(requirements())
        usual = yaml.safe_load((INVENTORY / "group_vars" / "all.yml").read_text())
        port = controller.hub_url.rpartition(":")[2]
        variables = {
            **{name: value for name, value in usual.items() if "{{" not in json.dumps(value)},
            **own_variables("local"),
            "inferops_controller_hub_endpoint": f"http://{GATEWAY}:{port}",
            "inferops_server_api_key": SERVER_KEY,
        }
        hosts = {"gpu_hosts": {"hosts": {NAME: variables}}}
        (folder / "hosts.yml").write_text(yaml.safe_dump(hosts))
        podman("cp", f"{folder}/.", f"{self.host}:{INSIDE}")
        self.inside(ROOT_USER, SETUP, SETUP_SECONDS)

    def inside(self, user: str, command: str, most_seconds: float, check: bool = True) -> Run:
        """Run a command there, as after a login, which has the host's own variables."""
        words = ("exec", self.host, "su", "--login", user, "--command", command)
        done = podman(*words, check=check, timeout=most_seconds)
        return Run(done.returncode, done.stdout + done.stderr)

    def play(self, playbook: str | Path) -> Run:
        """Run it on the host."""
        command = ["env", "LC_ALL=C.UTF-8", "ANSIBLE_INJECT_FACT_VARS=false"]
        command += [f"{VENV}/bin/ansible-playbook", "-i", f"{INSIDE}/hosts.yml"]
        command.append(f"inferops.gpu.{playbook}")
        return self.inside(self.user, shlex.join(command), self.left_seconds, check=False)

    def complete(self, endpoint: str) -> str:
        """Asked on the host, whose loopback it is."""
        asked = shlex.join(["python3", "-c", COMPLETE, endpoint, SERVER_KEY])
        return self.inside(self.user, asked, self.left_seconds).output


SITES: dict[str, type[Own]] = {"local": Local, "ssh": Ssh}


@contextlib.contextmanager
def at_own_host(way: str, user: str, ends_at: float) -> Iterator[Site]:
    """A host that somebody has, and logs in to as this user."""
    provider = HAD_FROM[user]
    with scratch() as folder, market(provider, folder, login=user, engine=True) as made:
        owner = {f"inferops_{name}": value for name, value in account(provider, made).items()}
        rent(made, owner)
        site = SITES[way]([made], user, ends_at, variables=owner)
        site.host = site.container()
        if isinstance(site, Local):
            site.prepare()
        yield site


def rent(controller: Controller, owner: dict[str, Any]) -> None:
    """Get the host."""
    rented = controller.play(rent_playbook(controller.folder), most_seconds=RENT_SECONDS, **owner)
    require(rented.status == 0, f"there is no host to have: {rented.output[-3000:]}")


def inventory_of(controller: Controller, user: str) -> Path:
    """An inventory with one host that anybody may have: an address, a key, a key of the host."""
    (rental,) = controller.rentals()
    known = f"-o UserKnownHostsFile={controller.folder / 'known'}"
    connection = {
        "ansible_host": ADDRESS,
        "ansible_port": rental["ports"]["22/tcp"],
        "ansible_user": user,
        "ansible_ssh_private_key_file": controller.variables()["inferops_ssh_private_key_file"],
        "ansible_ssh_common_args": f"{known} -o StrictHostKeyChecking=accept-new",
    }
    inventory = controller.folder / "own.yml"
    hosts = {NAME: {**connection, **own_variables("ssh")}}
    inventory.write_text(yaml.safe_dump({"gpu_hosts": {"hosts": hosts}}))
    return inventory


def own_variables(way: str) -> dict[str, Any]:
    """What makes a host one's own, and what its owner knows of it."""
    secret = "of-nobody-but-the-owner-of-box-1"
    return {
        "inferops_provider": way,
        "inferops_api_key": "",
        "inferops_scope_secret": secret,
        **IN_IMAGE,
    }


def requirements() -> str:
    """The libraries, in the releases that this checkout is developed with."""
    pinned = (ROOT / "requirements-dev.txt").read_text()
    known = rf"^(?:{'|'.join(LIBRARIES)})==[^\s;\\]+"
    return "".join(f"{one}\n" for one in re.findall(known, pinned, re.M))
