#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: model_fit
short_description: Compute whether a model fits on the host, before anything is started
version_added: "0.1.0"
description:
  - Internal. Used by roles P(inferops.gpu.rent#role) and P(inferops.gpu.launch#role); its options
    and results may change.
  - Looks at the host with M(inferops.gpu.host_look), and computes as filter
    P(inferops.gpu.model_fit#filter) does whether the model fits and what to start it with.
  - Chooses how the weights are read, by where they lie and what memory holds of them, unless an
    option says it.
  - A server of ours that runs there is counted as if it had been stopped, where it is known what
    the GPUs hold without it. Where it is not, the answer is V(unknown).
  - This is an action plugin. It decides on the controller.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details: Nothing is changed.
  platform:
    support: full
    platforms: linux
options:
  home:
    description: Folder on the host in which the collection keeps everything.
    type: str
    default: ~/.inferops
  server:
    description: Name of the server that is to serve it.
    type: str
    default: vllm
  model:
    description: The model, by its name on the hub or as a folder on the host.
    type: str
    required: true
  hub_dir:
    description: Where the hub's own client keeps models on the host.
    type: str
    default: ~/.cache/huggingface/hub
  model_config:
    description:
      - The model's C(config.json) for a host that does not have it yet, as data or as a file on the
        controller.
    type: raw
  arguments:
    description: Options of the engine, as role P(inferops.gpu.launch#role) takes them.
    type: dict
    default: {}
  extra_args:
    description: Further words of the engine's command line.
    type: list
    elements: str
    default: []
  environment:
    description: The environment of the server. It may name the GPUs that it sees.
    type: dict
    default: {}
  engine:
    description:
      - What serves it. The memory that V(vllm) takes is computed; of any other engine nothing is
        said.
    type: str
    choices: [vllm, llama_cpp]
    default: vllm
  accelerator:
    description: What it serves with.
    type: str
    choices: [cuda, cpu]
    default: cuda
  stack:
    description:
      - The plan of the stack, as filter P(inferops.gpu.stack_plan#filter) returns it. The release
        that will run decides what is taken for a step when nothing is said; the newest is assumed
        where it is not known.
    type: dict
    default: {}
  proxied:
    description:
      - Whether a proxy will stand before the server. Then the engine gets a bound on the requests
        that it holds, where its release has an option for it and O(arguments) do not say it.
    type: bool
    default: false
  refuse:
    description: Whether to fail on a model that cannot fit.
    type: bool
    default: true
  supervisor:
    description: What will run the server, as M(inferops.gpu.model_server) takes it.
    type: str
    default: auto
seealso:
  - plugin: inferops.gpu.model_fit
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Refuse a model that cannot fit
  inferops.gpu.model_fit:
    model: Qwen/Qwen3-8B
    arguments: {max_model_len: 16384}
"""

RETURN = r"""
fits:
  description: V(yes), V(tight), V(no) or V(unknown).
  returned: always
  type: str
  sample: "yes"
why:
  description: The same with its numbers, as a sentence.
  returned: always
  type: str
  sample: 14.96 GiB of weights (published) make 19.71 of the 21.27 GiB that are free
arguments:
  description: What was left open and is chosen, how the weights are read included.
  returned: always
  type: dict
  sample: {gpu_memory_utilization: 0.9, max_model_len: 27664}
max_connections:
  description: How many requests a proxy should send to the server at once, as C(max_num_seqs) says.
  returned: always
  type: int
  sample: 256
loading:
  description: How the weights are read, and why.
  returned: always
  type: str
  sample: >-
    weights are read by default: memory holds them already, so there is nothing to read ahead
needs_supervisord:
  description: Whether supervisord has to be there before the server is started.
  returned: always
  type: bool
  sample: true
"""
