# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of one model server."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, Callable

from ..engines import registry
from ..engines.engine import Engine, Weights, Wish
from ..machine.processes import Process
from ..service import service
from .readiness import COMPLETION_SECONDS, Readiness, check

SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)(_|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Spec(service.Spec):
    """What is asked for, as it was asked. The engine makes its command line of it at each start.

    `suggested_arguments` apply where `arguments` say nothing of them, and replace no server that
    runs. `completion_seconds` is how long one request for the first completion may take.
    `proxy_port` is kept free for the proxy before it, and replaces no server either.
    """

    python: str
    model: str
    #: Several as a list.
    served_model_name: str | list[str] | None
    host: str
    port: int
    arguments: dict[str, Any]
    extra_args: list[str]
    suggested_arguments: dict[str, Any]
    engine: str = registry.DEFAULT
    wait_timeout_seconds: int = 0
    proxy_port: int | None = None
    completion_seconds: float = COMPLETION_SECONDS

    def __post_init__(self) -> None:
        if self.engine not in registry.ENGINES:
            raise ValueError(f"there is no engine {self.engine!r} in this version")

    @property
    def runs_on(self) -> Engine:
        """The engine that serves it."""
        return registry.ENGINES[self.engine]

    @property
    def wish(self) -> Wish:
        """What its engine is asked for."""
        return Wish(
            python=self.python,
            model=self.model,
            served_model_names=_names(self.served_model_name),
            host=self.host,
            port=self.port,
            arguments={**self.followed_suggestions, **self.arguments},
            extra_args=tuple(self.extra_args),
        )

    @property
    def command(self) -> list[str]:
        return self.runs_on.command(self.wish)

    @property
    def weights(self) -> Weights:
        """Which files of the model its engine takes."""
        return self.runs_on.weights(self.arguments)

    @property
    def followed_suggestions(self) -> dict[str, Any]:
        """Those suggestions of which the arguments say nothing."""
        return {
            name: value
            for name, value in self.suggested_arguments.items()
            if name not in self.arguments
        }

    @property
    def api_key(self) -> str | None:
        """The key that clients must send."""
        return self.environment.get(self.runs_on.key_variable)

    def ask(
        self,
        tree: list[Process],
        completion_seconds: float,
        tell: Callable[[str], None] | None = None,
    ) -> Readiness:
        """Does a server with these processes serve it?"""
        return check(
            self.runs_on,
            tree,
            self.host,
            self.port,
            self.wish.listed_name,
            self.api_key,
            completion_seconds,
            tell,
        )

    @property
    def hash(self) -> str:
        """Changes with everything that a running server is replaced for.

        A number and its text are the same wish, and so are an option that is left out and none.
        """
        asked = {name: _text(value) for name, value in self.arguments.items() if value is not None}
        wanted = [
            *(self.engine, self.python, self.model, self.served_model_name, self.host, self.port),
            *(asked, self.extra_args, self.environment, self.supervisor, self.log_max_mib),
        ]
        content = json.dumps(wanted, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def as_variable(value: Any) -> str:
    """The text of an environment variable: engines read 1 and 0 as what is on and off."""
    return str(int(value)) if isinstance(value, bool) else str(value)


def _names(given: str | list[str] | None) -> tuple[str, ...]:
    return tuple(given) if isinstance(given, list) else (given,) if given else ()


def _text(value: Any) -> Any:
    if isinstance(value, list):
        return [_text(part) for part in value]
    return value if isinstance(value, (bool, dict)) else str(value)


def secret_values(environment: dict[str, str]) -> set[str]:
    """The values that must never be shown: those whose variable is named like a secret."""
    return {value for name, value in environment.items() if value and SECRET_NAME.search(name)}
