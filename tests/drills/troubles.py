# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong around a crash: while something is rented, or before the next step is taken.

Each gets some crash points of its own, at which something is rented.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.drills.stage import LABEL

ALWAYS = 1000
#: A limit for every task, and how long an answer takes that outlasts it; in real seconds. In those
#: of the market that would be too long for the proof of a release.
TASK_SECONDS, SLOW_SECONDS = 12, 15.0


@dataclass(frozen=True)
class Trouble:
    """One of them.

    ``renting`` are faults of the market from the beginning, ``stepping`` those of the next step,
    which a ``fresh`` controller takes where that is said. Before it, containers are made anew where
    they are ``recreated``. ``settings`` are environment variables of every controller, and answers
    to rental requests take ``slow_seconds``.
    """

    name: str
    renting: tuple[dict[str, Any], ...] = ()
    stepping: tuple[dict[str, Any], ...] = ()
    fresh: bool = False
    recreated: bool = False
    settings: dict[str, str] = field(default_factory=dict)
    slow_seconds: float = 0.0

    def __str__(self) -> str:
        return self.name


def relabelled(label: str) -> dict[str, Any]:
    """Somebody writes this label as soon as a rental runs, while its play still waits for it."""
    return {"kind": "relabels", "label": label, "after_seconds": 0.0, "times": ALWAYS}


def shown_as(status: str) -> dict[str, Any]:
    """Three lists show the rentals of the drill with another status than they have."""
    return {"kind": "row_is", "on": "list", "of": LABEL, "shows": status, "times": 3}


TROUBLES = (
    Trouble("a word in the label", renting=(relabelled("{label} keep"),)),
    Trouble("another label", renting=(relabelled("our demo"),)),
    Trouble(
        "an empty folder and lists that are behind",
        stepping=({"kind": "list_without", "label": "", "times": 4},),
        fresh=True,
    ),
    Trouble("a list that shows it as exited", stepping=(shown_as("exited"),)),
    Trouble("a container that was made anew", recreated=True),
    Trouble(
        "a limit for every task",
        settings={"ANSIBLE_TASK_TIMEOUT": str(TASK_SECONDS)},
        slow_seconds=SLOW_SECONDS,
    ),
)
