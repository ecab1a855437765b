# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recover decides: the next step, what it changes, whether it may be taken, what is reported."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ansible_collections.inferops.gpu.plugins.module_utils.serving.recovery import (
    Case,
    decide,
    for_inventory,
)

SPEC = {
    "model": "org/large",
    "served_model_name": None,
    "port": 8000,
    "arguments": {"max_model_len": "8192"},
    "suggested_arguments": {"gpu_memory_utilization": "0.9"},
    "environment_names": ["HF_TOKEN"],
}
PROXY = {
    "name": "main",
    "phase": "running",
    "reason": None,
    "port": 8000,
    "supervised": True,
    "servers": [],
}
OUT_OF_MEMORY = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.71 GiB."
GPU = {"memory_total_mib": 24000, "memory_free_mib": 23800, "memory_used_mib": 200, "processes": []}


def server(log: str = OUT_OF_MEMORY, **changes: Any) -> dict[str, Any]:
    """One that died while it started."""
    return {
        "name": "main",
        "phase": "error",
        "processes": 0,
        "spec": SPEC,
        "health": {"state": "not_running", "reason": "died during startup"},
        "symptoms": {"log": log, "exit_code": 1},
        **changes,
    }


SERVES = server(
    phase="running", health={"state": "serving", "reason": "tokens flow"}, symptoms=None
)
BESIDE = [
    {"name": "main", "phase": "error", "processes": 0},
    {"name": "old", "phase": "stopped", "processes": 2},
    {"name": "other", "phase": "running", "processes": 4},
]


def verdict(seen: dict[str, Any] | None = None, **known: Any) -> dict[str, Any]:
    """What is decided of a server that may be mended by any step without consent."""
    return decide(Case(**{"server": seen or server(), "gpus": [GPU], "apply": True, **known}))


def taken(
    found: dict[str, Any], helped: bool = False, failure: Any = None, message: str = "it died"
) -> dict[str, Any]:
    """The step that was decided on, as the role remembers it."""
    outcome = {"helped": helped, "message": message, "failure": failure or {}, "seconds": 1.5}
    return {**found["step"], **outcome}


def test_the_first_step_that_needs_no_consent_is_taken_with_all_that_it_changes() -> None:
    found = verdict()
    assert found["failure"]["cause_id"] == "gpu_out_of_memory"
    assert found["step"]["id"] == found["plan"][0]["id"] == "fit_gpu_memory_utilization"
    assert found["step"]["stop"] == ["main"]
    assert found["step"]["start"] == {
        "model": "org/large",
        "port": 8000,
        "arguments": {"max_model_len": "8192", "gpu_memory_utilization": 0.8},
        "environment": {},
    }


def test_a_step_that_needs_consent_is_shown_and_left_out() -> None:
    ladder = [{"model": "org/small"}]
    gated = server("OSError: You are trying to access a gated repo.")
    found = verdict(gated, ladder=ladder)
    assert [step["needs"] for step in found["plan"]][:2] == ["a person", "model in recover_allow"]
    assert found["step"] == {}
    assert verdict(gated, ladder=ladder, allowed=["download"])["step"] == {}
    allowed = verdict(gated, ladder=ladder, allowed=["model"])
    assert allowed["step"]["start"]["model"] == "org/small"
    assert "2. smaller_model: The next model of your ladder. Model: org/small." in allowed["shown"]


@pytest.mark.parametrize(
    "known",
    [
        {"apply": False},
        {"max_steps": 0},
        {"limit_seconds": 60, "elapsed_seconds": 60},
    ],
)
def test_no_step_is_taken_beyond_what_was_asked_for(known: dict[str, Any]) -> None:
    assert verdict(**known)["step"] == {}


def test_the_proxy_before_a_server_is_shown_and_stays_where_clients_find_it() -> None:
    behind = [{"name": "main", "status": "DOWN", "sessions": 0}]
    proxy = {**PROXY, "servers": behind}
    line = "Before it is proxy main: running on port 8000; main DOWN, 0 sessions."
    spec = {**SPEC, "port": 8001, "proxy_port": 8000, "arguments": {"max_num_seqs": "4"}}
    found = verdict(server(spec=spec), proxies=[proxy])
    assert line in found["shown"]
    report = found["report"]
    assert (report["port"], report["proxy_port"], report["max_connections"]) == (8001, 8000, 4)
    assert report["proxied"]
    assert not verdict(server(spec=spec))["report"]["proxied"]
    healthy = "Server main is healthy: tokens flow."
    assert verdict(SERVES, proxies=[proxy])["shown"] == [f"{healthy} Nothing to do.", line]
    assert verdict(SERVES)["report"]["proxy_port"] is None


def test_a_server_that_serves_behind_a_proxy_that_does_not_is_not_called_well() -> None:
    healthy = "Server main is healthy: tokens flow."
    ended = {**PROXY, "phase": "stopped", "reason": "crashed", "supervised": False}
    line = "proxy main: stopped (crashed) on port 8000; clients do not get in: deploy again"
    assert verdict(SERVES, proxies=[ended])["shown"] == [healthy, f"Before it is {line}."]
    alone = {**SERVES, "spec": {**SPEC, "proxy_port": 8000}}
    assert verdict(alone)["shown"] == [
        healthy,
        "Clients reach it by a proxy alone, and none is there: deploy again.",
    ]


def test_a_server_that_serves_is_left_alone() -> None:
    found = verdict(SERVES)
    assert (found["step"], found["plan"], found["error"]) == ({}, [], "")
    assert found["shown"] == ["Server main is healthy: tokens flow. Nothing to do."]
    assert found["report"]["mended"]


def test_a_step_that_helped_is_the_last_one_whatever_a_later_look_says() -> None:
    tried = [taken(verdict(), helped=True)]
    found = verdict(tried=tried, first=SPEC)
    assert found["step"] == {}
    assert "still does not serve after 1 steps" in found["error"]


@pytest.mark.parametrize("most", [4, 50])
def test_steps_differ_and_end(most: int) -> None:
    tried: list[dict[str, Any]] = []
    while (found := verdict(tried=tried, first=SPEC, max_steps=most))["step"]:
        tried.append(taken(found))
        assert len(tried) <= min(most, 20)
    assert len({step["key"] for step in tried}) == len(tried) >= 4
    assert tried[-1]["id"] == "complete_reset"


def test_why_the_last_step_failed_says_more_than_the_log_of_before() -> None:
    taking = verdict()
    port = {
        "cause_id": "port_taken",
        "change": "port",
        "cause": "It is taken.",
        "remedy": "Take another.",
        "evidence": [],
    }
    found = verdict(tried=[taken(taking, failure=port)], first=SPEC)
    assert found["failure"]["cause_id"] == "port_taken"
    again = verdict(tried=[taken(taking)], first=SPEC)
    assert again["failure"]["cause_id"] == "gpu_out_of_memory"


def test_a_start_that_goes_on_is_followed_and_not_ended() -> None:
    starts = server(phase="starting", health={"state": "starting", "reason": "loading"})
    found = verdict(starts)
    assert (found["step"]["id"], found["step"]["stop"]) == ("wait", [])


def test_orphans_that_hold_memory_end_first() -> None:
    found = verdict(servers=BESIDE)
    assert (found["step"]["id"], found["step"]["stop"]) == ("sweep_orphans", ["main", "old"])


@pytest.mark.parametrize(
    ("allowed", "stopped"),
    [([], ["main", "old"]), (["other_servers"], ["main", "old", "other"])],
)
def test_a_neighbour_that_serves_is_ended_only_by_consent(
    allowed: list[str], stopped: list[str]
) -> None:
    found = verdict(server("what is this"), servers=BESIDE, allowed=allowed, max_steps=1)
    assert (found["step"]["id"], found["step"]["stop"]) == ("complete_reset", stopped)


def test_the_complete_reset_starts_what_was_first_asked_for() -> None:
    now = {
        **SPEC,
        "model": "org/small",
        "arguments": {"quantization": "awq"},
        "environment_names": ["HF_TOKEN", "NCCL_P2P_DISABLE"],
    }
    found = verdict(server("what is this", spec=now), first=SPEC, max_steps=1)
    assert found["step"]["start"] == {
        "model": "org/large",
        "port": 8000,
        "arguments": {"quantization": None, "max_model_len": "8192"},
        "environment": {"NCCL_P2P_DISABLE": None},
    }


def test_what_the_next_deploy_would_undo_is_named_for_the_inventory() -> None:
    now = {
        **SPEC,
        "model": "org/small",
        "port": 8001,
        "arguments": {"dtype": "half"},
    }
    began = {**taken(verdict()), "model": "org/medium", "arguments": {"max_model_len": 4096}}
    step = {
        **taken(verdict(), helped=True),
        "model": "org/small",
        "port": 8001,
        "arguments": {"dtype": "half", "max_model_len": None},
        "environment": {"HF_HUB_DISABLE_XET": "1"},
    }
    found = verdict({**SERVES, "spec": now}, first=SPEC, tried=[began, step])
    assert found["report"]["permanent"] == {
        "inferops_server_arguments": {"dtype": "half", "max_model_len": None},
        "inferops_server_environment": {"HF_HUB_DISABLE_XET": "1"},
        "inferops_model": "org/small",
        "inferops_server_port": 8001,
    }
    assert found["told"][1] == "2. fit_gpu_memory_utilization, 1.5 s: helped"
    assert found["told"][2].startswith("Put this into the inventory, or the next deploy undoes it:")


@pytest.mark.parametrize("template", ["{{ lookup('pipe', 'id') }}", "{% set x = 1 %}", "{# x #}"])
def test_a_template_that_the_host_tells_is_never_advised_for_the_inventory(template: str) -> None:
    now = {**SPEC, "arguments": {"dtype": template}}
    found = verdict({**SERVES, "spec": now}, first=SPEC, tried=[taken(verdict(), helped=True)])
    assert found["report"]["permanent"] == {}
    assert template not in str(found["told"])
    assert "distrust this host" in found["told"][1]
    same = verdict(SERVES, first=SPEC, tried=[taken(verdict(), helped=True)])
    assert same["report"]["permanent"] == {}
    assert same["told"][1] == "Nothing in the inventory needs to change."


@pytest.mark.parametrize(
    "value", ["!unsafe x", "yes", "1e5", "a: b\n- c", "\"}, 'x': {'", "- x", "&a", "{{ 1 }}", None]
)
def test_the_host_brings_no_name_and_no_value_of_its_own_into_the_inventory(value: Any) -> None:
    now = {
        **SPEC,
        "model": str(value),
        "port": value,
        "arguments": {"trust_remote_code": value, str(value): value, "max_model_len": value},
        "environment_names": ["HF_TOKEN", str(value)],
    }
    step = {**taken(verdict(), helped=True), "environment": {str(value): None}}
    found = verdict({**SERVES, "spec": now}, first=SPEC, tried=[step])
    kept = found["report"]["permanent"].get("inferops_server_arguments", {})
    assert set(found["report"]["permanent"]) <= {"inferops_server_arguments"}
    assert set(kept) <= {"max_model_len"}
    assert value is None or not kept


def test_a_step_that_does_not_hold_is_not_advised() -> None:
    step = {**taken(verdict(), helped=True), "arguments": {"dtype": "half"}, "port": 9000}
    found = verdict(SERVES, first=SPEC, tried=[step])
    assert found["report"]["permanent"] == {}


@pytest.mark.parametrize(
    "text", ["yes", "1.0", "null", "a: b", "- x", "!unsafe x", "a # b", "'", '"']
)
def test_what_is_to_be_pasted_is_quoted(text: str) -> None:
    pasted = for_inventory({text: [text, 8000, None, True]})
    assert pasted is not None
    assert yaml.safe_load(pasted) == {text: [text, 8000, None, True]}


@pytest.mark.parametrize("value", ["{{ x }}", {"{% x %}": 1}, ["{# x"], {"a": {"b": "{{x"}}])
def test_a_template_is_never_to_be_pasted(value: Any) -> None:
    assert for_inventory({"inferops_model": value}) is None
    ladder = [{"model": "{{ x }}"}]
    step = {**taken(verdict(ladder=ladder), helped=True), "model": "{{ x }}", "arguments": {}}
    found = verdict({**SERVES, "spec": {**SPEC, "model": "{{ x }}"}}, first=SPEC, tried=[step])
    assert found["report"]["permanent"] == {}
    assert "{{" not in str(found["told"])


def test_the_report_keeps_how_it_was_before_and_what_is_left() -> None:
    begun = verdict(elapsed_seconds=1)
    before = begun["report"]["before"]
    assert (before["state"], before["cause_id"]) == ("not_running", "gpu_out_of_memory")
    later = verdict(SERVES, first=SPEC, before=before, tried=[taken(begun, helped=True)])
    assert later["report"]["before"] == before
    assert later["report"]["after"]["state"] == "serving"
    assert later["report"]["left"] == []
    assert begun["report"]["left"] == begun["plan"]


def test_what_it_bills_and_where_the_evidence_lies_is_said_before_and_after() -> None:
    money = {"price_usd_per_hour": 0.36, "cost_usd": 0.5, "evidence": "/evidence/gpu-1"}
    found = verdict(**money, limit_seconds=1800)
    assert (
        "It bills 0.3600 dollars per hour and has cost 0.5000; 1800 s of steps are 0.1800 dollars."
        in found["shown"]
    )
    assert found["shown"][-1] == "Taking the steps."
    assert "Evidence: /evidence/gpu-1. It bills 0.3600 dollars per hour; playbook" in found["error"]
    dry = verdict(**money, apply=False)
    assert "Nothing was changed" in dry["shown"][-1]
    assert dry["error"] == ""


def test_a_price_that_is_not_told_is_not_said_to_be_nothing() -> None:
    found = verdict(cost_usd=0.5)
    assert "Its price is not told; it has cost 0.5000 dollars." in found["shown"]
    assert "It bills on at a price that is not told; playbook" in found["error"]


def test_no_secret_is_shown_or_reported() -> None:
    secret = "Bearer abcdefghijkl"
    health = {"state": "not_running", "reason": f"it answered {secret}"}
    unknown = server(f"FooError: {secret}", health=health)
    tried = [taken(verdict(), message=f"refused: {secret}")]
    found = verdict(unknown, tried=tried, first=SPEC)
    assert "Bearer (redacted)" in " ".join(found["shown"] + found["told"])
    assert "abcdefghijkl" not in str({**found, "step": {}})


def test_a_server_that_nobody_asked_for_is_refused_with_those_that_there_are() -> None:
    found = verdict(server(spec=None), servers=BESIDE)
    assert "Servers there: main, old, other." in found["refusal"]
    assert found["step"] == {}
    assert "Servers there: none." in verdict(server(spec=None))["refusal"]
    assert verdict()["refusal"] == ""


@pytest.mark.parametrize(
    ("gpu", "refused"),
    [
        ({}, ""),
        ({"memory_used_mib": 512}, ""),
        ({"memory_used_mib": 513}, "200, 513 MiB"),
        ({"memory_used_mib": None}, "200, unknown MiB"),
        ({"processes": [{"pid": 7}]}, "200, 200 MiB"),
    ],
)
def test_gpus_that_somebody_uses_are_never_reset(gpu: dict[str, Any], refused: str) -> None:
    said = verdict(gpus=[GPU, {**GPU, **gpu}])["reset_refusal"]
    assert refused in said if refused else said == ""


HELPED = {"helped": True, "message": "", "failure": {}}


def test_its_memory_is_computed_where_that_is_of_interest_and_can_be() -> None:
    assert verdict()["estimates"]
    assert not verdict(server(health={**server()["health"], "state": "serving"}))["estimates"]
    assert not verdict(gpus=[])["estimates"]
    own = {**server()["spec"], "environment_names": ["CUDA_VISIBLE_DEVICES"]}
    assert not verdict(server(spec=own))["estimates"]
    assert not verdict(server(spec=None))["estimates"]


def test_evidence_is_collected_before_steps_alone() -> None:
    assert verdict()["collects"]
    assert not verdict(apply=False)["collects"]
    assert not verdict(server(health={**server()["health"], "state": "serving"}))["collects"]


def test_what_clients_go_by_follows_a_server_that_was_mended() -> None:
    spec = {**server()["spec"], "proxy_port": 8000}
    mended = server(health={**server()["health"], "state": "serving"}, spec=spec)
    step = {**verdict()["plan"][0], **HELPED, "seconds": 1.0}
    told = verdict(mended, tried=[step], proxied=True)
    assert (told["keeps_proxy"], told["reopens"]) == (True, True)
    assert not verdict(mended, tried=[step])["keeps_proxy"]
    assert not verdict(server(spec=spec), tried=[step], proxied=True)["keeps_proxy"]
    untouched = verdict(mended, proxied=True)
    assert (untouched["keeps_proxy"], untouched["reopens"]) == (False, False)
    bare = {**spec, "proxy_port": None}
    bared = verdict(server(health=mended["health"], spec=bare), tried=[step], proxied=True)
    assert not bared["keeps_proxy"]
