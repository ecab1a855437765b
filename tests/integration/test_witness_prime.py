# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prime Intellect's own client works against the simulator: the witness that it speaks its API.

The client lives in its own environment, .rig/witness, because its dependencies are not ours.
INFEROPS_SKIP_WITNESS=1 skips this where the package cannot be installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Order
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.pace import Pace
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.prime import (
    PrimeIntellect,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.wish import Wish
from tests.simulator import prime
from tests.simulator.app import Simulator
from tests.simulator.daemon import RIG, wait
from tests.simulator.hosts import PretendHosts
from tests.simulator.market import ACCOUNT_KEY, Market
from tests.unit.market.conftest import PUBLIC_KEY

CLIENT = "prime==0.18.0"
VENV = RIG / "witness" / CLIENT.replace("==", "-")

pytestmark = [
    pytest.mark.witness,
    pytest.mark.skipif("INFEROPS_SKIP_WITNESS" in os.environ, reason="INFEROPS_SKIP_WITNESS"),
]


class Cli:
    """The official command line, pointed at a simulator, with a home folder of its own."""

    def __init__(self, simulator: Simulator, home: Path) -> None:
        self.simulator = simulator
        self.environment = {
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "PRIME_API_BASE_URL": simulator.url,
            "PRIME_API_KEY": ACCOUNT_KEY,
            "PRIME_DISABLE_VERSION_CHECK": "1",
        }

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [str(VENV / "bin" / "prime"), *arguments, "--plain"],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--output", "json"))


@pytest.fixture(scope="module", autouse=True)
def official_client() -> None:
    """Install the client once."""
    ready = VENV / ".ready"  # an installation that was interrupted has none
    if not ready.exists():
        python = str(VENV / "bin" / "python")
        for step in (
            ["venv", "--clear", str(VENV)],
            ["pip", "install", "--python", python, CLIENT],
        ):
            command = [sys.executable, "-m", "uv", "--quiet", *step]
            subprocess.run(command, check=True, timeout=300)
        ready.touch()


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    market = Market(PretendHosts())
    market.boot_seconds = 0
    simulator = Simulator(market, provider=PrimeIntellect.name)
    yield Cli(simulator, tmp_path)
    simulator.close()


def is_active(cli: Cli, pod: str) -> bool:
    return bool(cli.json("pods", "status", pod)["status"] == "ACTIVE")


def test_the_official_client_finds_rents_reads_and_ends(cli: Cli) -> None:
    assert "RTX4090_24GB" in cli.json("availability", "gpu-types")["gpu_types"]
    wish = ("--gpu-type", "RTX4090_24GB", "--gpu-count", "1")
    found = cli.json("availability", "list", *wish)["gpu_resources"]
    # It names no highest price, which that cloud wants.
    offer = next(one for one in found if one["provider"] != prime.WANTS_MAX_PRICE)
    sizes = ("--disk-size", "30", "--vcpus", "8", "--memory", "32")
    asked = ("--id", offer["id"], "--name", "my-pod", *sizes, "--image", "ubuntu_22_cuda_12")
    assert "Successfully created pod" in cli.run("pods", "create", *asked, "--yes")

    (pod,) = cli.json("pods", "list")["pods"]
    assert (pod["name"], pod["gpu"]) == ("my-pod", "RTX4090_24GB x1")
    assert wait(lambda: is_active(cli, pod["id"]), 20)
    assert cli.json("wallet")["balance_usd"] > 0

    cli.run("pods", "terminate", pod["id"], "--yes")
    assert cli.json("pods", "list")["pods"] == []
    (ended,) = cli.json("pods", "history")["history"]
    assert (ended["id"], ended["terminated_at"] is None) == (pod["id"], False)


def test_the_official_client_sees_what_ours_has_rented(cli: Cli) -> None:
    clock, now = Clock(), int(time.time())
    credentials = {"api_key": ACCOUNT_KEY}
    ours = PrimeIntellect(credentials, cli.simulator.url, Pace(None, {}, clock), clock)
    mark = Mark.new("main", "gpu-1", now + 3600, 3600, now)
    offer = min(ours.search(Wish()), key=lambda one: one.price_usd_per_hour)
    pod = ours.rent(offer, Order(mark, ours.usual.image, 40, PUBLIC_KEY, now))
    assert wait(lambda: is_active(cli, pod), 20)

    shown, rental = cli.json("pods", "status", pod), ours.get(pod)
    assert rental is not None
    (way,) = rental.ssh
    assert shown["name"].startswith("inferops--main--gpu-x1--")
    assert shown["ssh"].endswith(f"{rental.ssh_user}@{way.host} -p {way.port}")
    assert shown["cost_per_hour"] == offer.price_usd_per_hour == rental.price_usd_per_hour
    assert [one.mark for one in ours.list_rentals()] == [mark]
