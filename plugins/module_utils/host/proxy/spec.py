# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of one proxy: no secret is in it."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from dataclasses import dataclass
from typing import Any

from ...common import proxy_options
from ...common.proxy_routes import Route
from ...common.proxy_routes import of as routes_of
from ...common.server_words import SERVER_NAME
from ..engines import registry
from ..engines.engine import Engine
from ..service import service

#: HAProxy's own words end at blanks and quotes, and the kernel takes 107 bytes.
_SOCKET = re.compile(r"/[A-Za-z0-9._/@:+,=~-]{1,106}")
_CERTIFICATE = re.compile(r"/[^'\x00-\x1f\x7f]+")


@dataclass(frozen=True)
class Listener:
    """Where clients reach it. With a certificate (a PEM file with its key) they speak TLS."""

    address: str
    port: int
    certificate: str | None = None

    def __post_init__(self) -> None:
        ipaddress.ip_address(self.address)
        _check_port(self.port)
        if self.certificate is not None and not _CERTIFICATE.fullmatch(self.certificate):
            raise ValueError(f"certificate: {self.certificate!r} is no absolute path")


@dataclass(frozen=True)
class Upstream:
    """An engine behind the proxy, at a port or at a Unix socket. One whose kind of `engine` is
    known is watched for progress.
    """

    name: str
    address: str = "127.0.0.1"
    port: int | None = None
    socket: str | None = None
    engine: str | None = None
    fallback: bool = False
    max_connections: int = 1024

    def __post_init__(self) -> None:
        ipaddress.ip_address(self.address)
        if (self.port is None) == (self.socket is None):
            raise ValueError(f"server {self.name}: it has one of port and socket")
        if self.port is not None:
            _check_port(self.port)
        if self.socket is not None and not _SOCKET.fullmatch(self.socket):
            raise ValueError(f"socket: {self.socket!r} is no short absolute path of a socket")
        if not SERVER_NAME.fullmatch(self.name):
            raise ValueError(f"name: {self.name!r} may hold only letters, digits, ., - and _")
        if self.engine is not None and self.engine not in registry.ENGINES:
            raise ValueError(f"there is no engine {self.engine!r} in this version")
        if self.max_connections < 1:
            raise ValueError(f"max_connections: {self.max_connections} is less than 1")

    @property
    def watched(self) -> Engine | None:
        return None if self.engine is None else registry.ENGINES[self.engine]


@dataclass(frozen=True)
class Spec(service.Spec):
    """`sends_key` says whether its engines are sent a key of its own, which is not in here.

    `max_body_kib` bounds the bodies that may have to be sent a second time. An engine that gives no
    answer for `silence_seconds`, or has requests and no token for `stalled_seconds`, gets no new
    requests where another one can take them; after `hung_seconds` those that wait for it end.
    """

    executable: str
    listeners: list[dict[str, Any]]
    upstreams: list[dict[str, Any]]
    routes: list[dict[str, Any]]
    sends_key: bool
    agent_port: int
    max_body_kib: int = proxy_options.DEFAULTS["max_body_kib"]
    silence_seconds: float = proxy_options.DEFAULTS["silence_seconds"]
    stalled_seconds: float = proxy_options.DEFAULTS["stalled_seconds"]
    hung_seconds: float = proxy_options.DEFAULTS["hung_seconds"]

    def __post_init__(self) -> None:
        """Raises ValueError for what no proxy could be."""
        if not self.listens or not self.engines:
            raise ValueError("it needs at least one listener and one server")
        _check_unlike("listeners", [(each.address, each.port) for each in self.listens])
        _check_unlike("servers", [each.name for each in self.engines])
        if all(each.fallback for each in self.engines):
            raise ValueError("servers: one of them must be no fallback")
        _check_port(self.agent_port)
        proxy_options.check(**{name: getattr(self, name) for name in proxy_options.DEFAULTS})

    @property
    def listens(self) -> tuple[Listener, ...]:
        return tuple(Listener(**each) for each in self.listeners)

    @property
    def engines(self) -> tuple[Upstream, ...]:
        """Those behind it, in the order in which they are taken: every fallback last."""
        found = (Upstream(**each) for each in self.upstreams)
        return tuple(sorted(found, key=lambda each: each.fallback))

    @property
    def allowed(self) -> tuple[Route, ...]:
        return routes_of(self.routes)

    def hung_after_seconds(self, engine: Upstream) -> float:
        """One step of some engines takes longer, and nothing is told of it meanwhile."""
        return max(self.hung_seconds, engine.watched.step_seconds if engine.watched else 0)

    @property
    def hash(self) -> str:
        """Only what HAProxy cannot take over while it runs replaces it: the rest is reloaded."""
        return _digest([self.executable, self.supervisor, self.environment])


def _check_port(port: int) -> None:
    if not 0 < port < 65536:
        raise ValueError(f"port: {port} is not between 1 and 65535")


def _check_unlike(what: str, found: list[Any]) -> None:
    twice = sorted({str(each) for each in found if found.count(each) > 1})
    if twice:
        raise ValueError(f"{what}: {', '.join(twice)} is there twice")


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
