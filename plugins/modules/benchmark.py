#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: benchmark
short_description: Measure an inference server under load
version_added: "0.1.0"
description:
  - Sends loads to a server of the host, one after the other, with the load generator that its
    engine brings, and returns what each came to. vLLM's is C(vllm bench serve). A server of an
    engine without one is refused.
  - First come the loads of O(concurrencies). With an objective a search follows, the highest load
    that keeps it, by doubling and halving.
  - A load is random text of O(input_tokens) that no cache knows, answered with O(output_tokens).
    Generator and server share the host, so no network is measured. A proxy before the server is
    left out.
  - The count, the length and the time of all loads are bounded. A load that takes too long is
    ended, and none higher is sent.
  - The server's key does not leave the host. The generator gets it by its environment.
  - Whoever else uses the server meanwhile is measured with it. What the server counted itself is
    returned beside what the generator saw, so that this shows.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
  - inferops.gpu.job
attributes:
  check_mode:
    support: full
    details: Looks whether the server can be measured, and sends no load.
  diff_mode:
    support: N/A
    details: Nothing is changed.
  platform:
    support: full
    platforms: linux
options:
  home:
    description: Folder on the host in which the collection keeps everything.
    type: path
    default: ~/.inferops
  name:
    description: Name of the server on its host.
    type: str
    required: true
  model:
    description:
      - The name under which the server lists the model. By default the first that it was started
        with. It fails where the server lists no such model.
    type: str
    default: ""
  concurrencies:
    description: How many requests are under way at once, load by load.
    type: list
    elements: int
    default: [1, 4, 16, 64]
  rounds:
    description: How many requests each of these clients sends, one after the other.
    type: int
    default: 4
  least_requests:
    description: How many requests a load has at least.
    type: int
    default: 8
  warmup_requests:
    description: How many are sent first, all at once, and not measured.
    type: int
    default: 8
  input_tokens:
    description: How long each request is. To the tokenizer some are a few tokens longer.
    type: int
    default: 512
  output_tokens:
    description: How long each answer is.
    type: int
    default: 128
  objective_ttft_ms:
    description:
      - Within how many milliseconds 99 of 100 requests must have their first token. V(0) for no
        such limit.
    type: float
    default: 0
  objective_tpot_ms:
    description: The same for each token after it, on average of a request.
    type: float
    default: 0
  objective_e2el_ms:
    description: The same for the whole answer.
    type: float
    default: 0
  most_concurrency:
    description: How high the search goes.
    type: int
    default: 256
  most_loads:
    description: How many loads are measured at most, those of the search included.
    type: int
    default: 12
  load_seconds:
    description: How long one load may take.
    type: float
    default: 300
  most_seconds:
    description: How long all of them may take. The last one is ended then.
    type: float
    default: 1800
seealso:
  - module: inferops.gpu.model_server
"""

EXAMPLES = r"""
- name: Measure the server under four loads
  inferops.gpu.benchmark:
    name: vllm
  register: measured

- name: How many may ask at once, so that each has its first token within half a second?
  inferops.gpu.benchmark:
    name: vllm
    concurrencies: [1, 8]
    objective_ttft_ms: 500
    most_seconds: 600
  register: searched

- name: Show it
  ansible.builtin.debug:
    msg: "{{ searched.highest_kept }}"
"""

RETURN = r"""
plan:
  description:
    - What the loads come to at most, C(loads), C(requests), C(tokens) and C(seconds).
  returned: success
  type: dict
  sample: {loads: 4, requests: 356, tokens: 227840, seconds: 1800.0}
server:
  description: Name of the server.
  returned: success, not in check mode
  type: str
  sample: vllm
engine:
  description: What serves the model.
  returned: success, not in check mode
  type: str
  sample: vllm
release:
  description: The release of the engine beside which the generator lies.
  returned: success, not in check mode
  type: str
  sample: 0.32.0
generator:
  description: What sent the loads.
  returned: success, not in check mode
  type: str
  sample: vllm bench serve
model:
  description: The model that was asked.
  returned: success, not in check mode
  type: str
  sample: Qwen/Qwen3-8B
arguments:
  description: The options that the server runs with.
  returned: success, not in check mode
  type: dict
  sample: {max_model_len: 8192}
measured_at:
  description: When it began, by the host's clock, in seconds since the epoch.
  returned: success, not in check mode
  type: float
  sample: 1763650000.5
seconds:
  description: How long all of it took.
  returned: success, not in check mode
  type: float
  sample: 212.4
loads:
  description:
    - The loads in the order in which they were sent.
    - C(verdict) is V(kept) or V(missed) by the objective, or by whether every request was answered
      where there is none; V(unfinished) is one that was ended.
    - Latencies are in milliseconds, C(ttft_ms) until the first token, C(tpot_ms) for each after it,
      C(itl_ms) between two parts of an answer, C(e2el_ms) of the whole; null where nothing was
      answered. C(good_requests_per_second) are those that kept the objective.
    - C(server) is what the server counted meanwhile, null where its version does not publish it.
  returned: success, not in check mode
  type: list
  elements: dict
  sample:
    - concurrency: 16
      requests: 64
      verdict: kept
      completed: 64
      failed: 0
      seconds: 14.2
      input_tokens: 32790
      output_tokens: 8192
      requests_per_second: 4.5
      good_requests_per_second: 4.4
      output_tokens_per_second: 576.9
      tokens_per_second: 2886.1
      ttft_ms: {mean: 181.2, p50: 160.4, p90: 310.8, p99: 402.3}
      tpot_ms: {mean: 21.4, p50: 21.2, p90: 24.0, p99: 26.1}
      itl_ms: {mean: 21.4, p50: 20.8, p90: 25.5, p99: 61.0}
      e2el_ms: {mean: 2899.0, p50: 2870.1, p90: 3204.5, p99: 3388.0}
      errors: []
      server: {input_tokens: 32790, output_tokens: 8192, mean_ttft_ms: 179.9}
highest_kept:
  description: The highest load up to which all kept the objective, null where none did or none is.
  returned: success, not in check mode
  type: int
  sample: 16
stopped:
  description: What ended the loads before their end, empty where nothing did.
  returned: success, not in check mode
  type: str
  sample: ""
"""

from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.common.hiding import hide_passwords
from ansible_collections.inferops.gpu.plugins.module_utils.common.loads import Plan, plan_of
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine.files import own_home
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.benchmark import (
    Bench,
    Refused,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import (
    NAME,
    Layout,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.spec import secret_values
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack.stack import Stack
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack.working import (
    JOB_OPTIONS,
    finish,
)

LOADS: dict[str, Any] = {
    "concurrencies": {"type": "list", "elements": "int", "default": [1, 4, 16, 64]},
    "rounds": {"type": "int", "default": 4},
    "least_requests": {"type": "int", "default": 8},
    "warmup_requests": {"type": "int", "default": 8},
    "input_tokens": {"type": "int", "default": 512, "no_log": False},
    "output_tokens": {"type": "int", "default": 128, "no_log": False},
    "objective_ttft_ms": {"type": "float", "default": 0},
    "objective_tpot_ms": {"type": "float", "default": 0},
    "objective_e2el_ms": {"type": "float", "default": 0},
    "most_concurrency": {"type": "int", "default": 256},
    "most_loads": {"type": "int", "default": 12},
    "load_seconds": {"type": "float", "default": 300},
    "most_seconds": {"type": "float", "default": 1800},
}


def measure(
    layout: Layout, params: dict[str, Any], plan: Plan, tell: Callable[[str], None], dry_run: bool
) -> dict[str, Any]:
    """The result of the module."""
    told = {"changed": False, "plan": plan.most._asdict()}
    try:
        bench = Bench(layout.server(params["name"]), plan, params["model"])
        return {**told, **({} if dry_run else bench.run(tell))}
    except Refused as error:
        return {"failed": True, "msg": str(error)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "home": {"type": "path", "default": "~/.inferops"},
            "name": {"type": "str", "required": True},
            "model": {"type": "str", "default": ""},
            **LOADS,
            **JOB_OPTIONS,
        },
        supports_check_mode=True,
    )
    hide_passwords(module)
    params = module.params
    if not NAME.fullmatch(params["name"]):
        module.fail_json(msg=f"name: {params['name']!r} may hold only letters, digits, - and _.")
    try:
        plan = plan_of(params)
    except ValueError as error:
        module.fail_json(msg=str(error))
    layout = Layout(own_home(module))
    module.no_log_values.update(secret_values(layout.server(params["name"]).environment()))
    dry_run = module.check_mode
    stack = Stack(params["home"])
    finish(module, stack, lambda tell: measure(layout, params, plan, tell, dry_run))


if __name__ == "__main__":
    main()
