# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does a model fit, and with which gpu_memory_utilization and max_model_len?

vLLM takes ``gpu_memory_utilization`` times the memory of a GPU, and so much must be free when it
starts. What weights, activations and the rest leave of it holds the KV cache, and that must hold
one sequence of ``max_model_len`` tokens (vllm/v1/worker/gpu_worker.py). The same sum is made here
before anything is started. Refused is only what cannot fit even if every estimate is too high.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor
from typing import Any

from ...figures import GIB, Estimate, gib
from .cutting import cannot_cut
from .memory import Demand
from .options import EngineOptions
from .tiers import Runtime, batch

MIB = 1024**2

#: The most that is ever chosen: vLLM's own default until 0.19 (0.92 since 0.20). Older
#: releases keep their CUDA graphs in the rest.
HIGHEST_UTILIZATION = 0.9
#: The CUDA context, which is there already when vLLM looks at how much is free.
CONTEXT_BYTES = 0.6 * GIB
#: More than any GPU has: a thousand times the largest.
_MOST_MIB = 2**30
#: CUDA sees less memory than NVML: 23.58 of 24 GiB on an RTX 3090 (vLLM issue 10517).
HIDDEN_SHARE = 0.03
#: The context that an offer must have room for when nobody says how long it shall be.
SEARCH_TOKENS = 8192
#: Where there is no safe room for so much, what probably fits is tried.
SHORTEST_SAFE_TOKENS = 1024
#: What the processes of a server on a CPU hold beside weights and cache: 1.5 GiB were measured with
#: vLLM 0.32 and a tiny model, which says little about the activations of a large one.
RAM_OVERHEAD = Estimate(1.5 * GIB, 1.0 * GIB)


def search_fit(
    config: Mapping[str, Any],
    arguments: Mapping[str, Any],
    known_bytes: int | None = None,
    release: str = "",
) -> dict[str, Any]:
    """How large each GPU must be, before any is known: for the search of an offer.

    Of a guess the middle is asked for, and its range is told.
    """
    options = EngineOptions.read(arguments)
    demand = Demand.of(config, arguments, known_bytes, Runtime(release=release))
    tokens = options.max_model_len or min(demand.length, SEARCH_TOKENS)
    need = demand.need(tokens)
    share = (options.gpu_memory_utilization or HIGHEST_UTILIZATION) * (1 - HIDDEN_SHARE)
    low, middle, high = (round(part / share / GIB, 1) for part in (need.low, need.value, need.high))
    vram_gib = middle if demand.weights.are_guessed else high
    between = f" (between {low} and {high})" if demand.weights.are_guessed else ""
    impossible = cannot_cut(config, arguments)
    return {
        **_figures(demand, tokens, options),
        "fits": "no" if impossible else "unknown",
        "why": impossible
        or (
            f"{_parts(demand, tokens)} make {need} on each GPU: it takes one of {vram_gib} GiB"
            + between
            + (f", {options.gpus} times" if options.gpus > 1 else "")
        ),
        "vram_gib": vram_gib,
        "vram_range_gib": [low, high],
        "least_vram_gib": _least_vram_gib(demand, options),
        "gpus": options.gpus,
        "arguments": {},
    }


def _least_vram_gib(demand: Demand, options: EngineOptions) -> float:
    """Below this no GPU can hold it, however empty: what gpu_fit would call no."""
    given = options.max_model_len
    least = demand.least(given) if given else demand.base.low
    share = options.gpu_memory_utilization or (1.0 if options.kv_cache_bytes else 0.0)
    total = least / share if share else max(least / HIGHEST_UTILIZATION, least + CONTEXT_BYTES)
    return floor(total / GIB * 10) / 10


def gpu_fit(
    config: Mapping[str, Any],
    arguments: Mapping[str, Any],
    gpus: Sequence[Mapping[str, Any]],
    known_bytes: int | None = None,
    release: str = "",
) -> dict[str, Any]:
    """Whether the model fits on these GPUs as they are, and what to start it with.

    Each GPU has ``memory_total_mib`` and ``memory_used_mib``. ``arguments`` of the result holds
    values for options that were left open, never for one that the user gave.
    """
    options = EngineOptions.read(arguments)
    if len(gpus) < options.gpus:
        problem = (
            f"The options ask for {options.gpus} GPUs and the host has {len(gpus)}: lower "
            "tensor_parallel_size, or take a host with more"
        )
        return {"fits": "no", "why": problem, "arguments": {}}
    taken = gpus[: options.gpus]
    if not all(_is_told(gpu["memory_total_mib"], gpu["memory_used_mib"]) for gpu in taken):
        why = "The driver does not tell how much memory its GPU has"
        return {"fits": "unknown", "why": why, "arguments": {}}
    room = Room.of(taken, options)
    on = Runtime(room.total, str(taken[0].get("name") or ""), release)
    demand = Demand.of(config, arguments, known_bytes, on)
    tokens = options.max_model_len or _choose_length(demand, room, options)
    certain = _occupied(options, room) or cannot_cut(config, arguments)
    problem = certain or _too_large(demand, room, tokens) or _too_many(demand, room, options)
    need = demand.need(tokens)
    doubt = _maybe_too_many(demand, room, options)
    fits = "yes" if need.high <= room.usable.low and not doubt else "tight"
    if problem:
        fits = "unknown" if demand.weights.are_guessed and not certain else "no"
    elif demand.is_outline:
        fits = "unknown"
    given = "are free" if options.kv_cache_bytes else f"gpu_memory_utilization {room.share:g} gives"
    return {
        **_figures(demand, tokens, options),
        "fits": fits,
        "why": problem
        or f"{_parts(demand, tokens)} make {need} of the {gib(room.usable.value)} GiB that {given}"
        + doubt,
        "available_gib": gib(room.usable.value),
        "largest_max_model_len": _probable_length(demand, room),
        "concurrency": _concurrency(demand, room, tokens),
        "arguments": {}
        if problem or demand.is_outline
        else _chosen(demand, room, options, tokens, on),
    }


def _chosen(
    demand: Demand, room: Room, options: EngineOptions, tokens: int, on: Runtime
) -> dict[str, Any]:
    """What was left open and cannot stay as vLLM takes it."""
    chosen: dict[str, Any] = {}
    if options.gpu_memory_utilization is None:
        chosen["gpu_memory_utilization"] = room.share
    if tokens < demand.length and not options.names_max_model_len:
        chosen["max_model_len"] = tokens
    fewer = _fewer_sequences(demand, room, options, on)
    if fewer:
        chosen["max_num_seqs"] = fewer
    return chosen


def ram_fit(
    config: Mapping[str, Any],
    arguments: Mapping[str, Any],
    ram_mib: float,
    kv_cache_gib: float,
    known_bytes: int | None = None,
) -> dict[str, Any]:
    """Whether a host without GPU can serve the model from its memory. Chooses nothing."""
    options = EngineOptions.read(arguments)
    demand = Demand.of(config, arguments, known_bytes, Runtime())
    weights, available = demand.weights, ram_mib * MIB
    loaded = Estimate(weights.total_bytes, weights.total_bytes * weights.error)
    need = loaded + Estimate(kv_cache_gib * GIB) + RAM_OVERHEAD
    fits = "yes" if need.high <= available else "tight"
    if need.low > available:
        fits = "unknown" if weights.are_guessed else "no"
    elif demand.is_outline:
        fits = "unknown"
    why = (
        f"{gib(weights.total_bytes)} GiB of weights ({weights.source}) and {kv_cache_gib:g} GiB of "
        f"KV cache make {need} of the {gib(available)} GiB of memory that are free"
    )
    if fits == "no":
        why += ": take a smaller or quantised model, or a host with more memory"
    figures = _figures(demand, options.max_model_len or demand.length, options)
    return {
        **figures,
        "weights_gib": loaded.shown(),
        "overhead_gib": RAM_OVERHEAD.shown(),
        "kv_cache_gib": kv_cache_gib,
        "need_gib": need.shown(),
        "need_all_gib": None,
        "fits": fits,
        "why": why,
        "available_gib": gib(available),
        "arguments": {},
    }


def _is_told(total_mib: Any, used_mib: Any) -> bool:
    """Whether a host tells the memory of a GPU. It may tell a text that grows with each factor."""
    numbers = all(type(told) in (int, float) for told in (total_mib, used_mib))
    return numbers and 0 < total_mib < _MOST_MIB and 0 <= used_mib < _MOST_MIB


@dataclass(frozen=True)
class Room:
    """What vLLM may take of each GPU. One share counts for all of them: the fullest decides."""

    total: float
    free: float
    share: float
    usable: Estimate

    @classmethod
    def of(cls, gpus: Sequence[Mapping[str, Any]], options: EngineOptions) -> Room:
        total = min(gpu["memory_total_mib"] for gpu in gpus) * MIB
        free = total * min(1 - gpu["memory_used_mib"] / gpu["memory_total_mib"] for gpu in gpus)
        share = options.gpu_memory_utilization or highest_share(total, free)
        # kv_cache_memory_bytes takes the place of the share: the cache gets what it names.
        seen = free if options.kv_cache_bytes else share * total
        usable = Estimate(seen * (1 - HIDDEN_SHARE / 2), seen * HIDDEN_SHARE / 2)
        return cls(total, free, share, usable)


def highest_share(total: float, free: float) -> float:
    """The gpu_memory_utilization to choose: the highest of all, or what is free when it is less."""
    share = min(HIGHEST_UTILIZATION, (free - CONTEXT_BYTES) / total)
    return max(floor(share * 100) / 100, 0.0)


def _choose_length(demand: Demand, room: Room, options: EngineOptions) -> int:
    """The longest context that fits for sure; where that is too short, that probably fits."""
    if options.kv_cache_bytes:
        return demand.cache.tokens_in(options.kv_cache_bytes, demand.length)
    safe = demand.cache.tokens_in(room.usable.low - demand.base.high, demand.length)
    if safe >= min(SHORTEST_SAFE_TOKENS, demand.length):
        return safe
    probable = _probable_length(demand, room)
    return probable or demand.cache.tokens_in(room.usable.high - demand.base.low, demand.length)


def _probable_length(demand: Demand, room: Room) -> int:
    return demand.cache.tokens_in(room.usable.value - demand.base.value, demand.length)


def _concurrency(demand: Demand, room: Room, tokens: int) -> float:
    """How many sequences of this length probably fit at once, as vLLM logs it."""
    left, each = room.usable.value - demand.base.value, demand.cache.bytes_for(tokens)
    return round(max(left, 0.0) / each, 2) if tokens and each else 0.0


def _occupied(options: EngineOptions, room: Room) -> str:
    """Why vLLM cannot have the share that it is told to take; empty when it can."""
    share = options.gpu_memory_utilization
    if share and share * room.total * (1 - HIDDEN_SHARE) > room.free:
        return (
            f"gpu_memory_utilization {share:g} asks for {gib(share * room.total)} GiB of a GPU of "
            f"which {gib(room.free)} of {gib(room.total)} GiB are free: set it to "
            f"{highest_share(room.total, room.free):g} or less, or end what uses the GPU"
        )
    return ""


def _too_large(demand: Demand, room: Room, tokens: int) -> str:
    """Why this can never start, with the numbers and what to change; empty when it may."""
    if not tokens or demand.base.low > room.usable.high:
        return (
            f"{gib(demand.weights.gpu_bytes)} GiB of weights ({demand.weights.source}) and what "
            f"vLLM needs beside them make {demand.base} of at most {gib(room.usable.high)} GiB "
            f"({gib(room.free)} of {gib(room.total)} GiB are free): take a smaller or quantised "
            "model, a larger GPU, or more of them with tensor_parallel_size"
        )
    if demand.least(tokens) > room.usable.high:
        return (
            f"max_model_len {tokens} makes {demand.need(tokens)} of at most "
            f"{gib(room.usable.high)} GiB: about {_probable_length(demand, room)} tokens fit. "
            "Lower it, set kv_cache_dtype to fp8, or take a larger GPU"
        )
    return ""


def _too_many(demand: Demand, room: Room, options: EngineOptions) -> str:
    """Why so many sequences at once can never start where layers remember a state of each."""
    most = demand.cache.sequences_in(room.usable.high - demand.base.low)
    asked = options.max_num_seqs
    if not asked or most is None or asked <= most or options.enforce_eager:
        return ""
    return (
        f"max_num_seqs {asked} asks for a state of as many sequences, and there is room for "
        f"{most} at most: lower it"
    )


def _safe_sequences(demand: Demand, room: Room) -> int | None:
    """How many sequences there is room for, for sure; None where layers remember no state."""
    return demand.cache.sequences_in(room.usable.low - demand.base.high)


def _maybe_too_many(demand: Demand, room: Room, options: EngineOptions) -> str:
    """What to say of a max_num_seqs for which there is room only if estimates are too high."""
    safe = _safe_sequences(demand, room)
    asked = options.max_num_seqs
    if not asked or safe is None or asked <= safe or options.enforce_eager:
        return ""
    return f"; of the {asked} states that max_num_seqs asks for, {max(safe, 0)} fit for sure"


def _fewer_sequences(demand: Demand, room: Room, options: EngineOptions, on: Runtime) -> int | None:
    """The max_num_seqs to choose where vLLM's own is more than there is room for."""
    safe = _safe_sequences(demand, room)
    usual = batch(options, on).sequences
    if options.max_num_seqs or safe is None or safe >= usual:
        return None
    return max(safe, 1)


def _figures(demand: Demand, tokens: int, options: EngineOptions) -> dict[str, Any]:
    all_at_once = options.max_num_seqs
    return {
        "weights_gib": demand.held.shown(),
        "weights_source": demand.weights.source,
        "checkpoint_gib": gib(demand.weights.stored_bytes),
        "overhead_gib": demand.rest.shown(),
        # What reads a text once and writes none keeps nothing of it.
        "kv_bytes_per_token": demand.cache.bytes_per_token or None,
        "kv_cache_gib": gib(demand.cache.bytes_for(tokens)),
        "weights_error": demand.weights.error,
        "unknown_options": list(demand.unknown),
        "need_gib": demand.need(tokens).shown(),
        "need_all_gib": demand.need(tokens, all_at_once).shown() if all_at_once else None,
        "max_model_len": tokens,
    }


def _parts(demand: Demand, tokens: int) -> str:
    return (
        f"{gib(demand.weights.gpu_bytes)} GiB of weights ({demand.weights.source}), "
        f"{gib(demand.cache.bytes_for(tokens))} GiB of KV cache for {tokens} tokens and the rest"
    )
