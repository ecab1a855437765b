# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes AWX what a configuration says, and nothing else: what is not named in it stays as it is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from ..common.redaction import SHORTEST_SECRET
from .api import Api, AwxError
from .kinds import KINDS, Kind

#: Stands for what a dry run would have made.
_TO_COME = 0
_LINKS = ("success_nodes", "failure_nodes", "always_nodes")
#: Whatever can be run has a name among all that can.
_RUNNABLE = ("job_templates", "workflow_job_templates", "projects", "inventory_sources")
#: A project's own words for being fetched, and for having failed at it.
_UNDER_WAY = ("new", "pending", "waiting", "running", "never updated")
_FAILED = ("failed", "error", "canceled", "missing")
_LOOK_SECONDS = 2.0
#: What AWX shows instead of a secret; where it gets this back, it keeps what it has.
_KEPT_BY_AWX = "$encrypted$"
#: Of how a notification is sent, what anybody may read.
_SHOWN = ("http_method", "username")


class Applying:
    """One run. ``changes`` are what it did, or would do: kind, name, and what of it.

    ``left`` is what differs and stays so, because AWX allows no change: kind, name, fields, why.
    """

    def __init__(self, api: Api, dry_run: bool, project_timeout_seconds: float) -> None:
        self._api, self._dry_run = api, dry_run
        self._patience_seconds = project_timeout_seconds
        #: By path and name, so that each is looked up once.
        self._ids: dict[tuple[str, str], int] = {}
        #: What this run has made has nothing yet, and all that it gets belongs to the making.
        self._new: set[int] = {_TO_COME}
        self.changes: list[dict[str, Any]] = []
        self.left: list[dict[str, Any]] = []

    def apply(self, configuration: Mapping[str, Any]) -> None:
        """Everything, in the order in which things need each other. Raises AwxError."""
        for kind in KINDS:
            given = next((one for one in kind.variables if configuration.get(one)), None)
            for wanted in configuration[given] if given else ():
                self._apply(kind, wanted)

    def _apply(self, kind: Kind, wanted: Mapping[str, Any]) -> None:
        name = wanted["name"]
        one = {
            field: self._id(path, wanted[field])
            for field, path in kind.one.items()
            if wanted.get(field)
        }
        there = self._there(kind, name, one)
        body = {**_plain(kind, wanted), **one}
        id = self._make(kind, body) if there is None else self._change(kind, body, there)
        self._ids[kind.path, name] = id
        if kind.path == "projects":
            self._wait_for_project(id, name)
        for field, path in kind.many.items():
            self._attach(
                kind, name, id, field, [self._id(path, one) for one in wanted.get(field, ())]
            )
        if wanted.get("survey_spec"):
            self._survey(kind, name, id, wanted["survey_spec"])
        if wanted.get("simplified_workflow_nodes"):
            self._nodes(name, id, wanted["simplified_workflow_nodes"])

    def _id(self, path: str, name: str) -> int:
        """The number of what is named. Raises AwxError where there is no such thing."""
        for known in _RUNNABLE if path == "unified_job_templates" else (path,):
            if (known, name) in self._ids:
                return self._ids[known, name]
        found = self._api.all(self._api.path(path), name=name)
        if len(found) != 1:
            raise AwxError(
                f"There {'is nothing' if not found else 'are several things'} called {name} among "
                f"{path}: name one that is there, or put it into the configuration."
            )
        self._ids[path, name] = found[0]["id"]
        return self._ids[path, name]

    def _there(self, kind: Kind, name: str, one: Mapping[str, int]) -> dict[str, Any] | None:
        within = {kind.within: one[kind.within]} if kind.within in one else {}
        if _TO_COME in within.values():
            return None
        found = self._api.all(self._api.path(kind.path), name=name, **within)
        return found[0] if found else None

    def _did(self, kind: str, name: str, what: str, fields: Any = ()) -> None:
        told = {"kind": kind, "name": name, "did": what, "fields": sorted(fields)}
        self.changes.append(told)

    def _made(self, path: str, body: Any) -> dict[str, Any]:
        made = self._api.call("POST", path, body)
        self._new.add(made["id"])
        return made

    def _make(self, kind: Kind, body: dict[str, Any]) -> int:
        self._did(kind.path, body["name"], "made")
        if self._dry_run:
            return _TO_COME
        if kind.path == "organizations" and self._api.gateway:
            return self._organization(body)
        # A template's organization is its project's: AWX takes no other.
        sent = {key: value for key, value in body.items() if not _derived(kind, key)}
        if "inputs" in sent and kind.path == "credentials":
            sent["inputs"] = _said(sent["inputs"])
        return int(self._made(self._api.path(kind.path), sent)["id"])

    def _organization(self, body: dict[str, Any]) -> int:
        """A platform has organizations for all of its parts; its controller hears of it soon."""
        self._api.call("POST", f"{self._api.gateway}organizations/", body)
        ends = time.monotonic() + self._patience_seconds
        while time.monotonic() < ends:
            found = self._api.all(self._api.path("organizations"), name=body["name"])
            if found:
                return int(found[0]["id"])
            time.sleep(_LOOK_SECONDS)
        raise AwxError(
            f"Organization {body['name']} was made, and the controller has not heard of it: run it "
            "again."
        )

    def _change(self, kind: Kind, body: dict[str, Any], there: dict[str, Any]) -> int:
        changed = {
            key: value
            for key, value in body.items()
            if not _derived(kind, key) and not _same(value, there.get(key))
        }
        if kind.path == "credentials":
            changed = _of_a_credential(body, there, changed)
        if kind.path == "notification_templates":
            changed = _of_a_notification(body, there, changed)
        if kind.path == "credential_types" and "inputs" in changed:
            changed = self._of_a_type(body, there, changed)
        if changed:
            self._did(kind.path, body["name"], "changed", changed)
            if not self._dry_run:
                self._api.call("PATCH", self._api.path(kind.path, there["id"]), changed)
        return int(there["id"])

    def _of_a_type(
        self, body: Mapping[str, Any], there: Mapping[str, Any], changed: dict[str, Any]
    ) -> dict[str, Any]:
        """AWX forbids other fields for a type that has credentials: they stay as they are."""
        path = self._api.path("credentials")
        made_of_it = [one["name"] for one in self._api.all(path, credential_type=there["id"])]
        if not made_of_it:
            return changed
        fields = _other_fields(body["inputs"], there.get("inputs") or {})
        told = {"kind": "credential_types", "name": body["name"], "fields": fields}
        self.left.append({**told, "why": _why_left(body["name"], fields, made_of_it)})
        # What it injects is made of its fields.
        return {key: one for key, one in changed.items() if key not in ("inputs", "injectors")}

    def _wait_for_project(self, id: int, name: str) -> None:
        """Until it is fetched: AWX knows no playbook before."""
        ends = time.monotonic() + self._patience_seconds
        while not self._dry_run:
            status = self._api.call("GET", self._api.path("projects", id)).get("status")
            if status in _FAILED:
                raise AwxError(
                    f"Project {name} could not be fetched ({status}): the log of its last update "
                    "in AWX says why. Most often its address or its branch is wrong."
                )
            if status not in _UNDER_WAY:
                return
            if time.monotonic() >= ends:
                raise AwxError(f"Project {name} is still being fetched: run it again later.")
            time.sleep(_LOOK_SECONDS)

    def _attach(self, kind: Kind, name: str, id: int, field: str, wanted: list[int]) -> None:
        """What is attached beside it stays: somebody has wanted that."""
        if not wanted:
            return
        path = self._api.path(kind.path, id, field)
        there = set() if id in self._new else {one["id"] for one in self._api.all(path)}
        lacking = [one for one in wanted if one not in there]
        if lacking and id not in self._new:
            self._did(kind.path, name, "changed", [field])
        for one in lacking if not self._dry_run else ():
            self._api.call("POST", path, {"id": one})

    def _survey(self, kind: Kind, name: str, id: int, wanted: dict[str, Any]) -> None:
        path = self._api.path(kind.path, id, "survey_spec")
        if id not in self._new:
            if self._api.call("GET", path) == wanted:
                return
            self._did(kind.path, name, "changed", ["survey_spec"])
        if not self._dry_run:
            self._api.call("POST", path, wanted)

    def _nodes(self, workflow: str, id: int, wanted: list[dict[str, Any]]) -> None:
        """The nodes, then the ways between them."""
        path = self._api.path("workflow_job_templates", id, "workflow_nodes")
        found = [] if id in self._new else self._api.all(path)
        there = {one["identifier"]: one for one in found}
        ids = {
            node["identifier"]: self._node(workflow, path, node, there.get(node["identifier"]))
            for node in wanted
        }
        for node in wanted:
            for link in _LINKS:
                self._lead(workflow, ids, node["identifier"], link, node.get(link, ()))

    def _node(
        self, workflow: str, path: str, wanted: dict[str, Any], there: dict[str, Any] | None
    ) -> int:
        name, approval = wanted["identifier"], wanted.get("approval_node")
        body = {
            key: value
            for key, value in wanted.items()
            if key not in (*_LINKS, "approval_node", "unified_job_template")
        }
        if not approval:
            job = self._id("unified_job_templates", wanted["unified_job_template"])
            body["unified_job_template"] = job
        if there is None:
            self._did("workflow_nodes", f"{workflow}: {name}", "made")
            if self._dry_run:
                return _TO_COME
            there = self._made(path, body)
        else:
            changed = {key: one for key, one in body.items() if not _same(one, there.get(key))}
            if changed:
                self._did("workflow_nodes", f"{workflow}: {name}", "changed", changed)
                if not self._dry_run:
                    node_path = self._api.path("workflow_job_template_nodes", there["id"])
                    self._api.call("PATCH", node_path, changed)
        if approval:
            self._approval(workflow, name, there, approval)
        return int(there["id"])

    def _approval(
        self, workflow: str, name: str, node: dict[str, Any], wanted: dict[str, Any]
    ) -> None:
        number = node.get("unified_job_template")
        path = self._api.path("workflow_job_template_nodes", node["id"], "create_approval_template")
        if number:
            path = self._api.path("workflow_approval_templates", number)
            there = self._api.call("GET", path)
            if all(_same(value, there.get(key)) for key, value in wanted.items()):
                return
            self._did("workflow_nodes", f"{workflow}: {name}", "changed", ["approval_node"])
        if not self._dry_run:
            self._api.call("PATCH" if number else "POST", path, wanted)

    def _lead(
        self, workflow: str, ids: Mapping[str, int], name: str, link: str, wanted: Any
    ) -> None:
        """Ways that are not wanted go: a workflow that somebody has to approve has no other."""
        number, children = ids[name], {ids[one] for one in wanted}
        path = self._api.path("workflow_job_template_nodes", number, link)
        there = set() if number in self._new else {one["id"] for one in self._api.all(path)}
        if there != children and number not in self._new:
            self._did("workflow_nodes", f"{workflow}: {name}", "changed", [link])
        for one in sorted(there - children) if not self._dry_run else ():
            self._api.call("POST", path, {"id": one, "disassociate": True})
        for one in sorted(children - there) if not self._dry_run else ():
            self._api.call("POST", path, {"id": one})


def _plain(kind: Kind, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What is sent as it is; dictionaries that AWX keeps as texts are texts."""
    return {
        key: json.dumps(value, sort_keys=True) if key in kind.text else value
        for key, value in wanted.items()
        if key not in kind.one and key not in kind.many and key not in kind.ours
    }


def _derived(kind: Kind, key: str) -> bool:
    return kind.path == "job_templates" and key == "organization"


def _same(wanted: Any, there: Any) -> bool:
    """Whether AWX has it so; it may keep JSON in another spelling."""
    if wanted == there:
        return True
    if isinstance(wanted, str) and isinstance(there, str) and wanted.startswith(("{", "[")):
        try:
            return bool(json.loads(wanted) == json.loads(there or "{}"))
        except ValueError:
            return False
    if isinstance(wanted, dict) and isinstance(there, dict):
        # What AWX adds by itself is no difference.
        return all(_same(value, there.get(key)) for key, value in wanted.items())
    return False


def _other_fields(wanted: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    """The fields that one of two credential types lacks, or has in another way."""
    new, old = (
        {field["id"]: field for field in told.get("fields") or ()} for told in (wanted, there)
    )
    return sorted(id for id in {*new, *old} if new.get(id) != old.get(id))


def _why_left(name: str, fields: list[str], credentials: list[str]) -> str:
    return (
        f"Credential type {name} stays as it is, with what it injects: AWX allows no change to its "
        f"fields ({', '.join(fields) or 'which of them are required'}) while there are credentials "
        f"of it ({', '.join(sorted(credentials))}), which work as before. To have the new ones, "
        "delete these in AWX and run it again: it makes those of the configuration anew and "
        "attaches them. What was typed into them has to be typed again, and what was attached to "
        "templates of your own to be attached again."
    )


def secrets(configuration: Mapping[str, Any]) -> set[str]:
    """What must not be shown of it.

    What its credentials hold in fields that are secret, and where and how notifications are sent:
    whoever knows the address of a webhook may post there.
    """
    return {*_of_credentials(configuration), *_of_notifications(configuration)}


def _of_notifications(configuration: Mapping[str, Any]) -> set[str]:
    sent = [
        _said(one.get("notification_configuration") or {})
        for one in configuration.get("controller_notifications") or ()
    ]
    told = [value for one in sent for key, value in one.items() if key not in _SHOWN]
    return {text for text in _texts(told) if len(text) >= SHORTEST_SECRET}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)


def _of_credentials(configuration: Mapping[str, Any]) -> set[str]:
    types = configuration.get("controller_credential_types") or ()
    shown = {
        (one["name"], field["id"])
        for one in types
        for field in (one.get("inputs") or {}).get("fields", ())
        if not field.get("secret")
    }
    return {
        str(value)
        for one in configuration.get("controller_credentials") or ()
        for key, value in _said(one.get("inputs") or {}).items()
        if (one["credential_type"], key) not in shown
    }


def _said(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in inputs.items() if value not in (None, "", {}, [])}


def _of_a_notification(
    body: Mapping[str, Any], there: Mapping[str, Any], changed: dict[str, Any]
) -> dict[str, Any]:
    """What nobody has said stays as somebody has typed it into AWX, and a password in any case."""
    field = "notification_configuration"
    if "notification_type" in changed or field not in changed:
        return changed
    kept = there.get(field) or {}
    # AWX does not tell a password, so it would differ in every run.
    said = {key: one for key, one in _said(body[field]).items() if kept.get(key) != _KEPT_BY_AWX}
    others = {key: value for key, value in changed.items() if key != field}
    return others if _same(said, kept) else {**others, field: {**kept, **said}}


def _of_a_credential(
    body: Mapping[str, Any], there: Mapping[str, Any], changed: dict[str, Any]
) -> dict[str, Any]:
    """What somebody has typed into AWX stays: only what it lacks is filled in."""
    kept = there.get("inputs") or {}
    lacking = {
        key: one for key, one in _said(body.get("inputs") or {}).items() if not kept.get(key)
    }
    others = {key: value for key, value in changed.items() if key != "inputs"}
    return {**others, "inputs": {**kept, **lacking}} if lacking else others
