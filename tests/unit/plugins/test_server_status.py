# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One line tells how a server does, why it ended, and what would make it faster."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.inferops.gpu.plugins.filter.server_status import server_status

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
}


def status(health: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return server_status({**SERVER, "ready_at": time.time() - 7200, "health": health, **changes})


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
        log_tail=log,
    )
    assert "main: stopped, not running (crashed)" in dead["line"]
    assert "The GPU ran out of memory" in dead["line"]
    assert dead["failure"]["cause_id"] == "gpu_out_of_memory"
    assert dead["uptime_seconds"] is None


def test_a_server_that_could_not_even_be_run_is_explained_by_its_record() -> None:
    reason = "it cannot be run here: [Errno 28] No space left on device"
    health = {"state": "not_running", "reason": reason}
    dead = status(health, phase="error", reason=reason, log_tail=[])
    assert dead["failure"]["cause_id"] == "disk_full"


def test_a_server_that_was_stopped_on_request_has_not_failed() -> None:
    log = ["RuntimeError: Engine core initialization failed."]
    stopped = status(
        {"state": "not_running", "reason": "requested"},
        phase="stopped",
        reason="requested",
        log_tail=log,
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
