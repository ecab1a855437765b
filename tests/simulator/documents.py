# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every call of a dialogue, held against the provider's own OpenAPI document.

The documents are ``<name>-api.json`` beside this file: names and types of the calls that are made
here, without a word of their text.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema

from tests.simulator.app import Simulator
from tests.simulator.web import Reply, Request

#: What comes before the paths of a document.
PREFIXES = {"shadeform": "/v1"}
#: Paths of before, which a provider's own clients still have.
RENAMED = {"/v1/sshkeys": "/v1/ssh-keys"}
#: What a refusal looks like, where a document does not say, or says something else than is sent.
REFUSALS: dict[str, dict[str, Any]] = {
    "shadeform": {"anyOf": [{"required": ["error_code"]}, {"required": ["message"]}]},
    "verda": {"$ref": "#/components/schemas/Error"},
}
#: Whose documents leave refusals out.
TELL_SUCCESS_ALONE = ("prime",)
#: Whose schemas name every field that there is without saying that there are no more.
CLOSED_BODIES = ("shadeform",)


class Undocumented(Exception):
    """A call that the document has not."""


class Document:
    """The OpenAPI document of one provider, as far as it is kept here."""

    def __init__(self, provider: str) -> None:
        self.provider = provider
        file = Path(__file__).with_name(f"{provider}-api.json")
        self.content: dict[str, Any] = json.loads(file.read_text())

    @staticmethod
    def exists(provider: str) -> bool:
        """Whether one is kept for this provider; Vast.ai publishes none that is complete."""
        return Path(__file__).with_name(f"{provider}-api.json").exists()

    def calls(self) -> set[str]:
        """Every call that it has, such as ``GET /v2/pods``."""
        paths = self.content["paths"].items()
        return {f"{method.upper()} {path}" for path, methods in paths for method in methods}

    def valid(self, value: Any, schema: dict[str, Any]) -> None:
        """Raise jsonschema.ValidationError for what is not of this schema."""
        whole = {**schema, "components": self.content["components"]}
        jsonschema.Draft202012Validator(whole).validate(value)

    def look_up(self, part: dict[str, Any]) -> dict[str, Any]:
        """What a reference leads to."""
        if "$ref" not in part:
            return part
        found: Any = self.content
        for name in part["$ref"].split("/")[1:]:
            found = found[name]
        return dict(found)

    def path(self, request: Request) -> str:
        """The path that a request is for; one without a place for an id comes first."""
        asked = request.path.removeprefix(PREFIXES.get(self.provider, ""))
        for before, now in RENAMED.items():
            asked = re.sub(f"^{before}(?=/|$)", now, asked)
        fitting = [
            one
            for one in self.content["paths"]
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", one), asked)
        ]
        path = min(fitting, key=lambda one: one.count("{"), default="")
        if request.method.lower() not in self.content["paths"].get(path, ()):
            raise Undocumented(f"{request.method} {request.path}")
        return path

    def check(self, request: Request, reply: Reply, ours: bool = True) -> str:
        """Hold one request and its answer against it; return the call.

        What our own client sends is valid, unless it is refused by 422. What others send must be
        valid where it is taken. Raises Undocumented, AssertionError or jsonschema.ValidationError.
        """
        path = self.path(request)
        call = self.content["paths"][path][request.method.lower()]
        told = {self.look_up(one)["name"] for one in call.get("parameters", ())}
        assert set(request.query) <= told, f"unknown parameters in {request.query}"
        if reply.status < 400 or (ours and reply.status != 422):
            self.check_body(request, call, ours)
        self.check_reply(reply, call["responses"])
        return f"{request.method} {path}"

    def check_body(self, request: Request, call: dict[str, Any], ours: bool) -> None:
        """What is sent along. What others send as null they do not tell."""
        if "requestBody" not in call:
            assert request.body in (b"", b"{}"), f"a body that no document has: {request.body!r}"
            return
        (content,) = call["requestBody"]["content"].values()
        body = request.json() if ours else without_nulls(request.json())
        self.valid(body, content["schema"])
        if self.provider in CLOSED_BODIES:
            unknown = set(body) - set(self.look_up(content["schema"])["properties"])
            assert not unknown, f"unknown fields {unknown}"

    def check_reply(self, reply: Reply, responses: dict[str, Any]) -> None:
        """What is answered; an id may come as bare text, whatever a document says of its type."""
        if reply.status >= 400 and self.provider in REFUSALS:
            self.valid(json.loads(reply.body), REFUSALS[self.provider])
            return
        told = responses.get(str(reply.status), responses.get("default"))
        if told is None and (reply.status >= 500 or self.provider in TELL_SUCCESS_ALONE):
            return
        assert told is not None, f"status {reply.status}, which the document has not"
        content = self.look_up(told).get("content")
        if not content and reply.status >= 400 and self.provider in TELL_SUCCESS_ALONE:
            return
        if not content:
            assert not reply.body, f"an answer where the document has none: {reply.body!r}"
        elif "json" in (kind := reply.headers["Content-Type"]):
            self.valid(json.loads(reply.body), content[kind]["schema"])
        else:
            (only,) = content.values()
            self.valid(reply.body.decode(), only["schema"])


def without_nulls(value: Any) -> Any:
    """A body without the fields that are null."""
    if isinstance(value, dict):
        return {key: without_nulls(one) for key, one in value.items() if one is not None}
    return [without_nulls(one) for one in value] if isinstance(value, list) else value


@dataclass
class Wire:
    """Listens to all that a simulator is asked from now on, and holds it against the document.

    ``ours`` tells that our own client asks. ``seen`` are the calls with their statuses,
    ``problems`` what was not as the document has it, and ``undocumented`` the calls that it has
    not.
    """

    simulator: Simulator
    document: Document
    ours: bool = True
    seen: list[tuple[str, int]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    undocumented: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        answer = self.simulator.api.answer

        def watched(request: Request, traits: Any, from_host: bool) -> Reply:
            reply = answer(request, traits, from_host)
            self.check(request, reply)
            return reply

        self.simulator.api.answer = watched  # type: ignore[method-assign]

    def check(self, request: Request, reply: Reply) -> None:
        """One request and its answer; where a path is with a slash at its end is in no document."""
        if reply.status == 307:
            return
        try:
            self.seen.append((self.document.check(request, reply, self.ours), reply.status))
        except Undocumented as call:
            self.undocumented.add(str(call))
        except (AssertionError, jsonschema.ValidationError, KeyError, ValueError) as problem:
            where = f"{request.method} {request.path} ({reply.status})"
            self.problems.append(f"{where}: {str(problem).splitlines()[0]}")
