# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real vLLM under load, by its own generator: figures that agree with the server's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration import engine_image
from tests.integration.plays import Controller, Run
from tests.integration.test_main_job import MARKER, process_table_watched_for

ONE = ("--limit", "gpu-1,localhost")
KEY = "sk-key-of-the-server"
FLEET = {"inferops_group": "gpu_fleet", "rent_image": engine_image.NAME}
#: By how much the mean time to the first token may be off the server's own, of a load of several.
#: One request at a time is over so soon that the way to the server is a good part of it.
APART = 0.1
QUICK: dict[str, Any] = {
    "benchmark_concurrencies": [1, 8],
    "benchmark_input_tokens": 128,
    "benchmark_output_tokens": 32,
    "benchmark_objective_e2el_ms": 600_000,
    "benchmark_most_concurrency": 8,
}


@pytest.mark.long
def test_what_is_measured_is_what_the_server_has_counted(
    controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine_image.ensure()
    monkeypatch.setenv(MARKER, str(controller.folder))

    def play(name: str, *arguments: str, **variables: Any) -> Run:
        secret = {"inferops_server_api_key": KEY}
        return controller.play(name, *ONE, *arguments, secret=secret, **FLEET, **variables)

    def measure(folder: str, *arguments: str, **variables: Any) -> Run:
        given = {**QUICK, "benchmark_dir": str(controller.folder / folder), **variables}
        return play("benchmark", *arguments, **given)

    assert play("deploy").status == 0
    dry = measure("dry", "--check")
    assert dry.status == 0, dry.output[-5000:]
    assert "Would send loads of 1, 8 requests at once" in dry.message()
    assert list((controller.folder / "dry").glob("*")) == []

    with process_table_watched_for(KEY) as seen_in_process_table:
        run = measure("first", "-vvv")
    assert run.status == 0, run.output[-5000:]
    assert seen_in_process_table == set()
    assert KEY not in run.output
    assert "changed=0" in run.output.rpartition("PLAY RECAP")[2]
    assert "Up to 8 at once 99 of 100 had the whole answer within 600000 ms." in run.message()
    report, path = the_report(controller.folder / "first")
    loads = report["loads"]
    assert [load["concurrency"] for load in loads] == [1, 8]
    for load in loads:
        assert (load["completed"], load["failed"]) == (load["requests"], 0)
        assert load["output_tokens"] == load["requests"] * 32 == load["server"]["output_tokens"]
        assert load["input_tokens"] == load["server"]["input_tokens"]
        assert load["usd_per_million_output_tokens"] > 0
    seen, own = loads[1]["ttft_ms"]["mean"], loads[1]["server"]["mean_ttft_ms"]
    assert abs(seen - own) <= own * APART, (seen, own)

    # A machine that others use too may be ten times slower the next time, and is the same.
    again = measure("again", benchmark_compare=[str(path)], benchmark_regression_percent=100_000)
    assert again.status == 0, again.output[-5000:]
    other, _path = the_report(controller.folder / "again")
    assert [one["name"] for one in other["compared"]] == ["this one", path.name]

    wrong = measure("wrong", inferops_served_model_name="Qwen/Qwen3-8B")
    assert wrong.status != 0
    assert "model 'Qwen/Qwen3-8B' is not listed" in wrong.message()
    assert play("teardown").status == 0
    assert "Nothing that can be reached is rented" in measure("gone").message()


def the_report(folder: Path) -> tuple[dict[str, Any], Path]:
    """The one report in a folder, and its file; all that lies there is its owner's alone."""
    (path,) = folder.glob("*Z.json")
    assert not [one for one in folder.iterdir() if one.stat().st_mode & 0o077]
    report: dict[str, Any] = json.loads(path.read_text())
    return report, path
