#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: model_info
short_description: Ask a model hub whether a model can be had, and how large it is
version_added: "0.1.0"
description:
  - Fails when the hub says that the model is gated, private or missing, or has no files that a
    server could load, with what to change. So a deploy can be refused before a host is rented.
  - A hub that does not answer is no failure. RV(reachable) is then false and RV(note) says why.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
  - inferops.gpu.hub
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details: Nothing is changed.
  platform:
    support: full
    platforms: posix
options:
  model:
    description: Name of the model on the hub.
    type: str
    required: true
  config:
    description: Read the model's config.json and hf_quant_config.json as well.
    type: bool
    default: false
seealso:
  - module: inferops.gpu.model_cache
"""

EXAMPLES = r"""
- name: Can the model be had?
  inferops.gpu.model_info:
    model: Qwen/Qwen3-8B
    timeout_seconds: 4
  delegate_to: localhost
"""

RETURN = r"""
reachable:
  description: Whether the hub has answered.
  returned: success
  type: bool
  sample: true
note:
  description: Why nothing is known, null when the hub has answered.
  returned: success
  type: str
  sample: null
commit:
  description: The commit of the revision, null when nothing is known.
  returned: success
  type: str
  sample: b968826d9c46dd6066d109eabc6255188de91218
gated:
  description: Whether the model needs the consent of its owner, null when nothing is known.
  returned: success
  type: bool
  sample: false
size_gib:
  description: Size of the files that a server needs, null when nothing is known.
  returned: success
  type: float
  sample: 15.26
weights_bytes:
  description: Size of those of them that hold weights, null when nothing is known.
  returned: success
  type: int
  sample: 16381470720
files:
  description: These files.
  returned: success
  type: list
  elements: str
  sample: [config.json, model.safetensors, tokenizer.json]
config:
  description: The model's config.json, null without O(config) or where it has none.
  returned: success
  type: dict
  sample: {model_type: qwen3, hidden_size: 4096}
quantization:
  description:
    - The model's hf_quant_config.json, in which ModelOpt says how it was quantised, null without
      O(config) or where it has none.
  returned: success
  type: dict
  sample: {quantization: {quant_algo: NVFP4, group_size: 16}}
needs_token:
  description: Whether the hub gives it with the token only, null when nothing is known.
  returned: success
  type: bool
  sample: false
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.common.ending import end
from ansible_collections.inferops.gpu.plugins.module_utils.common.hiding import hide_passwords
from ansible_collections.inferops.gpu.plugins.module_utils.hub.asking import (
    MODEL_INFO_OPTIONS,
    model_info,
)


def main() -> None:
    module = AnsibleModule(argument_spec=MODEL_INFO_OPTIONS, supports_check_mode=True)
    hide_passwords(module)
    end(module, model_info(module.params))


if __name__ == "__main__":
    main()
