# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a model server's files lie on the host, and what it is to the service that keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable

from ..engines import registry
from ..engines.engine import Engine
from ..machine.processes import Process
from ..service import layout
from ..service.layout import NAME
from ..service.service import Probe, Service
from . import readiness
from .record import ServerRecord
from .spec import Spec
from .tree import SERVER_MARKER

__all__ = ["NAME", "Layout", "Server"]

QUICK_COMPLETION_SECONDS = 10.0


class Layout(layout.Layout):
    """Where things of model servers lie below the home folder."""

    @property
    def baseline(self) -> Path:
        return self.home / "baseline.json"

    @property
    def port_claims(self) -> Path:
        """Which ports were lately given out, before anything was bound to them."""
        return self.home / "ports.json"

    def server(self, name: str) -> Server:
        return Server(self.home / "servers" / name)

    def servers(self) -> list[Server]:
        """Those that have a folder here, by name."""
        folder = self.home / "servers"
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        return [Server(path) for path in found if path.is_dir() and NAME.fullmatch(path.name)]


class Server(Service[Spec]):
    """One model server's folder."""

    kind = "server"
    title = "inference server"
    marker = SERVER_MARKER
    launcher = "host.server.launcher"
    spec_type = Spec
    record_type = ServerRecord
    first_check = readiness.CHECKS[0]
    shared_memory = tuple(
        prefix for engine in registry.ENGINES.values() for prefix in engine.shared_memory
    )

    @property
    def program(self) -> str:
        """Its plain name, as operators know its unit."""
        return self.name

    @property
    def accepted(self) -> Path:
        """Which command line the engine's parser accepted last."""
        return self.folder / "accepted.json"

    @property
    def asked(self) -> Path:
        """What the last deploy asked of the host as a whole."""
        return self.folder / "asked.json"

    def engine(self) -> Engine:
        """The engine that it runs; the usual one where nobody knows."""
        spec = self.spec()
        return registry.ENGINES[registry.DEFAULT] if spec is None else spec.runs_on

    def command(self, spec: Spec) -> list[str]:
        return spec.command

    def environment_for(self, spec: Spec, own: Mapping[str, str]) -> dict[str, str]:
        return spec.runs_on.environment(
            own, spec.environment, spec.wish, self.temporary, spec.wait_timeout_seconds
        )

    def probe(
        self,
        spec: Spec,
        tree: list[Process],
        quick: bool = False,
        tell: Callable[[str], None] | None = None,
    ) -> Probe:
        seconds = QUICK_COMPLETION_SECONDS if quick else spec.completion_seconds
        seen = spec.ask(tree, seconds, tell)
        return Probe(seen.waiting_for, seen.detail, {"completion": seen.completion})

    def recorded(self, spec: Spec) -> dict[str, Any]:
        return {"port": spec.port, "model": spec.model}
