# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report of a benchmark says: figures that can be, what tokens cost, and what got worse."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.inferops.gpu.plugins.filter.benchmark_report import benchmark_report
from ansible_collections.inferops.gpu.plugins.module_utils.serving.benchmark.costs import (
    price_of,
    usd_per_million,
)
from ansible_collections.inferops.gpu.plugins.modules.benchmark import LOADS

USUAL = {name: option["default"] for name, option in LOADS.items()}


def load(concurrency: int = 4, **figures: Any) -> dict[str, Any]:
    """A load as the module returns it, of 100 output tokens a second for each at once."""
    return {
        "concurrency": concurrency,
        "requests": 4 * concurrency,
        "verdict": "kept",
        "completed": 4 * concurrency,
        "failed": 0,
        "seconds": 5.0,
        "input_tokens": 2048 * concurrency,
        "output_tokens": 512 * concurrency,
        "requests_per_second": 1.5,
        "good_requests_per_second": None,
        "output_tokens_per_second": 100.0 * concurrency,
        "tokens_per_second": 500.0 * concurrency,
        **{
            f"{name}_ms": {"mean": 100.0, "p50": 90.0, "p90": 150.0, "p99": 200.0}
            for name in ("ttft", "tpot", "itl", "e2el")
        },
        "errors": [],
        "server": {
            "input_tokens": 2048 * concurrency,
            "output_tokens": 512 * concurrency,
            "mean_ttft_ms": 99.0,
        },
        **figures,
    }


def found(*loads: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "a/b", "release": "0.32.0+cu130", "stopped": "", "loads": list(loads), **more}


def report(
    *loads: dict[str, Any],
    asked: dict[str, Any] | None = None,
    told: dict[str, Any] | None = None,
    price: float | None = 0.72,
    **case: Any,
) -> dict[str, Any]:
    given = {
        "asked": {**USUAL, **(asked or {})},
        "host": "gpu-1",
        "model": "a/b",
        "engine": "vllm",
        "arguments": {"max_model_len": 8192},
        "now": "2026-11-30T12:00:00Z",
        "rental": {"provider": "vastai", "price_usd_per_hour": price},
        "gpus": [{"name": "NVIDIA L4"}, {"name": "NVIDIA L4"}],
        "found": found(*(loads or (load(1), load(4))), **(told or {})),
    }
    return benchmark_report({**given, **case})


def kept(*loads: dict[str, Any], name: str = "old.json", **asked: Any) -> tuple[str, str]:
    """An earlier report, as its file has it."""
    made = report(*loads, asked=asked)
    assert not made["error"]
    return name, json.dumps(made["report"])


def test_a_million_tokens_cost_what_the_host_bills_while_it_writes_them() -> None:
    """100 tokens a second are 360,000 an hour."""
    assert usd_per_million(0.36, 100.0) == 1.0
    assert usd_per_million(0.0, 100.0) == 0.0
    assert usd_per_million(None, 100.0) is None
    assert usd_per_million(0.36, 0.0) is None
    assert usd_per_million(0.36, None) is None


def test_a_host_of_ones_own_has_no_price() -> None:
    assert price_of({"own": True, "price_usd_per_hour": 0.0}) is None
    assert price_of({}) is None
    assert price_of({"price_usd_per_hour": 0.5}) == 0.5
    made = report(price=None)
    assert made["report"]["loads"][0]["usd_per_million_tokens"] is None
    assert "price of tokens is not known" in " ".join(made["shown"])
    assert "bills" not in made["planned"]


def test_each_load_has_its_price_by_its_own_speed() -> None:
    made = report()["report"]
    assert [one["usd_per_million_output_tokens"] for one in made["loads"]] == [2.0, 0.5]
    assert [one["usd_per_million_tokens"] for one in made["loads"]] == [0.4, 0.1]
    assert made["best"]["concurrency"] == 4
    assert made["gpus"] == "2 x NVIDIA L4"


def test_the_plan_says_what_is_sent_at_most_and_what_it_bills() -> None:
    planned = report(found={})["planned"]
    assert planned == (
        "Sends loads of 1, 4, 16, 64 requests at once: at most 4 loads, 352 requests and 225280 "
        "tokens, within 1800 s, which bills 0.3600 dollars at most."
    )
    searching = report(found={}, asked={"objective_ttft_ms": 500.0, "objective_tpot_ms": 50})
    assert (
        "and search up to 256 for 99 of 100 with the first token within 500 ms and each token "
        "after it within 50 ms" in searching["planned"]
    )


def test_nothing_is_called_the_most_that_failed_or_that_broke_the_objective() -> None:
    assert report(load(1), load(4, failed=1))["report"]["best"]["concurrency"] == 1
    assert report(load(1), load(4, verdict="unfinished"))["report"]["best"]["concurrency"] == 1
    aim = {"objective_ttft_ms": 150.0}
    fast = {"ttft_ms": {"p99": 100.0}}
    made = report(load(1, **fast), load(4), load(16, **fast), asked=aim)
    assert (made["report"]["highest_kept"], made["report"]["best"]["concurrency"]) == (1, 1)
    assert "Up to 1 at once 99 of 100 had the first token within 150 ms." in made["shown"]
    assert not made["error"]


def test_a_benchmark_in_which_no_load_was_good_fails_and_keeps_its_figures() -> None:
    made = report(load(1), asked={"objective_ttft_ms": 1.0})
    assert made["report"]["best"] is None
    assert made["error"].startswith("No load was answered within the objective")
    cut = load(1, verdict="unfinished", output_tokens_per_second=None, errors=["too slow"])
    assert report(cut)["error"].endswith("The first error: too slow")


def test_what_ended_the_loads_early_fails_it_after_all_else_was_told() -> None:
    made = report(load(1), told={"stopped": "The server is gone."})
    assert made["error"] == "The server is gone."
    assert made["report"]["best"]["concurrency"] == 1
    assert "The server is gone." in made["markdown"]


def test_the_search_goes_by_what_the_loads_have_shown_and_not_by_what_the_host_says() -> None:
    """A host that says more than it has shown sells itself."""
    aim = {"objective_ttft_ms": 250.0}
    slow = load(4, ttft_ms={"p99": 251.0}, verdict="kept")
    made = report(load(1), slow, told={"highest_kept": 4000}, asked=aim)["report"]
    assert made["highest_kept"] == 1
    assert [one["verdict"] for one in made["loads"]] == ["kept", "missed"]


def notes(**figures: Any) -> str:
    return " ".join(report(load(4, **figures))["report"]["notes"])


def test_it_is_said_where_generator_and_server_do_not_agree() -> None:
    assert notes() == ""
    others = {"output_tokens": 4096, "mean_ttft_ms": 99.0}
    assert "the server wrote 4096 tokens and the generator got 2048" in notes(server=others)
    slower = {"output_tokens": 2048, "mean_ttft_ms": 80.0}
    assert "took 100.0 ms on average, and 80.0 ms by the server's own" in notes(server=slower)
    # Within a tenth, or where the server says nothing.
    assert notes(server={"output_tokens": 2048, "mean_ttft_ms": 91.0}) == ""
    assert notes(server={}) == ""


def test_it_is_said_where_the_search_ended_at_its_own_limit() -> None:
    made = report(load(256), asked={"objective_ttft_ms": 900.0})
    assert "more may do as well (benchmark_most_concurrency)" in " ".join(made["shown"])


def worse(now: dict[str, Any], percent: float = 10, **asked: Any) -> dict[str, Any]:
    return report(now, others=[kept(load(4))], regression_percent=percent, asked=asked)


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"output_tokens_per_second": 359.0}, "throughput was 400 tokens/s, and is 359 (-10 %)"),
        ({"ttft_ms": {"p99": 221.0}}, "p99 time to first token was 200 ms, and is 221 (+10 %)"),
        ({"tpot_ms": {"p99": 300.0}}, "p99 time per token was 200 ms, and is 300 (+50 %)"),
    ],
)
def test_a_figure_that_is_worse_than_before_by_more_than_allowed_fails(
    figures: dict[str, Any], said: str
) -> None:
    made = worse(load(4, **figures))
    assert made["error"].startswith("It is worse than old.json: At 4 at once ")
    assert said in made["error"]
    assert not worse(load(4, **figures), percent=60)["error"]
    # It is said, and fails nothing, where nobody has set by how much.
    told = worse(load(4, **figures), percent=0)
    assert not told["error"]
    assert said in " ".join(told["shown"])


@pytest.mark.parametrize(
    "figures",
    [
        {},
        {"output_tokens_per_second": 361.0},
        {"output_tokens_per_second": 4000.0, "ttft_ms": {"p99": 1.0}},
        {"ttft_ms": None},
    ],
)
def test_what_is_as_before_or_better_fails_nothing(figures: dict[str, Any]) -> None:
    assert worse(load(4, **figures))["error"] == ""


def test_requests_that_fail_now_are_worse_however_fast_the_others_are() -> None:
    made = report(
        load(1), load(4, failed=2), others=[kept(load(1), load(4))], regression_percent=10
    )
    assert "At 4 at once 2 of 16 requests failed" in made["error"]


def test_a_lower_highest_load_is_worse() -> None:
    aim = {"objective_ttft_ms": 500.0}
    before = kept(load(16), **aim)
    made = report(load(1), asked=aim, others=[before], regression_percent=10)
    assert "The highest load that keeps the objective was 16, and is 1." in made["error"]


def test_only_what_was_asked_alike_is_compared() -> None:
    assert "have other lengths" in worse(load(4), input_tokens=9)["error"]
    assert "No load of old.json was measured again" in worse(load(8))["error"]


def test_several_earlier_ones_stand_beside_it_and_the_first_counts() -> None:
    fast = kept(load(4, output_tokens_per_second=9000.0), name="other-gpu.json")
    made = report(load(4), others=[kept(load(4)), fast], regression_percent=10)
    assert made["error"] == ""
    assert [one["name"] for one in made["report"]["compared"]] == [
        "this one",
        "old.json",
        "other-gpu.json",
    ]
    assert made["report"]["compared"][2]["output_tokens_per_second"] == 9000.0
    assert made["report"]["compared"][2]["usd_per_million_output_tokens"] == 0.0222
    assert "| other-gpu.json | a/b | 2 x NVIDIA L4 | 4 | 9000 | 200 | 0.0222 |" in made["markdown"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "x.json is no JSON"), ("[]", "is no report"), ('{"schema": "other"}', "is no report")],
)
def test_what_is_no_report_is_refused_before_anything_is_sent(text: str, said: str) -> None:
    with pytest.raises(AnsibleFilterError, match=said):
        report(found={}, others=[("x.json", text)])


def test_a_plan_that_is_none_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(AnsibleFilterError, match="most_seconds"):
        report(found={}, asked={"most_seconds": 99_999})


HOSTILE = ["text", float("nan"), float("inf"), -1, True, None, [], {"a": 1}, 1e300]


@pytest.mark.parametrize("value", HOSTILE, ids=repr)
def test_what_a_host_says_is_a_figure_or_nothing(value: Any) -> None:
    odd = {name: value for name in load() if name not in ("concurrency", "verdict")}
    made = report(load(1, **odd), load(4), told={"release": value, "stopped": ""})
    first = made["report"]["loads"][0]
    assert first["output_tokens_per_second"] is None
    assert first["ttft_ms"] is None
    assert first["usd_per_million_tokens"] is None
    json.loads(json.dumps(made["report"]), parse_constant=lambda name: pytest.fail(name))


@pytest.mark.parametrize("loads", HOSTILE, ids=repr)
def test_loads_that_are_none_are_an_error_and_no_report_of_nothing(loads: Any) -> None:
    assert report(told={"loads": loads})["error"].startswith("No load was answered")


def test_text_of_a_host_is_one_plain_line_without_secrets_and_no_markup() -> None:
    evil = (
        "a|b\x1b[2J\n<script>x</script> [l](http://x) HF_TOKEN=hf_abcdefghijklmnopqrstuvwxyz123456"
    )
    made = report(load(4, errors=[evil] * 9), told={"model": evil, "stopped": evil})
    everything = json.dumps(made)
    assert "hf_abcdefgh" not in everything
    assert "\u001b" not in everything
    assert len(made["report"]["loads"][0]["errors"]) == 3
    assert "<script" not in made["markdown"]
    assert "](" not in made["markdown"]
    assert made["report"]["model"].count("\n") == 0


def test_more_loads_than_any_plan_has_are_not_kept() -> None:
    assert len(report(*(load(n + 1) for n in range(5000)))["report"]["loads"]) == 64


def test_what_another_deploy_takes_is_the_wish_and_a_release_of_the_engine() -> None:
    assert report()["replay"] == {
        "inferops_model": "a/b",
        "inferops_engine": "vllm",
        "inferops_server_arguments": {"max_model_len": 8192},
        "inferops_vllm_version": "0.32.0",
    }
    odd = report(told={"release": "{{ lookup('pipe', 'id') }}", "arguments": {"x": "y"}})
    assert "inferops_vllm_version" not in odd["replay"]
    assert odd["replay"]["inferops_server_arguments"] == {"max_model_len": 8192}


def test_the_table_has_a_line_for_each_load_and_figures_alone() -> None:
    rows = list(csv.DictReader(io.StringIO(report()["csv"])))
    assert [row["concurrency"] for row in rows] == ["1", "4"]
    assert rows[1]["ttft_p99_ms"] == "200.0"
    assert rows[1]["usd_per_million_output_tokens"] == "0.5"
    evil = report(load(1, verdict="=cmd()", seconds="=cmd()"))["csv"]
    assert "cmd" not in evil


def test_people_read_a_line_for_each_load() -> None:
    good = {"good_requests_per_second": 1.2, "verdict": "missed", "failed": 1, "errors": ["slow"]}
    (first, second, *_rest) = report(load(1), load(4, **good))["shown"]
    assert first == (
        "1 at once: 100 tokens/s; first token 90, 200 ms; each after it 90, 200 ms (p50, p99); "
        "$2 per million output tokens"
    )
    assert second.endswith(
        "1.2 of 1.5 requests/s good; $0.5 per million output tokens; 1 of 16 failed; missed; slow"
    )
