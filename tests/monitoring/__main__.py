# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.monitoring``: what role monitoring leaves, on the distribution's Prometheus.

Each alert rule against promtool, where it is to fire and where not; the rules broken on purpose, so
that the cases are seen to notice; then the role itself, for the simulated fleet of ``tests/report``
and two stand-ins for engines, with a Prometheus that reads all of it: every query of the dashboard
has to give something, and what is planted has to be told. With ``--real`` a rented host with a real
vLLM, too. Its last line is ``RESULT {...}``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.inferops.gpu.plugins.filter.fleet_status import fleet_status
from tests.hanging import HANGS_AFTER_SECONDS
from tests.monitoring import rules, watching
from tests.monitoring.breaking import BREAKAGES, broken
from tests.monitoring.engines import Engine, running
from tests.report.fleet import fleet, keep_deploys
from tests.rig.ports import free_port
from tests.tools.tree import REPOSITORY

DASHBOARD = rules.FILES / "dashboard.json"
#: Which hosts of the fleet have which engine.
ENGINES = {"llama-1": "vllm", "qwen-1": "llama_cpp"}
KEY = "sk-that-only-engines-know"
PLANTED = {"InferopsHung", "InferopsCrashLoop", "InferopsDeadlineNear"}


@dataclass
class Fleet:
    """One that is watched."""

    prometheus: watching.Prometheus
    engines: dict[str, Engine]


@contextmanager
def watched(folder: Path) -> Iterator[Fleet]:
    """The simulated fleet with all that the role writes for it, read often."""
    address = f"127.0.0.1:{free_port()}"
    with running("vllm", KEY) as vllm, running("llama_cpp", KEY) as llama_cpp:
        engines = dict(zip(ENGINES, (vllm, llama_cpp), strict=True))
        files = _written(folder, engines, address)
        with (
            watching.node_exporter(files / "figures", address),
            watching.prometheus(files / "prometheus.yml", folder / "data") as prometheus,
        ):
            yield Fleet(prometheus, engines)


def _written(folder: Path, engines: dict[str, Engine], address: str) -> Path:
    """The folder in which the role has left its files. Raises AssertionError where it failed."""
    told, reports = {**fleet(), "now": time.time()}, folder / "reports"
    reports.mkdir()
    keep_deploys(told, reports)
    inventory, play = folder / "hosts.json", folder / "play.json"
    hosts = {name: {"status_servers": _servers(engines.get(name))} for name in told["hosts"]}
    shared = {
        "ansible_connection": "local",
        "inferops_connected": True,
        "inferops_rental": {"own": True},
        "inferops_scope": told["scope"],
        "inferops_server_api_key": KEY,
        "inferops_report_dir": str(reports),
        "monitoring_dir": str(folder / "monitoring"),
        "monitoring_node_exporter": address,
        "monitoring_interval_seconds": 5,
        "status_fleet": fleet_status(told),
    }
    inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": shared}}))
    roles = ["inferops.gpu.inferops", "inferops.gpu.monitoring"]
    play.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "roles": roles}]))
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", inventory, play],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=HANGS_AFTER_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    # A host whose ways could not be opened is no end of the run.
    assert "ignored=1" not in done.stdout, done.stdout
    return folder / "monitoring"


def _servers(engine: Engine | None) -> dict[str, Any]:
    spec = {"engine": "vllm", "needs_key": True, "proxy_port": None}
    server = {"name": "vllm", "phase": "running", "spec": spec}
    return {"servers": [{**server, "port": engine.port}] if engine else []}


def empty_queries(prometheus: watching.Prometheus) -> list[str]:
    """Queries of the dashboard that never give a number, for as long as a test waits."""
    left = watching.queries(json.loads(DASHBOARD.read_text()))

    def all_there() -> bool:
        left[:] = [query for query in left if not _gives(prometheus.ask(query))]
        return not left

    try:
        watching.wait_for("what the dashboard asks for", all_there)
    except AssertionError:
        return left
    return []


def _gives(series: list[dict[str, Any]]) -> bool:
    return any(one["value"][1] != "NaN" for one in series)


def not_fired(seen: Fleet) -> list[str]:
    """Of the alerts whose condition is planted, those that nobody was told of."""
    server = seen.engines["llama-1"]
    for start in range(4):
        server.planted["process_start_time_seconds"] = 1000.0 + start
        read = server.reads
        watching.wait_for("a read of its start", lambda read=read: server.reads > read + 1)
    server.planted["vllm:num_requests_running"] = 3.0
    server.works = False

    def fired() -> bool:
        return {alert["alertname"] for alert in seen.prometheus.alerts()} >= PLANTED

    try:
        watching.wait_for("the planted alerts", fired)
    except AssertionError:
        return sorted(PLANTED - {alert["alertname"] for alert in seen.prometheus.alerts()})
    return []


def unnoticed() -> list[str]:
    """Rules that were broken, and no case noticed."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for breakage in BREAKAGES:
            file = Path(folder) / "rules.yml"
            file.write_text(broken(breakage))
            if not rules.failures(file, {breakage.alert}):
                found.append(breakage.name)
    return found


def main() -> int:
    """All of it; every complaint is a line before the last."""
    parser = argparse.ArgumentParser(prog="make monitoring", description=__doc__)
    parser.add_argument("--real", action="store_true", help="a rented host with a real vLLM, too")
    real = parser.parse_args().real
    began, problems = time.monotonic(), [f"{name} is missing" for name in watching.missing()]
    if not problems:
        problems += filter(None, [rules.checked("check", "rules", str(rules.RULES))])
        problems += [
            f"{alert} has no case, or none where it is silent" for alert in rules.untested()
        ]
        problems += rules.failures()
        problems += [f"no case notices {name}" for name in unnoticed()]
        problems += _seen_by_prometheus()
    if real and not problems:
        test = "tests/integration/test_monitoring.py"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-m", "long", test], check=False
        )
        problems += ["the real engine was not watched"] if done.returncode else []
    for problem in problems:
        print(problem, flush=True)
    print("RESULT " + json.dumps(_result(problems, began)))
    return bool(problems)


def _seen_by_prometheus() -> list[str]:
    with tempfile.TemporaryDirectory() as folder, watched(Path(folder)) as seen:
        empty = [
            f"the dashboard's query gives nothing: {one}" for one in empty_queries(seen.prometheus)
        ]
        return [*empty, *(f"{name} was planted and not told" for name in not_fired(seen))]


def _result(problems: list[str], began: float) -> dict[str, Any]:
    return {
        "alerts": len(rules.alerts()),
        "rule_tests": len(rules.cases()),
        "broken_rules": len(BREAKAGES),
        "queries": len(watching.queries(json.loads(DASHBOARD.read_text()))),
        "planted": len(PLANTED),
        "failed": len(problems),
        "seconds": round(time.monotonic() - began),
    }


if __name__ == "__main__":
    sys.exit(main())
