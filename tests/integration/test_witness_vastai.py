# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Vast.ai's own client works against the simulator: the witness that it speaks the real API.

The client lives in its own environment, .rig/witness, because its dependencies are not ours.
INFEROPS_SKIP_WITNESS=1 skips this where the package cannot be installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.app import Simulator
from tests.simulator.daemon import RIG, wait
from tests.simulator.hosts import PretendHosts
from tests.simulator.market import ACCOUNT_KEY, Market

CLIENT = "vastai==1.9.1"
VENV = RIG / "witness" / CLIENT.replace("==", "-")
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGk9 user@example"

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
            "VAST_URL": simulator.url,
            "VAST_API_KEY": ACCOUNT_KEY,
            "VASTAI_NO_UPDATE_CHECK": "1",
        }

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [str(VENV / "bin" / "vastai"), *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        # The client exits 0 on HTTP errors too, and then writes to standard error only.
        assert "error" not in done.stderr.lower(), done.stderr
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--raw"))


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
    simulator = Simulator(market)
    yield Cli(simulator, tmp_path)
    simulator.close()


def running(cli: Cli, number: str) -> bool:
    return bool(cli.json("show", "instance", number)["actual_status"] == "running")


def test_the_official_client_rents_reads_logs_in_and_destroys(cli: Cli) -> None:
    query = "gpu_name=RTX_4090 num_gpus=1 gpu_ram>=20 driver_version>=535.86.05"
    offers = cli.json("search", "offers", query, "-o", "dph_total", "--storage", "40")
    assert offers
    assert {offer["gpu_name"] for offer in offers} == {"RTX 4090"}
    prices = [offer["dph_total"] for offer in offers]
    assert prices == sorted(prices)

    options = ["--image", "img:1", "--disk", "40", "--ssh", "--direct", "--label", "mk-1"]
    options += ["--env", "-p 8000:8000 -e A=b", "--cancel-unavail"]
    made = cli.json("create", "instance", str(offers[0]["id"]), *options)
    assert made["success"] is True
    number = str(made["new_contract"])
    assert wait(lambda: running(cli, number), 20)

    row = cli.json("show", "instance", number)
    assert (row["label"], row["disk_space"], row["machine_id"]) == (
        "mk-1",
        40,
        offers[0]["machine_id"],
    )
    (listed,) = cli.json("show", "instances")
    assert listed["id"] == made["new_contract"]
    address = cli.run("ssh-url", number).strip()
    assert address == f"ssh://root@127.0.0.1:{row['ports']['22/tcp'][0]['HostPort']}"

    cli.run("attach", "ssh", number, PUBLIC_KEY)
    keys = cli.simulator.market.rentals[made["new_contract"]].keys
    assert list(keys.values()) == [PUBLIC_KEY]
    assert cli.json("show", "user")["credit"] > 0

    cli.run("destroy", "instance", number, "--yes")
    assert cli.json("show", "instances") == []


def test_the_official_client_reboots_recycles_and_reads_logs(cli: Cli) -> None:
    offer = str(cli.json("search", "offers", "num_gpus=1")[0]["id"])
    number = str(cli.json("create", "instance", offer, "--image", "i")["new_contract"])
    for action in ("reboot", "recycle"):
        assert wait(lambda: running(cli, number), 20)
        cli.run(action, "instance", number)
    assert wait(lambda: running(cli, number), 20)
    assert f"rental {number} was started" in cli.run("logs", number, "--tail", "5")


def test_the_official_client_manages_account_keys(cli: Cli) -> None:
    cli.run("create", "ssh-key", PUBLIC_KEY, "--yes")
    (key,) = cli.json("show", "ssh-keys")
    assert key["public_key"] == PUBLIC_KEY
    cli.run("delete", "ssh-key", str(key["id"]))
    assert cli.json("show", "ssh-keys") == []


def test_the_official_client_understands_a_refusal(cli: Cli) -> None:
    offer = str(cli.json("search", "offers", "num_gpus=1")[0]["id"])
    assert cli.json("create", "instance", offer, "--image", "i")["success"] is True
    refused = subprocess.run(
        [str(VENV / "bin" / "vastai"), "create", "instance", offer, "--image", "i", "--raw"],
        env=cli.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "no_such_ask" in refused.stderr
    assert json.loads(refused.stderr)["status_code"] == 404
