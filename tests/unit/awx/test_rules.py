# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of AWX notice mistakes, each planted into what awx/ holds, which they take."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.awx import rules
from tests.awx.reading import committed, filled

AWX = committed()
Change = Callable[[dict[str, Any]], Any]


def one(kind: str, name: str) -> dict[str, Any]:
    """A copy of one object."""
    return copy.deepcopy(next(told for told in AWX[kind] if told["name"] == name))


def put(*path: Any, value: Any) -> Change:
    """Sets what stands at a path of keys and places."""

    def change(told: Any) -> None:
        for step in path[:-1]:
            told = told[step]
        told[path[-1]] = value

    return change


def drop(*path: Any) -> Change:
    def change(told: Any) -> None:
        for step in path[:-1]:
            told = told[step]
        del told[path[-1]]

    return change


def again(*path: Any) -> Change:
    """The first of a list stands there twice."""

    def change(told: Any) -> None:
        for step in path:
            told = told[step]
        told.append(copy.deepcopy(told[0]))

    return change


FIELD = ("inputs", "fields", 0)
TYPE_MISTAKES: dict[str, tuple[Change, str]] = {
    "a field that is no name": (put(*FIELD, "id", value="the scope"), "the scope"),
    "AWX's own name": (put(*FIELD, "id", value="tower"), "AWX's own"),
    "the same field twice": (again("inputs", "fields"), "twice"),
    "a field without a label": (drop(*FIELD, "label"), "label"),
    "a type that is none": (put(*FIELD, "type", value="integer"), "integer"),
    "a key that is none": (put(*FIELD, "hidden", value=True), "hidden"),
    "a secret flag": (
        put(*FIELD, value={"id": "scope", "label": "x", "type": "boolean", "secret": True}),
        "has no secret",
    ),
    "a default of another type": (put(*FIELD, "default", value=1), "default"),
    "required and no field": (put("inputs", "required", value=["key"]), "no field"),
    "an injector that is none": (put("injectors", "variables", value={}), "variables"),
    "a field that is not there": (put("injectors", "env", "A", value="{{ nothing }}"), "nothing"),
    "a variable of Ansible's": (put("injectors", "env", "ANSIBLE_CONFIG", value="x"), "may not"),
    "a variable of the job's": (put("injectors", "env", "PYTHONPATH", value="x"), "may not"),
    "a name that no shell has": (put("injectors", "env", "A-B", value="x"), "A-B"),
    "a template that is cut": (put("injectors", "env", "A", value="{{ scope"), "{{ scope"),
    "a file without a name": (
        put("injectors", "extra_vars", "a", value="{{ tower.filename }}"),
        "one file without",
    ),
    "a name for some files alone": (put("injectors", "file", "template", value="x"), "a name each"),
    "a file that nobody writes": (
        put("injectors", "extra_vars", "a", value="{{ tower.filename.other }}"),
        "other",
    ),
    "a kind that nobody can make": (put("kind", value="ssh"), "ssh"),
    "a field that is asked for": (put(*FIELD, "ask_at_runtime", value=True), "not for custom"),
}


@pytest.mark.parametrize("mistake", TYPE_MISTAKES)
def test_a_mistake_in_a_credential_type_is_refused(mistake: str) -> None:
    told = one("controller_credential_types", "inferops scope")
    assert rules.credential_type(told) == []
    change, said = TYPE_MISTAKES[mistake]
    change(told)
    assert said in " ".join(rules.credential_type(told))


HALF_A_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl"
CREDENTIAL_MISTAKES: dict[str, tuple[Change, str]] = {
    "a field that is not there": (put("inputs", "key", value="x"), "key is no field"),
    "a number for a text": (put("inputs", "scope", value=1), "no string"),
    "half a key": (put("inputs", "ssh_private_key", value=HALF_A_KEY), "Invalid certificate"),
    "of nobody": (drop("organization"), "organization"),
}


@pytest.mark.parametrize("mistake", CREDENTIAL_MISTAKES)
def test_a_mistake_in_a_credential_is_refused(mistake: str) -> None:
    kind = one("controller_credential_types", "inferops scope")
    told = filled(one("controller_credentials", "inferops scope"), {})
    assert rules.credential(told, kind) == []
    change, said = CREDENTIAL_MISTAKES[mistake]
    change(told)
    assert said in " ".join(rules.credential(told, kind))


def test_a_schedule_gives_only_what_its_template_asks_for() -> None:
    template = {"inventory": "inferops wanted", "ask_inventory_on_launch": False}
    assert rules.prompts(template, {"inventory": "inferops wanted"}) == []
    assert rules.prompts({**template, "ask_inventory_on_launch": True}, {"inventory": "b"}) == []
    assert "inventory" in rules.prompts(template, {"inventory": "inferops rented"})[0]


def place(form: dict[str, Any], variable: str) -> int:
    return [asked["variable"] for asked in form["spec"]].index(variable)


DEPLOY = one("controller_templates", "inferops deploy")["survey_spec"]
PROVIDER = ("spec", place(DEPLOY, "inferops_provider"))
PRICE = ("spec", place(DEPLOY, "rent_max_price_usd_per_hour"))
COUNT = ("spec", place(DEPLOY, "rent_gpu_count"))
MODEL = ("spec", place(DEPLOY, "inferops_model"))
SURVEY_MISTAKES: dict[str, tuple[Change, str]] = {
    "no name": (drop("name"), "name"),
    "no description": (drop("description"), "description"),
    "no questions": (put("spec", value=[]), "no questions"),
    "a question that asks for no variable": (drop(*MODEL, "variable"), "variable"),
    "required as a text": (put(*MODEL, "required", value="true"), "required"),
    "the same variable twice": (again("spec"), "twice"),
    "a type that is none": (put(*MODEL, "type", value="boolean"), "boolean"),
    "a number as a text's default": (put(*MODEL, "default", value=8), "default"),
    "a text as a number's default": (put(*COUNT, "default", value="1"), "default"),
    "a part as a whole number's default": (put(*COUNT, "default", value=1.5), "default"),
    "a limit that is no whole number": (put(*PRICE, "min", value=0.05), "min"),
    "no choices": (drop(*PROVIDER, "choices"), "nothing to choose"),
    "a default that nobody can choose": (put(*PROVIDER, "default", value="vast"), "vast"),
    "two defaults of one choice": (
        put(*PROVIDER, "default", value="vastai\nrunpod"),
        "more than one",
    ),
    "AWX's word for a secret": (put(*MODEL, "default", value="$encrypted$"), "$encrypted$"),
}


@pytest.mark.parametrize("mistake", SURVEY_MISTAKES)
def test_a_mistake_in_a_survey_is_refused(mistake: str) -> None:
    form = copy.deepcopy(DEPLOY)
    assert rules.survey(form) == []
    change, said = SURVEY_MISTAKES[mistake]
    change(form)
    assert said in " ".join(rules.survey(form))


GIVEN = {"inferops_hosts": "gpu-1", "inferops_model": "a/b"}
ANSWER_MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "nothing for what is required": ({"inferops_hosts": "gpu-1"}, "inferops_model is missing"),
    "nothing for what is required and has a default": (GIVEN, "rent_budget_usd is missing"),
    "what is not asked": ({**GIVEN, "inferops_scope": "others"}, "inferops_scope is not asked"),
    "a list for a text": ({**GIVEN, "rent_countries": ["SE"]}, "rent_countries"),
    "a text for a number": ({**GIVEN, "rent_gpu_count": "1"}, "rent_gpu_count"),
    "a flag for a number": ({**GIVEN, "rent_gpu_count": True}, "rent_gpu_count"),
    "a number that is too small": ({**GIVEN, "rent_gpu_count": 0}, "too small"),
    "a flag for a choice": ({**GIVEN, "rent_verified": True}, "rent_verified"),
    "what cannot be chosen": ({**GIVEN, "inferops_provider": "local"}, "no choice"),
}


@pytest.mark.parametrize("mistake", ANSWER_MISTAKES)
def test_a_wrong_answer_is_refused(mistake: str) -> None:
    form = copy.deepcopy(DEPLOY)
    assert rules.answers(form, GIVEN, open_to_more=False) == []
    given, said = ANSWER_MISTAKES[mistake]
    if "default" in mistake:
        form["spec"][place(form, "rent_budget_usd")]["required"] = True
    assert said in " ".join(rules.answers(form, given, open_to_more=False))


def test_a_template_that_is_open_to_more_takes_what_is_not_asked() -> None:
    assert rules.answers(DEPLOY, {**GIVEN, "inferops_scope": "prod"}, open_to_more=True) == []


RRULE = AWX["controller_schedules"][0]["rrule"]
RRULE_MISTAKES: dict[str, tuple[str, str]] = {
    "no start": (RRULE.partition(" ")[2], "DTSTART"),
    "two starts": (f"DTSTART:20260101T000000Z {RRULE}", "one DTSTART"),
    "a start without a time zone": (RRULE.replace("Z ", " "), "time zone"),
    "a start that is no date": (RRULE.replace("20260101", "20261301"), "cannot be read"),
    "no rule": (RRULE.partition(" ")[0], "RRULE"),
    "no interval": (RRULE.replace(";INTERVAL=10", ""), "INTERVAL"),
    "every second": (RRULE.replace("MINUTELY", "SECONDLY"), "SECONDLY"),
    "a frequency that is none": (RRULE.replace("MINUTELY", "OFTEN"), "cannot be read"),
    "two ends": (f"{RRULE};COUNT=5;UNTIL=20270101T000000Z", "exclude"),
    "more than 999": (f"{RRULE};COUNT=1000", "999"),
    "the second Monday": (f"{RRULE};BYDAY=2MO", "BYDAY"),
    "days that are left out": (f"{RRULE} EXDATE:20260102T000000Z", "EXDATE"),
    "days on top": (f"{RRULE} RDATE:20260102T000000Z", "RDATE"),
}


@pytest.mark.parametrize("mistake", RRULE_MISTAKES)
def test_a_mistake_in_a_schedule_is_refused(mistake: str) -> None:
    assert rules.rrule(RRULE) == []
    text, said = RRULE_MISTAKES[mistake]
    assert said in " ".join(rules.rrule(text))


#: By their places: plan, approve, deploy, prove, teardown.
NODE_MISTAKES: dict[str, tuple[Change, str]] = {
    "the same node twice": (lambda nodes: nodes.append(dict(nodes[0])), "twice"),
    "no identifier": (drop(0, "identifier"), "no identifier"),
    "a template that is not there": (put(0, "unified_job_template", value="plan"), "no template"),
    "a job that is an approval": (put(1, "unified_job_template", value="inferops plan"), "of both"),
    "neither job nor approval": (drop(1, "approval_node"), "of both"),
    "an approval without a name": (drop(1, "approval_node", "name"), "a name"),
    "a time limit in words": (put(1, "approval_node", "timeout", value="1 h"), "whole seconds"),
    "a child that is not there": (put(3, "failure_nodes", value=["destroy"]), "destroy"),
    "two ways to one child": (put(2, "always_nodes", value=["teardown"]), "in two ways"),
    "a circle": (put(4, "always_nodes", value=["plan"]), "a circle"),
    "a node after itself": (put(4, "failure_nodes", value=["teardown"]), "a circle"),
}


@pytest.mark.parametrize("mistake", NODE_MISTAKES)
def test_a_mistake_in_a_workflow_is_refused(mistake: str) -> None:
    nodes = copy.deepcopy(AWX["controller_workflows"][0]["simplified_workflow_nodes"])
    templates = {told["name"] for told in AWX["controller_templates"]}
    assert rules.workflow_nodes(nodes, templates) == []
    change, said = NODE_MISTAKES[mistake]
    change(nodes)
    assert said in " ".join(rules.workflow_nodes(nodes, templates))


TEMPLATE_MISTAKES: dict[str, tuple[Change, str]] = {
    "a playbook that is not there": (put("playbook", value="playbooks/create.yml"), "no playbook"),
    "a role's tasks": (put("playbook", value="playbooks/tasks/plan.yml"), "no playbook"),
    "no project": (drop("project"), "project"),
    "no inventory": (drop("inventory"), "inventory"),
    "a type of job that is none": (put("job_type", value="dry"), "dry"),
    "a time limit in words": (put("timeout", value="30 m"), "timeout"),
    "variables as a list": (put("extra_vars", value=["inferops_reaper"]), "no dictionary"),
    "a variable that is no name": (put("extra_vars", value={"a-b": 1}), "a-b"),
    "a survey with a mistake": (drop("survey_spec", "spec"), "spec"),
}


@pytest.mark.parametrize("mistake", TEMPLATE_MISTAKES)
def test_a_mistake_in_a_job_template_is_refused(mistake: str) -> None:
    told = one("controller_templates", "inferops deploy")
    offered = {told["playbook"]}
    assert rules.job_template(told, offered) == []
    change, said = TEMPLATE_MISTAKES[mistake]
    change(told)
    assert said in " ".join(rules.job_template(told, offered))


def test_two_credentials_of_one_type_are_refused() -> None:
    types = {"prod": "inferops scope", "test": "inferops scope"}
    assert rules.one_credential_each(["prod"], types) == []
    assert "two credentials" in rules.one_credential_each(["prod", "test"], types)[0]
    assert "no credential" in rules.one_credential_each(["other"], types)[0]


NOTIFICATION_MISTAKES: dict[str, tuple[Change, str]] = {
    "no headers": (drop("notification_configuration", "headers"), "headers"),
    "a way that is none": (
        put("notification_configuration", "http_method", value="GET"),
        "POST or PUT",
    ),
    "an event that is none": (put("messages", "failed", value={"body": "x"}), "no event"),
    "an event of approvals that is none": (
        put("messages", "workflow_approval", "asked", value={"body": "x"}),
        "no event",
    ),
    "a part that is none": (put("messages", "error", value={"text": "x"}), "no part"),
    "a message of two lines": (put("messages", "error", value={"message": "a\nb"}), "one line"),
    "a field that is not told": (put("messages", "error", "body", value="{{ cost }}"), "cost"),
}


@pytest.mark.parametrize("mistake", NOTIFICATION_MISTAKES)
def test_a_mistake_in_a_notification_is_refused(mistake: str) -> None:
    told = one("controller_notifications", "inferops failed")
    assert rules.notification(told) == []
    change, said = NOTIFICATION_MISTAKES[mistake]
    change(told)
    assert said in " ".join(rules.notification(told))
