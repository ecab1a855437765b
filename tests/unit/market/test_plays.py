# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What roles do before, or instead of, any call to a marketplace: plays without one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.simulator.app import Simulator
from tests.simulator.hosts import PretendHosts
from tests.simulator.market import ACCOUNT_KEY
from tests.simulator.market import Market as SimulatedMarket
from tests.tools.tree import REPOSITORY

#: Nobody listens on this port: a host that has fallen silent.
SILENT = {"host": "127.0.0.1", "port": 1}
RENTAL = {
    "provider": "vastai",
    "id": "7",
    "ssh": [SILENT],
    "ssh_user": "root",
    "known_hosts": [],
    "price_usd_per_hour": 0.5,
    "started_at": 0,
    "machine_id": "42",
    "download_mbit_per_second": 0.0,
}


def play(
    tmp_path: Path, playbook: Path | list[dict[str, Any]], *arguments: str, **variables: Any
) -> tuple[int, str]:
    """Exit status and output, line breaks folded away, of a playbook with these variables."""
    file = playbook if isinstance(playbook, Path) else tmp_path / "play.yml"
    if not isinstance(playbook, Path):
        file.write_text(yaml.safe_dump(playbook))
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("gpu_hosts: {hosts: {gpu-1: {}, gpu-2: {}}}\n")
    folder = str(tmp_path / "controller")
    given = {"inferops_scope": "test", "inferops_controller_dir": folder, **variables}
    command = ["ansible-playbook", "-i", str(inventory), str(file), "-e", json.dumps(given)]
    done = subprocess.run(
        [Path(sys.executable).with_name(command[0]), *command[1:], *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "ANSIBLE_HOST_KEY_CHECKING": "False", "VAST_API_KEY": "none"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def role(name: str, tasks_from: str) -> dict[str, Any]:
    return {
        "ansible.builtin.include_role": {"name": f"inferops.gpu.{name}", "tasks_from": tasks_from}
    }


def on_the_host(*tasks: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"hosts": "gpu-1", "gather_facts": False, "tasks": list(tasks)}]


def test_no_setting_of_the_controller_turns_off_the_check_of_host_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_SSH_ARGS", "-o StrictHostKeyChecking=no -o ControlMaster=no")
    tasks = on_the_host(role("connect", "connection"), {"ansible.builtin.ping": {}})
    status, output = play(tmp_path, tasks, "-vvv", inferops_rental=RENTAL)
    assert status != 0
    (command,) = set(re.findall("SSH: EXEC (.*?) 127.0.0.1", output))
    # ssh goes by the first of each.
    asked = re.findall("StrictHostKeyChecking=[a-z-]+", command)
    assert asked[0] == "StrictHostKeyChecking=yes"
    assert "ControlMaster=no" in command


def test_a_host_that_was_found_is_held_against_what_is_paid_for(tmp_path: Path) -> None:
    status, output = play(
        tmp_path,
        on_the_host(
            {"ansible.builtin.set_fact": {"rent_switch": {}, "rent_facts": {}, "rent_speed": {}}},
            role("rent", "verify"),
        ),
        ansible_connection="local",
        ansible_python_interpreter=sys.executable,
        inferops_rental={**RENTAL, "gpu_count": 64, "vram_gib": 24.0, "driver_version": ""},
        inferops_offer={},
        inferops_deadline={"at": 1, "enforced_by": "reaper"},
        rent_ready={"remaining_seconds": 3600},
    )
    assert status != 0
    assert "instead of 64" in output


def test_a_teardown_without_a_connection_still_ends_well(tmp_path: Path) -> None:
    (tmp_path / "controller").mkdir()
    (tmp_path / "controller" / "known_hosts").write_text("a file where a folder should be")
    simulated = Simulator(SimulatedMarket(PretendHosts()))
    try:
        status, output = play(
            tmp_path,
            on_the_host(role("teardown", "main")),
            inferops_rental=RENTAL,
            inferops_api_url=simulated.url,
            inferops_api_key=ACCOUNT_KEY,
            teardown_stop_timeout_seconds="60",
        )
    finally:
        simulated.close()
    assert status == 0, output
    assert "Nothing is rented under the name gpu-1" in output


def test_a_host_that_falls_silent_is_to_blame_and_makes_room(tmp_path: Path) -> None:
    verify = {
        "block": [
            {"ansible.builtin.set_fact": {"rent_switch": {}, "rent_facts": {}, "rent_speed": {}}},
            role("connect", "connection"),
            role("rent", "verify"),
        ],
        "rescue": [
            {
                **role("rent", "give_up"),
                "vars": {
                    "rent_failed_task": "{{ ansible_failed_task.name }}",
                    "rent_failed_result": "{{ ansible_failed_result }}",
                },
            }
        ],
        "always": [
            {
                "ansible.builtin.debug": {
                    "msg": "{{ rent_verdict.attempt.stage }}, {{ rent_verdict.try_next }}"
                }
            }
        ],
        "ignore_unreachable": True,
    }
    status, output = play(
        tmp_path,
        on_the_host(verify),
        inferops_rental=RENTAL,
        inferops_offer={},
        inferops_deadline={"at": 1, "enforced_by": "host"},
        rent_ready={"remaining_seconds": 3600},
        rent_result={"nonce": "9f2c41aa"},
        rent_ledger={"nonce": "9f2c41aa", "creates_sent": 1},
        rent_max_attempts=1,
        inferops_evidence_dir=str(tmp_path / "evidence"),
    )
    assert status != 0
    assert "The host accepted SSH and does not answer any more" in output
    assert "Nobody would end this rental" not in output
    assert "ssh, False" in output


def test_strict_reaping_is_refused_where_only_a_part_of_the_inventory_is_seen(
    tmp_path: Path,
) -> None:
    reap = REPOSITORY / "playbooks" / "reap.yml"
    strict = {"reap_strict": True, "reap_confirm_scope": "test"}
    status, output = play(tmp_path, reap, "--limit", "gpu-1", **strict)
    assert status != 0
    assert "--limit gpu-1" in output
    assert "Nothing was released" in output
    status, output = play(tmp_path, reap, **strict, awx_workflow_job_id=3)
    assert status != 0
    assert "a job of a workflow, which may be a slice" in output


def test_the_repository_never_turns_off_the_check_of_host_keys() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    told = []
    for name in listed.stdout.splitlines():
        file = REPOSITORY / name
        if file.is_file() and file.suffix != ".md" and file != Path(__file__):
            text = file.read_text(errors="replace")
            told += [name] if "StrictHostKeyChecking=no" in text else []
    assert told == []


def test_the_hub_is_asked_what_a_model_needs_without_being_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = role("rent", "model")
    asked["ansible.builtin.include_role"]["public"] = True
    tasks = on_the_host(asked, {"ansible.builtin.debug": {"msg": "asked: {{ rent_hub_url }}"}})
    mirror = "http://127.0.0.1:1"
    why = "any memory is taken, because its config.json is not known"
    status, output = play(tmp_path, tasks, inferops_model="a/b", inferops_hub_endpoint=mirror)
    assert status == 0, output
    assert f"{why} (the hub said nothing)" in output
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    for model in ("", "/models/a"):  # neither is on a hub
        status, output = play(tmp_path, tasks, inferops_model=model)
        assert status == 0, output
        assert f"{why} (give rent_model_config)" in output
        assert "asked: https://huggingface.co" in output


LLAMA = json.loads((Path(__file__).parents[1] / "serving/fixtures/models.json").read_text())[0]
LLAMA = {**LLAMA["config"], "max_position_embeddings": 131072}


def disk_play(tmp_path: Path, **variables: Any) -> tuple[int, str]:
    """What role rent would rent of disk and wait for, for this model."""
    asked = role("rent", "disk")
    asked["ansible.builtin.include_role"]["public"] = True
    told = "disk {{ rent_disk_gib }}, download {{ rent_download_gib }}, fit {{ rent_fit.why }}"
    tasks = on_the_host(role("rent", "model"), asked, {"ansible.builtin.debug": {"msg": told}})
    given = {"inferops_model": "a/b", "rent_model_config": LLAMA, **variables}
    return play(tmp_path, tasks, "--limit", "gpu-1", **given)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        # 14.96 GiB of weights, 8 of the stack and 1 that stays free; a tenth and 10 more.
        ({}, "disk 40, download 18.5,"),
        ({"model_cache_asked": {"size_gib": 130.0}}, "disk 163, download 133.5,"),
        (
            {"model_cache_asked": {"size_gib": 130.0}, "rent_disk_gib": 140},
            "disk 140, download 133.5,",
        ),
        ({"model_cache_asked": {"size_gib": 130.0}, "rent_disk_gib": 130}, "set it to 139 or more"),
        ({"rent_disk_gib": 20}, "a/b takes 15.0 GiB, its stack 8.0 GiB"),
        (
            {"rent_disk_gib": 20, "stack_image_python": "/usr/bin/python3"},
            "disk 20, download 15.0,",
        ),
        ({"rent_disk_gib": 20, "model_cache_home": "/volume"}, "disk 20, download 10,"),
        ({"rent_disk_gib": 20, "inferops_model": "/models/a"}, "disk 20, download 10,"),
    ],
)
def test_the_disk_is_as_large_as_the_model_and_the_stack_need(
    tmp_path: Path, variables: dict[str, Any], said: str
) -> None:
    status, output = disk_play(tmp_path, **variables)
    assert said in output
    assert (status == 0) == said.startswith("disk"), output


def test_an_offer_is_sized_by_the_words_of_the_command_line_too(tmp_path: Path) -> None:
    _status, plain = disk_play(tmp_path)
    _status, longer = disk_play(tmp_path, launch_extra_args=["--max-model-len", "131072"])
    assert "KV cache for 8192 tokens" in plain
    assert "KV cache for 131072 tokens" in longer
    status, output = disk_play(tmp_path, launch_extra_args=["-tp", "2"])
    assert status != 0
    assert "ask for 2 GPUs and rent_gpu_count is 1" in output
