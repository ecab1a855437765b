# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of objects that AWX is told of, in the order in which they need each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_NOTIFICATIONS = {
    f"notification_templates_{event}": "notification_templates"
    for event in ("started", "success", "error", "approvals")
}


@dataclass(frozen=True)
class Kind:
    """One kind: where AWX has it, and where our configuration does.

    ``path`` is below AWX's API; ``variables`` are those of infra.aap_configuration, of which the
    first that is given counts. A name is unique within what ``within`` names, everywhere without.
    ``one`` are the fields that name another object, ``many`` those that name several, by the path
    of what they name. ``text`` are dictionaries that AWX keeps as JSON, and ``ours`` are sent in
    other ways, or not at all.
    """

    path: str
    variables: tuple[str, ...]
    within: str = ""
    one: Mapping[str, str] = field(default_factory=dict)
    many: Mapping[str, str] = field(default_factory=dict)
    text: tuple[str, ...] = ()
    ours: tuple[str, ...] = ()


_ORGANIZATION = {"organization": "organizations"}
KINDS = (
    Kind("organizations", ("aap_organizations", "controller_organizations")),
    Kind("credential_types", ("controller_credential_types",)),
    Kind(
        "credentials",
        ("controller_credentials",),
        within="organization",
        one={**_ORGANIZATION, "credential_type": "credential_types"},
        ours=("update_secrets",),
    ),
    Kind(
        "execution_environments",
        ("controller_execution_environments",),
        one={**_ORGANIZATION, "credential": "credentials"},
    ),
    Kind(
        "notification_templates",
        ("controller_notifications",),
        within="organization",
        one=_ORGANIZATION,
    ),
    Kind(
        "projects",
        ("controller_projects",),
        within="organization",
        one={
            **_ORGANIZATION,
            "default_environment": "execution_environments",
            "credential": "credentials",
        },
        many=_NOTIFICATIONS,
    ),
    Kind(
        "inventories",
        ("controller_inventories",),
        within="organization",
        one=_ORGANIZATION,
        text=("variables",),
    ),
    Kind(
        "inventory_sources",
        ("controller_inventory_sources",),
        within="inventory",
        one={
            "inventory": "inventories",
            "source_project": "projects",
            "credential": "credentials",
            "execution_environment": "execution_environments",
        },
        many=_NOTIFICATIONS,
        text=("source_vars",),
        ours=("organization",),
    ),
    Kind(
        "job_templates",
        ("controller_templates",),
        # A template is in the organization of its project.
        within="organization",
        one={
            **_ORGANIZATION,
            "inventory": "inventories",
            "project": "projects",
            "execution_environment": "execution_environments",
        },
        many={"credentials": "credentials", **_NOTIFICATIONS},
        text=("extra_vars",),
        ours=("survey_spec",),
    ),
    Kind(
        "workflow_job_templates",
        ("controller_workflows",),
        within="organization",
        one={**_ORGANIZATION, "inventory": "inventories"},
        many=_NOTIFICATIONS,
        text=("extra_vars",),
        ours=("survey_spec", "simplified_workflow_nodes"),
    ),
    Kind(
        "schedules",
        ("controller_schedules",),
        within="unified_job_template",
        one={"unified_job_template": "unified_job_templates", "inventory": "inventories"},
        ours=("organization",),
    ),
)
