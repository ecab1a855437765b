# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which build of llama.cpp a host gets, and what the controller refuses of it before it costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.inferops.gpu.plugins.filter.engine_facts import engine_facts
from ansible_collections.inferops.gpu.plugins.filter.engine_plan import engine_plan
from ansible_collections.inferops.gpu.plugins.module_utils.common import lock
from ansible_collections.inferops.gpu.plugins.plugin_utils import variables

LLAMA = "llama_cpp"
MODEL = "roles/rent/tasks/model.yml"
HOST = {"driver_version": "580.95.05", "glibc_version": "2.35", "compute_capability": ["8.9"]}


def test_the_build_for_cpus_is_pinned_to_files_that_are_known() -> None:
    plan = engine_plan({}, LLAMA, "cpu")
    ((name, pin),) = lock.read(plan["lock"]).items()
    assert plan["requirements"] == [f"{name}=={pin.version}"]
    assert len(pin.hashes) == 2
    assert (plan["index"], plan["least_driver"]) == ("", "")


def test_the_build_for_gpus_comes_from_the_packages_own_index() -> None:
    plan = engine_plan(HOST, LLAMA)
    assert plan["build"] == "cu128"
    assert plan["index"].endswith("/cu128")
    assert plan["least_driver"] == "570"
    assert plan["environment"] == {"INFEROPS_ACCELERATOR": "cuda"}
    other = engine_plan(HOST, LLAMA, release="2026.9.11063")
    assert other["requirements"] == ["xllamacpp==2026.9.11063"]
    assert other["lock"] == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"driver_version": "550.54.15"}, "needs driver 570 or newer"),
        ({"glibc_version": "2.31"}, "needs glibc 2.35 or newer"),
        ({"compute_capability": ["8.9", "3.7"]}, "needs compute capability 5.0 or newer"),
        ({"compute_capability": "3.5"}, "needs compute capability 5.0 or newer"),
    ],
)
def test_a_host_that_it_cannot_compute_on_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(AnsibleFilterError) as error:
        engine_plan({**HOST, **change}, LLAMA)
    assert said in str(error.value)
    assert engine_plan({**HOST, **change}, LLAMA, "cpu")["build"] == "cpu"


def test_of_other_engines_the_stack_is_planned() -> None:
    assert "vllm_version" in engine_plan(HOST, "vllm")
    assert engine_facts("vllm")["roles"][-1] == "vllm"
    assert engine_facts(LLAMA) == {
        "roles": [LLAMA],
        "weights_format": "gguf",
        "release_variable": "llama_cpp_version",
    }
    assert engine_facts("another") == {
        "roles": [],
        "weights_format": "safetensors",
        "release_variable": "",
    }


def test_an_option_that_it_does_not_know_is_refused_before_anything_is_rented() -> None:
    asked = {"inferops_engine": LLAMA, "inferops_server_arguments": {"max_model_len": 512}}
    (told,) = variables.judged_options(asked).complaints
    assert told == "inferops_server_arguments: there is no option --max-model-len."
    asked["inferops_server_arguments"] = {"ctx_size": 512}
    assert variables.judged_options(asked).complaints == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"inferops_image_python": "/opt/venv/bin/python"}, "leave it at auto"),
        ({"model_cache_enabled": False, "inferops_model": "org/m"}, "org/m is not"),
        ({"llama_cpp_version": "latest"}, "llama_cpp_version is 'latest'"),
        ({"llama_cpp_version": "b11549"}, "no release of xllamacpp"),
        ({"inferops_served_model_name": ["a,b c"]}, "has a comma"),
    ],
)
def test_what_it_can_never_serve_is_refused_before_anything_is_rented(
    change: dict[str, Any], said: str
) -> None:
    (told,) = variables.judged_options({"inferops_engine": LLAMA, **change}).complaints
    assert said in told
    assert variables.judged_options({"inferops_engine": "vllm", **change}).complaints == ()


@pytest.mark.parametrize(
    "wish",
    [
        {"inferops_image_python": "auto", "llama_cpp_version": "auto"},
        {"llama_cpp_version": "2026.9.11063", "inferops_model": "org/m"},
        {"model_cache_enabled": False, "inferops_model": "/models/a,b.gguf"},
        {"inferops_served_model_name": ["a", "b c"]},
    ],
)
def test_what_it_can_serve_passes(wish: dict[str, Any]) -> None:
    assert variables.judged_options({"inferops_engine": LLAMA, **wish}) == variables.Judged()


def test_no_release_is_planned_that_is_none() -> None:
    with pytest.raises(AnsibleFilterError, match="give one such as"):
        engine_plan({}, LLAMA, "cpu", "b11549")


def test_every_plan_of_a_play_is_of_the_release_that_is_asked_for() -> None:
    root = Path(__file__).parents[3]
    plans = [
        line
        for folder in ("roles", "playbooks")
        for file in (root / folder).rglob("*.yml")
        for line in file.read_text().splitlines()
        if "inferops.gpu.engine_plan(" in line
    ]
    assert len(plans) >= 3
    asked = ("inferops_engine_release", "llama_cpp_version")
    assert [line for line in plans if not any(word in line for word in asked)] == []
    for file in ("playbooks/tasks/plan.yml", MODEL):
        assert '  release: "{{ inferops_engine_release }}"' in (root / file).read_text()
