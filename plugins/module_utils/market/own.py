# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts of the user's own, in the place of a marketplace: there before us, and there after us.

Nothing is rented, so there are no offers, no bills and no deadlines, and nothing is ever released.
How one logs in is the inventory's to say. What else holds for a host holds for these, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .errors import RequestRefused
from .mark import check_name
from .model import RUNNING, Rental

#: What stands for a marketplace in option ``provider``, and by which connection plugin of Ansible
#: its hosts are reached; None where the inventory says so.
OWN: dict[str, str | None] = {"local": "local", "ssh": None}


def is_own(provider: str) -> bool:
    """Whether hosts of this "provider" are the user's own."""
    return provider in OWN


def own_rental(provider: str, name: str) -> dict[str, Any]:
    """The host *name* in the shape of a rental, as modules return one. It bills nothing."""
    check_name(name)
    rental = Rental(
        provider=provider,
        id=name,
        seniority="",
        label="",
        mark=None,
        status=RUNNING,
        status_text="a host of your own",
        price_usd_per_hour=0.0,
        started_at=None,
        machine_id=None,
        gpu_name="",
        gpu_count=0,
        vram_gib=None,
        driver_version=None,
        download_mbit_per_second=None,
        # Nobody logs in by what stands here.
        ssh_user="root",
        ssh=(),
        ports={},
        console_url="",
    )
    return {**replace(rental, own=True).to_dict(), "connection": OWN[provider], "known_hosts": []}


def own_answer(given: Mapping[str, Any]) -> dict[str, Any]:
    """What module rental answers for a host of the user's own, in every state."""
    rental = own_rental(given["provider"], given["name"])
    answer: dict[str, Any] = {"changed": False, "rental": rental, "nonce": "", "duplicates": []}
    if given["state"] == "found":
        answer["as_asked"] = True
    if given["state"] == "absent":
        answer["released"] = []
    if given["state"] == "stopped":
        answer["cost_usd"] = 0.0
    deadline = {"at": 0, "hours": None, "remaining_seconds": None, "clock_offset_seconds": 0}
    return {**answer, "deadline": {**deadline, "enforced_by": "nobody"}}


def refuse_own(provider: str) -> None:
    """Raise RequestRefused for what only a marketplace can do."""
    if is_own(provider):
        raise RequestRefused(
            f"Provider {provider} stands for hosts of your own: there are no offers, no bills and "
            "no deadlines.",
            remedy="Leave them out, as with --limit, or name a marketplace (inferops_provider).",
            money="Nothing was rented.",
        )
