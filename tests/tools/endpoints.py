# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes which endpoints of each marketplace the simulator answers, from its routes.

``python -m tests.tools.endpoints`` writes tests/simulator/ENDPOINTS.md.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.registry import (
    PROVIDERS,
)
from tests.simulator.app import routes_of
from tests.tools.tree import REPOSITORY

PAGE = REPOSITORY / "tests" / "simulator" / "ENDPOINTS.md"
HEAD = """\
# What the simulator answers

By marketplace (`--provider`). To any other path it says what the real one says to one that it does
not know. `make docs` writes this page from the routes; how they are proven
says the [README](README.md#what-other-peoples-clients-prove).
"""
_GROUP = re.compile(r"\((?:\?P<(?P<name>\w+)>)?[^()]*\)|\[\^/\]\+|\\d\+")


def endpoints(provider: str) -> Iterator[tuple[str, str, str]]:
    """Method, path and what it does, for each route of a provider."""
    routes = routes_of(provider)
    for method, pattern, *rest in routes.ROUTES:
        (handler,) = (one for one in rest if callable(one))
        path = _GROUP.sub(lambda found: f"{{{found['name'] or 'id'}}}", pattern).rstrip("?")
        told = (inspect.getdoc(handler) or "").split("\n\n")[0].replace("\n", " ")
        yield method, f"{getattr(routes, 'BASE', '')}{path}".replace("\\", ""), told


def page() -> str:
    """One table for each provider, in Markdown."""
    parts = [HEAD]
    for provider in sorted(PROVIDERS):
        rows = [f"| `{method} {path}` | {told} |" for method, path, told in endpoints(provider)]
        parts.append("\n".join([f"\n## {provider}\n", "| Endpoint | |", "|---|---|", *rows, ""]))
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
