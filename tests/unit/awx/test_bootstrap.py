# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One playbook, an address and a token: a stand-in of AWX becomes what awx/ says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.awx import applying
from ansible_collections.inferops.gpu.plugins.module_utils.awx.api import Api, AwxError
from ansible_collections.inferops.gpu.plugins.module_utils.awx.applying import Applying, secrets
from tests.awx import rules
from tests.awx.controller import TOKEN, Controller, Refused
from tests.awx.reading import committed
from tests.hanging import HANGS_AFTER_SECONDS
from tests.tools.tree import REPOSITORY

WANTED = committed()
KINDS = {
    "credential_types": "controller_credential_types",
    "credentials": "controller_credentials",
    "execution_environments": "controller_execution_environments",
    "inventories": "controller_inventories",
    "inventory_sources": "controller_inventory_sources",
    "job_templates": "controller_templates",
    "notification_templates": "controller_notifications",
    "organizations": "aap_organizations",
    "projects": "controller_projects",
    "schedules": "controller_schedules",
    "workflow_job_templates": "controller_workflows",
}


@pytest.fixture(params=[False, True], ids=["awx", "platform"])
def controller(request: pytest.FixtureRequest) -> Iterator[Controller]:
    awx = Controller(rules.playbooks(REPOSITORY), platform=request.param)
    yield awx
    awx.close()


@pytest.fixture(autouse=True)
def _in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applying, "_LOOK_SECONDS", 0.01)


def run(awx: Controller, wanted: Any = None, dry_run: bool = False) -> list[dict[str, Any]]:
    """What one run has done."""
    done = Applying(Api(awx.url, TOKEN), dry_run, project_timeout_seconds=5)
    done.apply(wanted or WANTED)
    return done.changes


def test_all_of_it_is_made_and_a_second_run_changes_nothing(controller: Controller) -> None:
    assert run(controller)
    for kind, variable in KINDS.items():
        there = [one["name"] for one in controller.objects[kind].values()]
        assert sorted(there) == sorted(one["name"] for one in WANTED[variable])
    before = len(controller.writes)
    assert run(controller) == []
    assert len(controller.writes) == before


def test_forms_credentials_and_nodes_are_those_that_were_wanted(controller: Controller) -> None:
    run(controller)
    deploy = controller.named("job_templates", "inferops deploy")
    (wanted,) = (one for one in WANTED["controller_templates"] if one["name"] == "inferops deploy")
    assert controller.surveys[deploy["id"]] == wanted["survey_spec"]
    names = {one["id"]: one["name"] for one in controller.objects["credentials"].values()}
    attached = controller.attached[deploy["id"], "credentials"]
    assert [names[one] for one in attached] == wanted["credentials"]
    nodes = {
        one["identifier"]: one["id"]
        for one in controller.objects["workflow_job_template_nodes"].values()
    }
    (workflow,) = WANTED["controller_workflows"]
    for node in workflow["simplified_workflow_nodes"]:
        for link in applying._LINKS:
            led = controller.attached.get((nodes[node["identifier"]], link), [])
            assert led == [nodes[one] for one in node.get(link, ())]
    (approval,) = controller.objects["workflow_approval_templates"].values()
    assert approval["timeout"] == 3600


def test_a_dry_run_tells_all_and_makes_nothing(controller: Controller) -> None:
    told = run(controller, dry_run=True)
    assert controller.writes == []
    made = {one["name"] for one in told if one["did"] == "made"}
    assert {one["name"] for variable in KINDS.values() for one in WANTED[variable]} <= made
    assert run(controller) == told
    drifted = controller.named("job_templates", "inferops deploy")
    drifted["timeout"] = 60
    before = len(controller.writes)
    (change,) = run(controller, dry_run=True)
    assert (change["name"], change["fields"]) == ("inferops deploy", ["timeout"])
    assert len(controller.writes) == before


def test_what_drifted_is_put_right_and_what_somebody_added_stays(controller: Controller) -> None:
    run(controller)
    deploy = controller.named("job_templates", "inferops deploy")
    deploy["ask_variables_on_launch"] = True
    controller.surveys[deploy["id"]] = {"name": "x", "description": "", "spec": []}
    own = controller._kept("notification_templates", {"name": "mine"})
    controller.attached[deploy["id"], "notification_templates_error"].append(own["id"])
    told = run(controller)
    assert [one["fields"] for one in told] == [["ask_variables_on_launch"], ["survey_spec"]]
    assert deploy["ask_variables_on_launch"] is False
    assert own["id"] in controller.attached[deploy["id"], "notification_templates_error"]


def test_a_way_around_the_approval_is_taken_away(controller: Controller) -> None:
    run(controller)
    nodes = {
        one["identifier"]: one["id"]
        for one in controller.objects["workflow_job_template_nodes"].values()
    }
    controller.attached[nodes["plan"], "always_nodes"] = [nodes["deploy"]]
    run(controller)
    assert controller.attached[nodes["plan"], "always_nodes"] == []


def of(wanted: dict[str, Any], variable: str, name: str) -> dict[str, Any]:
    (found,) = (one for one in wanted[variable] if one["name"] == name)
    return found  # type: ignore[no-any-return]


def with_inputs(**inputs: str) -> dict[str, Any]:
    """The configuration, with these in the credential of the hub alone."""
    others = [{**one, "inputs": {}} for one in WANTED["controller_credentials"]]
    mine = [
        {**one, "inputs": inputs} if one["name"] == "inferops model hub" else one for one in others
    ]
    return {**WANTED, "controller_credentials": mine}


def test_a_secret_is_filled_in_once_and_what_somebody_typed_stays(controller: Controller) -> None:
    run(controller, with_inputs(token=""))
    hub = controller.named("credentials", "inferops model hub")
    assert hub["inputs"] == {}
    (told,) = run(controller, with_inputs(token="hf_first"))
    assert (told["name"], told["fields"]) == ("inferops model hub", ["inputs"])
    assert hub["inputs"] == {"token": "hf_first"}
    assert run(controller, with_inputs(token="hf_second")) == []
    assert run(controller, with_inputs(token="")) == []
    assert hub["inputs"] == {"token": "hf_first"}


def test_what_awx_refuses_is_told_in_its_own_words(controller: Controller) -> None:
    wrong = [{**one, "kind": "ssh"} for one in WANTED["controller_credential_types"]]
    with pytest.raises(AwxError, match=r"refused \(400\).*ssh is no kind"):
        run(controller, {**WANTED, "controller_credential_types": wrong})


def test_a_name_of_nothing_is_told(controller: Controller) -> None:
    wrong = [{**one, "project": "other"} for one in WANTED["controller_templates"]]
    with pytest.raises(AwxError, match="There is nothing called other among projects"):
        run(controller, {**WANTED, "controller_templates": wrong})


@pytest.mark.parametrize(
    ("statuses", "said"),
    [(["running", "failed"], "could not be fetched"), (["running"], "still being fetched")],
)
def test_a_project_that_cannot_be_fetched_ends_it(
    controller: Controller, statuses: list[str], said: str
) -> None:
    controller.fetching = statuses
    done = Applying(Api(controller.url, TOKEN), False, project_timeout_seconds=0.1)
    with pytest.raises(AwxError, match=said):
        done.apply(WANTED)


def test_a_token_that_awx_does_not_know_is_told(controller: Controller) -> None:
    with pytest.raises(AwxError, match="does not know the token"):
        Applying(Api(controller.url, "other"), False, 5).apply(WANTED)


@pytest.mark.parametrize("url", ["http://awx.example.com", "awx.example.com", "ftp://127.0.0.1.x"])
def test_a_token_goes_nowhere_without_tls(url: str) -> None:
    with pytest.raises(AwxError, match="is not https"):
        Api(url, TOKEN)


def test_a_token_is_not_taken_to_another_address(monkeypatch: pytest.MonkeyPatch) -> None:
    awx, other = Controller(set()), Controller(set())
    try:
        api = Api(awx.url, TOKEN)

        def sent_on(*_words: Any) -> None:
            raise Refused(302, f"{other.url}/api/")

        monkeypatch.setattr(awx, "answer", sent_on)
        with pytest.raises(AwxError, match=r"refused \(302\)"):
            api.call("GET", "/api/")
    finally:
        awx.close()
        other.close()


def test_an_address_of_something_else_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Api, "call", lambda *_words: {"detail": "hello"})
    with pytest.raises(AwxError, match="has no API of AWX"):
        Api("https://example.com", TOKEN)


def test_only_what_a_credential_keeps_secret_is_hidden() -> None:
    filled = with_inputs(token="hf_secret")
    filled["controller_credentials"][1]["inputs"] = {"scope": "prod", "scope_secret": "a-secret"}
    assert secrets(filled) == {"hf_secret", "a-secret"}


def commands() -> list[list[str]]:
    """What docs/awx.md tells people to type for it, in its order."""
    page = (REPOSITORY / "docs/awx.md").read_text()
    return [line.split() for line in re.findall(r"^ansible-playbook .*$", page, re.MULTILINE)]


def typed(command: list[str], awx: Controller, home: Path) -> str:
    """What a command of the page says."""
    environment = {
        **{name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
        "HOME": str(home),
        "CONTROLLER_HOST": awx.url,
        "CONTROLLER_OAUTH_TOKEN": TOKEN,
        "VAST_API_KEY": "secret-of-the-account",
        "INFEROPS_SCOPE": "prod",
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
    }
    done = subprocess.run(
        [Path(sys.executable).with_name(command[0]), *command[1:], "-vvv"],
        cwd=REPOSITORY,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=HANGS_AFTER_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    # It fills credentials from the environment, and shows nothing of what it fills in.
    assert "secret-of-the-account" not in done.stdout
    assert TOKEN not in done.stdout
    return done.stdout


def test_the_commands_of_the_page_need_an_address_and_a_token_alone(tmp_path: Path) -> None:
    awx = Controller(rules.playbooks(REPOSITORY))
    try:
        dry, wet = commands()
        assert "inferops deploy" in typed(dry, awx, tmp_path)
        assert awx.writes == []
        assert "Made or changed: inferops deploy" in typed(wet, awx, tmp_path)
        assert awx.named("credentials", "inferops scope")["inputs"] == {"scope": "prod"}
        account = awx.named("credentials", "inferops vastai")
        assert account["inputs"] == {"api_key": "secret-of-the-account"}
        injected = awx.named("credential_types", "inferops scope")["injectors"]
        assert injected["env"]["INFEROPS_SCOPE"] == "{{ scope }}"
    finally:
        awx.close()
