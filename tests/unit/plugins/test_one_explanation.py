# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One failure has one cause, whoever tells it: deploy, the evidence, the status, recover.

What the host says is what its real modules say of a folder in which a start has failed so. Only
the kernel is a stand-in: nobody may write what a real one says.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.action.evidence import ActionModule as Evidence
from ansible_collections.inferops.gpu.plugins.action.model_server import ActionModule as Deploy
from ansible_collections.inferops.gpu.plugins.filter.fleet_status import fleet_status
from ansible_collections.inferops.gpu.plugins.filter.recovery import recovery
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.registry import ENGINES
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import kernel_log, processes
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine.files import write_json
from ansible_collections.inferops.gpu.plugins.module_utils.host.server import evidence as gathering
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import (
    Layout,
    Server,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.registry import DEFAULT
from ansible_collections.inferops.gpu.plugins.module_utils.serving.failures import FAILURES
from ansible_collections.inferops.gpu.plugins.module_utils.serving.limits import Limit
from ansible_collections.inferops.gpu.plugins.module_utils.serving.remedies import (
    BY_CAUSE,
    BY_CHANGE,
    intent_of,
)
from ansible_collections.inferops.gpu.plugins.modules import evidence, model_server_info
from tests.diagnosis import HEALTHY, Excerpt, excerpts
from tests.unit import sampled

FAILING = [excerpt for excerpt in excerpts() if excerpt.cause != HEALTHY]
SPEC = {
    "model": "org/model",
    "served_model_name": None,
    "port": 8000,
    "arguments": {},
    "suggested_arguments": {},
    "environment_names": [],
}

Tell = Callable[..., dict[str, dict[str, Any]]]


@pytest.fixture
def tell(tmp_path: Path, run_module: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Tell:
    """A start has failed so: what each of the four says of it, by their names."""
    home = tmp_path / "home"
    server = Layout(home).server("main")
    server.folder.mkdir(parents=True)
    monkeypatch.setattr(gathering, "gather", lambda *_given: gathering.Gathered({}, {}))

    def look() -> dict[str, Any]:
        wanted = {"name": "main", "home": str(home), "symptoms": True, "health_check": "quick"}
        seen: dict[str, Any] = run_module(model_server_info, **wanted)["servers"][0]
        return seen

    def collect() -> dict[str, Any]:
        options = {"name": "main", "home": str(home), "dest": str(tmp_path / "evidence")}
        task = SimpleNamespace(args=options, check_mode=False, async_val=0)
        connection = SimpleNamespace(transport="local", _shell=SimpleNamespace(tmpdir="/nowhere"))
        action = Evidence(task, connection, None, None, None, None)
        monkeypatch.setattr(
            action, "_execute_module", lambda **_how: run_module(evidence, **options)
        )
        failure: dict[str, Any] = action.run(task_vars={})["failure"]
        return failure

    def run(
        log: str,
        reason: str = "died during startup",
        kernel: str = "",
        limit: Limit | None = None,
        engine: str = DEFAULT,
        **ended: Any,
    ) -> dict[str, dict[str, Any]]:
        monkeypatch.setattr(Server, "engine", lambda _server: ENGINES[engine])
        monkeypatch.setattr(kernel_log, "since", lambda *_at, **_kills: kernel.splitlines())
        server.log.write_text(log, encoding="utf-8")
        record = {"name": "main", "service_id": server.id, "boot_id": processes.boot_id()}
        how = {"phase": "error", "reason": reason, "started_at": time.time(), **ended}
        write_json(server.record_path, {**record, **how})
        seen = look()
        monkeypatch.setattr(Deploy, "ask", lambda *_given, **_asked: seen)
        hosts = {"gpu-1": {"rental": {"id": "7"}, "found": {"servers": [seen]}}}
        asked = {**seen, "spec": {**SPEC, "engine": engine}}
        fleet = fleet_status({"scope": "s", "hosts": hosts})["report"]["hosts"]["gpu-1"]
        return {
            "deploy": Deploy.__new__(Deploy).explain({}, {}, "failed", limit)["failure"],
            "evidence": collect(),
            "status": fleet["servers"][0]["failure"],
            "recover": recovery({"server": asked})["failure"],
        }

    return run


def causes(told: dict[str, dict[str, Any]]) -> set[str]:
    return {failure["cause_id"] for failure in told.values()}


@pytest.mark.parametrize("excerpt", sampled.some(FAILING, 8), ids=lambda excerpt: excerpt.name)
def test_every_failure_has_the_same_cause_whoever_is_asked(tell: Tell, excerpt: Excerpt) -> None:
    told = tell(excerpt.log, kernel=excerpt.kernel_log, **excerpt.engine, **excerpt.ended)
    found = excerpt.diagnose()
    assert causes(told) == {found[0].id if found else "unknown"}
    assert len({json.dumps(failure) for failure in told.values()}) == 1


def test_what_could_not_even_be_run_is_explained_by_its_record(tell: Tell) -> None:
    assert causes(tell("", "it cannot be run here: [Errno 28] No space left on device")) == {
        "disk_full"
    }


@pytest.mark.parametrize(
    ("reason", "log", "cause"),
    [
        ("not ready in time", "", "timeout"),
        ("not ready in time", "OSError: [Errno 28] No space left on device", "disk_full"),
        ("hung at its start", "", "hung"),
    ],
)
def test_what_was_stopped_for_being_late_is_not_said_to_have_been_killed(
    tell: Tell, reason: str, log: str, cause: str
) -> None:
    """Deploy explains it before the stop, the others after it."""
    limit = Limit("wait_timeout_seconds", reason, "is late")
    told = tell(log, reason, limit=limit, phase="stopped", signal="SIGKILL")
    assert causes(told) == {cause}


def test_no_secret_of_a_log_is_told_by_anybody(tell: Tell) -> None:
    token = "hf_" + "a1B2" * 6
    log = f"FooError: Authorization: Bearer {token}\nBarError: no model at https://u:pw@hub/m\n"
    told = tell(log, exit_code=1)
    assert causes(told) == {"unknown"}
    for failure in told.values():
        assert failure["evidence"] == [
            "FooError: Authorization: Bearer (redacted)",
            "BarError: no model at https://(redacted)@hub/m",
        ]


def test_a_new_cause_is_one_entry_and_one_excerpt() -> None:
    """Its `change` leads to what helps, and an excerpt shows it to work; see CONTRIBUTING.md."""
    shown = {excerpt.cause for excerpt in FAILING}
    for entry in FAILURES:
        assert entry.id in shown or entry.signals, f"{entry.id} has no excerpt"
        intent = intent_of(entry.change, entry.engine or DEFAULT)
        known = entry.id in BY_CAUSE or intent in BY_CHANGE
        assert known, f"nothing helps {entry.id}"


def test_nothing_but_the_explanation_asks_the_catalogue() -> None:
    plugins = Path(__file__).parents[3] / "plugins"
    asking = [
        path.name
        for path in plugins.rglob("*.py")
        if re.search("import .*diagnos", path.read_text())
    ]
    assert asking == ["explanation.py"]
