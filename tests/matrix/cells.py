# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cells of the matrix: a driver, a GPU and a wish; and what becomes of it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.inferops.gpu.plugins.filter.stack_plan import stack_plan
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.planning import (
    StackImpossible,
    plan_stack,
)
from ansible_collections.inferops.gpu.plugins.modules import gpu_info
from tests.matrix.rig import PARTS, Host, ModuleFailed, gpu
from tests.matrix.wheels import PHYSICS

#: One driver version of each branch.
DRIVERS = {
    "470": "470.256.02",
    "525": "525.147.05",
    "535": "535.183.06",
    "550": "550.127.05",
    "570": "570.86.10",
    "580": "580.95.05",
    "newest": "610.43.02",
}
GENERATIONS = tuple(PHYSICS["gpus"])
#: Newest that fits, an old release and a new one.
WISHES = ("auto", "0.8.5.post1", "0.32.0")


@dataclass(frozen=True, order=True)
class Cell:
    """One host and one wish."""

    driver: str
    generation: str
    wish: str

    @property
    def driver_version(self) -> str:
        return DRIVERS[self.driver]

    @property
    def gpu(self) -> dict[str, Any]:
        return gpu(self.generation)

    def __str__(self) -> str:
        return f"driver {self.driver}, {self.generation}, vLLM {self.wish}"


@dataclass(frozen=True)
class Outcome:
    """What became of a cell: it runs, it was refused, or it failed."""

    plan: dict[str, Any] = field(default_factory=dict)
    #: What was installed.
    packages: dict[str, str] = field(default_factory=dict)
    refusal: str = ""
    #: Whether the refusal has a cause and a way out, and its ways out lead to plans.
    explained: bool = True
    failure: str = ""

    @property
    def runs(self) -> bool:
        return not self.refusal and not self.failure

    @property
    def words(self) -> str:
        return self.refusal or self.failure or str(self.plan.get("why", ""))


def grid() -> list[Cell]:
    """Every driver with every generation and every wish."""
    return [Cell(d, g, w) for d in DRIVERS for g in GENERATIONS for w in WISHES]


def try_cell(cell: Cell, folder: Path, index: str) -> Outcome:
    """Plan from the host's facts, install and prove part after part."""
    host = Host(folder, cell.driver_version, cell.gpu, index)
    host.prepare()
    try:
        facts = host.run(gpu_info, home=str(host.home))["gpu"]
        known = {
            "driver_version": facts["driver_version"],
            "compute_capability": facts["gpus"][0]["compute_capability"],
        }
        plan = stack_plan(known, vllm_version=cell.wish)
        lock = host.lock(plan)
        for part in PARTS:
            host.install(part, plan, lock)
    except AnsibleFilterError as error:
        return Outcome(refusal=str(error), explained=_is_explained(error.__cause__))
    except ModuleFailed as error:
        return Outcome(plan=plan, failure=str(error))
    finally:
        shutil.rmtree(folder)
    return Outcome(plan=plan, packages=lock["packages"])


def _is_explained(refusal: BaseException | None) -> bool:
    if not isinstance(refusal, StackImpossible) or not refusal.cause:
        return False
    ways = [way.wish for way in refusal.ways_out if way.wish]
    for wish in ways:
        try:
            plan_stack(**vars(wish))
        except StackImpossible:
            return False
    return bool(ways)
