# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page of a fleet: one file that asks nobody for anything, and runs no script but its own.

Three walls stand before what a host or a marketplace has written. Every value is escaped, data for
the script too. The policy lets a browser run the two scripts whose hashes it names, and load
nothing. And the script puts text into the page as text, never as markup.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from ansible_collections.inferops.gpu.plugins.plugin_utils.fleet_page.figures import (
    NOT_TOLD,
    figures,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.fleet_page.timeline import PHASES

_HERE = Path(__file__).resolve().parent
#: The columns, and by which figure of a row each can be sorted, if it can.
COLUMNS = (
    ("Host", "host"),
    ("Verdict", "urgency"),
    ("What to do next", ""),
    ("Server", ""),
    ("$ per hour", "rate"),
    ("$ so far", "spent"),
    ("$ per day", ""),
    ("Ends", "ends"),
    ("GPU", "busy"),
    ("Load", "tokens"),
)


def fleet_page(report: Mapping[str, Any], deploys: Mapping[str, Mapping[str, Any]]) -> str:
    """The page as HTML. The arguments are those of :func:`figures`."""
    shown = figures(report, deploys)
    uplot = f"/*\n{_file('uplot/LICENSE').strip()}\n*/\n{_file('uplot/uPlot.iife.min.js')}"
    styles = [f"{_file('uplot/uPlot.min.css')}\n{_file('page.css')}"]
    scripts = [uplot, _file("page.js")]
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(shown["at"]))
    return _template().render(
        shown,
        when=when,
        columns=COLUMNS,
        phases=PHASES,
        not_told=NOT_TOLD,
        policy=_policy(styles, scripts),
        data=htmlsafe_json_dumps(shown["plots"]),
        # Ours, word for word: what is escaped has another hash.
        styles=[Markup(one) for one in styles],
        scripts=[Markup(one) for one in scripts],
    )


def _template() -> Any:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2")


def _policy(styles: list[str], scripts: list[str]) -> str:
    """Whatever is not named is refused: other scripts, handlers in attributes, any address."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(map(_hash, scripts))}",
            f"style-src {' '.join(map(_hash, styles))}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _file(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
