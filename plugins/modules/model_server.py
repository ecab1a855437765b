#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: model_server
short_description: Run an inference server on a host, or prove that it is stopped
version_added: 0.1.0
description:
  - Starts vLLM under the supervisor of the host and waits until a completion has come back. A
    server that already runs as asked and answers is left alone.
  - Stops the whole process tree, also when its record is lost, when its main process was killed and
    left its children alive, or when those children changed parent, session or name.
  - While it waits, each new phase of the start is shown. When the server dies, the wait ends at
    once and the message names the cause and what to change.
options:
  name:
    description: Name of the server, unique on the host. Letters, digits, C(-) and C(_).
    type: str
    required: true
  state:
    description:
      - V(started) makes sure that the server runs as asked and serves.
      - V(stopped) makes sure that no process of it is left and that its GPU memory is free again.
    type: str
    choices: [started, stopped]
    default: started
  home:
    description: Folder of this collection on the host. Records, logs and the launcher lie below it.
    type: path
    default: ~/.inferops
  python:
    description:
      - Interpreter of the virtual environment that holds the engine. Needed for O(state=started).
    type: path
  engine:
    description: The inference engine.
    type: str
    choices: [vllm]
    default: vllm
  model:
    description: Model to serve, a repository id or a folder on the host. Needed to start.
    type: str
  served_model_name:
    description: Name under which clients ask for the model. Without it, the value of O(model).
    type: str
  host:
    description: Address that the server binds. Anything but the loopback address exposes it.
    type: str
    default: 127.0.0.1
  port:
    description: Port that the server binds.
    type: int
    default: 8000
  arguments:
    description:
      - Further options of the engine. Names may be written with C(_) or C(-).
      - V(true) gives a bare flag, V(false) and null leave the option out, a list gives one flag
        with all its values, a mapping is passed as JSON.
    type: dict
    default: {}
  environment:
    description:
      - Environment variables of the server.
      - They are kept in a file that only its owner can read. Their values are never shown.
      - A variable that is null is left out.
    type: dict
    default: {}
  keep_environment:
    description:
      - Keep the variables that the server was given earlier, its keys and tokens among them, as far
        as O(environment) does not set them anew. They never leave the host.
    type: bool
    default: false
  api_key:
    description:
      - Key that clients must send. It reaches the server through its environment, never through its
        command line.
    type: str
  supervisor:
    description:
      - What keeps the server running. V(auto) takes systemd where it is PID 1, else supervisord.
    type: str
    choices: [auto, systemd, supervisord]
    default: auto
  supervisord_bin_dir:
    description: Folder that holds the C(supervisord) executable. Needed where systemd is not used.
    type: path
  wait:
    description: Wait until the server has answered with a completion.
    type: bool
    default: true
  wait_timeout_seconds:
    description: How long to wait. A server that is not ready by then is stopped as a whole.
    type: int
    default: 1800
  stop_timeout_seconds:
    description: How long processes may take to end after SIGTERM, before SIGKILL.
    type: int
    default: 30
extends_documentation_fragment:
  - inferops.gpu.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows command line and names of environment variables, never the values of those.
  platform:
    platforms: linux
seealso:
  - module: inferops.gpu.model_server_info
  - module: inferops.gpu.gpu_info
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Serve a model
  inferops.gpu.model_server:
    name: main
    python: /opt/vllm/bin/python
    model: Qwen/Qwen3-8B
    api_key: "{{ vault_api_key }}"
    arguments:
      max_model_len: 8192
      gpu_memory_utilization: 0.9
      enforce_eager: true
    environment:
      HF_HUB_OFFLINE: "1"

- name: Stop it and insist on the proof
  inferops.gpu.model_server:
    name: main
    state: stopped
  register: result
  failed_when: result.stopped != 'proven'
"""

RETURN = r"""
server:
  description: The server, as M(inferops.gpu.model_server_info) returns it.
  returned: always
  type: dict
  sample:
    name: main
    phase: running
    progress: running
    pid: 4242
    port: 8000
    model: Qwen/Qwen3-8B
    supervisor: systemd
    seconds: 60.5
    log_path: /home/user/.inferops/servers/main/server.log
completion:
  description: The text that proved that it serves.
  returned: when O(state=started) and the server is ready
  type: str
  sample: " the lazy dog."
phases:
  description: The phases of the start that were seen, with the second at which each began.
  returned: when a start was waited for
  type: list
  elements: dict
  sample:
    - progress: loading weights 2/4
      seconds: 12.3
stopped:
  description:
    - V(proven) when no process is left and the GPU memory is back at its baseline.
    - V(unproven) when something is left or cannot be told apart.
  returned: when O(state=stopped)
  type: str
  sample: proven
processes_left:
  description: Processes that survived SIGKILL or may not be signalled, each with pid and command.
  returned: when O(state=stopped)
  type: list
  elements: dict
  sample: []
vram:
  description:
    - C(state) is V(no_gpu), V(at_baseline), V(above_baseline) or V(no_baseline).
    - C(gpus) has C(uuid), C(baseline_mib) and C(used_mib) of each GPU.
  returned: when O(state=stopped)
  type: dict
  sample:
    state: at_baseline
    gpus:
      - uuid: GPU-5f0d3c1e-8a57-4d0c-9d57-0c6a1c1a2b3c
        baseline_mib: 12
        used_mib: 12
failure:
  description:
    - What the catalogue of known failures makes of the log and the way the server ended.
    - C(cause_id) is V(unknown) when no entry fits. C(change) names what to change.
    - C(also) holds the further causes that the log shows, less likely ones last.
  returned: when the start failed
  type: dict
  sample:
    cause_id: weights_truncated
    cause: A weight file is incomplete.
    remedy: Delete the model's folder and download it again.
    change: model
    evidence:
      - "SafetensorError: Error while deserializing header: incomplete metadata"
    link: https://huggingface.co/docs/safetensors
    exit_code: 1
    signal: null
    also: []
log_tail:
  description: The last lines of the log.
  returned: when the start failed
  type: list
  elements: str
  sample: []
"""

import os
from pathlib import Path
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.host import (
    gpus,
    lifecycle,
    ports,
    readiness,
    supervisors,
    vram,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.servers import (
    NAME,
    Layout,
    Spec,
    build_command,
    secret_values,
)

TAIL_LINES = 60
QUICK_COMPLETION_SECONDS = 30.0


class Run:
    """One call of the module."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params: dict[str, Any] = module.params
        self.layout = Layout(Path(self.params["home"]).resolve())
        if not NAME.fullmatch(self.params["name"]):
            self.fail(f"name: {self.params['name']!r} may hold only letters, digits, - and _.")
        self.server = self.layout.server(self.params["name"])
        module.no_log_values.update(secret_values(self.server.environment()))

    def exit(self, changed: bool, diff: dict[str, Any], **result: Any) -> NoReturn:
        if diff and self.module._diff:
            result["diff"] = diff
        self.module.exit_json(changed=changed, invocation=self.invocation(), **result)

    def fail(self, message: str, **result: Any) -> NoReturn:
        self.module.fail_json(msg=message, invocation=self.invocation(), **result)

    def invocation(self) -> dict[str, Any]:
        """The options for a verbose run, the values of the environment left out."""
        hidden = dict.fromkeys(self.params["environment"], "(not shown)")
        return {"module_args": {**self.params, "environment": hidden}}

    def started(self) -> NoReturn:
        supervisor = self.choose_supervisor()
        spec = self.spec(supervisor.name)
        self.module.no_log_values.update(secret_values(spec.environment))
        seen = lifecycle.observe(self.server)
        if self.runs_as_asked(spec, seen):
            self.settle(changed=False, diff={})
        self.require_free_port(spec, own=bool(seen["processes"]))
        diff = self.diff(spec, seen)
        if self.module.check_mode:
            self.exit(True, diff, server=seen)
        left = lifecycle.end(self.layout, self.server, self.params["stop_timeout_seconds"])
        if left:
            self.fail(
                f"Server {spec.name!r} is not started: processes of its earlier start cannot be "
                "ended. A process that survives SIGKILL hangs in the driver; only a new boot or "
                "another host helps.",
                processes_left=[process.describe() for process in left],
            )
        self.require_free_port(spec, own=False)
        try:
            lifecycle.start(self.layout, spec, supervisor, gpus.report())
        except supervisors.SupervisorError as error:
            self.fail(str(error))
        self.settle(changed=True, diff=diff)

    def choose_supervisor(self) -> supervisors.Supervisor:
        try:
            return supervisors.choose(
                self.params["supervisor"], self.layout, self.params["supervisord_bin_dir"]
            )
        except supervisors.SupervisorError as error:
            self.fail(str(error))

    def spec(self, supervisor: str) -> Spec:
        """What is asked for; fails on what could never start."""
        params = self.params
        python = params["python"]
        # On a first run in check mode nothing has been installed yet.
        if not self.module.check_mode and not os.access(python, os.X_OK):
            self.fail(
                f"python: {python} is not there or not executable. Give the interpreter of the "
                "virtual environment that holds the engine."
            )
        if not 0 < params["port"] < 65536:
            self.fail(f"port: {params['port']} is not between 1 and 65535.")
        if not params["model"].strip() or params["model"].startswith("-"):
            self.fail(f"model: {params['model']!r} is neither a repository id nor a folder.")
        try:
            command = build_command(
                python,
                params["model"],
                params["host"],
                params["port"],
                params["served_model_name"],
                params["arguments"],
            )
        except ValueError as error:
            self.fail(str(error))
        kept = self.server.environment() if params["keep_environment"] else {}
        wanted = {**kept, **params["environment"]}
        environment = {key: str(value) for key, value in wanted.items() if value is not None}
        if params["api_key"]:
            environment["VLLM_API_KEY"] = params["api_key"]
        return Spec(
            name=params["name"],
            command=command,
            model=params["model"],
            served_model_name=params["served_model_name"] or params["model"],
            host=params["host"],
            port=params["port"],
            supervisor=supervisor,
            stop_timeout_seconds=params["stop_timeout_seconds"],
            environment=environment,
        )

    def runs_as_asked(self, spec: Spec, seen: dict[str, Any]) -> bool:
        """Alive with the same specification, and starting still or able to complete."""
        if seen["spec_hash"] != spec.hash:
            return False
        if seen["phase"] == "starting":
            return True
        return seen["phase"] == "running" and self.completion(spec) is not None

    def completion(self, spec: Spec) -> str | None:
        answer = readiness.check(
            self.server.processes(),
            spec.host,
            spec.port,
            spec.served_model_name,
            spec.environment.get("VLLM_API_KEY"),
            QUICK_COMPLETION_SECONDS,
        )
        return answer.completion if answer.waiting_for is None else None

    def require_free_port(self, spec: Spec, own: bool) -> None:
        """Fail unless the port is free, or held by the server that is about to be replaced."""
        ours = {process.pid for process in self.server.processes()} if own else set()
        if not ports.is_taken(readiness.loopback_for(spec.host), spec.port):
            return
        holders = [process for process in ports.owners(spec.port) if process.pid not in ours]
        if not holders and own:
            return
        who = ", ".join(
            f"process {shown['pid']} ({shown['name']}: {shown['command']})"
            for shown in (process.describe() for process in holders)
        )
        self.fail(
            f"Port {spec.port} is taken by "
            f"{who or 'a process that does not listen yet or that this user may not see'}. "
            "Stop it, or set port to another one.",
            port_owners=[process.describe() for process in holders],
        )

    def diff(self, spec: Spec, seen: dict[str, Any]) -> dict[str, Any]:
        running = seen["phase"] in ("starting", "running")
        before = self.server.spec() if running else None
        shown_before, shown_after = _shown(before, None), _shown(spec, before)
        return {
            "before": {"state": seen["phase"], **shown_before},
            "after": {"state": "running", **shown_after},
        }

    def settle(self, changed: bool, diff: dict[str, Any]) -> NoReturn:
        """Wait as asked and report. In check mode nothing was started, so nothing is waited for."""
        server, name = self.server, self.params["name"]
        wait = self.params["wait"] and not self.module.check_mode
        timeout = self.params["wait_timeout_seconds"]
        seen = lifecycle.wait_until_settled(server, timeout) if wait else lifecycle.observe(server)
        if seen["phase"] == "running":
            self.exit(changed, diff, server=seen, completion=seen["completion"])
        if not wait:
            self.exit(changed, diff, server=seen)
        tail = lifecycle.log_tail(server, TAIL_LINES)
        if seen["phase"] == "starting":
            lifecycle.end(self.layout, server, self.params["stop_timeout_seconds"])
            message = f"is not ready after {timeout} s ({seen['progress']}) and was stopped"
        else:
            message = f"failed to start: {seen['reason']}"
        self.fail(
            f"Server {name!r} {message}. Its log is {server.log} on the host.",
            log_tail=tail,
            server=seen,
        )

    def stopped(self) -> NoReturn:
        server = self.server
        present = lifecycle.is_present(self.layout, server)
        before = lifecycle.observe(server)
        diff = {"before": {"state": before["phase"]}, "after": {"state": "stopped"}}
        if self.module.check_mode:
            self.exit(present, diff if present else {}, server=before)
        left = lifecycle.end(self.layout, server, self.params["stop_timeout_seconds"])
        memory = vram.verify(
            self.layout.baseline, server.name, lifecycle.others_alive(server), gpus.report
        )
        free = memory["state"] in ("no_gpu", "at_baseline")
        self.exit(
            present,
            diff if present else {},
            server=lifecycle.observe(server),
            stopped="proven" if free and not left else "unproven",
            processes_left=[process.describe() for process in left],
            vram=memory,
        )


def _shown(spec: Spec | None, previous: Spec | None) -> dict[str, Any]:
    """A specification for the eye: of the environment only names, and whether a value changed."""
    if spec is None:
        return {}
    known = previous.environment if previous else {}
    return {
        "command": spec.command,
        "supervisor": spec.supervisor,
        "environment": {
            key: "(changed)" if key in known and known[key] != value else "(not shown)"
            for key, value in sorted(spec.environment.items())
        },
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
            "home": {"type": "path", "default": "~/.inferops"},
            "python": {"type": "path"},
            "engine": {"type": "str", "choices": ["vllm"], "default": "vllm"},
            "model": {"type": "str"},
            "served_model_name": {"type": "str"},
            "host": {"type": "str", "default": "127.0.0.1"},
            "port": {"type": "int", "default": 8000},
            "arguments": {"type": "dict", "default": {}},
            "environment": {"type": "dict", "default": {}},
            "keep_environment": {"type": "bool", "default": False},
            "api_key": {"type": "str", "no_log": True},
            "supervisor": {
                "type": "str",
                "choices": ["auto", *supervisors.NAMES],
                "default": "auto",
            },
            "supervisord_bin_dir": {"type": "path"},
            "wait": {"type": "bool", "default": True},
            "wait_timeout_seconds": {"type": "int", "default": 1800},
            "stop_timeout_seconds": {"type": "int", "default": 30},
        },
        required_if=[("state", "started", ["python", "model"])],
        supports_check_mode=True,
        # Without this the values of `environment` would go to the system log.
        no_log=True,
    )
    run = Run(module)
    if module.params["state"] == "started":
        run.started()
    run.stopped()


if __name__ == "__main__":
    main()
