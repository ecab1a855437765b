# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""That the matrix notices: a table that is wrong, and a plan that an anchor contradicts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm import planning
from tests.matrix import rig
from tests.matrix.cells import DRIVERS, GENERATIONS, Cell, Outcome, try_cell
from tests.matrix.judging import Anchor, could_run, judge, newest_for_auto

CELL = Cell("535", "Ampere", "0.32.0")
RUNS = Outcome(
    plan={"why": "it suits", "cuda_version": "13.0"},
    packages={"vllm": "0.32.0", "torch": "2.13.0+cu130", "numpy": "2.3.5"},
)
REFUSED = Outcome(refusal="needs a driver >= 580")


def kinds(outcome: Outcome, **said: Any) -> list[str]:
    anchor = Anchor(CELL, {"id": "x", "source": "somewhere", **said})
    return [finding.kind for finding in judge(CELL, outcome, [anchor])]


def test_a_plan_where_an_anchor_says_impossible_is_wrong() -> None:
    assert kinds(RUNS, expected="impossible") == ["wrong"]
    assert kinds(REFUSED, expected="impossible") == []


def test_a_refusal_where_an_anchor_says_runs_is_wrong() -> None:
    assert kinds(REFUSED, expected="runs") == ["wrongly_refused"]
    assert kinds(RUNS, expected="runs") == []


@pytest.mark.parametrize(
    "limit",
    [
        {"cuda_major": 12},
        {"min_vllm": "0.33.0"},
        {"max_vllm": "0.19.1"},
        {"torch": "2.10.0"},
        {"numpy_below": "2"},
    ],
)
def test_each_limit_of_an_anchor_binds(limit: dict[str, Any]) -> None:
    assert kinds(RUNS, expected="runs", **limit) == ["wrong"]


def test_a_refusal_must_say_the_anchor_s_words_and_explain_itself() -> None:
    assert kinds(REFUSED, expected="impossible", says=["580"]) == []
    assert kinds(REFUSED, expected="impossible", says=["575"]) == ["unexplained_refusals"]
    silent = Outcome(refusal="no", explained=False)
    assert kinds(silent, expected="impossible") == ["unexplained_refusals"]


def test_physics_knows_what_could_run() -> None:
    assert could_run(Cell("535", "Ampere", "0.25.1"))
    assert not could_run(Cell("535", "Ampere", "0.32.0"))
    assert not could_run(Cell("newest", "Volta", "auto"))
    assert not could_run(Cell("580", "Ampere", "0.8.2"))


def test_a_table_that_promises_too_much_fails_on_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(planning.DRIVER_OF_CUDA, 13, 525)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    with rig.index(tmp_path / "index") as url:
        outcome = try_cell(CELL, tmp_path / "host", url)
    (finding,) = judge(CELL, outcome, [])
    assert finding.kind == "wrong"
    assert "driver on your system is too old" in finding.text


def test_a_table_that_promises_too_little_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(planning.DRIVER_OF_CUDA, 12, 580)
    cell = Cell("535", "Ampere", "0.19.1")
    outcome = try_cell(cell, tmp_path / "host", "http://127.0.0.1:9")
    assert [finding.kind for finding in judge(cell, outcome, [])] == ["wrongly_refused"]


def auto_findings() -> list[str]:
    """What the judge says of the release that the table gives ``auto``, on every host."""
    said = []
    for cell in [Cell(driver, gpu, "auto") for driver in DRIVERS for gpu in GENERATIONS]:
        try:
            plan = planning.plan_stack("cuda", cell.driver_version, cell.gpu["capability"])
        except planning.StackImpossible:
            continue
        outcome = Outcome(plan=plan, packages={"vllm": plan["vllm_version"]})
        said += [finding.text for finding in judge(cell, outcome, [])]
    return said


@pytest.mark.parametrize("forgotten", ["0.33.0", "0.19.1", "0.10.1.1"])
def test_a_table_whose_auto_is_older_than_need_be_is_noticed(
    monkeypatch: pytest.MonkeyPatch, forgotten: str
) -> None:
    assert auto_findings() == []
    rows = [
        replace(row, resolved="") if row.resolved == forgotten else row for row in planning.SERIES
    ]
    monkeypatch.setattr(planning, "SERIES", tuple(rows))
    # 0.10.1.1 is the newest on no host.
    assert bool(auto_findings()) == (forgotten != "0.10.1.1")
    assert all(f"and {forgotten} would run" in said for said in auto_findings())


def test_auto_is_measured_by_what_the_package_index_itself_has() -> None:
    assert newest_for_auto(Cell("580", "Hopper", "auto")) == "0.33.0"
    assert newest_for_auto(Cell("535", "Ampere", "auto")) == "0.19.1"
    assert newest_for_auto(Cell("470", "Ampere", "auto")) == ""
