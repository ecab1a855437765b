# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What roles do before, or instead of, any call to a marketplace: plays without one."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.plugin_utils.connection import (
    DELIVERED,
    ssh_arguments,
)
from tests.simulator.app import Simulator
from tests.simulator.hosts import PretendHosts
from tests.simulator.market import Market as SimulatedMarket
from tests.tools.tree import REPOSITORY
from tests.unit.market.conftest import Market
from tests.unit.plays import faster, on_the_host, play, role

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
    "can_be_reached": True,
}


@pytest.fixture
def marketplace(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a marketplace that takes the key of every play here."""
    market = SimulatedMarket(PretendHosts())
    for name, value in faster(market).items():
        monkeypatch.setenv(name, value)
    simulated = Simulator(market)
    yield simulated.url
    simulated.close()


def ssh_command(tmp_path: Path) -> str:
    """The options with which Ansible connects to a rental, here one that does not answer."""
    tasks = on_the_host(role("connect", "connection"), {"ansible.builtin.ping": {}})
    status, output = play(tmp_path, tasks, "-vvv", inferops_rental=RENTAL)
    assert status != 0
    (command,) = set(re.findall("SSH: EXEC (.*?) 127.0.0.1", output))
    return command


def test_no_setting_of_the_controller_turns_off_the_check_of_host_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_SSH_ARGS", "-o StrictHostKeyChecking=no -o ControlMaster=no")
    command = ssh_command(tmp_path)
    # ssh goes by the first of each.
    asked = re.findall("StrictHostKeyChecking=[a-z-]+", command)
    assert asked[0] == "StrictHostKeyChecking=yes"
    assert "ControlMaster=no" in command


@pytest.mark.long
def test_what_a_user_sets_for_his_own_hosts_is_not_for_a_rented_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_SSH_ARGS", "-o ForwardAgent=yes -o PermitLocalCommand=yes")
    command = ssh_command(tmp_path)
    assert command.split()[:3] == ["ssh", "-F", "/dev/null"]
    asked = re.findall(r"(ForwardAgent|PermitLocalCommand)=(\w+)", command)
    assert dict(reversed(asked)) == {"ForwardAgent": "no", "PermitLocalCommand": "no"}


@pytest.mark.parametrize(
    "opening",
    [
        *("-A", "-CA", "-X", "-Y", "-R 9:localhost:9", "-F ~/.ssh/config", "-F~/.ssh/config"),
        *("-o SendEnv=HF_TOKEN", "-osendenv=HF_TOKEN", "-o 'RemoteForward 9 localhost:9'"),
    ],
)
def test_no_option_of_ansible_s_configuration_opens_the_controller_to_a_rented_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opening: str
) -> None:
    """As ssh itself understands all of them together: a flag outranks what was said before it."""
    (tmp_path / "config").write_text("Host *\n  ForwardAgent yes\n  SendEnv HF_TOKEN\n")
    given = opening.replace("~/.ssh", str(tmp_path))
    monkeypatch.setenv("ANSIBLE_SSH_ARGS", f"{given} -o ControlPersist=7s -J jump.example")
    told = subprocess.run(
        [*ssh_arguments_of("known_hosts"), "-G", "host"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert {"forwardagent no", "forwardx11 no", "controlpersist 7", "proxyjump jump.example"} <= {
        *told
    }
    assert not [line for line in told if line.startswith(("sendenv", "remoteforward"))]


def ssh_arguments_of(known_hosts_file: str) -> list[str]:
    """ssh, with all the options that a rental gets."""
    return ["ssh", *shlex.split(ssh_arguments(known_hosts_file, DELIVERED))]


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


def test_a_teardown_without_a_connection_still_ends_well(tmp_path: Path, marketplace: str) -> None:
    (tmp_path / "controller").mkdir()
    (tmp_path / "controller" / "known_hosts").write_text("a file where a folder should be")
    status, output = play(
        tmp_path,
        on_the_host(role("teardown", "main")),
        inferops_rental=RENTAL,
        inferops_api_url=marketplace,
        inferops_stop_timeout_seconds="60",
    )
    assert status == 0, output
    assert "Server: not stopped: " in output
    assert "Nothing is rented under the name gpu-1" in output


def test_evidence_of_a_host_that_is_not_connected_says_so(tmp_path: Path) -> None:
    status, output = play(
        tmp_path, on_the_host(role("evidence", "main")), inferops_evidence_dir=str(tmp_path / "e")
    )
    assert status == 0, output
    (folder,) = (tmp_path / "e").iterdir()
    summary = (folder / "summary.md").read_text()
    assert summary.startswith("# gpu-1: evidence on demand\n\nNo failure was reported.\n\n- Rental")
    assert "see the message" not in summary
    assert "- everything on the host: no rental is connected under this name\n" in summary
    assert json.loads((folder / "state.json").read_text()) == {
        "rental": {},
        "servers": [],
        "failure": {},
        "stack": {},
        "promises": {},
    }


def test_the_status_tells_of_each_host_whatever_became_of_it(
    tmp_path: Path, market: Market
) -> None:
    """The rental of gpu-1 does not answer, and gpu-2 was never rented."""
    assert market.rent("gpu-1")["changed"]
    status, output = play(
        tmp_path,
        REPOSITORY / "playbooks" / "status.yml",
        inferops_api_url=market.simulator.url,
        inferops_report_dir=str(tmp_path),
    )
    assert status == 0, output
    assert re.search(r"gpu-1: rental \S+ of vastai is .*? dollars per hour, .*? so far; ", output)
    assert "Scope test: 1 rentals, " in output
    assert "gpu-1: it does not answer: " in output
    assert "gpu-2: nothing is rented under this name" in output
    report = json.loads((tmp_path / "status.json").read_text())
    assert [rental["mark"]["name"] for rental in report["rentals"]] == ["gpu-1"]
    assert set(report["hosts"]) == {"gpu-1", "gpu-2"}
    verdicts = {name: one["verdict"] for name, one in report["verdicts"].items()}
    assert verdicts == {"gpu-1": "unreachable", "gpu-2": "not rented"}
    assert "gpu-1: unreachable (it does not answer: " in output
    page = tmp_path / "status.html"
    assert f"Open it in a browser: {page}" in output
    assert page.stat().st_mode & 0o777 == 0o600
    shown = page.read_text()
    assert shown.startswith("<!DOCTYPE html>")
    assert all(f'<span class="name">{name}</span>' in shown for name in ("gpu-1", "gpu-2"))
    assert "changed=0" in output.split("PLAY RECAP")[-1]
    # Status changes nothing, so a dry run leaves its reports as well, and shows no page as a diff.
    page.unlink()
    status, output = play(
        tmp_path,
        REPOSITORY / "playbooks" / "status.yml",
        *("--check", "--diff"),
        inferops_api_url=market.simulator.url,
        inferops_report_dir=str(tmp_path),
    )
    assert status == 0, output
    assert page.exists()
    assert "DOCTYPE" not in output
    assert "changed=0" in output.split("PLAY RECAP")[-1]


@pytest.mark.long
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
        rent_ledger={"nonce": "9f2c41aa", "requests_sent": 1},
        rent_max_attempts=1,
        inferops_evidence_dir=str(tmp_path / "evidence"),
    )
    assert status != 0
    assert "The host accepted SSH and does not answer any more" in output
    assert "Nobody would end this rental" not in output
    assert "ssh, False" in output


@pytest.mark.long
def test_the_way_to_a_host_that_was_given_up_is_forgotten(tmp_path: Path, marketplace: str) -> None:
    """What fails before the next one is reached collects no evidence from a stranger."""
    given_up = role("rent", "give_up")
    given_up["vars"] = {
        "rent_failed_task": "Look at the host",
        "rent_failed_result": {"failed": True, "unreachable": True, "msg": "it is silent"},
    }
    facts = {
        "inferops_rental": {**RENTAL, "ssh": []},
        "inferops_known_hosts_file": "/dev/null",
        "rent_result": {"nonce": "9f2c41aa"},
        "rent_ledger": {"nonce": "9f2c41aa", "requests_sent": 1},
        "rent_facts": {"unreachable": True, "msg": "it is silent"},
    }
    tasks = on_the_host(
        role("rent", "main"),
        {"ansible.builtin.set_fact": facts},
        {
            "block": [given_up],
            "module_defaults": {"group/inferops.gpu.market": "{{ inferops_account }}"},
        },
        {"ansible.builtin.debug": {"msg": "way: [{{ inferops_known_hosts_file }}]"}},
    )
    status, output = play(
        tmp_path,
        [{**tasks[0], "roles": ["inferops.gpu.inferops"]}],
        "--check",
        inferops_model="a/b",
        inferops_model_config=LLAMA,
        inferops_ssh_private_key_file=str(tmp_path / "key"),
        inferops_evidence_dir=str(tmp_path / "evidence"),
        inferops_api_url=marketplace,
        ansible_connection="local",
        ansible_python_interpreter=sys.executable,
    )
    assert status == 0, output
    assert "way: []" in output


def test_the_last_message_reckons_the_cost_by_the_providers_clock(tmp_path: Path) -> None:
    """As status does: a controller whose clock is two hours behind has not got it for nothing."""
    began = time.time() + 7200 - 1000
    status, output = play(
        tmp_path,
        on_the_host(role("rent", "on_failure")),
        "--limit",
        "gpu-1",
        inferops_rental={**RENTAL, "price_usd_per_hour": 3.6, "started_at": began},
        inferops_deadline={"clock_offset_seconds": 7200},
        inferops_failure={"task": "Launch", "message": "it fails."},
        rent_result={"nonce": "9f2c41aa"},
        rent_ledger={"nonce": "9f2c41aa", "requests_sent": 1},
        rent_on_failure="keep",
    )
    assert status != 0
    assert re.search(r"it has cost 1\.0\d+ dollars", output), output


@pytest.mark.long
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


LLAMA = json.loads((Path(__file__).parents[1] / "serving/fixtures/models.json").read_text())[0]
LLAMA = {**LLAMA["config"], "max_position_embeddings": 131072}


@pytest.mark.long
def test_the_hub_is_asked_what_a_model_needs_without_being_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = role("rent", "model")
    asked["ansible.builtin.include_role"]["public"] = True
    tasks = on_the_host(
        asked, {"ansible.builtin.debug": {"msg": "asked: {{ inferops_controller_hub_endpoint }}"}}
    )
    mirror = "http://127.0.0.1:1"
    why = "its memory is not computed, because its config.json is not known"
    known = {"rent_vram_gib": 24}
    status, output = play(
        tmp_path, tasks, inferops_model="a/b", inferops_hub_endpoint=mirror, **known
    )
    assert status == 0, output
    assert f"{why} ({mirror} cannot be read" in output
    monkeypatch.setenv("HF_ENDPOINT", "")
    for model in ("", "/models/a"):  # neither is on a hub
        status, output = play(tmp_path, tasks, inferops_model=model, **known)
        assert status == 0, output
        assert f"{why} (give inferops_model_config)" in output
        assert "asked: https://huggingface.co" in output


@pytest.mark.long
def test_no_gpu_is_rented_for_a_model_of_which_nothing_is_known(tmp_path: Path) -> None:
    tasks = on_the_host(role("rent", "model"), role("rent", "needs"))
    named = {"inferops_model": "/models/a"}
    status, output = play(tmp_path, tasks, rent_vram_gib=0, **named)
    assert status != 0
    assert "Nothing says which GPU /models/a needs" in output
    assert "Set rent_vram_gib or rent_gpu_names" in output
    for variables in ({"rent_vram_gib": 24}, {"rent_gpu_names": ["L4"]}):
        status, output = play(tmp_path, tasks, **{"rent_vram_gib": 0, **named, **variables})
        assert status == 0, output


def test_a_model_that_cannot_be_cut_so_is_refused_before_it_is_rented(tmp_path: Path) -> None:
    tasks = on_the_host(role("rent", "model"), role("rent", "needs"))
    given = {
        "inferops_model": "a/b",
        "inferops_model_config": LLAMA,
        "inferops_server_arguments": {"tensor_parallel_size": 3},
        "rent_gpu_count": 3,
    }
    status, output = play(tmp_path, tasks, **given)
    assert status != 0
    assert "its 32 attention heads cannot be shared out among 3 GPUs. Take 1 or 2" in output


def disk_play(tmp_path: Path, **variables: Any) -> tuple[int, str]:
    """What role rent would rent of disk and wait for, for this model."""
    asked = role("rent", "needs")
    asked["ansible.builtin.include_role"]["public"] = True
    told = "disk {{ rent_disk_gib | default('open') }}, download {{ rent_download_gib }}, "
    told += "fit {{ rent_fit.why }}"
    tasks = on_the_host(role("rent", "model"), asked, {"ansible.builtin.debug": {"msg": told}})
    given = {"inferops_model": "a/b", "inferops_model_config": LLAMA, **variables}
    return play(tmp_path, tasks, "--limit", "gpu-1", **given)


@pytest.mark.long
@pytest.mark.parametrize(
    ("variables", "said"),
    [
        # 14.96 GiB of weights, 8 of the stack and 1 that stays free; a tenth and 10 more.
        ({}, "disk open, download 18.5,"),
        ({"model_cache_asked": {"size_gib": 130.0}}, "disk open, download 133.5,"),
        (
            {"model_cache_asked": {"size_gib": 130.0}, "rent_disk_gib": 140},
            "disk 140, download 133.5,",
        ),
        ({"model_cache_asked": {"size_gib": 130.0}, "rent_disk_gib": 130}, "set it to 139 or more"),
        ({"rent_disk_gib": 20}, "a/b takes 15.0 GiB, its stack 8.0 GiB"),
        (
            {"rent_disk_gib": 20, "inferops_image_python": "/usr/bin/python3"},
            "disk 20, download 15.0,",
        ),
        ({"rent_disk_gib": 20, "inferops_model_home": "/volume"}, "disk 20, download 10,"),
        ({"rent_disk_gib": 20, "inferops_model": "/models/a"}, "disk 20, download 10,"),
    ],
)
def test_the_disk_is_as_large_as_the_model_and_the_stack_need(
    tmp_path: Path, variables: dict[str, Any], said: str
) -> None:
    status, output = disk_play(tmp_path, **variables)
    assert said in output
    assert (status == 0) == said.startswith("disk"), output


@pytest.mark.long
def test_an_offer_is_sized_by_the_words_of_the_command_line_too(tmp_path: Path) -> None:
    _status, plain = disk_play(tmp_path)
    _status, longer = disk_play(tmp_path, inferops_server_extra_args=["--max-model-len", "131072"])
    assert "KV cache for 8192 tokens" in plain
    assert "KV cache for 131072 tokens" in longer
    status, output = disk_play(tmp_path, inferops_server_extra_args=["-tp", "2"])
    assert status != 0
    assert "ask for 2 GPUs and rent_gpu_count is 1" in output


def rent_plan(tmp_path: Path, marketplace: str, **variables: Any) -> tuple[int, str]:
    """What role rent would rent for a model of 8 billion parameters."""
    given = {
        "inferops_model": "a/b",
        "inferops_model_config": LLAMA,
        "inferops_ssh_private_key_file": str(tmp_path / "key"),
        "inferops_api_url": marketplace,
        **variables,
    }
    own = on_the_host(role("rent", "main"))
    return play(tmp_path, own, "--check", "--limit", "gpu-1", **given)


def test_a_model_is_never_rented_a_card_on_which_it_cannot_start(
    tmp_path: Path, marketplace: str
) -> None:
    status, output = rent_plan(tmp_path, marketplace, rent_vram_gib="12")
    assert status != 0
    assert "rent_vram_gib is 12, and a/b cannot start with less than 16." in output
    assert "set launch_ignore_fit" in output
    status, output = rent_plan(
        tmp_path, marketplace, rent_vram_gib="12", launch_ignore_fit="true", rent_gpu_names="L4"
    )
    assert "rent_vram_gib is 12" not in output
    # Any memory is any on which it may start. By dollars alone a smaller card would be the first.
    status, output = rent_plan(tmp_path, marketplace, rent_vram_gib=0, rent_wait_usd_per_hour=0)
    assert status == 0, output
    (memory,) = re.findall(r"\((\S+) GiB each\)", output)
    assert float(memory) >= 15.9


@pytest.mark.long
def test_no_host_is_rented_whose_vllm_does_not_know_the_model(
    tmp_path: Path, marketplace: str
) -> None:
    new = {
        "inferops_model_config": {
            **LLAMA,
            "architectures": ["Step5ForConditionalGeneration"],
        }
    }
    old = {"inferops_vllm_version": "0.19.1", **new}
    status, output = rent_plan(tmp_path, marketplace, **old)
    assert status != 0
    assert "vLLM 0.19.1 does not know the model, which needs vLLM >= 0.33.0" in output
    # Whatever driver is asked for: what runs with an older one cannot serve it.
    status, output = rent_plan(
        tmp_path, marketplace, rent_driver_version="535", rent_vram_gib=0, **new
    )
    assert status == 0, output
    (driver,) = re.findall(r"driver (\d+)\.", output)
    assert int(driver) >= 580


@pytest.mark.long
@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "40 GiB of disk"),  # as is usual at the provider
        ({"model_cache_asked": {"size_gib": 130.0}}, "163 GiB of disk"),
        ({"rent_disk_gib": "50"}, "50 GiB of disk"),
    ],
)
def test_a_disk_that_is_left_open_is_as_large_as_is_needed_and_usual(
    tmp_path: Path, marketplace: str, variables: dict[str, Any], said: str
) -> None:
    given = {"inferops_model": "a/b", "inferops_model_config": LLAMA, **variables}
    given |= {"inferops_ssh_private_key_file": str(tmp_path / "key")}
    rent = on_the_host(role("rent", "main"))
    status, output = play(tmp_path, rent, "--check", inferops_api_url=marketplace, **given)
    assert status == 0, output
    assert said in output


@pytest.mark.long
def test_the_status_of_awx_looks_at_servers_that_no_inventory_of_a_user_names(
    tmp_path: Path, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the hourly schedule does: the inventory of what is rented is the only one that knows."""
    assert market.rent("gpu-9")["changed"]
    monkeypatch.setenv("INFEROPS_SCOPE", "test")
    monkeypatch.setenv("VAST_URL", market.simulator.url)
    monkeypatch.setenv("HOME", str(tmp_path))
    status, output = play(
        tmp_path,
        REPOSITORY / "playbooks" / "status.yml",
        *("-i", str(REPOSITORY / "inventories" / "awx" / "rented.rentals.yml")),
        inferops_api_url=market.simulator.url,
    )
    assert status == 0, output
    assert "gpu-9: it does not answer: " in output
