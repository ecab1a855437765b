# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of the user's own is served, looked at and left: nothing is rented, nothing ends.

It is one of a simulated market, which nobody tells that it is: a deploy without an account, over
the SSH settings of an inventory. It lets in a plain user alone, and installs nothing: what is there
is the user's, who names it. `make markets` does this for every market and user.
"""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.demo.__main__ import tunnels
from tests.hanging import HANGS_AFTER_SECONDS
from tests.integration import engine_image
from tests.integration.plays import Controller, Run
from tests.markets.own_hosts import NAME, inventory_of, rent

#: Whose hosts are machines with systemd, and a user that has the market's name.
MARKET = USER = "shadeform"
RENTED = {"inferops_provider": MARKET}


@pytest.mark.long
@pytest.mark.parametrize("controller", [MARKET], indirect=True)
def test_a_host_of_ones_own_is_served_looked_at_and_left(controller: Controller) -> None:
    engine_image.ensure()
    controller.simulator("POST", "settings", {"engine": True})
    rent(controller, RENTED)
    inventory = inventory_of(controller, USER)
    asked = len(controller.simulator("GET", "requests"))

    def play(name: str, **variables: Any) -> Run:
        run = controller.play(name, "-i", str(inventory), "--limit", NAME, **variables)
        assert run.status == 0, run.output[-5000:]
        return run

    deploy = play("deploy").message()
    assert "Cost: none, for it is a host of your own" in deploy
    assert "Deadline: none" in deploy
    url = deploy.partition("Endpoint: ")[2].partition(" serves")[0]
    assert requests.get(f"{url}/models", timeout=HANGS_AFTER_SECONDS).status_code == 401
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
    assert controller.play("teardown", **RENTED).status == 0
