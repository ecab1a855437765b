# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open the way to a server and prove it, or close it. The module of the same name documents it."""

from __future__ import annotations

import json
from shlex import quote
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail

from ansible_collections.inferops.gpu.plugins.module_utils.common.plain import plain_line
from ansible_collections.inferops.gpu.plugins.module_utils.endpoint.completion import (
    NoCompletion,
    Proven,
    prove,
)
from ansible_collections.inferops.gpu.plugins.module_utils.endpoint.doors import (
    NotTold,
    open_doors,
)
from ansible_collections.inferops.gpu.plugins.module_utils.endpoint.tunnel import (
    Target,
    Tunnel,
    TunnelError,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils import screen
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import WorkerAction

ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "folder": {"type": "path", "default": "~/.ansible/inferops/tunnels"},
    "host": {"type": "str"},
    "port": {"type": "int"},
    "user": {"type": "str"},
    "private_key_file": {"type": "path", "no_log": False},
    "known_hosts_file": {"type": "path"},
    "ssh_arguments": {"type": "str", "default": ""},
    "remote_port": {"type": "int"},
    "local_port": {"type": "int", "default": 0},
    "model": {"type": "str"},
    "prompt": {"type": "str", "default": "Hello"},
    "max_tokens": {"type": "int", "default": 16},
    "api_key": {"type": "str", "no_log": True},
    "closed": {"type": "bool", "default": False},
    "timeout_seconds": {"type": "float", "default": 60.0},
}
NEEDED = ("remote_port", "model")
TARGET = (
    "host",
    "port",
    "user",
    "private_key_file",
    "known_hosts_file",
    "remote_port",
    "ssh_arguments",
)


#: Of the open ones, so many are named.
_SHOWN_DOORS = 5


def try_it(url: str, proven: Proven, header_file: str | None) -> str:
    """A line for a shell that asks what the server was asked; the file has the key's header."""
    question = json.dumps(proven.question)
    key = f"-H {quote(f'@{header_file}')} " if header_file else ""
    header = "-H 'Content-Type: application/json'"
    route = proven.path.removeprefix("/v1")
    return f"curl {url}{route} {key}{header} -d {quote(question)}"


def _require_closed(port: int, api_key: str, timeout_seconds: float, way: str) -> None:
    """Raises AnsibleActionFail unless every route was seen to refuse who may not ask it."""
    try:
        found = open_doors(port, api_key, timeout_seconds)
    except NotTold as error:
        raise AnsibleActionFail(
            f"Whether every route {way} asks for a key could not be told ({error}). What was not "
            "seen to be closed counts as open: run it again, or see the proxy's log."
        ) from error
    if found:
        more = f" and {len(found) - _SHOWN_DOORS} more" if len(found) > _SHOWN_DOORS else ""
        raise AnsibleActionFail(
            f"Routes {way} are open that must not be: {', '.join(found[:_SHOWN_DOORS])}{more}. "
            "Something else answers there than the proxy of this deploy, or its settings were "
            "changed: see what listens on that port, and deploy again."
        )


class ActionModule(WorkerAction):
    """The tunnel, then the completion through it."""

    argument_spec = ARGUMENTS
    required_if = (("state", "present", NEEDED),)
    # Of a stranger's host nothing is left to the user's settings of ssh.
    required_by: ClassVar[dict[str, tuple[str, ...]]] = {
        "known_hosts_file": ("host", "user", "private_key_file")
    }

    def work(self, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """The result that the documentation promises."""
        tunnel = Tunnel(given["folder"], given["name"])
        act = self._present if given["state"] == "present" else self._absent
        try:
            return act(tunnel, given)
        except (TunnelError, OSError) as error:
            raise AnsibleActionFail(str(error)) from error

    def _absent(self, tunnel: Tunnel, given: dict[str, Any]) -> dict[str, Any]:
        was_open = tunnel.is_open()
        if not self._task.check_mode:
            tunnel.close()
        return {"changed": was_open, "local_port": None}

    def _present(self, tunnel: Tunnel, given: dict[str, Any]) -> dict[str, Any]:
        before = port = given["remote_port"]
        if given["host"]:
            target = Target(**{name: given[name] for name in TARGET})
            before, port = tunnel.keep(target, given["local_port"], self._task.check_mode)
        result = {"changed": before is None or before != port, "local_port": port}
        if self._task.check_mode or port is None:
            return result
        question = {
            "model": given["model"],
            "prompt": given["prompt"],
            "max_tokens": given["max_tokens"],
            "temperature": 0,
        }
        way = "through the tunnel" if given["host"] else f"on port {port}"
        try:
            proven = prove(port, question, given["api_key"] or "", given["timeout_seconds"])
        except NoCompletion as error:
            raise AnsibleActionFail(
                f"The server gave no completion {way} ({error}). Check "
                "inferops_served_model_name and inferops_server_api_key, then the server's log."
            ) from error
        if given["closed"]:
            _require_closed(port, given["api_key"] or "", given["timeout_seconds"], way)
        url = f"http://127.0.0.1:{port}/v1"
        header_file = tunnel.keep_key(given["api_key"] or "")
        command = plain_line(try_it(url, proven, header_file), 4000)
        # On a line of its own, as Ansible shows no result: without quotes around it, to be pasted.
        if not screen.is_taken():
            screen.show(command)
        return {
            **result,
            "url": url,
            "model": given["model"],
            "completion": proven.answer,
            "header_file": header_file,
            "command": command,
        }
