# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory of a stopped server counts as free only when it is back where it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.gpus.report import Gpu, Report
from ansible_collections.inferops.gpu.plugins.module_utils.host.server import vram


def report(*used: int | None) -> Report:
    found = [
        Gpu(index, "RTX 4090", f"GPU-{index}", "8.9", 24564, mib, None, None, [{"pid": 9}])
        for index, mib in enumerate(used)
    ]
    return Report(bool(found), None, "580", "13.0", found, "nvml")


@pytest.fixture
def verify(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Verify against these reports, one a second on a clock of its own."""

    def run(*reports: Report, others: tuple[str, ...] = (), name: str = "main") -> dict[str, Any]:
        seconds = [0.0]
        left = list(reports)
        return vram.verify(
            tmp_path / "baseline.json",
            name,
            list(others),
            lambda: left.pop(0) if len(left) > 1 else left[0],
            clock=lambda: seconds[0],
            sleep=lambda pause: seconds.__setitem__(0, seconds[0] + pause),
        )

    return run


@pytest.fixture
def remember(tmp_path: Path) -> Callable[..., None]:
    def run(found: Report, others: tuple[str, ...] = (), name: str = "main") -> None:
        vram.remember(tmp_path / "baseline.json", name, found, list(others))

    return run


def test_memory_that_comes_back_late_is_waited_for(verify: Any, remember: Any) -> None:
    remember(report(100, 200))
    result = verify(report(9000, 9000), report(100, 9000), report(110, 600))
    assert result["state"] == "at_baseline"
    assert [gpu["used_mib"] for gpu in result["gpus"]] == [110, 600]


def test_memory_that_stays_in_use_is_named_after_a_minute(verify: Any, remember: Any) -> None:
    remember(report(100, 100))
    result = verify(report(100, 9000))
    assert result["state"] == "above_baseline"
    assert result["gpus"][1]["processes"] == [{"pid": 9}]
    assert "processes" not in result["gpus"][0]


def test_memory_leaked_before_a_second_start_does_not_become_the_baseline(
    verify: Any, remember: Any
) -> None:
    remember(report(100))
    remember(report(9000))
    assert verify(report(9000))["state"] == "above_baseline"


def test_with_another_server_alive_the_reading_before_the_launch_counts(
    verify: Any, remember: Any
) -> None:
    remember(report(100), name="first")
    remember(report(8000), others=("first 7",), name="second")
    assert verify(report(8100), others=("first 7",), name="second")["state"] == "at_baseline"
    assert verify(report(16000), others=("first 7",), name="second")["state"] == "above_baseline"


def test_with_another_one_alive_than_before_the_launch_nothing_is_proven(
    verify: Any, remember: Any
) -> None:
    """What the newer one takes may be less than what this one leaks."""
    remember(report(20000), others=("first 7",), name="second")
    for others in (("first 9",), ("third 8",), ("first 9", "third 8")):
        assert verify(report(19000), others=others, name="second")["state"] == "no_baseline"


def test_a_newer_server_can_only_add_to_what_is_in_use(verify: Any, remember: Any) -> None:
    remember(report(100), name="first")
    others = ("second 7",)
    assert verify(report(110), others=others, name="first")["state"] == "at_baseline"
    assert verify(report(9000), others=others, name="first")["state"] == "no_baseline"


def test_what_a_stranger_held_at_the_first_launch_is_not_the_baseline(
    verify: Any, remember: Any
) -> None:
    remember(report(10000))
    remember(report(100))
    assert verify(report(9000))["state"] == "above_baseline"


def test_without_a_baseline_nothing_is_proven(verify: Any, remember: Any, tmp_path: Path) -> None:
    assert verify(report(100))["state"] == "no_baseline"
    remember(report(100))
    readings = json.loads((tmp_path / "baseline.json").read_text())
    (tmp_path / "baseline.json").write_text(json.dumps({**readings, "boot_id": "earlier"}))
    assert verify(report(100))["state"] == "no_baseline"


def test_a_gpu_that_can_no_longer_be_read_proves_nothing(verify: Any, remember: Any) -> None:
    remember(report(100))
    assert verify(report())["state"] == "no_baseline"
    assert verify(report(None))["state"] == "no_baseline"


def test_a_host_without_a_gpu_has_nothing_to_prove(verify: Any, remember: Any) -> None:
    remember(report())
    assert verify(report()) == {"state": "no_gpu", "gpus": []}
