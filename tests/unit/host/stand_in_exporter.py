# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another kind of service: a tiny HTTP process, kept as an exporter beside a server would be.

It is all that a kind consists of: what is asked for, the service, and the launcher's entry.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .engines.client import Client, NotYet
from .machine.processes import Process
from .service import launcher, service
from .service.service import Probe


@dataclass(frozen=True)
class Spec(service.Spec):
    """What is asked of the exporter."""

    port: int

    @property
    def hash(self) -> str:
        return str(self.port)


class Exporter(service.Service[Spec]):
    """One exporter's folder."""

    kind = "exporter"
    title = "stand-in exporter"
    marker = "INFEROPS_EXPORTER"
    launcher = "host.stand_in_exporter"
    spec_type = Spec
    first_check = "answer"

    def command(self, spec: Spec) -> list[str]:
        return [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", str(spec.port)]

    def probe(
        self,
        spec: Spec,
        tree: list[Process],
        quick: bool = False,
        tell: Callable[[str], None] | None = None,
    ) -> Probe:
        try:
            Client("127.0.0.1", spec.port, None).fetch("GET", "/spec.json", seconds=2)
        except NotYet as error:
            return Probe("answer", str(error))
        return Probe(None, "it answers")


def of(home: Path, name: str) -> Any:
    return Exporter(home / "exporters" / name)


if __name__ == "__main__":
    raise SystemExit(launcher.main(Exporter(Path(sys.argv[1]))))
