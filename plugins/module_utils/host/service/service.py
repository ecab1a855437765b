# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A supervised service: the contract that a kind of service fills in, and what all kinds share.

A kind (the model server, a proxy, an exporter) is a subclass of Service with a specification of its
own and a module that runs its launcher. Launcher, supervisors, records and logs know no more of it
than what stands here.
"""

from __future__ import annotations

import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Callable, ClassVar, Generic, NamedTuple, TypeVar

from ..machine.files import read_json, write_json
from ..machine.processes import Process, boot_id, carrying, host_start
from .layout import Layout
from .records import Record, read
from .tree import LAUNCHER_MARKER, members


@dataclass(frozen=True)
class Spec:
    """What every service is asked for. The environment is kept in a file of its own: it may hold
    secrets.
    """

    name: str
    supervisor: str
    stop_timeout_seconds: float
    log_max_mib: int
    environment: dict[str, str] = field(repr=False)

    @property
    def hash(self) -> str:
        """Changes with everything that a running service is replaced for."""
        raise NotImplementedError


class Probe(NamedTuple):
    """What a look at a service says: `waiting_for` is the check that fails, None when it serves.

    `proof` are fields of the record that say what was seen.
    """

    waiting_for: str | None
    detail: str
    proof: Mapping[str, Any] = {}


AnySpec = TypeVar("AnySpec", bound=Spec)


@dataclass(frozen=True)
class Service(ABC, Generic[AnySpec]):
    """One service's folder. Its path is the service's id, so the id outlives every record."""

    folder: Path

    kind: ClassVar[str]
    """One word. Its folders lie together below the home folder, in one named by its plural."""
    title: ClassVar[str]
    """What it is, for a person who reads a unit file."""
    marker: ClassVar[str]
    """Environment variable of every process of a service of this kind; its value is the id."""
    launcher: ClassVar[str]
    """The module, below the package, that runs `launcher.main` for this kind."""
    spec_type: ClassVar[type[Spec]]
    record_type: ClassVar[type[Record]] = Record
    first_check: ClassVar[str | None] = None
    """What a start waits for first."""
    shared_memory: ClassVar[tuple[str, ...]] = ()
    """How the names begin of what it leaves in shared memory, beside those that all know."""
    gives_up: ClassVar[bool] = True
    """Whether it stays down once it never served or ended too often. What needs another machine to
    be there is started again for ever."""
    longest_pause_seconds: ClassVar[float] = 60.0
    """How long it is waited at most before it is started again."""
    most_start_seconds: ClassVar[float | None] = None
    """After how long without having served it is ended, to be started again; None where whoever
    asked for it decides that."""

    # --- what a kind says; the launcher on the host asks for it at every start ---

    @abstractmethod
    def command(self, spec: AnySpec) -> list[str]:
        """What is run. Raises ValueError for what cannot be."""

    def environment_for(self, spec: AnySpec, own: Mapping[str, str]) -> dict[str, str]:
        """The variables that it is run with, from the launcher's own and what was asked for."""
        return {**own, **spec.environment}

    def probe(
        self,
        spec: AnySpec,
        tree: list[Process],
        quick: bool = False,
        tell: Callable[[str], None] | None = None,
    ) -> Probe:
        """Does it serve? A kind without a check of its own serves as soon as it runs.

        `tree` are its living processes. A `quick` look may not take long. `tell` gets the name of
        each check before its answer is waited for.
        """
        return Probe(None, "it runs")

    # --- what all kinds share ---

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def description(self) -> str:
        """What it is and which one, for a person who reads a unit file."""
        return f"{self.title} {self.name}"

    @property
    def id(self) -> str:
        return str(self.folder)

    @property
    def layout(self) -> Layout:
        return Layout(self.folder.parent.parent)

    @property
    def program(self) -> str:
        """Its name beside those of all kinds. A name has no dot, so no two are the same."""
        return f"{self.kind}.{self.name}"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.kind}.log"

    @property
    def launcher_log(self) -> Path:
        return self.folder / "launcher.log"

    @property
    def lock(self) -> Path:
        """Held by whoever starts or stops the service; beside the folders of the services."""
        return self.layout.locks / self.program

    @property
    def record_path(self) -> Path:
        return self.folder / "record.json"

    @property
    def temporary(self) -> Path:
        """The service's own TMPDIR: what is left there goes with it."""
        return self.folder / "tmp"

    def clear_temporary(self) -> None:
        """Once no process of the service lives."""
        shutil.rmtree(self.temporary, ignore_errors=True)

    def record(self) -> Any:
        """The record of the kind's own shape, or None."""
        return read(self.record_path, self.record_type)

    def new_record(self, spec: AnySpec | None) -> Any:
        """Of a service that was just asked for, nothing runs yet; or of which nothing is known."""
        if spec is None:
            return self.record_type(name=self.name, service_id=self.id)
        return self.record_type(
            name=self.name,
            service_id=self.id,
            spec_hash=spec.hash,
            supervisor=spec.supervisor,
            boot_id=boot_id(),
            host_start=host_start(),
            started_at=time.time(),
            **self.recorded(spec),
        )

    def recorded(self, spec: AnySpec) -> dict[str, Any]:
        """What the kind's record repeats of the specification."""
        return {}

    def processes(self) -> list[Process]:
        """Every living process of the service, the launcher not counted."""
        record = self.record()
        return members(self.marker, self.id, record.identity if record else None)

    def launchers(self) -> list[Process]:
        return carrying(LAUNCHER_MARKER, self.id)

    def environment(self) -> dict[str, str]:
        """What the service was given; empty when it was never started here."""
        content = read_json(self.folder / "environment.json") or {}
        return {str(key): str(value) for key, value in content.items()}

    def spec(self) -> Any:
        """The specification last written, or None when missing or damaged.

        What a later version wrote beside what is known here is left out.
        """
        content = read_json(self.folder / "spec.json")
        if content is None:
            return None
        known = {each.name for each in fields(self.spec_type)} - {"environment"}
        asked = {key: value for key, value in content.items() if key in known}
        try:
            return self.spec_type(**asked, environment=self.environment())
        except (TypeError, ValueError):
            return None

    def write_spec(self, spec: AnySpec) -> None:
        content: dict[str, Any] = asdict(spec)
        write_json(self.folder / "environment.json", content.pop("environment"))
        write_json(self.folder / "spec.json", content)
