# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbook benchmark without a host: what it keeps, and that nothing is lost where it fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.app import Simulator
from tests.tools.tree import REPOSITORY
from tests.unit.plays import play
from tests.unit.plugins.pretended import Pretended
from tests.unit.serving.test_benchmark_report import load

BENCHMARK = REPOSITORY / "playbooks" / "benchmark.yml"
KEY = "sk-key-of-the-server-0123456789"
MEASURED: dict[str, Any] = {
    "plan": {},
    "model": "a/b",
    "release": "0.32.0",
    "generator": "vllm bench serve",
    "seconds": 20.0,
    "stopped": "",
    "loads": [load(1), load(4)],
}
GPUS = {"gpu": {"gpus": [{"name": "NVIDIA L4", "index": 0}]}}


def test_a_name_that_nothing_is_rented_under_is_not_measured(
    tmp_path: Path, simulator: Simulator
) -> None:
    status, output = play(tmp_path, BENCHMARK, "--limit", "gpu-1", inferops_api_url=simulator.url)
    assert status != 0
    assert "Nothing that can be reached is rented under the name gpu-1 in scope test" in output
    assert {entry["method"] for entry in simulator.journal.entries()} == {"GET"}


def deployed(tmp_path: Path, simulator: Simulator, **measured: Any) -> Pretended:
    told = {"benchmark": {**MEASURED, **measured}, "gpu_info": GPUS}
    pretended = Pretended(tmp_path, simulator, answers=told)
    done = pretended.run("deploy")
    assert done.returncode == 0, done.stdout + done.stderr
    return pretended


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "benchmarks").glob("benchmark-gpu-1-*"))


@pytest.mark.long
def test_what_was_measured_is_kept_for_its_owner_alone_and_compared(
    tmp_path: Path, simulator: Simulator
) -> None:
    pretended = deployed(tmp_path, simulator)
    # As a form of AWX asks: all is text.
    asked = {"benchmark_concurrencies": "1,4", "benchmark_objective_ttft_ms": "500"}
    given = {**asked, "inferops_server_api_key": KEY, "inferops_server_arguments": {"seed": 7}}
    first = pretended.run("benchmark", **given)
    assert first.returncode == 0, first.stdout + first.stderr
    ((_name, args),) = pretended.asked("benchmark")
    assert (args["concurrencies"], args["objective_ttft_ms"]) == ([1, 4], 500.0)
    assert (args["model"], args["name"]) == ("a/b", "vllm")
    table, report, page, replay = files(tmp_path)
    assert [path.suffix for path in (table, report, page, replay)] == [
        ".csv",
        ".json",
        ".md",
        ".json",
    ]
    assert not [path for path in files(tmp_path) if path.stat().st_mode & 0o077]
    assert not [path for path in files(tmp_path) if KEY in path.read_text()]
    kept = json.loads(report.read_text())
    assert kept["gpus"] == "1 x NVIDIA L4"
    assert kept["loads"][0]["usd_per_million_output_tokens"] > 0
    assert json.loads(replay.read_text()) == {
        "inferops_model": "a/b",
        "inferops_engine": "vllm",
        "inferops_server_arguments": {"seed": 7},
        "inferops_vllm_version": "0.32.0",
    }
    shown = " ".join(first.stdout.split())
    assert "Sends loads of 1, 4 requests at once" in shown
    assert "Most: 400 output tokens/s at 4 at once" in shown

    again = pretended.run(
        "benchmark",
        **given,
        benchmark_compare=str(report),
        benchmark_regression_percent=10,
    )
    assert again.returncode == 0, again.stdout + again.stderr


@pytest.mark.long
def test_a_server_that_got_worse_fails_it_after_the_report_was_kept(
    tmp_path: Path, simulator: Simulator
) -> None:
    pretended = deployed(tmp_path, simulator)
    assert pretended.run("benchmark").returncode == 0
    (before,) = [path for path in files(tmp_path) if path.name.endswith("Z.json")]
    slower = {**MEASURED, "loads": [load(1), load(4, output_tokens_per_second=100.0)]}
    pretended.answers["benchmark"] = slower
    given = {"benchmark_dir": "others", "benchmark_compare": [str(before)]}
    done = pretended.run("benchmark", **given, benchmark_regression_percent=10)
    assert done.returncode != 0
    assert "throughput was 400 tokens/s, and is 100 (-75 %)" in " ".join(done.stdout.split())
    assert len(list((tmp_path / "others").glob("*Z.json"))) == 1


@pytest.mark.long
def test_what_cannot_be_read_or_sent_is_refused_before_any_load(
    tmp_path: Path, simulator: Simulator
) -> None:
    pretended = deployed(tmp_path, simulator)
    other = tmp_path / "other.json"
    other.write_text("{}")
    for wrong, said in (
        ({"benchmark_compare": str(other)}, "other.json is no report of a benchmark"),
        ({"benchmark_compare": "/nowhere.json"}, "/nowhere.json"),
        ({"benchmark_most_seconds": 9000}, "most_seconds: 9000 is not within 1 and 6600"),
    ):
        done = pretended.run("benchmark", **wrong)
        assert done.returncode != 0
        assert said in " ".join((done.stdout + done.stderr).split())
    assert pretended.asked("benchmark") == []


@pytest.mark.long
def test_check_mode_keeps_nothing(tmp_path: Path, simulator: Simulator) -> None:
    pretended = deployed(tmp_path, simulator)
    pretended.answers["benchmark"] = {"plan": {}}
    done = pretended.run("benchmark", "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Would send loads of 1, 4, 16, 64 requests at once" in " ".join(done.stdout.split())
    assert files(tmp_path) == []
