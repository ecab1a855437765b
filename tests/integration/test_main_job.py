# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job as users run it: playbooks, the simulated marketplace, real hosts, a real server."""

from __future__ import annotations

import json
import os
import re
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.demo.__main__ import tunnels
from tests.hanging import HANGS_AFTER_SECONDS
from tests.integration import engine_image
from tests.integration.plays import Controller
from tests.rig.podman import podman
from tests.simulator.hosts import container_names
from tests.simulator.market import ACCOUNT_KEY

#: Tells the processes of this test's plays from those of others on this machine.
MARKER = "INFEROPS_TEST_PLAY"
FLEET = {"inferops_group": "gpu_fleet", "rent_image": engine_image.NAME}


def test_a_fleet_serves_tells_no_secret_and_is_torn_down(
    controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hosts at once, at -vvv: more would print what ``-e`` was given.

    Account key, server key, hub token and SSH key are looked for. That no variable that is secret
    is shown at -vvvvv, attacks prove (``tests/attacks/secrets.py``).
    Their image has vLLM in it, as the usual one of a GPU has; others below install it.
    """
    engine_image.ensure()
    secrets = {
        "inferops_server_api_key": "sk-key-of-the-server",
        "inferops_hub_token": "hf_of-the-hub",
    }
    monkeypatch.setenv(MARKER, str(controller.folder))
    with process_table_watched_for(ACCOUNT_KEY, *secrets.values()) as seen_in_process_table:
        run = controller.play("deploy", "-vvv", secret=secrets, **FLEET)
    assert run.status == 0, run.output[-5000:]
    assert seen_in_process_table == set()

    machines = {rental["machine_id"] for rental in controller.rentals()}
    assert len(machines) == 2
    assert len(tunnels(controller.folder / "c" / "tunnels")) == 2
    endpoints = set(re.findall(r"Endpoint: (http://127\.0\.0\.1:\d+/v1) serves", run.message()))
    assert len(endpoints) == 2
    for endpoint in endpoints:
        question = {"model": "inferops/tiny-llama", "prompt": "Hello", "max_tokens": 8}
        refused = requests.post(
            f"{endpoint}/completions", json=question, timeout=HANGS_AFTER_SECONDS
        )
        assert refused.status_code == 401
        key = {"Authorization": f"Bearer {secrets['inferops_server_api_key']}"}
        answer = requests.post(
            f"{endpoint}/completions", json=question, headers=key, timeout=HANGS_AFTER_SECONDS
        )
        assert answer.json()["choices"][0]["text"].strip()

    private_key = (controller.folder / "ssh" / "key").read_text()
    key_lines = [line for line in private_key.splitlines() if len(line) > 40]
    told = [text for text in (ACCOUNT_KEY, *secrets.values(), *key_lines) if text in run.output]
    assert told == []
    assert readable_by_others(controller.folder, ACCOUNT_KEY, *key_lines) == []

    assert "ASYNC POLL" not in run.output
    for options in (["--check"], []):
        again = controller.play("deploy", *options, secret=secrets, **FLEET)
        assert again.status == 0, again.output[-5000:]
        assert set(re.findall(r"changed=(\d+)", again.output)) == {"0"}
        # One look is enough: nothing is planned, installed or started.
        assert again.message().count("all is as asked, and a completion came back") == 2
        assert "Resolve the lock" not in again.output
        assert "Start the server" not in again.output
    assert again.message().count("Endpoint: http://127.0.0.1:") == 2
    assert len(controller.creates()) == 2

    down = controller.play("teardown", **FLEET)
    assert down.status == 0, down.output[-5000:]
    assert (
        down.message().count("Server: stopped, proven. Tunnel: closed. Released and proven gone")
        == 2
    )
    assert controller.rentals() == []
    assert container_names(controller.instance.name) == []
    assert tunnels(controller.folder / "c" / "tunnels") == []


@pytest.mark.long
def test_one_of_a_fleet_stands_still_and_serves_again(controller: Controller) -> None:
    """No GPU of it bills meanwhile, and all that was installed is there after."""
    engine_image.ensure()
    run = controller.play("deploy", **FLEET)
    assert run.status == 0, run.output[-5000:]
    stop = controller.play("stop", "--limit", "gpu-1,localhost", inferops_reaper=True, **FLEET)
    assert stop.status == 0, stop.output[-5000:]
    assert stop.message().count("Server: stopped, proven. Tunnel: closed. Rental") == 1
    assert stop.message().count("stands still: its disk bills") == 1
    assert {rental["status"] for rental in controller.rentals()} == {"stopped", "running"}
    assert len(tunnels(controller.folder / "c" / "tunnels")) == 1

    again = controller.play("deploy", **FLEET)
    assert again.status == 0, again.output[-5000:]
    assert again.message().count("started again, and bills") == 1
    assert again.message().count("Endpoint: http://127.0.0.1:") == 2
    assert len(controller.creates()) == 2
    changed = changed_tasks(again.output)
    assert "Rent the best offer, or keep what is rented" in changed
    assert not {task for task in changed if "Install" in task or "Resolve" in task}, changed

    down = controller.play("teardown", **FLEET)
    assert down.status == 0, down.output[-5000:]
    assert controller.rentals() == []


def changed_tasks(output: str) -> set[str]:
    """The names of the tasks that changed something, without that of their role."""
    found, task = set(), ""
    for line in output.splitlines():
        header = re.match(r"TASK \[(?:.* : )?(.*?)\]", line)
        task = header[1] if header else task
        if line.startswith("changed: "):
            found.add(task)
    return found


@contextmanager
def process_table_watched_for(*secrets: str) -> Iterator[set[str]]:
    """The command lines that showed one of *secrets* while the block ran.

    Those of the plays, and of whatever runs inside of a host.
    """
    marker = f"{MARKER}={os.environ[MARKER]}".encode()
    here = Path("/proc/self/ns/pid").readlink()
    seen: set[str] = set()
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.5):
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    ours = marker in (folder / "environ").read_bytes()
                    inside = (folder / "ns" / "pid").readlink() != here
                    arguments = (folder / "cmdline").read_bytes().decode(errors="replace")
                except OSError:
                    continue
                if (ours or inside) and any(secret in arguments for secret in secrets):
                    seen.add(arguments.replace("\0", " "))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        ended.set()
        watcher.join()


def readable_by_others(folder: Path, *secrets: str) -> list[Path]:
    """Files below *folder* that hold a secret and that group or world may read."""
    found = []
    for path in folder.rglob("*"):
        if path.is_symlink() or not path.is_file():
            continue
        open_to_others = path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        if open_to_others and any(secret in path.read_text(errors="replace") for secret in secrets):
            found.append(path)
    return found


@pytest.mark.long
def test_a_broken_model_is_explained_and_its_host_released(controller: Controller) -> None:
    """On a host with systemd, so that both supervisors are used by these tests.

    Its image has vLLM in it. The server downloads the model itself: role model_cache would not let
    it start.
    """
    engine_image.ensure()
    began_at = time.time()
    run = controller.play(
        "deploy",
        inferops_model="inferops/tiny-llama-truncated",
        model_cache_enabled=False,
        rent_image=f"{engine_image.NAME}-systemd",
    )
    ended_at = time.time()
    assert run.status != 0
    message = run.message()
    assert "died during startup" in message, run.output[-5000:]
    assert "cut short" in message or "truncated" in message
    assert "ownload" in message
    assert "was released and proven gone; it cost" in message
    assert controller.rentals() == []

    (folder,) = controller.evidence()
    assert "SafetensorError" in (folder / "server.log").read_text()
    assert "SafetensorError" in (folder / "summary.md").read_text()
    assert not [path for path in folder.iterdir() if path.stat().st_mode & 0o077]
    (server,) = json.loads((folder / "state.json").read_text())["servers"]
    assert server["supervisor"] == "systemd"
    assert began_at < server["ended_at"] < ended_at


@pytest.mark.long
def test_keep_leaves_the_host_and_says_what_it_bills(controller: Controller) -> None:
    broken = {"stack_extra_requirements": ["no-such-package-of-ours==1.0"]}
    run = controller.play("deploy", rent_on_failure="keep", **broken)
    assert run.status != 0
    assert "was kept as asked" in run.message()
    assert "dollars per hour until" in run.message()
    assert len(controller.rentals()) == 1
    # The next run finds the host that it did not rent itself, and so keeps it as well.
    again = controller.play("deploy", **broken)
    assert "is older than this run, so it was kept" in again.message()
    assert len(controller.rentals()) == 1


@pytest.mark.long
def test_evidence_that_cannot_be_kept_does_not_keep_the_bill_running(
    controller: Controller,
) -> None:
    def be_in_the_way(line: str) -> None:
        """Only now: a folder that is none already is refused before anything is rented."""
        if "TASK [inferops.gpu.stack : Choose the stack]" in line:
            (controller.folder / "a-file").touch()

    run = controller.play(
        "deploy",
        watch=be_in_the_way,
        stack_extra_requirements=["no-such-package-of-ours==1.0"],
        inferops_evidence_dir=str(controller.folder / "a-file"),
    )
    assert run.status != 0
    assert "Resolving the lock failed" in run.message()
    assert "was released and proven gone" in run.message()
    assert controller.rentals() == []


@pytest.mark.long
def test_a_host_that_vanishes_while_it_is_installed_is_released(controller: Controller) -> None:
    def pull_the_plug(line: str) -> None:
        if "TASK [inferops.gpu.stack : Choose the stack]" in line:
            (name,) = container_names(controller.instance.name)
            podman("kill", name)

    run = controller.play("deploy", watch=pull_the_plug)
    assert run.status != 0
    assert "was released and proven gone" in run.message(), run.output[-5000:]
    assert controller.rentals() == []


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"rent_max_price": "1"}, "did you mean rent_max_price_usd_per_hour"),
        ({"inferops_model": "no model at all"}, "write organisation/name as on the hub"),
        ({"inferops_model": "inferops/nothing"}, "has no model inferops/nothing"),
        ({"inferops_provider": "nocloud"}, "must be one of: "),
        ({"inferops_api_key": ""}, "Set the environment variable VAST_API_KEY"),
        ({"rent_filter": "ram_gib >"}, "is not a JMESPath expression"),
        ({"rent_filter": "ram_gib > `100000`"}, "Relax the first ones"),
        ({"rent_vram_gib": "4000"}, "Widen it"),
        ({"inferops_vllm_version": "0.0.1"}, "is not in the compatibility table"),
    ],
)
def test_bad_input_is_refused_before_anything_is_rented(
    controller: Controller, variables: dict[str, str], said: str
) -> None:
    run = controller.play("deploy", **variables)
    assert run.status != 0
    assert said in run.message()
    assert controller.creates() == []
