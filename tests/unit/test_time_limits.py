# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A limit of the user's for every task (`task_timeout`) fails no play that goes on without one.

A task that is late has failed whatever its `failed_when` says, which only answers are held against.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.tools.tree import REPOSITORY

FILES = sorted({*REPOSITORY.glob("roles/*/tasks/*.yml"), *REPOSITORY.glob("playbooks/**/*.yml")})


def may_fail(node: Any, rescued: bool = False) -> Iterator[dict[str, Any]]:
    """Every task that its play goes on without, but that a limit of time ends."""
    if isinstance(node, list):
        for one in node:
            yield from may_fail(one, rescued)
    elif isinstance(node, dict):
        is_bound = node.get("timeout") != 0 and node.get("ignore_errors") is not True
        if node.get("failed_when") is False and is_bound and not rescued:
            yield node
        yield from may_fail(node.get("block"), rescued or "rescue" in node)
        for part in ("rescue", "always", "pre_tasks", "tasks", "post_tasks", "handlers"):
            yield from may_fail(node.get(part), rescued)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(REPOSITORY)))
def test_what_a_play_goes_on_without_may_also_be_late(file: Path) -> None:
    assert [task["name"] for task in may_fail(yaml.safe_load(file.read_text()))] == []


#: What asks a marketplace, which takes as long as that takes, or keeps what a rental was like.
ABOUT_RENTALS = {
    f"inferops.gpu.{module}"
    for module in (
        "rental_attempt",
        *yaml.safe_load((REPOSITORY / "meta/runtime.yml").read_text())["action_groups"]["market"],
    )
}


def about_rentals(node: Any) -> Iterator[dict[str, Any]]:
    """Every task that is about rentals."""
    if isinstance(node, dict) and ABOUT_RENTALS & {*node}:
        yield node
    for one in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from about_rentals(one)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(REPOSITORY)))
def test_no_limit_of_the_users_comes_between_a_rental_and_what_is_told_of_it(file: Path) -> None:
    tasks = about_rentals(yaml.safe_load(file.read_text()))
    assert [task["name"] for task in tasks if task.get("timeout") != 0] == []
