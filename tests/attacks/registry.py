# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All attacks by name. Which there have to be says attacks.yml."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from tests.attacks.stage import Stage

Attack = Callable[[Stage], None]
ATTACKS: dict[str, Attack] = {}
LIST = Path(__file__).with_name("attacks.yml")


def attack(function: Attack) -> Attack:
    """An attack by the name of its function."""
    return add(function.__name__.replace("_", "-"), function)


def add(name: str, function: Attack) -> Attack:
    """An attack by this name."""
    if name in ATTACKS:
        raise ValueError(f"two attacks are called {name}")
    ATTACKS[name] = function
    return function


def each(prefix: str, cases: dict[str, Any]) -> Callable[[Callable[..., None]], Any]:
    """One attack for each case, which the function gets after the stage."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        for name, case in cases.items():
            add(f"{prefix}-{name}", partial(_with, function, case))
        return function

    return register


def _with(function: Callable[..., None], case: Any, stage: Stage) -> None:
    function(stage, case)


def listed() -> dict[str, str]:
    """The attacks that there have to be, each with what the attacker is after."""
    groups: dict[str, dict[str, str]] = yaml.safe_load(LIST.read_text())
    return {name: text for group in groups.values() for name, text in group.items()}
