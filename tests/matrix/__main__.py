# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The matrix of stacks: each driver branch with each GPU generation and each wish.

Every cell is planned from the facts of a host with a scripted driver, installed with real uv from
an index of stand-in wheels, and proven by the roles' own proofs. It is judged by anchors.yml and
physics.yml. The last line is ``RESULT {...}``.
"""

from __future__ import annotations

import collections
import concurrent.futures
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.matrix.cells import DRIVERS, GENERATIONS, WISHES, Cell, Outcome, grid, try_cell
from tests.matrix.judging import Finding, judge, read_anchors
from tests.matrix.rig import index

LEAST_CELLS = 200
WORKERS = 2
KINDS = ("wrong", "wrongly_refused", "unexplained_refusals")


def run(cells: list[Cell]) -> dict[Cell, Outcome]:
    """Try all cells, two at a time."""
    outcomes = {}
    with tempfile.TemporaryDirectory(prefix="inferops-matrix-") as scratch:
        os.environ["UV_CACHE_DIR"] = f"{scratch}/uv-cache"
        pool = concurrent.futures.ProcessPoolExecutor(WORKERS)
        with pool, index(Path(scratch, "index")) as url:
            trials = {
                pool.submit(try_cell, cell, Path(scratch, f"host-{number}"), url): cell
                for number, cell in enumerate(cells)
            }
            for trial in concurrent.futures.as_completed(trials):
                outcomes[trials[trial]] = trial.result()
                if len(outcomes) % 20 == 0:
                    print(f"… {len(outcomes)} of {len(cells)} cells", flush=True)
    return outcomes


def show(outcomes: dict[Cell, Outcome]) -> None:
    """A table for each wish: the release that runs, or a dash where it was refused."""
    for wish in WISHES:
        print(f"\nvLLM {wish:12}" + "".join(f"{driver:>13}" for driver in DRIVERS))
        for generation in GENERATIONS:
            row = [outcomes[Cell(driver, generation, wish)] for driver in DRIVERS]
            words = [_word(outcome) for outcome in row]
            print(f"{generation:17}" + "".join(f"{word:>13}" for word in words))


def _word(outcome: Outcome) -> str:
    if outcome.failure:
        return "FAILED"
    return "-" if outcome.refusal else str(outcome.plan["vllm_version"])


def main() -> int:
    """Run the matrix; exit 0 when nothing is wrong."""
    began = time.monotonic()
    anchors = read_anchors()
    cells = sorted({*grid(), *(anchor.cell for anchor in anchors)})
    outcomes = run(cells)
    show(outcomes)
    findings: list[Finding] = []
    for cell, outcome in outcomes.items():
        findings += judge(cell, outcome, [one for one in anchors if one.cell == cell])
    for finding in findings:
        print(f"\n{finding.kind}: {finding.cell}: {finding.text}")
    count = collections.Counter(finding.kind for finding in findings)
    result = {"cells": len(cells), **{kind: count[kind] for kind in KINDS}, "anchors": len(anchors)}
    print(f"\n{len(cells)} cells in {time.monotonic() - began:.0f} s")
    print("RESULT", json.dumps(result))
    return 1 if findings or len(cells) < LEAST_CELLS or not anchors else 0


if __name__ == "__main__":
    sys.exit(main())
