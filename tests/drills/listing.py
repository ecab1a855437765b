# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills by a committed list: which are chosen, and how one is performed and told."""

from __future__ import annotations

import http.client
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from tests.rig.podman import PodmanError

AnyListed = TypeVar("AnyListed", bound=Any)


class Failed(Exception):
    """The drill has shown that something is not as it must be."""


#: What a drill may end with that is a verdict on it alone.
FAILURES = (
    Failed,
    PodmanError,
    OSError,
    ValueError,
    LookupError,
    http.client.HTTPException,
    subprocess.SubprocessError,
)


def require(condition: object, text: str) -> None:
    """Fail the drill with *text* unless the condition holds."""
    if not condition:
        raise Failed(text)


def wait(condition: Callable[[], Any], seconds: float, what: str, poll_seconds: float = 0.3) -> Any:
    """Wait until the condition gives something; fail the drill when it does not in time."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        got = condition()
        if got:
            return got
        time.sleep(poll_seconds)
    raise Failed(f"{what} did not happen within {seconds:.0f} s")


def chosen(listed: Sequence[AnyListed], names: str | None) -> list[AnyListed]:
    """Those of these comma-separated names, or all. Raises SystemExit."""
    if names is None:
        return list(listed)
    wanted = names.split(",")
    unknown = set(wanted) - {one.name for one in listed}
    if unknown:
        known = ", ".join(one.name for one in listed)
        raise SystemExit(f"no such drill: {', '.join(sorted(unknown))}. There are: {known}")
    return [one for one in listed if one.name in wanted]


def perform(title: str, drill: Callable[[], Iterator[str]], logs: Callable[[], str]) -> bool:
    """Run one drill and tell what it did; whether it passed."""
    began = time.monotonic()
    lines: list[str] = []
    try:
        for line in drill():
            lines.append(line)
        problem = ""
    except FAILURES as error:
        problem = f"{type(error).__name__}: {error}\n{logs()}"
    verdict = "FAILED" if problem else "passed"
    took = f"{time.monotonic() - began:.0f} s"
    lines.append(problem)
    told = "".join(f"\n    {line}" for line in lines if line)
    print(f"{title}: {verdict}, {took}{told}", flush=True)
    return not problem
