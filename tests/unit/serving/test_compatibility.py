# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which stack the table gives to which host."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.inferops.gpu.plugins.filter.least_release import least_release
from ansible_collections.inferops.gpu.plugins.filter.stack_plan import stack_plan
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.planning import (
    StackImpossible,
    fulfils,
    plan_stack,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.releases import (
    GENERATIONS,
    SERIES,
)


@pytest.mark.parametrize(
    ("driver", "vllm", "backend"),
    [("580.95.05", "0.33.0", "cu130"), ("570.86.10", "0.19.1", "cu128"), (None, "0.33.0", "cu130")],
)
def test_the_newest_vllm_that_the_driver_runs_is_taken(
    driver: str | None, vllm: str, backend: str
) -> None:
    plan = plan_stack("cuda", driver, "8.9")
    assert (plan["vllm_version"], plan["torch_backend"]) == (vllm, backend)
    assert f"vllm=={vllm}" in plan["requirements"]


def test_a_release_that_predates_transformers_5_is_kept_from_it() -> None:
    assert plan_stack("cuda", "550.54.15", "8.0")["constraints"] == ["transformers<5"]


def test_no_sampler_is_taken_that_compiles_on_hosts_without_nvcc() -> None:
    plan = plan_stack("cuda", "580.95.05", "9.0")
    assert plan["environment"] == {"VLLM_USE_FLASHINFER_SAMPLER": "0"}


def test_a_driver_that_is_too_old_is_refused_with_what_would_help() -> None:
    with pytest.raises(
        StackImpossible,
        match=r"needs a driver >= 525, here is 470[\s\S]*What would help: a driver >= 525",
    ):
        plan_stack("cuda", "470.256.02", "8.6")


def test_blackwell_on_an_old_driver_is_refused() -> None:
    with pytest.raises(StackImpossible, match="driver >= 570 on this GPU"):
        plan_stack("cuda", "550.54.15", "12.0")


def test_pascal_is_refused_by_its_architecture() -> None:
    with pytest.raises(StackImpossible, match="compute capability"):
        plan_stack("cuda", "580.95.05", "6.1")


def test_a_pinned_release_is_taken_or_refused_never_replaced() -> None:
    assert plan_stack("cuda", "580.95.05", "8.9", "0.19.1")["vllm_version"] == "0.19.1"
    with pytest.raises(StackImpossible, match="needs a driver >= 580"):
        plan_stack("cuda", "535.183.06", "8.9", "0.32.0")
    with pytest.raises(StackImpossible, match=r"use auto or a version from 0\.6\.0 to 0\.33\.0"):
        plan_stack("cuda", "580.95.05", "8.9", "0.0.1")


def test_a_cpu_needs_no_driver_and_leaves_out_what_links_to_cuda() -> None:
    plan = plan_stack("cpu", None, None)
    assert plan["torch_device"] == "cpu"
    assert "torchvision" in plan["excluded"]
    assert plan["torch_version"].endswith("+cpu")


def test_the_filter_takes_an_offer_and_tells_refusals() -> None:
    offer = {"driver_version": "570.86.10", "compute_capability": "8.9", "country": "SE"}
    assert stack_plan(offer)["vllm_version"] == "0.19.1"
    with pytest.raises(AnsibleFilterError, match=r"'tpu' is unknown.*use cuda or cpu"):
        stack_plan({}, "tpu")


def refusal(*wish: str | tuple[str, ...] | None) -> StackImpossible:
    with pytest.raises(StackImpossible) as refused:
        plan_stack(*wish)  # type: ignore[arg-type]
    return refused.value


def test_every_row_has_a_source_and_a_release_is_in_one_row_only() -> None:
    assert all(row.source for row in (*SERIES, *GENERATIONS))
    assert all(build.source for row in SERIES for build in row.builds if build.cuda)
    versions = [(row.accelerator, version) for row in SERIES for version in row.versions]
    assert len(versions) == len(set(versions))
    assert all(row.resolved in (*row.versions, "") for row in SERIES)


@pytest.mark.parametrize("driver", ["470.256.02", "535.183.06", "570.86.10", "620.10.01"])
@pytest.mark.parametrize("generation", [row.name for row in GENERATIONS])
@pytest.mark.parametrize("vllm", ["auto", "0.6.6.post1", "0.8.5.post1", "0.25.1", "0.32.0"])
def test_a_plan_comes_whole_and_a_refusal_with_a_way_out_that_works(
    driver: str, generation: str, vllm: str
) -> None:
    capability = next(str(row.capabilities[0]) for row in GENERATIONS if row.name == generation)
    try:
        plan = plan_stack("cuda", driver, capability, vllm)
    except StackImpossible:
        impossible = refusal("cuda", driver, capability, vllm)
        assert driver in impossible.cause
        assert capability in impossible.cause
        proven = [way.wish for way in impossible.ways_out if way.wish]
        assert proven
        assert all(plan_stack(**asdict(wish))["requirements"] for wish in proven)
    else:
        assert plan["torch_backend"].startswith("cu")
        assert vllm in (plan["vllm_version"], "auto")


def test_a_pinned_release_gets_its_cuda_12_wheel_where_the_driver_needs_it() -> None:
    plan = plan_stack("cuda", "535.183.06", "8.6", "0.25.1")
    assert plan["requirements"] == ["vllm==0.25.1+cu129", "torch==2.11.0"]
    assert plan["indexes"] == ["https://wheels.vllm.ai/0.25.1/cu129"]
    assert plan["torch_backend"] == "cu129"
    assert plan_stack("cuda", "580.95.05", "8.6", "0.25.1")["requirements"][0] == "vllm==0.25.1"


def test_auto_never_takes_a_release_whose_lock_was_not_tried() -> None:
    assert plan_stack("cuda", "580.95.05", "9.0")["vllm_version"] == "0.33.0"
    notes = plan_stack("cuda", "580.95.05", "9.0", "0.31.0")["notes"]
    assert any("its lock was not tried" in note for note in notes)


def test_a_withdrawn_release_is_refused_with_the_reason() -> None:
    impossible = refusal("cuda", "580.95.05", "9.0", "0.8.2")
    assert "xgrammar" in impossible.cause
    assert any("vLLM 0.33.0" in way.text for way in impossible.ways_out)


def test_a_volta_gpu_gets_the_last_release_with_its_kernels_and_no_driver_that_forgot_it() -> None:
    assert plan_stack("cuda", "580.95.05", "7.0")["vllm_version"] == "0.19.1"
    impossible = refusal("cuda", "620.10.01", "7.0")
    assert any(way.text == "a driver of branch 580" for way in impossible.ways_out)


@pytest.mark.parametrize(
    ("driver", "capability", "vllm", "backend", "image"),
    [
        ("580.95.05", "8.6", "0.24.0", "cu130", "docker.io/vllm/vllm-openai:v0.24.0"),
        ("570.86.10", "8.6", "0.24.0", "cu129", ""),
        ("580.95.05", "7.5", "0.11.0", "cu128", "docker.io/vllm/vllm-openai:v0.11.0"),
        ("580.95.05", "7.0", "0.11.0", "cu126", ""),
    ],
)
def test_an_image_is_named_only_where_it_holds_the_build_of_the_plan(
    driver: str, capability: str, vllm: str, backend: str, image: str
) -> None:
    plan = plan_stack("cuda", driver, capability, vllm)
    assert (plan["torch_backend"], plan["image"]) == (backend, image)


def test_no_way_out_is_named_that_the_planner_would_refuse() -> None:
    ways = refusal("cuda", "535.183.06", "9.0", "0.32.0").ways_out
    assert all(way.wish for way in ways)
    assert not any("VLLM_ENABLE_CUDA_COMPATIBILITY" in way.text for way in ways)


def test_old_systems_and_pythons_are_refused_by_name() -> None:
    host = {"driver_version": "580.95.05", "glibc_version": "2.31"}
    assert stack_plan(host)["vllm_version"] == "0.33.0"
    with pytest.raises(AnsibleFilterError, match=r"glibc >= 2\.35, here is 2\.31"):
        stack_plan(host, vllm_version="0.20.2")
    with pytest.raises(AnsibleFilterError, match=r"glibc >= 2\.31, here is 2\.28"):
        stack_plan({**host, "glibc_version": "2.28"}, vllm_version="0.32.0")
    with pytest.raises(AnsibleFilterError, match=r"needs Python >=3\.11,<3\.15, here is 3\.10"):
        stack_plan({"python_version": "3.10.12"}, vllm_version="0.32.0")
    assert stack_plan({"python_version": "3.10"})["vllm_version"] == "0.30.0"


def test_of_the_pythons_that_are_there_the_newest_that_suits_is_taken() -> None:
    several = stack_plan({"python_version": ["3.9.2", "3.16.1", "3.12.4", "3.14.0"]})
    assert (several["vllm_version"], several["python_version"]) == ("0.33.0", "3.14.0")
    assert stack_plan({"python_version": ["3.10.12", "3.9.2"]})["vllm_version"] == "0.30.0"
    assert stack_plan({"python_version": []})["python_version"] == ""
    with pytest.raises(AnsibleFilterError, match=r"here is 3\.10\.12 and 3\.9\.2"):
        stack_plan({"python_version": ["3.10.12", "3.9.2"]}, vllm_version="0.32.0")


def test_the_limits_of_a_release_travel_with_its_plan() -> None:
    old = plan_stack("cuda", "550.54.15", "8.0", "0.6.6.post1")
    assert old["constraints"] == ["numpy<2", "transformers<4.54"]
    assert old["ray"]
    new = plan_stack("cuda", "580.95.05", "8.0", "0.32.0")
    assert new["constraints"] == []
    assert not new["ray"]


@pytest.mark.parametrize("unknown", ["N/A", "[N/A]", "", None])
def test_what_a_host_does_not_tell_as_a_number_is_unknown(unknown: str | None) -> None:
    assert stack_plan({"driver_version": unknown, "compute_capability": unknown}) == stack_plan({})
    host = {"driver_version": "535.183.06", "compute_capability": unknown}
    assert stack_plan(host) == stack_plan({"driver_version": "535.183.06"})


def test_a_plan_suits_every_gpu_that_shall_serve() -> None:
    gpus = [{"index": 0, "compute_capability": "7.0"}, {"index": 1, "compute_capability": "12.0"}]

    def planned(visible: str) -> str:
        host = {"driver_version": "580.95.05"}
        plan = stack_plan(host, gpus=gpus, visible_devices=visible)
        return str(plan["vllm_version"])

    assert planned("1") == "0.33.0"
    # The last release with kernels for Volta has those for Blackwell, too; an older one has not.
    assert planned("") == planned("1,0") == planned("MIG-4b3c") == "0.19.1"
    unknown = [{"index": 0, "compute_capability": None}]
    assert stack_plan({}, gpus=unknown) == stack_plan({}, gpus=[]) == stack_plan({})
    impossible = refusal("cuda", "580.95.05", ("7.0", "12.0"), "0.8.5.post1")
    assert "here is 7.0 and 12.0" in impossible.cause
    assert "compute capability 7.0 and 12.0 (Volta, Blackwell)" in impossible.cause
    assert any("only the GPUs of compute capability 7.0" in way.text for way in impossible.ways_out)
    with pytest.raises(StackImpossible, match=r"driver >= 570 on this GPU \(Blackwell\)"):
        plan_stack("cuda", "550.54.15", ("8.0", "12.0"))


@pytest.mark.parametrize(
    ("written", "version"),
    [
        ("v0.32.0", "0.32.0"),
        ("0.32", "0.32.0"),
        ("==0.32.0", "0.32.0"),
        ("latest", "0.33.0"),
        ("", "0.33.0"),
        (">=0.30", "0.33.0"),
        (">= 0.30, < 0.33", "0.32.0"),
        ("<0.20", "0.19.1"),
        (">0.30.0,<0.32", "0.31.0"),
    ],
)
def test_a_release_is_understood_however_people_write_it(written: str, version: str) -> None:
    assert plan_stack("cuda", "580.95.05", "8.9", written)["vllm_version"] == version


@pytest.mark.parametrize("written", ["newst", "0.32.x", "~=0.30", "nightly", ">=", "main"])
def test_a_spelling_that_names_no_release_is_told_with_those_that_do(written: str) -> None:
    impossible = refusal("cuda", None, None, written)
    assert f"{written!r} names no release of vLLM" in str(impossible)
    assert "write auto, a release such as 0.32.0, or limits such as >=0.30,<0.33" in str(impossible)


def test_limits_that_leave_no_release_are_refused() -> None:
    assert "vLLM >=0.99" in refusal("cuda", None, None, ">=0.99").cause
    assert fulfils("0.32.0", "v0.32.0")
    assert not fulfils("0.32.0", ">=0.33")


@pytest.mark.parametrize(
    ("driver", "capability", "vllm"),
    [
        ("570.86.10", "10.0", "0.19.1"),
        ("570.86.10", "12.0", "0.19.1"),
        ("580.95.05", "10.3", "0.33.0"),
        ("580.95.05", "11.0", "0.33.0"),
        ("580.95.05", "12.1", "0.33.0"),
    ],
)
def test_each_blackwell_gets_a_build_that_has_its_kernels(
    driver: str, capability: str, vllm: str
) -> None:
    assert plan_stack("cuda", driver, capability)["vllm_version"] == vllm


@pytest.mark.parametrize("capability", ["10.3", "11.0", "12.1"])
def test_a_blackwell_that_needs_cuda_13_is_refused_a_build_for_cuda_12(capability: str) -> None:
    assert "needs a driver >= 580" in refusal("cuda", "570.86.10", capability).cause
    old = refusal("cuda", "580.95.05", capability, "0.19.1")
    assert "is built for CUDA 12" in old.cause
    assert "needs a build for CUDA 13" in old.cause
    assert any(way.text == "vLLM 0.33.0" for way in old.ways_out)


def test_a_machine_without_wheels_is_refused_by_its_name() -> None:
    arm = {"driver_version": "580.95.05", "architecture": "aarch64"}
    assert stack_plan(arm)["vllm_version"] == "0.33.0"
    with pytest.raises(AnsibleFilterError, match=r"aarch64: they exist from vLLM 0\.10\.2 on"):
        stack_plan(arm, vllm_version="0.10.1.1")
    with pytest.raises(AnsibleFilterError, match=r"no wheels for ppc64le[\s\S]*an x86_64 CPU"):
        stack_plan({"architecture": "ppc64le"})


def test_a_v100_gets_a_warning() -> None:
    assert any("V100" in note for note in plan_stack("cuda", "580.95.05", "7.0")["notes"])
    assert not any("V100" in note for note in plan_stack("cuda", "580.95.05", "7.5")["notes"])


def test_a_driver_that_allows_only_a_vllm_without_the_model_is_refused() -> None:
    assert plan_stack("cuda", None, None)["least_driver"] == "525"
    plan = plan_stack("cuda", None, None, least_vllm="0.25.0")
    assert plan["least_driver"] == "580"
    with pytest.raises(AnsibleFilterError, match=r"needs vLLM >= 0\.25\.0[\s\S]*a driver >= 580"):
        stack_plan({"driver_version": "535.1"}, least_vllm="0.25.0")
    with pytest.raises(AnsibleFilterError, match=r"does not know the model[\s\S]*vLLM 0\.33\.0"):
        stack_plan({}, vllm_version="0.8.5", least_vllm="0.25.0")


def test_the_first_release_that_knows_a_model_is_in_the_table() -> None:
    llama, new = ({"architectures": [name]} for name in ("LlamaForCausalLM", "Qwen3ForCausalLM"))
    assert least_release(llama) == "0.6.0"
    assert least_release(new) == "0.8.4"
    assert least_release(json.dumps(new)) == "0.8.4"
    assert least_release(new, {"--model-impl": "transformers"}) == ""
    assert least_release(new, engine="other") == ""
    assert least_release(new, {"hf_overrides.architectures": ["LlamaForCausalLM"]}) == ""
    assert (
        least_release({"architectures": ["OfNobody"]})
        == least_release("{")
        == least_release({})
        == ""
    )


@pytest.mark.parametrize(
    ("capability", "vllm_version", "least"),
    [
        ("12.0", "0.19.1", "570"),
        ("10.0", "auto", "570"),
        ("10.3", "auto", "580"),
        ("8.9", "auto", "525"),
    ],
)
def test_the_oldest_driver_that_will_do_knows_the_gpu(
    capability: str, vllm_version: str, least: str
) -> None:
    plan = plan_stack("cuda", compute_capability=capability, vllm_version=vllm_version)
    assert plan["least_driver"] == least


def test_a_release_whose_last_zero_yaml_has_taken_is_named() -> None:
    with pytest.raises(StackImpossible, match=r'write "0\.30\.0" in quotes'):
        plan_stack("cuda", vllm_version=0.30)  # type: ignore[arg-type]
    with pytest.raises(StackImpossible) as refused:
        plan_stack("cuda", vllm_version="0.5")
    assert "quotes" not in str(refused.value)


def test_where_nothing_helps_nothing_is_promised() -> None:
    with pytest.raises(StackImpossible) as refused:
        plan_stack("cuda", least_vllm="99.0")
    assert "What would help" not in str(refused.value)
    assert "knows the model" in str(refused.value)


def test_no_wish_for_a_release_is_the_newest() -> None:
    assert plan_stack("cuda", vllm_version=None) == plan_stack("cuda")  # type: ignore[arg-type]
