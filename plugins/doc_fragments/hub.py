# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the modules that ask a model hub (`inferops.gpu.hub`)."""

from __future__ import annotations


class ModuleDocFragment:
    """A module extends this fragment, and takes HUB_OPTIONS into its argument spec."""

    DOCUMENTATION = r"""
options:
  revision:
    description: Branch, tag or commit of the model.
    type: str
    default: main
  endpoint:
    description:
      - Address of the hub or of a mirror with the same API. When empty, the environment variable
        C(HF_ENDPOINT) of the machine on which the module runs, else C(https://huggingface.co).
    type: str
    default: ""
  token:
    description:
      - Token of an account that may read the model. It is sent only where the hub refuses to answer
        without, as for gated and private models, and never over http.
    type: str
    default: ""
  token_always:
    description: Send the token along with every request, and over http too.
    type: bool
    default: false
  include:
    description:
      - Patterns of the files to take, such as V(*.safetensors). Without any, what a server needs,
        configuration, tokenizer and safetensors weights; old weight formats where there is no
        other.
    type: list
    elements: str
    default: []
  exclude:
    description:
      - Patterns of the files to leave. Without any, copies of the weights for other programs.
    type: list
    elements: str
    default: []
  weights_format:
    description:
      - What the engine loads. With V(gguf) and without O(include) it is one quantisation of those
        that the model is there in, V(Q4_K_M) or else V(Q8_0) or else the first by name, with all
        its parts, and one projector where there is one.
    type: str
    choices: [safetensors, gguf]
    default: safetensors
  timeout_seconds:
    description: How long the hub may be silent.
    type: float
    default: 30
"""
