# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys that fail, as real plays on a simulated market whose hosts never answer."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Order
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.pace import Pace
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.vastai import VastAI
from ansible_collections.inferops.gpu.plugins.module_utils.market.wish import Wish
from tests.drills.controller import kill_modules, rent_playbook
from tests.simulator.app import DEFAULT_PROVIDER, Simulator
from tests.simulator.hosts import PretendHosts
from tests.simulator.market import ACCOUNT_KEY
from tests.simulator.market import Market as SimulatedMarket
from tests.simulator.web import Request
from tests.tools.tree import REPOSITORY
from tests.unit.market.conftest import PUBLIC_KEY
from tests.unit.market.test_plays import play

#: The market's time runs so much faster: what waits for minutes takes seconds here.
SCALE = 30.0
#: Tells the processes of a play from all others.
MARKER = "INFEROPS_TEST_PLAY"
MARKET_MODULES = (
    "inferops.gpu.rental",
    "inferops.gpu.rental_ready",
    "inferops.gpu.rental_extend",
    "inferops.gpu.rental_reap",
)


@dataclass
class Deploy:
    """A deploy of gpu-1 up to a reachable host, on a market of its own.

    ``after_create``, ``after_start`` and ``after_release`` are called when one is done and its
    answer is still to come, and ``before_stop`` before one is done.
    """

    folder: Path
    simulator: Simulator
    after_create: Callable[[], None] = field(default=lambda: None)
    after_release: Callable[[], None] = field(default=lambda: None)
    after_start: Callable[[], None] = field(default=lambda: None)
    before_stop: Callable[[], None] = field(default=lambda: None)

    def observe(self, phase: str, request: Request, _number: int) -> None:
        if phase == "after" and request.method == "PUT" and "/asks/" in request.path:
            self.after_create()
        if phase == "after" and request.method == "DELETE":
            self.after_release()
        state = request.json().get("state") if "/instances/" in request.path else None
        if (phase, state) == ("after", "running"):
            self.after_start()
        if (phase, state) == ("before", "stopped"):
            self.before_stop()

    def run(self, *arguments: str, **variables: Any) -> tuple[int, str]:
        """The exit status and the output."""
        nowhere = "http://127.0.0.1:1"
        given = {
            "inferops_model": "inferops/tiny-llama",
            "inferops_accelerator": "cpu",
            "inferops_hub_endpoint": nowhere,
            "inferops_api_url": self.simulator.url,
            "inferops_api_key": ACCOUNT_KEY,
            "inferops_ssh_private_key_file": str(self.folder / "ssh" / "key"),
            "inferops_evidence_dir": str(self.folder / "evidence"),
            "rent_vram_gib": 24,
            "rent_ready_timeout_seconds": 60,
            **variables,
        }
        return play(
            self.folder, rent_playbook(self.folder), "--limit", "gpu-1", *arguments, **given
        )

    def billing(self) -> list[dict[str, Any]]:
        """What exists in truth."""
        return list(self.simulator.control.state()["rentals"])

    def creates(self) -> int:
        """How many creates were sent."""
        return len(self.images())

    def evidence(self, name: str) -> list[str]:
        """What a file holds in each folder of evidence, the oldest first."""
        return [file.read_text() for file in sorted(self.folder.glob(f"evidence/*/{name}"))]

    def images(self) -> list[str]:
        """The image that each create asked for."""
        entries = self.simulator.journal.entries()
        sent = (one for one in entries if one["method"] == "PUT" and "/asks/" in one["path"])
        return [one["body"]["image"] for one in sent]


@pytest.fixture
def provider() -> str:
    """The marketplace of a test that is about none; a test that is about another names it."""
    return DEFAULT_PROVIDER


@pytest.fixture
def deploy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: str) -> Iterator[Deploy]:
    market = SimulatedMarket(PretendHosts())
    market.boot_seconds = 0
    market.rescale(SCALE)
    simulator = Simulator(market, provider=provider)
    made = Deploy(tmp_path, simulator)
    simulator.observe = made.observe
    monkeypatch.setenv("INFEROPS_CLOCK", f"{market.clock.now()} {time.time()} {SCALE}")
    monkeypatch.setenv(MARKER, str(tmp_path))
    yield made
    simulator.close()


def test_a_module_that_is_killed_after_its_create_leaves_nothing_that_bills(
    deploy: Deploy,
) -> None:
    deploy.after_create = lambda: kill_modules(f"{MARKER}={deploy.folder}")
    status, output = deploy.run()
    assert status != 0
    assert deploy.creates() == 1
    assert deploy.billing() == []
    assert 'Rent the best offer, or keep what is rented": Module result' in output, output
    assert "was released and proven gone; it cost" in output


@pytest.mark.long
def test_a_module_that_is_killed_after_a_create_that_shows_late_is_named(deploy: Deploy) -> None:
    deploy.simulator.control.plan_faults([{"kind": "hidden", "seconds": 3600}])
    deploy.after_create = lambda: kill_modules(f"{MARKER}={deploy.folder}")
    status, output = deploy.run()
    assert status != 0
    (rental,) = deploy.billing()
    nonce = rental["label"].split("/")[3]
    assert "a rental may have been made" in output
    assert f"No rental with its nonce {nonce} is listed. It may still appear and bill" in output


def test_a_release_that_is_killed_says_that_the_rental_may_bill(deploy: Deploy) -> None:
    deploy.after_release = lambda: kill_modules(f"{MARKER}={deploy.folder}")
    status, output = deploy.run(rent_max_attempts=1)
    assert status != 0
    assert "ITS RELEASE FAILED AS WELL" in output
    assert re.search("Whatever carries its nonce [0-9a-f]{8} may bill until playbook", output)


@pytest.mark.long
def test_an_attempt_is_released_though_its_evidence_cannot_be_kept(deploy: Deploy) -> None:
    # A folder that is so already is refused before anything is rented.
    deploy.after_create = lambda: (deploy.folder / "evidence").write_text("no folder any more")
    status, output = deploy.run(rent_max_attempts=2)
    assert status != 0
    assert "The evidence could not be kept" in output
    assert "Attempt 1 of 2 failed at ssh" in output
    assert "1 earlier attempts cost" in output
    assert "was released and proven gone; it cost" in output
    assert deploy.creates() == 2
    assert deploy.billing() == []


@pytest.mark.long
def test_the_log_of_each_host_that_lets_nobody_in_is_evidence_before_its_release(
    deploy: Deploy,
) -> None:
    status, _output = deploy.run(rent_max_attempts=2)
    assert status != 0
    asked = [
        found[0]
        for one in deploy.simulator.journal.entries()
        if (found := re.search(r"request_logs/\d+|DELETE", f"{one['method']} {one['path']}"))
    ]
    ids = [one.partition("/")[2] for one in asked if one != "DELETE"]
    first, second = dict.fromkeys(ids)
    # Of each, its machine's log and its container's.
    logs = [f"request_logs/{one}" for one in (first, first, second, second)]
    assert asked == [*logs[:2], "DELETE", *logs[2:], "DELETE"]
    for told, rental_id in zip(deploy.evidence("provider.log"), (first, second), strict=True):
        assert f"rental {rental_id} was started" in told
        assert "create container vastai/base-image" in told
    assert all("- provider.log\n" in summary for summary in deploy.evidence("summary.md"))
    assert deploy.billing() == []


@pytest.mark.long
def test_the_log_of_one_host_explains_no_later_failure(deploy: Deploy) -> None:
    refused = {"kind": "reply", "status": 400, "body": {"success": False, "error": "invalid_args"}}
    fault = {**refused, "method": "PUT", "path": "/asks/", "skip": 1, "times": 9}
    deploy.simulator.control.plan_faults([fault])
    status, output = deploy.run(rent_max_attempts=3)
    assert status != 0
    assert "invalid_args" in output
    assert len(deploy.evidence("summary.md")) == 2
    assert len(deploy.evidence("provider.log")) == 1


@pytest.mark.long
def test_a_log_that_nobody_gets_keeps_no_release_waiting(deploy: Deploy) -> None:
    down = {"kind": "reply", "path": "/request_logs/", "status": 500, "body": "down", "times": 9}
    deploy.simulator.control.plan_faults([down])
    status, output = deploy.run(rent_max_attempts=1)
    assert status != 0
    assert "was released and proven gone; it cost" in output
    assert deploy.billing() == []
    (summary,) = deploy.evidence("summary.md")
    assert re.search(r"- provider\.log: Reading the log of rental \d+: .*down", summary)


@pytest.mark.long
@pytest.mark.parametrize("provider", ["runpod"])
def test_an_image_that_only_the_log_names_as_missing_ends_the_run(deploy: Deploy) -> None:
    hosts = deploy.simulator.market.hosts
    assert isinstance(hosts, PretendHosts)
    hosts.failure = "Error response from daemon: manifest unknown"
    status, output = deploy.run(
        inferops_provider="runpod", inferops_allow_unenforced_deadline=True, rent_max_attempts=3
    )
    assert status != 0
    assert "because its registry has no such image or tag" in output
    assert "Correct rent_image." in output
    assert len([one for one in deploy.simulator.journal.entries() if one["method"] == "POST"]) == 1
    (told,) = deploy.evidence("provider.log")
    assert hosts.failure in told
    assert deploy.billing() == []


@pytest.mark.long
def test_what_is_to_be_kept_is_kept_and_named(deploy: Deploy) -> None:
    status, output = deploy.run(rent_on_failure="keep")
    assert status != 0
    (rental,) = deploy.billing()
    assert f"Rental {rental['id']} was kept as asked (rent_on_failure: keep)" in output
    assert deploy.creates() == 1


def assert_stands_still_again(deploy: Deploy, rental_id: str, output: str) -> None:
    """It is all that bills, by its disk alone, and that is told."""
    (again,) = deploy.billing()
    assert (again["id"], again["status"]) == (rental_id, "stopped")
    assert f"Rental {rental_id} had stood still before and does so again" in output


def standing(deploy: Deploy) -> int:
    """The id of a rental that stands still, of a run before."""
    clock = Clock.from_environment()
    provider = VastAI({"api_key": ACCOUNT_KEY}, deploy.simulator.url, Pace(None, {}, clock), clock)
    now, day = int(clock.now()), 86_400
    mark = Mark.new("test", "gpu-1", now + day, day, now)
    wanted = Order(mark, VastAI.usual.image, 40, PUBLIC_KEY, now)
    rental_id = int(provider.rent(provider.search(Wish())[0], wanted))
    deploy.simulator.market.set_state(deploy.simulator.market.rentals[rental_id], "stopped")
    return rental_id


@pytest.mark.long
def test_what_a_failed_deploy_has_started_stands_still_again(deploy: Deploy) -> None:
    rental_id = standing(deploy)
    status, output = deploy.run()
    assert status != 0
    assert "started again, and bills" in output
    assert_stands_still_again(deploy, rental_id, output)
    assert deploy.creates() == 1  # that of the run before


@pytest.mark.long
def test_a_start_that_is_killed_stands_still_again(deploy: Deploy) -> None:
    rental_id = standing(deploy)
    deploy.after_start = lambda: kill_modules(f"{MARKER}={deploy.folder}")
    status, output = deploy.run()
    assert status != 0
    assert 'Rent the best offer, or keep what is rented": Module result' in output, output
    assert_stands_still_again(deploy, rental_id, output)


@pytest.mark.long
def test_a_start_that_is_killed_and_is_to_be_kept_is_named(deploy: Deploy) -> None:
    rental_id = standing(deploy)
    deploy.after_start = lambda: kill_modules(f"{MARKER}={deploy.folder}")
    status, output = deploy.run(rent_on_failure="keep")
    assert status != 0
    assert f"Rental {rental_id} had stood still, and may have been started. It was kept" in output


@pytest.mark.long
def test_a_start_of_which_nobody_knows_stands_still_again(deploy: Deploy) -> None:
    rental_id = standing(deploy)
    unseen = {"kind": "reply", "on": "read", "status": 500, "body": "down", "times": 9999}
    deploy.after_start = lambda: deploy.simulator.control.plan_faults([unseen])
    deploy.before_stop = lambda: deploy.simulator.control.plan_faults([])
    status, output = deploy.run()
    assert status != 0
    assert f"Nobody knows whether rental {rental_id} was started" in output
    assert_stands_still_again(deploy, rental_id, output)


@pytest.mark.long
def test_a_stop_that_is_killed_as_well_names_what_bills(deploy: Deploy) -> None:
    rental_id = standing(deploy)
    deploy.before_stop = lambda: kill_modules(f"{MARKER}={deploy.folder}")
    status, output = deploy.run()
    assert status != 0
    assert f"RENTAL {rental_id} COULD NOT BE STOPPED AGAIN" in output
    assert "It may bill its GPUs until playbook inferops.gpu.teardown releases it" in output


def test_no_time_limit_of_the_users_ends_a_task_that_rents_or_releases() -> None:
    files = [*REPOSITORY.glob("roles/*/tasks/*.yml"), *REPOSITORY.glob("playbooks/**/*.yml")]
    limited, seen = [], 0
    for file in files:
        for task in tasks_of(yaml.safe_load(file.read_text())):
            if any(module in task for module in MARKET_MODULES):
                seen += 1
                limited += [task["name"]] if task.get("timeout") != 0 else []
    assert seen >= 6
    assert limited == []


def tasks_of(node: Any) -> Iterator[dict[str, Any]]:
    """Every task in a file of tasks or plays, and what holds others."""
    if isinstance(node, dict):
        yield node
    for part in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from tasks_of(part)


@pytest.mark.long
def test_a_limit_for_every_task_kills_no_call_that_rents_or_releases(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In these seconds the create and the wait for the host are far from over.
    monkeypatch.setenv("ANSIBLE_TASK_TIMEOUT", "8")
    slow = {"kind": "delay", "seconds": 10.0, "method": "PUT", "path": "/asks/"}
    deploy.simulator.control.plan_faults([slow])
    status, output = deploy.run(rent_max_attempts=1)
    assert status != 0
    assert "Timed out after" not in output
    assert "was released and proven gone; it cost" in output
    assert deploy.billing() == []


@pytest.mark.long
def test_the_second_host_that_fails_alike_ends_the_run_and_neither_is_shunned(
    deploy: Deploy,
) -> None:
    deploy.simulator.control.plan_faults([{"kind": "boot", "statuses": ["exited"], "times": 9}])
    history = deploy.folder / "history"
    status, output = deploy.run(rent_max_attempts=5, inferops_history_path=str(history))
    assert status != 0
    assert deploy.creates() == 2
    assert "none of them is to blame" in output
    assert deploy.billing() == []
    assert not history.exists() or "failed" not in history.read_text()


LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_attention_heads": 32,
    "num_hidden_layers": 16,
    "num_key_value_heads": 8,
    "torch_dtype": "bfloat16",
    "vocab_size": 128256,
}
ON_A_GPU = {"inferops_accelerator": "cuda", "inferops_model_config": LLAMA, "rent_max_attempts": 2}


@pytest.mark.long
def test_an_image_that_no_host_gets_makes_room_for_an_installation(deploy: Deploy) -> None:
    hosts = deploy.simulator.market.hosts
    assert isinstance(hosts, PretendHosts)
    hosts.failure = "Error response from daemon: manifest unknown"

    def have_it() -> None:
        hosts.failure = ""

    deploy.after_release = have_it
    status, output = deploy.run(**ON_A_GPU)
    assert status != 0  # no host of this market ever answers
    first, second = deploy.images()
    assert first.startswith("vastai/vllm:v0.")
    assert second == VastAI.usual.image
    assert f"Image: {first} of 10.5 GiB, which has the engine already" in output
    assert "Nobody asked for this image: from now on the engine is installed." in output
    assert deploy.billing() == []


@pytest.mark.long
def test_what_only_an_installation_fulfils_is_rented_the_usual_image(deploy: Deploy) -> None:
    wishes = {
        "another-python": {"inferops_image_python": "/usr/bin/python3"},
        "no-python": {"inferops_image_python": ""},
        "one-more-package": {"stack_extra_requirements": ["some-package"]},
        "own-lock": {"stack_lock_file": "/nowhere/lock.txt"},
        "nothing": {},
    }
    fleet = deploy.folder / "fleet.yml"
    fleet.write_text(yaml.safe_dump({"gpu_hosts": {"hosts": wishes}}))
    status, output = deploy.run(
        "--check", "-i", str(fleet), "--limit", ",".join(wishes), **ON_A_GPU
    )
    assert status == 0, output
    assert len(re.findall(r"\S+ : ok=\d+", output)) == len(wishes)
    assert output.count("which has the engine already") == 1
