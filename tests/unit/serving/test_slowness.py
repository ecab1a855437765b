# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A slow server names the lever that helps, and a healthy one names none."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.serving.slowness import levers

GPU = {"utilization_percent": 95, "temperature_celsius": 70, "throttled_by": []}
BUSY = {
    "state": "serving",
    "tokens_per_second": 800.0,
    "requests_running": 16.0,
    "requests_waiting": 0.0,
    "kv_cache_usage": 0.5,
    "preemptions": 0.0,
    "gpus": [GPU],
}


def found(gpus: list[dict[str, Any]] | None = None, eager: bool = False, **health: Any) -> Any:
    figures = {**BUSY, **health, "gpus": [GPU] if gpus is None else gpus}
    return levers(figures, {"enforce_eager": True} if eager else {})


def test_a_busy_server_that_keeps_up_has_no_lever_to_pull() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("figures", "lever", "said"),
    [
        ({"requests_waiting": 9.0, "kv_cache_usage": 0.97}, "cache_full", "max_model_len"),
        ({"preemptions": 4.0, "kv_cache_usage": 0.95}, "preempted", "max_num_seqs"),
        ({"requests_waiting": 9.0}, "batch_small", "Raise max_num_seqs"),
        ({"gpus": [{**GPU, "utilization_percent": 12}]}, "client", "The client is the limit"),
        ({"tokens_per_second": 40.0}, "model_large", "quantised"),
        ({"gpus": [{**GPU, "temperature_celsius": 88}]}, "hot", "another host"),
        ({"gpus": [{**GPU, "throttled_by": ["heat"]}]}, "throttled_by_heat", "another host"),
        ({"gpus": [{**GPU, "throttled_by": ["hardware"]}]}, "throttled_by_hardware", "power"),
    ],
)
def test_each_sign_names_its_lever(figures: dict[str, Any], lever: str, said: str) -> None:
    (named,) = found(**figures)
    assert named["id"] == lever
    assert said in named["help"]
    assert "{" not in named["seen"]


def test_a_gpu_at_its_power_limit_is_slow_only_when_its_requests_are() -> None:
    limited = [{**GPU, "throttled_by": ["power"]}]
    assert found(gpus=limited) == []
    slow = [lever["id"] for lever in found(gpus=limited, tokens_per_second=40.0)]
    assert slow == ["model_large", "throttled_by_power"]


def test_a_server_without_graphs_is_told_so_when_it_is_slow() -> None:
    assert found(eager=True) == []
    slow = [lever["id"] for lever in found(eager=True, tokens_per_second=16.0, gpus=[])]
    assert slow == ["no_graphs"]


def test_what_is_not_known_proves_nothing() -> None:
    assert levers({"state": "serving"}, {}) == []
    assert levers({"state": "hung", "requests_waiting": 3.0, "kv_cache_usage": None}, {}) == []
    unknown = {"utilization_percent": None, "temperature_celsius": None, "throttled_by": None}
    assert found(gpus=[unknown]) == []


def test_the_hottest_gpu_and_the_idlest_count() -> None:
    gpus = [GPU, {**GPU, "utilization_percent": 5}, {**GPU, "temperature_celsius": 91}]
    assert [lever["id"] for lever in found(gpus=gpus)] == ["client", "hot"]
