# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over pure knowledge: how much memory a model takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.registry import (
    DEFAULT,
    knowledge,
)

DOCUMENTATION = r"""
name: model_fit
short_description: Compute whether a model fits, and what to start it with
version_added: "0.1.0"
description:
  - Computes the memory that vLLM needs for a model from its C(config.json). Knows dense models and
    mixtures of experts, grouped, latent, linear and sparse attention, sliding windows, states
    (Mamba), what models see with, checkpoints of every usual quantiser, tensor, pipeline and data
    parallelism.
  - Without O(gpus) and O(ram_mib) it says how large each GPU must be. With O(gpus) it says whether
    the model fits there, chooses C(gpu_memory_utilization) and C(max_model_len) where they were
    left open, and says what is impossible, with the numbers.
  - Every figure is an estimate with an error bar. Only what cannot fit even if all of them are too
    high is called V(no).
positional: _input
options:
  _input:
    description: The content of the model's C(config.json), as text or as data.
    type: raw
    required: true
  arguments:
    description: Options of the engine, as role P(inferops.gpu.launch#role) takes them.
    type: dict
    default: {}
  extra_args:
    description:
      - Further words of the engine's command line. Of vLLM those that decide how much memory is
        taken count as O(arguments) do, and win over them, shortened or with dots as well. With
        C(--config), which may say anything, the answer is V(unknown), here and in O(arguments).
        What a draft (C(--speculative-config)) or adapters (C(--enable-lora)) take is estimated.
        Where nothing tells how large a draft is, the answer is V(unknown) or V(no).
    type: list
    elements: str
    default: []
  gpus:
    description:
      - The GPUs of the host, as M(inferops.gpu.gpu_info) returns them. As many as the options ask
        for are used, in this order. Where one of them is divided (MIG), a server has but a part of
        it, and the answer is V(unknown).
    type: list
    elements: dict
  memory_before_mib:
    description:
      - Memory in use, by the C(uuid) of each GPU, that takes the place of what is in use now.
        M(inferops.gpu.model_server_info) tells what it was before a server of its was launched, so
        that a server does not stand in its own way when it is deployed again.
    type: dict
    default: {}
  visible_devices:
    description:
      - The value of C(CUDA_VISIBLE_DEVICES), indexes or UUIDs or their beginnings; all GPUs when
        empty. With any other name in it, such as a part of a GPU (MIG), the answer is V(unknown).
    type: str
    default: ""
  ram_mib:
    description: Free memory of a host that serves from its CPU. Not used with O(gpus).
    type: float
  kv_cache_gib:
    description: The value of C(VLLM_CPU_KVCACHE_SPACE). Used with O(ram_mib) alone.
    type: float
    default: 4
  metadata:
    description:
      - The content of the model's C(model.safetensors.index.json), or what the hub's API tells
        under C(safetensors). The size that it states takes the place of the computed one.
    type: dict
    default: {}
  quantization:
    description:
      - The content of the model's C(hf_quant_config.json), as text or as data, in which ModelOpt
        says how it was quantised. It counts where vLLM reads it.
    type: raw
  engine:
    description: What serves it. Where its memory is not computed, the answer is V(unknown).
    type: str
    default: vllm
  release:
    description:
      - The release that will run. What an engine takes for a step when nothing is said differs
        from release to release. The newest is assumed where it is not known.
    type: str
    default: ""
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: How large must a GPU be?
  ansible.builtin.debug:
    msg: "{{ lookup('ansible.builtin.file', 'config.json') | inferops.gpu.model_fit }}"

- name: Does it fit on this host, with a context of 16384 tokens?
  ansible.builtin.debug:
    msg: "{{ model_config | inferops.gpu.model_fit({'max_model_len': 16384}, found.gpu.gpus) }}"
"""

RETURN = r"""
_value:
  description:
    - C(fits) is V(yes), V(tight), V(no) or V(unknown), and C(why) says so with the numbers.
    - C(arguments) holds what was left open and is chosen, never an option that was given.
    - C(weights_gib), C(overhead_gib) and C(need_gib) are of one GPU and have a C(value) and an
      C(error). C(need_gib) is for one sequence of C(max_model_len) tokens, without which vLLM does
      not start, C(need_all_gib) for as many at once as C(max_num_seqs) names.
    - C(max_model_len) is the context that C(need_gib) has room for, C(largest_max_model_len) the
      longest that probably fits, C(concurrency) how many of C(max_model_len) fit at once.
    - C(checkpoint_gib) is the size of the model's files.
    - C(weights_source) says where the weights are from, C(weights_error) the share by which they
      may be off.
    - C(compiles) says whether vLLM compiles the model and captures graphs before it serves.
    - C(refusal) says after the model's name why it is not worth a GPU, empty when nothing speaks
      against it.
    - C(vram_gib) is what each of C(gpus) GPUs of an offer should have, and with less than
      C(least_vram_gib) it cannot start at all (V(0) when unknown). C(vram_range_gib) is the range;
      of what is only guessed, C(vram_gib) is its middle. They are there when no GPU is known.
  type: dict
  sample:
    fits: "yes"
    why: >-
      14.96 GiB of weights (computed from its config), 3.38 GiB of KV cache for 27664 tokens and the
      rest make 19.71 ± 1.23 GiB of the 21.27 GiB that gpu_memory_utilization 0.9 gives
    arguments:
      gpu_memory_utilization: 0.9
      max_model_len: 27664
    weights_gib:
      value: 14.96
      error: 0.3
    weights_source: computed from its config
    checkpoint_gib: 14.96
    overhead_gib:
      value: 1.37
      error: 0.94
    kv_bytes_per_token: 131072
    kv_cache_gib: 3.38
    need_gib:
      value: 19.71
      error: 1.23
    need_all_gib: null
    available_gib: 21.27
    max_model_len: 27664
    largest_max_model_len: 40432
    concurrency: 1.46
"""


def model_fit(
    config: Mapping[str, Any] | str,
    arguments: Mapping[str, Any] | None = None,
    gpus: Sequence[Mapping[str, Any]] | None = None,
    engine: str = DEFAULT,
    **known: Any,
) -> dict[str, Any]:
    """See DOCUMENTATION, which has what else is *known*."""
    try:
        return knowledge(engine).fit(config, arguments, gpus=gpus, **known)
    except ValueError as error:
        raise AnsibleFilterError(f"Options of the engine: {error}") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"model_fit": model_fit}
