# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a fleet: it shows what status knows, asks nobody, and runs nobody's script.

How it looks in a browser is held by ``make report-drill``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.filter.fleet_status import fleet_status
from ansible_collections.inferops.gpu.plugins.plugin_utils.fleet_page import page
from ansible_collections.inferops.gpu.plugins.plugin_utils.fleet_page.deploys import deploy_reports
from ansible_collections.inferops.gpu.plugins.plugin_utils.fleet_page.figures import figures
from tests.report.fleet import PLANTED, SECRET, fleet, hostile, names

MOST_BYTES = 300_000
FILES = Path(page.__file__).parent
#: What lies beside the page's own files, as its makers have published it (npm's uplot 1.6.32).
UPLOT = {
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}


class Parsed(HTMLParser):
    """The tags of a page with their attributes, what scripts and styles hold, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[str | None, str]] = []
        self.styles: list[str] = []
        self.text = ""
        self._within = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._within = tag
        if tag == "script":
            self.scripts.append((dict(attrs).get("type"), ""))
        if tag == "style":
            self.styles.append("")

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within == "script":
            kind, before = self.scripts[-1]
            self.scripts[-1] = (kind, before + data)
        elif self._within == "style":
            self.styles[-1] += data
        else:
            self.text += f"{data} "


def made(told: dict[str, Any]) -> str:
    return page.fleet_page(fleet_status(told)["report"], told["deploys"])


@pytest.fixture(scope="module")
def usual() -> str:
    return made(fleet())


@pytest.fixture(scope="module")
def planted() -> str:
    return made(hostile())


def words(text: str) -> str:
    return " ".join(text.split())


def policy(parsed: Parsed) -> dict[str, list[str]]:
    (content,) = (
        attributes["content"]
        for tag, attributes in parsed.tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    parts = (str(part).split() for part in str(content).split(";"))
    return {name: values for name, *values in parts}


def hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_every_host_has_its_verdict_and_next_step_in_the_words_of_the_terminal(usual: str) -> None:
    told = fleet_status(fleet())
    text = words(Parsed(usual).text)
    assert set(told["report"]["verdicts"]) == set(names())
    assert len(told["next"]) == 8
    for host, verdict in told["report"]["verdicts"].items():
        assert host in text
        for key in ("verdict", "why", "next"):
            assert verdict[key] in text, host
    for host, verdict in told["report"]["verdicts"].items():
        line = f"{host}: {verdict['verdict']} ({verdict['why']}). {verdict['next']}"
        assert (line in told["next"]) == (verdict["level"] in ("bad", "warn")), host


def test_the_page_asks_no_address_for_anything(usual: str, planted: str) -> None:
    for text in (usual, planted):
        parsed = Parsed(text)
        loads = [
            value
            for _tag, attributes in parsed.tags
            for name, value in attributes.items()
            if name in ("src", "href", "srcset", "data", "action", "poster", "background")
        ]
        assert loads == ["data:,"]  # no icon
        assert not re.search(r"url\(|@import", "".join(parsed.styles))
        assert "refresh" not in {attributes.get("http-equiv") for _tag, attributes in parsed.tags}


def test_a_browser_may_run_the_two_scripts_of_the_page_and_load_nothing(usual: str) -> None:
    parsed = Parsed(usual)
    allowed = policy(parsed)
    own = [text for kind, text in parsed.scripts if kind is None]
    assert len(own) == 2
    assert allowed["script-src"] == [hashed(text) for text in own]
    assert allowed["style-src"] == [hashed(text) for text in parsed.styles]
    assert allowed["default-src"] == ["'none'"]
    assert allowed["img-src"] == ["data:"]
    assert allowed["base-uri"] == allowed["form-action"] == ["'none'"]
    assert set(allowed) == {
        *("default-src", "script-src", "style-src", "img-src", "base-uri", "form-action"),
        *("require-trusted-types-for", "trusted-types"),
    }


def test_what_hosts_and_markets_write_is_text_and_nothing_else(usual: str, planted: str) -> None:
    clean, hostile_page = Parsed(usual), Parsed(planted)
    assert {tag for tag, _attributes in hostile_page.tags} == {tag for tag, _ in clean.tags}
    known = {name for _tag, attributes in clean.tags for name in attributes}
    assert {name for _tag, attributes in hostile_page.tags for name in attributes} == known
    assert not {name for name in known if name.startswith(("on", "style"))}
    assert [kind for kind, _text in hostile_page.scripts] == [kind for kind, _ in clean.scripts]
    own = [text for kind, text in hostile_page.scripts if kind is None]
    assert own == [text for kind, text in clean.scripts if kind is None]
    # It is there, to be read by a person.
    assert words(PLANTED[0]) in words(hostile_page.text)


def test_data_for_the_script_cannot_end_it(planted: str) -> None:
    (data,) = (text for kind, text in Parsed(planted).scripts if kind == "application/json")
    assert "<" not in data
    labels = {label for plot in json.loads(data) for label in plot.get("labels", ())}
    assert any(PLANTED[1] in label for label in labels)


def test_no_secret_is_on_the_page(planted: str) -> None:
    assert SECRET not in planted
    assert "(redacted)" in planted


def test_the_script_of_the_page_makes_no_markup_of_text() -> None:
    script = (FILES / "page.js").read_text()
    ways = (
        r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|Function\(|createContextual"
    )
    assert not re.search(ways, script)
    assert not re.search(ways, (FILES / "uplot" / "uPlot.iife.min.js").read_text())
    assert "|safe" not in (FILES / "page.html.j2").read_text().replace(" ", "")


def test_the_plots_are_drawn_by_uplot_as_it_was_published() -> None:
    found = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in (FILES / "uplot").iterdir()
    }
    assert found == UPLOT


def test_the_licence_of_uplot_travels_with_the_page(usual: str) -> None:
    assert "Copyright (c) 2022 Leon Sorokin" in usual
    assert "The MIT License" in usual


def test_a_page_of_a_dozen_hosts_is_small_enough_to_be_sent(usual: str) -> None:
    assert len(usual.encode()) < MOST_BYTES


def row(host: str, told: dict[str, Any]) -> dict[str, Any]:
    rows = figures(fleet_status(told)["report"], told["deploys"])["rows"]
    (found,) = (one for one in rows if one["host"] == host)
    return dict(found)


def test_what_nobody_tells_is_said_to_be_not_told(usual: str) -> None:
    untold = row("phi-1", fleet())
    assert [untold[name]["text"] for name in ("rate", "spent", "daily")] == ["not told"] * 3
    assert untold["gpus"][0]["memory"] == "memory not told"
    text = words(Parsed(usual).text)
    for said in ("load not told", "heat not told, memory not told", "at least, 1 not told"):
        assert said in text, said


def test_costs_are_told_by_host_and_of_the_fleet_so_far_and_per_day() -> None:
    told = fleet()
    assert row("llama-1", told)["daily"] == {"value": pytest.approx(17.0832), "text": "17.08"}
    assert row("llama-1", told)["spent"]["text"] == "1.44"
    shown = figures(fleet_status(told)["report"], {})["tiles"]
    tiles = {tile["name"]: (tile["value"], tile["note"]) for tile in shown}
    rates = [rental["billed_usd_per_hour"] or 0 for rental in told["rentals"]]
    assert tiles["Dollars per hour"] == (f"{sum(rates):.4f}", "at least, 1 not told")
    assert tiles["Dollars per day"][0] == f"{sum(rates) * 24:.2f}"
    spent = sum(rental["cost_usd"] for rental in told["rentals"])
    assert tiles["Dollars so far"][0] == f"{spent:.2f}"
    assert tiles["Next end"] == ("1.2 h", "embed-1")


def test_dollars_over_time_reach_what_is_billed_now_and_go_on_until_the_deadlines() -> None:
    told = fleet()
    keep = [
        rental for rental in told["rentals"] if rental["mark"]["name"] in ("embed-1", "llama-2")
    ]
    (plot, *_others) = figures(fleet_status({**told, "rentals": keep, "hosts": {}})["report"], {})[
        "plots"
    ]
    assert plot["kind"] == "line"
    at = plot["hours"].index(0)
    assert plot["happened"][at] == plot["expected"][at] == pytest.approx(6.604)
    assert plot["happened"][0] == 0
    assert plot["expected"][at + 1 :] == [
        pytest.approx(6.604 + (0.2921 + 0.1643) * 4260 / 3600, abs=1e-3),
        pytest.approx(6.604 + 0.2921 * 4260 / 3600 + 0.1643 * 86100 / 3600, abs=1e-3),
        pytest.approx(6.604 + 0.2921 * 4260 / 3600 + 0.1643 * 86100 / 3600, abs=1e-3),
    ]


def test_the_phases_of_each_deployment_are_shown_expected_beside_happened() -> None:
    told = fleet()
    lines = figures(fleet_status(told)["report"], told["deploys"])["timelines"]["lines"]
    shown = {line["host"]: line for line in lines}
    assert set(shown) == set(told["deploys"])
    first = shown["llama-1"]
    assert [bar["phase"] for bar in first["expected"]] == ["ssh", "install", "launch"]
    ratio = first["happened"][0]["width"] / first["expected"][0]["width"]
    assert ratio == pytest.approx(180 / 229.2, rel=1e-3)
    assert first["took"] == "9.0 min, expected 10.2"
    assert shown["lab-1"]["took"] == "1.9 min, nothing was expected"
    assert shown["lab-1"]["expected"] == []
    assert shown["qwen-1"]["notes"] == "2 failed attempts before it, 0.0134 dollars"
    assert all(
        bar["left"] + bar["width"] <= 100
        for line in lines
        for bar in (*line["expected"], *line["happened"])
    )


def test_the_report_of_another_rental_is_told_to_be_an_earlier_ones() -> None:
    told = fleet()
    told["deploys"]["llama-1"]["rental"]["id"] = "1"
    shown = figures(fleet_status(told)["report"], told["deploys"])["timelines"]["lines"]
    assert {line["host"]: line["notes"] for line in shown}["llama-1"] == "an earlier rental"


def odd() -> Iterator[tuple[str, Any]]:
    for value in (None, 7, "text", [], {}, [None, 7], {"phases": 7}, {"phases": {"ssh": []}}):
        for key in ("rental", "attempts", "seconds", "first_token", "endpoint"):
            yield key, value


@pytest.mark.parametrize(("key", "value"), [*odd()])
def test_an_odd_report_of_a_deploy_takes_the_page_from_nobody(key: str, value: Any) -> None:
    told = fleet()
    told["deploys"]["llama-1"][key] = value
    assert "llama-1" in made(told)


def test_an_empty_fleet_has_a_page() -> None:
    told = {"scope": "prod", "rentals": [], "hosts": {}, "deploys": {}}
    assert "Nothing is rented" in made(told)


def test_reports_of_deploys_are_read_where_they_lie_and_others_are_left_out(
    tmp_path: Path,
) -> None:
    (tmp_path / "gpu-1.json").write_text('{"endpoint": "http://127.0.0.1:1/v1"}')
    (tmp_path / "gpu-2.json").write_text('{"endpoint": ')
    (tmp_path / "gpu-3.json").write_text("[]")
    (tmp_path / "gpu-4.json").write_text('{"x": "' + "x" * 2**20 + '"}')
    (tmp_path / "gpu-5.json").write_bytes(b"\xff")
    (tmp_path / "gpu-7.json").mkdir()
    os.mkfifo(tmp_path / "gpu-8.json")
    (tmp_path / "deep").mkdir()
    (tmp_path.parent / "outside.json").write_text('{"endpoint": "x"}')
    hosts = [*(f"gpu-{number}" for number in range(1, 9)), "../outside", "deep/x"]
    assert deploy_reports(tmp_path, hosts) == {"gpu-1": {"endpoint": "http://127.0.0.1:1/v1"}}
