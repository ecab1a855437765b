# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A line for each rental and each server: what it costs, how it does, why it ended, what helps."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.filter.fleet_status import fleet_status

SERVER = {
    "name": "main",
    "phase": "running",
    "reason": None,
    "model": "org/model",
    "port": 8000,
    "exit_code": None,
    "signal": None,
    "supervised": True,
    "spec": {"arguments": {}},
    "symptoms": None,
}
RENTAL = {
    "id": "7",
    "mark": {"name": "gpu-1"},
    "provider": "vastai",
    "status_text": "running",
    "gpu_count": 2,
    "gpu_name": "RTX 4090",
    "billed_usd_per_hour": 0.36,
    "cost_usd": 0.72,
    "remaining_seconds": 79_200,
    "contract_remaining_seconds": 2_000_000,
    "enforced_by": "host",
}


def fleet(hosts: dict[str, Any], *rentals: Any) -> dict[str, Any]:
    return fleet_status({"scope": "prod", "rentals": list(rentals), "hosts": hosts})


def status(health: dict[str, Any], **changes: Any) -> dict[str, Any]:
    server = {**SERVER, "ready_at": time.time() - 7200, "health": health, **changes}
    told = fleet({"gpu-1": {"rental": RENTAL, "found": {"servers": [server]}}})
    (shown,) = told["report"]["hosts"]["gpu-1"]["servers"]
    assert told["servers"] == [f"gpu-1/{shown['line']}"]
    return dict(shown)


def test_a_proxy_is_a_line_with_each_engine_behind_it() -> None:
    health = {"state": "serving", "reason": "tokens flow"}
    server = {**SERVER, "ready_at": time.time(), "health": health, "port": 8001}
    behind = [
        {"name": "main", "status": "UP", "sessions": 3},
        {"name": "small", "status": "DRAIN (agent)", "sessions": 0},
    ]
    proxy = {"name": "main", "phase": "running", "reason": None, "port": 8000, "servers": behind}
    found = {"servers": [server], "proxies": [proxy]}
    told = fleet({"gpu-1": {"rental": RENTAL, "found": found}})
    line = "proxy main: running on port 8000; main UP, 3 sessions; small DRAIN (agent), 0 sessions"
    assert told["servers"][1:] == [f"gpu-1/{line}"]
    assert told["report"]["hosts"]["gpu-1"]["proxies"] == [{**proxy, "line": line}]
    ended = {**proxy, "phase": "stopped", "reason": "crashed", "servers": []}
    told = fleet({"gpu-1": {"rental": RENTAL, "found": {**found, "proxies": [ended]}}})
    assert told["servers"][1:] == ["gpu-1/proxy main: stopped (crashed) on port 8000"]


def test_a_rental_shows_its_price_and_who_ends_it_when() -> None:
    assert fleet({}, RENTAL, {**RENTAL, "cost_usd": 1})["rentals"] == [
        "gpu-1: rental 7 of vastai is running; 2 x RTX 4090; 0.3600 dollars per hour, 0.7200 so "
        "far; ends in 22.0 hours, by the switch that was sent along with its rental request",
        "gpu-1: rental 7 of vastai is running; 2 x RTX 4090; 0.3600 dollars per hour, 1.0000 so "
        "far; ends in 22.0 hours, by the switch that was sent along with its rental request",
        "Scope prod: 2 rentals, 0.7200 dollars per hour.",
    ]
    assert fleet({})["rentals"] == ["Scope prod: 0 rentals, 0.0000 dollars per hour."]


def test_a_price_that_is_not_told_is_said_to_be_unknown() -> None:
    untold = {**RENTAL, "billed_usd_per_hour": None}
    told = fleet({}, untold, RENTAL)["rentals"]
    assert "2 x RTX 4090; price not told, 0.7200 so far" in told[0]
    assert told[-1] == "Scope prod: 2 rentals, at least 0.3600 dollars per hour."


@pytest.mark.parametrize(
    ("left", "enforced_by", "words"),
    [
        (None, "host", "its contract ends in 555.6 hours"),
        (-1, "host", "PAST its deadline"),
        (0, "provider", "ends in 0.0 hours, by its provider"),
        (3600, "nobody", "ends in 1.0 hours, by nobody but playbook inferops.gpu.reap"),
    ],
)
def test_a_rental_says_whether_it_ends(left: float | None, enforced_by: str, words: str) -> None:
    told = fleet({}, {**RENTAL, "remaining_seconds": left, "enforced_by": enforced_by})
    assert told["rentals"][0].endswith(f"so far; {words}")


def test_a_contract_that_ends_before_the_deadline_is_told() -> None:
    told = fleet({}, {**RENTAL, "contract_remaining_seconds": 7200})
    assert told["rentals"][0].endswith("its contract ends in 2.0 hours")


def test_a_host_of_which_nothing_is_known_says_why_and_takes_no_other_line_away() -> None:
    hosts = {
        "gpu-1": {"rental": {}, "found": {"skipped": True}},
        "gpu-2": {"rental": RENTAL, "found": {"skipped": True}},
        "gpu-3": {"rental": RENTAL, "found": {"unreachable": True, "msg": "no route"}},
        "gpu-4": {"rental": RENTAL, "found": {}},
        "gpu-5": {"rental": RENTAL, "found": {"servers": []}},
        "gpu-6": {},
    }
    told = fleet(hosts)
    assert told["servers"] == [
        "gpu-1: nothing is rented under this name",
        "gpu-2: its rental has no address yet",
        "gpu-3: it does not answer: no route",
        "gpu-4: it does not answer: no message",
        "gpu-5: no server was started here",
        "gpu-6: it could not be looked up",
    ]
    assert list(told["report"]["hosts"]) == ["gpu-1", "gpu-2", "gpu-3", "gpu-4", "gpu-5"]


def test_what_is_told_of_a_host_holds_no_token() -> None:
    refused = {"msg": "Authorization: Bearer abcdefghijkl"}
    told = fleet({"gpu-1": {"rental": RENTAL, "found": refused}})
    assert told["servers"] == ["gpu-1: it does not answer: Authorization: Bearer (redacted)"]
    assert "abcdefghijkl" not in str(told["report"])
    shown = status({"state": "not_answering", "reason": "Bearer abcdefghijkl is refused"})
    assert shown["reason"] == "Bearer (redacted) is refused"
    assert "abcdefghijkl" not in str(shown)


def test_a_serving_server_shows_its_figures() -> None:
    health = {
        "state": "serving",
        "reason": "tokens flow",
        "tokens_per_second": 812.5,
        "requests_running": 12.0,
        "requests_waiting": 0.0,
        "kv_cache_usage": 0.31,
    }
    assert status(health)["line"] == (
        "main: running, serving (tokens flow); org/model on port 8000; up 2.0 h; 812.5 tokens/s; "
        "12 running, 0 waiting; KV cache 31 %"
    )


def test_a_server_that_lost_its_supervisor_says_what_to_do() -> None:
    health = {"state": "serving", "reason": "tokens flow"}
    assert "nothing starts it again" in status(health, supervised=False)["line"]
    assert "nothing starts it again" not in status(health)["line"]


def test_a_dead_server_says_why_without_its_secrets() -> None:
    log = ["HF_TOKEN=abcdefgh", "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1"]
    dead = status(
        {"state": "not_running", "reason": "crashed"},
        phase="stopped",
        reason="crashed",
        exit_code=1,
        symptoms={"log": "\n".join(log), "reason": "crashed", "exit_code": 1},
    )
    assert "main: stopped, not running (crashed)" in dead["line"]
    assert "The GPU ran out of memory" in dead["line"]
    assert dead["failure"]["cause_id"] == "gpu_out_of_memory"
    assert dead["uptime_seconds"] is None


def test_a_server_that_could_not_even_be_run_is_explained_by_its_record() -> None:
    reason = "it cannot be run here: [Errno 28] No space left on device"
    health = {"state": "not_running", "reason": reason}
    dead = status(health, phase="error", reason=reason, symptoms={"reason": reason})
    assert dead["failure"]["cause_id"] == "disk_full"


def test_a_server_that_was_stopped_on_request_has_not_failed() -> None:
    log = ["RuntimeError: Engine core initialization failed."]
    stopped = status(
        {"state": "not_running", "reason": "requested"},
        phase="stopped",
        reason="requested",
        symptoms={"log": "\n".join(log), "reason": "requested"},
    )
    assert stopped["failure"] == {}


def test_a_slow_server_names_its_lever() -> None:
    health = {
        "state": "serving",
        "reason": "tokens flow",
        "requests_running": 4.0,
        "requests_waiting": 9.0,
        "kv_cache_usage": 0.97,
    }
    slow = status(health)
    assert [lever["id"] for lever in slow["levers"]] == ["cache_full"]
    assert "Lower max_model_len" in slow["line"]
