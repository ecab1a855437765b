# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller lacks is found before anything is rented, and paths mean what people mean."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.plugin_utils import controller
from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator.app import Simulator
from tests.tools.tree import REPOSITORY
from tests.unit import sampled
from tests.unit.plays import on_the_host, play, role

DEPLOY = REPOSITORY / "playbooks" / "deploy.yml"
#: Where nothing is refused, the run ends soon for want of a host.
NOT_FOR_LONG = {"rent_ready_timeout_seconds": 5, "rent_max_attempts": 1}
WITHOUT = """
import sys


class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "{library}":
            raise ModuleNotFoundError(f"No module named {{name!r}}")


sys.meta_path.insert(0, Without())
"""


def deploy(
    tmp_path: Path, simulator: Simulator, *arguments: str, **given: Any
) -> tuple[int, str, list[str]]:
    """A deploy of one host: its status, its output, and the calls that the marketplace got."""
    given = {
        "inferops_api_url": simulator.url,
        "inferops_model": "a/b",
        "inferops_controller_hub_endpoint": "http://127.0.0.1:9",
        "inferops_ssh_private_key_file": str(tmp_path / "key"),
        "inferops_evidence_dir": str(tmp_path / "evidence"),
        **NOT_FOR_LONG,
        **given,
    }
    status, output = play(tmp_path, DEPLOY, "--limit", "gpu-1", *arguments, **given)
    return status, output, [entry["path"] for entry in simulator.journal.entries()]


@pytest.mark.parametrize("arguments", [(), ("--check",)], ids=["run", "check"])
@pytest.mark.parametrize(
    "name",
    sampled.some(
        [
            "inferops_controller_dir",
            "inferops_evidence_dir",
            "inferops_report_dir",
            "rent_receipt_dir",
            "stack_lock_file",
        ],
        4,
    ),
)
def test_a_folder_that_cannot_be_written_to_is_found_before_anything_is_rented(
    tmp_path: Path, simulator: Simulator, name: str, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "file").write_text("a file where a folder should be")
    folder = str(tmp_path / "file" / "below" / "it")
    status, output, asked = deploy(tmp_path, simulator, *arguments, **{name: folder})
    assert status != 0
    assert f"{name} is {folder}, which cannot be written to" in output
    assert asked == []


def test_a_folder_that_can_only_be_read_is_found(tmp_path: Path) -> None:
    assert controller.unwritable(Path("/proc/inferops"))
    assert controller.unwritable(tmp_path / "not" / "there" / "yet") == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("library", ["paramiko", "jmespath"])
def test_a_library_that_is_missing_is_found_before_anything_is_rented(
    tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITHOUT.format(library=library))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    status, output, asked = deploy(tmp_path, simulator, rent_filter="gpu_count == `1`")
    assert status != 0
    interpreter = re.search(rf"library {library} is missing for (\S+), which runs Ansible", output)
    assert interpreter, output
    assert Path(interpreter[1]).samefile(sys.executable)
    assert asked == []


@pytest.mark.parametrize("playbook", [DEPLOY, None], ids=["deploy", "role rent"])
def test_a_missing_ssh_client_is_found_before_anything_is_rented(
    tmp_path: Path,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    playbook: Path | None,
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "env", "ssh-keygen"):
        (tools / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(tools))
    given = {
        "inferops_api_url": simulator.url,
        "inferops_controller_hub_endpoint": "http://127.0.0.1:9",
        "inferops_model": "a/b",
        "inferops_ssh_private_key_file": str(tmp_path / "key"),
        **NOT_FOR_LONG,
    }
    own = on_the_host(role("rent", "main"))
    status, output = play(tmp_path, playbook or own, "--limit", "gpu-1", **given)
    assert status != 0
    assert "The program ssh is not in the PATH of the controller" in output
    assert simulator.journal.entries() == []


def test_a_private_key_without_its_public_half_is_good(tmp_path: Path) -> None:
    key = tmp_path / "key"
    keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    subprocess.run(keygen, check=True, stdin=subprocess.DEVNULL)
    public = Path(f"{key}.pub")
    expected = public.read_text().split()[1]
    public.unlink()
    shown = {"ansible.builtin.debug": {"msg": "public {{ rent_key_pair.public_key }}"}}
    tasks = on_the_host(role("rent", "key_pair"), shown)
    status, output = play(
        tmp_path, tasks, "--limit", "gpu-1", inferops_ssh_private_key_file=str(key)
    )
    assert status == 0, output
    assert f"public ssh-ed25519 {expected}" in output


def test_a_key_that_cannot_log_in_is_found_before_anything_is_rented(
    tmp_path: Path, simulator: Simulator
) -> None:
    key = tmp_path / "key"
    keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    subprocess.run(keygen, check=True, stdin=subprocess.DEVNULL)
    (tmp_path / "key-cert.pub").write_text("no certificate")
    status, output, asked = deploy(tmp_path, simulator)
    assert status != 0
    assert "cannot be used as a key" in output
    assert not any("asks" in path for path in asked)


def reported(tmp_path: Path, **given: Any) -> tuple[int, str]:
    """Exit status and output of what a deploy says at its end."""
    report = REPOSITORY / "playbooks" / "tasks" / "report.yml"
    tasks = on_the_host({"ansible.builtin.include_tasks": str(report)})
    known: dict[str, Any] = {
        "inferops_look": {"at": 1},
        "inferops_endpoint": {"url": "http://127.0.0.1:1/v1", "model": "a/b", "completion": "c"},
        "inferops_rental": {
            "provider": "vastai",
            "id": "7",
            "machine_id": "42",
            "price_usd_per_hour": 0.5,
            "started_at": 1,
        },
        "inferops_offer": {},
        "inferops_deadline": {"at": 0, "enforced_by": "nobody", "clock_offset_seconds": 0},
        "deploy_checked": {"at": 1},
    }
    plays = [{**tasks[0], "roles": ["inferops.gpu.inferops"]}]
    return play(tmp_path, plays, "--limit", "gpu-1", **{**known, **given})


def test_the_report_holds_what_was_expected_against_what_happened(tmp_path: Path) -> None:
    now = time.time()
    phases = {"ssh": 200.0, "install": 300.0, "launch": 100.0}
    expected = {"total_seconds": 600.0, "phases": phases, "paces": {"ssh": 2.0}}
    status, output = reported(
        tmp_path,
        inferops_report_dir=str(tmp_path / "reports"),
        inferops_history_path=str(tmp_path / "history.jsonl"),
        inferops_offer={"id": "1", "first_token": expected},
        inferops_look={"at": now - 400},
        deploy_installed_at=now - 100,
        rent_ready={"seconds": {"running": 90.0, "ssh": 10.0}},
    )
    assert status == 0, output
    assert "(SSH 1.7 of 3.3, install 5.0 of 5.0, launch " in output
    told = json.loads((tmp_path / "reports" / "gpu-1.json").read_text())["first_token"]
    assert told["expected_seconds"] == 600
    assert told["phases"]["ssh"] == {"expected_seconds": 200, "happened_seconds": 100}
    (line,) = map(json.loads, (tmp_path / "history.jsonl").read_text().splitlines())
    assert (line["outcome"], line["machine_id"], line["stage"]) == ("measured", "42", "")
    # The offer alone had let expect 100 s: the history had made 200 of them.
    assert line["ratios"]["ssh"] == 1.0
    assert line["ratios"]["install"] == pytest.approx(1.0, abs=0.01)


def test_of_a_host_that_was_there_the_report_expects_nothing(tmp_path: Path) -> None:
    status, output = reported(tmp_path, inferops_history_path=str(tmp_path / "history.jsonl"))
    assert status == 0, output
    assert "First token: nothing was expected" in output
    assert not (tmp_path / "history.jsonl").exists()


def test_a_report_that_cannot_be_kept_ends_no_deploy(tmp_path: Path) -> None:
    """The folder was writable when the run began."""
    (tmp_path / "file").write_text("")
    status, output = reported(tmp_path, inferops_report_dir=str(tmp_path / "file"))
    assert status == 0, output
    assert "The report could not be kept: " in output
    assert "Endpoint: http://127.0.0.1:1/v1 serves a/b" in output


@pytest.mark.long
def test_relative_paths_count_from_where_the_user_is(tmp_path: Path, simulator: Simulator) -> None:
    """An installed playbook lies in the collection's folder, where nothing of users belongs."""
    (tmp_path / "hosts.yml").write_text("gpu_hosts: {hosts: {gpu-1: {}}}\n")
    config = json.loads((REPOSITORY / "tests/unit/serving/fixtures/models.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config[0]["config"]))
    given = {
        "inferops_scope": "test",
        "inferops_model": "a/b",
        "inferops_api_url": simulator.url,
        "inferops_controller_hub_endpoint": "http://127.0.0.1:9",
        "inferops_controller_dir": "own/controller",
        "inferops_ssh_private_key_file": "own/key",
        "inferops_evidence_dir": "own/evidence",
        "inferops_report_dir": "own/reports",
        "inferops_history_path": "own/history",
        "inferops_model_config": "config.json",
        "reap_report_file": "own/reap.json",
    }
    for name, arguments in (
        ("status", []),
        ("reap", []),
        ("deploy", ["--check"]),
        ("support_bundle", []),
    ):
        done = subprocess.run(
            [
                Path(sys.executable).with_name("ansible-playbook"),
                *("-i", "hosts.yml", f"inferops.gpu.{name}", "-e", json.dumps(given), *arguments),
            ],
            cwd=tmp_path,
            env={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / "collections"),
                "ANSIBLE_INJECT_FACT_VARS": "false",
                "VAST_API_KEY": "simulated-account-key",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=HANGS_AFTER_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert name != "deploy" or "KV cache for" in " ".join(done.stdout.split())
    assert not (REPOSITORY / "playbooks" / "own").exists()
    kept = {path.name for path in (tmp_path / "own").iterdir()}
    assert {"controller", "evidence", "reports", "reap.json"} <= kept
    assert list((tmp_path / "own" / "evidence").glob("*.tar.gz"))
