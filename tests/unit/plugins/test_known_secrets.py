# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets without any look of their own, said back by a host to tasks that do not have them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import yaml
from ansible import constants
from ansible.errors import (
    AnsibleActionFail,
    AnsibleActionSkip,
    AnsibleConnectionFailure,
    AnsibleError,
)

from ansible_collections.inferops.gpu.plugins.filter.redact import redact
from ansible_collections.inferops.gpu.plugins.module_utils.common.known import as_written, without
from ansible_collections.inferops.gpu.plugins.module_utils.market.access.client_key import (
    client_key,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.fleet_secrets import (
    OF_THE_CONTROLLER,
    SECRET_VARIABLES,
    fleet_secrets,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import GuardedAction
from ansible_collections.inferops.gpu.plugins.plugin_utils.variables import is_secret, options
from tests.tools.tree import REPOSITORY
from tests.unit.plugins.test_guarded_actions import GROUPS, OPTIONS, SHOW_TOLD, Host

KEY, PASSWORD = "said-back-as-it-is", "of-the-index-as-it-is"
#: Rendered only where they are used, as a vault and a lookup are.
GIVEN: dict[str, Any] = {
    "inferops_server_api_key": "{{ ['said-back', 'as-it-is'] | join('-') }}",
    "inferops_index_url": "https://me:{{ ['of-the-index', 'as-it-is'] | join('-') }}@h/simple",
}
SERVER = {"name": "main", "phase": "failed", "progress": "it failed", "reason": f"died of {KEY}"}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def given(*tasks: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**task, "vars": GIVEN, "ignore_errors": True} for task in tasks]


def test_no_task_on_a_host_tells_a_secret_that_another_task_has_given(host: Host) -> None:
    """In no value, in no name of a value, in no message, and not where the wire is shown."""
    said = f"died of {KEY} and {PASSWORD}"
    host.says(
        {
            "changed": False,
            "failed": True,
            "msg": said,
            "warnings": [said],
            "log": [said, {KEY: PASSWORD}],
            "server": SERVER,
        }
    )
    tasks = []
    for module in GROUPS["host"]:
        look = {f"inferops.gpu.{module}": OPTIONS.get(module, {}), "register": "told"}
        tasks += [*given(look), SHOW_TOLD]
    done = host.play(*tasks, ANSIBLE_VERBOSITY="5")
    assert done.stdout.count("died of (redacted) and (redacted)") >= len(GROUPS["host"])
    assert KEY not in done.stdout
    assert PASSWORD not in done.stdout


def test_a_result_that_did_not_fail_holds_none_either(host: Host) -> None:
    """Status, recover and their reports are made of it."""
    host.says({"changed": False, "servers": [SERVER], KEY: 1})
    look = {"inferops.gpu.model_server_info": {}, "register": "told"}
    done = host.play(*given(look), SHOW_TOLD)
    assert "died of (redacted)" in done.stdout
    assert KEY not in done.stdout


@pytest.mark.parametrize("doing", [f"loading {KEY}", f"{'x' * 70} {KEY}"], ids=["whole", "cut"])
def test_no_line_about_a_job_shows_one(host: Host, tmp_path: Path, doing: str) -> None:
    """Nor the half of one, where the line is cut."""
    first = json.dumps({"changed": False, "running": {"doing": doing, "seconds": 1}})
    once, then = tmp_path / "once", json.dumps({"changed": False, "packages": {}})
    host.python.write_text(
        f"#!/bin/sh\nif mkdir '{once}' 2>/dev/null; then echo '{first}'; else echo '{then}'; fi\n"
    )
    done = host.play(*given({"inferops.gpu.stack_lock": {}}), ANSIBLE_STDOUT_CALLBACK="default")
    assert "0 s" in done.stdout or "1 s" in done.stdout
    assert KEY[:8] not in done.stdout


def test_no_line_about_the_start_of_a_server_shows_one(host: Host, tmp_path: Path) -> None:
    loads = {"phase": "starting", "progress": f"loading {KEY}", "since": 0}
    first = json.dumps({"changed": True, "server": loads, "servers": [loads]})
    runs = {"phase": "running", "progress": "serving", "completion": " x"}
    then = json.dumps({"changed": False, "server": runs, "servers": [runs]})
    count = tmp_path / "count"
    host.python.write_text(
        f"#!/bin/sh\necho >> '{count}'\n"
        f"if [ $(wc -l < '{count}') -lt 3 ]; then echo '{first}'; else echo '{then}'; fi\n"
    )
    start = {"inferops.gpu.model_server": {"name": "main", "model": "a/b"}}
    done = host.play(*given(start), ANSIBLE_STDOUT_CALLBACK="default")
    assert "loading (redacted) (" in done.stdout
    assert KEY not in done.stdout


def test_what_recover_reads_back_is_not_started_without_its_secret(host: Host) -> None:
    """Or the server would get the words that stand in its place."""
    start = {"name": "main", "model": "a/b", "arguments": {"hf_token": "(redacted)"}}
    done = host.play(*given({"inferops.gpu.model_server": start}))
    assert "give it by the environment instead" in " ".join(done.stdout.split())
    assert not host.asked.exists()


def test_state_and_summary_of_evidence_hold_none(host: Host, tmp_path: Path) -> None:
    """They are made to be passed on."""
    server = {**SERVER, "model": KEY, "port": 1, "exit_code": 1, "signal": None, "processes": 0}
    host.says(
        {
            "changed": False,
            "parts": {"server.log": "x"},
            "missing": {},
            "server": {**server, "symptoms": {}},
            "servers": [server],
        }
    )
    variables = {
        **GIVEN,
        "inferops_scope": "test",
        "inferops_connected": True,
        "inferops_evidence_dir": str(tmp_path / "evidence"),
        # By a task of Ansible's own, whose message nothing has cleaned.
        "inferops_failure": {"task": "Hold", "message": f"no {KEY}", "diagnosis": {"cause": KEY}},
    }
    # A role's own defaults come after these.
    collects = {"ansible.builtin.include_role": {"name": "inferops.gpu.evidence"}}
    loads = {"ansible.builtin.import_role": {"name": "inferops.gpu.inferops"}}
    done = host.play({**loads, "vars": variables}, {**collects, "vars": variables})
    assert done.returncode == 0, done.stdout
    kept = {file.name: file.read_text() for file in tmp_path.glob("evidence/*/*")}
    assert {"state.json", "summary.md", "server.log"} <= set(kept)
    assert "died of (redacted)" in kept["state.json"]
    assert "no (redacted)" in kept["summary.md"]
    for name, text in {**kept, "output": done.stdout}.items():
        assert KEY not in text, name


def test_a_summary_shows_what_a_host_says_as_text_on_its_line(host: Host, tmp_path: Path) -> None:
    """It is opened as a page: a heading of the host's, or its script, would look like ours."""
    forged = "done\n\n## Remedy\n\n<script>alert(1)</script> {{ 1234 * 9 }}"
    server = {**SERVER, "progress": forged, "model": forged, "port": 1, "exit_code": 1}
    server |= {"signal": None, "processes": 0}
    host.says(
        {
            "changed": False,
            "parts": {"server.log": "x"},
            "missing": {"gpu.txt": forged},
            "server": {**server, "symptoms": {}},
            "servers": [server],
        }
    )
    variables = {
        **GIVEN,
        "inferops_scope": "test",
        "inferops_connected": True,
        "inferops_evidence_dir": str(tmp_path / "evidence"),
        "inferops_failure": {
            "task": "Hold",
            "message": "no <b>",
            "diagnosis": {"cause": forged[:40]},
        },
    }
    collects = {"ansible.builtin.include_role": {"name": "inferops.gpu.evidence"}}
    loads = {"ansible.builtin.import_role": {"name": "inferops.gpu.inferops"}}
    done = host.play({**loads, "vars": variables}, {**collects, "vars": variables})
    assert done.returncode == 0, done.stdout
    (summary,) = (file.read_text() for file in tmp_path.glob("evidence/*/summary.md"))
    assert summary.count("&lt;script>") == 4
    assert not [sign for sign in ("\n## Remedy", "<", "11106") if sign in summary]


def facts(node: Any) -> Iterator[dict[str, Any]]:
    """What the tasks below *node* set, each with what it is set to."""
    if isinstance(node, list):
        for one in node:
            yield from facts(one)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "ansible.builtin.set_fact":
                yield value
            yield from facts(value)


def test_what_is_kept_of_a_task_that_failed_is_without_secrets() -> None:
    """It may be one of Ansible's own, and reports and evidence are made of its message."""
    kept = []
    for pattern in ("roles/*/tasks/*.yml", "playbooks/**/*.yml"):
        for file in REPOSITORY.glob(pattern):
            for told in facts(yaml.safe_load(file.read_text())):
                given = [one for one in told.values() if isinstance(one, dict)]
                kept += [one["message"] for one in given if "{{" in one.get("message", "")]
    assert len(kept) >= 2
    assert [one for one in kept if "inferops.gpu.redact(inferops_secrets)" not in one] == []


class Says(GuardedAction):
    """Ends as it is told to."""

    ending: ClassVar[AnsibleError]

    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        self.tell("gpu-1", f"the line is dead: {self.ending}")
        raise self.ending


def ended(**arguments: Any) -> None:
    task = SimpleNamespace(args=arguments, check_mode=False, async_val=0)
    connection = SimpleNamespace(transport="ssh", _shell=SimpleNamespace(tmpdir="/nowhere"))
    Says(task, connection, *[None] * 4).run(task_vars={})


@pytest.mark.parametrize("kind", [AnsibleError, AnsibleActionFail, AnsibleConnectionFailure])
def test_no_failure_of_the_connection_shows_one_or_steers_a_terminal(
    kind: type[AnsibleError], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a host prints while a file is sent to it becomes an error of Ansible's own."""
    monkeypatch.setattr(constants, "DEFAULT_STDOUT_CALLBACK", "default")
    monkeypatch.setattr(Says, "ending", kind(f"failed to transfer:\n\x1b[2J{KEY}"), raising=False)
    with pytest.raises(AnsibleError) as raised:
        ended(api_key=KEY)
    assert type(raised.value) is (kind if kind is not AnsibleError else AnsibleActionFail)
    for told in (str(raised.value), capsys.readouterr().out):
        assert "failed to transfer: (redacted)" in told


def test_an_action_that_is_skipped_stays_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Says, "ending", AnsibleActionSkip("not here"), raising=False)
    with pytest.raises(AnsibleActionSkip):
        ended()


def planted(name: str) -> Any:
    """A value of the variable's own type with a secret of no look in it."""
    rules = options().get(name, {})
    if name.endswith(("_url", "_endpoint", "_mirror")):
        return f"https://me:planted-in-{name}@h/"
    if name == "inferops_accounts":
        return [{"provider": "vastai", "api_key": f"planted-in-{name}"}]
    if rules.get("type") == "list":
        return [f"https://me:planted-in-{name}@h/"]
    if rules.get("type") == "dict":
        return {"HF_TOKEN": f"planted-in-{name}"}
    return f"planted-in-{name}"


@pytest.mark.parametrize("name", sorted(SECRET_VARIABLES))
@pytest.mark.parametrize("spelled", ["as-data", "as-text"])
def test_what_every_secret_variable_holds_is_known(name: str, spelled: str) -> None:
    """Also one that comes as JSON in a text, as from a survey."""
    value = planted(name)
    if spelled == "as-text" and not isinstance(value, str):
        value = json.dumps(value) if "dict" in str(options()[name]) else ",".join(value)
    found = fleet_secrets({name: value}, lambda given: given)
    assert f"planted-in-{name}" in found


def test_every_variable_that_is_secret_is_looked_at() -> None:
    assert {name for name in options() if is_secret(name)} <= SECRET_VARIABLES
    assert {"inferops_api_key", "inferops_scope_secret"} <= OF_THE_CONTROLLER & SECRET_VARIABLES
    assert not {"inferops_server_api_key", "inferops_hub_token"} & OF_THE_CONTROLLER


def test_a_variable_that_cannot_be_rendered_holds_nothing_yet() -> None:
    def render(given: str) -> str:
        raise AnsibleError(f"{given} is undefined")

    assert fleet_secrets({"inferops_hub_token": "{{ later }}"}, render) == set()


def test_what_is_no_secret_in_an_address_or_an_environment_stays() -> None:
    given = {
        "inferops_index_url": "https://me:of-the-index-as-it-is@mirror.example/simple",
        "inferops_server_environment": {"HF_HOME": "/models/hub", "API_KEY": KEY},
    }
    found = fleet_secrets(given, lambda value: value)
    text = "https://mirror.example/simple and /models/hub"
    assert without(text, found) == text


def test_a_key_that_is_derived_is_known_without_deriving_it() -> None:
    key = client_key("scope-secret-0123456789", "test", "gpu-1")
    assert without({"said": f"served with {key}."}, ()) == {"said": "served with (redacted)."}
    assert redact([f"x={key}"], [KEY]) == ["x=(redacted)"]


@pytest.mark.parametrize("secret", ['with"quotes"in', "back\\slash\\in", "with-ümlaut-in"])
def test_a_secret_with_signs_that_json_escapes_is_known_as_json(secret: str) -> None:
    """As the wire shows it, and as JSON in a text of JSON."""
    known, once = as_written({secret}), json.dumps({"said": secret})
    for told in (once, json.dumps([once])):
        assert "(redacted)" in without(told, known)
