# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server for agents with the protocol's official client, over the simulated marketplace.

In both ways of asking that the protocol has: within a call, and by calling again.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fidelity.clients import Environment
from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator.app import Simulator
from tests.simulator.hosts import PretendHosts
from tests.simulator.market import ACCOUNT_KEY, Market
from tests.tools.tree import REPOSITORY

INSIDE = REPOSITORY / "tests" / "agents" / "inside.py"
SERVER = REPOSITORY / "tools" / "mcp"
PINNED = [
    line.split(" ")[0]
    for line in (SERVER / "requirements.txt").read_text().splitlines()
    if "==" in line and "sys_platform ==" not in line
]
ENVIRONMENT = Environment(
    "agents",
    # The first names its folder.
    packages=tuple(sorted(PINNED, key=lambda one: not one.startswith("mcp=="))),
    published_before="2026-11-29T00:00:00Z",
)
WISH = {"model": "inferops/tiny-llama", "hours": 5, "max_price_usd_per_hour": 1, "vram_gib": 24}


class Agent:
    """One session of a client with the server."""

    def __init__(self, folder: Path, url: str, mode: str, cap_usd: str) -> None:
        inventory = folder / "hosts.json"
        variables = {
            "inferops_scope": "agents",
            "inferops_accelerator": "cpu",
            "inferops_controller_hub_endpoint": "http://127.0.0.1:9",
            "inferops_controller_dir": str(folder / "controller"),
            "inferops_ssh_private_key_file": str(folder / "key"),
            "inferops_evidence_dir": str(folder / "evidence"),
            "rent_ready_timeout_seconds": 1,
            "rent_max_attempts": 1,
        }
        inventory.write_text(json.dumps({"all": {"vars": variables}}))
        ENVIRONMENT.install()
        self.process = subprocess.Popen(
            [
                *(ENVIRONMENT.folder / "bin" / "python", INSIDE),
                *(SERVER, mode),
            ],
            env={
                **os.environ,
                "PATH": f"{REPOSITORY / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
                "VAST_API_KEY": ACCOUNT_KEY,
                "VAST_URL": url,
                "HF_ENDPOINT": "http://127.0.0.1:9",
                "INFEROPS_MCP_INVENTORY": str(inventory),
                "INFEROPS_MCP_CAP_USD": cap_usd,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / "stderr").open("w"),
            text=True,
        )
        self.tools = self.read()

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        told: dict[str, Any] = json.loads(self.process.stdout.readline())
        return told

    def call(self, tool: str, answer: bool | None = None, **arguments: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        asked = {"tool": tool, "arguments": arguments, "answer": answer}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        told = self.read()
        assert ACCOUNT_KEY not in json.dumps(told)
        return told

    def planned(self) -> dict[str, Any]:
        told = self.call("plan", hosts=["gpu-1"], **WISH)
        assert not told["error"], told["text"]
        plan: dict[str, Any] = told["content"]
        return plan

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(HANGS_AFTER_SECONDS)


@pytest.fixture
def market() -> Iterator[Simulator]:
    simulator = Simulator(Market(PretendHosts()))
    yield simulator
    simulator.close()


def creates(market: Simulator) -> list[str]:
    return [one["path"] for one in market.journal.entries() if "/asks/" in one["path"]]


@pytest.mark.long
@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_nothing_is_spent_without_a_fresh_plan_and_a_person_s_yes(
    mode: str, market: Simulator, tmp_path: Path
) -> None:
    agent = Agent(tmp_path, market.url, mode, "20")
    try:
        # The person's answer is no argument that an agent could give.
        assert set(agent.tools["deploy"]["properties"]) == {"plan_id"}
        assert set(agent.tools["teardown"]["properties"]) == {"hosts"}
        status = agent.call("status")
        assert status["content"]["rentals"] == [], status["text"]
        plan = agent.planned()
        assert plan["offers"]["gpu-1"]["price_usd_per_hour"] <= 1
        assert 0 < plan["most_usd"] <= 5
        for answer in (False, None):
            refused = agent.call("deploy", answer, plan_id=plan["plan_id"])
            assert refused["error"]
            assert "has not agreed" in refused["text"]
            assert plan["question"] in refused["asked"]
        unplanned = agent.call("deploy", True, plan_id="made up")
        assert "no such plan" in unplanned["text"]
        assert unplanned["asked"] == []
        kept = agent.call("teardown", False, hosts=["gpu-1"])
        assert "has not agreed" in kept["text"]
        assert creates(market) == []
    finally:
        agent.close()


def test_what_passes_the_cap_is_refused_before_anybody_is_asked(
    market: Simulator, tmp_path: Path
) -> None:
    agent = Agent(tmp_path, market.url, "auto", "0.05")
    try:
        plan = agent.planned()
        refused = agent.call("deploy", True, plan_id=plan["plan_id"])
        assert "more than the cap of 0.05 dollars" in refused["text"]
        assert refused["asked"] == []
        assert creates(market) == []
    finally:
        agent.close()


@pytest.mark.parametrize("mode", ["auto-alone", "legacy-alone"])
def test_a_client_that_cannot_ask_may_only_read(
    mode: str, market: Simulator, tmp_path: Path
) -> None:
    agent = Agent(tmp_path, market.url, mode, "20")
    try:
        costs = agent.call("costs")
        assert costs["content"]["costs"]["cost_usd"] == 0, costs["text"]
        plan = agent.planned()
        refused = agent.call("deploy", plan_id=plan["plan_id"])
        assert refused["error"]
        assert creates(market) == []
    finally:
        agent.close()


@pytest.mark.long
def test_a_plan_that_was_agreed_to_is_carried_out_once_and_at_its_price(
    market: Simulator, tmp_path: Path
) -> None:
    """Its host answers nobody, so that the deploy fails: what it asked for is what counts."""
    agent = Agent(tmp_path, market.url, "auto", "20")
    try:
        plan = agent.planned()
        agent.call("deploy", True, plan_id=plan["plan_id"])
        asked = creates(market)
        assert len(asked) == 1
        assert plan["offers"]["gpu-1"]["offer"] in asked[0]
        again = agent.call("deploy", True, plan_id=plan["plan_id"])
        assert "carried out already" in again["text"]
        assert creates(market) == asked
    finally:
        agent.close()
