# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of vLLM that decide how much memory it takes, read as vLLM reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ....common.engines.vllm.words import canonical, is_on, options_of

_MOST_GPUS = 10_000


def named(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Options by the one name of each, however it was written."""
    known = options_of(None)
    return {canonical(str(name), known): value for name, value in arguments.items()}


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
    performance_mode: str
    cpu_offload_gib: float

    @classmethod
    def read(cls, arguments: Mapping[str, Any]) -> EngineOptions:
        """From options by name, written with - or _. Raises ValueError naming a bad one."""
        given = {name: value for name, value in named(arguments).items() if value is not None}

        def number(name: str, default: float) -> float:
            try:
                return float(given.get(name, default))
            except (TypeError, ValueError) as error:
                raise ValueError(f"{name}: {given[name]!r} is not a number.") from error

        def count(name: str) -> int:
            value = number(name, 1)
            if not 1 <= value <= _MOST_GPUS:
                raise ValueError(f"{name}: {given[name]!r} is not a number of GPUs.")
            return int(value)

        def tokens(name: str) -> int | None:
            return _human_number(name, given.get(name))

        return cls(
            gpu_memory_utilization=number("gpu_memory_utilization", 0) or None,
            max_model_len=tokens("max_model_len"),
            names_max_model_len="max_model_len" in given,
            max_num_seqs=tokens("max_num_seqs"),
            max_num_batched_tokens=tokens("max_num_batched_tokens"),
            kv_cache_bytes=tokens("kv_cache_memory_bytes"),
            tensor_parallel=count("tensor_parallel_size"),
            pipeline_parallel=count("pipeline_parallel_size"),
            data_parallel=count("data_parallel_size"),
            dtype=str(given.get("dtype", "auto")),
            kv_cache_dtype=str(given.get("kv_cache_dtype", "auto")),
            quantization=str(given.get("quantization", "")),
            enforce_eager=bool(is_on(given.get("enforce_eager"))),
            performance_mode=str(given.get("performance_mode", "")),
            cpu_offload_gib=number("cpu_offload_gb", 0),
        )

    @property
    def gpus(self) -> int:
        return self.tensor_parallel * self.pipeline_parallel * self.data_parallel


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
