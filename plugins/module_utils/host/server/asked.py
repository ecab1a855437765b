# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the last deploy asked of this host, so that the next one sees in one look that it is so.

Written when the server is started or found to run as asked, after everything before it was done.
It is believed only together with what is so now: see `differences`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..gpus.report import Report
from ..machine.files import read_json, write_json
from ..service.supervisors.choice import every
from .layout import Layout, Server
from .spec import Spec


def remember(
    server: Server, wishes: str, spec: Spec, lock_sha256: str | None, report: Report, at_boot: bool
) -> None:
    """Write down the digest of all wishes, and what they were fulfilled with."""
    write_json(
        server.asked,
        {
            "wishes": wishes,
            "spec_hash": spec.hash,
            "lock_sha256": lock_sha256,
            "gpus": _identities(report),
            "start_at_boot": at_boot,
        },
    )


def differences(
    server: Server,
    seen: dict[str, Any],
    wishes: str,
    lock_sha256: str | None,
    report: Report,
    at_boot: bool,
) -> list[str]:
    """What is not as these wishes want it, in words; *seen* is what `observe` says of it."""
    asked = read_json(server.asked)
    if not asked or asked.get("wishes") != wishes:
        return ["no deploy asked for just this before"]
    spec = server.spec()
    told = []
    if seen["phase"] != "running":
        told.append(f"the server is {seen['progress']}")
    if spec is None or not spec.hash == seen["spec_hash"] == asked.get("spec_hash"):
        told.append("the server was started with another specification")
    if lock_sha256 != asked.get("lock_sha256"):
        told.append("the stack has another lock")
    if _identities(report) != asked.get("gpus"):
        told.append("the host has other GPUs")
    if at_boot != asked.get("start_at_boot"):
        told.append("its start at boot was changed")
    return told


def has_other_lock(server: Server, lock_sha256: str | None) -> bool:
    """Whether the server is known to have been started with another lock than this one."""
    asked = read_json(server.asked) or {}
    return "lock_sha256" in asked and asked["lock_sha256"] != lock_sha256


def starts_at_boot(layout: Layout, server: Server) -> bool:
    """Whether any supervisor starts the server with the host."""
    return any(each.starts_at_boot(server) for each in every(layout))


def _identities(report: Report) -> Sequence[str]:
    return [str(gpu.uuid) for gpu in report.gpus]
