# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a page, as a browser shows it: each complaint begins with its check's name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.report.browser import Browser

CHECKS = (
    "console",
    "network",
    "hosts",
    "layout",
    "colours",
    "plots",
    "sorting",
    "filter",
    "planted",
)
#: From here on the table is one; below, each host is a card and sorting is a choice.
TABLE_PIXELS = 1200
_LOOKING = Path(__file__).with_name("looking.js").read_text()

_ROWS = """
return [...document.querySelectorAll("#fleet tbody tr")]
  .filter((row) => row.getBoundingClientRect().height > 10)
  .map((row) => row.querySelector(".name").textContent);
"""
_CLICK = 'document.querySelector(`[data-sort="${arguments[0]}"]`).click();'
_CHOOSE = """
const field = document.getElementById(arguments[0]);
field.value = arguments[1];
field.dispatchEvent(new Event(field.tagName === "SELECT" ? "change" : "input"));
"""
_ASK = "return getComputedStyle(document.querySelector('.sort')).display !== 'none';"


class Expected(NamedTuple):
    """What the page has to show: its hosts, and those of them in each order and by each filter."""

    hosts: list[str]
    orders: dict[str, list[str]]
    filters: dict[tuple[str, str], list[str]]


class Seen(NamedTuple):
    """What was wrong, by its check, and how many plots there were."""

    wrong: list[tuple[str, str]]
    plots: int
    console_errors: int


def look(window: Browser, page: Path, width: int, scheme: str, expected: Expected) -> Seen:
    """Open a page and put it to every check."""
    window.open(page, width, scheme)
    answer = window.run(_LOOKING, width)
    wrong = [(check, told) for check, found in answer["wrong"].items() for told in found]
    for check, found in (
        ("hosts", _hosts(window, expected)),
        ("sorting", _sorting(window, width, expected)),
        ("filter", _filter(window, expected)),
        ("planted", _planted(window)),
    ):
        wrong += [(check, told) for told in found]
    errors = window.console_errors()
    wrong += [("console", told) for told in errors]
    wrong += [("network", f"it asked for {url}") for url in window.requests()]
    return Seen(wrong, answer["drawn"], len(errors))


def _hosts(window: Browser, expected: Expected) -> Iterator[str]:
    shown = window.run(_ROWS)
    if sorted(shown) != sorted(expected.hosts):
        yield f"it shows {sorted(shown)} instead of {sorted(expected.hosts)}"


def _sorting(window: Browser, width: int, expected: Expected) -> Iterator[str]:
    if window.run(_ASK) != (width < TABLE_PIXELS):
        yield f"the choice of an order is not where it should be at {width} pixels"
    for key, order in expected.orders.items():
        if width < TABLE_PIXELS:
            window.run(_CHOOSE, "sort", key)
        else:
            window.run(_CLICK, key)
        shown = window.run(_ROWS)
        if shown != order:
            yield f"by {key} it shows {shown} instead of {order}"


def _filter(window: Browser, expected: Expected) -> Iterator[str]:
    for (field, value), hosts in expected.filters.items():
        window.run(_CHOOSE, field, value)
        shown = window.run(_ROWS)
        count = window.run("return document.getElementById('count').textContent;")
        if sorted(shown) != sorted(hosts) or not count.startswith(f"{len(hosts)} of "):
            yield f"{field} {value!r} shows {shown} ({count}) instead of {hosts}"
        window.run(_CHOOSE, field, "")


def _planted(window: Browser) -> Iterator[str]:
    """Whoever has planted a script waits for the mouse and the keyboard, too."""
    window.run(
        "for (const node of document.querySelectorAll('body *'))"
        " for (const kind of ['mouseover', 'focus', 'load', 'error'])"
        " node.dispatchEvent(new Event(kind));"
    )
    ran = window.run("return window.planted;")
    if ran is not None:
        yield f"the script that a host has planted ran: {ran}"
    foreign = window.run(
        "return [...document.querySelectorAll('iframe, object, embed, img, base, form[action], a')]"
        ".map((node) => node.outerHTML.slice(0, 80));"
    )
    yield from (f"a host has put {one} into the page" for one in foreign)
