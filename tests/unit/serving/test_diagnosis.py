# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures are explained: the right cause first, on excerpts of real logs, and no cause on others.

The excerpts lie in fixtures/; tests/diagnosis.py says how they are made.
"""

from __future__ import annotations

import re
from string import Formatter
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.serving import messages
from ansible_collections.inferops.gpu.plugins.module_utils.serving.diagnosis import (
    diagnose,
    explain,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.failures import (
    FAILURES,
    Failure,
    find,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.failures.gpu import XIDS
from ansible_collections.inferops.gpu.plugins.module_utils.serving.messages import bounded
from tests.diagnosis import (
    HEALTHY,
    LEAST_CAUSES,
    TEMPLATE,
    Excerpt,
    excerpts,
    known_causes,
    missing_causes,
)

ALL = excerpts()
FAILING = [excerpt for excerpt in ALL if excerpt.cause != HEALTHY]
CALM = [excerpt for excerpt in ALL if excerpt.cause == HEALTHY]
ENVELOPE = (
    "RuntimeError: Engine core initialization failed. See root cause above. "
    "Failed core proc(s): {'EngineCore': 1}"
)
DISK_FULL = "OSError: [Errno 28] No space left on device"


def name_of(excerpt: Excerpt) -> str:
    """Names a test case after its excerpt."""
    return excerpt.name


def squeezed(*lines: str) -> str:
    """Without white space: a wrapped message is told as one line."""
    return "".join("".join(lines).split())


def test_the_right_cause_comes_first_on_at_least_95_percent_of_the_excerpts() -> None:
    wrong = {
        excerpt.name: [one.id for one in excerpt.diagnose()]
        for excerpt in FAILING
        if not excerpt.is_right
    }
    assert len(wrong) <= 0.05 * len(FAILING), wrong


@pytest.mark.parametrize("excerpt", FAILING, ids=name_of)
def test_a_cause_that_was_once_found_is_still_found(excerpt: Excerpt) -> None:
    assert excerpt.is_right or "missed" in excerpt.about


def test_no_cause_is_claimed_on_healthy_and_unrelated_logs() -> None:
    claimed = {
        excerpt.name: [one.id for one in found]
        for excerpt in CALM
        for code in (None, 0)
        if (found := diagnose(excerpt.log, code, None, excerpt.kernel_log))
    }
    assert not claimed


def test_the_set_of_excerpts_is_large_real_and_mostly_not_what_the_catalogue_was_made_for() -> None:
    assert len(FAILING) >= 90
    assert len(CALM) >= 20
    templates = [one for one in FAILING if one.about["source"].startswith(TEMPLATE)]
    assert len(templates) <= len(FAILING) / 3
    tuned = [one for one in FAILING if one.about.get("tuned") == "yes"]
    assert len(tuned) <= len(FAILING) / 2


def test_an_excerpt_says_where_it_is_from_and_belongs_to_a_cause() -> None:
    allowed = {"source", "vllm", "tuned", "missed", "exit_code", "signal", "batch", "first_sight"}
    allowed.add("engine")
    for excerpt in ALL:
        assert {"source", "vllm"} <= set(excerpt.about) <= allowed, excerpt.name
        assert excerpt.log.strip() or excerpt.kernel_log.strip(), excerpt.name


def test_every_entry_of_the_catalogue_is_shown_to_work() -> None:
    assert not missing_causes()
    assert len(known_causes()) >= LEAST_CAUSES
    assert len({failure.id for failure in FAILURES}) == len(FAILURES)


@pytest.mark.parametrize("excerpt", FAILING, ids=name_of)
def test_the_evidence_is_what_the_logs_say_without_prefixes(excerpt: Excerpt) -> None:
    lines = bounded(excerpt.log + excerpt.kernel_log)
    said = squeezed(*lines), squeezed(*(messages._parted(line)[1] for line in lines))
    for diagnosis in excerpt.diagnose():
        assert 1 <= len(diagnosis.evidence) <= 3
        for line in map(squeezed, diagnosis.evidence):
            assert any(line in text for text in said) or "endedbySIG" in line
        assert not any(line.startswith("(EngineCore") for line in diagnosis.evidence)


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "(EngineCore pid=8338) ERROR 11-20 15:40:43 [core.py:1512] ",
        "ERROR 11-05 12:19:32 [core.py:708] (EngineCore_0 pid=12) ",
        "(APIServer pid=1) (EngineCore_DP0 pid=68) ERROR 02-06 16:34:06 [core.py:936] ",
        "vllm-1  | ERROR 11-18 18:07:28 engine.py:366] ",
        "(VllmWorker rank=0 pid=3926141) ERROR 08-12 01:36:10 [multiproc_executor.py:511] ",
        "(RayWorkerWrapper pid=376235, ip=10.10.10.61) ",
        "[rank0]: ",
        "2025-04-06T07:55:21.108632509Z ERROR 04-06 00:55:21 [llm_engine.py:447] ",
        "Aug 17 18:42:18 host vllm[8052]: (APIServer pid=8052) ",
        "\x1b[1;36m(VllmWorker rank=0 pid=13543)\x1b[0;0m ",
    ],
)
def test_a_cause_is_found_under_every_form_that_logs_have_had(prefix: str) -> None:
    log = "\n".join(prefix + line for line in (DISK_FULL, ENVELOPE))
    found = diagnose(log, exit_code=1)
    assert [diagnosis.id for diagnosis in found] == ["disk_full", "engine_failed"]
    assert found[0].evidence == [DISK_FULL]


def test_what_is_said_in_passing_counts_only_where_it_ended_badly_and_nothing_else_says_why() -> (
    None
):
    warning = "WARNING 10-10 10:22:58 _custom_ops.py:18] No module named 'vllm._C'"
    assert diagnose(warning) == diagnose(warning, exit_code=0) == []
    assert explain(warning, exit_code=1)["cause_id"] == "vllm_incomplete"
    assert explain(f"{warning}\n{DISK_FULL}", exit_code=1)["cause_id"] == "disk_full"
    assert explain(f"{warning}\n{DISK_FULL}", exit_code=1)["also"] == []


def test_what_a_user_writes_in_a_prompt_is_not_a_cause() -> None:
    log = (
        "INFO 08-21 03:42:51 [logger.py:40] Received request cmpl-1: prompt: 'CUDA out of memory.'"
    )
    assert diagnose(log) == []


@pytest.mark.parametrize(
    ("exit_code", "signal", "cause"),
    [
        (137, None, "host_out_of_memory"),
        (None, "SIGKILL", "host_out_of_memory"),
        (132, None, "illegal_instruction"),
        (None, "SIGILL", "illegal_instruction"),
        (None, "SIGSEGV", "crash"),
        (None, "SIGBUS", "shared_memory_small"),
        (143, None, "terminated"),
    ],
)
def test_the_way_it_ended_is_evidence_where_the_log_is_silent(
    exit_code: int | None, signal: str | None, cause: str
) -> None:
    failure = explain("INFO nothing to see", exit_code, signal)
    assert failure["cause_id"] == cause
    assert "ended by SIG" in failure["evidence"][0]
    assert failure["exit_code"] == exit_code


def test_a_text_that_says_why_outranks_the_signal() -> None:
    assert explain(DISK_FULL, None, "SIGKILL")["cause_id"] == "disk_full"


def test_the_kernels_log_proves_what_the_servers_log_cannot_know() -> None:
    killed = "Memory cgroup out of memory: Killed process 4242 (VLLM::EngineCor) total-vm:9kB"
    failure = explain(ENVELOPE, exit_code=0, kernel_log=killed)
    assert failure["cause_id"] == "host_out_of_memory"
    assert failure["evidence"] == [killed]
    assert failure["also"] == ["engine_failed"]


def test_the_death_of_another_program_in_the_kernels_log_is_not_ours() -> None:
    killed = "Out of memory: Killed process 50624 (java) total-vm:9kB"
    assert explain(ENVELOPE, exit_code=1, kernel_log=killed)["cause_id"] == "engine_failed"


@pytest.mark.parametrize(
    ("xid", "cause"),
    [
        (13, "gpu_kernel_fault"),
        (31, "gpu_kernel_fault"),
        (43, "gpu_kernel_fault"),
        (48, "gpu_broken"),
        (63, "gpu_broken"),
        (74, "gpu_broken"),
        (79, "gpu_broken"),
        (94, "gpu_broken"),
        (95, "gpu_broken"),
        (119, "gpu_broken"),
    ],
)
def test_an_xid_of_the_driver_is_a_cause_and_its_meaning_is_said(xid: int, cause: str) -> None:
    line = f"[ 130.456250] NVRM: Xid (PCI:0000:2b:00): {xid}, pid=1942, name=python3, more"
    failure = explain("CUDA error: an illegal memory access was encountered", 1, kernel_log=line)
    assert failure["cause_id"] == cause
    assert failure["cause"].endswith(f"Xid {xid}: {XIDS[xid]}.")
    assert failure["evidence"][0] == line


def test_an_xid_that_only_cleans_up_is_no_cause() -> None:
    line = "NVRM: Xid (PCI:0000:2b:00): 45, pid=1942, name=python3, Ch 00000001"
    assert diagnose("", kernel_log=line) == []


def test_an_envelope_alone_is_called_one() -> None:
    failure = explain(ENVELOPE, exit_code=1)
    assert failure["cause_id"] == "engine_failed"
    assert "does not say why" in failure["cause"]


def test_an_unknown_failure_is_said_to_be_unknown_with_its_last_errors() -> None:
    failure = explain("INFO fine\nFooError: never seen before\nINFO bye\n", exit_code=1)
    assert failure["cause_id"] == "unknown"
    assert failure["evidence"] == ["FooError: never seen before"]
    assert explain("", exit_code=1)["evidence"] == []


def test_figures_of_the_log_stand_in_the_cause() -> None:
    occupied = next(one for one in FAILING if one.name == "gpu_memory_occupied/named-device-ci")
    assert "only 19.77 of 22.05 GiB are free" in explain(occupied.log)["cause"]


def test_an_entry_is_found_by_its_id() -> None:
    assert find("disk_full") in FAILURES
    assert find("no such") is None


MAMBA = (
    "ValueError: max_num_seqs (1024) exceeds available Mamba cache blocks (856). Each decode "
    "sequence requires one Mamba cache block."
)
WORKER = "(EngineCore_DP0 pid=12) "
SHM = (
    "(EngineCore_DP0 pid=100) INFO 01-25 10:01:11 [shm_broadcast.py:542] No available shared "
    "memory broadcast block found in 60 seconds. This typically happens when some are hanging"
)
NCCL = "(Worker pid=140) INFO 01-25 10:00:11 [pynccl.py:111] vLLM is using nccl==2.27.5"
TOO_LONG = (
    "ValueError: To serve at least one request with the models's max seq len (131072), (16.00 GiB "
    "KV cache is needed, which is larger than the available KV cache memory (7.41 GiB)."
)
TOO_LARGE = (
    "ValueError: Chunked MM input disabled but max_tokens_per_mm_item (2496) is larger than "
    "max_num_batched_tokens (512)."
)


def cut(text: str, width: int, prefix: str = "") -> str:
    """As a terminal of that width shows it, or a shipper of logs that knows no longer lines."""
    parts = [text[at : at + width] for at in range(0, len(text), width)]
    return "\n".join(prefix + part for part in parts)


@pytest.mark.parametrize("width", [30, 60, 80])
@pytest.mark.parametrize(
    "prefix",
    [
        "",
        WORKER,
        "ERROR 03-11 15:52:10 [core.py:1006] ",
        "2026-03-11T17:57:32.3721Z ",
        "2026-03-11T17:57:32.3721+00:00 stderr F ",
    ],
)
@pytest.mark.parametrize(
    ("message", "cause"), [(TOO_LARGE, "multimodal_item_too_large"), (MAMBA, "state_cache_blocks")]
)
def test_a_message_that_was_wrapped_is_read_as_one(
    width: int, prefix: str, message: str, cause: str
) -> None:
    log = f"{prefix}Traceback (most recent call last):\n{cut(message, width, prefix)}\n{ENVELOPE}"
    assert explain(log, exit_code=1)["cause_id"] == cause


@pytest.mark.parametrize("width", [70, 80, 100, 120])
def test_a_terminal_repeats_nothing_of_what_stood_before_the_message(width: int) -> None:
    line = f"(EngineCore pid=7) ERROR 06-15 10:11:12 [core.py:1108] {TOO_LONG}"
    failure = explain(f"{cut(line, width)}\n(APIServer pid=1) {ENVELOPE}", exit_code=1)
    assert failure["cause_id"] == "context_exceeds_kv_cache"


def test_a_reason_that_goes_on_is_shown_to_its_end() -> None:
    line = "(EngineCore pid=7) ERROR 06-15 10:11:12 [core.py:1108] OddError: the moon of planet 9"
    failure = explain(f"{line}\nis full.\n(APIServer pid=1) {ENVELOPE}", exit_code=1)
    assert failure["evidence"][0] == "OddError: the moon of planet 9 is full."


@pytest.mark.parametrize("end", ["AssertionError", "StopIteration", "vllm.moon.MoonError"])
def test_an_exception_without_a_text_is_shown_with_the_source_that_raised_it(end: str) -> None:
    lines = ("Traceback (most recent call last):", "    assert moon % 2", "    ^^^^^^^^", end)
    log = "\n".join(WORKER + line for line in lines) + f"\n(APIServer pid=1) {ENVELOPE}"
    assert explain(log, exit_code=1)["evidence"][0] == f"assert moon % 2 {end}"


def test_lines_that_only_stand_beside_each_other_are_no_cause_where_nothing_ended() -> None:
    log = "the answer for this request is: No module\nnamed 'numba'\n"
    assert diagnose(log) == diagnose(log, exit_code=0) == []
    assert diagnose(cut(TOO_LARGE, 60)) == []


@pytest.mark.parametrize(
    ("lines", "option"),
    [
        (
            (
                "1 validation error for SchedulerConfig",
                "  Value error, max_num_batched_tokens (2048) is smaller than max_model_len.",
            ),
            "max_num_batched_tokens",
        ),
        (
            (
                "1 validation error for LoRAConfig",
                "max_lora_rank",
                "  Input should be 1, 8, 16 or 32 [type=literal_error, input_value=24]",
            ),
            "max_lora_rank",
        ),
        (
            ("1 validation error for ModelConfig", "  Value error, `--runner` must be one of x."),
            "--runner",
        ),
        (
            ("1 validation error for ModelConfig", "  Value error, Moons do not support `--x2y z`"),
            "--x2y",
        ),
        (
            ("1 validation error for ModelConfig", "runner", "  Input should be 'auto' or 'draft'"),
            "runner",
        ),
        (
            (
                "2 validation errors for ModelConfig",
                "dtype.literal['auto','half']",
                "  Input should be 'auto' or 'half' [type=literal_error]",
            ),
            "dtype",
        ),
        (
            (
                "1 validation error for CompilationConfig",
                "pass_config.fuse_norm_quant",
                "  Input should be a valid boolean, unable to interpret input",
            ),
            "pass_config.fuse_norm_quant",
        ),
        (
            (
                "1 validation error for CompilationConfig",
                "cudagraph_capture_sizes.0",
                "  Input should be a valid integer",
            ),
            "cudagraph_capture_sizes",
        ),
        (
            (
                "1 validation error for CompilationConfig",
                "full_cuda_graph",
                "  Unexpected keyword argument [type=unexpected_keyword_argument]",
            ),
            "full_cuda_graph",
        ),
        (
            ("1 validation error for SpeculativeConfig", "model", "  Field required [type=x]"),
            "model",
        ),
        (("1 validation error for KVTransferConfig", "  Value error, Odd."), "KVTransferConfig"),
        (("ValueError: moe_backend='marlin' is not supported for FP8 MoE.",), "moe_backend"),
        (("vllm serve: error: argument --port: invalid int value: 'x'",), "--port"),
        (("KeyError: \"Tool parser 'x' not found. Available parsers: y\"",), "Tool parser"),
    ],
)
def test_an_option_that_is_refused_is_named_whatever_refuses_it(
    lines: tuple[str, ...], option: str
) -> None:
    log = "\n".join(f"(APIServer pid=1) {line}" for line in lines)
    failure = explain(log, exit_code=1)
    assert failure["cause_id"] == "option_value"
    assert failure["cause"].startswith(f"The option {option} ")


@pytest.mark.parametrize(
    "reason",
    [
        "Value error, The size of the moon (7) is odd [type=value_error, input_value=x]",
        "Value error, Expecting value: line 1 column 1 (char 0) [type=value_error]",
    ],
)
def test_what_is_said_of_a_model_is_not_laid_on_an_option_and_its_reason_is_kept(
    reason: str,
) -> None:
    log = f"pydantic_core.ValidationError: 1 validation error for ModelConfig\n  {reason}\n"
    failure = explain(f"{log}    For further information visit https://errors.pydantic.dev/", 1)
    assert failure["cause_id"] == "unknown"
    assert failure["evidence"][-1] == reason
    assert failure["cause"].endswith(f"The last error: {reason}")


def test_an_envelope_tells_the_last_error_beside_it() -> None:
    log = f"{WORKER}OddError: the moon is full\n(APIServer pid=1) {ENVELOPE}"
    failure = explain(log, exit_code=1)
    assert failure["cause_id"] == "engine_failed"
    assert failure["cause"].endswith("The last error beside it: OddError: the moon is full")
    assert failure["evidence"] == ["OddError: the moon is full", ENVELOPE]


def test_a_model_whose_code_cannot_be_imported_is_told_by_what_broke_it() -> None:
    broken = "Value error, Model architectures ['A'] failed to be inspected. Please check the logs"
    uuid = "ValueError: invalid literal for int() with base 10: 'MIG-377e0049'"
    missing = "ModuleNotFoundError: No module named 'timm'"
    assert explain(broken, 1)["cause_id"] == "architecture_broken"
    assert explain(f"{broken}\n{uuid}", 1)["cause_id"] == "gpu_by_uuid"
    assert explain(f"{missing}\n{broken}", 1)["cause_id"] == "package_missing"
    odd = explain(f"OddError: the moon is full\n{broken}", 1)
    assert odd["cause_id"] == "architecture_broken"
    assert "OddError: the moon is full" in odd["cause"]


LATE = "TimeoutError: Timed out waiting for engine core processes to start."


@pytest.mark.parametrize(
    ("end", "how"),
    [
        ("", {"signal": "SIGTERM"}),
        ("", {"exit_code": 143}),
        ("", {"late": True}),
        (f"(APIServer pid=1) {LATE}", {"exit_code": 1}),
        (
            "(Worker pid=1) INFO 01-25 10:04:00 [x.py:1] Parent process exited, terminating worker",
            {},
        ),
    ],
)
def test_gpus_that_hang_in_what_they_first_do_together_are_told_from_slow_ones(
    end: str, how: dict[str, Any]
) -> None:
    how = how or {"signal": "SIGTERM"}
    hung = "\n".join((NCCL, SHM, SHM, end))
    failure = explain(hung, **how)
    assert failure["cause_id"] == "engine_hung"
    assert "NCCL_P2P_DISABLE=1" in failure["remedy"]
    loading = "(Worker pid=140) INFO 01-25 10:00:12 [gpu_worker.py:1] Starting to load model m..."
    slow = explain("\n".join((NCCL, loading, SHM, SHM, end)), **how)
    assert slow["cause_id"] in ("terminated", "engine_start_timeout", "unknown")
    assert diagnose("\n".join((NCCL, SHM, SHM))) == []


def test_what_the_kernel_says_inside_the_servers_own_stream_counts() -> None:
    xid = "[ 130.456250] NVRM: Xid (PCI:0000:2b:00): 79, pid=1942, GPU has fallen off the bus."
    assert explain(f"INFO fine\n{xid}\n{ENVELOPE}", 1)["cause_id"] == "gpu_broken"
    quoted = f"INFO 08-21 03:42:51 [logger.py:40] prompt: '{xid.replace('fallen off', 'left')}'"
    assert diagnose(quoted) == []


REFUSED = (
    "(APIServer pid=1) ERROR 01-08 17:16:15 [serving_chat.py:1278] "
    "ValueError: LoRA rank 64 is greater than max_lora_rank 16."
)


def test_a_request_that_was_refused_is_not_why_a_server_ended() -> None:
    assert diagnose(REFUSED) == []
    assert explain(f"{REFUSED}\n{DISK_FULL}", 1)["cause_id"] == "disk_full"
    asked = "ValueError: This model's maximum context length is 8192 tokens. However, you requested"
    assert explain(asked, 1)["cause_id"] == "unknown"


ASGI = """(APIServer pid=1) ERROR:    Exception in ASGI application
(APIServer pid=1) Traceback (most recent call last):
(APIServer pid=1) {}
"""


def test_a_request_that_failed_in_the_web_server_is_not_why_a_server_ended() -> None:
    unreachable = (
        "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='pictures.example', "
        "port=443): Max retries exceeded with url: /moon.png"
    )
    assert not diagnose(ASGI.format(unreachable))
    engine = f"{WORKER}{DISK_FULL}\n{WORKER}EngineDeadError: it is dead"
    assert explain(ASGI.format(unreachable) + engine, 1)["cause_id"] == "disk_full"
    # What says nothing of the engine may still be all that tells of it.
    dead = explain(ASGI.format("vllm.v1.engine.exceptions.EngineDeadError: see above"), 1)
    assert dead["cause_id"] == "engine_failed"
    assert explain(ASGI.format(DISK_FULL), 1)["cause_id"] == "disk_full"


def test_a_peer_that_was_lost_is_not_a_name_that_leads_nowhere() -> None:
    lost = "RuntimeError: [gloo/transport/tcp/pair.cc:525] Connection closed by peer [127.0.0.1]:1"
    alone = "RuntimeError: [gloo/transport/tcp/device.cc:84] no such device"
    assert explain(lost, 1)["cause_id"] == "unknown"
    assert explain(alone, 1)["cause_id"] == "network_interface"


def test_what_a_kernel_package_tries_in_vain_counts_only_where_nothing_else_failed() -> None:
    tried = "Failed to get device capability: SM 12.x requires CUDA >= 12.9."
    assert diagnose(tried) == []
    assert explain(tried, 1)["cause_id"] == "toolkit_too_old"
    assert explain(f"{tried}\n{DISK_FULL}", 1)["cause_id"] == "disk_full"


def test_what_a_traceback_shows_of_the_source_counts_only_where_nothing_says_why() -> None:
    shown = '    raise ValueError("No available memory for the cache blocks. "'
    assert diagnose(shown) == []
    assert explain(shown, 1)["cause_id"] == "no_kv_cache_memory"
    assert [one.id for one in diagnose(f"{shown}\n{DISK_FULL}", 1)] == ["disk_full"]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.id)
def test_each_text_that_shows_a_cause_brings_what_its_explanation_names(failure: Failure) -> None:
    parts = Formatter().parse(failure.cause + failure.remedy)
    named = {part[1] for part in parts if part[1]}
    for signature in failure.signatures + failure.shapes:
        assert named <= set(re.compile(signature).groupindex)
