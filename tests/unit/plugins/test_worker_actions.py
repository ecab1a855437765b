# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller does in its own process is what the module would do there: real plays."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator.app import Simulator
from tests.simulator.hosts import PretendHosts
from tests.simulator.market import ACCOUNT_KEY, Market
from tests.unit.plugins.test_guarded_actions import ansible

SHOW = {"ansible.builtin.debug": {"msg": "{{ told | to_json }}"}}


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    started = Simulator(Market(PretendHosts()))
    yield started
    started.close()


def output(tmp_path: Path, *tasks: dict[str, Any], **play: Any) -> str:
    """What a play on a host prints whose connection is this machine, in one line."""
    inventory, file = tmp_path / "hosts.yml", tmp_path / "play.yml"
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"gpu-1": here}}}))
    start = {"hosts": "gpu-1", "gather_facts": False}
    file.write_text(yaml.safe_dump([{**start, "tasks": list(tasks), **play}]))
    done = ansible(file, inventory, defaults=False, VAST_API_KEY="", VAST_URL="")
    assert done.returncode == 0, done.stdout
    return " ".join(done.stdout.split())


@pytest.mark.long
@pytest.mark.parametrize("place", ["localhost", "gpu-1"])
@pytest.mark.parametrize("module", ["rental_info", "rental"])
def test_it_heeds_the_environment_that_a_play_sets_for_its_modules(
    tmp_path: Path, simulator: Simulator, place: str, module: str
) -> None:
    options = {"scope": "test", "controller_dir": str(tmp_path / "c"), "name": "gpu-1"}
    state = {"state": "found"} if module == "rental" else {}
    ask = {f"inferops.gpu.{module}": {**options, **state}, "delegate_to": place, "register": "told"}
    environment = [{"VAST_API_KEY": "{{ key }}"}, {"VAST_URL": simulator.url}]
    said = output(tmp_path, ask, SHOW, environment=environment, vars={"key": ACCOUNT_KEY})
    assert "failed=0" in said
    assert simulator.journal.entries()


def test_it_shows_no_secret_that_it_was_given(tmp_path: Path, simulator: Simulator) -> None:
    options = {"scope": ACCOUNT_KEY, "controller_dir": str(tmp_path / "c"), "name": "gpu-1"}
    account = {"api_key": ACCOUNT_KEY, "api_url": simulator.url}
    ask = {
        "inferops.gpu.rental": {**options, **account, "state": "absent"},
        "delegate_to": "localhost",
        "check_mode": True,
        "register": "told",
        "failed_when": False,
    }
    assert ACCOUNT_KEY not in output(tmp_path, ask, SHOW)


@pytest.mark.long
def test_warnings_reach_the_user(tmp_path: Path, simulator: Simulator) -> None:
    """Two rentals of one name, made in the market's own time, are warned of."""
    options = {
        "scope": "test",
        "controller_dir": str(tmp_path / "c"),
        "api_key": ACCOUNT_KEY,
        "api_url": simulator.url,
        "name": "gpu-1",
    }
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGk9 user@example"
    rent = {"inferops.gpu.rental": {**options, "ssh_public_key": key}, "delegate_to": "localhost"}
    output(tmp_path, rent)
    twin_of_the_only_rental(simulator.url)
    # Another controller's: this one would share a listing of some seconds ago.
    look = {**options, "state": "found", "controller_dir": str(tmp_path / "other")}
    assert "[WARNING]" in output(
        tmp_path, {"inferops.gpu.rental": look, "delegate_to": "localhost"}
    )


def twin_of_the_only_rental(url: str) -> None:
    """Rent another one with the same mark, as a second controller does at the same time."""
    key = {"Authorization": f"Bearer {ACCOUNT_KEY}"}
    listed = requests.get(
        f"{url}/api/v0/instances/", headers=key, timeout=HANGS_AFTER_SECONDS
    ).json()
    offers = requests.post(
        f"{url}/api/v0/bundles/", json={}, headers=key, timeout=HANGS_AFTER_SECONDS
    ).json()
    wish = {"image": "any/image", "disk": 40, "label": listed["instances"][0]["label"]}
    address = f"{url}/api/v0/asks/{offers['offers'][0]['id']}/"
    requests.put(address, json=wish, headers=key, timeout=HANGS_AFTER_SECONDS).raise_for_status()
