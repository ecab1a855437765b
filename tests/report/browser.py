# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real browser without a screen: Debian's Chromium, driven by the driver of the same package."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

#: What a page of a file may ask for.
OWN_SCHEMES = ("file:", "data:", "about:", "chrome:")
CHROMIUM, DRIVER = ("chromium", "chromium-browser"), ("chromedriver",)


class NoBrowser(Exception):
    """The text says what to install."""


def _program(names: tuple[str, ...], variable: str) -> str:
    for name in (os.environ.get(variable, ""), *names):
        if name and (found := shutil.which(name)):
            return found
    raise NoBrowser(
        f"There is no {names[0]} here: install Debian's chromium and chromium-driver, as make "
        f"report-drill does, or name another in the environment variable {variable}."
    )


class Browser:
    """One window. It forgets what was logged whenever it opens a page."""

    def __init__(self, driver: Chrome) -> None:
        self._driver = driver

    def open(self, page: Path, width: int, scheme: str, height: int = 900) -> None:
        """Show a file at this width in pixels, in the colours light or dark."""
        self._driver.get("about:blank")
        self._command(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        self._command("Emulation.setEmulatedMedia", {"features": media})
        for log in ("browser", "performance"):
            self._driver.get_log(log)
        self._driver.get(page.resolve().as_uri())

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script answers that is run beside those of the page, whatever its policy says."""
        expression = f"(function () {{ {script} }})(...{json.dumps(arguments)})"
        asked = {"expression": expression, "returnByValue": True}
        answer = self._command("Runtime.evaluate", asked)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"a script of the drill failed: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def console_errors(self) -> list[str]:
        """What the console has said since the page was opened, if it was no mere information."""
        entries = self._driver.get_log("browser")
        return [one["message"] for one in entries if one["level"] in ("SEVERE", "WARNING")]

    def requests(self) -> list[str]:
        """The addresses that were asked since the page was opened, but for files."""
        events = [json.loads(one["message"]) for one in self._driver.get_log("performance")]
        urls = [
            event["message"]["params"]["request"]["url"]
            for event in events
            if event["message"]["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in urls if not url.startswith(OWN_SCHEMES)]

    def picture(self, file: Path, whole: bool = True) -> None:
        """Keep what is shown as a PNG; of the whole page, or of the window alone."""
        given: dict[str, Any] = {"format": "png", "captureBeyondViewport": whole}
        if whole:
            size = self._command("Page.getLayoutMetrics", {})["cssContentSize"]
            sides = {"width": size["width"], "height": size["height"]}
            given["clip"] = {"x": 0, "y": 0, **sides, "scale": 1}
        answer = self._command("Page.captureScreenshot", given)
        file.write_bytes(base64.b64decode(answer["data"]))

    def _command(self, name: str, given: dict[str, Any]) -> Any:
        return self._driver.execute_cdp_cmd(name, given)


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser with a profile of its own, which ends with the block. Raises NoBrowser."""
    options = ChromeOptions()
    options.binary_location = _program(CHROMIUM, "CHROMIUM")
    for argument in ("--headless=new", "--disable-gpu", "--hide-scrollbars", "--no-first-run"):
        options.add_argument(argument)
    # It phones home for updates and the like, which is not the page's doing.
    for argument in (
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ):
        options.add_argument(argument)
    # Its memory for pages is small in containers; and its sandbox refuses to run for root.
    options.add_argument("--disable-dev-shm-usage")
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options=options, service=Service(_program(DRIVER, "CHROMEDRIVER")))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
