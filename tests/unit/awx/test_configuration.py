# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What awx/ holds is what AWX takes, and says the same as the collection."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2.nativetypes import NativeEnvironment

from ansible_collections.inferops.gpu.plugins.inventory import rentals
from ansible_collections.inferops.gpu.plugins.module_utils.common.ranges import range_of
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.registry import (
    DEFAULT_PROVIDER,
    PROVIDERS,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.options import (
    check_credentials,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils import variables
from tests.awx import configuration, rules
from tests.awx.__main__ import stale
from tests.awx.configuration import credential_type_of
from tests.awx.reading import committed
from tests.tools.tree import REPOSITORY
from tests.unit.plays import play

AWX = committed()
TEMPLATES = {one["name"]: one for one in AWX["controller_templates"]}
(WORKFLOW,) = AWX["controller_workflows"]
TYPES = {one["name"]: one for one in AWX["controller_credential_types"]}
FORMS = {
    **{name: one["survey_spec"] for name, one in TEMPLATES.items()},
    "workflow": WORKFLOW["survey_spec"],
}
QUESTIONS = [(name, asked) for name, form in FORMS.items() for asked in form["spec"]]
MUST_BE_SAID = ("rent_max_price_usd_per_hour", "rent_budget_usd")
#: What no form asks, since it is the same for a whole fleet.
OF_THE_FLEET = {"inferops gateway": {"inferops_proxy": True}}
#: What has to be answered, by variable.
SAID = {
    "inferops_hosts": "gpu-1",
    "inferops_model": "Qwen/Qwen3-0.6B",
    "inferops_gateway": "main",
    "extend_hours": 12.0,
    "rent_max_price_usd_per_hour": 2.0,
    "rent_budget_usd": 10.0,
}


def answered(form: dict[str, Any]) -> dict[str, Any]:
    """What AWX hands to the play of somebody who has left all as it was."""
    given = {asked["variable"]: asked["default"] for asked in form["spec"] if "default" in asked}
    multi = {one["variable"] for one in form["spec"] if one["type"] == "multiselect"}
    given = {name: value.splitlines() if name in multi else value for name, value in given.items()}
    needed = {asked["variable"] for asked in form["spec"] if asked["required"]}
    return {**{name: SAID[name] for name in needed}, **given}


def as_text(given: dict[str, Any]) -> dict[str, str]:
    """The same as somebody would type it."""
    return {
        name: ",".join(value) if isinstance(value, list) else str(value)
        for name, value in given.items()
    }


def test_the_files_are_what_the_specifications_make_now() -> None:
    assert stale() == []


@cache
def offered() -> set[str]:
    """The playbooks that AWX finds in a checkout."""
    return rules.playbooks(REPOSITORY)


@pytest.mark.parametrize("name", sorted(TYPES))
def test_awx_takes_every_credential_type(name: str) -> None:
    assert rules.credential_type(TYPES[name]) == []


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_awx_takes_every_job_template(name: str) -> None:
    told = TEMPLATES[name]
    assert rules.job_template(told, offered()) == []
    types = {one["name"]: one["credential_type"] for one in AWX["controller_credentials"]}
    assert rules.one_credential_each(told["credentials"], types) == []
    assert {*types.values()} <= TYPES.keys()


def test_awx_takes_the_workflow() -> None:
    assert rules.survey(WORKFLOW["survey_spec"]) == []
    nodes = WORKFLOW["simplified_workflow_nodes"]
    assert rules.workflow_nodes(nodes, {*TEMPLATES}) == []


@pytest.mark.parametrize("told", AWX["controller_schedules"], ids=lambda one: str(one["name"]))
def test_awx_takes_every_schedule(told: dict[str, Any]) -> None:
    assert rules.rrule(told["rrule"]) == []
    form = TEMPLATES[told["unified_job_template"]]["survey_spec"]
    assert rules.answers(form, told.get("extra_data", {}), open_to_more=False) == []


@pytest.mark.parametrize("told", AWX["controller_notifications"], ids=lambda one: str(one["name"]))
def test_awx_takes_every_notification(told: dict[str, Any]) -> None:
    assert rules.notification(told) == []
    for event in (told["messages"]["error"], *told["messages"]["workflow_approval"].values()):
        text = event["body"].replace("{{ ", "").replace(" }}", "")
        assert isinstance(json.loads(text), dict)


def named(node: Any, keys: tuple[str, ...]) -> Iterator[str]:
    """What stands at these keys, wherever in it."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in keys:
                yield from value if isinstance(value, list) else [value]
            yield from named(value, keys)
    elif isinstance(node, list):
        for one in node:
            yield from named(one, keys)


@pytest.mark.parametrize(
    ("keys", "kinds"),
    [
        (("organization",), ("aap_organizations",)),
        (("project", "source_project"), ("controller_projects",)),
        (("inventory",), ("controller_inventories",)),
        (("credentials", "credential"), ("controller_credentials",)),
        (("credential_type",), ("controller_credential_types",)),
        (("execution_environment", "default_environment"), ("controller_execution_environments",)),
        (("unified_job_template",), ("controller_templates",)),
        (
            ("notification_templates_error", "notification_templates_approvals"),
            ("controller_notifications",),
        ),
    ],
)
def test_every_name_is_that_of_something_there(keys: tuple[str, ...], kinds: tuple[str]) -> None:
    there = {one["name"] for kind in kinds for one in AWX[kind]}
    assert {*named(AWX, keys)} <= there
    assert {*named(AWX, keys)}


@pytest.mark.parametrize("variable", sorted(AWX))
def test_no_object_has_a_field_that_others_would_not_pass_on(variable: str) -> None:
    """infra.aap_configuration leaves out what it does not know, without a word."""
    known = rules.FIELDS["aap_organizations" if "organizations" in variable else variable]
    assert {field for told in AWX[variable] for field in told} <= known
    nodes = {field for node in WORKFLOW["simplified_workflow_nodes"] for field in node}
    assert nodes <= rules.FIELDS["simplified_workflow_nodes"]


def test_every_playbook_of_ours_has_a_job_template() -> None:
    there = {f"playbooks/{path.name}" for path in REPOSITORY.glob("playbooks/*.yml")}
    assert {one["playbook"] for one in TEMPLATES.values()} == there - {"playbooks/hosts.yml"}


def test_the_older_name_of_the_organizations_says_the_same() -> None:
    assert AWX["controller_organizations"] == AWX["aap_organizations"]


# Surveys.


@pytest.mark.parametrize(
    ("form", "asked"),
    QUESTIONS,
    ids=lambda one: str(one["variable"] if isinstance(one, dict) else one).replace("inferops ", ""),
)
def test_a_question_says_what_the_argument_specification_says(
    form: str, asked: dict[str, Any]
) -> None:
    option = variables.options()[asked["variable"]]
    assert not variables.is_secret(asked["variable"])
    if "default" in asked:
        answer = asked["default"]
        answer = answer.splitlines() if asked["type"] == "multiselect" else answer
        assert variables.coerce(asked["variable"], answer) == variables.coerce(
            asked["variable"], option["default"]
        )
    else:
        # Whoever approves a plan has to know that somebody has thought of its limits.
        unsaid = form == "workflow" and asked["variable"] in MUST_BE_SAID
        assert unsaid or option.get("default") in (None, "", [])
    may = rules.choices(asked) if "choices" in asked else []
    told = [*map(str, option.get("choices", ())), *(["true", "false"] * (option["type"] == "bool"))]
    if asked["variable"] == "inferops_provider":
        # No job could log in at another one, and nobody would reap there.
        told = sorted(reaped())
    assert may == told
    for limit in {"min", "max"} & asked.keys():
        allowed = range_of(asked["variable"])
        # AWX has whole numbers alone; the gate refuses what is between.
        assert allowed is not None
        assert abs(asked[limit] - (allowed.low if limit == "min" else allowed.high)) < 1


@pytest.mark.parametrize("name", sorted(FORMS))
def test_the_defaults_of_a_survey_pass_awx_and_as_text_the_gate(name: str) -> None:
    given = answered(FORMS[name])
    assert rules.answers(FORMS[name], given, open_to_more=False) == []
    typed = {one: variables.coerce(one, value) for one, value in as_text(given).items()}
    assert {one: complaint for one, (_value, complaint) in typed.items() if complaint} == {}
    given = {one: value for one, (value, _none) in typed.items()}
    values = {"inferops_scope": "prod", **OF_THE_FLEET.get(name, {}), **given}
    assert [*variables.impossible(values), *variables.unrentable(values)] == []
    assert [one for one in given if variables.unknown(one) or variables.taken(one)] == []


def gate(rents: bool) -> list[dict[str, Any]]:
    """The plays with which each playbook begins."""
    checked = {"required": {"inferops_scope": "the scope"}, "rents": rents}
    return [
        {"ansible.builtin.import_playbook": str(REPOSITORY / "playbooks/hosts.yml")},
        {
            "hosts": "{{ query('inferops.gpu.hosts', inferops_group) }}",
            "gather_facts": False,
            "roles": ["inferops.gpu.inferops"],
            "tasks": [
                {"inferops.gpu.check_variables": checked, "register": "checked"},
                {"ansible.builtin.debug": {"msg": "{{ checked['values'] | to_json }}"}},
            ],
        },
    ]


def given(name: str) -> dict[str, str]:
    """What a job of a template is given: every answer as text, and the template's variables."""
    told = TEMPLATES[name]
    return {**as_text(answered(told["survey_spec"])), **told["extra_vars"]}


@pytest.mark.parametrize("rents", [True, False])
def test_the_gate_itself_takes_what_a_job_is_given(rents: bool, tmp_path: Path) -> None:
    """All at once of the playbooks that rent, and of the others: an answer is the same in each."""
    names = [
        name
        for name, one in TEMPLATES.items()
        if (one["playbook"] == "playbooks/deploy.yml") == rents
    ]
    together: dict[str, str] = {}
    for name in names:
        assert {one: given(name)[one] for one in together.keys() & given(name)} == {
            one: together[one] for one in together.keys() & given(name)
        }
        together |= given(name)
    reaper = {"inferops_reaper": together.pop("inferops_reaper")}
    answers = [word for one, value in together.items() for word in ("-e", f"{one}='{value}'")]
    status, output = play(tmp_path, gate(rents), *answers, "-v", **reaper)
    assert status == 0, output
    assert '"inferops_reaper": true' in output


@pytest.mark.parametrize("name", sorted(FORMS))
def test_an_empty_answer_means_that_nothing_is_said(name: str) -> None:
    """AWX hands one to the play where somebody has edited the form in the browser."""
    texts = [one for one in FORMS[name]["spec"] if one["type"] in ("text", "textarea")]
    empty = [one["variable"] for one in texts if not one["required"] and "default" not in one]
    typed = {one: variables.coerce(one, "") for one in empty}
    assert {one: told for one, (_value, told) in typed.items() if told} == {}
    values = {one: value for one, (value, _told) in typed.items()}
    assert [*variables.impossible(values), *variables.unrentable(values)] == []


def gates() -> Iterator[tuple[str, set[str]]]:
    """By playbook, what its gate requires."""
    for path in REPOSITORY.glob("playbooks/*.yml"):
        for one in yaml.safe_load(path.read_text()):
            for task in one.get("tasks", ()):
                checked = task.get("inferops.gpu.check_variables", {})
                yield f"playbooks/{path.name}", {*checked.get("required", ())}


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_what_a_playbook_requires_must_be_answered(name: str) -> None:
    told = TEMPLATES[name]
    needed = {one for path, names in gates() if path == told["playbook"] for one in names}
    asked = {one["variable"] for one in told["survey_spec"]["spec"] if one["required"]}
    assert needed - {"inferops_scope"} <= asked
    # Where a run without a host would be an end without a word.
    assert ("inferops_hosts" in asked) == (
        name not in ("inferops status", "inferops costs", "inferops reap")
    )


def test_the_scope_comes_from_a_credential_and_no_form_can_change_it() -> None:
    assert "inferops_scope" not in {asked["variable"] for _form, asked in QUESTIONS}
    extra = TYPES["inferops scope"]["injectors"]["extra_vars"]
    assert extra["inferops_scope"] == "{{ scope }}"
    assert all("inferops scope" in one["credentials"] for one in TEMPLATES.values())
    assert not any(one["ask_variables_on_launch"] for one in (*TEMPLATES.values(), WORKFLOW))


# Secrets.


def test_no_form_asks_for_a_secret() -> None:
    assert {asked["type"] for _form, asked in QUESTIONS} <= rules.ANSWERS.keys() - {"password"}
    assert [asked for _form, asked in QUESTIONS if variables.is_secret(asked["variable"])] == []


def test_every_secret_is_a_secret_field() -> None:
    """A name of it, an address and a scope may be read."""
    for told in TYPES.values():
        shown = {one["id"] for one in told["inputs"]["fields"] if not one.get("secret")}
        assert {one for one in shown if not one.endswith(("api_url", "scope"))} == set()


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
@pytest.mark.parametrize("prefixed", [False, True], ids=["job", "inventory"])
def test_a_credential_type_gives_a_provider_all_that_it_logs_in_with(
    provider: str, prefixed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = PROVIDERS[provider]
    told = TYPES["inferops inventory" if prefixed else credential_type_of(provider)]
    injected = told["injectors"]["env"]
    for name in (*(name for one in kind.credentials for name in one.environment), kind.url_env):
        monkeypatch.delenv(name, raising=False)
    for name in injected:
        monkeypatch.setenv(name, "a-key")
    assert kind.url_env in injected
    # What is not said is an empty variable, which means nothing.
    monkeypatch.setenv(kind.url_env, "")
    check_credentials({"provider": provider})


def test_the_inventory_reads_the_scope_from_what_its_credential_injects() -> None:
    options = yaml.safe_load(rentals.DOCUMENTATION)["options"]
    read = {one["name"] for name in ("scope", "scope_secret") for one in options[name]["env"]}
    told = TYPES["inferops inventory"]["injectors"]
    assert read <= told["env"].keys()
    # AWX gives an update of an inventory no extra variables.
    assert "extra_vars" not in told


def test_credentials_are_filled_from_the_environment_alone() -> None:
    for one in AWX["controller_credentials"]:
        fields = {field["id"] for field in TYPES[one["credential_type"]]["inputs"]["fields"]}
        assert one["inputs"].keys() <= fields
        for text in one["inputs"].values():
            assert text.startswith("{{ lookup('ansible.builtin.env', '")


# What runs by itself, and what spends.


def reaped() -> set[str]:
    """The marketplaces at which a schedule of ours ends what is past its deadline."""
    return {
        one["extra_data"]["inferops_provider"]
        for one in AWX["controller_schedules"]
        if one["unified_job_template"] == "inferops reap"
        and one["enabled"]
        and one["extra_data"]["reap_release"] == "true"
        and one["rrule"].endswith("FREQ=MINUTELY;INTERVAL=10")
    }


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_a_job_says_that_somebody_reaps_where_a_schedule_does_and_nowhere_else(name: str) -> None:
    assert DEFAULT_PROVIDER in reaped()
    says = NativeEnvironment().from_string(TEMPLATES[name]["extra_vars"]["inferops_reaper"])
    assert {one for one in PROVIDERS if says.render(inferops_provider=one)} == reaped()


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_a_job_rents_with_what_the_reaper_reaps_with(name: str) -> None:
    """With another account or scope, nobody would end what a job has rented."""
    told = TEMPLATES[name]
    assert told["ask_credential_on_launch"] is False
    assert told["credentials"] == TEMPLATES["inferops reap"]["credentials"]
    assert {*map(credential_type_of, reaped())} <= {*told["credentials"]}


def test_another_marketplace_is_one_line_and_all_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    two = ["vastai", "runpod"]
    monkeypatch.setitem(configuration.FORMS, "marketplaces", two)
    made = [one["credential_type"] for one in configuration.credentials()]
    assert made[:2] == ["inferops vastai", "inferops runpod"]
    for told in configuration.job_templates():
        assert rules.one_credential_each(told["credentials"], {one: one for one in made}) == []
        assert told["credentials"][:2] == made[:2]
        assert told["ask_credential_on_launch"] is False
        assert "['vastai', 'runpod']" in told["extra_vars"]["inferops_reaper"]
    for form in (configuration.workflow(), *configuration.job_templates()):
        (asked,) = (
            one for one in form["survey_spec"]["spec"] if one["variable"] == "inferops_provider"
        )
        assert (asked["choices"], asked["default"]) == (two, "vastai")
    reaping = [one["extra_data"] for one in configuration.schedules() if "extra_data" in one]
    assert [one["inferops_provider"] for one in reaping] == two


def test_the_hourly_status_looks_at_what_is_rented() -> None:
    """The playbook looks for servers in the group that the inventory's file puts them into."""
    (told,) = (one for one in AWX["controller_schedules"] if "status" in one["name"])
    (source,) = AWX["controller_inventory_sources"]
    assert told["inventory"] == source["inventory"]
    assert source["update_on_launch"]
    config = yaml.safe_load(Path(REPOSITORY, source["source_path"]).read_text())
    assert config["group"] == variables.options()["inferops_group"]["default"]
    assert rules.prompts(TEMPLATES[told["unified_job_template"]], told) == []


def test_a_budget_is_said_to_be_that_of_each_host() -> None:
    """Several hosts are given as many budgets, and whoever approves has to know."""
    budgets = [asked for _form, asked in QUESTIONS if asked["variable"] == "rent_budget_usd"]
    assert budgets
    assert all("for each host" in one["question_description"] for one in budgets)
    (approval,) = (
        one["approval_node"]["description"]
        for one in WORKFLOW["simplified_workflow_nodes"]
        if "approval_node" in one
    )
    assert "each may spend the form's budget" in approval
    assert "several hosts cost as many times" in approval


def ways(start: str) -> list[list[str]]:
    """Every way through the workflow by success alone."""
    nodes = {one["identifier"]: one for one in WORKFLOW["simplified_workflow_nodes"]}
    after = nodes[start].get("success_nodes", [])
    return [[start, *rest] for one in after for rest in ways(one)] or [[start]]


def test_nothing_is_rented_before_a_plan_was_shown_and_approved() -> None:
    nodes = {one["identifier"]: one for one in WORKFLOW["simplified_workflow_nodes"]}
    led_to = {child for one in nodes.values() for key in rules._LINKS for child in one.get(key, ())}
    assert {*nodes} - led_to == {"plan"}
    assert ways("plan") == [["plan", "approve", "deploy", "prove"]]
    assert TEMPLATES[nodes["plan"]["unified_job_template"]]["job_type"] == "check"
    assert TEMPLATES[nodes["plan"]["unified_job_template"]]["playbook"] == "playbooks/deploy.yml"
    assert nodes["approve"]["approval_node"]["timeout"] > 0
    said = [one for one in WORKFLOW["survey_spec"]["spec"] if one["variable"] in MUST_BE_SAID]
    assert [(one["required"], "default" in one) for one in said] == [(True, False)] * 2


def test_whatever_fails_once_money_is_spent_ends_in_a_teardown() -> None:
    nodes = {one["identifier"]: one for one in WORKFLOW["simplified_workflow_nodes"]}
    for name in ("deploy", "prove"):
        assert nodes[name]["failure_nodes"] == ["teardown"]
    assert "failure_nodes" not in nodes["approve"]
    assert nodes["teardown"]["unified_job_template"] == "inferops teardown"


def test_the_plan_asks_what_the_deploy_asks() -> None:
    asked = {name: [one["variable"] for one in form["spec"]] for name, form in FORMS.items()}
    assert asked["inferops plan"] == asked["inferops deploy"] == asked["workflow"]
    assert asked["inferops doctor"] == asked["inferops deploy"]


def test_the_project_is_the_release_that_the_collection_is() -> None:
    released = yaml.safe_load((REPOSITORY / "galaxy.yml").read_text())
    (project,) = AWX["controller_projects"]
    assert project["scm_branch"] == released["version"]
    assert project["scm_url"] == f"{released['repository']}.git"
    (environment,) = AWX["controller_execution_environments"]
    assert environment["image"].endswith(f":{released['version']}")


def test_the_inventory_source_is_a_file_of_the_project() -> None:
    (source,) = AWX["controller_inventory_sources"]
    config = yaml.safe_load(Path(REPOSITORY, source["source_path"]).read_text())
    assert config["plugin"] == "inferops.gpu.rentals"
