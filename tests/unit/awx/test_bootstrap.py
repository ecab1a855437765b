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
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.awx import applying
from ansible_collections.inferops.gpu.plugins.module_utils.awx.api import Api, AwxError
from ansible_collections.inferops.gpu.plugins.module_utils.awx.applying import Applying, secrets
from tests.awx import rules
from tests.awx.controller import TOKEN, Controller, Refused
from tests.awx.reading import committed, filled
from tests.hanging import HANGS_AFTER_SECONDS
from tests.tools.tree import REPOSITORY

WANTED = filled(committed(), {})
WEBHOOK = "https://chat.example.com/hooks/2vN8qLtW4xZp"
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


@contextmanager
def an_awx(**how: Any) -> Iterator[Controller]:
    """One for a while."""
    awx = Controller(rules.playbooks(REPOSITORY), **how)
    try:
        yield awx
    finally:
        awx.close()


@pytest.fixture(params=[False, True], ids=["awx", "platform"])
def controller(request: pytest.FixtureRequest) -> Iterator[Controller]:
    """AWX, and a platform, which differs in its paths and in who makes organizations."""
    with an_awx(platform=request.param) as awx:
        yield awx


@pytest.fixture
def awx() -> Iterator[Controller]:
    """One that has nothing yet."""
    with an_awx() as awx:
        yield awx


@pytest.fixture(scope="module")
def first_run() -> Iterator[Controller]:
    with an_awx() as awx:
        run(awx)
        yield awx


@pytest.fixture
def made(first_run: Controller) -> Iterator[Controller]:
    """One that has all of it, of an earlier run."""
    with an_awx(like=first_run) as awx:
        yield awx


@pytest.fixture(autouse=True, scope="module")
def _in_no_time() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(applying, "_LOOK_SECONDS", 0.01)
        yield


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


def test_forms_credentials_and_nodes_are_those_that_were_wanted(made: Controller) -> None:
    deploy = made.named("job_templates", "inferops deploy")
    (wanted,) = (one for one in WANTED["controller_templates"] if one["name"] == "inferops deploy")
    assert made.surveys[deploy["id"]] == wanted["survey_spec"]
    names = {one["id"]: one["name"] for one in made.objects["credentials"].values()}
    attached = made.attached[deploy["id"], "credentials"]
    assert [names[one] for one in attached] == wanted["credentials"]
    nodes = {
        one["identifier"]: one["id"] for one in made.objects["workflow_job_template_nodes"].values()
    }
    (workflow,) = WANTED["controller_workflows"]
    for node in workflow["simplified_workflow_nodes"]:
        for link in applying._LINKS:
            led = made.attached.get((nodes[node["identifier"]], link), [])
            assert led == [nodes[one] for one in node.get(link, ())]
    (approval,) = made.objects["workflow_approval_templates"].values()
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


def test_what_drifted_is_put_right_and_what_somebody_added_stays(made: Controller) -> None:
    deploy = made.named("job_templates", "inferops deploy")
    deploy["ask_variables_on_launch"] = True
    made.surveys[deploy["id"]] = {"name": "x", "description": "", "spec": []}
    own = made._kept("notification_templates", {"name": "mine"})
    made.attached[deploy["id"], "notification_templates_error"].append(own["id"])
    told = run(made)
    assert [one["fields"] for one in told] == [["ask_variables_on_launch"], ["survey_spec"]]
    assert deploy["ask_variables_on_launch"] is False
    assert own["id"] in made.attached[deploy["id"], "notification_templates_error"]


def test_a_way_around_the_approval_is_taken_away(made: Controller) -> None:
    nodes = {
        one["identifier"]: one["id"] for one in made.objects["workflow_job_template_nodes"].values()
    }
    made.attached[nodes["plan"], "always_nodes"] = [nodes["deploy"]]
    run(made)
    assert made.attached[nodes["plan"], "always_nodes"] == []


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


def told_where(url: str = WEBHOOK, **more: Any) -> dict[str, Any]:
    """The configuration of somebody who has said where notifications go."""
    wanted = filled(committed(), {"INFEROPS_NOTIFICATION_URL": url})
    wanted["controller_notifications"][0]["notification_configuration"] |= more
    return wanted  # type: ignore[no-any-return]


def webhook(awx: Controller) -> dict[str, Any]:
    """How AWX sends notifications now."""
    found = awx.named("notification_templates", "inferops failed")
    return found["notification_configuration"]  # type: ignore[no-any-return]


def test_the_webhook_that_somebody_typed_stays(made: Controller) -> None:
    typed = {"url": WEBHOOK, "username": "me", "password": "p4ssw0rd", "headers": {"X-Team": "gpu"}}
    webhook(made).update(typed)
    assert run(made) == []
    assert typed.items() <= webhook(made).items()


def test_one_word_of_a_webhook_is_changed_and_nothing_beside_it(made: Controller) -> None:
    webhook(made).update({"url": "https://old.example.com", "password": "p4ssw0rd"})
    (told,) = run(made, told_where())
    assert (told["name"], told["fields"]) == ("inferops failed", ["notification_configuration"])
    assert webhook(made)["url"] == WEBHOOK
    assert webhook(made)["password"] == "p4ssw0rd"
    # AWX does not tell the password, so that a wish for another one is no difference.
    assert run(made, told_where(password="another-one")) == []
    assert webhook(made)["password"] == "p4ssw0rd"


def test_a_password_that_awx_lacks_is_filled_in(made: Controller) -> None:
    run(made, told_where(password="first-one"))
    assert webhook(made)["password"] == "first-one"


def with_another_field(of: str) -> dict[str, Any]:
    """The next release: a credential type has one more field, and injects it."""
    wanted = deepcopy(WANTED)
    (kind,) = (one for one in wanted["controller_credential_types"] if one["name"] == of)
    kind["inputs"]["fields"].append({"id": "new_key", "label": "New key", "type": "string"})
    kind["injectors"]["env"]["NEW_KEY"] = "{{ new_key }}"
    wanted["controller_projects"][0]["scm_branch"] = "9.9.9"
    return wanted


def test_awx_forbids_other_fields_for_a_credential_type_in_use(made: Controller) -> None:
    """The stand-in has AWX's rule, in whose words it is told to whoever meets it."""
    kind = made.named("credential_types", "inferops inventory")
    api = Api(made.url, TOKEN)
    path = api.path("credential_types", kind["id"])
    api.call("PATCH", path, {"description": "x", "inputs": kind["inputs"]})
    with pytest.raises(AwxError, match=r"refused \(403\).*types that are in use") as caught:
        api.call("PATCH", path, {"inputs": {"fields": []}})
    assert "administrator" not in str(caught.value)


@pytest.mark.parametrize("dry_run", [True, False])
def test_the_next_release_is_applied_and_says_what_awx_keeps(
    made: Controller, dry_run: bool
) -> None:
    before = deepcopy(made.named("credential_types", "inferops inventory"))
    done = Applying(Api(made.url, TOKEN), dry_run, project_timeout_seconds=5)
    done.apply(with_another_field("inferops inventory"))
    assert [(one["kind"], one["fields"]) for one in done.changes] == [("projects", ["scm_branch"])]
    (left,) = done.left
    assert (left["name"], left["fields"]) == ("inferops inventory", ["new_key"])
    assert "delete these in AWX and run it again" in left["why"]
    assert made.named("credential_types", "inferops inventory") == before
    branch = made.named("projects", "inferops.gpu")["scm_branch"]
    assert (branch == "9.9.9") == (not dry_run)


def test_what_the_message_says_gives_the_new_fields(made: Controller) -> None:
    credential = made.named("credentials", "inferops inventory")
    del made.objects["credentials"][credential["id"]]
    done = Applying(Api(made.url, TOKEN), False, project_timeout_seconds=5)
    done.apply(with_another_field("inferops inventory"))
    assert done.left == []
    kind = made.named("credential_types", "inferops inventory")
    assert kind["injectors"]["env"]["NEW_KEY"] == "{{ new_key }}"
    again = made.named("credentials", "inferops inventory")["id"]
    assert made.named("inventory_sources", "inferops rentals")["credential"] == again


def test_a_token_without_the_right_is_told_what_it_needs(
    awx: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_words: Any) -> None:
        raise Refused(403, "You do not have permission to perform this action.")

    monkeypatch.setattr(awx, "_made", forbidden)
    with pytest.raises(AwxError, match="Give it the rights of an administrator"):
        run(awx)


def test_a_list_of_many_pages_is_read_to_its_end(made: Controller) -> None:
    made.page_size = 2
    assert run(made) == []


KEY = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ9zTjR2\n" * 9


def test_what_awx_quotes_of_a_secret_is_not_shown(awx: Controller) -> None:
    """Of a key that it cannot read, AWX says the first hundred letters."""
    wanted = filled(committed(), {"INFEROPS_SSH_PRIVATE_KEY": KEY})
    api = Api(awx.url, TOKEN, secrets=secrets(wanted))
    with pytest.raises(AwxError, match="Invalid certificate or key") as caught:
        Applying(api, False, 5).apply(wanted)
    assert not {KEY[at : at + 12] for at in range(90)} & {
        str(caught.value)[at : at + 12] for at in range(len(str(caught.value)))
    }


def test_a_secret_is_filled_in_once_and_what_somebody_typed_stays(awx: Controller) -> None:
    run(awx, with_inputs(token=""))
    hub = awx.named("credentials", "inferops model hub")
    assert hub["inputs"] == {}
    (told,) = run(awx, with_inputs(token="hf_first"))
    assert (told["name"], told["fields"]) == ("inferops model hub", ["inputs"])
    assert hub["inputs"] == {"token": "hf_first"}
    assert run(awx, with_inputs(token="hf_second")) == []
    assert run(awx, with_inputs(token="")) == []
    assert hub["inputs"] == {"token": "hf_first"}


def test_what_awx_refuses_is_told_in_its_own_words(awx: Controller) -> None:
    wrong = [{**one, "kind": "ssh"} for one in WANTED["controller_credential_types"]]
    with pytest.raises(AwxError, match=r"refused \(400\).*ssh is no kind"):
        run(awx, {**WANTED, "controller_credential_types": wrong})


def test_a_name_of_nothing_is_told(awx: Controller) -> None:
    wrong = [{**one, "project": "other"} for one in WANTED["controller_templates"]]
    with pytest.raises(AwxError, match="There is nothing called other among projects"):
        run(awx, {**WANTED, "controller_templates": wrong})


@pytest.mark.parametrize(
    ("statuses", "said"),
    [(["running", "failed"], "could not be fetched"), (["running"], "still being fetched")],
)
def test_a_project_that_cannot_be_fetched_ends_it(
    awx: Controller, statuses: list[str], said: str
) -> None:
    awx.fetching = statuses
    done = Applying(Api(awx.url, TOKEN), False, project_timeout_seconds=0.1)
    with pytest.raises(AwxError, match=said):
        done.apply(WANTED)


def test_a_token_that_awx_does_not_know_is_told(awx: Controller) -> None:
    with pytest.raises(AwxError, match="does not know the token"):
        Applying(Api(awx.url, "other"), False, 5).apply(WANTED)


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
    given = with_inputs(token="hf_secret")
    given["controller_credentials"][1]["inputs"] = {"scope": "prod", "scope_secret": "a-secret"}
    assert secrets(given) == {"hf_secret", "a-secret"}


def test_where_notifications_go_is_hidden_with_what_they_log_in_with() -> None:
    given = told_where(username="me", password="p4ssw0rd", headers={"X-Key": "header-key"})
    assert secrets(given) == {WEBHOOK, "p4ssw0rd", "header-key"}


def commands() -> list[list[str]]:
    """What docs/awx.md tells people to type for it, in its order."""
    page = (REPOSITORY / "docs/awx.md").read_text()
    return [line.split() for line in re.findall(r"^ansible-playbook awx/.*$", page, re.MULTILINE)]


def typed(command: list[str], awx: Controller, home: Path) -> str:
    """What a command of the page says."""
    environment = {
        **{name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
        "HOME": str(home),
        "CONTROLLER_HOST": awx.url,
        "CONTROLLER_OAUTH_TOKEN": TOKEN,
        "VAST_API_KEY": "secret-of-the-account",
        "INFEROPS_SCOPE": "prod",
        "INFEROPS_NOTIFICATION_URL": WEBHOOK,
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
    # Whoever knows the address may post there.
    assert WEBHOOK.rpartition("/")[2] not in done.stdout
    return done.stdout


@pytest.mark.long
def test_the_commands_of_the_page_need_an_address_and_a_token_alone(tmp_path: Path) -> None:
    with an_awx() as awx:
        dry, wet = commands()
        assert "inferops deploy" in typed(dry, awx, tmp_path)
        assert awx.writes == []
        assert "Made or changed: inferops deploy" in typed(wet, awx, tmp_path)
        assert awx.named("credentials", "inferops scope")["inputs"] == {"scope": "prod"}
        account = awx.named("credentials", "inferops vastai")
        assert account["inputs"] == {"api_key": "secret-of-the-account"}
        assert webhook(awx)["url"] == WEBHOOK
        injected = awx.named("credential_types", "inferops scope")["injectors"]
        assert injected["env"]["INFEROPS_SCOPE"] == "{{ scope }}"
