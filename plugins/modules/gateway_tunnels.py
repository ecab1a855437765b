#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gateway_tunnels
short_description: Keep SSH tunnels open from a gateway to its inference servers
version_added: 0.1.0
description:
  - Keeps one tunnel for each server running under the supervisor of the gateway, from a Unix socket
    that its own user alone can use to a port of the server's loopback. One that is cut opens again
    by itself, also after hours, and after a restart of either host where O(start_at_boot) is set.
  - The gateway logs in with a key pair of its own, which is made here and stays here. Each server
    has to let it in, as M(inferops.gpu.gateway_access) does.
  - A tunnel of the same gateway that is not in O(tunnels) is closed.
options:
  gateway:
    description: Name of the gateway, unique on the host. Letters, digits, C(-) and C(_).
    type: str
    required: true
  state:
    description:
      - V(present) makes sure that there is a key pair, and just the O(tunnels) of this gateway.
      - V(absent) makes sure that it has no tunnel and no key pair.
    type: str
    choices: [present, absent]
    default: present
  home:
    description: Folder of this collection on the host.
    type: path
    default: ~/.inferops
  tunnels:
    description:
      - The servers to reach. Without it only the key pair is made, and tunnels stay as they are.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the server. Letters, digits, C(.), C(-) and C(_).
        type: str
        required: true
      host:
        description: Name or address at which SSH reaches it.
        type: str
        required: true
      port:
        description: Port of SSH there.
        type: int
        default: 22
      user:
        description: User to log in as.
        type: str
        required: true
      host_keys:
        description: Public keys, each of type and body. The host has to show one of them.
        type: list
        elements: str
        required: true
      remote_port:
        description: Port on its loopback.
        type: int
        required: true
  wait_seconds:
    description:
      - How long the tunnels may take to open. One that has not opened by then goes on being tried,
        and the result says so.
    type: float
    default: 30
  supervisor:
    description: What keeps the tunnels open, as for M(inferops.gpu.model_server).
    type: str
    choices: [auto, systemd, systemd_user, supervisord]
    default: auto
  supervisord_bin_dir:
    description: Folder that holds the C(supervisord) executable. Needed where systemd is not used.
    type: path
  start_at_boot:
    description: Open the tunnels again when the gateway comes back from a restart. Needs systemd.
    type: bool
    default: false
  stop_timeout_seconds:
    description: How long a tunnel may take to end after SIGTERM, before SIGKILL.
    type: int
    default: 10
extends_documentation_fragment:
  - inferops.gpu.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows where tunnels lead.
  platform:
    platforms: linux
seealso:
  - module: inferops.gpu.gateway_access
  - module: inferops.gpu.proxy
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Make the key pair of the gateway
  inferops.gpu.gateway_tunnels:
    gateway: main
  register: made

- name: Keep the way to a server open
  inferops.gpu.gateway_tunnels:
    gateway: main
    tunnels:
      - name: gpu-1
        host: 203.0.113.7
        port: 33526
        user: root
        host_keys:
          - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPq3cHdSGQ0pYpbxrcQHmH0Qf1sG6VYvbtQ1xJ7ot0Aa
        remote_port: 8000

- name: Close all of them
  inferops.gpu.gateway_tunnels:
    gateway: main
    state: absent
"""

RETURN = r"""
public_key:
  description:
    - Type and body of the public key that the gateway logs in with, null where check mode finds
      none yet.
  returned: with O(state=present)
  type: str
  sample: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPq3cHdSGQ0pYpbxrcQHmH0Qf1sG6VYvbtQ1xJ7ot0Aa
tunnels:
  description:
    - The tunnels of this gateway as they are now, by name. In check mode those that are asked for.
  returned: with O(state=present)
  type: list
  elements: dict
  contains:
    name:
      description: Name of the server.
      type: str
      sample: gpu-1
    socket:
      description: The Unix socket on the gateway that leads there.
      type: str
      sample: /home/user/.inferops/tunnels/main-gpu-1-1f0c9a52/way.sock
    phase:
      description:
        - V(running) for one that is open, else V(starting), V(stopped), V(error) or V(unknown).
      type: str
      sample: running
    reason:
      description: What ssh said last, of one that is not open. Null of one that is.
      type: str
      sample: null
needs_supervisord:
  description: Whether supervisord keeps the tunnels open here, and has to be installed before.
  returned: with O(state=present)
  type: bool
  sample: false
done:
  description: What was done with each tunnel, or would be in check mode, in words.
  returned: always
  type: list
  elements: str
  sample: [gpu-1 opened, gpu-2 closed]
"""

import shutil
import time
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.common.redaction import redact
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine.files import own_home
from ansible_collections.inferops.gpu.plugins.module_utils.host.service import lifecycle
from ansible_collections.inferops.gpu.plugins.module_utils.host.service.layout import NAME
from ansible_collections.inferops.gpu.plugins.module_utils.host.service.logs import Log
from ansible_collections.inferops.gpu.plugins.module_utils.host.service.observation import (
    Seen,
    look,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.service.supervisors import (
    choice,
    supervisord,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.service.supervisors import (
    supervisor as supervisors,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.service.tending import Tending
from ansible_collections.inferops.gpu.plugins.module_utils.host.tunnel import identity
from ansible_collections.inferops.gpu.plugins.module_utils.host.tunnel.tunnel import (
    Spec,
    Tunnel,
    tunnel_of,
    tunnels,
)

POLL_SECONDS = 0.3
LOG_MAX_MIB = 1
RESTART_SECONDS = 4.0
"""Longer than a supervisor and our launcher pause together before a start."""


class Run:
    """One call of the module."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params: dict[str, Any] = module.params
        self.home = own_home(module)
        self.identity = identity.file_of(self.home, self.params["gateway"])
        self.asked: list[dict[str, Any]] = self.params["tunnels"] or []
        names = [each["name"] for each in self.asked]
        if not NAME.fullmatch(self.params["gateway"]):
            self.fail(f"{self.params['gateway']!r} may hold only letters, digits, - and _.")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            self.fail(f"tunnels: {', '.join(twice)} is there twice.")
        self.before = self.shown()

    def fail(self, message: str, **result: Any) -> NoReturn:
        self.module.fail_json(msg=redact(message), **result)

    def present(self) -> NoReturn:
        is_new = identity.public_key(self.identity) is None
        public = None if self.module.check_mode and is_new else identity.make(self.identity)
        done = [] if self.params["tunnels"] is None else self.keep()
        asked = [One(self, each["name"]) for each in self.asked]
        self.exit(
            bool(done) or is_new,
            done,
            public_key=public,
            tunnels=[one.told() for one in (asked if self.module.check_mode else self.own())],
            needs_supervisord=self.supervisor().name == supervisord.Supervisord.name,
        )

    def supervisor(self) -> supervisors.Supervisor:
        """What keeps tunnels open here."""
        return One(self, "").choose_supervisor()

    def keep(self) -> list[str]:
        """Have just the tunnels that are asked for, and wait for them. Returns what was done."""
        wanted = {each["name"]: each for each in self.asked}
        done = [one.close() for one in [*self.own(), *self.nobodys()] if one.name not in wanted]
        done += [One(self, name).keep(each) for name, each in wanted.items()]
        self.wait()
        return [word for word in done if word]

    def wait(self) -> None:
        """Until all are open, or as long as they may take."""
        deadline = time.monotonic() + self.params["wait_seconds"]
        while not self.module.check_mode and time.monotonic() < deadline:
            if all(one.look().phase == "running" for one in self.own()):
                return
            time.sleep(POLL_SECONDS)

    def absent(self) -> NoReturn:
        every = [*self.own(), *self.nobodys()]
        done = [word for word in (one.close() for one in every) if word]
        has_key = self.identity.exists()
        if has_key and not self.module.check_mode:
            shutil.rmtree(self.identity.parent)
        self.exit(bool(done) or has_key, done)

    def exit(self, changed: bool, done: list[str], **result: Any) -> NoReturn:
        if changed and self.module._diff:
            after = self.wished() if self.module.check_mode else self.shown()
            result["diff"] = {"before": self.before, "after": after}
        self.module.exit_json(changed=changed, done=done, **result)

    def own(self) -> list[One]:
        """The tunnels of this gateway, of which nothing else says whose they are."""
        specs = (each.spec() for each in tunnels(self.home))
        found = [spec.server for spec in specs if spec and spec.gateway == self.params["gateway"]]
        return [One(self, server) for server in sorted(found)]

    def nobodys(self) -> list[One]:
        """Tunnels that nobody knows anything of any more, which would be kept open for ever."""
        lost = (each for each in tunnels(self.home) if each.spec() is None)
        return [One(self, each.name, each) for each in lost]

    def shown(self) -> dict[str, str]:
        """Where each leads to, for the eye."""
        return {one.name: _leads(one.service.spec()) for one in self.own()}

    def wished(self) -> dict[str, str]:
        """The same as it would be."""
        if self.params["tunnels"] is None:
            return self.before
        return {each["name"]: f"{each['host']} port {each['remote_port']}" for each in self.asked}


class One(Tending):
    """One tunnel of the call."""

    what, busy = "Tunnel", "changed"

    def __init__(self, run: Run, name: str, tunnel: Tunnel | None = None) -> None:
        self.run, self.module, self.params = run, run.module, run.params
        self.name = name
        self.service: Tunnel = tunnel or tunnel_of(run.home, self.params["gateway"], name)

    def fail(self, message: str, **result: Any) -> NoReturn:
        self.run.fail(message, **result)

    def look(self) -> Seen:
        return look(self.service, keep=not self.module.check_mode)

    def told(self) -> dict[str, Any]:
        """It as it is now, for the result."""
        seen, log = self.look(), Log(self.service.log)
        # What ssh said is in the log of the try before, once there is another.
        said = _last_line(log.tail()) or _last_line(Log(log.older).tail()) or seen.reason
        return {
            "name": self.name,
            "socket": str(self.service.socket),
            "phase": seen.phase,
            "reason": None if seen.phase == "running" else redact(said or "") or None,
        }

    def keep(self, asked: dict[str, Any]) -> str | None:
        """Have it open as asked. Returns what was done."""
        supervisor = self.choose_supervisor()
        with self.alone():
            spec = self.spec(asked, supervisor.name)
            done = None
            if self.service.spec() != spec or not self.is_kept():
                done = f"{self.name} opened"
                if not self.module.check_mode:
                    self.end()
                    lifecycle.start(self.service, spec, supervisor)
            if self.set_start_at_boot(supervisor) and not done:
                done = f"{self.name} told about starts of this host"
        return done

    def is_kept(self) -> bool:
        """Whether somebody starts it again. Its supervisor takes a moment between two starts."""
        deadline = time.monotonic() + RESTART_SECONDS
        while not self.look().supervised:
            if time.monotonic() >= deadline or not choice.is_installed(self.service):
                return False
            time.sleep(POLL_SECONDS)
        return True

    def close(self) -> str | None:
        """Have nothing of it. Returns what was done."""
        if not self.service.folder.exists() and not lifecycle.is_present(self.service):
            return None
        if not self.module.check_mode:
            with self.alone():
                self.end()
                shutil.rmtree(self.service.folder, ignore_errors=True)
        return f"{self.name} closed"

    def end(self) -> None:
        left = lifecycle.end(self.service, self.params["stop_timeout_seconds"]).left
        if left:
            self.fail(
                f"Processes of tunnel {self.name!r} are left: they survived SIGKILL or belong to "
                "another user. Try with become.",
                processes_left=[process.describe() for process in left],
            )

    def spec(self, asked: dict[str, Any], supervisor: str) -> Spec:
        """What is asked for; fails on what could never be."""
        try:
            return Spec(
                name=self.service.name,
                supervisor=supervisor,
                stop_timeout_seconds=self.params["stop_timeout_seconds"],
                log_max_mib=LOG_MAX_MIB,
                environment={},
                gateway=self.params["gateway"],
                server=self.name,
                executable=identity.tool("ssh"),
                identity_file=str(self.run.identity),
                **{key: value for key, value in asked.items() if key != "name"},
            )
        except ValueError as error:
            self.fail(f"The tunnel to {self.name!r} cannot be made as asked: {error}.")


def _leads(spec: Spec) -> str:
    return f"{spec.host} port {spec.remote_port}"


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "gateway": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "home": {"type": "path", "default": "~/.inferops"},
            "tunnels": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "name": {"type": "str", "required": True},
                    "host": {"type": "str", "required": True},
                    "port": {"type": "int", "default": 22},
                    "user": {"type": "str", "required": True},
                    "host_keys": {
                        "type": "list",
                        "elements": "str",
                        "required": True,
                        "no_log": False,
                    },
                    "remote_port": {"type": "int", "required": True},
                },
            },
            "wait_seconds": {"type": "float", "default": 30.0},
            "supervisor": {"type": "str", "choices": ["auto", *choice.NAMES], "default": "auto"},
            "supervisord_bin_dir": {"type": "path"},
            "start_at_boot": {"type": "bool", "default": False},
            "stop_timeout_seconds": {"type": "int", "default": 10},
        },
        supports_check_mode=True,
    )
    run = Run(module)
    try:
        if module.params["state"] == "present":
            run.present()
        run.absent()
    except (identity.Unable, supervisors.SupervisorError, OSError) as error:
        run.fail(str(error))


if __name__ == "__main__":
    main()
