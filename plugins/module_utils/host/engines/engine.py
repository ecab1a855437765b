# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An inference engine: the contract between what serves a model and all that runs it on a host.

Everything here is called on the host. The module asks before a start what would be run and whether
it would be accepted; the launcher makes the command line and the environment at each start; whoever
looks reads the log and asks the server. No engine is told apart anywhere else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from .client import Client
from .generator import Generator


@dataclass(frozen=True)
class Wish:
    """What an engine is asked to serve, and how. `arguments` keep the types that they came with,
    their names are written with `_` up to a dot; null leaves an option out, false turns it off.
    """

    python: str
    model: str
    served_model_names: tuple[str, ...]
    host: str
    port: int
    arguments: Mapping[str, Any]
    extra_args: tuple[str, ...] = ()

    @property
    def listed_name(self) -> str:
        """The first name under which clients ask for the model."""
        return next(iter(self.served_model_names), self.model)


class Verdict(NamedTuple):
    """`refusal` is the engine's own message with what may have been meant, None if there is none.
    `note` says how that is known."""

    refusal: str | None
    note: str


class Sample(NamedTuple):
    """One reading of a server's figures; None stands for what this version does not publish."""

    requests_running: float | None = None
    requests_waiting: float | None = None
    kv_cache_usage: float | None = None
    prompt_tokens: float | None = None
    generation_tokens: float | None = None
    preemptions: float | None = None
    steps: float | None = None
    first_tokens: float | None = None
    first_token_seconds: float | None = None

    @property
    def pending(self) -> float:
        """Requests that wait for tokens."""
        return (self.requests_running or 0) + (self.requests_waiting or 0)

    @property
    def progress(self) -> float:
        """What grows while it works: tokens read and written since the server started, and the
        steps of an engine that counts them only when a request has ended."""
        return (self.prompt_tokens or 0) + (self.generation_tokens or 0) + (self.steps or 0)


class Weights(NamedTuple):
    """Which files of the model are taken: of which revision, from which folder of the hub's client.
    None where the arguments leave it open."""

    revision: str | None = None
    folder: str | None = None


class Engine(ABC):
    """What the rest of the collection knows of an engine."""

    name: ClassVar[str]
    """As option `engine` names it, and the specification on the host."""
    title: ClassVar[str]
    """As a person calls it."""
    key_variable: ClassVar[str]
    """The environment variable that holds the key which clients must send."""
    shared_memory: ClassVar[tuple[str, ...]] = ()
    """How the names begin of what it leaves in shared memory, beside those of its libraries."""
    compilers: ClassVar[tuple[str, ...]] = ()
    """The packages whose versions decide what it compiles."""
    not_carried: ClassVar[frozenset[str]] = frozenset()
    """The names of files and folders in those of `compiled` that stay on their host."""
    step_seconds: ClassVar[float] = 0
    """How long one step may take in which it gives no figures and ends no request: what is silent
    for longer hangs."""
    parts: ClassVar[tuple[str, ...]] = ()
    """What roles install and prove of it, each with a receipt; the last one needs the others."""

    @abstractmethod
    def command(self, wish: Wish) -> list[str]:
        """The command line. Module and launcher. Raises ValueError naming a bad argument."""

    def by_name(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments of which each has one name, however it was written. Module."""
        heads = {key: key.strip("-").partition(".") for key in arguments}
        return {
            head.replace("-", "_") + dot + path: arguments[key]
            for key, (head, dot, path) in heads.items()
        }

    def weights(self, arguments: Mapping[str, Any]) -> Weights:
        """Where these arguments, by their one names, let it look for its model. Modules."""
        return Weights()

    @abstractmethod
    def environment(
        self,
        own: Mapping[str, str],
        asked: Mapping[str, str],
        wish: Wish,
        temporary: Path,
        start_seconds: int,
    ) -> dict[str, str]:
        """The variables of the server. Launcher, before each start.

        `own` are the launcher's, `asked` those of the specification; `temporary` may be made and
        used as TMPDIR; the start as a whole may take `start_seconds`, 0 when that is not known.
        """

    @abstractmethod
    def check_options(
        self, wish: Wish, environment: Mapping[str, str], memory: Path, keep: bool
    ) -> Verdict:
        """Would the installed engine accept this? Module, while the old server still serves.

        `memory` is a file for what was accepted before; it is written where `keep` allows.
        """

    @abstractmethod
    def progress(self, log: str) -> str:
        """How far a start has come, for a person, from the end of its log. Whoever looks."""

    @abstractmethod
    def ask(self, check: str, client: Client, name: str, seconds: float) -> str:
        """One check of `health`, `model` and `completion`. Launcher, module and whoever looks.

        Returns the text that the model wrote for `completion`; raises NotYet when it did not pass.
        """

    @abstractmethod
    def sample(self, client: Client, seconds: float) -> Sample:
        """Its figures now; raises NotYet, and Busy where it works on a step and gives none.
        Whoever looks at its health."""

    def generator(self, wish: Wish) -> Generator | None:
        """What sends load to a server of this wish; None where the engine brings nothing for that.
        Module benchmark."""
        return None

    @abstractmethod
    def compiled(self, environment: Mapping[str, str]) -> dict[str, Path]:
        """Folders of what it compiles, there or not, by names that are the same on every host.

        The next start fills them again. One that has started has something in the first. Modules
        compiled_cache and server_cleanup.
        """

    @abstractmethod
    def deciding(self, wish: Wish, environment: Mapping[str, str]) -> dict[str, Any]:
        """What of a wish and its variables may change what is compiled. Module compiled_cache."""
