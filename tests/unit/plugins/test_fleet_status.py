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
PROXY = {
    "name": "main",
    "phase": "running",
    "reason": None,
    "port": 8000,
    "supervised": True,
    "servers": [],
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
    proxy = {**PROXY, "servers": behind}
    found = {"servers": [server], "proxies": [proxy]}
    told = fleet({"gpu-1": {"rental": RENTAL, "found": found}})
    line = "proxy main: running on port 8000; main UP, 3 sessions; small DRAIN (agent), 0 sessions"
    assert told["servers"][1:] == [f"gpu-1/{line}"]
    (shown,) = told["report"]["hosts"]["gpu-1"]["proxies"]
    assert (shown["line"], shown["servers"], shown["lets_in"]) == (line, behind, True)
    ended = {**PROXY, "phase": "stopped", "reason": "token=abcdefghijkl", "log_path": "/p"}
    told = fleet({"gpu-1": {"rental": RENTAL, "found": {**found, "proxies": [ended]}}})
    (line,) = told["servers"][1:]
    assert line.startswith("gpu-1/proxy main: stopped (token=")
    assert line.endswith(" on port 8000; clients do not get in: deploy again")
    assert "abcdefghijkl" not in str(told)


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
    assert list(told["report"]["hosts"]) == [f"gpu-{number}" for number in range(1, 7)]
    verdicts = {name: one["verdict"] for name, one in told["report"]["verdicts"].items()}
    assert verdicts == {
        "gpu-1": "not rented",
        "gpu-2": "starting",
        "gpu-3": "unreachable",
        "gpu-4": "unreachable",
        "gpu-5": "no server",
        "gpu-6": "unknown",
    }


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


def verdict(seen: dict[str, Any], *rentals: Any, **asked: Any) -> dict[str, Any]:
    hosts = {"gpu-1": {"name": "gpu-1", "rental": RENTAL, **seen}}
    told = fleet_status({"scope": "prod", "rentals": list(rentals), "hosts": hosts, **asked})
    found = told["report"]["verdicts"]["gpu-1"]
    line = f"gpu-1: {found['verdict']} ({found['why']}). {found['next']}"
    assert (line in told["next"]) == (found["level"] in ("bad", "warn"))
    return dict(found)


def server(state: str, reason: str = "so", **changes: Any) -> dict[str, Any]:
    health = {"state": state, "reason": reason}
    return {"found": {"servers": [{**SERVER, "ready_at": 1.0, "health": health, **changes}]}}


SERVING = server("serving", "tokens flow")


def test_a_host_that_serves_needs_nobody() -> None:
    found = verdict(SERVING, RENTAL, warn_hours=2)
    assert (found["verdict"], found["level"], found["next"]) == ("serving", "ok", "")
    assert found["notes"] == []


@pytest.mark.parametrize(
    ("seen", "word", "level", "step"),
    [
        (server("hung"), "hung", "bad", "inferops.gpu.recover"),
        (server("not_answering"), "not answering", "bad", "inferops.gpu.recover"),
        (server("starting", phase="starting"), "starting", "busy", ""),
        (server("unproven"), "unproven", "ok", "status_health_check=canary"),
        (server("busy"), "busy", "ok", "status_health_check=canary"),
        (server("not_running", phase="stopped"), "stopped", "off", "inferops.gpu.deploy"),
        (server("of_a_later_release"), "of a later release", "bad", "inferops.gpu.recover"),
        (server("serving", supervised=False), "unsupervised", "warn", "deploy again"),
    ],
)
def test_each_state_has_its_verdict_and_next_step(
    seen: dict[str, Any], word: str, level: str, step: str
) -> None:
    found = verdict(seen, RENTAL)
    assert (found["verdict"], found["level"]) == (word, level)
    assert step in found["next"]


@pytest.mark.parametrize(
    ("changes", "word", "level"),
    [
        ({}, "serving", "ok"),
        ({"phase": "stopped"}, "closed", "bad"),
        ({"phase": "starting"}, "starting", "busy"),
        ({"supervised": False}, "unsupervised", "warn"),
        # One of the user's own is not before this server.
        ({"name": "other", "phase": "stopped"}, "serving", "ok"),
    ],
)
def test_a_server_that_clients_do_not_get_in_to_needs_somebody(
    changes: dict[str, Any], word: str, level: str
) -> None:
    found = {**SERVING["found"], "proxies": [{**PROXY, **changes}]}
    told = verdict({"found": found}, RENTAL)
    assert (told["verdict"], told["level"]) == (word, level)
    assert ("inferops.gpu.deploy puts it right" in told["next"]) == (level in ("bad", "warn"))


def behind(**status: str) -> dict[str, Any]:
    servers = [{"name": name, "status": said, "sessions": 0} for name, said in status.items()]
    return {"found": {"servers": [], "proxies": [{**PROXY, "servers": servers}]}}


@pytest.mark.parametrize(
    ("seen", "word", "level", "why"),
    [
        (behind(one="UP", two="UP 1/2"), "serving", "ok", "all of its servers"),
        (behind(one="UP", two="DRAIN (agent)"), "servers away", "warn", "two takes no requests"),
        (behind(one="DOWN", two="DRAIN"), "no server", "bad", "none of its servers"),
        ({"found": {"servers": []}}, "no gateway", "warn", "no gateway was made here"),
        ({"found": {"msg": "no route"}}, "unreachable", "bad", "it does not answer: no route"),
    ],
)
def test_a_gateway_is_told_by_the_servers_behind_it(
    seen: dict[str, Any], word: str, level: str, why: str
) -> None:
    told = verdict({**seen, "gateway": True, "rental": {}})
    assert (told["verdict"], told["level"]) == (word, level)
    assert why in told["why"]
    assert "deploy" not in told["next"]


def test_a_gateway_that_lets_nobody_in_or_that_nobody_keeps_needs_somebody() -> None:
    one = behind(one="UP")["found"]["proxies"][0]
    for changes, word in (
        ({"phase": "stopped"}, "closed"),
        ({"phase": "starting"}, "starting"),
        ({"supervised": False}, "unsupervised"),
    ):
        found = {"servers": [], "proxies": [{**one, **changes}]}
        assert verdict({"found": found, "gateway": True, "rental": {}})["verdict"] == word


def test_a_server_that_stands_alone_where_a_proxy_was_meant_needs_somebody() -> None:
    meant = server("serving", spec={"arguments": {}, "proxy_port": 8000})
    told = verdict(meant, RENTAL)
    assert (told["verdict"], told["why"]) == ("closed", "no proxy is before the server")
    ended = server("not_running", phase="stopped", spec=meant["found"]["servers"][0]["spec"])
    assert verdict(ended, RENTAL)["verdict"] == "stopped"


@pytest.mark.parametrize(
    ("change", "word", "step"),
    [
        ({"remaining_seconds": 3600}, "ends soon", "inferops.gpu.extend renews it"),
        ({"contract_remaining_seconds": 3600}, "ends soon", "its owner wants it back"),
        ({"remaining_seconds": -1}, "overdue", "inferops.gpu.reap"),
        ({"remaining_seconds": None}, "no deadline", "inferops.gpu.extend sets one"),
        ({"status": "failed", "status_text": "exited"}, "lost", "inferops.gpu.deploy"),
        ({"status": "unreadable"}, "may bill", "look at it at its provider"),
    ],
)
def test_money_comes_before_a_server_that_serves(
    change: dict[str, Any], word: str, step: str
) -> None:
    found = verdict(SERVING, {**RENTAL, **change}, warn_hours=2)
    assert found["verdict"] == word
    assert step in found["next"]
    assert [one["verdict"] for one in found["notes"]] == ["serving"]


def test_a_deadline_that_nobody_enforces_needs_somebody() -> None:
    rental = {**RENTAL, "enforced_by": "nobody"}
    assert verdict(SERVING, rental)["verdict"] == "nobody ends it"
    assert verdict(SERVING, rental, reaper=True)["verdict"] == "serving"


@pytest.mark.parametrize(("said", "told"), [("no", "nobody ends it"), ("yes", "serving")])
def test_a_reaper_that_is_told_as_text_is_what_the_text_says(said: str, told: str) -> None:
    rental = {**RENTAL, "enforced_by": "nobody"}
    assert verdict(SERVING, rental, reaper=said)["verdict"] == told


def test_a_name_that_bills_twice_needs_somebody() -> None:
    found = verdict(SERVING, RENTAL, {**RENTAL, "id": "8"})
    assert (found["verdict"], found["level"]) == ("rented twice", "bad")
    assert found["why"] == "8 bill as well as 7, under the same name"


@pytest.mark.parametrize(
    ("limits", "word"),
    [
        ({"budget_usd": 0, "price_usd_per_hour": 0}, "serving"),
        ({"budget_usd": "0.72"}, "serving"),
        ({"budget_usd": "0.5"}, "over budget"),
        ({"price_usd_per_hour": 0.36}, "serving"),
        ({"price_usd_per_hour": 0.35}, "over budget"),
        ({"price_usd_per_hour": "odd"}, "serving"),
    ],
)
def test_a_host_that_costs_more_than_it_was_rented_for_is_over_budget(
    limits: dict[str, Any], word: str
) -> None:
    assert verdict({**SERVING, "limits": limits}, RENTAL)["verdict"] == word


def test_a_rental_that_the_inventory_does_not_name_is_an_orphan() -> None:
    asked = {"scope": "prod", "rentals": [RENTAL], "hosts": {}}
    found = fleet_status({**asked, "named": ["gpu-2"]})
    assert found["report"]["verdicts"]["gpu-1"]["verdict"] == "orphan"
    assert found["next"][0].startswith("gpu-1: orphan (the inventory does not name it). Name it")
    # Under --limit the inventory names what this run does not look at.
    found = fleet_status({**asked, "named": ["gpu-1"]})
    assert found["report"]["verdicts"]["gpu-1"]["verdict"] == "not looked at"
    assert found["next"] == []


def test_a_host_finds_its_rental_by_the_name_that_it_was_given() -> None:
    hosts = {"a": {"name": "gpu-1", "rental": RENTAL, **SERVING}}
    asked = {"scope": "prod", "rentals": [{**RENTAL, "remaining_seconds": -1}], "hosts": hosts}
    verdicts = fleet_status({**asked, "named": ["a", "gpu-1"]})["report"]["verdicts"]
    assert {name: one["verdict"] for name, one in verdicts.items()} == {"a": "overdue"}


def test_a_host_of_ones_own_has_no_bill_to_judge() -> None:
    found = verdict({**SERVING, "rental": {"own": True, "status": "running"}}, warn_hours=2)
    assert found["verdict"] == "serving"
    assert found["notes"] == []


@pytest.mark.parametrize(
    "health", [{}, {"state": "serving", "reason": "x", "gpus": [7]}, None, {"state": 7}]
)
def test_a_host_that_answers_oddly_takes_no_other_line_away(health: Any) -> None:
    odd = {"servers": [{**SERVER, "ready_at": 1.0, "health": health}]}
    hosts = {"gpu-1": {"rental": RENTAL, "found": odd}, "gpu-2": {"rental": RENTAL, **SERVING}}
    told = fleet(hosts, RENTAL)
    assert told["servers"][0] == "gpu-1: it answers what no module of this collection answers"
    assert told["servers"][1].startswith("gpu-2/main: running, serving")
    assert told["report"]["verdicts"]["gpu-1"]["verdict"] == "odd answer"
