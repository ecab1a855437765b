# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AWX refuses, as its validators of 24.6.1 do: each function tells what is wrong.

Read in AWX's sources: ``awx/main/fields.py`` (credential types), ``awx/api/views`` (surveys,
nodes of workflows), ``awx/api/serializers.py`` (schedules, notifications, prompts),
``awx/main/models`` (answers to surveys), ``awx/main/utils/ansible.py`` (which files are
playbooks). Written anew, in our words. An empty list is what AWX would take.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from dateutil.rrule import rrulestr
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jsonschema import Draft4Validator

ANSWERS: dict[str, Any] = {
    **dict.fromkeys(("text", "textarea", "password", "multiplechoice", "multiselect"), str),
    "integer": int,
    "float": (float, int),
}
#: What an injector may not set, whatever it is for.
_KEPT_VARIABLES = frozenset(
    (
        *("VIRTUAL_ENV", "PATH", "PYTHONPATH", "JOB_ID", "INVENTORY_ID", "INVENTORY_SOURCE_ID"),
        *("INVENTORY_UPDATE_ID", "AD_HOC_COMMAND_ID", "REST_API_URL", "REST_API_TOKEN"),
        *("MAX_EVENT_RES", "CALLBACK_QUEUE", "CALLBACK_CONNECTION", "CACHE", "JOB_CALLBACK_DEBUG"),
        *("INVENTORY_HOSTVARS", "AWX_HOST", "PROJECT_REVISION", "SUPERVISOR_CONFIG_PATH"),
    )
)
_NAME = r"^[a-zA-Z_]+[a-zA-Z0-9_]*$"
_TEXTS = {"type": "array", "items": {"type": "string"}}
INPUTS = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "required": _TEXTS,
        "fields": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "label"],
                "additionalProperties": False,
                "properties": {
                    "id": {"type": "string", "pattern": _NAME},
                    "type": {"enum": ["string", "boolean"]},
                    "format": {"enum": ["ssh_private_key", "url"]},
                    "choices": {**_TEXTS, "minItems": 1, "uniqueItems": True},
                    "default": {},
                    **{name: {"type": "string"} for name in ("label", "help_text")},
                    **{
                        name: {"type": "boolean"}
                        for name in ("multiline", "secret", "ask_at_runtime")
                    },
                },
            },
        },
    },
}


def _texts_named(name: str, **more: Any) -> dict[str, Any]:
    told = {name: {"type": "string", **more}}
    return {"type": "object", "additionalProperties": False, "patternProperties": told}


INJECTORS = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "file": _texts_named(r"^template(\.[a-zA-Z_]+[a-zA-Z0-9_]*)?$"),
        "env": _texts_named(_NAME, pattern="^[\x00-\x7f]*$"),
        "extra_vars": {
            "type": "object",
            "additionalProperties": False,
            "patternProperties": {
                r"^[a-zA-Z_\{\}]+[a-zA-Z0-9_\{\}]*$": {
                    "anyOf": [
                        {"type": "string"},
                        {"type": "array"},
                        {"$ref": "#/properties/extra_vars"},
                    ]
                }
            },
        },
    },
}


def credential_type(told: Mapping[str, Any]) -> list[str]:
    """What is wrong with a custom credential type."""
    inputs, injectors = told.get("inputs", {}), told.get("injectors", {})
    wrong = [*_unlike(INPUTS, inputs), *_unlike(INJECTORS, injectors)]
    if told.get("kind") not in ("cloud", "net"):
        wrong.append(f"{told.get('kind')} is no kind that can be made")
    return wrong or [*_fields(inputs), *_injected(inputs, injectors)]


def _unlike(schema: Mapping[str, Any], value: Any) -> list[str]:
    return [error.message for error in Draft4Validator(schema).iter_errors(value)]


def _fields(inputs: Mapping[str, Any]) -> Iterator[str]:
    fields = inputs.get("fields", [])
    ids = [field["id"] for field in fields]
    yield from (f"{name} stands twice" for name in {*ids} if ids.count(name) > 1)
    if "tower" in ids:
        yield "tower is AWX's own"
    # AWX says it only when a job is launched: nobody could ever give it.
    yield from (
        f"{name} is required and no field" for name in {*inputs.get("required", ())} - {*ids}
    )
    for field in fields:
        if field.get("ask_at_runtime"):
            yield f"{field['id']}: ask_at_runtime is not for custom types"
        kind = field.get("type", "string")
        if (
            "default" in field
            and type(field["default"]) is not {"string": str, "boolean": bool}[kind]
        ):
            yield f"the default of {field['id']} is no {kind}"
        for key in ("choices", "multiline", "format", "secret"):
            if key in field and kind != "string":
                yield f"{field['id']} is a {kind}, which has no {key}"


class _Files:
    """The names of the files that an injector writes; nothing by itself where each has a name."""

    def __init__(self, templates: list[str]) -> None:
        for one in templates:
            setattr(self, one.partition(".")[2], "/runner/env/file")

    def __str__(self) -> str:
        raise TemplateError("tower.filename is of one file without a name")


def _injected(inputs: Mapping[str, Any], injectors: Mapping[str, Any]) -> Iterator[str]:
    templates = list(injectors.get("file", {}))
    if "template" in templates and len(templates) > 1:
        yield "several files need a name each"
    single = templates == ["template"]
    known: dict[str, Any] = {field["id"]: "EXAMPLE" for field in inputs.get("fields", ())}
    known["tower"] = {"filename": "/runner/env/file" if single else _Files(templates)}
    for name in injectors.get("env", {}):
        if name.startswith("ANSIBLE_") or name in _KEPT_VARIABLES:
            yield f"{name} may not be set by a credential"
    for text in _leaves([injectors.get(kind, {}) for kind in ("file", "env", "extra_vars")]):
        problem = _unrenderable(text, known)
        if problem:
            yield f"{text} uses what is not there: {problem}"


def _leaves(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _leaves([key, value])
    elif isinstance(node, list):
        for one in node:
            yield from _leaves(one)
    else:
        yield node


def _unrenderable(text: str, known: Mapping[str, Any]) -> str:
    try:
        environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
        environment.from_string(text).render(known)
    except TemplateError as error:
        return str(error)
    return ""


#: What AWX shows instead of a secret; where it gets this back, it keeps what it has.
HIDDEN = "$encrypted$"
_A_KEY = re.compile(r"\s*-----BEGIN [A-Z ]*PRIVATE KEY-----\s.*-----END [A-Z ]*-----\s*", re.S)


def credential(told: Mapping[str, Any], kind: Mapping[str, Any]) -> list[str]:
    """What is wrong with a credential of a type."""
    fields = {field["id"]: field for field in kind["inputs"].get("fields", ())}
    given = told.get("inputs") or {}
    wrong = [f"{name} is no field" for name in given if name not in fields]
    if not told.get("organization"):
        wrong.append("Missing 'user', 'team', or 'organization'.")
    for name in given.keys() & fields.keys():
        wrong += _input(name, fields[name], given[name])
    return wrong


def _input(name: str, field: Mapping[str, Any], value: Any) -> Iterator[str]:
    if not isinstance(value, {"string": str, "boolean": bool}[field.get("type", "string")]):
        yield f"{name}: {value!r} is no {field.get('type', 'string')}"
        return
    is_key = field.get("format") == "ssh_private_key"
    if is_key and value not in ("", HIDDEN) and not _A_KEY.fullmatch(value):
        # It quotes what it was given.
        yield f"{name}: Invalid certificate or key: {value[:100]}..."


def inputs_in_use(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What is wrong with a change to a credential type that credentials are made of."""
    if "inputs" in wanted and wanted["inputs"] != there.get("inputs"):
        return ["Modifications to inputs are not allowed for credential types that are in use"]
    return []


def survey(told: Any) -> list[str]:
    """What is wrong with a survey's specification."""
    wanted = {"name": str, "description": str, "spec": list}
    wrong = [
        f"{key} is no {kind.__name__}"
        for key, kind in wanted.items()
        if not isinstance(told.get(key), kind)
    ]
    if wrong:
        return wrong
    if not told["spec"]:
        return ["spec has no questions"]
    for asked in told["spec"]:
        for key, kind in (
            ("type", str),
            ("question_name", str),
            ("variable", str),
            ("required", bool),
        ):
            if not isinstance(asked.get(key), kind):
                return [f"{key} of a question is no {kind.__name__}"]
    names = [asked["variable"] for asked in told["spec"]]
    wrong = [f"{name} is asked twice" for name in {*names} if names.count(name) > 1]
    return wrong + [text for asked in told["spec"] for text in _question(asked)]


def _question(asked: Mapping[str, Any]) -> Iterator[str]:
    name, kind, default = asked["variable"], asked["type"], asked.get("default", "")
    if kind not in ANSWERS:
        yield f"{name}: {kind} is no type"
        return
    if default != "" and (not isinstance(default, ANSWERS[kind]) or isinstance(default, bool)):
        yield f"{name}: the default {default!r} is no {kind}"
        return
    for key in ("min", "max"):
        if not isinstance(asked.get(key), (int, type(None))):
            yield f"{name}: {key} is no whole number"
    if kind in ("multiplechoice", "multiselect"):
        if "choices" not in asked:
            yield f"{name}: there is nothing to choose"
            return
        chosen = default.splitlines()
        if kind == "multiplechoice" and len(chosen) > 1:
            yield f"{name}: the default chooses more than one"
        yield from (f"{name}: {one} is no choice" for one in chosen if one not in choices(asked))
    if isinstance(default, str) and default.startswith("$encrypted$"):
        yield f"{name}: $encrypted$ is AWX's own"


def choices(asked: Mapping[str, Any]) -> list[str]:
    """What may be chosen, however the question says it."""
    told = asked["choices"]
    return told if isinstance(told, list) else [one for one in told.splitlines() if one.strip()]


def answers(form: Mapping[str, Any], given: Mapping[str, Any], open_to_more: bool) -> list[str]:
    """What is wrong with answers to a survey, as a launch or a schedule gives them."""
    asked = {one["variable"]: one for one in form.get("spec", ())}
    wrong = [f"{name} is not asked for" for name in given if name not in asked and not open_to_more]
    wrong += [
        f"{name} is missing"
        for name, one in asked.items()
        # Also where it has a default, which is for people who see the form.
        if one["required"] and name not in given
    ]
    return wrong + [
        text for name in given if name in asked for text in _answer(asked[name], given[name])
    ]


def _answer(asked: Mapping[str, Any], value: Any) -> Iterator[str]:
    name, kind = asked["variable"], asked["type"]
    types = {"multiselect": list, "integer": int, "float": (float, int)}.get(kind, str)
    if not isinstance(value, types) or isinstance(value, bool):
        yield f"{name}: {value!r} is no {kind}"
        return
    if kind in ("multiplechoice", "multiselect"):
        for one in value if isinstance(value, list) else [value]:
            if one not in choices(asked):
                yield f"{name}: {one!r} is no choice"
        return
    size = len(value) if isinstance(value, str) else value
    if asked.get("min") is not None and size < asked["min"]:
        yield f"{name}: {value!r} is too small"
    if asked.get("max") is not None and size > asked["max"]:
        yield f"{name}: {value!r} is too large"


def prompts(template: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """What is wrong with what a schedule or a node gives a template beside answers."""
    return [
        f"{name}: Field is not configured to prompt on launch."
        for name in ("inventory", "limit", "job_type", "timeout", "forks", "scm_branch")
        if given.get(name) not in (None, "", template.get(name))
        and not template.get(f"ask_{name}_on_launch")
    ]


def extra_vars(told: Any) -> list[str]:
    """What is wrong with the variables of a template: only a dictionary with names of variables."""
    if not isinstance(told, Mapping):
        return [f"{told!r} is no dictionary"]
    return [
        f"{name!r} is no name of a variable"
        for name in told
        if not isinstance(name, str) or not name.isidentifier()
    ]


def rrule(text: str) -> list[str]:
    """What is wrong with the rule of a schedule."""
    starts = re.findall(r"DTSTART(?:;[^:]+)?:[0-9]+T[0-9]+Z?", text)
    rules = re.findall(r"RULE:\S*", text)
    wrong = []
    if len(starts) != 1:
        wrong.append("one DTSTART is needed")
    if re.search(r"DTSTART:[0-9]+T[0-9]+ ", text):
        wrong.append("DTSTART has no time zone")
    if not rules:
        wrong.append("there is no RRULE")
    for word in ("EXDATE:", "RDATE:"):
        if word in text.upper():
            wrong.append(f"{word} is not known")
    wrong += [problem for rule in rules for problem in _recurrence(rule)]
    try:
        # AWX tries the same library.
        first = rrulestr(text, forceset=True)[0]
        if not isinstance(first, datetime) or first.tzinfo is None:
            wrong.append("it has no time zone")
    except (ValueError, IndexError) as error:
        wrong.append(f"it cannot be read: {error}")
    return wrong


def _recurrence(rule: str) -> Iterator[str]:
    if "INTERVAL" not in rule.upper():
        yield "INTERVAL is needed"
    if "SECONDLY" in rule.upper():
        yield "SECONDLY is not known"
    if re.search(r"BYDAY[:=][0-9]+[a-zA-Z]{2}", rule):
        yield "BYDAY has a number"
    if "COUNT" in rule and "UNTIL" in rule:
        yield "COUNT and UNTIL exclude each other"
    count = re.search(r"COUNT=([0-9]+)", rule)
    if count and int(count[1]) > 999:
        yield "COUNT is above 999"


_LINKS = ("success_nodes", "failure_nodes", "always_nodes")


def workflow_nodes(nodes: list[Mapping[str, Any]], templates: set[str]) -> list[str]:
    """What is wrong with the nodes of a workflow, in the simplified shape."""
    names = [node.get("identifier") for node in nodes]
    wrong = [f"{name} stands twice" for name in {*names} if names.count(name) > 1]
    for node in nodes:
        wrong += _node(node, {*names}, templates)
    graph = {
        node.get("identifier"): {child for link in _LINKS for child in node.get(link, ())}
        for node in nodes
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        wrong.append(f"a circle: {' '.join(map(str, error.args[1]))}")
    return wrong


def _node(node: Mapping[str, Any], names: set[Any], templates: set[str]) -> Iterator[str]:
    name, job, approval = (
        node.get(key) for key in ("identifier", "unified_job_template", "approval_node")
    )
    if not name:
        yield "a node has no identifier"
    if bool(job) == bool(approval):
        yield f"{name} is one of both: a job or an approval"
    if job and job not in templates:
        yield f"{name}: there is no template {job}"
    if approval and not (approval.get("name") and isinstance(approval.get("timeout", 0), int)):
        yield f"{name}: an approval has a name, and a time limit in whole seconds"
    children = [child for link in _LINKS for child in node.get(link, ())]
    yield from (f"{name} leads to {child}, which is not there" for child in {*children} - names)
    yield from (
        f"{name} leads to {child} in two ways" for child in {*children} if children.count(child) > 1
    )


#: What a notification may speak of, as far as ours do.
_TOLD = {
    **dict.fromkeys(
        ("job_friendly_name", "url", "approval_node_name", "workflow_url", "job_metadata"),
        "EXAMPLE",
    ),
    "job": dict.fromkeys(("id", "name", "status", "elapsed", "job_explanation"), "EXAMPLE"),
}
_SETTINGS: dict[str, dict[str, tuple[type, Any]]] = {
    "webhook": {
        "url": (str, None),
        "http_method": (str, "POST"),
        "disable_ssl_verification": (bool, False),
        "username": (str, ""),
        "password": (str, ""),
        "headers": (dict, None),
    },
}


def notification(told: Mapping[str, Any]) -> list[str]:
    """What is wrong with a notification template of a kind that we use."""
    wanted = _SETTINGS.get(told.get("notification_type", ""))
    if wanted is None:
        return [f"{told.get('notification_type')} is no kind that these rules know"]
    given = told.get("notification_configuration", {})
    wrong = [
        f"{name} is no {kind.__name__}"
        for name, (kind, default) in wanted.items()
        if not isinstance(given.get(name, default), kind)
    ]
    if str(given.get("http_method", "POST")).lower() not in ("post", "put"):
        wrong.append("http_method is POST or PUT")
    return [*wrong, *_messages(told.get("messages") or {})]


def _messages(told: Mapping[str, Any]) -> Iterator[str]:
    for event, messages in told.items():
        if event == "workflow_approval":
            unknown = {*messages} - {"running", "approved", "timed_out", "denied"}
            yield from (f"{one} is no event of an approval" for one in unknown)
            for inner in messages.values():
                yield from _message(inner)
        elif event in ("started", "success", "error"):
            yield from _message(messages)
        else:
            yield f"{event} is no event"


def _message(told: Mapping[str, Any]) -> Iterator[str]:
    for kind, text in told.items():
        if kind not in ("message", "body"):
            yield f"{kind} is no part of a message"
        elif kind == "message" and "\n" in text:
            yield "a message has one line"
        elif problem := _unrenderable(text, _TOLD):
            yield f"{text}: {problem}"


_A_PLAYBOOK = re.compile(r"^\s*-?\s*(hosts|(ansible\.builtin\.)?(include|import_playbook)):")


#: What AWX looks for no playbooks in.
_NO_PLAYBOOKS = ("roles", "tasks", "group_vars", "host_vars")


def playbooks(project: Path) -> set[str]:
    """What AWX offers as playbooks of a project: it looks at names and lines alone."""
    found = set()
    for folder, folders, names in os.walk(project):
        folders[:] = [
            one for one in folders if not one.startswith(".") and one not in _NO_PLAYBOOKS
        ]
        files = [Path(folder, name) for name in names if name.endswith((".yml", ".yaml"))]
        found |= {file for file in files if any(map(_A_PLAYBOOK.match, _lines(file)))}
    return {str(file.relative_to(project)) for file in found}


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8", errors="ignore").splitlines()


def job_template(told: Mapping[str, Any], offered: set[str]) -> list[str]:
    """What is wrong with a job template whose project offers these playbooks."""
    wrong = [f"{name} is missing" for name in ("name", "project") if not told.get(name)]
    if told.get("playbook") not in offered:
        wrong.append(f"{told.get('playbook')} is no playbook of the project")
    if told.get("job_type", "run") not in ("run", "check"):
        wrong.append(f"{told['job_type']} is no type of job")
    if not told.get("inventory") and not told.get("ask_inventory_on_launch"):
        wrong.append("inventory is missing, and nobody is asked for it")
    for name in ("timeout", "forks", "job_slice_count"):
        if not isinstance(told.get(name, 0), int) or told.get(name, 0) < 0:
            wrong.append(f"{name} is no whole number")
    form = survey(told["survey_spec"]) if told.get("survey_enabled") else []
    return wrong + form + extra_vars(told.get("extra_vars", {}))


def one_credential_each(names: list[str], types: Mapping[str, str]) -> list[str]:
    """AWX takes one credential of each type for a job; *types* are those of the credentials."""
    kinds = [types.get(name, "") for name in names]
    wrong = [f"there is no credential {name}" for name in names if name not in types]
    return wrong + [f"two credentials of type {kind}" for kind in {*kinds} if kinds.count(kind) > 1]


def _known(words: str) -> set[str]:
    return {"name", "description", *words.split()}


_ASKED = ("credential", "diff_mode", "execution_environment", "forks", "instance_groups")
_ASKED += ("inventory", "job_slice_count", "job_type", "labels", "limit", "scm_branch")
_ASKED += ("skip_tags", "tags", "timeout", "variables", "verbosity")
_ON_LAUNCH = " ".join(f"ask_{what}_on_launch" for what in _ASKED)
_TOLD_OF = " ".join(f"notification_templates_{event}" for event in ("started", "success", "error"))
#: The fields that the roles of infra.aap_configuration 3.0 hand on, by variable, for what we use.
FIELDS = {
    "aap_organizations": _known(f"max_hosts instance_groups default_environment {_TOLD_OF}"),
    "controller_credential_types": _known("kind inputs injectors"),
    "controller_credentials": _known("organization credential_type inputs update_secrets"),
    "controller_execution_environments": _known("image organization credential pull"),
    "controller_notifications": _known(
        "organization notification_type notification_configuration messages"
    ),
    "controller_projects": _known(
        "organization scm_type scm_url scm_branch scm_clean scm_update_on_launch allow_override "
        f"default_environment credential {_TOLD_OF}"
    ),
    "controller_inventories": _known("organization variables kind host_filter instance_groups"),
    "controller_inventory_sources": _known(
        "organization inventory source source_path source_vars source_project credential overwrite "
        "overwrite_vars execution_environment update_on_launch update_cache_timeout timeout"
    ),
    "controller_templates": _known(
        "organization inventory project playbook job_type credentials execution_environment forks "
        "limit verbosity extra_vars timeout allow_simultaneous job_slice_count survey_enabled "
        f"survey_spec instance_groups {_ON_LAUNCH} {_TOLD_OF}"
    ),
    "controller_workflows": _known(
        "organization inventory limit extra_vars allow_simultaneous survey_enabled survey_spec "
        f"simplified_workflow_nodes notification_templates_approvals {_ON_LAUNCH} {_TOLD_OF}"
    ),
    "controller_schedules": _known(
        "organization unified_job_template rrule extra_data enabled inventory credentials timeout"
    ),
    "simplified_workflow_nodes": _known(
        "identifier unified_job_template approval_node success_nodes failure_nodes always_nodes "
        "all_parents_must_converge extra_data inventory credentials limit job_type timeout"
    ),
}
