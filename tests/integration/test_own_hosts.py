# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of the user's own is served, looked at and left: nothing is rented, nothing ends.

It is one of the simulated market's, which nobody tells that it is: a deploy without an account,
over the SSH settings of an inventory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import requests
import yaml

from tests.demo.__main__ import tunnels
from tests.drills.controller import rent_playbook
from tests.integration import engine_image
from tests.integration.plays import Controller, Run
from tests.rig import engine
from tests.simulator.ways import ADDRESS

NAME = "box-1"


def own_host(controller: Controller, folder: Path) -> Path:
    """An inventory with one host that anybody may have: an address, a key, a key of the host."""
    engine_image.ensure()
    rented = controller.play(rent_playbook(folder), rent_image=engine_image.NAME)
    assert rented.status == 0, rented.output[-3000:]
    (host,) = controller.rentals()
    known = f"-o UserKnownHostsFile={folder / 'known'} -o StrictHostKeyChecking=accept-new"
    variables = {
        "ansible_host": ADDRESS,
        "ansible_port": host["ports"]["22/tcp"],
        "ansible_user": "root",
        "ansible_ssh_private_key_file": controller.variables()["inferops_ssh_private_key_file"],
        "ansible_ssh_common_args": known,
        "inferops_provider": "ssh",
        "inferops_api_key": "",
        "inferops_scope_secret": "of-nobody-but-the-owner-of-box-1",
        # It installs nothing here: what is there is the user's, and he names it.
        "inferops_image_python": f"{engine.PLACE}/bin/python",
    }
    inventory = folder / "own.yml"
    inventory.write_text(yaml.safe_dump({"gpu_hosts": {"hosts": {NAME: variables}}}))
    return inventory


def test_a_host_of_ones_own_is_served_looked_at_and_left(
    controller: Controller, tmp_path: Path
) -> None:
    inventory = own_host(controller, tmp_path)
    asked = len(controller.simulator("GET", "requests"))

    def play(name: str, **variables: Any) -> Run:
        run = controller.play(name, "-i", str(inventory), "--limit", NAME, **variables)
        assert run.status == 0, run.output[-5000:]
        return run

    deploy = play("deploy").message()
    assert "Cost: none, for it is a host of your own" in deploy
    assert "Deadline: none" in deploy
    url = deploy.partition("Endpoint: ")[2].partition(" serves")[0]
    assert requests.get(f"{url}/models", timeout=10).status_code == 401
    assert "changed=0" in play("deploy").message()

    status = play("status").message()
    assert "Scope main-job: 0 rentals" in status
    assert f"{NAME}/vllm: running" in status
    assert "Server vllm is healthy" in play("recover", recover_apply=True).message()

    down = play("teardown").message()
    assert "Server: stopped, proven. Tunnel: closed." in down
    assert f"{NAME} is a host of your own: nothing of it is rented, and nothing released." in down
    assert tunnels(controller.folder / "c" / "tunnels") == []
    assert "Server: stopped, proven." in play("teardown").message()

    for wrong, said in (("extend", "stands for hosts of your own"), ("reap", "no deadlines")):
        refused = controller.play(wrong, "-i", str(inventory), "--limit", NAME, extend_hours=1)
        assert refused.status != 0
        assert said in refused.message()
    # It is there as before, and the marketplace was not asked.
    assert len(controller.rentals()) == 1
    assert len(controller.simulator("GET", "requests")) == asked
    assert controller.play("teardown").status == 0
