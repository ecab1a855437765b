# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open the ways by which Prometheus reads a host. The module of the same name documents it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from ansible.errors import AnsibleActionFail

from ansible_collections.inferops.gpu.plugins.module_utils.common.plain import plain_line
from ansible_collections.inferops.gpu.plugins.module_utils.common.private_files import write_private
from ansible_collections.inferops.gpu.plugins.module_utils.endpoint.tunnel import (
    Target,
    Tunnel,
    TunnelError,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import WorkerAction
from ansible_collections.inferops.gpu.plugins.plugin_utils.monitoring.scraping import ENGINE_JOB

ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "scope": {"type": "str", "required": True},
    "alias": {"type": "str", "required": True},
    "servers": {"type": "list", "elements": "dict", "default": []},
    "exporters": {"type": "dict", "default": {}},
    "keys_folder": {"type": "path", "required": True, "no_log": False},
    "client_key": {"type": "str", "no_log": True},
    "engine_key": {"type": "str", "no_log": True},
    "folder": {"type": "path", "default": "~/.ansible/inferops/tunnels"},
    "host": {"type": "str"},
    "port": {"type": "int"},
    "user": {"type": "str"},
    "private_key_file": {"type": "path", "no_log": False},
    "known_hosts_file": {"type": "path"},
    "ssh_arguments": {"type": "str", "default": ""},
}
_WAY = ("host", "port", "user", "private_key_file", "known_hosts_file", "ssh_arguments")
#: It becomes the name of a file, and of a job.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}")
#: A host may tell of as many servers as it likes, and each is a process of ours.
_MOST_SERVERS = 16


class Source(NamedTuple):
    """Something on a host that publishes figures; without a port it does so no more."""

    name: str
    job: str
    port: int | None
    key: str
    labels: dict[str, str]


class ActionModule(WorkerAction):
    """A tunnel and a key for each source."""

    argument_spec = ARGUMENTS
    # Of a stranger's host nothing is left to the user's settings of ssh.
    required_by: ClassVar[dict[str, tuple[str, ...]]] = {
        "known_hosts_file": ("host", "user", "private_key_file")
    }

    def work(self, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """The result that the documentation promises."""
        changed, targets = False, []
        try:
            for source in (*_servers(given), *_exporters(given)):
                differs, port = self._way(given, source)
                changed |= differs
                if port is not None:
                    targets.append(self._target(given, source, port))
        except (TunnelError, OSError) as error:
            raise AnsibleActionFail(str(error)) from error
        return {"changed": changed, "targets": targets}

    def _way(self, given: dict[str, Any], source: Source) -> tuple[bool, int | None]:
        """Whether its tunnel changes, and its local port."""
        dry = self._task.check_mode
        tunnel = Tunnel(given["folder"], f"{given['scope']}/{source.name}/{source.job}")
        if source.port is None:
            was_open = tunnel.is_open()
            if not dry:
                tunnel.close()
                (Path(given["keys_folder"]) / source.name).unlink(missing_ok=True)
            return was_open, None
        if not given["host"]:
            return False, source.port
        way = Target(**{name: given[name] for name in _WAY}, remote_port=source.port)
        before, port = tunnel.keep(way, dry_run=dry)
        return before is None or before != port, port

    def _target(self, given: dict[str, Any], source: Source, port: int) -> dict[str, Any]:
        key_file = Path(given["keys_folder"]) / source.name if source.key else None
        if key_file and not self._task.check_mode:
            write_private(key_file, source.key)
        known = {"scope": given["scope"], "host": given["alias"]}
        return {
            "name": source.name,
            "job": source.job,
            "address": f"127.0.0.1:{port}",
            "key_file": str(key_file) if key_file else None,
            "labels": {**known, **source.labels},
        }


def _servers(given: Mapping[str, Any]) -> Iterator[Source]:
    """The engines themselves: a proxy before one shows their figures to keys of their own alone."""
    for server in given["servers"][:_MOST_SERVERS]:
        spec = server.get("spec") or {}
        name, engine = str(server["name"]), plain_line(str(spec.get("engine") or ""), 40)
        key = given["engine_key" if spec.get("proxy_port") else "client_key"]
        stopped = server["phase"] == "stopped" or server.get("port") is None
        yield Source(
            _named(f"{given['name']}.{name}"),
            ENGINE_JOB,
            None if stopped else _port(server["port"], name),
            key or "" if spec.get("needs_key", True) else "",
            {"server": name, "engine": engine},
        )


def _exporters(given: Mapping[str, Any]) -> Iterator[Source]:
    for name, port in given["exporters"].items():
        yield Source(
            _named(f"{given['name']}.{name}.exporter"), str(name), _port(port, name), "", {}
        )


def _named(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise AnsibleActionFail(
            f"{name!r} cannot be the name of what is read: it has other letters than A-Z, a-z, "
            "0-9, '.', '_' and '-', or too many."
        )
    return name


def _port(told: Any, name: Any) -> int:
    try:
        port = int(told)
    except (TypeError, ValueError):
        port = 0
    if not 0 < port < 2**16:
        raise AnsibleActionFail(f"{told!r} is no port of {name}: it is a number from 1 to 65535.")
    return port
