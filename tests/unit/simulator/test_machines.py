# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts of each simulated market are, and who logs in on them."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.registry import (
    PROVIDERS,
)
from tests.simulator import lambda_cloud
from tests.simulator.app import Simulator, machines_of
from tests.simulator.hosts import HostSpec, PretendHosts
from tests.simulator.market import Market, Traits


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_whoever_the_product_logs_in_as_is_the_usual_one(provider: str) -> None:
    assert machines_of(provider).users[0] == PROVIDERS[provider].ssh_user


def host_of(provider: str, wish: dict[str, Any], **settings: Any) -> HostSpec:
    """The host that a rental with these settings of the market gets."""
    simulator = Simulator(Market(PretendHosts()), provider=provider)
    try:
        simulator.control.settings(settings)
        offer = next(iter(simulator.market.offers))
        return simulator.market.spec(simulator.market.create(offer, wish, Traits(boot_seconds=0)))
    finally:
        simulator.close()


def test_a_market_with_several_users_lets_in_the_one_that_is_set() -> None:
    assert host_of("prime", {}).user == "root"
    assert host_of("prime", {}, login="ubuntu").user == "ubuntu"
    with pytest.raises(ValueError, match="nobody logs in as 'admin' here: shadeform, root"):
        host_of("shadeform", {}, login="admin")


def test_a_machine_runs_systemd_and_its_start_script_once() -> None:
    machine, container = host_of("verda", {"onstart": "true"}), host_of("runpod", {})
    assert (machine.systemd, machine.onstart_once, machine.own_address) == (True, True, True)
    assert (container.systemd, container.onstart_once, container.own_address) == (False,) * 3


def test_an_engine_is_there_by_the_image_s_name_or_in_all() -> None:
    assert not host_of("vastai", {"image": "any/image"}).engine
    assert host_of("vastai", {"image": "team/vllm-cpu:1"}).engine
    assert host_of("lambda", {"image": "lambda-stack"}, engine=True).engine


@pytest.mark.parametrize(
    ("user_data", "does"),
    [
        ("#cloud-config\nssh_keys:\n  ed25519_private: |\n    a\n    b\n", {"host_key": "a\nb\n"}),
        ("#!/bin/sh\ntrue\n", {"onstart": "#!/bin/sh\ntrue\n"}),
        ("", {"host_key": ""}),
    ],
)
def test_user_data_does_at_the_first_boot_what_cloud_init_does(
    user_data: str, does: dict[str, str]
) -> None:
    assert lambda_cloud.at_first_boot(user_data) == does
