# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over a server: how a gateway reaches it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.inferops.gpu.plugins.module_utils.common import ssh_words

DOCUMENTATION = r"""
name: gateway_way
short_description: How a gateway reaches a server, and what it may send there
version_added: "0.1.0"
description:
  - Internal. Used by the roles and playbooks of this collection.
  - The host may belong to a stranger, and what it says goes to the gateway. So each word of it is
    checked here, where a bad one concerns this host alone.
positional: _input
options:
  _input:
    description:
      - C(name), C(engine), C(model), the name under which clients ask for it, and C(fallback), as
        the variables have them; C(proxy), the proxy before the server, as M(inferops.gpu.proxy)
        returns it; C(ssh), with C(host), C(port), C(user) and C(host_keys); C(instead), with what
        of these is another for the gateway; and C(here), whether a gateway is on the same host,
        which needs no tunnel to it.
    type: dict
    required: true
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Remember the way to the server
  ansible.builtin.set_fact:
    gateway_way: "{{ gateway_known | inferops.gpu.gateway_way }}"
"""

RETURN = r"""
_value:
  description:
    - C(name), C(model) and C(fallback); C(tunnel), as M(inferops.gpu.gateway_tunnels) takes it; and
      C(server), as M(inferops.gpu.proxy) takes it but for its place.
  type: dict
  sample:
    name: gpu-1
    model: Qwen/Qwen3-8B
    fallback: false
    tunnel:
      name: gpu-1
      host: 203.0.113.7
      port: 33526
      user: root
      host_keys:
        - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPq3cHdSGQ0pYpbxrcQHmH0Qf1sG6VYvbtQ1xJ7ot0Aa
      remote_port: 8000
    server:
      name: gpu-1
      engine: vllm
      fallback: false
      max_connections: 256
"""

#: More than any server takes at once. HAProxy keeps memory for each.
_MOST_CONNECTIONS = 4096
_OVERRIDE = "set {} in inferops_gateway_ssh of this host"


def gateway_way(known: Mapping[str, Any]) -> dict[str, Any]:
    """See DOCUMENTATION."""
    name, proxy = known["name"], known["proxy"]
    ssh = {**known["ssh"], **_told(known["instead"])}
    try:
        port = _port(proxy["port"], "the proxy's port")
        connections = min(_whole(proxy["max_connections"]), _MOST_CONNECTIONS)
        reached = {} if known["here"] and not ssh["host_keys"] else _reached(ssh)
    except (KeyError, TypeError, ValueError) as error:
        raise AnsibleFilterError(
            f"No gateway can reach {name}: {error}. Mend this, or leave it out of gateway_servers."
        ) from None
    return {
        **{key: known[key] for key in ("name", "model", "fallback")},
        "tunnel": {"name": name, "remote_port": port, **reached},
        "server": {
            **{key: known[key] for key in ("name", "engine", "fallback")},
            "max_connections": connections,
        },
    }


def _told(instead: Mapping[str, Any]) -> dict[str, Any]:
    known = {"host", "port", "user", "host_keys"}
    odd = sorted(set(instead) - known)
    if odd:
        raise AnsibleFilterError(
            f"inferops_gateway_ssh has no {odd[0]!r}: there are {', '.join(sorted(known))}."
        )
    return {key: value for key, value in instead.items() if value}


def _reached(ssh: Mapping[str, Any]) -> dict[str, Any]:
    """Where it is and by which keys it is known. Raises ValueError."""
    if not ssh_words.is_host(ssh["host"]):
        raise ValueError(f"its address is none for SSH; {_OVERRIDE.format('host')}")
    if not ssh_words.is_user(ssh["user"]):
        raise ValueError(f"its user is none for SSH; {_OVERRIDE.format('user')}")
    keys = [key for key in ssh["host_keys"] if ssh_words.is_public_key(key)]
    if not keys:
        raise ValueError(
            f"none of its public keys is known, by which the gateway would know it; "
            f"{_OVERRIDE.format('host_keys')}"
        )
    return {
        "host": ssh["host"],
        "port": _port(ssh["port"], "the port of SSH"),
        "user": ssh["user"],
        "host_keys": keys,
    }


def _whole(value: Any) -> int:
    number = int(value)
    if isinstance(value, bool) or number < 1:
        raise ValueError("it takes no connections")
    return number


def _port(value: Any, what: str) -> int:
    number = int(value)
    if not 0 < number < 65536:
        raise ValueError(f"{what} is none")
    return number


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by name."""
        return {"gateway_way": gateway_way}
