# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""End a service's tree and take away what it leaves in shared memory, in one step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Callable, NamedTuple

from ..machine import shared_memory
from ..machine.processes import Process, stop_tree


class Ended(NamedTuple):
    """What is still alive, and what was removed after the rest had gone."""

    left: list[Process]
    shared_memory_removed: list[str]


def sweep(
    find: Callable[[], Iterable[Process]],
    timeout_seconds: float,
    since: float | None,
    prefixes: tuple[str, ...] = (),
) -> Ended:
    """`since` is when the service was started: what is older in shared memory is not its own."""
    held = shared_memory.held_by(find())
    left = stop_tree(find, timeout_seconds)
    return Ended(left, [] if left else shared_memory.remove_left(held, since, prefixes))
