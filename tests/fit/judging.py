# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configs of real models, what is published of their size, and what the estimate makes of them.

A line of models.jsonl is one model: where its config is from, the entries of that config that may
say something of memory, maybe its hf_quant_config.json, and the size that somebody published, with
where that stands. The kinds of sizes:

- bytes: of the weights' files, or the total_size of their index.
- elements: what the hub counts in the files. Of some quantised ones it counts `unpacked` values, of
  others it leaves the scales out (`without_scales`).

Where files are known to hold something that is not loaded, or to lack something that the config
names, `files` says so: `second_head` is a copy of the output embedding that is the input one too,
`no_guessing_layers` that the layers that guess further tokens are not there. `first_sight` marks
the models that nobody had looked at when the rules were made.

A line of logs.jsonl is what a server of vLLM said of its memory: `held_gib` of weights on each GPU,
or `cache_gib` and the `tokens` that it holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.inferops.gpu.plugins.module_utils.serving.architecture import (
    Architecture,
    UnknownModel,
    with_quantization,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.fit import (
    gpu_fit,
    ram_fit,
    search_fit,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.kv_cache import (
    cache_kind,
    kv_cache,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.packing import packing_of
from ansible_collections.inferops.gpu.plugins.module_utils.serving.tensors import Tensor, tensors
from ansible_collections.inferops.gpu.plugins.module_utils.serving.towers import (
    has_tower,
    tower_tensors,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.weights import (
    Split,
    Weights,
    estimate_weights,
)

HERE = Path(__file__).parent
GIB = 1024**3
#: Beyond this share a figure that is stated as computed is not only outside of its range.
WRONG = 0.25
#: The share by which a log may differ from the cache that is computed: it rounds memory.
CACHE_ERROR = 0.02
_HOST = [{"memory_total_mib": 143771, "memory_used_mib": 500, "name": "NVIDIA H200"}] * 8


class Finding(NamedTuple):
    """What was found of one model: crash, wrong, outside or unknown, and in words."""

    kind: str
    model: str
    words: str


def lines(name: str) -> list[dict[str, Any]]:
    """A file of this folder."""
    return [json.loads(line) for line in (HERE / name).read_text().splitlines()]


def config_of(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config as it is served: with what hf_quant_config.json adds."""
    return with_quantization(entry["config"], entry.get("hf_quant_config"))


def judge(entry: Mapping[str, Any]) -> Iterator[Finding]:
    """What is wrong with the estimate of one model."""
    config, name = config_of(entry), entry["model"]
    try:
        weights = estimate_weights(config)
        keeps = kv_cache(config).bytes_for(1000)
        answers = (
            search_fit(config, {}),
            search_fit(config, {}, 10**10),
            gpu_fit(config, {}, _HOST),
            gpu_fit(config, {"tensor_parallel_size": 8}, _HOST),
            ram_fit(config, {}, 2**20, 4),
        )
    except UnknownModel as error:
        yield Finding("unknown", name, str(error))
        return
    except Exception as error:
        yield Finding("crash", name, repr(error))
        return
    if weights.are_guessed:
        yield Finding("unknown", name, weights.source)
    if not keeps and not Architecture.of(config).family.encoder:
        yield Finding("wrong", name, "it is said to keep nothing of a text")
    if not all(answer["why"] and answer["fits"] for answer in answers):
        yield Finding("wrong", name, "an answer without a reason")
    if entry.get("size"):
        yield from _held_to(entry, config, weights)


def _held_to(
    entry: Mapping[str, Any], config: Mapping[str, Any], weights: Weights
) -> Iterator[Finding]:
    published = entry["size"]["value"]
    computed = size_of(entry, config, weights)
    off = computed / published - 1
    if abs(off) <= weights.error:
        return
    kind = "wrong" if abs(off) > WRONG and not weights.are_guessed else "outside"
    words = f"{computed:,.0f} for {published:,} {entry['size']['kind']} is {off:+.1%}"
    yield Finding(kind, entry["model"], f"{words}, stated {weights.error:.0%} ({weights.source})")


def size_of(entry: Mapping[str, Any], config: Mapping[str, Any], weights: Weights) -> float:
    """What the estimate says of what was published."""
    model, files = Architecture.of(config), entry.get("files", "")
    counted = entry["size"]["kind"] == "elements"
    head = model.get("vocab_size") * model.hidden if files == "second_head" else 0
    if not counted:
        bare = files == "no_guessing_layers"
        return (weights.total_bytes if bare else weights.stored_bytes) + 2 * head
    packing, how, total = packing_of(config), entry["size"].get("counted", ""), float(head)
    for tensor in _stored(config):
        packed = packing(tensor)
        if packed is None:
            total += tensor.elements
            continue
        whole = how == "unpacked" or packed.bits >= 8
        total += tensor.elements * (1 if whole else packed.bits / 8)
        total += 0 if how == "without_scales" else packed.scales(tensor) * tensor.copies
    return total


def _stored(config: Mapping[str, Any]) -> Iterator[Tensor]:
    yield from tensors(config)
    if has_tower(config):
        yield from tower_tensors(config)


def judge_log(log: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[Finding]:
    """What is wrong with the estimate where a server said what it took."""
    cut = log.get("tensor_parallel_size", 1)
    if "held_gib" in log:
        weights = estimate_weights(config, split=Split(cut))
        off = weights.gpu_bytes / GIB / log["held_gib"] - 1
        if abs(off) > weights.error:
            yield Finding("outside", log["model"], f"weights on each GPU are {off:+.1%} off")
    if "tokens" in log:
        kind = cache_kind(config, log.get("kv_cache_dtype", "auto"))
        cache = kv_cache(config, 1.0 if kind.startswith("fp8") else 2.0, cut)
        told = cache.reported_tokens(log["cache_gib"] * GIB, log["max_model_len"])
        if abs(told / log["tokens"] - 1) > CACHE_ERROR:
            yield Finding("outside", log["model"], f"{told:,} tokens for {log['tokens']:,}")
