#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: proxy
short_description: Keep a proxy with keys in front of the engines of a host
version_added: 0.1.0
description:
  - Keeps HAProxy running under the supervisor of the host, as a service beside the engines. Every
    way in ends there, and every route asks for a key, whatever the method.
  - Only the routes of inference are open, and those of O(routes). What could stop an engine or run
    code in it stays closed.
  - An engine that is frozen, dead or full is left at once for a server that is a C(fallback), and
    is taken again when it is back. A request of inference that it has not begun to answer is sent
    again; an answer that has begun is not.
  - An engine that gives no answer keeps what it was asked already, until it hangs for too long.
  - Keys change without a restart, other settings by a reload. No request fails for either.
  - HAProxy 2.4 or newer has to be installed, as role P(inferops.gpu.proxy#role) does.
options:
  name:
    description: Name of the proxy, unique on the host. Letters, digits, C(-) and C(_).
    type: str
    required: true
  state:
    description:
      - V(present) makes sure that the proxy runs as asked, and that nobody gets in without a key.
      - V(absent) makes sure that no process of it is left, and removes its keys from the host.
      - V(redirected) makes a proxy that is there lead to O(servers), of which it knows the names,
        at the ports that they have now. All else of it stays, its keys too. Where none is there
        nothing is done.
      - V(rekeyed) makes a proxy that runs know O(keys), O(metrics_keys) and O(gateway_keys), and
        no others unless O(keep_keys) says so. All else of it stays, and no request fails. It fails
        where none runs.
      - V(provided) changes nothing. It fails unless there is an HAProxy on the host that can be
        used, so that nobody waits for an engine before that is found out.
    type: str
    choices: [present, absent, redirected, rekeyed, provided]
    default: present
  home:
    description: Folder of this collection on the host.
    type: path
    default: ~/.inferops
  executable:
    description: The C(haproxy) to run. By default the one of the system.
    type: str
  listeners:
    description: Where clients reach the proxy. Needed for O(state=present).
    type: list
    elements: dict
    suboptions:
      address:
        description: Address to bind. Anything but the loopback address exposes it.
        type: str
        default: 127.0.0.1
      port:
        description: Port to bind.
        type: int
        required: true
      certificate:
        description:
          - File on the host with a certificate, those above it and its private key, in PEM. Clients
            speak TLS then. Nobody but its owner may be able to read it.
        type: str
  servers:
    description:
      - The engines behind the proxy, in the order in which they are taken. Needed for
        O(state=present) and O(state=redirected).
    type: list
    elements: dict
    suboptions:
      name:
        description: What it is called in the log, in the result and in header C(x-inferops-server).
        type: str
        required: true
      address:
        description: Its address.
        type: str
        default: 127.0.0.1
      port:
        description: Its port. It has one, or a O(servers[].socket).
        type: int
      socket:
        description:
          - The Unix socket that leads to it, such as one of M(inferops.gpu.gateway_tunnels).
        type: path
      engine:
        description:
          - Its engine, one of those of M(inferops.gpu.model_server). Then its figures are watched,
            and it is left as soon as it is silent or makes no progress.
          - Without one, only its C(/health) is asked.
        type: str
      fallback:
        description: Whether it gets only what the others cannot take.
        type: bool
        default: false
      max_connections:
        description:
          - How many requests it is sent at once. Further ones go to the next server, or wait.
        type: int
        default: 1024
  server_key:
    description:
      - The proxy's own key for its engines, which is sent in place of the key of the client. An
        engine never sees those of clients. Without one, it is sent none.
      - On the host it stands in a file that only its owner can read.
    type: str
  keys:
    description:
      - The keys of clients, each by the name of its user or team, which the log shows. At
        least one is needed for O(state=present), and for O(state=rekeyed) without O(keep_keys).
      - The host is sent their SHA-256 alone, which is made on the controller. A key that a client
        uses passes the proxy, and with it the memory of the host.
    type: dict
    default: {}
  metrics_keys:
    description:
      - Keys of another kind, by name. They open C(/metrics) of the first server, and nothing else.
        No other key opens it, but those of O(gateway_keys).
    type: dict
    default: {}
  gateway_keys:
    description:
      - Keys of a third kind, by name, for other proxies that lead to this one. They open the routes
        of clients and, by C(/metrics), tell how the first server does.
    type: dict
    default: {}
  keep_keys:
    description:
      - Whether the keys that are in stay in beside the new ones, until those who have them have
        others. Those of gateways that O(gateway_keys) does not name go all the same.
    type: bool
    default: false
  routes:
    description: Routes that are open beside those of inference.
    type: list
    elements: dict
    default: []
    suboptions:
      method:
        description: Its method.
        type: str
        required: true
      path:
        description: Its path. C({id}) stands for any word of letters, digits, C(-) and C(_).
        type: str
        required: true
      repeatable:
        description:
          - Whether the same request may be sent to another server when the first one died or was
            full. Its body is bounded by O(max_body_kib) then.
        type: bool
        default: false
  max_body_kib:
    description:
      - The largest body of a request that may be sent again. A larger one is answered with 413, as
        it could be sent once only.
      - Each request may take as much memory until its answer begins.
    type: int
    default: 1024
  silence_seconds:
    description:
      - After how long without an answer of its metrics an engine gets no new requests, where
        another server can take them.
    type: float
    default: 1
  stalled_seconds:
    description:
      - The same for one that answers, and has requests and no new token. A long prompt takes as
        long, so it should not be short.
    type: float
    default: 10
  hung_seconds:
    description:
      - After how long without an answer or without a token an engine is called hung. What waits for
        it is ended, and it gets nothing until it is back. The longest prompt must take less. An
        engine whose single steps may take longer, as llama.cpp's, has at least such a step's time.
    type: float
    default: 120
  supervisor:
    description: What keeps the proxy running, as for M(inferops.gpu.model_server).
    type: str
    choices: [auto, systemd, systemd_user, supervisord]
    default: auto
  supervisord_bin_dir:
    description: Folder that holds the C(supervisord) executable. Needed where systemd is not used.
    type: path
  start_at_boot:
    description: Start the proxy again when the host comes back from a restart. Needs systemd.
    type: bool
    default: false
  stop_timeout_seconds:
    description: How long its processes may take to end after SIGTERM, before SIGKILL.
    type: int
    default: 10
  wishes:
    description:
      - A digest of all that a deploy asked of this host, as M(inferops.gpu.host_look) returns it.
        It is kept, so that the same wish is recognised the next time.
    type: str
    default: ""
  log_max_mib:
    description:
      - How much of the disk its log may take. It has a line for each request, with the name of the
        key and without headers. Another value takes effect with the next start.
    type: int
    default: 16
extends_documentation_fragment:
  - inferops.gpu.attributes
attributes:
  check_mode:
    support: full
    details: HAProxy itself checks the configuration only where it is changed.
  diff_mode:
    support: full
    details: Shows the configuration, which holds no secret, and the names of the keys.
  platform:
    platforms: linux
seealso:
  - module: inferops.gpu.model_server
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Keep a proxy before the engine
  inferops.gpu.proxy:
    name: main
    listeners:
      - port: 8000
    servers:
      - name: main
        port: 8001
        engine: vllm
    server_key: "{{ vault_engine_key }}"
    keys:
      alice: "{{ vault_key_of_alice }}"
      team-search: "{{ vault_key_of_search }}"
    metrics_keys:
      prometheus: "{{ vault_key_of_prometheus }}"

- name: Let a new key of Alice in beside the one that she has
  inferops.gpu.proxy:
    name: main
    state: rekeyed
    keep_keys: true
    keys:
      alice: "{{ vault_next_key_of_alice }}"
      team-search: "{{ vault_key_of_search }}"

- name: Take it away
  inferops.gpu.proxy:
    name: main
    state: absent
"""

RETURN = r"""
proxy:
  description: The proxy as it is now.
  returned: unless O(state=provided)
  type: dict
  contains:
    name:
      description: Its name.
      type: str
      sample: main
    phase:
      description: V(running), V(starting), V(stopped), V(error) or V(unknown).
      type: str
      sample: running
    reason:
      description: Why it is so, null when there is nothing to say.
      type: str
      sample: null
    port:
      description: The port of its first listener, null where it was never asked for.
      type: int
      sample: 8000
    pid:
      description: The process of its master.
      type: int
      sample: 4242
    processes:
      description: Number of its living processes.
      type: int
      sample: 2
    supervisor:
      description: What keeps it running.
      type: str
      sample: systemd
    supervised:
      description: Whether launcher and supervisor live, which start it again when it ends.
      type: bool
      sample: true
    servers:
      description: Its servers as HAProxy sees them, with their C(status) and C(sessions).
      type: list
      elements: dict
      sample: [{name: main, status: UP, sessions: 3}]
    max_connections:
      description: How many requests its servers are sent at once, all together.
      type: int
      sample: 256
    log_path:
      description: Its log on the host.
      type: str
      sample: /home/user/.inferops/proxies/main/proxy.log
done:
  description:
    - What was done, or would be in check mode. V(nothing), V(started), V(reloaded), V(keys) when
      only keys were changed, V(boot) when only O(start_at_boot) was, V(ended).
  returned: always
  type: str
  sample: reloaded
version:
  description: The version of HAProxy, null where check mode finds none yet.
  returned: with O(state=present), O(state=redirected) and O(state=provided)
  type: str
  sample: 2.6.12-1+deb12u4
keys_count:
  description: How many keys of clients and for metrics it knows now, or would in check mode.
  returned: when O(state=rekeyed)
  type: int
  sample: 3
keys_gone:
  description: Whose earlier keys it knows no more, or would not in check mode, by kind and name.
  returned: when O(state=rekeyed)
  type: list
  elements: str
  sample: [client alice, metrics prometheus]
processes_left:
  description: Processes that survived SIGKILL or may not be signalled, each with pid and command.
  returned: when O(state=absent)
  type: list
  elements: dict
  sample: []
port_owners:
  description: The processes that listen on a port that it was to have.
  returned: when a port is taken
  type: list
  elements: dict
  sample: []
log_tail:
  description: The last lines of its log.
  returned: when it did not start
  type: list
  elements: str
  sample: []
"""

import contextlib
import dataclasses
import os
import stat
import time
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.common import proxy_keys
from ansible_collections.inferops.gpu.plugins.module_utils.common.redaction import redact
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import ports
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine.files import own_home
from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy import (
    asked,
    configuration,
    ending,
    lifecycle,
    observation,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy.proxy import proxy_of
from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy.spec import Spec
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import Layout
from ansible_collections.inferops.gpu.plugins.module_utils.host.service import (
    lifecycle as service_lifecycle,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.service.layout import NAME
from ansible_collections.inferops.gpu.plugins.module_utils.host.service.logs import Log
from ansible_collections.inferops.gpu.plugins.module_utils.host.service.observation import (
    Seen,
    look,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.service.supervisors import choice
from ansible_collections.inferops.gpu.plugins.module_utils.host.service.supervisors import (
    supervisor as supervisors,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.service.sweeping import Ended
from ansible_collections.inferops.gpu.plugins.module_utils.host.service.tending import Tending

START_SECONDS = 60.0
POLL_SECONDS = 0.3
TAIL_LINES = 40

#: What was done.
NOTHING = "nothing"
STARTED = "started"
RELOADED = "reloaded"
KEYS = "keys"
BOOT = "boot"
ENDED = "ended"


class Run(Tending):
    """One call of the module."""

    what, busy = "Proxy", "changed"

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params: dict[str, Any] = module.params
        if not NAME.fullmatch(self.params["name"]):
            self.fail(f"name: {self.params['name']!r} may hold only letters, digits, - and _.")
        self.proxy = self.service = proxy_of(own_home(module), self.params["name"])

    def exit(self, done: str, diff: dict[str, Any], **result: Any) -> NoReturn:
        if done != NOTHING and self.module._diff:
            result["diff"] = diff
        self.module.exit_json(changed=done != NOTHING, done=done, **result)

    def fail(self, message: str, **result: Any) -> NoReturn:
        self.module.fail_json(msg=redact(message), **result)

    def provided(self) -> NoReturn:
        try:
            _executable, version = self.haproxy()
        except lifecycle.Refused as error:
            self.fail(str(error))
        self.exit(NOTHING, {}, version=version)

    def present(self) -> NoReturn:
        try:
            executable, version = self.haproxy()
            secrets = self.secrets(self.params["server_key"] or None)
            supervisor = self.choose_supervisor()
            with self.alone():
                secrets = self.beside_kept(secrets)
                spec = self.spec(executable, supervisor.name)
                before = self.shown(self.proxy.spec())
                done = self.make_so(spec, secrets, supervisor)
                if self.set_start_at_boot(supervisor) and done == NOTHING:
                    done = BOOT
                self.remember_wishes(spec, secrets)
        except (lifecycle.Refused, supervisors.SupervisorError) as error:
            self.fail(str(error))
        diff = {"before": before, "after": self.shown(spec, secrets)}
        self.exit(done, diff, proxy=self.now(), version=version)

    def redirected(self) -> NoReturn:
        """Whoever has moved an engine may know neither the keys nor the wishes behind the proxy."""
        try:
            with self.alone():
                known = self.proxy.spec()
                if known is None or not ending.is_there(self.proxy):
                    self.exit(NOTHING, {}, proxy=self.now(), version=None)
                version = lifecycle.version(known.executable)
                spec, secrets = self.leading_elsewhere(known), lifecycle.kept(self.proxy)
                if not secrets.clients:
                    self.fail("Its keys are not on the host any more: deploy it again.")
                done = self.make_so(spec, secrets, self.choose_supervisor(known.supervisor))
        except (lifecycle.Refused, supervisors.SupervisorError) as error:
            self.fail(str(error))
        diff = {"before": self.shown(known), "after": self.shown(spec, secrets)}
        self.exit(done, diff, proxy=self.now(), version=version)

    def rekeyed(self) -> NoReturn:
        """Whoever changes keys may know nothing else that was asked of the proxy."""
        try:
            with self.alone():
                spec, kept = self.proxy.spec(), lifecycle.kept(self.proxy)
                seen = self.look()
                if spec is None or seen.phase != "running":
                    self.fail(
                        f"Proxy {self.proxy.name!r} is {seen.phase}, and only one that runs takes "
                        "other keys: deploy it first."
                    )
                if not kept.clients or (spec.sends_key and kept.upstream is None):
                    self.fail("Its keys are not on the host any more: deploy it again.")
                wanted = self.beside_kept(self.secrets(kept.upstream))
                gone = kept.clients.keys() - wanted.clients.keys()
                done = NOTHING if lifecycle.knows(self.proxy, wanted) else KEYS
                diff = {"before": self.shown(spec, kept), "after": self.shown(spec, wanted)}
                if done == KEYS and not self.module.check_mode:
                    lifecycle.rotate(self.proxy, wanted)
        except lifecycle.Refused as error:
            self.fail(str(error))
        names = sorted(kept.clients[key].replace(":", " ", 1) for key in gone)
        self.exit(done, diff, proxy=self.now(), keys_count=len(wanted.clients), keys_gone=names)

    def leading_elsewhere(self, known: Spec) -> Spec:
        """The same proxy before engines that have other ports now."""
        moved = {each["name"]: each for each in self.params["servers"]}
        unknown = sorted(set(moved) - {each.name for each in known.engines})
        if unknown:
            self.fail(f"servers: the proxy leads to no {unknown[0]!r}.")
        upstreams = [
            {**each, **moved.get(each["name"], {}), "fallback": each.get("fallback", False)}
            for each in known.upstreams
        ]
        taken = {each["port"] for each in [*known.listeners, *upstreams]}
        port = lifecycle.agent_port(known, taken)
        try:
            return dataclasses.replace(known, upstreams=upstreams, agent_port=port)
        except ValueError as error:
            self.fail(f"The proxy cannot be made as asked: {error}.")

    def remember_wishes(self, spec: Spec, secrets: lifecycle.Secrets) -> None:
        """For the look of the next deploy. Without the note that one takes the long way."""
        if self.params["wishes"] and not self.module.check_mode:
            with contextlib.suppress(OSError):
                asked.remember(self.proxy, self.params["wishes"], spec, secrets)

    def haproxy(self) -> tuple[str, str | None]:
        """The program and its version; on a first run in check mode nothing was installed yet."""
        try:
            executable = lifecycle.find_executable(self.params["executable"])
        except lifecycle.Refused:
            if self.module.check_mode:
                return self.params["executable"] or lifecycle.USUAL, None
            raise
        return executable, lifecycle.version(executable)

    def make_so(
        self, spec: Spec, secrets: lifecycle.Secrets, supervisor: supervisors.Supervisor
    ) -> str:
        """Have it run as asked, in the gentlest way that does. Returns what was done."""
        seen = self.look()
        if seen.phase == "starting" and seen.supervised and not self.module.check_mode:
            seen = self.wait()  # its launcher is about to have it run
        wanted = self.needed(spec, secrets, seen)
        if wanted in (STARTED, RELOADED):
            self.require_free_ports(spec, seen)
        if self.module.check_mode or wanted == NOTHING:
            return wanted
        if wanted == KEYS:
            lifecycle.rotate(self.proxy, secrets)
        elif wanted == RELOADED:
            lifecycle.reload(self.proxy, spec, secrets)
        else:
            self.start(spec, secrets, supervisor)
        return wanted

    def needed(self, spec: Spec, secrets: lifecycle.Secrets, seen: Seen) -> str:
        """What has to be done for it to run as asked."""
        kept = seen.phase == "running" and seen.supervised
        if not kept or seen.record.spec_hash != spec.hash:
            return STARTED
        text = configuration.render(spec)
        same = self.proxy.spec() == spec and lifecycle.holds(self.proxy, text)
        if not same or not lifecycle.runs_with(self.proxy, spec):
            return RELOADED
        return NOTHING if lifecycle.knows(self.proxy, secrets) else KEYS

    def start(
        self, spec: Spec, secrets: lifecycle.Secrets, supervisor: supervisors.Supervisor
    ) -> None:
        left = self.end().left
        if left:
            self.fail(
                f"Proxy {spec.name!r} is not started: processes of its earlier start cannot be "
                "ended.",
                processes_left=[process.describe() for process in left],
            )
        self.require_free_ports(spec, None)
        lifecycle.start(self.proxy, spec, secrets, supervisor)
        seen = self.wait()
        if seen.phase != "running":
            tail = redact(Log(self.proxy.log).tail()).splitlines()[-TAIL_LINES:]
            reason = seen.reason or f"it waits for check {seen.record.waiting_for}"
            # One that nobody has seen to turn strangers away is not left running.
            self.end()
            self.fail(
                f"Proxy {spec.name!r} failed to start: {reason}. Its log is {self.proxy.log} on "
                "the host.",
                log_tail=tail,
            )

    def wait(self) -> Seen:
        deadline = time.monotonic() + START_SECONDS
        while True:
            seen = self.look()
            if seen.phase in ("running", "error", "stopped") or time.monotonic() >= deadline:
                return seen
            time.sleep(POLL_SECONDS)

    def require_free_ports(self, spec: Spec, seen: Seen | None) -> None:
        """Fail unless each port is free, or held by the proxy itself."""
        own = seen.tree if seen else []
        if self.module.check_mode:
            # Nobody has given the server another port yet whose port this proxy gets.
            server = Layout(self.proxy.layout.home).server(self.proxy.name)
            own = [*own, *server.processes()]
        for listener in spec.listens:
            place = ports.loopback_for(listener.address), listener.port
            holders = ports.in_the_way(*place, own)
            if holders and seen:
                # A worker of its own may have begun since, by the reload of a moment ago.
                holders = ports.in_the_way(*place, [*own, *self.proxy.processes()])
            if holders is not None:
                self.fail(
                    f"Port {listener.port} is taken by {ports.named(holders)}. Stop it, or take "
                    "another port for this listener.",
                    port_owners=[process.describe() for process in holders],
                )

    def spec(self, executable: str, supervisor: str) -> Spec:
        """What is asked for; fails on what could never be."""
        params, before = self.params, self.proxy.spec()
        for each in params["listeners"]:
            self.check_certificate(each["certificate"])
        taken = {each["port"] for each in [*params["listeners"], *params["servers"]]}
        try:
            return Spec(
                name=params["name"],
                supervisor=supervisor,
                stop_timeout_seconds=params["stop_timeout_seconds"],
                log_max_mib=params["log_max_mib"],
                environment={},
                executable=executable,
                listeners=params["listeners"],
                upstreams=params["servers"],
                routes=params["routes"],
                sends_key=bool(params["server_key"]),
                agent_port=lifecycle.agent_port(before, taken),
                max_body_kib=params["max_body_kib"],
                silence_seconds=params["silence_seconds"],
                stalled_seconds=params["stalled_seconds"],
                hung_seconds=params["hung_seconds"],
            )
        except ValueError as error:
            self.fail(f"The proxy cannot be made as asked: {error}.")

    def check_certificate(self, path: str | None) -> None:
        """It holds a private key."""
        if not path:
            return
        try:
            mode = os.stat(path).st_mode
        except OSError as error:
            self.fail(f"certificate: {error}")
        if stat.S_IMODE(mode) & 0o077:
            self.fail(
                f"certificate: others than its owner may read or write {path}, which holds a "
                "private key. Set its mode to 0600."
            )

    def secrets(self, upstream: str | None) -> lifecycle.Secrets:
        """Of clients' keys no more than their SHA-256 comes here; *upstream* is its own one."""
        given = {option: self.params[option] for option in proxy_keys.KINDS}
        stay = self.params["state"] == "rekeyed" and self.params["keep_keys"]
        if not given["keys"] and not stay:
            self.fail("keys: give at least one, or nobody gets in.")
        try:
            hashed = proxy_keys.by_digest(given)
            if upstream is not None:
                proxy_keys.check(upstream, "server_key")
                if proxy_keys.digest(upstream) in hashed:
                    raise ValueError("server_key is the key of a client, which no engine may see")
        except ValueError as error:
            self.fail(f"keys: {error}.")
        return lifecycle.Secrets(hashed, upstream)

    def beside_kept(self, asked: lifecycle.Secrets) -> lifecycle.Secrets:
        """These keys, and with O(keep_keys) those that it has."""
        if not self.params["keep_keys"]:
            return asked
        gateways = [f"{proxy_keys.GATEWAY}:{name}" for name in self.params["gateway_keys"]]
        known = {
            key: who
            for key, who in lifecycle.kept(self.proxy).clients.items()
            if who in gateways or not who.startswith(f"{proxy_keys.GATEWAY}:")
        }
        return lifecycle.Secrets({**known, **asked.clients}, asked.upstream)

    def shown(self, spec: Spec | None, secrets: lifecycle.Secrets | None = None) -> dict[str, Any]:
        """A proxy for the eye: of its keys kind and name, and the start of what is kept of each."""
        if spec is None:
            return {}
        found = lifecycle.held(self.proxy) if secrets is None else secrets.files
        return {
            "configuration": configuration.render(spec),
            "keys": {
                who: f"sha256 {key[:8]}"
                for key, who in sorted(found[configuration.KEYS].items(), key=lambda one: one[1])
            },
        }

    def look(self) -> Seen:
        return look(self.proxy, keep=not self.module.check_mode)

    def end(self) -> Ended:
        return service_lifecycle.end(self.proxy, self.params["stop_timeout_seconds"])

    def now(self) -> dict[str, Any]:
        return observation.observe(self.proxy, keep=not self.module.check_mode)

    def absent(self) -> NoReturn:
        spec = self.proxy.spec()
        diff = {"before": self.shown(spec), "after": {}}
        try:
            if self.module.check_mode:
                is_there = ending.is_there(self.proxy)
                self.exit(ENDED if is_there else NOTHING, diff, proxy=self.now(), processes_left=[])
            with self.alone():
                # Another run may have ended it while this one waited for its turn.
                is_there = ending.is_there(self.proxy)
                left = ending.end(self.proxy, self.params["stop_timeout_seconds"])
        except supervisors.SupervisorError as error:
            self.fail(f"Proxy {self.proxy.name!r} cannot be ended: {error}")
        if left:
            self.fail(
                f"Processes of proxy {self.proxy.name!r} are left: they survived SIGKILL or belong "
                "to another user. Try with become.",
                processes_left=left,
            )
        self.exit(ENDED if is_there else NOTHING, diff, proxy=self.now(), processes_left=left)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {
                "type": "str",
                "choices": ["present", "absent", "redirected", "rekeyed", "provided"],
                "default": "present",
            },
            "home": {"type": "path", "default": "~/.inferops"},
            "executable": {"type": "str"},
            "listeners": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "address": {"type": "str", "default": "127.0.0.1"},
                    "port": {"type": "int", "required": True},
                    "certificate": {"type": "str"},
                },
            },
            "servers": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "name": {"type": "str", "required": True},
                    "address": {"type": "str", "default": "127.0.0.1"},
                    "port": {"type": "int"},
                    "socket": {"type": "path"},
                    "engine": {"type": "str"},
                    "fallback": {"type": "bool", "default": False},
                    "max_connections": {"type": "int", "default": 1024},
                },
            },
            "server_key": {"type": "str", "no_log": True},
            "keys": {"type": "dict", "no_log": True, "default": {}},
            "metrics_keys": {"type": "dict", "no_log": True, "default": {}},
            "gateway_keys": {"type": "dict", "no_log": True, "default": {}},
            "keep_keys": {"type": "bool", "default": False, "no_log": False},
            "routes": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "method": {"type": "str", "required": True},
                    "path": {"type": "str", "required": True},
                    "repeatable": {"type": "bool", "default": False},
                },
            },
            "max_body_kib": {"type": "int", "default": 1024},
            "silence_seconds": {"type": "float", "default": 1.0},
            "stalled_seconds": {"type": "float", "default": 10.0},
            "hung_seconds": {"type": "float", "default": 120.0},
            "supervisor": {"type": "str", "choices": ["auto", *choice.NAMES], "default": "auto"},
            "supervisord_bin_dir": {"type": "path"},
            "start_at_boot": {"type": "bool", "default": False},
            "stop_timeout_seconds": {"type": "int", "default": 10},
            "wishes": {"type": "str", "default": ""},
            "log_max_mib": {"type": "int", "default": 16},
        },
        required_if=[
            ("state", "present", ["listeners", "servers"]),
            ("state", "redirected", ["servers"]),
        ],
        supports_check_mode=True,
    )
    run = Run(module)
    if module.params["state"] == "present":
        run.present()
    if module.params["state"] == "redirected":
        run.redirected()
    if module.params["state"] == "rekeyed":
        run.rekeyed()
    if module.params["state"] == "provided":
        run.provided()
    run.absent()


if __name__ == "__main__":
    main()
