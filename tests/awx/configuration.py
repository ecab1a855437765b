# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that AWX needs of us, in the shapes of infra.aap_configuration.

Surveys follow from argument specifications (``surveys.py``), credential types from the providers,
what is required from the playbooks. ``forms.yml`` says what is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.provider import (
    Credential,
    Provider,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.registry import (
    PROVIDERS,
)
from tests.awx.surveys import question, survey
from tests.tools.tree import REPOSITORY

HERE = Path(__file__).parent
RELEASE: dict[str, Any] = yaml.safe_load((REPOSITORY / "galaxy.yml").read_text())
FORMS: dict[str, Any] = yaml.safe_load((HERE / "forms.yml").read_text())

ORGANIZATION = "inferops"
PROJECT = "inferops.gpu"
ENVIRONMENT = "inferops.gpu"
IMAGE = f"ghcr.io/inferops/gpu-ee:{RELEASE['version']}"
#: Where hosts come by their names, as answers, and what is rented now.
WANTED, RENTED = "inferops wanted", "inferops rented"
SCOPE, HUB, INVENTORY = "inferops scope", "inferops model hub", "inferops inventory"
FAILED = "inferops failed"
WORKFLOW = "inferops serve a model"
#: A playbook that works without a host says so, and one that needs some fails without.
_ANY_HOST, _A_HOST = "inferops_group, 'localhost')", "inferops_group) }}"
#: In the past, so that the first run comes within one interval.
_START = "DTSTART:20260101T000000Z"


class Template(str):
    """Jinja of AWX's, which Ansible must leave alone."""


def marketplaces() -> list[str]:
    """Where jobs may rent: those that they have a credential for, and that a schedule reaps."""
    return list(FORMS["marketplaces"])


def with_reaper() -> dict[str, Any]:
    """What tells a job that somebody reaps, where our schedules do and nowhere else."""
    return {"inferops_reaper": Template(f"{{{{ inferops_provider in {marketplaces()} }}}}")}


def template(name: str) -> str:
    """The name of a job template in AWX."""
    return f"inferops {name.replace('_', ' ')}"


def files() -> dict[str, dict[str, Any]]:
    """The variables of infra.aap_configuration, by the file that has them."""
    organizations = [_organization()]
    return {
        "organizations": {
            "aap_organizations": organizations,
            # As infra.controller_configuration calls them, for AWX and before 2.5.
            "controller_organizations": organizations,
        },
        "credential_types": {"controller_credential_types": credential_types()},
        "credentials": {"controller_credentials": credentials()},
        "execution_environments": {"controller_execution_environments": [_environment()]},
        "notifications": {"controller_notifications": [_notification()]},
        "projects": {"controller_projects": [_project()]},
        "inventories": {
            "controller_inventories": _inventories(),
            "controller_inventory_sources": [_inventory_source()],
        },
        "job_templates": {"controller_templates": job_templates()},
        "workflows": {"controller_workflows": [workflow()]},
        "schedules": {"controller_schedules": schedules()},
    }


def _organization() -> dict[str, Any]:
    return {"name": ORGANIZATION, "description": "GPU hosts on marketplaces, and what they serve."}


def _environment() -> dict[str, Any]:
    return {
        "name": ENVIRONMENT,
        "description": "Built from execution-environment.yml of the collection.",
        "image": IMAGE,
        "pull": "missing",
    }


def _project() -> dict[str, Any]:
    return {
        "name": PROJECT,
        "description": RELEASE["description"],
        "organization": ORGANIZATION,
        "scm_type": "git",
        "scm_url": f"{RELEASE['repository']}.git",
        # One release, until somebody wants the next one.
        "scm_branch": RELEASE["version"],
        "default_environment": ENVIRONMENT,
    }


def _inventories() -> list[dict[str, Any]]:
    return [
        {
            "name": WANTED,
            "description": "Has no hosts of its own: the answers to a form name them.",
            "organization": ORGANIZATION,
        },
        {
            "name": RENTED,
            "description": "What the scope has rented now, to look at.",
            "organization": ORGANIZATION,
        },
    ]


def _inventory_source() -> dict[str, Any]:
    return {
        "name": "inferops rentals",
        "description": f"The inventory plugin {PROJECT}.rentals.",
        "inventory": RENTED,
        "organization": ORGANIZATION,
        "source": "scm",
        "source_project": PROJECT,
        "source_path": "inventories/awx/rented.rentals.yml",
        # AWX takes one credential for a source, so that this one has all.
        "credential": INVENTORY,
        "execution_environment": ENVIRONMENT,
        "overwrite": True,
        "overwrite_vars": True,
        "update_on_launch": True,
        "update_cache_timeout": 60,
    }


def _notification() -> dict[str, Any]:
    failed = "{{ job_friendly_name }} {{ job.name }} {{ job.status }}: {{ url }}"
    approval = "{{ approval_node_name }}: {{ workflow_url }}"
    return {
        "name": FAILED,
        "description": "A job failed, or somebody has to approve what will be spent.",
        "organization": ORGANIZATION,
        "notification_type": "webhook",
        "notification_configuration": {
            # What is not said here, such as this and a password, is left to who opens it in AWX.
            "url": _from_environment("INFEROPS_NOTIFICATION_URL"),
            "http_method": "POST",
            "headers": {},
            "disable_ssl_verification": False,
            "username": "",
            "password": "",
        },
        "messages": {
            "error": {"body": Template(f'{{"text": "{failed}"}}')},
            "workflow_approval": {
                "running": {"body": Template(f'{{"text": "To approve: {approval}"}}')}
            },
        },
    }


def credential_types() -> list[dict[str, Any]]:
    """One for each marketplace, one for the scope, one for the hub, one for inventories."""
    kinds = [PROVIDERS[name] for name in sorted(PROVIDERS)]
    return [
        *map(_credential_type_of, kinds),
        _type(
            SCOPE,
            "Which rentals are ours, and what hosts let in.",
            [
                *_SCOPE_FIELDS,
                {
                    **_field("ssh_private_key", "SSH private key", secret=True),
                    "format": "ssh_private_key",
                    "multiline": True,
                    "help_text": "Without a passphrase. Hosts let it in, from every job.",
                },
            ],
            required=["scope", "scope_secret", "ssh_private_key"],
            env=_SCOPE_ENV,
            # A variable outranks the inventory: no form can lead a job to the rentals of others.
            extra_vars={
                "inferops_scope": "{{ scope }}",
                "inferops_ssh_private_key_file": "{{ tower.filename.ssh_private_key }}",
            },
            file={"template.ssh_private_key": "{{ ssh_private_key }}"},
        ),
        _type(
            HUB,
            "A token for gated models. A host gets it only where its model needs it.",
            [_field("token", "Token", secret=True)],
            required=["token"],
            env={"HF_TOKEN": "{{ token }}"},
        ),
        _type(
            INVENTORY,
            "What the inventory of rentals asks with; that of the marketplaces in use.",
            [*_SCOPE_FIELDS, *(field for kind in kinds for field in _fields(kind, prefixed=True))],
            required=["scope", "scope_secret"],
            env={
                **_SCOPE_ENV,
                **{name: text for kind in kinds for name, text in _env(kind, True).items()},
            },
        ),
    ]


def credential_type_of(provider: str) -> str:
    """The name of the credential type of a marketplace."""
    return f"inferops {provider}"


def _credential_type_of(kind: type[Provider]) -> dict[str, Any]:
    return _type(
        credential_type_of(kind.name),
        f"An account at marketplace {kind.name}.",
        _fields(kind),
        required=[one.option for one in kind.credentials if one.required],
        env=_env(kind),
    )


def _fields(kind: type[Provider], prefixed: bool = False) -> list[dict[str, Any]]:
    told = f"{kind.name}: " if prefixed else ""
    ids = _ids(kind, prefixed)
    fields = [_field(ids[one.option], told + _label(one), secret=True) for one in kind.credentials]
    address = _field(ids["api_url"], f"{told}API address")
    return [*fields, {**address, "help_text": f"Only where it is not {kind.default_url}."}]


def _env(kind: type[Provider], prefixed: bool = False) -> dict[str, str]:
    ids = _ids(kind, prefixed)
    names = {one.environment[0]: ids[one.option] for one in kind.credentials}
    return {name: f"{{{{ {id} }}}}" for name, id in {**names, kind.url_env: ids["api_url"]}.items()}


def _ids(kind: type[Provider], prefixed: bool) -> dict[str, str]:
    options = [*(one.option for one in kind.credentials), "api_url"]
    return {option: f"{kind.name}_{option}" if prefixed else option for option in options}


def _label(credential: Credential) -> str:
    return credential.option.replace("_", " ").replace("api", "API").replace("client", "Client")


def _field(id: str, label: str, secret: bool = False) -> dict[str, Any]:
    return {"id": id, "label": label, "type": "string", **({"secret": True} if secret else {})}


_SCOPE_FIELDS = [
    {
        **_field("scope", "Scope"),
        "help_text": "The set of rentals that is ours, such as prod. No others are ever touched.",
    },
    {
        **_field("scope_secret", "Secret of the scope", secret=True),
        "help_text": "At least 20 characters, such as openssl rand -base64 30 prints.",
    },
]
_SCOPE_ENV = {"INFEROPS_SCOPE": "{{ scope }}", "INFEROPS_SCOPE_SECRET": "{{ scope_secret }}"}


def _type(
    name: str,
    description: str,
    fields: list[dict[str, Any]],
    required: list[str],
    **injectors: Mapping[str, str],
) -> dict[str, Any]:
    return {
        "name": name,
        "description": description,
        "kind": "cloud",
        "inputs": {"fields": fields, "required": required},
        "injectors": {
            kind: {key: Template(text) for key, text in told.items()}
            for kind, told in injectors.items()
        },
    }


def credentials() -> list[dict[str, Any]]:
    """One of each type that the job templates use, filled from the environment of who applies it.

    What it does not have is left to whoever opens the credential in AWX.
    """
    scope = {
        "scope": _from_environment("INFEROPS_SCOPE"),
        "scope_secret": _from_environment("INFEROPS_SCOPE_SECRET"),
    }
    keys = {
        name: {
            one.option: _from_environment(one.environment[0]) for one in PROVIDERS[name].credentials
        }
        for name in marketplaces()
    }
    return [
        *(_credential(credential_type_of(name), told) for name, told in keys.items()),
        _credential(
            SCOPE, {**scope, "ssh_private_key": _from_environment("INFEROPS_SSH_PRIVATE_KEY")}
        ),
        _credential(HUB, {"token": _from_environment("HF_TOKEN")}),
        _credential(
            INVENTORY,
            {
                **scope,
                **{
                    f"{name}_{option}": text
                    for name, told in keys.items()
                    for option, text in told.items()
                },
            },
        ),
    ]


def _credential(name: str, inputs: dict[str, str]) -> dict[str, Any]:
    return {
        "name": name,
        "organization": ORGANIZATION,
        "credential_type": name,
        "inputs": inputs,
        # What somebody has typed into AWX stays.
        "update_secrets": False,
    }


def _from_environment(name: str) -> str:
    return f"{{{{ lookup('ansible.builtin.env', '{name}') }}}}"


def playbook_of(name: str) -> str:
    """The path of a template's playbook in the project."""
    return f"playbooks/{FORMS['templates'][name].get('playbook', name)}.yml"


@cache
def required_by(path: str) -> frozenset[str]:
    """The variables without which a playbook fails at once: what its gate says, and hosts."""
    text = (REPOSITORY / path).read_text()
    plays = yaml.safe_load(text)
    names = {name for play in plays for task in play.get("tasks", ()) for name in _gate(task)}
    if _A_HOST in text and _ANY_HOST not in text:
        names.add("inferops_hosts")
    # A credential gives it.
    return frozenset(names - {"inferops_scope"})


def _gate(task: dict[str, Any]) -> Mapping[str, str]:
    checked = task.get("inferops.gpu.check_variables") or {}
    required: Mapping[str, str] = checked.get("required", {})
    return required


def questions(name: str) -> list[dict[str, Any]]:
    """The form of a template. A plan wants what a deploy does, and so does doctor."""
    form = FORMS["templates"][name]
    needed = required_by("playbooks/deploy.yml" if name == "doctor" else playbook_of(name))
    asked = [*FORMS["asked_everywhere"], *form["asks"]]
    lacking = needed - set(asked)
    if lacking:
        raise ValueError(f"{name} does not ask for {', '.join(sorted(lacking))}, which it needs.")
    return [
        _offered(question(one, required=one in needed))
        if one == "inferops_provider"
        else question(one, required=one in needed)
        for one in asked
    ]


def _offered(asked: dict[str, Any]) -> dict[str, Any]:
    """The marketplaces that a job has credentials for, and the first where nobody says."""
    return {**asked, "choices": marketplaces(), "default": marketplaces()[0]}


def job_templates() -> list[dict[str, Any]]:
    """One for each playbook, and one for the dry run of a deploy."""
    return [_job_template(name) for name in FORMS["templates"]]


def _job_template(name: str) -> dict[str, Any]:
    form = FORMS["templates"][name]
    return {
        "name": template(name),
        "description": form["description"],
        "job_type": form.get("job_type", "run"),
        "organization": ORGANIZATION,
        "inventory": WANTED,
        "project": PROJECT,
        "playbook": playbook_of(name),
        "execution_environment": ENVIRONMENT,
        "credentials": [*map(credential_type_of, marketplaces()), SCOPE, HUB],
        # Of another account or scope that somebody chooses, nobody would reap anything.
        "ask_credential_on_launch": False,
        "ask_inventory_on_launch": form.get("another_inventory", False),
        # What is not in the form cannot be said.
        "ask_variables_on_launch": False,
        # One reaper at a time is enough; names tell all others apart.
        "allow_simultaneous": name != "reap",
        "timeout": form["minutes"] * 60,
        "extra_vars": with_reaper(),
        "survey_enabled": True,
        "survey_spec": survey(template(name), form["description"], questions(name)),
        "notification_templates_error": [FAILED],
    }


def workflow() -> dict[str, Any]:
    """Nothing is spent before somebody has seen the plan, and nothing stays that does not serve."""
    form = FORMS["workflow"]
    description = "Shows the priced plan, waits for somebody to approve it, deploys and proves."
    asked = [
        _said(one) if one["variable"] in form["must_be_said"] else one
        for one in questions(form["template"])
    ]
    return {
        "name": WORKFLOW,
        "description": description,
        "organization": ORGANIZATION,
        "inventory": WANTED,
        "allow_simultaneous": True,
        "ask_variables_on_launch": False,
        "survey_enabled": True,
        "survey_spec": survey(WORKFLOW, description, asked),
        "simplified_workflow_nodes": nodes(form["approval_minutes"]),
        "notification_templates_error": [FAILED],
        "notification_templates_approvals": [FAILED],
    }


def _said(asked: dict[str, Any]) -> dict[str, Any]:
    """A question that somebody has to answer: a default would be taken without a thought."""
    told = {key: value for key, value in asked.items() if key != "default"}
    return {**told, "required": True}


def nodes(approval_minutes: int) -> list[dict[str, Any]]:
    """Plan, approval, deploy and proof; whatever fails once money is spent ends in a teardown."""
    return [
        {**_job("plan"), "success_nodes": ["approve"]},
        {
            "identifier": "approve",
            "approval_node": {
                "name": "inferops approve the plan",
                "description": (
                    "The job before this one shows what would be rented for each host: dollars per "
                    "hour, minutes to the first token, and the stack. No host is given a dearer "
                    "offer than the form allows, and each may spend the form's budget, which "
                    "decides when its rental ends: several hosts cost as many times of both."
                ),
                "timeout": approval_minutes * 60,
            },
            "success_nodes": ["deploy"],
        },
        {**_job("deploy"), "success_nodes": ["prove"], "failure_nodes": ["teardown"]},
        {**_job("prove"), "failure_nodes": ["teardown"]},
        _job("teardown"),
    ]


def _job(name: str) -> dict[str, Any]:
    return {"identifier": name, "unified_job_template": template(name)}


def schedules() -> list[dict[str, Any]]:
    """What has to run by itself: who ends what is past its deadline, and who looks."""
    return [
        *(
            {
                "name": f"inferops reap {provider} every 10 minutes",
                "description": "Ends what is past its deadline. Deploys count on it.",
                "organization": ORGANIZATION,
                "unified_job_template": template("reap"),
                "rrule": f"{_START} RRULE:FREQ=MINUTELY;INTERVAL=10",
                "extra_data": {"reap_release": "true", "inferops_provider": provider},
                "enabled": True,
            }
            for provider in marketplaces()
        ),
        {
            "name": "inferops status every hour",
            "description": "Shows what is rented, and what each server does.",
            "organization": ORGANIZATION,
            "unified_job_template": template("status"),
            # Nobody names hosts here: it looks at all that is rented.
            "inventory": RENTED,
            "rrule": f"{_START} RRULE:FREQ=HOURLY;INTERVAL=1",
            "enabled": True,
        },
    ]
