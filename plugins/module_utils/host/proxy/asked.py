# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the last deploy asked of a proxy, so that the next one sees in one look that it is so.

Written once the proxy runs as asked. It is believed only together with what is so now: the proxy
is asked for its settings and keys, and whether it turns strangers away.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from ..machine.files import read_json, write_json
from ..service.supervisors.choice import every
from . import configuration, lifecycle
from .proxy import Proxy
from .spec import Spec


def remember(proxy: Proxy, wishes: str, spec: Spec, secrets: lifecycle.Secrets) -> None:
    """Write down the digest of all wishes, and what they were fulfilled with."""
    write_json(
        proxy.asked,
        {
            "wishes": wishes,
            "identity": configuration.identity(spec),
            "keys_sha256": _digest(secrets),
            "start_at_boot": starts_at_boot(proxy),
        },
    )


def differences(
    proxy: Proxy, seen: dict[str, Any], wishes: str, server_port: int | None
) -> list[str]:
    """What is not as these wishes want it, in words; *seen* is what `observe` says of it, and
    *server_port* the port of the server that it has to lead to."""
    asked = read_json(proxy.asked)
    if not asked or asked.get("wishes") != wishes:
        return ["no deploy asked for just this proxy before"]
    spec = proxy.spec()
    if spec is None:
        return ["the specification of the proxy is missing or damaged"]
    if seen["phase"] != "running":
        return [f"the proxy is {seen['phase']}{': ' + seen['reason'] if seen['reason'] else ''}"]
    # It asks the process itself for its settings, and whether it asks for a key.
    answer = proxy.probe(spec, proxy.processes(), quick=True)
    if answer.waiting_for:
        return [f"the proxy: {answer.detail}"]
    told = []
    if not seen["supervised"]:
        told.append("nothing would start the proxy again")
    if configuration.identity(spec) != asked.get("identity") or not _is_written(proxy, spec):
        told.append("the settings of the proxy were changed")
    if not _has_keys(proxy, asked.get("keys_sha256")):
        told.append("the keys of the proxy were changed")
    if server_port not in [each.port for each in spec.engines]:
        told.append("the proxy leads to another port than that of the server")
    if starts_at_boot(proxy) != asked.get("start_at_boot"):
        told.append("the proxy's start at boot was changed")
    return told


def starts_at_boot(proxy: Proxy) -> bool:
    """Whether any supervisor starts the proxy with the host."""
    return any(each.starts_at_boot(proxy) for each in every(proxy.layout))


def _is_written(proxy: Proxy, spec: Spec) -> bool:
    """Whether a restart would find these settings."""
    return lifecycle.holds(proxy, configuration.render(spec))


def _has_keys(proxy: Proxy, digest: str | None) -> bool:
    """Whether files and process have the keys of this digest, and no others."""
    secrets = lifecycle.kept(proxy)
    return _digest(secrets) == digest and lifecycle.knows(proxy, secrets)


def _digest(secrets: lifecycle.Secrets) -> str:
    return hashlib.sha256(json.dumps(secrets.files, sort_keys=True).encode()).hexdigest()
