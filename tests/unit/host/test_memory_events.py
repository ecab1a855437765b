# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's counters are found under both versions of control groups, in containers too."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import memory_events


def kills(tmp_path: Path, membership: str, files: dict[str, str]) -> int | None:
    """What is counted where the process is a member of this group, and these files exist."""
    for name, text in {"proc/self/cgroup": membership, **files}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return memory_events.oom_kills(tmp_path / "cgroup", tmp_path / "proc")


@pytest.mark.parametrize(
    ("membership", "file", "text"),
    [
        ("0::/\n", "memory.events", "low 0\noom 2\noom_kill 3\noom_group_kill 0\n"),
        ("0::/a.service\n", "a.service/memory.events", "oom_kill 3\n"),
        # A container that sees its group's path on the machine, but only its own files.
        ("0::/machine/box\n", "memory.events", "oom_kill 3\n"),
        ("4:memory:/box\n0::/\n", "memory/memory.oom_control", "under_oom 0\noom_kill 3\n"),
        ("4:cpu,memory:/box\n", "memory/box/memory.oom_control", "oom_kill 3\n"),
    ],
)
def test_the_kills_are_read(tmp_path: Path, membership: str, file: str, text: str) -> None:
    assert kills(tmp_path, membership, {f"cgroup/{file}": text}) == 3


def test_own_group_and_the_root_of_a_container_both_count(tmp_path: Path) -> None:
    files = {"memory.events": "oom_kill 2\n", "a/memory.events": "oom_kill 1\n"}
    below = {f"cgroup/{name}": text for name, text in files.items()}
    assert kills(tmp_path, "0::/a\n", below) == 3


def test_where_nothing_counts_nothing_is_known(tmp_path: Path) -> None:
    assert kills(tmp_path, "0::/a\n1:cpu:/a\n", {}) is None
    assert memory_events.oom_kills(tmp_path, tmp_path / "none") is None
