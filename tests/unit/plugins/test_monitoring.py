# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus is told of a fleet: figures, targets, keys, and names that engines have."""

from __future__ import annotations

import io
import json
import re
import stat
import time
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleActionFail

from ansible_collections.inferops.gpu.plugins.action import fleet_monitoring, scrape_targets
from ansible_collections.inferops.gpu.plugins.filter.fleet_status import fleet_status
from ansible_collections.inferops.gpu.plugins.module_utils.endpoint.tunnel import (
    Target,
    TunnelError,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.monitoring import scraping
from ansible_collections.inferops.gpu.plugins.plugin_utils.monitoring.figures import (
    FAMILIES,
    figures,
)
from tests.monitoring import rules, watching
from tests.monitoring.engines import FIGURES, Engine
from tests.report.fleet import SECRET, fleet, hostile

AT = 1_795_312_800
SERIES = re.compile(r'([A-Za-z_:][\w:]*)\{((?:\w+="(?:[^"\\\n]|\\.)*",?)*)\} (\S+)')
DASHBOARD = json.loads((rules.FILES / "dashboard.json").read_text())


@cache
def report_text(now: float) -> str:
    return json.dumps(fleet_status({**fleet(), "now": now})["report"])


def report(now: float = AT) -> dict[str, Any]:
    """That of the simulated fleet, at a time."""
    return dict(json.loads(report_text(now)))


def read(text: str) -> dict[tuple[str, str], float]:
    """Every figure by its name and labels; a line that is neither that nor a comment fails."""
    found = {}
    for line in text.splitlines():
        if line.startswith(("# HELP ", "# TYPE ")):
            continue
        series = SERIES.fullmatch(line)
        assert series, line
        name, labels, value = series.groups()
        assert (name, labels) not in found, line
        found[name, labels] = float(value)
    return found


def values(text: str, family: str, *labels: str) -> list[float]:
    """Those of a family whose labels have all of these words."""
    found = read(text).items()
    return [
        value
        for (name, has), value in found
        if name == family and all(one in has for one in labels)
    ]


RENTAL = {
    "mark": {"name": "gpu-1", "deadline": 7},
    "provider": "vastai",
    "id": "7",
    "status": "running",
    "status_text": "running",
    "gpu_name": "RTX 4090",
    "gpu_count": 1,
    "billed_usd_per_hour": 0.36,
    "cost_usd": 0.72,
    "started_at": AT - 7200.0,
    "remaining_seconds": 3600,
    "contract_remaining_seconds": None,
    "enforced_by": "host",
}


def of_one(rental: dict[str, Any], **host: Any) -> str:
    """The figures of a fleet of one rental."""
    seen = {"name": "gpu-1", "rental": rental, "found": {"servers": []}, **host}
    told = {"scope": "prod", "now": AT, "rentals": [rental], "hosts": {"first": seen}}
    return figures(fleet_status(told)["report"], {})


def test_every_family_is_told_of_a_whole_fleet() -> None:
    told = {**fleet(), "unasked": ["runpod"]}
    for host in told["hosts"].values():
        host["limits"] = {"budget_usd": "5"}
        host["found"]["proxies"] = []
    proxy = {
        "name": "vllm",
        "phase": "running",
        "reason": None,
        "port": 1,
        "supervised": True,
        "servers": [],
    }
    told["hosts"]["llama-1"]["found"]["proxies"] = [proxy]
    hot = told["hosts"]["llama-1"]["found"]["servers"][0]["health"]["gpus"][0]
    hot["throttled_by"] = ["heat"]
    text = figures(fleet_status(told)["report"], told["deploys"])
    assert {name for name, _labels in read(text)} | {
        "inferops_rental_started_timestamp_seconds"
    } == set(FAMILIES)


def test_money_and_ends_follow_from_the_time_of_the_look() -> None:
    text = of_one(RENTAL)
    assert values(text, "inferops_looked_timestamp_seconds") == [AT]
    assert values(text, "inferops_rental_cost_usd", 'host="first"', 'id="7"') == [0.72]
    # By what is left, and not by the mark: a market's clock is not ours.
    assert values(text, "inferops_rental_deadline_timestamp_seconds") == [AT + 3600]
    assert values(text, "inferops_rental_started_timestamp_seconds") == [AT - 7200]


def test_what_nobody_tells_is_left_out() -> None:
    text = of_one({**RENTAL, "billed_usd_per_hour": None, "remaining_seconds": None})
    assert values(text, "inferops_rental_price_usd_per_hour") == []
    assert values(text, "inferops_rental_deadline_timestamp_seconds") == []
    assert values(text, "inferops_rental_contract_end_timestamp_seconds") == []
    assert values(text, "inferops_host_budget_usd") == []
    assert values(of_one(RENTAL, limits={"budget_usd": "2.5"}), "inferops_host_budget_usd") == [2.5]
    assert values(of_one(RENTAL, limits={"budget_usd": 0}), "inferops_host_budget_usd") == []


@pytest.mark.parametrize("odd", [True, "nan", float("inf"), "a lot", [1], {}])
def test_what_is_no_number_is_no_figure(odd: Any) -> None:
    told = {**report(), "rentals": [{**RENTAL, "billed_usd_per_hour": odd}]}
    assert values(figures(told, {}), "inferops_rental_price_usd_per_hour") == []


def test_findings_are_told_once_each() -> None:
    told = report()
    finding = {"level": "bad", "verdict": "hung", "why": "", "next": ""}
    told["verdicts"] = {"gpu-1": {**finding, "notes": [finding, {**finding, "verdict": "lost"}]}}
    text = figures(told, {})
    assert values(text, "inferops_host_finding", 'verdict="hung"') == [1]
    assert values(text, "inferops_host_finding", 'verdict="lost"') == [1]


def test_a_host_with_a_dcgm_exporter_tells_of_its_gpus_itself() -> None:
    assert values(figures(report(), {}), "DCGM_FI_DEV_GPU_TEMP", 'host="llama-1"') == [71, 68]
    text = figures(report(), {}, {"llama-1"})
    assert values(text, "DCGM_FI_DEV_GPU_TEMP", 'host="llama-1"') == []
    assert values(text, "DCGM_FI_DEV_GPU_TEMP")


def test_phases_of_deploys_that_left_odd_reports_are_left_out() -> None:
    odd = {
        "llama-1": {"first_token": {"phases": {"ssh": {"happened_seconds": 180.0}, "boot": 3}}},
        "llama-2": {"first_token": "soon"},
        "qwen-1": {},
    }
    text = figures(report(), odd)
    assert values(text, "inferops_deploy_happened_seconds") == [180]
    assert values(text, "inferops_deploy_expected_seconds") == []


def test_what_hosts_and_markets_write_is_a_label_and_nothing_else() -> None:
    told = fleet_status(hostile())["report"]
    for rental in told["rentals"]:
        rental["gpu_name"] = 'x"} 1\ninferops_rental_cost_usd{host="a"} 0\n\\'
    text = figures(told, {})
    assert SECRET not in text
    assert values(text, "inferops_rental_cost_usd", 'host="a"') == []
    assert len(values(text, "inferops_rental_info")) == len(told["rentals"])
    assert max(map(len, text.splitlines())) < 4000


def target(name: str = "gpu-1.vllm", **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "job": scraping.ENGINE_JOB,
        "address": "127.0.0.1:40213",
        "key_file": "/keys/gpu-1.vllm",
        "labels": {"scope": "prod", "host": "gpu-1", "server": "vllm", "engine": "vllm"},
        **changes,
    }


def test_each_server_is_a_job_with_its_own_key_and_a_file_of_targets() -> None:
    told = scraping.configuration(
        Path("/m"), [target(), target("b", key_file=None)], "h:9100", ["a:9093"], 5
    )
    fleet_job, first, second = told["scrape_configs"]
    assert fleet_job["static_configs"] == [{"targets": ["h:9100"]}]
    assert first["file_sd_configs"] == [{"files": ["/m/targets/gpu-1.vllm.json"]}]
    assert first["authorization"] == {"credentials_file": "/keys/gpu-1.vllm"}
    assert "authorization" not in second
    assert first["honor_labels"] is False
    assert told["global"]["scrape_interval"] == "5s"
    assert told["alerting"]["alertmanagers"][0]["static_configs"] == [{"targets": ["a:9093"]}]
    (entry,) = scraping.targets_file(target())
    assert entry["targets"] == ["127.0.0.1:40213"]
    assert (entry["labels"]["job"], entry["labels"]["host"]) == ("inferops_engine", "gpu-1")


def test_without_a_node_exporter_or_an_alertmanager_neither_is_asked_for() -> None:
    told = scraping.configuration(Path("/m"), [], "", [], 15)
    assert told["scrape_configs"] == []
    assert "alerting" not in told


class Tunnels:
    """Stands in for the tunnels of a controller."""

    def __init__(self) -> None:
        self.open: dict[str, int] = {}
        self.broken = False

    def __call__(self, folder: str, name: str) -> Any:
        def keep(way: Target, dry_run: bool = False) -> tuple[int | None, int | None]:
            if self.broken:
                raise TunnelError("it could not be opened")
            before = self.open.get(name)
            if not dry_run:
                self.open[name] = 40_000 + way.remote_port
            return before, self.open.get(name)

        return SimpleNamespace(
            keep=keep,
            is_open=lambda: name in self.open,
            close=lambda: self.open.pop(name, None),
        )


@pytest.fixture
def tunnels(monkeypatch: pytest.MonkeyPatch) -> Tunnels:
    made = Tunnels()
    monkeypatch.setattr(scrape_targets, "Tunnel", made)
    return made


SERVER = {
    "name": "vllm",
    "phase": "running",
    "port": 8001,
    "spec": {"engine": "vllm", "needs_key": True},
}


def ways(folder: Path, *servers: dict[str, Any], dry: bool = False, **given: Any) -> dict[str, Any]:
    """What module scrape_targets tells of a host with these servers."""
    action = scrape_targets.ActionModule.__new__(scrape_targets.ActionModule)
    action._task = SimpleNamespace(check_mode=dry)
    usual = {name: option.get("default") for name, option in scrape_targets.ARGUMENTS.items()}
    way = {
        "host": "203.0.113.7",
        "port": 22,
        "user": "root",
        "private_key_file": "/k",
        "known_hosts_file": "/h",
    }
    names = {
        "name": "gpu-1",
        "scope": "prod",
        "alias": "first",
        "keys_folder": str(folder / "keys"),
    }
    keys = {"client_key": "sk-of-clients", "engine_key": "sk-of-the-engine"}
    return action.work({**usual, **way, **names, **keys, "servers": list(servers), **given}, {})


def test_a_server_is_read_through_a_tunnel_with_a_key_in_a_private_file(
    tmp_path: Path, tunnels: Tunnels
) -> None:
    told = ways(tmp_path, SERVER)
    (one,) = told["targets"]
    assert told["changed"]
    assert (one["name"], one["address"]) == ("gpu-1.vllm", "127.0.0.1:48001")
    assert one["labels"] == {"scope": "prod", "host": "first", "server": "vllm", "engine": "vllm"}
    file = Path(one["key_file"])
    assert file.read_text() == "sk-of-clients"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert not ways(tmp_path, SERVER)["changed"]


def test_an_engine_behind_a_proxy_is_read_itself_with_the_key_that_no_client_has(
    tmp_path: Path, tunnels: Tunnels
) -> None:
    proxied = {**SERVER, "spec": {**SERVER["spec"], "proxy_port": 8000}}
    (one,) = ways(tmp_path, proxied)["targets"]
    assert one["address"] == "127.0.0.1:48001"
    assert Path(one["key_file"]).read_text() == "sk-of-the-engine"


def test_a_server_that_asks_for_no_key_is_sent_none(tmp_path: Path, tunnels: Tunnels) -> None:
    keyless = {**SERVER, "spec": {"engine": "vllm", "needs_key": False}}
    (one,) = ways(tmp_path, keyless)["targets"]
    assert one["key_file"] is None
    assert not (tmp_path / "keys").exists()


def test_what_was_stopped_is_read_no_more_and_leaves_no_key(
    tmp_path: Path, tunnels: Tunnels
) -> None:
    (one,) = ways(tmp_path, SERVER)["targets"]
    told = ways(tmp_path, {**SERVER, "phase": "stopped"})
    assert (told["changed"], told["targets"], tunnels.open) == (True, [], {})
    assert not Path(one["key_file"]).exists()


def test_a_server_that_crashed_is_still_read_so_that_somebody_is_told(
    tmp_path: Path, tunnels: Tunnels
) -> None:
    assert ways(tmp_path, {**SERVER, "phase": "error"})["targets"]


def test_on_this_machine_no_tunnel_is_opened(tmp_path: Path, tunnels: Tunnels) -> None:
    here = {"host": None, "user": None, "known_hosts_file": None}
    (one,) = ways(tmp_path, SERVER, **here)["targets"]
    assert one["address"] == "127.0.0.1:8001"
    assert tunnels.open == {}


def test_a_dry_run_opens_nothing_and_writes_no_key(tmp_path: Path, tunnels: Tunnels) -> None:
    told = ways(tmp_path, SERVER, dry=True)
    assert (told["changed"], told["targets"], tunnels.open) == (True, [], {})
    assert not (tmp_path / "keys").exists()


def test_exporters_of_a_host_have_their_own_jobs_and_no_key(
    tmp_path: Path, tunnels: Tunnels
) -> None:
    (one,) = ways(tmp_path, exporters={"dcgm": "9400"})["targets"]
    assert (one["job"], one["address"], one["key_file"]) == ("dcgm", "127.0.0.1:49400", None)
    with pytest.raises(AnsibleActionFail, match="'many' is no port of dcgm"):
        ways(tmp_path, exporters={"dcgm": "many"})


@pytest.mark.parametrize(
    "odd",
    [{"name": "../../x"}, {"name": "a\nb"}, {"name": "x" * 200}, {"port": 70_000}, {"port": "ssh"}],
)
def test_what_a_host_says_of_a_server_becomes_no_path_and_no_port(
    tmp_path: Path, tunnels: Tunnels, odd: dict[str, Any]
) -> None:
    with pytest.raises(AnsibleActionFail):
        ways(tmp_path, {**SERVER, **odd})
    assert (tunnels.open, list(tmp_path.rglob("*"))) == ({}, [])


def test_a_host_that_tells_of_servers_without_number_has_few_tunnels(
    tmp_path: Path, tunnels: Tunnels
) -> None:
    many = [{**SERVER, "name": f"s{number}"} for number in range(100)]
    assert len(ways(tmp_path, *many)["targets"]) == len(tunnels.open) == 16


def test_a_tunnel_that_cannot_be_opened_is_told(tmp_path: Path, tunnels: Tunnels) -> None:
    tunnels.broken = True
    with pytest.raises(AnsibleActionFail, match="could not be opened"):
        ways(tmp_path, SERVER)


def written(
    folder: Path, *targets: dict[str, Any], dry: bool = False, **given: Any
) -> dict[str, Any]:
    """What module fleet_monitoring tells of a fleet with these targets."""
    action = fleet_monitoring.ActionModule.__new__(fleet_monitoring.ActionModule)
    action._task = SimpleNamespace(check_mode=dry)
    usual = {name: option.get("default") for name, option in fleet_monitoring.ARGUMENTS.items()}
    texts = {"rules": "groups: []\n", "dashboard": "{}\n", "report": report()}
    files = {"folder": str(folder), "figures_file": str(folder / "figures" / "f.prom")}
    return action.work(
        {**usual, **texts, **files, "targets": {"gpu-1": list(targets)}, **given}, {}
    )


def test_a_second_look_changes_figures_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    first = written(folder, target())
    assert (first["changed"], first["needs_reload"], first["watched"]) == (
        True,
        True,
        ["gpu-1.vllm"],
    )
    again = written(folder, target(), report=report(now=time.time()))
    assert (again["changed"], again["needs_reload"]) == (False, False)
    assert values(
        (folder / "figures" / "f.prom").read_text(), "inferops_looked_timestamp_seconds"
    ) > [AT]
    whole = yaml.safe_load((folder / "prometheus.yml").read_text())
    assert yaml.safe_load((folder / "scrape.yml").read_text()) == {
        "scrape_configs": whole["scrape_configs"]
    }


def test_a_tunnel_that_was_opened_anew_needs_no_reload(tmp_path: Path) -> None:
    written(tmp_path / "m", target())
    moved = written(tmp_path / "m", target(address="127.0.0.1:40999"))
    assert (moved["changed"], moved["needs_reload"]) == (True, False)


@pytest.fixture
def told_to_read(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What a Prometheus was asked, which is none."""
    asked: list[tuple[str, str]] = []

    def open_url(url: str, method: str, timeout: float) -> Any:
        asked.append((method, url))
        if "nowhere" in url:
            raise OSError("no route")
        return io.BytesIO()

    monkeypatch.setattr(fleet_monitoring, "open_url", open_url)
    return asked


def test_a_prometheus_that_runs_reads_its_configuration_again_when_that_has_changed(
    tmp_path: Path, told_to_read: list[tuple[str, str]]
) -> None:
    given = {"prometheus_url": "http://127.0.0.1:9090/"}
    written(tmp_path / "m", dry=True, **given)
    assert told_to_read == []
    written(tmp_path / "m", **given)
    assert told_to_read == [("POST", "http://127.0.0.1:9090/-/reload")]
    written(tmp_path / "m", **given)
    assert len(told_to_read) == 1


def test_a_prometheus_that_does_not_read_it_is_told_with_what_to_do(
    tmp_path: Path, told_to_read: list[tuple[str, str]]
) -> None:
    with pytest.raises(AnsibleActionFail, match=r"web\.enable-lifecycle"):
        written(tmp_path / "m", prometheus_url="http://nowhere")
    assert (tmp_path / "m" / "prometheus.yml").exists()


def test_what_is_read_no_more_leaves_no_target_and_no_key(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    key = folder / "keys" / "gpu-1.vllm"
    written(folder, target(key_file=str(key)))
    key.parent.mkdir(mode=0o700)
    key.write_text("sk-of-clients")
    assert not written(folder, target(key_file=str(key)))["changed"]
    assert key.exists()
    gone = written(folder, dry=True)
    assert gone["changed"]
    assert key.exists()
    assert written(folder)["changed"]
    assert not key.exists()
    assert list((folder / "targets").iterdir()) == []


def test_files_are_for_their_owner_alone_but_figures_that_others_are_to_publish(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "m"
    written(folder, target(), figures_file=str(tmp_path / "p" / "f.prom"), public_figures=True)
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()
    }
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "p" / "f.prom").stat().st_mode) == 0o644
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    assert written(tmp_path / "m", target(), dry=True)["changed"]
    assert list(tmp_path.iterdir()) == []


def asked_names() -> set[str]:
    """All figures that the rules and the dashboard ask for."""
    every = [
        rule
        for group in yaml.safe_load(rules.RULES.read_text())["groups"]
        for rule in group["rules"]
    ]
    texts = [rule["expr"] for rule in every] + watching.queries(DASHBOARD)
    return set(
        re.findall(
            r"[A-Za-z_:][\w:]*(?=\{)|\b(?:inferops|DCGM|vllm|llamacpp)[\w:]*\b", " ".join(texts)
        )
    )


def test_rules_and_dashboard_ask_for_what_is_published_and_for_nothing_else() -> None:
    recorded = {
        line.partition("{")[0].partition(" ")[0]
        for file in FIGURES.glob("*.prom")
        for line in file.read_text().splitlines()
        if not line.startswith("#")
    }
    every = [
        rule
        for group in yaml.safe_load(rules.RULES.read_text())["groups"]
        for rule in group["rules"]
    ]
    made = {rule["record"] for rule in every if "record" in rule}
    jobs = {scraping.ENGINE_JOB, "inferops_gpu"}
    assert asked_names() - recorded - made - set(FAMILIES) - jobs - {"up"} == set()


def test_every_alert_says_what_to_do_and_has_a_case_in_which_it_is_silent() -> None:
    assert rules.untested() == []
    for rule in rules.alerts().values():
        assert set(rule["annotations"]) == {"summary", "next"}
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["next"].endswith(".")


def test_panels_have_ids_and_places_of_their_own() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [tuple(panel["gridPos"][side] for side in "xywh") for panel in panels]
    for number, (x, y, width, height) in enumerate(places):
        assert x + width <= 24
        for other_x, other_y, other_width, other_height in places[:number]:
            beside = x >= other_x + other_width or other_x >= x + width
            assert beside or y >= other_y + other_height or other_y >= y + height


def test_a_stand_in_for_an_engine_works_on_until_it_is_told_to_hang() -> None:
    with Engine("llama_cpp", "key") as engine:
        first, second = engine.figures(), engine.figures()
        assert "llamacpp:n_decode_total 8.0" in first
        assert "llamacpp:n_decode_total 16.0" in second
        engine.works = False
        assert engine.figures() == second
