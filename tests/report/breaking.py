# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages that are broken on purpose, each so that one check of the drill must notice.

What is broken is the page's own file, so that the policy names the broken one, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from unittest.mock import patch

from ansible_collections.inferops.gpu.plugins.plugin_utils.fleet_page import page

#: The policy, as it stands in the page: without it a browser does what a page asks for.
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
HTML = "html"


class Breakage(NamedTuple):
    """`file` is one of the page's own, or `html` for what is made of them."""

    name: str
    check: str
    file: str
    text: str
    replacement: str
    hostile: bool = False
    without_policy: bool = False
    width: int = 1440
    scheme: str = "light"


BREAKAGES = (
    Breakage("script fails", "console", "page.js", '"use strict";', '"use strict"; nowhere();'),
    Breakage(
        "page loads a picture",
        "network",
        HTML,
        "<header>",
        '<header><img src="http://127.0.0.1:9/x.png" alt="">',
        without_policy=True,
    ),
    Breakage("policy refuses it", "console", HTML, "<header>", "<header><script>1</script>"),
    Breakage(
        "what hosts write is markup",
        "planted",
        HTML,
        "&lt;",
        "<",
        hostile=True,
        without_policy=True,
    ),
    Breakage(
        "host is hidden",
        "hosts",
        "page.css",
        ".quiet {",
        '[data-host="spare-1"] { display: none; }\n.quiet {',
    ),
    Breakage("plots are empty", "plots", "page.js", "return new uPlot(options, data, place);", ""),
    Breakage(
        "bars are not drawn",
        "plots",
        "page.js",
        'fill: colour("--one"),\n            stroke: colour("--one"),',
        'fill: "transparent", stroke: "transparent",',
    ),
    Breakage(
        "names below bars are cut",
        "layout",
        "page.js",
        "size: Math.ceil(longest) + 20,",
        "size: 40,",
    ),
    Breakage("sorting does nothing", "sorting", "page.js", "body.append(...rows.sort(", "void (("),
    Breakage(
        "sorting does nothing on a phone",
        "sorting",
        "page.js",
        'sort.addEventListener("change"',
        'sort.addEventListener("nothing"',
        width=390,
    ),
    Breakage("filter shows all", "filter", "page.js", "row.hidden = !(", "row.hidden = !(true || "),
    Breakage(
        "texts overlap", "layout", "page.css", ".quiet {", ".why { margin-top: -1rem; }\n.quiet {"
    ),
    Breakage(
        "text is cut",
        "layout",
        "page.css",
        ".quiet {",
        ".why { height: 1rem; overflow: hidden; }\n.quiet {",
    ),
    Breakage(
        "page is wider than a phone",
        "layout",
        "page.css",
        ".quiet {",
        ".tiles { min-width: 500px; }\n.quiet {",
        width=390,
    ),
    Breakage(
        "text is dark on dark",
        "colours",
        "page.css",
        "--ink: #e6eaee",
        "--ink: #2a3138",
        scheme="dark",
    ),
    Breakage(
        "page stays light",
        "colours",
        "page.css",
        "@media (prefers-color-scheme: dark)",
        "@media (prefers-color-scheme: none)",
        scheme="dark",
    ),
)


@contextmanager
def broken(breakage: Breakage) -> Iterator[None]:
    """Pages that are made in the block are broken so. Raises ValueError without its text."""
    whole, file = page.fleet_page, page._file

    def broken_file(name: str) -> str:
        text = file(name)
        return _replaced(breakage, text) if name == breakage.file else text

    with patch.object(page, "_file", broken_file):
        if breakage.file != HTML:
            yield
            return

        def broken_page(*given: object) -> str:
            text = whole(*given)  # type: ignore[arg-type]
            return _replaced(breakage, POLICY.sub("", text) if breakage.without_policy else text)

        with patch.object(page, "fleet_page", broken_page):
            yield


def _replaced(breakage: Breakage, text: str) -> str:
    if breakage.text not in text:
        raise ValueError(f"{breakage.name}: {breakage.text!r} is not in {breakage.file}")
    return text.replace(breakage.text, breakage.replacement)
