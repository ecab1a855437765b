# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What role launch does about caches: its own tasks, on a host whose answers are given here."""

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

from ansible_collections.inferops.gpu.plugins.action.compiled_cache import is_wanted
from ansible_collections.inferops.gpu.plugins.action.model_fit import needs_supervisord
from ansible_collections.inferops.gpu.plugins.module_utils.common.compiled_cache import (
    Limit,
    pack,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.explanation import (
    MAY_BE_ITS_CACHES,
    STOPPED_BY_US,
    blames_caches,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.failures import FAILURES
from ansible_collections.inferops.gpu.plugins.plugin_utils.cache_store import Kept, Origin, Store
from tests.hanging import HANGS_AFTER_SECONDS
from tests.tools.tree import REPOSITORY

KEY = {"gpu": "NVIDIA L40S", "driver": "580.95.05"}
RENTAL = {"provider": "vastai", "machine_id": "1234"}
FIT = {
    "changed": False,
    "gpu": {"present": False, "gpus": []},
    "host": {"init_system": "systemd", "is_root": True, "memory_usable_mib": 65536},
    "server": {"phase": "absent", "processes": [], "memory_before_mib": {}},
    "model": {"config": None, "quantization": None, "weights_bytes": None},
}
STARTED = {"changed": True, "server": {"name": "vllm", "phase": "starting"}, "port": 8000}
SERVES = {"changed": True, "server": {"name": "vllm", "phase": "running"}, "port": 8000}
UNKNOWN = "RuntimeError: nobody has seen this before"
MEMORY = "ValueError: No available memory for the cache blocks."


def died(log: str) -> dict[str, Any]:
    """What is seen of a server whose log ended so."""
    server = {
        "name": "vllm",
        "phase": "error",
        "progress": "failed",
        "reason": "its process ended",
        "log_path": "/log",
        "symptoms": {"log": log, "exit_code": 1},
    }
    return {"changed": False, "servers": [server]}


class Host:
    """A host that answers to each module what is written down for its first, second, ... call."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, Store(folder / "store")
        self.python = folder / "python3"
        self.python.write_text(
            f"#!{sys.executable}\nimport pathlib, re, sys\n"
            f"folder = pathlib.Path({str(folder)!r})\n"
            "name = re.search(r'AnsiballZ_(\\w+)[.]py', ' '.join(sys.argv))[1]\n"
            "with open(folder / 'calls', 'a') as calls: print(name, file=calls)\n"
            "(folder / f'{name}.asked').write_text(pathlib.Path(sys.argv[1]).read_text())\n"
            "number = (folder / 'calls').read_text().split().count(name)\n"
            "files = sorted(folder.glob(f'{name}.[0-9]'))\n"
            "print(files[min(number, len(files)) - 1].read_text())\n"
        )
        self.python.chmod(0o755)
        (folder / "caches").mkdir()
        look = {
            "key": KEY,
            "has_own": False,
            "was_given": False,
            "free_bytes": 2**40,
            "incoming": str(folder / "caches" / "incoming"),
        }
        self.says("host_look", FIT)
        self.says("compiled_cache", {"changed": False, **look})
        self.says("model_server", SERVES)

    def says(self, module: str, *answers: dict[str, Any]) -> None:
        for number, answer in enumerate(answers):
            (self.folder / f"{module}.{number}").write_text(json.dumps(answer))

    def asked(self, module: str) -> str:
        """What a module was last called with, as the text that travelled."""
        return (self.folder / f"{module}.asked").read_text().replace("\\", "")

    def keep(self) -> None:
        """A cache that fits."""
        self.store.open()
        draft, file = self.store.incoming(), self.folder / "kernel"
        file.write_bytes(b"compiled")
        with draft.open("wb") as archive, file.open("rb") as stream:
            contents = pack([("graphs/a", stream)], archive, Limit.of(60))
        kept = Kept(KEY, Origin("prod", "vastai", "1234", False), contents)
        self.store.add(draft, kept, 2**30, 5)

    def launch(self, **variables: Any) -> tuple[int, str, list[str]]:
        """Exit status, output, and the modules that ran on the host, of the role."""
        file = self.folder / "play.yml"
        roles = [
            {"ansible.builtin.include_role": {"name": "inferops.gpu.launch", **more}}
            for more in ({"rolespec_validate": False}, {"tasks_from": "keep"})
        ]
        file.write_text(yaml.safe_dump([{"hosts": "gpu-1", "gather_facts": False, "tasks": roles}]))
        given = {
            "ansible_connection": "local",
            "ansible_python_interpreter": str(self.python),
            "inferops_scope": "prod",
            "inferops_model": "a/b",
            "inferops_accelerator": "cpu",
            "inferops_python": "/venv/bin/python",
            "inferops_stack": {"environment": {}, "accelerator": "cpu"},
            "inferops_rental": RENTAL,
            "inferops_server_keyless": True,
            "inferops_cache_home": str(self.store.folder),
            **variables,
        }
        command = ["ansible-playbook", "-i", "gpu-1,", str(file), "-e", json.dumps(given)]
        done = subprocess.run(
            [Path(sys.executable).with_name(command[0]), *command[1:]],
            cwd=REPOSITORY,
            env={**os.environ, "ANSIBLE_PIPELINING": "False"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=HANGS_AFTER_SECONDS,
            check=False,
        )
        calls = (self.folder / "calls").read_text().split()
        return done.returncode, " ".join((done.stdout + done.stderr).split()), calls


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_host_gets_what_fits_before_its_server_starts_and_gives_nothing_back(host: Host) -> None:
    host.keep()
    status, output, calls = host.launch()
    assert status == 0, output
    assert calls == ["host_look", "compiled_cache", "compiled_cache", "model_server"]
    assert re.search(r"gpu-1: carried \d+ MiB of what this machine itself has compiled", output)
    assert (host.folder / "caches" / "incoming").is_file()


def test_a_start_that_fails_with_what_was_carried_is_made_again_without(host: Host) -> None:
    host.keep()
    host.says("model_server", STARTED, SERVES)
    host.says("model_server_info", died(UNKNOWN))
    status, output, calls = host.launch()
    assert status == 0, output
    assert calls.count("model_server") == 2
    assert "the start failed with what was carried: it is removed" in output
    assert not list(host.store.folder.glob("*.json"))


@pytest.mark.long
def test_a_start_that_fails_without_it_as_well_fails_with_its_cause(host: Host) -> None:
    host.keep()
    host.says("model_server", STARTED, STARTED)
    host.says("model_server_info", died(UNKNOWN))
    status, output, calls = host.launch()
    assert status != 0
    assert calls.count("model_server") == 2
    assert "failed to start: its process ended" in output


@pytest.mark.long
@pytest.mark.parametrize("log", [MEMORY, UNKNOWN])
def test_a_start_that_fails_for_another_reason_is_made_once(host: Host, log: str) -> None:
    """That of too little memory is none of the cache's, and without a cache nothing is."""
    if log == MEMORY:
        host.keep()
    host.says("model_server", STARTED)
    host.says("model_server_info", died(log))
    status, output, calls = host.launch()
    assert status != 0
    assert calls.count("model_server") == 1
    assert "failed to start: its process ended" in output


@pytest.mark.long
@pytest.mark.parametrize(
    "variables",
    [
        {"inferops_cache_home": ""},
        {"inferops_look": {"server": {"phase": "running"}}},
    ],
)
def test_nothing_is_looked_for_where_none_are_kept_or_the_server_runs(
    host: Host, variables: dict[str, Any]
) -> None:
    host.says("model_server", {**SERVES, "changed": False})
    status, output, calls = host.launch(**variables)
    assert status == 0, output
    assert "compiled_cache" not in calls


@pytest.mark.parametrize(
    ("state", "server_runs", "cache_id", "wanted"),
    [
        ("given", False, "", True),
        ("given", True, "", False),
        ("kept", False, "", True),
        ("kept", True, "", False),
        ("kept", False, "4c1b", False),
        ("withdrawn", True, "4c1b", True),
    ],
)
def test_a_host_is_asked_only_where_something_new_is_compiled(
    state: str, server_runs: bool, cache_id: str, wanted: bool
) -> None:
    assert is_wanted(state, server_runs, cache_id) == wanted


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, "Its weights are read with safetensors_load_strategy prefetch: reading ahead was"),
        ({"load_format": "auto"}, "Its weights are read as you ask: load_format is set"),
    ],
)
def test_how_weights_are_read_is_told_and_costs_no_look_of_its_own(
    host: Host, arguments: dict[str, Any], told: str
) -> None:
    placed = {"bytes": 2**34, "file_system": "virtiofs", "cached_share": 0.0}
    host.says("host_look", {**FIT, "model": {**FIT["model"], "weights": placed}})
    stack = {"environment": {}, "accelerator": "cuda", "vllm_version": "0.32.0"}
    status, output, calls = host.launch(
        inferops_cache_home="", inferops_stack=stack, inferops_server_arguments=arguments
    )
    assert status == 0, output
    assert told in output
    suggested = '"suggested_arguments": {"safetensors_load_strategy": "prefetch"}'
    assert (suggested in host.asked("model_server")) == (not arguments)
    assert calls == ["host_look", "model_server"]


def test_the_causes_that_a_cache_may_be_behind_are_ones_that_are_told() -> None:
    told = {"unknown", *(entry["cause_id"] for entry in STOPPED_BY_US.values())}
    told |= {entry.id for entry in FAILURES}
    assert told >= MAY_BE_ITS_CACHES


def test_only_what_was_carried_is_blamed_and_only_for_what_it_may_do() -> None:
    assert blames_caches({"cause_id": "crash"}, True)
    assert not blames_caches({"cause_id": "crash"}, False)
    assert not blames_caches({"cause_id": "no_kv_cache_memory"}, True)
    assert not blames_caches({}, True)


@pytest.mark.parametrize(
    ("asked", "init_system", "is_root", "needed"),
    [
        ("auto", "systemd", True, False),
        ("auto", "systemd", False, True),
        ("auto", "none", True, True),
        ("supervisord", "systemd", True, True),
        ("systemd", "none", False, False),
    ],
)
def test_supervisord_is_installed_where_systemd_may_not_do(
    asked: str, init_system: str, is_root: bool, needed: bool
) -> None:
    host = {"init_system": init_system, "is_root": is_root}
    assert needs_supervisord(asked, host) == needed
