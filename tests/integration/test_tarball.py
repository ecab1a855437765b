# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The built tarball in an empty folder, with only what a collection may need at run time in it.

A dry run of the deploy playbook from there, on the oldest and on the newest ansible-core that we
support, against a marketplace simulator.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.awx import rules
from tests.awx.controller import TOKEN, Controller
from tests.hanging import HANGS_AFTER_SECONDS
from tests.tools import cores, tree

INVENTORY = """
gpu_hosts:
  hosts:
    gpu-1:
  vars:
    inferops_scope: tarball
    inferops_provider: vastai
    inferops_model: inferops/tiny-llama
    inferops_accelerator: cpu
"""


@pytest.fixture(scope="module")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of collections with nothing in it but ours, cut down to the run-time folders."""
    return cores.install(tmp_path_factory.mktemp("collections"))


@pytest.fixture(scope="module")
def simulator() -> Iterator[str]:
    """The address of a marketplace simulator that has no need of containers."""
    command = [sys.executable, "-m", "tests.simulator"]
    name = ["--instance", "test-tarball"]
    started = subprocess.run(
        [*command, "start", *name, "--port", "0", "--no-containers"],
        cwd=tree.REPOSITORY,
        stdout=subprocess.PIPE,
        timeout=HANGS_AFTER_SECONDS,
        check=True,
    )
    try:
        yield json.loads(started.stdout)["url"]
    finally:
        subprocess.run(
            [*command, "stop", *name], cwd=tree.REPOSITORY, timeout=HANGS_AFTER_SECONDS, check=True
        )


@pytest.fixture(scope="module", params=[cores.OLDEST, cores.NEWEST])
def core(request: pytest.FixtureRequest) -> Path:
    """The folder of an ansible-core's commands: the pinned one, and the newest."""
    return cores.commands(request.param)


def test_the_tarball_holds_nothing_but_the_collection(collections: Path) -> None:
    """The documents that the README links to, and no test, no development file, no cache."""
    manifest = json.loads(
        (collections / "ansible_collections" / "inferops" / "gpu" / "FILES.json").read_text()
    )
    top = {entry["name"].split("/")[0] for entry in manifest["files"]}
    allowed = {".", "LICENSE", "README.md", "changelogs", "docs", *cores.RUN_TIME_FOLDERS}
    documents = {"CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"}
    assert top - allowed - documents == {"execution-environment.yml", "extensions"}
    assert {"README.md", "docs"} <= top
    assert not [entry["name"] for entry in manifest["files"] if "__pycache__" in entry["name"]]


def play(
    collections: Path,
    simulator: str,
    core: Path,
    folder: Path,
    *arguments: str,
    environment: dict[str, str] | None = None,
) -> tuple[subprocess.CompletedProcess[str], list[dict[str, str]]]:
    """A playbook where only `ansible-galaxy collection install` was run, and what it asked for.

    By the defaults of Ansible, but for what *environment* sets.
    """
    requests.delete(
        f"{simulator}/simulator/requests", timeout=HANGS_AFTER_SECONDS
    ).raise_for_status()
    inventory = folder / "inventory" / "hosts.yml"
    inventory.parent.mkdir(exist_ok=True)
    inventory.write_text(INVENTORY)
    finished = subprocess.run(
        [core / "ansible-playbook", "-i", inventory, *arguments],
        cwd=folder,
        env={
            "PATH": f"{core}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(collections),
            "HF_ENDPOINT": "http://127.0.0.1:9",  # no test asks the real hub
            "VAST_URL": simulator,
            "VAST_API_KEY": "simulated-account-key",
            **(environment or {}),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=HANGS_AFTER_SECONDS,
        check=False,
    )
    calls = requests.get(f"{simulator}/simulator/requests", timeout=HANGS_AFTER_SECONDS).json()
    return finished, calls


@pytest.mark.parametrize("how", ["ansible.cfg", "environment"])
def test_a_dry_run_of_deploy_from_the_tarball_shows_the_offer_and_creates_nothing(
    collections: Path, simulator: str, core: Path, tmp_path: Path, how: str
) -> None:
    """With the one setting that the README asks for, made in either way."""
    environment = {"ANSIBLE_INJECT_FACT_VARS": "false"} if how == "environment" else {}
    if how == "ansible.cfg":
        (tmp_path / "ansible.cfg").write_text("[defaults]\ninject_facts_as_vars = false\n")
    finished, calls = play(
        collections,
        simulator,
        core,
        tmp_path,
        "inferops.gpu.deploy",
        "--check",
        environment=environment,
    )
    assert finished.returncode == 0, finished.stdout
    assert re.search(r"Would rent offer \d+ of vastai: .* country [A-Z]{2}", finished.stdout)
    assert re.search(r"Price: 0\.\d+ dollars per hour", finished.stdout)
    searches = [call for call in calls if "/bundles" in call["path"]]
    assert searches, "no offers were looked up"
    others = [call for call in calls if call not in searches]
    assert {call["method"] for call in others} <= {"GET"}, "it did more than read"


@pytest.mark.parametrize("playbook", ["deploy", "teardown", "reap"])
def test_by_the_defaults_of_ansible_a_playbook_contacts_nobody_and_names_the_setting(
    collections: Path, simulator: str, core: Path, tmp_path: Path, playbook: str
) -> None:
    finished, calls = play(collections, simulator, core, tmp_path, f"inferops.gpu.{playbook}")
    assert finished.returncode != 0
    output = " ".join(finished.stdout.split())
    assert "inject_facts_as_vars = false" in output
    assert "ANSIBLE_INJECT_FACT_VARS=false" in output
    assert calls == []


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["--limit", "gpu-1"], 0, "Nothing is rented under the name gpu-1"),
        (["--limit", "nothing"], 1, "no hosts to target"),
        (["--tags", "x"], 4, "have no tags"),
        (["-e", "inferops_group=wrong"], 2, "There is no group wrong"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_teardown_finds_its_host_or_fails(
    collections: Path,
    simulator: str,
    core: Path,
    tmp_path: Path,
    arguments: list[str],
    status: int,
    told: str,
) -> None:
    finished, calls = play(
        collections,
        simulator,
        core,
        tmp_path,
        "inferops.gpu.teardown",
        *arguments,
        environment={"ANSIBLE_INJECT_FACT_VARS": "false"},
    )
    assert finished.returncode == status, finished.stdout
    assert told in " ".join(finished.stdout.split())
    assert bool(calls) == (status == 0)


def test_awx_becomes_what_the_release_says(collections: Path, core: Path, tmp_path: Path) -> None:
    """With an address and a token, from the folder of the installed collection."""
    awx = Controller(rules.playbooks(tree.REPOSITORY))
    try:
        finished = subprocess.run(
            [core / "ansible-playbook", "awx/bootstrap.yml"],
            cwd=collections / "ansible_collections" / "inferops" / "gpu",
            env={
                "PATH": f"{core}{os.pathsep}{os.environ['PATH']}",
                "HOME": str(tmp_path),
                "LC_ALL": "C.UTF-8",
                "ANSIBLE_COLLECTIONS_PATH": str(collections),
                "CONTROLLER_HOST": awx.url,
                "CONTROLLER_OAUTH_TOKEN": TOKEN,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=HANGS_AFTER_SECONDS,
            check=False,
        )
        assert finished.returncode == 0, finished.stdout
        assert awx.named("workflow_job_templates", "inferops serve a model")
        injected = awx.named("credential_types", "inferops scope")["injectors"]
        assert injected["extra_vars"]["inferops_scope"] == "{{ scope }}"
        told = awx.named("job_templates", "inferops deploy")["extra_vars"]
        assert json.loads(told)["inferops_reaper"].startswith("{{ inferops_provider in ")
    finally:
        awx.close()
