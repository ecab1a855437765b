# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of vLLM that decide how much memory it takes, read as vLLM reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..common.vllm_words import ON_OR_OFF, canonical, options_of, read

GIB = 1024**3

#: Tokens read in one step and sequences served at once when nothing is said, by the memory of the
#: GPU (get_batch_defaults in vllm/engine/arg_utils.py).
STEP_DEFAULTS = ((70 * GIB, 8192, 1024), (0, 2048, 256))


#: Options that are whole documents: what is in them is not read here.
DOCUMENTS = frozenset(("hf_overrides", "config"))
#: Options that take memory beside the model, for a draft or for adapters; how much is not computed.
ADDITIONS = frozenset(
    ("speculative_config", "speculative_model", "spec_method", "spec_model", "enable_lora")
)


def with_words(
    arguments: Mapping[str, Any], words: Sequence[str]
) -> tuple[dict[str, Any], list[str]]:
    """The options, and what further words of the command line make of them.

    The words come last, so they win. A key of a document, such as hf_overrides.rope_theta, is in
    the document. Also gives what decides and cannot be read.
    """
    options: dict[str, Any] = {}
    known = options_of(None)
    said = read(map(str, words), known).arguments
    for name, value in (*_named(arguments).items(), *said.items()):
        option, _dot, path = name.partition(".")
        if path:
            document = options.get(option)
            value = {**(document if isinstance(document, dict) else {}), path: value}
        options[option] = value
    unread = [name for name in sorted(DOCUMENTS) if _is_set(options.get(name))]
    # An option that wants a value and has none.
    unread += [name for name, value in said.items() if value is True and not _turns_on(name)]
    return options, unread


def additions(options: Mapping[str, Any]) -> list[str]:
    """Which of these options, as with_words gives them, take memory that is not computed."""
    return [name for name in sorted(ADDITIONS) if _is_set(options.get(name))]


def _is_set(value: Any) -> bool:
    return bool(value) and str(value).lower() not in ("false", "no", "0", "none", "null", "{}")


def _named(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Options by the one name of each, however it was written."""
    known = options_of(None)
    return {canonical(name, known): value for name, value in arguments.items()}


def _turns_on(name: str) -> bool:
    option, dot, _path = name.partition(".")
    kind = options_of(None).find(f"--{option}").option.kind
    return bool(dot) or kind in ON_OR_OFF or kind == "perhaps"


@dataclass(frozen=True)
class EngineOptions:
    """None stands for what the user left open."""

    gpu_memory_utilization: float | None
    max_model_len: int | None
    #: Whether the user said anything about it, "auto" included.
    names_max_model_len: bool
    max_num_seqs: int | None
    max_num_batched_tokens: int | None
    kv_cache_bytes: int | None
    tensor_parallel: int
    pipeline_parallel: int
    data_parallel: int
    dtype: str
    kv_cache_dtype: str
    quantization: str
    enforce_eager: bool
    cpu_offload_gib: float

    @classmethod
    def read(cls, arguments: Mapping[str, Any]) -> EngineOptions:
        """From options by name, written with - or _. Raises ValueError naming a bad one."""
        named = _named(arguments)
        given = {name: value for name, value in named.items() if value is not None}

        def number(name: str, default: float) -> float:
            try:
                return float(given.get(name, default))
            except (TypeError, ValueError) as error:
                raise ValueError(f"{name}: {given[name]!r} is not a number.") from error

        def tokens(name: str) -> int | None:
            return _human_number(name, given.get(name))

        return cls(
            gpu_memory_utilization=number("gpu_memory_utilization", 0) or None,
            max_model_len=tokens("max_model_len"),
            names_max_model_len="max_model_len" in given,
            max_num_seqs=tokens("max_num_seqs"),
            max_num_batched_tokens=tokens("max_num_batched_tokens"),
            kv_cache_bytes=tokens("kv_cache_memory_bytes"),
            tensor_parallel=int(number("tensor_parallel_size", 1)),
            pipeline_parallel=int(number("pipeline_parallel_size", 1)),
            data_parallel=int(number("data_parallel_size", 1)),
            dtype=str(given.get("dtype", "auto")),
            kv_cache_dtype=str(given.get("kv_cache_dtype", "auto")),
            quantization=str(given.get("quantization", "")),
            enforce_eager=str(given.get("enforce_eager", "")).lower() in ("true", "1", "yes"),
            cpu_offload_gib=number("cpu_offload_gb", 0),
        )

    @property
    def gpus(self) -> int:
        return self.tensor_parallel * self.pipeline_parallel * self.data_parallel

    def batch(self, gpu_bytes: float) -> tuple[int, int]:
        """Tokens in one step and sequences at once, on GPUs of this size."""
        step, sequences = next(
            (step, sequences) for least, step, sequences in STEP_DEFAULTS if gpu_bytes >= least
        )
        return self.max_num_batched_tokens or step, self.max_num_seqs or sequences


def _human_number(name: str, value: Any) -> int | None:
    """1k is 1000 and 1K is 1024, as in vLLM; auto and -1 leave the choice to it."""
    if value is None or str(value) in ("auto", "-1"):
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmMgG]?)", str(value))
    if found is None:
        raise ValueError(f"{name}: {value!r} is not a number such as 8192, 8k or 8K.")
    base = 1000 if found[2].islower() else 1024
    power = {"": 0, "k": 1, "m": 2, "g": 3}[found[2].lower()]
    return int(float(found[1]) * base**power)
