# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine that shares nothing with vLLM: command, key, routes, figures and log are its own.

With `pytest --engine stand_in` the tests of the host side run on it. It is put beside the engines
of the collection as one that a contributor adds is: a module, and a line in the registry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .client import Client, NotYet
from .engine import Engine, Sample, Verdict, Weights, Wish


class StandIn(Engine):
    """Its server is fake_stand_in.py."""

    name = "stand_in"
    title = "the stand-in"
    key_variable = "STAND_IN_KEY"
    shared_memory = ("standin",)

    def command(self, wish: Wish) -> list[str]:
        command = [wish.python, "serve", wish.model, "--bind", f"{wish.host}:{wish.port}"]
        command += ["--called", wish.listed_name]
        for key, value in sorted(wish.arguments.items()):
            if not re.fullmatch(r"[a-z_]+", key):
                raise ValueError(f"arguments: {key!r} is not the name of an engine option.")
            if value is not None and value is not False:
                command += ["--set", f"{key}={json.dumps(value)}"]
        return [*command, *wish.extra_args]

    def weights(self, arguments: Mapping[str, Any]) -> Weights:
        return Weights(arguments.get("edition"), arguments.get("shelf"))

    def environment(
        self,
        own: Mapping[str, str],
        asked: Mapping[str, str],
        wish: Wish,
        temporary: Path,
        start_seconds: int,
    ) -> dict[str, str]:
        temporary.mkdir(mode=0o700, exist_ok=True)
        return {**own, "TMPDIR": str(temporary), **asked}

    def check_options(
        self, wish: Wish, environment: Mapping[str, str], memory: Path, keep: bool
    ) -> Verdict:
        unknown = [key for key in wish.arguments if key.startswith("unknown")]
        return Verdict(f"unknown: {unknown}" if unknown else None, "accepted by the stand-in")

    def progress(self, log: str) -> str:
        found = re.findall(r"^stage: (.+)$", log, re.MULTILINE)
        return str(found[-1]) if found else "warming up"

    def ask(self, check: str, client: Client, name: str, seconds: float) -> str:
        if check == "health":
            client.call("GET", "/ready", seconds=seconds)
        elif check == "model":
            called = _field(client.call("GET", "/info", seconds=seconds), "called")
            if called != name:
                raise NotYet(f"model {name!r} is not listed, only {called!r}")
        else:
            answer = client.call("POST", "/generate", {"prompt": "Once"}, seconds)
            text = _field(answer, "text")
            if not text:
                raise NotYet("the completion is empty")
            return text
        return ""

    def sample(self, client: Client, seconds: float) -> Sample:
        figures = client.call("GET", "/stats", seconds=seconds)
        return Sample(requests_running=figures["busy"], generation_tokens=figures["written"])

    def compiled(self, environment: Mapping[str, str]) -> dict[str, Path]:
        return {}

    def deciding(self, wish: Wish, environment: Mapping[str, str]) -> dict[str, Any]:
        return dict(wish.arguments)


def _field(answer: Any, name: str) -> str:
    try:
        return str(answer[name])
    except (KeyError, TypeError) as error:
        raise NotYet(f"there is no {name} in {answer!r}") from error
