# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes into docs/providers.md what each marketplace can do, from the code."""

from __future__ import annotations

import re

from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.provider import Provider
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.registry import (
    PROVIDERS,
)
from tests.tools.tree import REPOSITORY

PAGE = REPOSITORY / "docs" / "providers.md"
#: What people call a capability of the contract.
CAPABILITIES = {
    "tells_machines": "tells machines apart, so that one that failed is shunned",
    "delivers_host_key": "a host's key is known before the first contact",
    "attaches_keys": "a key can be let in after the rental request",
    "can_change_mark": "a deadline can move (`extend`)",
    "can_stop": "a rental can stand still, and its disk alone bills (`stop`)",
    "keeps_second_mark": "a rental whose label was written over is still known",
    "tells_charges": "what it charged is a second view of what is rented",
    "tells_bill": "what was billed is compared with what was expected",
    "tells_log": "the log of a host that let nobody in is evidence",
    "tells_account": "credit and rights are checked before renting",
    "takes_registry_login": "images that want a login",
}
_PLACE = re.compile(
    r"(<!-- BEGIN capabilities: .*? -->\n).*?(<!-- END capabilities -->)", re.DOTALL
)


def table() -> str:
    """One column for each provider, in Markdown."""
    kinds = [PROVIDERS[name] for name in sorted(PROVIDERS)]
    rows = [
        ["", *(f"`{kind.name}`" for kind in kinds)],
        ["---"] * (len(kinds) + 1),
        ["logs in with", *(variables(kind) for kind in kinds)],
        ["logs in as", *(kind.ssh_user for kind in kinds)],
        ["ends a rental past its deadline", *(kind.enforces_deadline for kind in kinds)],
        ["images with vLLM", *(" ".join(kind.engine_images) or "no" for kind in kinds)],
    ]
    for name, said in CAPABILITIES.items():
        rows.append([said, *("yes" if getattr(kind, name) else "no" for kind in kinds)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def variables(kind: type[Provider]) -> str:
    """The variables of the environment that its credentials are read from."""
    return ", ".join(f"`{name}`" for one in kind.credentials for name in one.environment)


def written(text: str) -> str:
    """The page with the table of today."""
    return _PLACE.sub(lambda found: f"{found[1]}{table()}{found[2]}", text)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
