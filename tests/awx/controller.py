# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for AWX's API: keeps what it is told, by AWX's own rules (``rules.py``), runs nothing.

As a *platform* it answers as Automation Platform 2.5 does: its parts have paths of their own, and
its gateway has the organizations.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.awx import rules

TOKEN = "token-of-an-administrator"
#: By kind, the fields that number another object, and its kind.
NUMBERS = {
    "credentials": {"organization": "organizations", "credential_type": "credential_types"},
    "projects": {"organization": "organizations", "default_environment": "execution_environments"},
    "notification_templates": {"organization": "organizations"},
    "inventories": {"organization": "organizations"},
    "inventory_sources": {
        "inventory": "inventories",
        "source_project": "projects",
        "credential": "credentials",
        "execution_environment": "execution_environments",
    },
    "job_templates": {
        "inventory": "inventories",
        "project": "projects",
        "execution_environment": "execution_environments",
    },
    "workflow_job_templates": {"organization": "organizations", "inventory": "inventories"},
    "schedules": {"unified_job_template": "unified_job_templates", "inventory": "inventories"},
}
RUNNABLE = ("projects", "inventory_sources", "job_templates", "workflow_job_templates")
KINDS = (
    *("organizations", "credential_types", "execution_environments", *NUMBERS),
    *("workflow_job_template_nodes", "workflow_approval_templates"),
)
#: What can be attached, and of which kind it is.
ATTACHED = {
    "credentials": "credentials",
    **{
        f"notification_templates_{event}": "notification_templates"
        for event in ("started", "success", "error", "approvals")
    },
    **dict.fromkeys(("success_nodes", "failure_nodes", "always_nodes"), "nodes"),
}


class Refused(Exception):
    """An answer that is no success: its status and what it says."""

    def __init__(self, status: int, *said: str) -> None:
        super().__init__(status, said)
        self.status, self.said = status, said


class Controller:
    """One AWX on a free port of the loopback; ``playbooks`` are those that its project offers.

    *like* another one it begins with all that this has now.
    """

    def __init__(
        self, playbooks: set[str], platform: bool = False, like: Controller | None = None
    ) -> None:
        self.playbooks, self.platform = playbooks, platform
        self.objects: dict[str, dict[int, dict[str, Any]]] = {kind: {} for kind in KINDS}
        self.attached: dict[tuple[int, str], list[int]] = {}
        self.surveys: dict[int, dict[str, Any]] = {}
        #: Every call that changes something, and every status that a project still goes through.
        self.writes: list[tuple[str, str]] = []
        self.fetching = ["running", "successful"]
        #: A page of a list has so many objects at most, whatever is asked for.
        self.page_size = 200
        self._last = 0
        if like:
            self.objects, self.attached, self.surveys, self._last = deepcopy(
                (like.objects, like.attached, like.surveys, like._last)
            )
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        # It looks so often whether it is to end, in seconds.
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def base(self) -> str:
        return "/api/controller/v2/" if self.platform else "/api/v2/"

    def named(self, kind: str, name: str) -> dict[str, Any]:
        """The one object of this name."""
        (found,) = (one for one in self.objects[kind].values() if one["name"] == name)
        return found

    def answer(self, method: str, path: str, body: Any, token: str) -> Any:
        """What AWX would say. Raises Refused."""
        place = urlsplit(path)
        roots = {
            "/api/": {"current_version": "/api/v2/"},
            "/api/controller/": {"current_version": "/api/controller/v2/"},
            "/api/gateway/": {"current_version": "/api/gateway/v1/"},
        }
        if self.platform:
            roots["/api/"] = {
                "apis": {"gateway": "/api/gateway/", "controller": "/api/controller/"}
            }
        if place.path in roots:
            return roots[place.path]
        if token != f"Bearer {TOKEN}":
            raise Refused(401, "Authentication credentials were not provided.")
        if method != "GET":
            self.writes.append((method, place.path))
        if place.path == "/api/gateway/v1/organizations/":
            return self._made("organizations", body)
        steps = place.path.removeprefix(self.base).strip("/").split("/")
        return self._at(method, steps, body, dict(parse_qsl(place.query)))

    def _at(self, method: str, steps: list[str], body: Any, query: dict[str, str]) -> Any:
        if len(steps) == 1:
            return self._made(steps[0], body) if method == "POST" else self._page(steps[0], query)
        kind, number = steps[0], int(steps[1])
        there = self._numbered(kind, number)
        if len(steps) == 2:
            if method == "PATCH":
                self._change(kind, there, body)
            if kind == "projects" and len(self.fetching) > 1:
                return {**there, "status": self.fetching.pop(0)}
            return (
                {**there, "status": self.fetching[0]} if kind == "projects" else self._shown(there)
            )
        return self._below(method, kind, there, steps[2], body)

    def _change(self, kind: str, there: dict[str, Any], body: dict[str, Any]) -> None:
        credentials = self.objects["credentials"].values()
        if kind == "credential_types" and any(
            one["credential_type"] == there["id"] for one in credentials
        ):
            _refuse(rules.inputs_in_use(there, body), status=403)
        self._check(kind, {**there, **body})
        for field in ("inputs", "notification_configuration"):
            if kind != "credential_types" and field in body:
                # What it has shown as a secret comes back as it was shown, and is kept.
                kept = {
                    key: there[field][key]
                    for key, value in body[field].items()
                    if value == rules.HIDDEN
                }
                body = {**body, field: {**body[field], **kept}}
        there.update(body)

    def _below(self, method: str, kind: str, there: dict[str, Any], what: str, body: Any) -> Any:
        if what == "survey_spec":
            if method == "POST":
                _refuse(rules.survey(body))
                self.surveys[there["id"]] = body
            return self.surveys.get(there["id"], {})
        if what == "workflow_nodes":
            if method == "POST":
                return self._node({**body, "workflow_job_template": there["id"]})
            return _as_page(self._nodes_of(there["id"]))
        if what == "create_approval_template":
            made = self._made("workflow_approval_templates", body)
            there["unified_job_template"] = made["id"]
            return made
        if what not in ATTACHED:
            raise Refused(404, "Not found.")
        attached = self.attached.setdefault((there["id"], what), [])
        if method == "POST":
            self._attach(kind, there, what, attached, body)
            return {}
        of = "workflow_job_template_nodes" if ATTACHED[what] == "nodes" else ATTACHED[what]
        return _as_page([self._shown(self._numbered(of, one)) for one in attached])

    def _attach(
        self, kind: str, there: dict[str, Any], what: str, attached: list[int], body: Any
    ) -> None:
        if body.get("disassociate"):
            attached.remove(body["id"])
            return
        attached.append(body["id"])
        wrong: list[str] = []
        if what == "credentials":
            credentials = self.objects["credentials"]
            types = {str(one): str(told["credential_type"]) for one, told in credentials.items()}
            wrong = rules.one_credential_each([*map(str, attached)], types)
        elif ATTACHED[what] == "nodes":
            wrong = self._graph(there["workflow_job_template"])
        if wrong:
            attached.pop()
            _refuse(wrong)

    def _graph(self, workflow: int) -> list[str]:
        links = [what for what, kind in ATTACHED.items() if kind == "nodes"]
        told = [
            {
                "identifier": node["id"],
                "approval_node": {"name": "x"},
                **{link: self.attached.get((node["id"], link), []) for link in links},
            }
            for node in self._nodes_of(workflow)
        ]
        return rules.workflow_nodes(told, set())

    def _nodes_of(self, workflow: int) -> list[dict[str, Any]]:
        nodes = self.objects["workflow_job_template_nodes"].values()
        return [one for one in nodes if one["workflow_job_template"] == workflow]

    def _node(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["identifier"] in [
            one["identifier"] for one in self._nodes_of(body["workflow_job_template"])
        ]:
            raise Refused(400, "identifier is there already")
        return self._kept("workflow_job_template_nodes", {"unified_job_template": None, **body})

    def _page(self, kind: str, query: dict[str, str]) -> dict[str, Any]:
        kinds = RUNNABLE if kind == "unified_job_templates" else (kind,)
        if kind not in (*self.objects, "unified_job_templates"):
            raise Refused(404, "Not found.")
        there = [one for name in kinds for one in self.objects[name].values()]
        wanted = {key: value for key, value in query.items() if key not in ("page_size", "page")}
        found = [
            self._shown(one)
            for one in there
            if all(str(one.get(key)) == value for key, value in wanted.items())
        ]
        page, size = int(query.get("page", 1)), min(int(query["page_size"]), self.page_size)
        told = _as_page(found[(page - 1) * size : page * size])
        if len(found) > page * size:
            following = {**query, "page": page + 1}
            told["next"] = f"{self.base}{kind}/?{urlencode(following)}"
        return {**told, "count": len(found)}

    def _numbered(self, kind: str, number: int) -> dict[str, Any]:
        for name in RUNNABLE if kind == "unified_job_templates" else (kind,):
            if number in self.objects.get(name, {}):
                return self.objects[name][number]
        raise Refused(404, f"There is no {kind} {number}.")

    def _made(self, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        if kind == "organizations" and self.platform and "/api/gateway" not in self.writes[-1][1]:
            raise Refused(403, "Organizations are made by the gateway.")
        if not body.get("name"):
            raise Refused(400, "name is required")
        self._check(kind, body)
        self._check_name(kind, body)
        if kind == "job_templates":
            project = self._numbered("projects", body["project"])
            body = {**body, "organization": project["organization"]}
        return self._kept(kind, body)

    def _kept(self, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        self._last += 1
        self.objects[kind][self._last] = {**body, "id": self._last}
        return self._shown(self.objects[kind][self._last])

    def _check_name(self, kind: str, body: Mapping[str, Any]) -> None:
        """A name is there once: in its organization, and among credentials of its type."""
        within = ("organization", "credential_type", "inventory", "unified_job_template")
        for one in self.objects[kind].values():
            same = all(one.get(field) == body.get(field) for field in ("name", *within))
            if same and kind != "workflow_approval_templates":
                raise Refused(400, f"{kind} with this name {body['name']} already exists.")

    def _shown(self, told: dict[str, Any]) -> dict[str, Any]:
        """As AWX shows it: of a secret, that there is one."""
        if "credential_type" in told:
            kind = self.objects["credential_types"][told["credential_type"]]
            secret = {one["id"] for one in kind["inputs"]["fields"] if one.get("secret")}
            return {**told, "inputs": _hidden(told.get("inputs", {}), secret)}
        if "notification_configuration" in told:
            shown = _hidden(told["notification_configuration"], {"password"})
            return {**told, "notification_configuration": shown}
        return told

    def _check(self, kind: str, body: Mapping[str, Any]) -> None:
        for field, of in NUMBERS.get(kind, {}).items():
            if body.get(field) is not None:
                self._numbered(of, body[field])
        checks: dict[str, Callable[[Mapping[str, Any]], list[str]]] = {
            "credential_types": rules.credential_type,
            "notification_templates": rules.notification,
            "credentials": self._credential,
            "job_templates": self._template,
            "schedules": self._schedule,
        }
        if kind in checks:
            _refuse(checks[kind](body))

    def _credential(self, body: Mapping[str, Any]) -> list[str]:
        return rules.credential(body, self._numbered("credential_types", body["credential_type"]))

    def _template(self, body: Mapping[str, Any]) -> list[str]:
        told = {**body, "extra_vars": json.loads(body.get("extra_vars") or "{}")}
        # The survey comes later.
        return rules.job_template({**told, "survey_enabled": False}, self._offered())

    def _offered(self) -> set[str]:
        """Nothing before the project was fetched."""
        return self.playbooks if len(self.fetching) == 1 else set()

    def _schedule(self, body: Mapping[str, Any]) -> list[str]:
        form = self.surveys.get(body["unified_job_template"], {})
        given = body.get("extra_data") or {}
        template = self._numbered("unified_job_templates", body["unified_job_template"])
        wrong = rules.rrule(body["rrule"]) + rules.prompts(template, body)
        return wrong + rules.answers(form, given, open_to_more=False)


def _refuse(wrong: list[str], status: int = 400) -> None:
    if wrong:
        raise Refused(status, *wrong)


def _as_page(found: list[dict[str, Any]]) -> dict[str, Any]:
    return {"count": len(found), "next": None, "results": found}


def _hidden(told: Mapping[str, Any], secret: set[str]) -> dict[str, Any]:
    return {key: rules.HIDDEN if value and key in secret else value for key, value in told.items()}


def _handler(controller: Controller) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body in one packet: the second would wait for the first to be acknowledged.
        wbufsize = -1

        def _do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            token = self.headers.get("Authorization", "")
            try:
                status, told = 200, controller.answer(self.command, self.path, body, token)
            except Refused as refused:
                status, told = refused.status, {"detail": refused.said}
            content = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            if status == 302:
                self.send_header("Location", str(told["detail"][0]))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = _do

        def log_message(self, *_words: Any) -> None:
            """Tests read what the controller keeps."""

    return Handler
