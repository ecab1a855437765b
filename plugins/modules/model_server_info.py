#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: model_server_info
short_description: Report the inference servers of a host
version_added: 0.1.0
description:
  - Reads the record of each server and sets it right by a look at the process table, so that a
    server that died since is not called running.
  - A record that was lost or damaged is made anew from the living processes and what was asked for.
    A corrected record is kept on the host, except in check mode.
  - Can wait for a change, which is how the progress of a start is followed.
options:
  name:
    description: Report this server only. Without it, all servers below O(home) are reported.
    type: str
  home:
    description: Folder of this collection on the host.
    type: path
    default: ~/.inferops
  wait_seconds:
    description:
      - Wait up to this long for the progress of the server to differ from O(known_progress).
      - A server that is not starting is reported at once. Needs O(name).
    type: float
    default: 0
  known_progress:
    description: The C(progress) that the caller knows already.
    type: str
  log_lines:
    description: Number of last log lines of the latest start to return for each server.
    type: int
    default: 0
  health_check:
    description:
      - How to find out whether a server that runs still gets on with its work.
      - V(quick) reads its metrics, for some seconds. Requests without any progress are proof that
        it hangs; a server that is idle stays V(unproven).
      - V(canary) asks an idle server for a completion besides, and waits for the end of a step in
        which it gives no figures, where its engine may take so long.
    type: str
    choices: [none, quick, canary]
    default: none
  stall_seconds:
    description: Requests for which no token was read or written for this long mean that it hangs.
    type: float
    default: 60
  canary_seconds:
    description: How long an idle server may take for the completion.
    type: float
    default: 60
  symptoms:
    description:
      - Return what tells why the latest start of each server failed, for whoever explains it. Null
        for one that runs well.
    type: bool
    default: false
extends_documentation_fragment:
  - inferops.gpu.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: Nothing is changed.
  platform:
    platforms: linux
seealso:
  - module: inferops.gpu.model_server
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Report all servers of the host
  inferops.gpu.model_server_info:
  register: found

- name: Show the end of the log of one
  inferops.gpu.model_server_info:
    name: main
    log_lines: 50

- name: Which servers hang, although their health endpoint says 200?
  inferops.gpu.model_server_info:
    health_check: canary
  register: found
  failed_when: "'hung' in found.servers | map(attribute='health.state')"
"""

RETURN = r"""
servers:
  description: The servers, by name. One that is asked for by O(name) is reported even if unknown.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the server.
      type: str
      sample: main
    phase:
      description:
        - One of V(starting), V(running), V(stopping), V(stopped), V(error) and V(unknown).
        - V(running) means that a completion came back. V(unknown) means alive, and neither a record
          nor enough to make one.
      type: str
      sample: running
    reason:
      description: Why it is in this phase, null when there is nothing to say.
      type: str
      sample: null
    progress:
      description: What it is doing, as a line for a person.
      type: str
      sample: loading weights 2/4
    alive:
      description: Whether the main process lives. PID, start time and boot must all match.
      type: bool
      sample: true
    processes:
      description: Number of living processes of the server, orphans included.
      type: int
      sample: 4
    pid:
      description: PID of the main process of the latest start.
      type: int
      sample: 4242
    pgid:
      description: Its process group and session.
      type: int
      sample: 4242
    port:
      description: Port of the server.
      type: int
      sample: 8000
    port_bound:
      description: Whether one of its processes listens on the port.
      type: bool
      sample: true
    model:
      description: The model it was started with.
      type: str
      sample: Qwen/Qwen3-8B
    supervisor:
      description: What keeps it running, V(systemd), V(systemd_user) or V(supervisord).
      type: str
      sample: systemd
    supervised:
      description:
        - Whether launcher and supervisor live, which start it again when it crashes.
        - A server that runs without them serves on. Stop and start it to have it supervised again.
      type: bool
      sample: true
    exit_code:
      description: Exit status of the main process, null when it lives or was ended by a signal.
      type: int
      sample: null
    signal:
      description: The signal that ended the main process, null when none did.
      type: str
      sample: null
    oom_kills:
      description:
        - How many processes the kernel killed for want of memory while it ran.
        - Counted by the control groups that it is in, so a neighbour's count too.
        - Null while it lives, and where nothing counts.
      type: int
      sample: null
    restarts:
      description: How often it was started again since it was asked for.
      type: int
      sample: 0
    completion:
      description: The text that proved that it serves.
      type: str
      sample: " the lazy dog."
    waiting_for:
      description:
        - While it starts, the furthest check that it has come to, V(port), V(health), V(model) or
          V(completion).
      type: str
      sample: null
    waiting_seconds:
      description: For how long that check has not passed.
      type: float
      sample: null
    started_at:
      description: When it was asked for, in seconds since the epoch.
      type: float
      sample: 1763650000.5
    ready_at:
      description: When the first completion came back, in seconds since the epoch.
      type: float
      sample: 1763650061.0
    ended_at:
      description:
        - When its main process ended, or was first found gone, in seconds since the epoch.
        - Null while it lives.
      type: float
      sample: null
    seconds:
      description: How long the start took, or has taken so far.
      type: float
      sample: 60.5
    spec_hash:
      description: Changes with everything that needs a restart to take effect.
      type: str
      sample: 0f3c5d7e9a1b2c3d
    memory_before_mib:
      description:
        - While the server lives, the memory that is in use without it, by the C(uuid) of each GPU.
          Filter P(inferops.gpu.model_fit#filter) takes it.
        - Empty when the server does not live, or when nothing was noted in this boot.
      type: dict
      sample:
        GPU-5f0d3c1e-8a57-4d0c-9d57-0c6a1c1a2b3c: 12
    log_path:
      description: Where the log lies on the host.
      type: str
      sample: /home/user/.inferops/servers/main/server.log
    log_tail:
      description:
        - The last lines of the log of the latest start, as many as O(log_lines) asks for, without
          secrets.
      returned: when O(log_lines) is not 0
      type: list
      elements: str
      sample: []
    symptoms:
      description:
        - C(log) is begin and end of the log of the latest start, and C(kernel_log) what the kernel
          said of killed processes and of GPUs since, empty where the user may not read it.
        - C(reason), C(exit_code) and C(signal) are those above. Secrets are taken out.
      returned: when O(symptoms=true)
      type: dict
      sample:
        log: "torch.OutOfMemoryError: CUDA out of memory."
        kernel_log: "NVRM: Xid (PCI:0000:06:00): 79, GPU has fallen off the bus."
        reason: died during startup
        exit_code: 1
        signal: null
    spec:
      description:
        - What it was last asked for, null when that is missing or damaged.
        - C(arguments) have the types that they were given with, their names are written with C(_),
          those that are null are left out. C(suggested_arguments) are those of which C(arguments)
          say nothing.
        - C(served_model_name) is a list where there are several.
        - Of the environment only the names are told. C(needs_key) says whether clients must send a
          key.
        - C(proxy_port) is that of the proxy before it, null where none is meant.
        - C(revision) and C(weights_dir) say which files of the model C(arguments) name, null where
          they say nothing of it.
      type: dict
      sample:
        engine: vllm
        model: Qwen/Qwen3-8B
        served_model_name: null
        host: 127.0.0.1
        port: 8000
        proxy_port: null
        python: /home/user/.inferops/stack/venv/bin/python
        arguments: {max_model_len: 8192, enforce_eager: true}
        extra_args: ["-tp", "2"]
        suggested_arguments: {gpu_memory_utilization: 0.88}
        log_max_mib: 64
        start_at_boot: false
        environment_names: [HF_TOKEN, VLLM_API_KEY]
        needs_key: true
        revision: null
        weights_dir: null
        supervisor: systemd
    exposed:
      description:
        - Where its processes listen beyond the host's loopback, without its own port. A warning
          names each.
        - Each has the address, the port, and what is known of the process.
      type: list
      elements: dict
      sample:
        - address: "0.0.0.0"
          port: 41235
          pid: 4250
          ppid: 4242
          name: VLLM::EngineCor
          state: S
          command: VLLM::EngineCore
    health:
      description:
        - C(state) is V(serving), V(unproven), V(busy), V(hung), V(not_answering), V(starting) or
          V(not_running), and C(reason) says why. V(unproven) means that it answers, and that
          nothing shows whether it can generate. V(busy) means that it answers, and gives no
          figures because it works on a long step; O(health_check=canary) waits for the end of
          that.
        - The figures are those of its metrics, null where its version does not publish them.
        - C(gpus) is what the driver tells about load, heat, memory and throttling, empty where it
          does not.
        - C(port_owners) are strangers on the port of a server that does not run, and C(free_port)
          one that is free.
      returned: when O(health_check) is not V(none)
      type: dict
      sample:
        state: serving
        reason: tokens flow
        tokens_per_second: 812.5
        requests_running: 12
        requests_waiting: 0
        kv_cache_usage: 0.31
        preemptions: 0
        gpus:
          - index: 0
            utilization_percent: 96
            temperature_celsius: 71
            memory_used_mib: 21504
            memory_total_mib: 24564
            throttled_by: []
proxies:
  description:
    - The proxies of the host, as M(inferops.gpu.proxy) returns them; with O(name) that before this
      server alone. One that was ended because that was asked for is left out.
  returned: success
  type: list
  elements: dict
  sample: []
"""

from collections.abc import Iterator
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.common.reasons import REQUESTED
from ansible_collections.inferops.gpu.plugins.module_utils.host.gpus import activity
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import ports
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine.files import own_home
from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy import (
    observation as proxy_observation,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy.proxy import proxies
from ansible_collections.inferops.gpu.plugins.module_utils.host.server import (
    health as progress,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.server import (
    lifecycle,
    observation,
    symptoms,
    vram,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import (
    NAME,
    Layout,
    Server,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.spec import secret_values
from ansible_collections.inferops.gpu.plugins.module_utils.host.service.supervisors.choice import (
    every,
)


def shown(layout: Layout, server: Server) -> dict[str, Any] | None:
    """What a server was asked for, without anything secret."""
    spec = server.spec()
    if spec is None:
        return None
    named = {key: value for key, value in spec.arguments.items() if value is not None}
    return {
        "engine": spec.engine,
        "model": spec.model,
        "served_model_name": spec.served_model_name,
        "host": spec.host,
        "python": spec.python,
        "arguments": named,
        "extra_args": spec.extra_args,
        "suggested_arguments": spec.followed_suggestions,
        "port": spec.port,
        "proxy_port": spec.proxy_port,
        "supervisor": spec.supervisor,
        "log_max_mib": spec.log_max_mib,
        "start_at_boot": any(each.starts_at_boot(server) for each in every(layout)),
        "environment_names": sorted(spec.environment),
        "needs_key": bool(spec.api_key),
        "revision": spec.weights.revision,
        "weights_dir": spec.weights.folder,
    }


def health(
    layout: Layout, server: Server, seen: dict[str, Any], params: dict[str, Any]
) -> dict[str, Any]:
    """How the server does; for one that does not run, who has its port."""
    found = progress.check(
        server, seen, params["health_check"], params["stall_seconds"], params["canary_seconds"]
    )
    spec = server.spec()
    if found["state"] != "not_running":
        found["gpus"] = activity.read()
    elif spec is not None:
        ours = {process.pid for process in server.processes()}
        strangers = [process for process in ports.owners(spec.port) if process.pid not in ours]
        found["port_owners"] = [process.describe() for process in strangers]
        found["free_port"] = lifecycle.choose_port(layout, server, spec.host)
    return found


def exposed(server: Server) -> list[dict[str, Any]]:
    """Where processes of it listen beyond the loopback, without the address that it is to have."""
    spec = server.spec()
    return [
        {"address": one.address, "port": one.port, **one.process.describe()}
        for one in ports.beyond_loopback(server.processes())
        if spec is None or one.port != spec.port
    ]


def warning(server: Server, found: dict[str, Any]) -> str:
    """What to say of such an address."""
    return (
        f"Process {found['pid']} ({found['name']}) of server {server.name} listens on "
        f"{found['address']} port {found['port']}, beyond the host's loopback, and may ask for no "
        "key: see that nobody else reaches that port."
    )


def is_well(seen: dict[str, Any]) -> bool:
    """Whether it runs and nothing speaks against it."""
    state = seen.get("health", {}).get("state", "serving")
    return seen["phase"] == "running" and state in ("serving", "unproven", "busy")


def memory_before_mib(layout: Layout, server: Server) -> dict[str, int]:
    return vram.baseline(layout.baseline, server.name, lifecycle.others(server))


def standing(layout: Layout, name: str | None, keep: bool) -> Iterator[dict[str, Any]]:
    """The proxies that are, or should be, before all servers or the one of this name."""
    for proxy in proxies(layout.home):
        if name in (None, proxy.name):
            seen = proxy_observation.observe(proxy, keep)
            if (seen["phase"], seen["reason"]) != ("stopped", REQUESTED):
                yield seen


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str"},
            "home": {"type": "path", "default": "~/.inferops"},
            "wait_seconds": {"type": "float", "default": 0},
            "known_progress": {"type": "str"},
            "log_lines": {"type": "int", "default": 0},
            "health_check": {"type": "str", "choices": list(progress.CHECKS), "default": "none"},
            "stall_seconds": {"type": "float", "default": progress.STALL_SECONDS},
            "canary_seconds": {"type": "float", "default": progress.CANARY_SECONDS},
            "symptoms": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    name, wait_seconds = module.params["name"], module.params["wait_seconds"]
    if name is not None and not NAME.fullmatch(name):
        module.fail_json(msg=f"name: {name!r} may hold only letters, digits, - and _.")
    if wait_seconds and name is None:
        module.fail_json(msg="wait_seconds needs the name of one server.")
    layout = Layout(own_home(module))
    servers = [layout.server(name)] if name is not None else layout.servers()
    reported = []
    for server in servers:
        seen = observation.wait_for_change(
            server, module.params["known_progress"], wait_seconds, keep=not module.check_mode
        )
        seen["memory_before_mib"] = memory_before_mib(layout, server) if seen["processes"] else {}
        if module.params["log_lines"]:
            seen["log_tail"] = symptoms.last_lines(server, module.params["log_lines"])
        module.no_log_values.update(secret_values(server.environment()))
        seen["spec"] = shown(layout, server)
        seen["exposed"] = exposed(server) if seen["processes"] else []
        for found in seen["exposed"]:
            module.warn(warning(server, found))
        if module.params["health_check"] != "none":
            seen["health"] = health(layout, server, seen, module.params)
        if module.params["symptoms"]:
            seen["symptoms"] = None if is_well(seen) else symptoms.of(server, seen)
        reported.append(seen)
    before = list(standing(layout, name, keep=not module.check_mode))
    module.exit_json(changed=False, servers=reported, proxies=before)


if __name__ == "__main__":
    main()
