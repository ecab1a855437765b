# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cell's outcome is worth: against anchors from elsewhere, and against the stand-in physics.

Nothing here reads the plan's table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from tests.matrix.cells import Cell, Outcome
from tests.matrix.wheels import (
    PHYSICS,
    RELEASES,
    architectures_of_torch,
    build_of_vllm,
    cuda_of,
    torch_of_vllm,
)

ANCHORS = Path(__file__).with_name("anchors.yml")


@dataclass(frozen=True)
class Finding:
    """Something wrong with a cell."""

    kind: str
    cell: Cell
    text: str


@dataclass(frozen=True)
class Anchor:
    """What the world says about a cell; anchors.yml explains the fields of ``said``."""

    cell: Cell
    said: dict[str, Any]


def read_anchors(file: Path = ANCHORS) -> list[Anchor]:
    """The anchors of *file*."""
    return [
        Anchor(Cell(said["driver"], said["generation"].title(), said["wish"]), said)
        for said in yaml.safe_load(file.read_text())["anchors"]
    ]


def judge(cell: Cell, outcome: Outcome, anchors: list[Anchor]) -> Iterator[Finding]:
    """What is wrong with *outcome*; nothing, when all is well."""
    if outcome.failure:
        yield Finding("wrong", cell, f"planned, and then: {outcome.failure}")
    if outcome.refusal and not outcome.explained:
        yield Finding("unexplained_refusals", cell, outcome.refusal)
    if cell.wish == "auto" and outcome.runs:
        taken, newest = outcome.packages["vllm"], newest_for_auto(cell)
        if newest and _public(taken) < Version(newest):
            yield Finding("wrong", cell, f"auto takes vLLM {taken}, and {newest} would run")
    if anchors:
        for anchor in anchors:
            yield from against(anchor, outcome)
    elif outcome.refusal and (possible := could_run(cell)):
        yield Finding("wrongly_refused", cell, f"{possible} would run. {outcome.refusal}")


def against(anchor: Anchor, outcome: Outcome) -> Iterator[Finding]:
    """Where *outcome* and *anchor* disagree."""
    said, refusal = anchor.said, outcome.refusal
    name = f"anchor {said['id']} ({said['source']})"
    if said["expected"] == "runs" and refusal:
        yield Finding("wrongly_refused", anchor.cell, f"{name}: {refusal}")
    if said["expected"] == "impossible" and outcome.runs:
        yield Finding("wrong", anchor.cell, f"{name}: {outcome.words}")
    unsaid = [words for words in said.get("says", []) if words not in refusal]
    if refusal and unsaid:
        text = f"{name} misses {', '.join(unsaid)}: {refusal}"
        yield Finding("unexplained_refusals", anchor.cell, text)
    if outcome.runs:
        broken = [limit for limit in LIMITS if limit in said and not LIMITS[limit](said, outcome)]
        if broken:
            text = f"{name} limits {', '.join(broken)}: {outcome.words}; {outcome.packages}"
            yield Finding("wrong", anchor.cell, text)


def _keeps_cuda(said: dict[str, Any], outcome: Outcome) -> bool:
    return int(outcome.plan["cuda_version"].split(".")[0]) == said["cuda_major"]


def _keeps_least(said: dict[str, Any], outcome: Outcome) -> bool:
    return _public(outcome.packages["vllm"]) >= Version(said["min_vllm"])


def _keeps_most(said: dict[str, Any], outcome: Outcome) -> bool:
    return _public(outcome.packages["vllm"]) <= Version(said["max_vllm"])


def _keeps_torch(said: dict[str, Any], outcome: Outcome) -> bool:
    return _public(outcome.packages["torch"]) == Version(said["torch"])


def _keeps_numpy(said: dict[str, Any], outcome: Outcome) -> bool:
    return _public(outcome.packages["numpy"]) < Version(str(said["numpy_below"]))


LIMITS = {
    "cuda_major": _keeps_cuda,
    "min_vllm": _keeps_least,
    "max_vllm": _keeps_most,
    "torch": _keeps_torch,
    "numpy_below": _keeps_numpy,
}


def _public(version: str) -> Version:
    """The version without its build."""
    return Version(version.partition("+")[0])


def could_run(cell: Cell) -> str:
    """A release with a build of torch that physics.yml lets run there, or ""."""
    for version in RELEASES["vllm"] if cell.wish == "auto" else [cell.wish]:
        for backend in PHYSICS["torch_builds"][torch_of_vllm(version)]:
            if _runs(version, backend, cell):
                return f"vLLM {version} with torch {torch_of_vllm(version)}+{backend}"
    return ""


def newest_for_auto(cell: Cell) -> str:
    """The newest release whose build on the package index physics.yml lets run there, or ""."""
    suiting = [
        version
        for version in RELEASES["vllm"]
        if version not in PHYSICS["not_for_auto"]
        and _runs(version, PHYSICS["torch_builds"][torch_of_vllm(version)][0], cell)
    ]
    return max(suiting, key=Version, default="")


def _runs(version: str, backend: str, cell: Cell) -> bool:
    """Whether physics.yml lets a release of vLLM run there with this build of torch."""
    branch = int(cell.driver_version.split(".")[0])
    oldest, newest = cell.gpu["drivers"]
    row, major = build_of_vllm(version), int(cuda_of(backend).split(".")[0])
    majors = [row["cuda"], *(int(name[2:-1]) for name in row.get("other_builds", []))]
    return (
        oldest <= branch <= (newest or branch)
        and major >= cell.gpu.get("cuda", 0)
        and major in majors
        and branch >= PHYSICS["drivers_of_cuda"][major]
        and _covers(row["architectures"], cell)
        and _covers(architectures_of_torch(torch_of_vllm(version), backend), cell)
        and not _withdrawn(version)
    )


def _covers(architectures: list[float], cell: Cell) -> bool:
    capability = float(cell.gpu["capability"])
    return any(int(one) == int(capability) and one <= capability for one in architectures)


def _withdrawn(version: str) -> bool:
    wants = [Requirement(line) for line in RELEASES["vllm"][version]["requires_dist"]]
    return any(
        want.name == name and want.specifier.contains(gone)
        for want in wants
        for name, versions in PHYSICS["withdrawn"].items()
        for gone in versions
        if str(want.specifier).startswith("==")
    )
