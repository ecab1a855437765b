# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each cause gets the steps that help, with values that fit this server, and never without end."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.registry import (
    DEFAULT,
    SPELLINGS,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.spelling import Spelling
from ansible_collections.inferops.gpu.plugins.module_utils.serving.explanation import (
    STOPPED_BY_US,
    Symptoms,
    explain,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.failures import FAILURES
from ansible_collections.inferops.gpu.plugins.module_utils.serving.remedies import (
    BY_CAUSE,
    BY_CHANGE,
    BY_HEALTH,
    REMEDIES,
    UNKNOWN,
    intent_of,
    plan,
)

GPU = {"memory_total_mib": 24000, "memory_free_mib": 23800}
ALL = ("model", "download", "stack", "driver", "gpu_reset", "other_servers")
LADDER = (
    {"model": "org/small-awq", "arguments": {"quantization": "awq"}},
    {"model": "org/tiny"},
)


def steps(cause_id: str = "unknown", tried: tuple[str, ...] = (), **known: Any) -> Any:
    change = next((f.change for f in FAILURES if f.id == cause_id), "see the log")
    situation = {"cause_id": cause_id, "change": change, "model": "org/large", "allowed": ALL}
    return plan({**situation, **known}, tried)


def ids(cause_id: str = "unknown", **known: Any) -> list[str]:
    return [step["id"] for step in steps(cause_id, **known)]


def first(cause_id: str, **known: Any) -> dict[str, Any]:
    return dict(steps(cause_id, **known)[0])


@pytest.mark.parametrize("cause_id", [failure.id for failure in FAILURES])
def test_every_known_cause_has_a_plan_that_ends(cause_id: str) -> None:
    found = steps(cause_id, gpus=(GPU,), free_port=8001, ladder=LADDER)
    assert 0 < len(found) <= 6
    assert found[-1]["id"] == "complete_reset" or found[0]["needs"] == "a person"
    assert len({step["key"] for step in found}) == len(found)


def test_what_was_stopped_for_being_late_is_mended_by_its_cause_and_a_wish_is_not() -> None:
    out_of_memory = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.71 GiB."

    def by(log: str, reason: str) -> list[str]:
        return ids(explain(Symptoms(log, reason=reason))["cause_id"], gpus=(GPU,))

    late, hung, asked = "not ready in time", "hung at its start", "requested"
    assert by(out_of_memory, late) == ids("gpu_out_of_memory", gpus=(GPU,))
    assert by("", late)[0] == BY_CAUSE["timeout"][0]
    assert by("", hung) == [*BY_HEALTH["hung"], "complete_reset"]
    assert by(out_of_memory, asked)[0] == UNKNOWN[0]


def test_another_engine_gets_the_same_steps_in_its_own_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = Spelling(options={"context_tokens": "window"}, usual={"context_tokens": 32768})
    monkeypatch.setitem(SPELLINGS, "other", words)
    # Its own entry says what to change in its words, one that holds for all in the usual one's.
    for change in ("window", "max_model_len"):
        (step,) = (
            one
            for one in steps(change=change, cause_id="its_own", engine="other", log="")
            if one["id"] == "lower_max_model_len"
        )
        assert step["arguments"] == {"window": 16384}


def test_what_no_lock_has_installed_is_not_installed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(SPELLINGS, "other", Spelling())
    assert "reinstall_stack" in ids("cuda_libraries_foreign")
    assert "reinstall_stack" not in ids("cuda_libraries_foreign", engine="other")


def test_the_complete_reset_takes_back_model_arguments_and_environment() -> None:
    tried = {
        "model": "org/tiny",
        "first_model": "org/large",
        "arguments": {"quantization": "awq", "max_model_len": "2048"},
        "first": {"max_model_len": "8192"},
        "added_environment": ("NCCL_P2P_DISABLE",),
    }
    (reset,) = (step for step in steps(**tried) if step["id"] == "complete_reset")
    assert reset["model"] == "org/large"
    assert reset["arguments"] == {"quantization": None, "max_model_len": "8192"}
    assert reset["environment"] == {"NCCL_P2P_DISABLE": None}


FIT = {"fits": "no", "largest_max_model_len": 9000, "need_gib": {"value": 20.0, "error": 1.0}}


def arguments_of(step_id: str, **known: Any) -> list[dict[str, Any]]:
    found = steps("gpu_out_of_memory", gpus=(GPU,), **known)
    return [step["arguments"] for step in found if step["id"] == step_id]


def test_a_shorter_context_is_the_one_that_fits_by_our_estimate_or_by_vllm_s() -> None:
    asked = {"max_model_len": "32768"}
    half, ours, its = ({"max_model_len": length} for length in (16384, 9000, 7000))
    assert arguments_of("lower_max_model_len", arguments=asked) == [half]
    assert arguments_of("lower_max_model_len", arguments=asked, fit=FIT) == [ours]
    said = "estimated maximum model length is 7000"
    assert arguments_of("lower_max_model_len", arguments=asked, fit=FIT, log=said) == [its]
    too_large = {**FIT, "largest_max_model_len": 0}
    assert arguments_of("lower_max_model_len", arguments=asked, fit=too_large) == []


def test_no_less_memory_is_claimed_than_the_model_needs() -> None:
    """19 GiB of a GPU with 24000 MiB are 81 percent."""
    lower = {"gpu_memory_utilization": 0.8}
    assert arguments_of("fit_gpu_memory_utilization") == [lower]
    assert arguments_of("fit_gpu_memory_utilization", fit=FIT) == []
    small = {**FIT, "need_gib": {"value": 18.0, "error": 1.0}}
    assert arguments_of("fit_gpu_memory_utilization", fit=small) == [lower]


def test_no_known_cause_is_treated_as_an_unknown_one() -> None:
    led = {
        failure.id
        for failure in FAILURES
        if intent_of(failure.change, failure.engine or DEFAULT) in BY_CHANGE
    }
    assert {failure.id for failure in FAILURES} - led - set(BY_CAUSE) == set()


def test_the_tables_name_only_what_there_is() -> None:
    tables = (BY_CAUSE, BY_CHANGE, BY_HEALTH)
    used = {name for table in tables for names in table.values() for name in names} | set(UNKNOWN)
    assert used | {"complete_reset"} == set(REMEDIES)
    known = {failure.id for failure in FAILURES}
    known |= {ours["cause_id"] for ours in STOPPED_BY_US.values()}
    assert set(BY_CAUSE) <= known
    assert set(BY_CHANGE) <= {intent_of(failure.change) for failure in FAILURES}


def test_a_server_that_serves_needs_nothing() -> None:
    assert steps("gpu_out_of_memory", health="serving") == []


def test_a_hung_server_is_restarted_whatever_its_log_once_said() -> None:
    assert ids("hub_unreachable", health="hung", gpus=(GPU,)) == [
        "restart",
        "reset_gpu",
        "clear_caches",
        "complete_reset",
    ]


def test_a_server_at_a_long_step_is_left_alone() -> None:
    assert ids(health="busy") == []


def test_a_start_that_still_goes_on_is_not_torn_down_first() -> None:
    assert ids(health="starting")[0] == "wait"


def test_memory_that_others_hold_is_freed_first_and_then_only_the_rest_is_claimed() -> None:
    gpus = (GPU, {"memory_total_mib": 24000, "memory_free_mib": 15000})
    found = steps("gpu_memory_occupied", gpus=gpus, orphans=("old",))
    assert [step["id"] for step in found[:2]] == ["sweep_orphans", "fit_gpu_memory_utilization"]
    assert found[0]["servers"] == ["old"]
    # 62.5 % are free on the fuller GPU; a percent less is claimed.
    assert found[1]["arguments"] == {"gpu_memory_utilization": 0.61}
    assert "sweep_orphans" not in ids("gpu_memory_occupied", gpus=gpus)


def test_out_of_memory_with_a_free_gpu_lowers_the_share_step_by_step() -> None:
    now = {"gpu_memory_utilization": "0.8"}
    assert first("gpu_out_of_memory", arguments=now, gpus=(GPU,))["arguments"] == {
        "gpu_memory_utilization": 0.7
    }
    least = {"gpu_memory_utilization": "0.35"}
    assert first("gpu_out_of_memory", arguments=least, gpus=(GPU,))["id"] == "lower_max_num_seqs"


@pytest.mark.parametrize(
    ("log", "arguments", "length"),
    [
        (
            "To serve at least one request with the models's max seq len (40960), (5.62 GiB KV "
            "cache is needed, which is larger than the available KV cache memory (4.12 GiB). Based "
            "on the available memory, the estimated maximum model length is 30000.",
            {},
            30000,
        ),
        (
            "The model's max seq len (4096) is larger than the maximum number of tokens that can "
            "be stored in KV cache (3664). Try increasing",
            {"max_model_len": "4096"},
            3664,
        ),
        # Without an estimate: half of what was asked for, but never less than the least.
        ("", {"max_model_len": "16384"}, 8192),
        ("Using max model len 131072", {}, 65536),
        ("", {"max_model_len": "3000"}, 2048),
        ("", {}, 8192),
    ],
)
def test_the_context_is_lowered_to_what_fits(
    log: str, arguments: dict[str, str], length: int
) -> None:
    step = first("context_exceeds_kv_cache", log=log, arguments=arguments)
    assert step["arguments"] == {"max_model_len": length}


def test_a_context_at_its_least_is_not_lowered_any_more() -> None:
    found = ids("context_exceeds_kv_cache", arguments={"max_model_len": "2048"}, gpus=(GPU,))
    assert found[0] == "raise_gpu_memory_utilization"


def test_the_context_of_the_model_is_taken_from_the_message() -> None:
    log = (
        "User-specified max_model_len (99999) is greater than the derived max_model_len "
        "(max_position_embeddings=2048.0 or model_max_length=None in model's config.json)."
    )
    step = first("context_exceeds_model", log=log, arguments={"max_model_len": "99999"})
    assert step["arguments"] == {"max_model_len": 2048}


def test_the_ladder_goes_down_from_the_first_arguments_not_from_earlier_attempts() -> None:
    asked = {"max_model_len": "8192", "dtype": "half"}
    tried_last = {"max_model_len": "2048", "dtype": "half", "enforce_eager": True}
    found = [
        step
        for step in steps(
            "gpu_out_of_memory",
            ladder=LADDER,
            first=asked,
            arguments={**tried_last, "gpu_memory_utilization": "0.3", "max_num_seqs": "4"},
        )
        if step["id"] == "smaller_model"
    ]
    assert [step["model"] for step in found] == ["org/small-awq", "org/tiny"]
    assert found[0]["arguments"] == {
        "max_model_len": "8192",
        "enforce_eager": None,
        "gpu_memory_utilization": None,
        "max_num_seqs": None,
        "quantization": "awq",
    }


def test_what_was_tried_is_not_tried_again_and_the_reset_comes_once_and_last() -> None:
    tried: tuple[str, ...] = ()
    seen = []
    while found := plan({"allowed": ALL, "ladder": LADDER}, tried, 6 - len(tried)):
        seen.append(found[0]["id"])
        tried += (found[0]["key"],)
    assert len(seen) == len(set(seen)) == 6
    assert seen[-1] == "complete_reset"


def test_a_remedy_that_did_not_help_waits_until_the_others_were_tried() -> None:
    arguments = {"max_num_seqs": "128", "gpu_memory_utilization": "0.95"}
    tried = ('lower_max_num_seqs ["", null, {"max_num_seqs": 128}, {}]',)
    found = steps("no_kv_cache_memory", tried, arguments=arguments, ladder=LADDER)
    assert [step["id"] for step in found] == [
        "smaller_model",
        "smaller_model",
        "another_host",
        "lower_max_num_seqs",
        "complete_reset",
    ]


def test_what_needs_consent_says_so_and_stays_in_the_plan() -> None:
    needs = {step["id"]: step["needs"] for step in steps(allowed=(), ladder=LADDER)}
    assert needs["restart"] == needs["complete_reset"] == ""
    assert needs["reinstall_stack"] == "stack in recover_allow"
    assert needs["smaller_model"] == "model in recover_allow"
    gpu = {step["id"]: step["needs"] for step in steps("gpu_broken", allowed=(), gpus=(GPU,))}
    assert gpu["reset_gpu"] == "gpu_reset in recover_allow"
    assert gpu["another_host"] == "a person"


def test_what_only_a_person_can_decide_says_what_and_tears_nothing_down() -> None:
    log = "OSError: You are trying to access a gated repo."
    failure = explain(Symptoms(log))
    found = steps(failure["cause_id"], remedy=failure["remedy"])
    assert [step["id"] for step in found] == ["by_hand"]
    assert "Accept the licence" in found[0]["why"]


def test_only_a_model_with_a_source_is_downloaded_again() -> None:
    assert ids("weights_truncated")[0] == "download_again"
    assert "download_again" not in ids("weights_truncated", model="/models/own", ladder=LADDER)


def test_a_stranger_on_the_port_gets_it() -> None:
    step = first("unknown", port_owners=({"pid": 1},), free_port=8007)
    assert (step["id"], step["port"]) == ("next_free_port", 8007)
    assert first("port_taken", free_port=8007)["port"] == 8007


@pytest.mark.parametrize(
    ("cause_id", "arguments"),
    [
        ("illegal_instruction", {"dtype": "float32"}),
        ("bfloat16_unsupported", {"dtype": "half"}),
        ("quantization_mismatch", {"quantization": None}),
    ],
)
def test_formats_that_do_not_work_here_are_replaced(
    cause_id: str, arguments: dict[str, Any]
) -> None:
    assert first(cause_id)["arguments"] == arguments


def test_more_gpus_than_there_are_become_fewer() -> None:
    step = first("too_few_gpus", arguments={"tensor_parallel_size": "8"}, gpus=(GPU,) * 3)
    assert step["arguments"] == {"tensor_parallel_size": 2}


def test_the_driver_is_a_step_only_where_a_role_can_do_it() -> None:
    assert "driver" not in ids("driver_too_old")
    assert "driver" in ids("driver_too_old", roles=("driver",))


def test_an_engine_without_words_for_a_remedy_gets_those_that_need_none() -> None:
    known = {"gpus": (GPU,), "orphans": ("old",), "ladder": LADDER}
    assert ids("gpu_out_of_memory", engine="another", **known) == [
        "sweep_orphans",
        "smaller_model",
        "smaller_model",
        "other_engine",
        "complete_reset",
    ]


def test_what_only_one_engine_says_is_not_looked_for_in_the_log_of_another() -> None:
    log = "ValueError: No available memory for the cache blocks"
    assert explain(Symptoms(log))["cause_id"] == "no_kv_cache_memory"
    assert explain(Symptoms(log, engine="another"))["cause_id"] == "unknown"
    any_engine = "OSError: [Errno 28] No space left on device"
    assert explain(Symptoms(any_engine, engine="another"))["cause_id"] == "disk_full"


@pytest.mark.parametrize(
    ("cause_id", "known", "arguments", "environment"),
    [
        (
            "state_cache_blocks",
            {"log": "max_num_seqs (1024) exceeds available Mamba cache blocks (856). Each"},
            {"max_num_seqs": 856},
            {},
        ),
        ("state_cache_blocks", {"arguments": {"max_num_seqs": "64"}}, {"max_num_seqs": 32}, {}),
        (
            "lora_rank",
            {"log": "ValueError: LoRA rank 48 is greater than max_lora_rank 16."},
            {"max_lora_rank": 64},
            {},
        ),
        (
            "multimodal_item_too_large",
            {"log": "max_tokens_per_mm_item (2496) is larger than max_num_batched_tokens (2048)"},
            {"max_num_batched_tokens": 2496},
            {},
        ),
        (
            "pipeline_unsupported",
            {"arguments": {"pipeline_parallel_size": "4", "tensor_parallel_size": "2"}},
            {"pipeline_parallel_size": 1, "tensor_parallel_size": 8},
            {},
        ),
        (
            "quantized_block_not_divisible",
            {"arguments": {"tensor_parallel_size": "8"}, "gpus": (GPU,) * 8},
            {"tensor_parallel_size": 4},
            {},
        ),
        ("speculation_unsupported", {}, {"speculative_config": None}, {}),
        ("float16_unsupported", {}, {"dtype": None}, {}),
        ("attention_backend", {}, {"attention_backend": None, "kv_cache_dtype": None}, {}),
        ("kernel_shared_memory", {}, {"attention_backend": None, "kv_cache_dtype": None}, {}),
        (
            "toolkit_too_old",
            {},
            {},
            {"VLLM_USE_FLASHINFER_SAMPLER": "0", "VLLM_USE_DEEP_GEMM": "0"},
        ),
        ("deep_gemm", {}, {}, {"VLLM_USE_FLASHINFER_SAMPLER": "0", "VLLM_USE_DEEP_GEMM": "0"}),
        ("fork_after_cuda", {}, {}, {"VLLM_WORKER_MULTIPROC_METHOD": "spawn"}),
        (
            "network_interface",
            {},
            {},
            {
                "GLOO_SOCKET_IFNAME": "lo",
                "NCCL_SOCKET_IFNAME": "lo",
                "VLLM_HOST_IP": "127.0.0.1",
            },
        ),
        ("engine_hung", {}, {"disable_custom_all_reduce": True}, {"NCCL_P2P_DISABLE": "1"}),
    ],
)
def test_each_kind_of_failure_begins_with_what_mends_it(
    cause_id: str, known: dict[str, Any], arguments: dict[str, Any], environment: dict[str, Any]
) -> None:
    step = first(cause_id, **known)
    assert step["arguments"] == arguments
    assert step["environment"] == environment


@pytest.mark.parametrize(
    ("cause_id", "log"),
    [
        ("lora_rank", "LoRA rank 4096 is greater than max_lora_rank 16"),
        ("lora_rank", ""),
        ("multimodal_item_too_large", "max_tokens_per_mm_item (999999999) is larger than"),
        ("multimodal_item_too_large", ""),
    ],
)
def test_a_number_of_the_log_that_no_engine_takes_is_not_tried(cause_id: str, log: str) -> None:
    assert ids(cause_id, log=log)[0] == "by_hand"


def test_compiled_graphs_that_are_damaged_are_deleted() -> None:
    step = first("compile_cache_damaged")
    assert step["id"] == "clear_caches"
    assert step["do"] == ["clear_caches"]


def test_llama_cpp_is_an_answer_for_servers_of_other_engines() -> None:
    (told,) = [step["why"] for step in steps("unknown") if step["id"] == "other_engine"]
    assert "set inferops_engine to llama_cpp" in told
    assert "other_engine" not in ids("unknown", engine="llama_cpp")


def test_a_context_that_does_not_fit_llama_cpp_gets_shorter_in_its_own_words() -> None:
    known = {"engine": "llama_cpp", "arguments": {"ctx_size": 65536}}
    assert first("gguf_context_memory", **known)["arguments"] == {"ctx_size": 32768}
