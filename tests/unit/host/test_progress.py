# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that answers is not one that works: who hangs, who serves, who proves neither."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.client import Client
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.engine import Sample
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.vllm import metrics
from ansible_collections.inferops.gpu.plugins.module_utils.host.gpus import activity
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import processes
from ansible_collections.inferops.gpu.plugins.module_utils.host.server import health, readiness
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import Server
from ansible_collections.inferops.gpu.plugins.modules import model_server_info

Call = Callable[..., dict[str, Any]]

METRICS = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="a"} 3.0
vllm:num_requests_running{engine="1",model_name="a"} 2.0
vllm:num_requests_waiting{engine="0",model_name="a"} 7.0
vllm:kv_cache_usage_perc{engine="0",model_name="a"} 0.4
vllm:kv_cache_usage_perc{engine="1",model_name="a"} 0.9
vllm:prompt_tokens_total{engine="0",model_name="a"} 1.5e+06
vllm:generation_tokens_total{engine="0",model_name="a"} 42.0
vllm:generation_tokens_created{engine="0",model_name="a"} 1.7e+09
"""


def test_figures_of_several_engines_behind_one_port_are_put_together() -> None:
    assert metrics.parse(METRICS) == Sample(5, 7, 0.9, 1.5e6, 42)


def test_the_name_of_an_older_version_is_known_and_what_is_missing_is_not_a_number() -> None:
    old = 'vllm:gpu_cache_usage_perc{model_name="a"} 0.5\nvllm:num_requests_swapped 1\n'
    assert metrics.parse(old) == Sample(kv_cache_usage=0.5)
    assert metrics.parse("<html>not metrics</html>") == Sample()


class Readings:
    """Samples one after the other, the last one for ever, and a clock that sleeping moves."""

    def __init__(self, *samples: Sample) -> None:
        self.samples, self.now = list(samples), 0.0

    def read(self) -> Sample:
        return self.samples.pop(0) if len(self.samples) > 1 else self.samples[0]

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def watch(self) -> health.Flow:
        return health.watch(self.read, 60, clock=lambda: self.now, sleep=self.sleep)


@pytest.mark.parametrize(
    ("samples", "state", "seconds"),
    [
        ([Sample(2, 0, generation_tokens=5), Sample(2, 0, generation_tokens=9)], "moving", 2),
        # Reading a long prompt counts as work, and may take a while until it is counted.
        (
            [Sample(1, 0, prompt_tokens=5)] * 20 + [Sample(1, 0, prompt_tokens=90_000)],
            "moving",
            40,
        ),
        ([Sample(0, 0, generation_tokens=5)], "idle", 2),
        ([Sample(3, 1, generation_tokens=5)], "stalled", 60),
        # Nothing is scheduled although requests wait.
        ([Sample(0, 4, generation_tokens=5)], "stalled", 60),
        ([Sample(1, 0, generation_tokens=5), Sample(0, 0, generation_tokens=5)], "idle", 2),
    ],
)
def test_only_requests_without_any_token_for_long_are_a_stall(
    samples: list[Sample], state: str, seconds: float
) -> None:
    flow = Readings(*samples).watch()
    assert (flow.state, flow.seconds) == (state, seconds)


@pytest.fixture
def hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file that makes the stand-in hang; intervals are short here."""
    monkeypatch.setattr(health, "INTERVAL_SECONDS", 0.2)
    file = tmp_path / "hang"
    yield file
    file.unlink(missing_ok=True)


@pytest.fixture
def ask(run_module: Call, home: Path) -> Callable[[str], dict[str, Any]]:
    """What model_server_info says about the server, with short limits."""

    def call(mode: str) -> dict[str, Any]:
        options = {"name": "main", "home": str(home), "stall_seconds": 1, "canary_seconds": 1}
        (seen,) = run_module(model_server_info, health_check=mode, **options)["servers"]
        return dict(seen)

    return call


def ask_in_background(port: int) -> threading.Thread:
    """A client's request, whose answer nobody waits for."""

    def send() -> None:
        body = {"model": "tiny/model", "prompt": "Hello"}
        client = Client("127.0.0.1", port, "key-of-clients")
        client.call("POST", "/v1/completions", body, 20)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


@pytest.mark.vllm
def test_an_idle_server_is_unproven_until_its_canary_comes_back(
    start: Call, ask: Call, hang: Path
) -> None:
    start(api_key="key-of-clients")
    assert ask("quick")["health"]["state"] == "unproven"
    seen = ask("canary")["health"]
    assert seen["state"] == "serving"
    assert seen["canary_seconds"] >= 0
    assert (seen["requests_running"], seen["kv_cache_usage"]) == (0, 0.25)


@pytest.mark.vllm
def test_an_idle_server_that_cannot_generate_hangs_although_its_health_is_green(
    start: Call, ask: Call, hang: Path, free_port: int
) -> None:
    start(fake={"FAKE_HANG_FILE": str(hang)})
    hang.touch()
    assert Client("127.0.0.1", free_port, None).fetch("GET", "/health") == b""
    seen = ask("canary")["health"]
    assert seen["state"] == "hung"
    assert "gave no answer within 1 s" in seen["reason"]


@pytest.mark.vllm
def test_a_busy_server_without_progress_hangs_and_no_canary_is_needed(
    start: Call, ask: Call, hang: Path, free_port: int
) -> None:
    start(fake={"FAKE_HANG_FILE": str(hang)}, api_key="key-of-clients")
    hang.touch()
    client = ask_in_background(free_port)
    try:
        seen = ask("quick")["health"]
    finally:
        hang.unlink()
        client.join()
    assert seen["state"] == "hung"
    assert "1 requests pending and no token" in seen["reason"]
    assert seen["requests_running"] == 1
    assert seen["tokens_per_second"] == 0


@pytest.mark.vllm
def test_a_frozen_main_process_does_not_answer(
    start: Call, ask: Call, hang: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    start()
    monkeypatch.setattr(readiness, "QUICK_SECONDS", 0.5)
    for process in server.processes():
        processes.send_signal(process, signal.SIGSTOP)
    seen = ask("quick")["health"]
    for process in server.processes():
        processes.send_signal(process, signal.SIGCONT)
    assert seen["state"] == "not_answering"
    assert "/metrics gave no answer" in seen["reason"]


def test_a_server_that_died_does_not_run_and_a_stranger_on_its_port_is_named(
    start: Call, stop: Call, ask: Call, free_port: int, hang: Path
) -> None:
    start()
    stop()
    assert ask("canary")["health"]["state"] == "not_running"
    with socket.create_server(("127.0.0.1", free_port)):
        seen = ask("canary")["health"]
    assert seen["reason"] == "requested"
    assert [owner["pid"] for owner in seen["port_owners"]] == [os.getpid()]
    assert seen["free_port"] not in (None, free_port)


def test_a_server_that_loads_is_not_called_sick(start: Call, ask: Call, hang: Path) -> None:
    start(wait=False, fake={"FAKE_START_SECONDS": "30"})
    assert ask("canary")["health"]["state"] == "starting"


def test_what_a_server_was_asked_for_is_told_without_its_secrets(
    start: Call, ask: Call, key_variable: str
) -> None:
    start(
        api_key="key-of-clients",
        arguments={"max_model_len": 512, "enforce_eager": True, "stop_words": ["a", "b"]},
        fake={"HF_TOKEN": "hf_secret"},
    )
    seen = ask("none")
    spec = seen["spec"]
    assert spec["arguments"] == {
        "max_model_len": 512,
        "enforce_eager": True,
        "stop_words": ["a", "b"],
    }
    assert {"HF_TOKEN", key_variable} < set(spec["environment_names"])
    assert "hf_secret" not in str(seen)
    assert "health" not in seen


def test_a_server_can_be_started_again_with_the_secrets_that_it_has(
    start: Call, server: Server, key_variable: str
) -> None:
    first = start(api_key="key-of-clients", fake={"A": "1", "B": "2"})
    again = start(keep_environment=True, environment={"B": None, "C": "3"})
    assert again["changed"]
    assert again["server"]["pid"] != first["server"]["pid"]
    kept = server.environment()
    assert (kept[key_variable], kept["A"], kept["C"]) == ("key-of-clients", "1", "3")
    assert "B" not in kept
    assert not start(keep_environment=True, environment={})["changed"]


def test_load_heat_and_throttling_of_each_gpu_are_read() -> None:
    output = (
        "0, 97, 71, 21504, 24564, 0x0000000000000004\n1, 3, 88, 9, 24564, 0x0000000000000061\n"
        "2, [N/A], [N/A], [N/A], [N/A], [N/A]\n"
    )
    first, second, third = activity.parse(output)
    assert first == {
        "index": 0,
        "utilization_percent": 97,
        "temperature_celsius": 71,
        "memory_used_mib": 21504,
        "memory_total_mib": 24564,
        "throttled_by": ["power"],
    }
    assert second["throttled_by"] == ["heat"]
    assert set(third.values()) == {2, None}
    assert activity.parse("No devices were found") == []
