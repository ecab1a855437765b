# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server under load: a real generator process, with a stand-in for vLLM's functions in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.common.loads import LATENCIES, plan_of
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines import driving, registry
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.engine import Wish
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.generator import EMPTY
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.vllm.generator import (
    BenchServe,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import locks
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import Layout
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.observation import observe
from ansible_collections.inferops.gpu.plugins.modules import benchmark
from ansible_collections.inferops.gpu.plugins.modules.benchmark import LOADS

pytestmark = pytest.mark.vllm

GENERATOR = Path(__file__).parent / "fake_generator"
KEY = "sk-the-key-of-the-server"
QUICK: dict[str, Any] = {
    "name": "main",
    "concurrencies": [1, 2],
    "rounds": 1,
    "least_requests": 1,
    "warmup_requests": 1,
    "input_tokens": 5,
    "output_tokens": 7,
}
USUAL = {name: option["default"] for name, option in LOADS.items()}

Measure = Callable[..., dict[str, Any]]


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes"


@pytest.fixture
def serve(start: Any, notes: Path) -> Callable[..., None]:
    """Start a server with the generator beside it; the keywords are the environment of both."""

    def call(**environment: str) -> None:
        fake = {"PYTHONPATH": str(GENERATOR), "VLLM_API_KEY": KEY, "FAKE_LOAD_NOTES": str(notes)}
        start(model="tiny/model", fake={**fake, **environment})

    return call


@pytest.fixture
def measure(run_module: Any, home: Path) -> Measure:
    def call(check: bool = False, **options: Any) -> dict[str, Any]:
        result: dict[str, Any] = run_module(
            benchmark, check=check, **{"home": str(home), **QUICK, **options}
        )
        return result

    return call


def noted(notes: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in notes.read_text().splitlines()]


def test_each_load_is_measured_after_one_that_is_not(
    serve: Any, measure: Measure, notes: Path
) -> None:
    serve()
    found = measure()
    assert found["changed"] is False
    assert found["plan"] == {"loads": 2, "requests": 4, "tokens": 48, "seconds": 1800.0}
    assert [load["concurrency"] for load in found["loads"]] == [1, 2]
    assert [load["verdict"] for load in found["loads"]] == ["kept", "kept"]
    first = found["loads"][0]
    assert first["ttft_ms"] == {"mean": 5.0, "p50": 5.0, "p90": 9.0, "p99": 10.0}
    assert (first["completed"], first["failed"], first["errors"]) == (1, 0, [])
    assert (first["input_tokens"], first["output_tokens"]) == (5, 7)
    assert first["good_requests_per_second"] is None
    assert (found["release"], found["generator"]) == ("0.0.stand-in", "vllm bench serve")
    assert (found["engine"], found["model"]) == ("vllm", "tiny/model")
    assert (found["highest_kept"], found["stopped"]) == (None, "")
    sent = [one["words"] for one in noted(notes)]
    assert [(one["max_concurrency"], one["num_prompts"]) for one in sent] == [
        (1, 1),
        (1, 1),
        (2, 2),
    ]
    # What a load has asked, no other asks: the server would know the answer's beginning.
    assert len({one["seed"] for one in sent}) == 3


@pytest.mark.long
def test_what_the_server_counted_itself_stands_beside_it(serve: Any, measure: Measure) -> None:
    """The stand-in counts 8 tokens an answer, whatever it is asked for, and nothing of prompts."""
    serve()
    (load, _second) = measure()["loads"]
    assert load["server"] == {"input_tokens": None, "output_tokens": 8.0, "mean_ttft_ms": None}


def test_the_key_reaches_the_generator_by_its_environment_alone(
    serve: Any, measure: Measure, notes: Path, home: Path
) -> None:
    serve()
    found = measure()
    assert KEY not in json.dumps(found)
    for one in noted(notes):
        assert one["environment"]["OPENAI_API_KEY"] == KEY
        assert "VLLM_API_KEY" not in one["environment"]
        assert KEY not in json.dumps(one["words"])
    log = home / "servers" / "main" / "benchmark" / "generator.log"
    assert "the generator's own words" in log.read_text()
    assert not log.stat().st_mode & 0o077


@pytest.mark.long
def test_a_proxy_of_the_host_is_not_asked_for_its_own_server(
    serve: Any, measure: Measure, notes: Path
) -> None:
    serve(http_proxy="http://127.0.0.1:9", no_proxy="example.org")
    assert measure()["loads"][0]["completed"] == 1
    (first, *_more) = noted(notes)
    assert first["environment"]["no_proxy"] == "example.org,127.0.0.1,localhost,::1"


def test_the_highest_load_that_keeps_the_objective_is_found(serve: Any, measure: Measure) -> None:
    """Each request at once takes 10 ms more of the stand-in."""
    serve()
    found = measure(objective_ttft_ms=55, most_concurrency=16)
    assert found["highest_kept"] == 5
    verdicts = {load["concurrency"]: load["verdict"] for load in found["loads"]}
    assert verdicts == {1: "kept", 2: "kept", 4: "kept", 8: "missed", 6: "missed", 5: "kept"}
    assert found["loads"][0]["good_requests_per_second"] == 5.0


@pytest.mark.long
def test_a_load_that_takes_too_long_is_ended_and_none_higher_is_sent(
    serve: Any, measure: Measure
) -> None:
    serve(FAKE_LOAD_HANG_AT="2")
    found = measure(concurrencies=[1, 2, 4], load_seconds=2)
    assert [load["verdict"] for load in found["loads"]] == ["kept", "unfinished"]
    cut = found["loads"][1]
    assert cut["errors"] == ["it did not end within 2 s (benchmark_load_seconds)"]
    assert cut["ttft_ms"] is None
    assert found["stopped"] == ""


@pytest.mark.long
def test_a_load_for_which_the_time_was_up_says_nothing_of_the_server(
    serve: Any, measure: Measure
) -> None:
    serve(FAKE_LOAD_HANG_AT="2")
    found = measure(most_seconds=20)
    assert [load["concurrency"] for load in found["loads"]] == [1]
    assert found["stopped"] == "The time was up after 20 s (benchmark_most_seconds)."


@pytest.mark.long
def test_the_search_goes_on_below_a_load_that_took_too_long(serve: Any, measure: Measure) -> None:
    """The generator was ended with it, and is started again."""
    serve(FAKE_LOAD_HANG_AT="4")
    found = measure(concurrencies=[1, 4], load_seconds=3, objective_ttft_ms=25)
    assert [load["concurrency"] for load in found["loads"]] == [1, 4, 2, 3]
    assert found["highest_kept"] == 2


def test_a_generator_that_dies_is_told_and_what_was_measured_stays(
    serve: Any, measure: Measure
) -> None:
    serve(FAKE_LOAD_DIE_AT="2")
    found = measure()
    assert [load["concurrency"] for load in found["loads"]] == [1]
    assert found["stopped"].startswith("vllm bench serve failed: it ended: ")


def test_a_figure_that_is_none_is_no_measurement(serve: Any, measure: Measure) -> None:
    serve(FAKE_LOAD_NAN="1")
    found = measure(warmup_requests=0)
    assert found["loads"] == []
    assert found["stopped"] == "vllm bench serve failed: p99_ttft_ms is nan, which is no figure."


def test_a_release_without_a_generator_is_told(serve: Any, measure: Measure) -> None:
    serve(PYTHONPATH="/nowhere")
    found = measure()
    assert found["loads"] == []
    assert "No module named 'vllm'" in found["stopped"]


@pytest.mark.long
def test_a_server_that_does_not_outlive_a_load_ends_the_benchmark(
    serve: Any, measure: Measure, home: Path, tmp_path: Path
) -> None:
    group = tmp_path / "group"
    serve(FAKE_LOAD_KILLS=str(group))
    group.write_text(str(observe(Layout(home).server("main"))["pgid"]))
    found = measure(concurrencies=[1, 2, 4])
    assert [load["failed"] for load in found["loads"]] == [0, 2]
    assert found["stopped"].startswith("Server main did not outlive this load: ")


@pytest.mark.long
def test_all_that_fails_in_the_warm_up_is_said_and_no_load_is_sent(
    serve: Any, measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that the server does not know any more, as after a change by hand."""
    serve()
    monkeypatch.setattr(BenchServe, "key_variable", "ANOTHER_VARIABLE")
    found = measure()
    assert found["loads"] == []
    assert found["stopped"].startswith("The requests of the warm-up failed: ")
    assert "401" in found["stopped"]


def test_another_model_than_the_server_has_is_refused(serve: Any, measure: Measure) -> None:
    serve()
    for check in (False, True):
        found = measure(check, model="Qwen/Qwen3-8B")
        assert found["failed"]
        assert "model 'Qwen/Qwen3-8B' is not listed, only ['tiny/model']" in found["msg"]
        assert "Correct inferops_served_model_name" in found["msg"]


def test_check_mode_sends_no_load_and_says_what_it_would(
    serve: Any, measure: Measure, notes: Path
) -> None:
    serve()
    found = measure(True)
    assert "loads" not in found
    assert found["plan"]["requests"] == 4
    assert not notes.exists()


@pytest.mark.long
def test_a_server_that_was_never_started_or_that_ended_is_refused(
    serve: Any, measure: Measure, stop: Any
) -> None:
    assert "Nothing on this host says how server main was started" in measure()["msg"]
    serve()
    stop()
    assert "Server main does not serve (stopped: " in measure()["msg"]


@pytest.mark.long
def test_two_benchmarks_do_not_load_one_server(serve: Any, measure: Measure, home: Path) -> None:
    serve()
    with locks.held(home / "locks" / ".benchmark-main", 0):
        assert "Another benchmark of this server is at work" in measure()["msg"]


@pytest.mark.long
def test_an_engine_without_a_generator_is_refused(
    serve: Any, measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve()
    monkeypatch.setattr(type(registry.ENGINES["vllm"]), "generator", lambda self, wish: None)
    assert "vLLM brings no load generator" in measure()["msg"]


def test_a_plan_without_bounds_is_refused(measure: Measure) -> None:
    assert measure(most_seconds=10_000)["msg"].startswith("most_seconds: 10000 is not within")
    assert "may hold only letters" in measure(name="../x")["msg"]


def test_a_request_that_the_context_has_no_room_for_is_refused(
    serve: Any, measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve()
    monkeypatch.setattr(BenchServe, "most_tokens", lambda self, client: 11)
    assert "do not fit into the 11 that server main takes" in measure()["msg"]


class Listing:
    """A client whose server lists this."""

    def __init__(self, listed: Any) -> None:
        self.listed = listed

    def call(self, method: str, path: str) -> Any:
        return self.listed


@pytest.mark.parametrize(
    ("listed", "most"),
    [
        ({"data": [{"id": "a", "max_model_len": 2048}]}, 2048),
        ({"data": [{"id": "a"}]}, None),
        ({"data": [{"id": "a", "max_model_len": "long"}]}, None),
        ({"data": ["a"]}, None),
        (None, None),
    ],
)
def test_the_room_of_a_request_is_what_the_server_lists(listed: Any, most: int | None) -> None:
    wish = Wish("python", "m", (), "127.0.0.1", 1, {})
    assert BenchServe(wish).most_tokens(Listing(listed)) == most  # type: ignore[arg-type]


def words(**arguments: Any) -> str:
    wish = Wish("python", "/models/m", ("name", "other"), "127.0.0.1", 1, arguments)
    plan = plan_of({**USUAL, "objective_ttft_ms": 500, "objective_e2el_ms": 2500.5})
    return " ".join(BenchServe(wish).words(plan.load(4, 7), plan, "http://127.0.0.1:1"))


def test_a_load_is_spelled_as_vllm_reads_it() -> None:
    spelled = words()
    assert "--model name --tokenizer /models/m --dataset-name random --seed 7" in spelled
    assert "--num-prompts 16 --max-concurrency 4" in spelled
    assert spelled.endswith("--goodput ttft:500 e2el:2500.5")


def test_the_tokenizer_is_that_of_the_server() -> None:
    spelled = words(**{"tokenizer": "/t", "tokenizer-mode": "mistral", "trust_remote_code": True})
    assert "--tokenizer /t --tokenizer-mode mistral --trust-remote-code" in spelled


def test_a_real_result_of_vllm_is_read() -> None:
    """Of vLLM 0.32.0 on a CPU, eight requests at once."""
    real = json.loads((GENERATOR / "vllm-0.32.0.json").read_text())
    figures = BenchServe(Wish("python", "m", (), "127.0.0.1", 1, {})).figures(real)
    assert set(figures) == set(EMPTY)
    assert (figures["completed"], figures["output_tokens"]) == (32, 1024)
    for name in LATENCIES:
        assert figures[f"{name}_ms"]["p50"] <= figures[f"{name}_ms"]["p99"]


def test_a_load_of_which_nothing_was_answered_has_no_figures() -> None:
    """vLLM writes zeros, by which it would be the fastest of all."""
    real = json.loads((GENERATOR / "vllm-0.32.0-unanswered.json").read_text())
    figures = BenchServe(Wish("python", "m", (), "127.0.0.1", 1, {})).figures(real)
    assert figures == {**EMPTY, "failed": 32}


def test_a_driver_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(driving.GeneratorFailed, match="cannot be started"):
        driving.Driver(["/nowhere"], {}, tmp_path / "log", 1)
    with pytest.raises(driving.GeneratorFailed, match=r"was not ready within 0\.2 s"):
        driving.Driver(["/bin/sleep", "60"], {}, tmp_path / "log", 0.2)
    with pytest.raises(driving.GeneratorFailed, match="it ended: what it said last"):
        driving.Driver(["/bin/sh", "-c", "echo what it said last >&2"], {}, tmp_path / "log", 9)
