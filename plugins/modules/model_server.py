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
  - Starts an inference engine under the supervisor of the host and waits until a completion has
    come back. A server that already runs as asked and answers is left alone.
  - Stops the whole process tree, also when its record is lost, when its main process was killed and
    left its children alive, or when those children changed parent, session or name.
  - The wait goes on from the controller, with a call that returns whenever something changes. Each
    new phase of the start is shown. When the server dies, the wait ends at once and the message
    names the cause and what to change.
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
    description: The inference engine that serves the model.
    type: str
    choices: [vllm, llama_cpp]
    default: vllm
  model:
    description:
      - Model to serve, a repository id, or a folder or a GGUF file on the host. Needed to start.
    type: str
  served_model_name:
    description:
      - Names under which clients ask for the model; it is proven under the first. Without one, the
        value of O(model).
    type: list
    elements: str
  host:
    description: Address that the server binds. Anything but the loopback address exposes it.
    type: str
    default: 127.0.0.1
  port:
    description:
      - Port that the server binds. V(auto) takes the next free one from 8000 upwards and keeps it.
      - A port that another process holds is refused and its holder named.
    type: str
    default: "8000"
  proxy_port:
    description:
      - Port of the proxy that will stand before this server, as role P(inferops.gpu.proxy#role)
        keeps it under the same name. The server never takes it, and it is refused where somebody
        else holds it. V(auto) chooses it as O(port) is chosen, and keeps it.
      - Without one, no proxy is meant.
    type: str
    default: ""
  ends_proxy:
    description:
      - Whether the proxy of the same name is ended as well, and before the server, so that nobody
        is let in to one that ends.
      - With O(state=started) it ends only once nothing speaks against the start, such as an option
        or a port, so that clients keep their way to a server that goes on. With O(proxy_port) it is
        asked for, and stays.
    type: bool
    default: false
  arguments:
    description:
      - Options of the engine, any that its C(--help) lists. Names may be written with C(_) or C(-).
      - V(true) and V(false) turn an option on and off, null leaves it out. A list and a mapping
        become what the option takes them as, several words or JSON.
      - A key behind a dot, as in C(hf_overrides.rope_theta), is passed as it is written.
      - The engine's own parser checks them before anything is started or stopped.
      - C(max_model_len), the longest context in tokens. Less of it needs less memory.
      - C(max_num_seqs), how many requests are worked on at once.
      - C(gpu_memory_utilization), the share of the GPU's memory that the engine takes, 0 to 1.
      - C(dtype), such as V(auto), V(bfloat16), V(float16) or V(float32).
      - C(quantization), such as V(awq), V(gptq) or V(fp8), when the model does not say it itself.
      - C(kv_cache_dtype), such as V(auto) or V(fp8), which halves the cache.
      - C(tensor_parallel_size) and C(pipeline_parallel_size), over how many GPUs the model is split
        within and between layers.
      - C(revision), a branch, tag or commit of the model's repository; C(tokenizer), another
        repository or folder for it; C(download_dir), where weights are kept.
      - C(chat_template), a file on the host or the template itself.
      - C(enable_auto_tool_choice) with C(tool_call_parser), and C(reasoning_parser), for models
        that call tools or reason.
      - C(trust_remote_code), run the code that comes with the model.
      - C(enforce_eager), start faster and serve slower, without CUDA graphs and compilation.
      - C(seed), for sampling that can be repeated.
    type: dict
    default: {}
  suggested_arguments:
    description:
      - Options that apply where O(arguments) says nothing of them.
      - A server that runs is not replaced for their sake alone, so they may come from a measurement
        that changes once it runs, as those of filter P(inferops.gpu.model_fit#filter) do.
    type: dict
    default: {}
  extra_args:
    description: Words that are put at the end of the engine's command line as they are.
    type: list
    elements: str
    default: []
  environment:
    description:
      - Environment variables of the server.
      - E(TMPDIR) is a folder of its own unless set here. What the engine leaves there goes with it.
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
      - What keeps the server running. V(systemd) needs root, V(systemd_user) is the user's own and
        needs lingering, which is turned on where the host lets the user do that.
      - V(auto) takes systemd where it is PID 1, that of the user where the user is not root, and
        supervisord elsewhere.
    type: str
    choices: [auto, systemd, systemd_user, supervisord]
    default: auto
  supervisord_bin_dir:
    description: Folder that holds the C(supervisord) executable. Needed where systemd is not used.
    type: path
  wait:
    description: Wait until the server has answered with a completion.
    type: bool
    default: true
  wait_timeout_seconds:
    description:
      - How long to wait. A server that is not ready by then is stopped as a whole.
      - Without it, the time comes from the size of the model and the measured speed of its disk, or
        is 1800 seconds when the model is not on the host yet. RV(wait_limit) explains it. The
        controller waits for 4 hours at most, whatever the host says.
    type: int
  expected_seconds:
    description:
      - How long a launch is expected to take, as M(inferops.gpu.offer_info) counts it for an offer.
        Without O(wait_timeout_seconds) it gets at least three times as much.
    type: float
    default: 0
  caches_carried:
    description:
      - Whether the host was given what another one has compiled, as M(inferops.gpu.compiled_cache)
        tells. It changes nothing but RV(blames_caches).
    type: bool
    default: false
  check_timeouts_seconds:
    description:
      - How long single checks may take once the one before has passed, by C(health), C(model) and
        C(completion). A server that takes longer is stopped as a whole by whoever waits for it.
      - Without it, or where it does not name a check, 120, 60 and 300 seconds.
      - What comes before, up to a port that is open, has all of O(wait_timeout_seconds). That
        bounds the whole start.
    type: dict
    default: {}
  start_at_boot:
    description:
      - Start the server again when the host comes back from a restart. Needs systemd; refused
        where supervisord runs the server.
      - Stopping the server ends this too.
    type: bool
    default: false
  stop_timeout_seconds:
    description:
      - How long processes may take to end after SIGTERM, before SIGKILL.
      - For a server that runs, another value takes effect with its next start.
    type: int
    default: 30
  log_max_mib:
    description:
      - How much of the disk the log of the server may take, its older generation included. How the
        start began is kept beside it (256 KiB), then the oldest output goes first.
    type: int
    default: 64
  reason:
    description:
      - Why it is stopped, for its record. Playbook recover leaves what was stopped on request as it
        was, and looks for the cause of the others.
    type: str
    choices: [requested, not ready in time, hung at its start]
    default: requested
  wishes:
    description:
      - A digest of all that a deploy asked of this host, as M(inferops.gpu.host_look) returns it.
        It is kept, so that the same wish is recognised the next time.
    type: str
    default: ""
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
port:
  description: The port on which it serves, or would in check mode; also when O(port) is V(auto).
  returned: when O(state=started)
  type: int
  sample: 8000
proxy_port:
  description: The port that the proxy before it is to have, null where none is meant.
  returned: when O(state=started)
  type: int
  sample: null
client_port:
  description: The port that clients reach, RV(proxy_port) where there is one, else RV(port).
  returned: when O(state=started)
  type: int
  sample: 8000
wait_limit:
  description:
    - How many C(seconds) the start may take, and C(why). C(checks_seconds) are those of the checks
      that follow once the port is open.
  returned: when O(state=started) and the server does not serve yet
  type: dict
  sample:
    seconds: 610
    why: 600 s, and 4 times what reading 1.5 GB takes at the 612 MB/s measured
    checks_seconds: {health: 120.0, model: 60.0, completion: 300.0}
options:
  description:
    - Whether the engine's own parser accepted O(arguments) and O(extra_args), or why it was not
      asked, as where no server runs that it would spare. Null when nothing had to be started.
  returned: when O(state=started)
  type: str
  sample: accepted by vLLM 0.33.0
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
    - V(proven) when no process is left, the port is not held by one that cannot be seen, and the
      GPU memory is back at its baseline.
    - V(unproven) when something is left or cannot be told apart. RV(remedy) says what to do.
  returned: when O(state=stopped)
  type: str
  sample: proven
processes_left:
  description: Processes that survived SIGKILL or may not be signalled, each with pid and command.
  returned: when O(state=stopped)
  type: list
  elements: dict
  sample: []
port_free:
  description: Whether the port is free now, null when it is not known which one it was.
  returned: when O(state=stopped)
  type: bool
  sample: true
port_owners:
  description:
    - The processes that listen on the port. When a start failed, those that are in its way; after a
      stop none of them is the server's.
  returned: when O(state=stopped), or when the port is taken
  type: list
  elements: dict
  sample: []
shared_memory_removed:
  description:
    - Shared memory, semaphores and sockets that the processes of the server had left and that were
      removed.
  returned: when O(state=stopped)
  type: list
  elements: str
  sample: [/dev/shm/psm_4f0a2c1b]
remedy:
  description: What is left, whose it is and what to do about it. Empty when nothing is.
  returned: when O(state=stopped)
  type: str
  sample: ""
proxy:
  description:
    - What came of the proxy before it, null where nothing of one was there. C(stopped) is V(proven)
      when no process and no key of it is left, else V(unproven), and C(remedy) says what to do. It
      is null in check mode.
  returned: when O(ends_proxy) and O(state=stopped)
  type: dict
  sample:
    name: vllm
    changed: true
    stopped: proven
    processes_left: []
    remedy: ""
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
    - What the catalogue of known failures makes of the log, of what the kernel said since the
      start, and of the way the server ended.
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
blames_caches:
  description:
    - Whether it may have failed by what another host has compiled (O(caches_carried)), so that a
      start without it is worth its minutes.
  returned: when the start failed
  type: bool
  sample: false
log_tail:
  description: The last lines of the log.
  returned: when the start failed
  type: list
  elements: str
  sample: []
"""

import contextlib
import dataclasses
import functools
import os
from collections.abc import Sequence
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.common.reasons import (
    HUNG,
    NOT_READY,
    REQUESTED,
)
from ansible_collections.inferops.gpu.plugins.module_utils.common.redaction import redact
from ansible_collections.inferops.gpu.plugins.module_utils.common.server_words import port_of
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines import registry
from ansible_collections.inferops.gpu.plugins.module_utils.host.gpus import report as gpus
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import locks, ports
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine.files import own_home
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine.processes import Process
from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy import ending
from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy.proxy import proxy_of
from ansible_collections.inferops.gpu.plugins.module_utils.host.server import (
    asked,
    lifecycle,
    observation,
    proof,
    readiness,
    start_limit,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import NAME, Layout
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.spec import (
    Spec,
    as_variable,
    secret_values,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.start_limit import StartLimit
from ansible_collections.inferops.gpu.plugins.module_utils.host.service import (
    lifecycle as service_lifecycle,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.service.supervisors import choice
from ansible_collections.inferops.gpu.plugins.module_utils.host.service.supervisors import (
    supervisor as supervisors,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.service.sweeping import Ended
from ansible_collections.inferops.gpu.plugins.module_utils.host.service.tending import Tending
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack.stack import Stack

QUICK_COMPLETION_SECONDS = 30.0


class Run(Tending):
    """One call of the module."""

    what, busy = "Server", "started or stopped"

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params: dict[str, Any] = module.params
        self.layout = Layout(own_home(module))
        if not NAME.fullmatch(self.params["name"]):
            self.fail(f"name: {self.params['name']!r} may hold only letters, digits, - and _.")
        self.server = self.service = self.layout.server(self.params["name"])
        self.proxy = proxy_of(self.layout.home, self.params["name"])
        self.options: str | None = None
        self.checks_seconds: dict[str, float] = {}
        module.no_log_values.update(secret_values(self.server.environment()))

    def exit(self, changed: bool, diff: dict[str, Any], **result: Any) -> NoReturn:
        if diff and self.module._diff:
            result["diff"] = diff
        self.module.exit_json(changed=changed, invocation=self.invocation(), **result)

    def fail(self, message: str, **result: Any) -> NoReturn:
        self.module.fail_json(msg=redact(message), invocation=self.invocation(), **result)

    def invocation(self) -> dict[str, Any]:
        """The options for a verbose run, the values of the environment left out."""
        hidden = dict.fromkeys(self.params["environment"], "(not shown)")
        return {"module_args": {**self.params, "environment": hidden}}

    def started(self) -> NoReturn:
        supervisor = self.choose_supervisor()
        self.checks_seconds = self.check_limits()
        spec = self.spec(supervisor.name)
        self.module.no_log_values.update(secret_values(spec.environment))
        with self.alone():
            diff = self.make_run(spec, supervisor) or self.set_start_at_boot(supervisor)
            self.remember_wishes(spec)
        self.report(spec, changed=bool(diff), diff=diff)

    def make_run(self, spec: Spec, supervisor: supervisors.Supervisor) -> dict[str, Any]:
        """Start the server unless it runs as asked. Returns the difference, empty when none."""
        seen = self.observe()
        if self.runs_as_asked(spec, seen):
            self.note_proxy_port(spec)
            return self.without_proxy()
        self.require_free_port(spec, own=bool(seen["processes"]), with_proxy=True)
        self.require_free_proxy_port(spec)
        self.check_options(spec, spares=bool(seen["processes"]))
        diff = self.diff(spec, seen)
        if self.module.check_mode:
            self.exit(True, diff, server=seen, **self.facts(spec))
        # Until here all could be refused, and clients had their way in.
        self.without_proxy()
        left = self.end().left
        if left:
            self.fail(
                f"Server {spec.name!r} is not started: processes of its earlier start cannot be "
                "ended. A process that survives SIGKILL hangs in the driver; only a new boot or "
                "another host helps.",
                processes_left=[process.describe() for process in left],
            )
        self.require_free_port(spec, own=False)
        try:
            seconds = self.start_limit.seconds
            timed = dataclasses.replace(
                spec,
                wait_timeout_seconds=seconds,
                completion_seconds=max(
                    self.checks_seconds["completion"], readiness.COMPLETION_SECONDS
                ),
            )
            lifecycle.start(self.layout, timed, supervisor, gpus.report())
            self.set_start_at_boot(supervisor)
        except supervisors.SupervisorError as error:
            self.fail(str(error))
        return diff

    def note_proxy_port(self, spec: Spec) -> None:
        """Another port of the proxy replaces no server that runs; recover has to know it still."""
        known = self.server.spec()
        if known and known.proxy_port != spec.proxy_port and not self.module.check_mode:
            self.server.write_spec(dataclasses.replace(known, proxy_port=spec.proxy_port))

    def remember_wishes(self, spec: Spec) -> None:
        """For the look of the next deploy. Without the note that one takes the long way."""
        wishes = self.params["wishes"]
        if wishes and not self.module.check_mode:
            at_boot = asked.starts_at_boot(self.layout, self.server)
            with contextlib.suppress(OSError):
                asked.remember(self.server, wishes, spec, self.lock_sha256, gpus.report(), at_boot)

    @functools.cached_property
    def lock_sha256(self) -> str | None:
        """The lock of the stack that is installed now."""
        return Stack(str(self.layout.home)).lock_sha256()

    @functools.cached_property
    def start_limit(self) -> StartLimit:
        """How long this start may take."""
        asked = self.params["wait_timeout_seconds"]
        if asked is not None:
            return StartLimit(asked, "as asked")
        engine = registry.ENGINES[self.params["engine"]]
        weights = engine.weights(engine.by_name(self.params["arguments"]))
        asked_for = self.params["environment"]
        environment = {key: as_variable(value) for key, value in asked_for.items()}
        limit = start_limit.for_start(self.params["model"], weights.folder, environment)
        return start_limit.and_expected(limit, self.params["expected_seconds"])

    def check_limits(self) -> dict[str, float]:
        """How long each check may take, in seconds."""
        try:
            return start_limit.for_checks(self.params["check_timeouts_seconds"])
        except ValueError as error:
            self.fail(f"check_timeouts_seconds: {error}.")

    def facts(self, spec: Spec) -> dict[str, Any]:
        """What a start returns beside the server."""
        return {
            **self.ports_of(spec),
            "options": self.options,
            "wait_limit": {**self.start_limit._asdict(), "checks_seconds": self.checks_seconds},
        }

    def end(self, reason: str = REQUESTED) -> Ended:
        seconds = self.params["stop_timeout_seconds"]
        try:
            return service_lifecycle.end(self.server, seconds, reason)
        except supervisors.SupervisorError as error:
            self.fail(f"Server {self.server.name!r} cannot be ended: {error}")

    def observe(self) -> dict[str, Any]:
        return observation.observe(self.server, keep=not self.module.check_mode)

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
        if not params["model"].strip() or params["model"].startswith("-"):
            self.fail(f"model: {params['model']!r} is neither a repository id nor a folder.")
        if params["log_max_mib"] < 1:
            self.fail(f"log_max_mib: {params['log_max_mib']} is too small, 1 is the least.")
        kept = self.server.environment() if params["keep_environment"] else {}
        wanted = {**kept, **params["environment"]}
        environment = {
            key: as_variable(value) for key, value in wanted.items() if value is not None
        }
        engine = registry.ENGINES[params["engine"]]
        if params["api_key"]:
            environment[engine.key_variable] = params["api_key"]
        names = [name for name in params["served_model_name"] or () if name]
        port, proxy_port = self.ports()
        spec = Spec(
            name=params["name"],
            supervisor=supervisor,
            stop_timeout_seconds=params["stop_timeout_seconds"],
            log_max_mib=params["log_max_mib"],
            environment=environment,
            engine=params["engine"],
            python=python,
            model=params["model"],
            served_model_name=names if len(names) > 1 else next(iter(names), None),
            host=params["host"],
            port=port,
            proxy_port=proxy_port,
            arguments=engine.by_name(params["arguments"]),
            extra_args=params["extra_args"],
            suggested_arguments=engine.by_name(params["suggested_arguments"]),
        )
        try:
            spec.runs_on.command(spec.wish)
        except ValueError as error:
            self.fail(str(error))
        return spec

    def ports(self) -> tuple[int, int | None]:
        """That of the server, and that of the proxy before it, None where none is meant."""
        port, door = self.asked_port("port"), None
        owners = [*self.proxy.processes(), *self.proxy.launchers()]
        if self.params["proxy_port"].strip():
            # That of one which has ended may be of long ago: clients know the server's since.
            known = self.proxy.port if ending.is_there(self.proxy) else None
            door = lifecycle.Wanted(self.asked_port("proxy_port"), known, owners)
        if port is not None and (door is None or door.port is not None):
            chosen = port, door and door.port
        else:
            chosen = self.automatic_ports(port, door, owners if self.ends_proxy else ())
        for name, one in zip(("port", "proxy_port"), chosen if door else chosen[:1]):
            if one is None:
                last = ports.FIRST_AUTOMATIC + ports.AUTOMATIC - 1
                self.fail(
                    f"{name}: none is free from {ports.FIRST_AUTOMATIC} to {last}. Stop what holds "
                    f"them, or set {name} to a number."
                )
        if chosen[0] == chosen[1]:
            self.fail(
                f"proxy_port: {chosen[1]} is the port of the server. Set one of them to auto."
            )
        return chosen[0], chosen[1]

    def asked_port(self, name: str) -> int | None:
        """A port that is asked for by its number, None for auto."""
        try:
            return port_of(self.params[name])
        except ValueError as error:
            self.fail(f"{name}: {error}.")

    def automatic_ports(
        self, port: int | None, proxy: lifecycle.Wanted | None, leaving: Sequence[Process]
    ) -> tuple[int | None, int | None]:
        choose = lifecycle.choose_ports if self.module.check_mode else lifecycle.claim_ports
        try:
            return choose(self.layout, self.server, self.params["host"], port, proxy, leaving)
        except locks.Busy as error:
            self.fail(f"port: another run chooses one and does not end: {error}. Try again.")

    def ports_of(self, spec: Spec) -> dict[str, int | None]:
        """For the result."""
        return {
            "port": spec.port,
            "proxy_port": spec.proxy_port,
            "client_port": spec.proxy_port or spec.port,
        }

    def check_options(self, spec: Spec, spares: bool) -> None:
        """Fail on options that the engine would refuse, while the old server still serves.

        Its parser takes as long to load as a start takes to be refused, so where that *spares* no
        server, the start is the one to tell.
        """
        if not spares and not self.module.check_mode:
            self.options = "left to the start: nothing runs that a refusal would spare"
            return
        if not os.access(spec.python, os.X_OK):
            self.options = "not checked: the engine is not installed yet"
            return
        keep = not self.module.check_mode
        verdict = spec.runs_on.check_options(
            spec.wish, spec.environment, self.server.accepted, keep
        )
        if verdict.refusal:
            self.fail(
                f"{spec.runs_on.title} refuses its options: {verdict.refusal} "
                "Correct arguments or extra_args. Nothing was started or stopped."
            )
        self.options = verdict.note

    def runs_as_asked(self, spec: Spec, seen: dict[str, Any]) -> bool:
        """Alive with the same specification, and starting still or able to complete."""
        if seen["spec_hash"] != spec.hash:
            return False
        if self.params["wishes"] and asked.has_other_lock(self.server, self.lock_sha256):
            return False  # it runs what was installed before
        if seen["phase"] == "starting":
            return True
        return seen["phase"] == "running" and self.completion(spec) is not None

    def completion(self, spec: Spec) -> str | None:
        seconds = max(QUICK_COMPLETION_SECONDS, spec.runs_on.step_seconds)
        answer = spec.ask(self.server.processes(), seconds)
        return answer.completion if answer.waiting_for is None else None

    def without_proxy(self) -> dict[str, Any]:
        """End a proxy that is not asked for any more. Returns the difference, empty when none.
        Fails where it cannot be ended, for it has the port and the keys of before."""
        ended = self.end_proxy().get("proxy")
        if ended and ended["stopped"] == "unproven":
            self.fail(
                f"Server {self.server.name!r} is not started: {ended['remedy']}",
                processes_left=ended["processes_left"],
            )
        return {"before": {"proxy": ended["name"]}, "after": {}} if ended else {}

    def require_free_port(self, spec: Spec, own: bool, with_proxy: bool = False) -> None:
        """Fail unless the port is free, or held by the server that is about to be replaced, or
        *with_proxy* by the proxy that is about to end."""
        ours = self.server.processes() if own else []
        if with_proxy and (self.ends_proxy or self.module.check_mode):
            ours = [*ours, *self.proxy.processes()]
        self.require_free(ports.loopback_for(spec.host), spec.port, ours, "port")

    def require_free_proxy_port(self, spec: Spec) -> None:
        """Fail unless the proxy can have its port, before minutes are spent on a start.

        What the old server holds will be free, and a proxy that stands there stays.
        """
        if spec.proxy_port is not None:
            ours = [*self.server.processes(), *self.proxy.processes()]
            self.require_free(lifecycle.LOOPBACK, spec.proxy_port, ours, "proxy_port")

    def require_free(self, address: str, port: int, ours: Sequence[Process], option: str) -> None:
        """Fail on a port that others hold; *option* is the one that asked for it."""
        holders = ports.in_the_way(address, port, ours)
        if holders is not None:
            self.fail(
                f"Port {port} is taken by {ports.named(holders)}. "
                f"Stop it, set {option} to another one, or to auto.",
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

    def report(self, spec: Spec, changed: bool, diff: dict[str, Any]) -> NoReturn:
        """Report. What starts is followed by the action plugin, from the controller."""
        seen = self.observe()
        if seen["phase"] == "running":
            self.exit(
                changed,
                diff,
                server=seen,
                completion=seen["completion"],
                options=self.options,
                **self.ports_of(spec),
            )
        self.exit(changed, diff, server=seen, **self.facts(spec))

    def stopped(self) -> NoReturn:
        server = self.server
        present = service_lifecycle.is_present(server)
        before = self.observe()
        diff = {"before": {"state": before["phase"]}, "after": {"state": "stopped"}}
        if self.module.check_mode:
            proxied = self.end_proxy()
            changed = present or bool(proxied.get("proxy"))
            self.exit(changed, diff if present else {}, server=before, **proxied)
        with self.alone():
            proxied = self.end_proxy()
            # Another run may have ended it while this one waited for its turn.
            present = service_lifecycle.is_present(server)
            ended = self.end(self.params["reason"])
        proven = proof.of_stop(self.layout, server, ended, gpus.report)
        changed = present or bool(proxied.get("proxy"))
        self.exit(changed, diff if present else {}, server=self.observe(), **proven, **proxied)

    @property
    def ends_proxy(self) -> bool:
        """Whether the proxy is to end: one that is asked for in the same breath is not."""
        return bool(self.params["ends_proxy"]) and not self.params["proxy_port"].strip()

    def end_proxy(self) -> dict[str, Any]:
        """For the result: what came of the proxy before the server, where that is to end too."""
        if not self.ends_proxy:
            return {}
        seconds = self.params["stop_timeout_seconds"]
        change = not self.module.check_mode
        return {"proxy": ending.end_before_server(self.proxy, seconds, change)}


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
            "engine": {
                "type": "str",
                "choices": list(registry.ENGINES),
                "default": registry.DEFAULT,
            },
            "model": {"type": "str"},
            "served_model_name": {"type": "list", "elements": "str"},
            "host": {"type": "str", "default": "127.0.0.1"},
            "port": {"type": "str", "default": "8000"},
            "proxy_port": {"type": "str", "default": ""},
            "ends_proxy": {"type": "bool", "default": False},
            "arguments": {"type": "dict", "default": {}},
            "suggested_arguments": {"type": "dict", "default": {}},
            "extra_args": {"type": "list", "elements": "str", "default": []},
            "environment": {"type": "dict", "default": {}},
            "keep_environment": {"type": "bool", "default": False},
            "api_key": {"type": "str", "no_log": True},
            "supervisor": {
                "type": "str",
                "choices": ["auto", *choice.NAMES],
                "default": "auto",
            },
            "supervisord_bin_dir": {"type": "path"},
            # The action plugin waits.
            "wait": {"type": "bool", "default": True},
            "wait_timeout_seconds": {"type": "int"},
            "expected_seconds": {"type": "float", "default": 0.0},
            "caches_carried": {"type": "bool", "default": False},
            "check_timeouts_seconds": {"type": "dict", "default": {}},
            "start_at_boot": {"type": "bool", "default": False},
            "stop_timeout_seconds": {"type": "int", "default": 30},
            "log_max_mib": {"type": "int", "default": 64},
            "reason": {
                "type": "str",
                "choices": [REQUESTED, NOT_READY, HUNG],
                "default": REQUESTED,
            },
            "wishes": {"type": "str", "default": ""},
        },
        required_if=[("state", "started", ["python", "model"])],
        supports_check_mode=True,
    )
    run = Run(module)
    if module.params["state"] == "started":
        run.started()
    run.stopped()


if __name__ == "__main__":
    main()
