# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.report``: the page of status in a real browser.

``drill`` shows the page of a simulated fleet of 12 hosts in all states, as wide as a phone and as a
desk, in light and in dark, and holds it to every check; then one on which all that hosts and
markets write tries to run as a script; then pages that are broken on purpose, so that each check is
seen to notice. Its last line is ``RESULT {...}``.

``pictures`` writes those of the documents.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from ansible_collections.inferops.gpu.plugins.filter.fleet_status import fleet_status
from ansible_collections.inferops.gpu.plugins.plugin_utils.fleet_page import page
from ansible_collections.inferops.gpu.plugins.plugin_utils.fleet_page.deploys import deploy_reports
from ansible_collections.inferops.gpu.plugins.plugin_utils.fleet_page.figures import figures
from tests.report.breaking import BREAKAGES, Breakage, broken
from tests.report.browser import Browser, NoBrowser, browser
from tests.report.fleet import fleet, hostile, keep_deploys, names
from tests.report.looking import CHECKS, Expected, Seen, look
from tests.tools.tree import REPOSITORY

WIDTHS, SCHEMES = (390, 1440), ("light", "dark")
MOST_BYTES = 300_000
IMAGES = REPOSITORY / "docs" / "images"
_HIGHEST_FIRST = ("rate", "spent", "busy", "tokens")


class Made:
    """The page of a fleet in a file, and what a look at it has to find."""

    def __init__(self, told: dict[str, Any], folder: Path, name: str) -> None:
        folder.mkdir(exist_ok=True)
        keep_deploys(told, folder)
        report = fleet_status(told)["report"]
        deploys = deploy_reports(folder, report["hosts"])
        self.file = folder / f"{name}.html"
        self.file.write_text(page.fleet_page(report, deploys))
        self.rows = figures(report, deploys)["rows"]

    def expected(self, filters: dict[tuple[str, str], list[str]]) -> Expected:
        """What has to be shown, beside what these filters leave."""
        kinds = {
            ("show", "needs_you"): [row["host"] for row in self.rows if row["needs_you"]],
            ("show", "serves"): [row["host"] for row in self.rows if row["serves"]],
        }
        hosts = [row["host"] for row in self.rows]
        return Expected(hosts, self._orders(), {**kinds, **filters})

    def _orders(self) -> dict[str, list[str]]:
        """The hosts in each order, one after the other: what is equal stays as it was."""
        values = {
            "host": lambda row: row["host"],
            "rate": lambda row: row["rate"]["value"],
            "spent": lambda row: row["spent"]["value"],
            "ends": lambda row: row["ends_seconds"],
            "busy": lambda row: row["busy_percent"],
            "tokens": lambda row: row["tokens_per_second"],
        }
        rows, orders = list(self.rows), {}
        for key, value in values.items():
            told = [row for row in rows if value(row) is not None]
            untold = [row for row in rows if value(row) is None]
            rows = sorted(told, key=value, reverse=key in _HIGHEST_FIRST) + untold
            orders[key] = [row["host"] for row in rows]
        return {**orders, "urgency": [row["host"] for row in self.rows]}


#: What the search field leaves of the fleet: by a verdict, a GPU, and nothing at all.
FILTERS = {
    ("find", "crashed"): ["qwen-1"],
    ("find", "A100 27010875"): ["qwen-2"],
    ("find", "no such host"): [],
}


def drill(window: Browser, folder: Path) -> dict[str, int]:
    """Everything; the figures of the RESULT line."""
    usual = Made(fleet(), folder / "usual", "status")
    failed, errors, plots = 0, 0, 0
    hosts = [row["host"] for row in usual.rows]
    size = usual.file.stat().st_size
    if sorted(hosts) != sorted(names()) or size > MOST_BYTES:
        print(f"FAILED  the page has {len(hosts)} hosts and {size} bytes")
        failed += 1
    for width in WIDTHS:
        for scheme in SCHEMES:
            seen = look(window, usual.file, width, scheme, usual.expected(FILTERS))
            failed += _say(f"{width} pixels, {scheme}", seen)
            errors += seen.console_errors
            plots = seen.plots if not plots else min(plots, seen.plots)
    planted = Made(hostile(), folder / "hostile", "status")
    for width in WIDTHS:
        seen = look(window, planted.file, width, "light", planted.expected({}))
        failed += _say(f"{width} pixels, planted by hosts and markets", seen)
        errors += seen.console_errors
    failed += sum(not _notices(window, folder, one) for one in BREAKAGES)
    never = set(CHECKS) - {one.check for one in BREAKAGES}
    if never:
        print(f"FAILED  nothing shows that a check can fail: {', '.join(sorted(never))}")
        failed += 1
    print(f"The page has {size} bytes.")
    return {"hosts": len(hosts), "console_errors": errors, "plots": plots, "failed": failed}


def _say(what: str, seen: Seen) -> int:
    for check, told in seen.wrong:
        print(f"FAILED  {what}: {check}: {told}")
    if not seen.wrong:
        print(f"ok      {what}: {seen.plots} plots")
    return len(seen.wrong)


def _notices(window: Browser, folder: Path, breakage: Breakage) -> bool:
    """Whether the check that has to notice does."""
    told = hostile() if breakage.hostile else fleet()
    with broken(breakage):
        made = Made(told, folder / "broken", "status")
    filters = {} if breakage.hostile else FILTERS
    seen = look(window, made.file, breakage.width, breakage.scheme, made.expected(filters))
    noticed = breakage.check in {check for check, _told in seen.wrong}
    word = "ok     " if noticed else "FAILED "
    print(f"{word} broken on purpose, {breakage.name}: {breakage.check} notices: {noticed}")
    return noticed


#: The pictures of the documents: name, width and height in pixels, colours.
PICTURES = (
    ("status-desktop-light", 1440, 900, "light"),
    ("status-phone-dark", 390, 844, "dark"),
)


def pictures(window: Browser, folder: Path, images: Path, whole: bool) -> None:
    """Write the pictures into a folder."""
    images.mkdir(parents=True, exist_ok=True)
    made = Made(fleet(), folder / "usual", "status")
    for name, width, height, scheme in PICTURES:
        window.open(made.file, width, scheme, height)
        window.picture(images / f"{name}.png", whole)
        print(images / f"{name}.png")


def main() -> int:
    """The drill, or the pictures."""
    parser = argparse.ArgumentParser(description="The page of status in a real browser.")
    parser.add_argument("action", choices=["drill", "pictures"])
    parser.add_argument("--images", type=Path, default=IMAGES, help="where the pictures go")
    parser.add_argument("--whole", action="store_true", help="pictures of the whole page")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="inferops-report-") as scratch:
        try:
            with browser() as window:
                if given.action == "pictures":
                    pictures(window, Path(scratch), given.images, given.whole)
                    return 0
                result = drill(window, Path(scratch))
        except NoBrowser as error:
            print(error, file=sys.stderr)
            return 1
    print("RESULT", json.dumps(result))
    return 1 if result["failed"] or result["console_errors"] else 0


if __name__ == "__main__":
    sys.exit(main())
