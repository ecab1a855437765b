# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What helps a sick server: from the cause, or from how it behaves, to an ordered list of steps.

The tables say which remedies fit which cause, in the order in which they are tried; `plan` works
out their values for one server and ends with the complete reset. What only a person can do stays
in the list, and says so.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from re import Pattern
from typing import Any, Callable, NamedTuple

from .engines.registry import DEFAULT, SPELLINGS, spelling
from .engines.spelling import Spelling

CONSENTS = ("model", "download", "stack", "driver", "gpu_reset", "other_servers")
"""What a user may allow beyond new arguments for the same model on the same stack."""

DEFAULT_CONTEXT = 8192
"""Where neither the arguments nor the log name one."""

LEAST_SHARE, MOST_SHARE, SHARE_STEP = 0.3, 0.95, 0.1
LEAST_REQUESTS = 4
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
MOST_STEP_TOKENS = 131072


class Remedy(NamedTuple):
    """One thing to try.

    do: what is done between the stop and the new start, in order.
    intents: what is wanted of the engine whatever the situation, which spells it.
    environment: variables of libraries below every engine.
    consent: what the user has to allow. by_hand: nothing that a play does on this host.
    not_of: the engine to whose servers it means nothing.
    """

    id: str
    why: str
    do: tuple[str, ...] = ()
    intents: Mapping[str, Any] = {}
    environment: Mapping[str, Any] = {}
    consent: str = ""
    by_hand: bool = False
    not_of: str = ""


REMEDIES = {
    remedy.id: remedy
    for remedy in (
        Remedy("wait", "It still starts: follow it to its end."),
        Remedy("restart", "End its whole tree, prove that, and start it as it was."),
        Remedy(
            "sweep_orphans",
            "End what is left of earlier servers and holds GPU memory, then start it as it was.",
            do=("sweep",),
        ),
        Remedy(
            "fit_gpu_memory_utilization",
            "Claim only the part of the GPU's memory that is free.",
        ),
        Remedy("raise_gpu_memory_utilization", "Give it more of the GPU's memory for the cache."),
        Remedy("lower_max_model_len", "A shorter context needs less memory for its cache."),
        Remedy("lower_max_num_seqs", "Fewer requests at once need less memory."),
        Remedy(
            "enforce_eager",
            "Without compiled graphs it needs less memory and less native code; it is slower.",
            intents={"eager": True},
        ),
        Remedy("smaller_model", "The next model of your ladder.", consent="model"),
        Remedy(
            "download_again",
            "Delete the damaged files of the model and download them again.",
            do=("delete_model", "download"),
            consent="download",
        ),
        Remedy(
            "download_first",
            "Download the model before the start, which has a limit of its own.",
            do=("download",),
            consent="download",
        ),
        Remedy("next_free_port", "Leave the port to the stranger and take the next free one."),
        Remedy(
            "clear_caches",
            "Delete compiled kernels, unfinished downloads and old logs: they may be damaged, and "
            "they take room.",
            do=("clear_caches",),
        ),
        Remedy(
            "dtype_float32",
            "Compute in a format that every processor knows.",
            intents={"number_format": "float32"},
        ),
        Remedy(
            "dtype_half",
            "Compute in float16, which older GPUs know too.",
            intents={"number_format": "float16"},
        ),
        Remedy(
            "default_dtype",
            "Leave the number format to the model.",
            intents={"number_format": None},
        ),
        Remedy(
            "default_attention",
            "Leave the attention kernel and the format of the cache to the engine.",
            intents={"attention_kernel": None, "cache_format": None},
        ),
        Remedy(
            "without_host_kernels",
            "Do without kernels that are compiled on the host; it may be slower.",
            intents={"sampling_kernel": 0, "matrix_kernel": 0},
        ),
        Remedy(
            "without_speculation",
            "Compute each token by the model alone.",
            intents={"speculation": None},
        ),
        Remedy("raise_lora_rank", "Make room for the adapter's rank."),
        Remedy("raise_step_tokens", "Let one step hold the largest picture or film."),
        Remedy("layers_over_gpus", "Spread each layer over the GPUs instead of a pipeline."),
        Remedy(
            "spawn_workers",
            "Start the workers anew instead of forking them.",
            intents={"worker_start": "spawn"},
        ),
        Remedy(
            "over_loopback",
            "Let the workers of this host talk over its loopback interface.",
            intents={"own_address": "127.0.0.1"},
            environment={"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"},
        ),
        Remedy(
            "drop_quantization",
            "The model says itself how it is quantised.",
            intents={"quantization": None},
        ),
        Remedy("fewer_gpus", "Spread the model over as many GPUs as there are."),
        Remedy(
            "without_xet",
            "Download without the service that failed.",
            environment={"HF_HUB_DISABLE_XET": "1"},
        ),
        Remedy(
            "without_p2p",
            "Let the GPUs talk through the host's memory: slower, and works on consumer boards.",
            intents={"no_direct_copies": True},
            environment={"NCCL_P2P_DISABLE": "1"},
        ),
        Remedy(
            "longer_engine_start",
            "Give the engine an hour to load.",
            intents={"engine_start_seconds": 3600},
        ),
        Remedy(
            "without_inner_port",
            "Take away the variable that another program has set.",
            intents={"inner_port": None},
        ),
        Remedy(
            "reinstall_stack",
            "Install all packages again from the lock.",
            do=("reinstall",),
            consent="stack",
        ),
        Remedy("driver", "Install another driver.", do=("driver",), consent="driver"),
        Remedy(
            "reset_gpu",
            "Reset the GPUs, if no other process is on them.",
            do=("reset_gpu",),
            consent="gpu_reset",
        ),
        Remedy("by_hand", "Only you can decide this.", by_hand=True),
        *(
            Remedy("other_engine", spelling.instead, by_hand=True, not_of=name)
            for name, spelling in SPELLINGS.items()
            if spelling.instead
        ),
        Remedy(
            "another_host",
            "This host cannot serve it: run playbook teardown, then deploy. Recover rents nothing.",
            by_hand=True,
        ),
        Remedy(
            "complete_reset",
            "Stop everything of ours on the host, clear the caches, and start as first asked for.",
            do=("stop_all", "clear_caches"),
        ),
    )
}

AT_WORK = ("serving", "busy")
"""What is left alone."""

BY_HEALTH: dict[str, tuple[str, ...]] = {
    "starting": ("wait",),
    "hung": ("restart", "reset_gpu", "clear_caches"),
    "not_answering": ("restart", "clear_caches"),
}
"""How it behaves says more than an old line in its log. Others are judged by their cause."""

UNKNOWN = ("restart", "clear_caches", "reinstall_stack", "smaller_model", "other_engine")

BY_CHANGE: dict[str, tuple[str, ...]] = {
    "memory_share": (
        "sweep_orphans",
        "fit_gpu_memory_utilization",
        "lower_max_num_seqs",
        "lower_max_model_len",
        "smaller_model",
        "reset_gpu",
        "other_engine",
    ),
    "context_tokens": ("lower_max_model_len", "raise_gpu_memory_utilization", "smaller_model"),
    "requests_at_once": ("lower_max_num_seqs", "fit_gpu_memory_utilization", "smaller_model"),
    "model files": ("download_again", "smaller_model"),
    "model": ("by_hand", "smaller_model"),
    "HF_TOKEN": ("by_hand", "smaller_model"),
    "trust_remote_code": ("by_hand", "smaller_model"),
    "engine version": ("by_hand", "smaller_model"),
    "tokenizer": ("download_again", "by_hand", "smaller_model"),
    "quantization": ("drop_quantization", "smaller_model"),
    "number_format": ("dtype_half", "dtype_float32"),
    "stack": ("reinstall_stack", "driver", "another_host"),
    "host": ("restart", "driver", "reset_gpu", "another_host"),
    "host memory": ("restart", "lower_max_num_seqs", "smaller_model", "another_host"),
    "disk": ("clear_caches", "smaller_model", "another_host"),
    "network": ("restart", "without_xet", "another_host"),
    "port": ("next_free_port",),
    "restart": ("restart", "without_p2p", "enforce_eager", "reset_gpu", "another_host"),
    "python": ("reinstall_stack", "by_hand"),
    "arguments": ("by_hand",),
    "chat_template": ("by_hand",),
    "LD_LIBRARY_PATH": ("by_hand", "another_host"),
    "CUDA toolkit": ("without_host_kernels", "clear_caches", "reinstall_stack", "another_host"),
    "attention_kernel": ("default_attention", "smaller_model", "another_host"),
    "caches": ("clear_caches", "enforce_eager"),
    "HOME": ("by_hand", "another_host"),
    "CUDA_VISIBLE_DEVICES": ("by_hand",),
    "lora_rank": ("raise_lora_rank", "by_hand"),
    "step_tokens": ("raise_step_tokens", "by_hand"),
    "pipeline_stages": ("layers_over_gpus", "smaller_model"),
    "speculation": ("without_speculation",),
    "GLOO_SOCKET_IFNAME": ("over_loopback", "by_hand", "another_host"),
    "worker_start": ("spawn_workers",),
    "matrix_kernel": ("without_host_kernels", "reinstall_stack"),
    "open files limit": ("by_hand", "another_host"),
    "host packages": ("by_hand", "another_host"),
    "process limit": ("by_hand", "another_host"),
    "host image": ("by_hand", "another_host"),
    "nothing": ("restart",),
    "see the log": UNKNOWN,
}
"""What to try by the thing that the catalogue of failures says must change. An option of an engine
stands here by its intent: each engine's entries name it in their own words."""

BY_CAUSE: dict[str, tuple[str, ...]] = {
    "no_kv_cache_memory": (
        "sweep_orphans",
        "raise_gpu_memory_utilization",
        "lower_max_num_seqs",
        "smaller_model",
        "another_host",
    ),
    "gpu_memory_changed": ("sweep_orphans", "restart"),
    "gpu_out_of_memory": (
        "sweep_orphans",
        "fit_gpu_memory_utilization",
        "lower_max_num_seqs",
        "lower_max_model_len",
        "enforce_eager",
        "smaller_model",
        "other_engine",
    ),
    "gpu_broken": ("reset_gpu", "another_host"),
    "float16_unsupported": ("default_dtype", "dtype_float32", "smaller_model"),
    "gpu_busy": ("sweep_orphans", "reset_gpu", "another_host"),
    "gpu_architecture": ("reinstall_stack", "another_host"),
    "driver_mismatch": ("by_hand", "another_host"),
    "disk_failing": ("restart", "another_host"),
    "gpu_virtualised": ("another_host",),
    "cuda_libraries_foreign": ("reinstall_stack", "by_hand", "another_host"),
    "quantization_unsupported_gpu": ("default_attention", "smaller_model", "another_host"),
    "quantized_block_not_divisible": ("fewer_gpus", "smaller_model"),
    "bfloat16_unsupported": ("dtype_half", "dtype_float32"),
    "illegal_instruction": ("dtype_float32", "reinstall_stack", "another_host"),
    "crash": ("restart", "enforce_eager", "reinstall_stack", "smaller_model", "another_host"),
    "too_few_gpus": ("fewer_gpus",),
    "heads_not_divisible": ("fewer_gpus",),
    "nccl": ("without_p2p", "restart", "another_host"),
    "engine_hung": ("without_p2p", "restart", "enforce_eager", "reset_gpu", "another_host"),
    "shared_memory_small": ("by_hand", "another_host"),
    "model_not_cached": ("download_first", "smaller_model"),
    "xet_download": ("without_xet", "download_first", "smaller_model"),
    "engine_start_timeout": ("longer_engine_start", "download_first", "smaller_model"),
    "timeout": ("download_first", "longer_engine_start", "smaller_model"),
    "hung": BY_HEALTH["hung"],
    "stopped": UNKNOWN,
    "port_uri": ("without_inner_port",),
    "port_taken_inside": ("sweep_orphans", "without_inner_port", "restart"),
    "port_invalid": ("by_hand",),
    "port_privileged": ("by_hand",),
}
"""Where the thing to change does not say enough."""


@dataclass(frozen=True)
class Situation:
    """One sick server. `arguments` are those of its last start, in the words of its `engine`,
    `first` those before any remedy, as `first_model` is; `added_environment` names the variables
    that remedies have set since.

    gpus: memory_total_mib and memory_free_mib of each. fit: what fit.gpu_fit says of the model with
    these arguments on these GPUs, empty when nothing was computed. orphans: servers of ours that
    should not live and do. ladder: smaller models, each with `model` and, if any, `arguments`.
    """

    engine: str = DEFAULT
    health: str = "not_running"
    cause_id: str = "unknown"
    change: str = "see the log"
    remedy: str = ""
    log: str = ""
    model: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    first: Mapping[str, Any] = field(default_factory=dict)
    first_model: str = ""
    added_environment: tuple[str, ...] = ()
    gpus: tuple[Mapping[str, Any], ...] = ()
    fit: Mapping[str, Any] = field(default_factory=dict)
    orphans: tuple[str, ...] = ()
    port_owners: tuple[Mapping[str, Any], ...] = ()
    free_port: int | None = None
    ladder: tuple[Mapping[str, Any], ...] = ()
    allowed: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    least_model_len: int = 2048

    @property
    def spelling(self) -> Spelling:
        """How its engine spells intents."""
        return spelling(self.engine)

    def number(self, intent: str, default: float = 0) -> float:
        """What its arguments say of an intent, as a number."""
        return self.spelling.number(self.arguments, intent, default)


Change = Mapping[str, Any]


def _wanting(intent: str, value: Any) -> list[Change]:
    return [{"intents": {intent: value}}]


def _free_share(situation: Situation) -> float | None:
    """The part of every GPU's memory that is free, a percent below what the driver says."""
    known = [
        gpu["memory_free_mib"] / gpu["memory_total_mib"]
        for gpu in situation.gpus
        if gpu.get("memory_total_mib") and gpu.get("memory_free_mib") is not None
    ]
    return int(min(known) * 100) / 100 - 0.01 if known else None


def _needed_share(situation: Situation) -> float:
    """The part of the smallest GPU's memory without which the model cannot start, 0 if unknown."""
    need = situation.fit.get("need_gib")
    totals = [gpu["memory_total_mib"] for gpu in situation.gpus if gpu.get("memory_total_mib")]
    return float(need["value"] - need["error"]) * 1024 / min(totals) if need and totals else 0.0


def _fit_utilization(situation: Situation) -> list[Change]:
    """What is free; where that is enough already, or unknown, one step less than now."""
    now = situation.number("memory_share")
    free = _free_share(situation)
    fitting = free if free is not None and free < now else now - SHARE_STEP
    if fitting < max(LEAST_SHARE, _needed_share(situation)):
        return []
    return _wanting("memory_share", round(fitting, 2))


def _raise_utilization(situation: Situation) -> list[Change]:
    now = situation.number("memory_share")
    free = _free_share(situation)
    most = round(min(MOST_SHARE, free if free is not None else MOST_SHARE), 2)
    return _wanting("memory_share", most) if most > now else []


def _lower_model_len(situation: Situation) -> list[Change]:
    """What the engine says would have fitted, else our own estimate, else half of the wish."""
    words, log = situation.spelling, situation.log
    asked = [found for text in words.asked_context for found in text.finditer(log)]
    last = max(asked, key=lambda found: found.start(), default=None)
    now = situation.number("context_tokens", int(last[1]) if last else 2 * DEFAULT_CONTEXT)
    named = [int(found[1]) for text in words.fitting_context for found in text.finditer(log)]
    estimate, least = int(situation.fit.get("largest_max_model_len", 0)), situation.least_model_len
    if not named and estimate < least and situation.fit.get("fits") == "no":
        return []  # no context makes room for such weights
    ours = [estimate] if estimate >= least else []
    fitting = [length for length in [*ours, *named] if 0 < length < now]
    length = fitting[-1] if fitting else max(int(now) // 2, least)
    return _wanting("context_tokens", length) if length < now else []


def _said(situation: Situation, texts: tuple[Pattern[str], ...]) -> int:
    """The last number that the log gives in one of these texts, 0 for none."""
    found = [int(match[1]) for text in texts for match in text.finditer(situation.log)]
    return found[-1] if found else 0


def _lower_num_seqs(situation: Situation) -> list[Change]:
    """What the engine says would have fitted, else half."""
    now = int(situation.number("requests_at_once"))
    fitting = _said(situation, situation.spelling.fitting_requests)
    number = fitting if fitting and fitting != now else now // 2
    return _wanting("requests_at_once", number) if number >= LEAST_REQUESTS else []


def _raise_lora_rank(situation: Situation) -> list[Change]:
    """The next of the ranks that engines take."""
    wanted = _said(situation, situation.spelling.asked_rank)
    ranks = [rank for rank in LORA_RANKS if wanted and rank >= wanted]
    return _wanting("lora_rank", ranks[0]) if ranks else []


def _raise_step_tokens(situation: Situation) -> list[Change]:
    wanted = _said(situation, situation.spelling.asked_step)
    return _wanting("step_tokens", wanted) if 0 < wanted <= MOST_STEP_TOKENS else []


def _layers_over_gpus(situation: Situation) -> list[Change]:
    """As many GPUs as before, all in one stage."""
    stages = int(situation.number("pipeline_stages"))
    gpus = int(situation.number("gpus_per_layer")) * stages
    return [{"intents": {"pipeline_stages": 1, "gpus_per_layer": gpus}}] if stages > 1 else []


def _smaller_models(situation: Situation) -> list[Change]:
    """Each with the arguments that were first asked for, and its own above them."""
    return [
        {"model": rung["model"], "arguments": {**_undo(situation), **rung.get("arguments", {})}}
        for rung in situation.ladder
        if rung["model"] != situation.model
    ]


def _undo(situation: Situation) -> dict[str, Any]:
    """The change that leads back to the first arguments."""
    added = dict.fromkeys(set(situation.arguments) - set(situation.first))
    return {
        **added,
        **{
            name: value
            for name, value in situation.first.items()
            if situation.arguments.get(name) != value
        },
    }


def _as_at_first(situation: Situation) -> Change:
    """The change that takes back whatever was tried; the port stays where it is free."""
    tried_another = situation.first_model not in ("", situation.model)
    return {
        "model": situation.first_model if tried_another else "",
        "arguments": _undo(situation),
        "environment": dict.fromkeys(situation.added_environment),
    }


def _fewer_gpus(situation: Situation) -> list[Change]:
    """The next lower power of two, which divides every common number of attention heads."""
    now, there = int(situation.number("gpus_per_layer")), len(situation.gpus)
    fitting = [size for size in (8, 4, 2, 1) if size < now and size <= max(there, 1)]
    return _wanting("gpus_per_layer", fitting[0]) if fitting else []


def _as_it_is(_situation: Situation) -> list[Change]:
    return [{}]


def _from_the_hub(situation: Situation) -> list[Change]:
    """Only what has a source can be downloaded: a folder on the host has none that is known."""
    return [] if situation.model.startswith("/") or not situation.model else [{}]


WORKED_OUT: dict[str, Callable[[Situation], list[Change]]] = {
    "sweep_orphans": lambda situation: (
        [{"servers": list(situation.orphans)}] if situation.orphans else []
    ),
    "fit_gpu_memory_utilization": _fit_utilization,
    "raise_gpu_memory_utilization": _raise_utilization,
    "lower_max_model_len": _lower_model_len,
    "lower_max_num_seqs": _lower_num_seqs,
    "smaller_model": _smaller_models,
    "fewer_gpus": _fewer_gpus,
    "raise_lora_rank": _raise_lora_rank,
    "raise_step_tokens": _raise_step_tokens,
    "layers_over_gpus": _layers_over_gpus,
    "download_again": _from_the_hub,
    "download_first": _from_the_hub,
    "next_free_port": lambda situation: (
        [{"port": situation.free_port}] if situation.free_port else []
    ),
    "reset_gpu": lambda situation: [{}] if situation.gpus else [],
    "driver": lambda situation: [{}] if "driver" in situation.roles else [],
    "complete_reset": lambda situation: [_as_at_first(situation)],
}
"""Remedies whose changes depend on the situation: one entry a step, none where it cannot help."""


def plan(
    situation: Mapping[str, Any], tried: tuple[str, ...] = (), max_steps: int = 6
) -> list[dict[str, Any]]:
    """The steps to try, in order, at most so many; empty for a server that is at work.

    Each has id, key (the same for the same step with the same values), why, do, model, port,
    arguments, environment, servers, needs (what stands in its way, empty when nothing does).
    """
    known = Situation(**situation)
    if known.health in AT_WORK:
        return []
    names = remedies_for(known)
    steps = [step for name in names for step in _steps(REMEDIES[name], known)]
    # What did not help comes again, with other values, only after what was not tried at all.
    times = Counter(key.partition(" ")[0] for key in tried)
    fresh = [step for step in steps if step["key"] not in tried]
    fresh.sort(key=lambda step: times[step["id"]])
    # Where only a person can help, nothing is worth being torn down for.
    if REMEDIES[names[0]].by_hand:
        return fresh[:max_steps]
    last = [
        step for step in _steps(REMEDIES["complete_reset"], known) if not times["complete_reset"]
    ]
    return (fresh[: max(max_steps - 1, 0)] + last)[:max_steps]


def remedies_for(situation: Situation) -> tuple[str, ...]:
    """The ids of what fits, in order."""
    if situation.health in BY_HEALTH:
        return BY_HEALTH[situation.health]
    if situation.port_owners:
        return BY_CHANGE["port"]
    if situation.cause_id == "unknown":
        return UNKNOWN
    known = BY_CAUSE.get(situation.cause_id)
    return known or BY_CHANGE.get(intent_of(situation.change, situation.engine), UNKNOWN)


def intent_of(change: str, engine: str = DEFAULT) -> str:
    """What must change, as BY_CHANGE names it. What any engine's log may say is told in the words
    of the usual one."""
    own = spelling(engine).intent(change)
    return own if own in BY_CHANGE else spelling(DEFAULT).intent(change)


def _steps(remedy: Remedy, situation: Situation) -> Iterator[dict[str, Any]]:
    work_out = WORKED_OUT.get(remedy.id, _as_it_is)
    why = situation.remedy if remedy.id == "by_hand" and situation.remedy else remedy.why
    for change in work_out(situation):
        intents = {**remedy.intents, **change.get("intents", {})}
        if remedy.not_of == situation.engine or not situation.spelling.knows(intents):
            continue
        if "reinstall" in remedy.do and not situation.spelling.proof:
            continue
        spelled = situation.spelling.spell(intents)
        step = {
            "id": remedy.id,
            "why": why,
            "do": list(remedy.do),
            "model": change.get("model", ""),
            "port": change.get("port"),
            "arguments": {**spelled.arguments, **change.get("arguments", {})},
            "environment": {
                **spelled.environment,
                **remedy.environment,
                **change.get("environment", {}),
            },
            "servers": change.get("servers", []),
            "needs": _needs(remedy, situation),
        }
        values = [step["model"], step["port"], step["arguments"], step["environment"]]
        yield {**step, "key": f"{remedy.id} {json.dumps(values, sort_keys=True)}"}


def _needs(remedy: Remedy, situation: Situation) -> str:
    if remedy.by_hand:
        return "a person"
    missing = remedy.consent and remedy.consent not in situation.allowed
    return f"{remedy.consent} in recover_allow" if missing else ""
