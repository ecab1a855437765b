# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is the GPU memory of a stopped server free again? Readings before and after decide.

A driver inside a container does not know the processes in it, so the memory in use is the only
honest witness. The baseline belongs to GPU and boot: the first reading while no server of ours
lives. With others alive, the reading before this very server's launch takes its place.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Callable

from ..gpus.report import Report
from ..machine.files import read_json, write_json
from ..machine.processes import boot_id

TOLERANCE_MIB = 512
WAIT_SECONDS = 60.0
POLL_SECONDS = 1.0


def _used(report: Report) -> dict[str, int]:
    return {gpu.uuid: gpu.memory_used_mib for gpu in report.gpus if gpu.memory_used_mib is not None}


def _known(path: Path) -> dict[str, Any]:
    """The readings of this boot; those of another boot say nothing."""
    content = read_json(path) or {}
    if content.get("boot_id") != boot_id():
        content = {"boot_id": boot_id()}
    return {"idle": {}, "before": {}, "beside": {}, **content}


def remember(path: Path, name: str, report: Report, others: list[str]) -> None:
    """Note the memory in use just before server `name` is launched, and who else lives then.

    Without others it is that of an idle GPU; of several such readings the lowest one counts, since
    what was still in use at the others was not ours.
    """
    readings, used = _known(path), _used(report)
    readings["before"][name], readings["beside"][name] = used, others
    if not others:
        idle = readings["idle"]
        readings["idle"] = {
            **idle,
            **{gpu: min(mib, idle.get(gpu, mib)) for gpu, mib in used.items()},
        }
    write_json(path, readings)


def baseline(path: Path, name: str, others: list[str]) -> dict[str, int]:
    """MiB in use on each GPU without server `name`; empty when nobody knows.

    That is when nothing was noted in this boot, and when others live than before its launch.
    """
    readings = _known(path)
    same = not others or readings["beside"].get(name) == others
    known: dict[str, int] = readings["before"].get(name, {}) if others else readings["idle"]
    return known if same else {}


def _before_newcomers(path: Path, name: str, others: list[str]) -> dict[str, int]:
    """MiB in use before the launch of `name`, where others have come since and none has gone."""
    readings = _known(path)
    then = readings["beside"].get(name)
    known: dict[str, int] = readings["before"].get(name, {})
    return known if then is not None and set(then) < set(others) else {}


def verify(
    path: Path,
    name: str,
    others: list[str],
    read_report: Callable[[], Report],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Wait up to a minute until every GPU is back at its baseline.

    Returns `state` (no_gpu, at_baseline, above_baseline, no_baseline) and `gpus`: for each one
    uuid, baseline_mib, used_mib and, when it is above, the processes that the driver names.
    """
    before = _before_newcomers(path, name, others)
    if before:
        # Newcomers only add to what is in use: no more than before is proof, and more is none.
        result = _compare(read_report(), before)
        if result["state"] == "at_baseline":
            return result
    expected = baseline(path, name, others)
    deadline = clock() + WAIT_SECONDS
    while True:
        report = read_report()
        result = _compare(report, expected)
        if result["state"] != "above_baseline" or clock() >= deadline:
            return result
        sleep(POLL_SECONDS)


def _compare(report: Report, expected: dict[str, int]) -> dict[str, Any]:
    if not report.gpus:
        # GPUs that were there at the launch and cannot be read now prove nothing.
        return {"state": "no_baseline" if expected else "no_gpu", "gpus": []}
    entries: list[dict[str, Any]] = []
    states = set()
    for gpu in report.gpus:
        baseline, used = expected.get(gpu.uuid), gpu.memory_used_mib
        entry: dict[str, Any] = {"uuid": gpu.uuid, "baseline_mib": baseline, "used_mib": used}
        if baseline is None or used is None:
            states.add("no_baseline")
        elif used > baseline + TOLERANCE_MIB:
            states.add("above_baseline")
            entry["processes"] = gpu.processes
        entries.append(entry)
    order = ("above_baseline", "no_baseline")
    return {
        "state": next((state for state in order if state in states), "at_baseline"),
        "gpus": entries,
    }
