# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of an engine before it runs: its builds, its options, the memory that it takes.

The controller asks here, by the engine's name, before anything is rented or started. An engine's
folder answers for what it knows; of the rest nothing is known, so nothing is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

USUAL_CONNECTIONS = 1024
"""Where nobody says how many requests an engine works on at once: as many as large defaults."""

BY_DEFAULT = "by default"


class PlanImpossible(ValueError):
    """A host that no build of an engine suits; the text says why and what to change."""


class Admission(NamedTuple):
    """How many requests a proxy may send at once; `arguments` are options that bound what the
    engine holds, none where it has none for this."""

    max_connections: int
    arguments: dict[str, int]


class Judged(NamedTuple):
    """What is wrong with variables of a play, which the sentences name, and what makes it unsure;
    "" where nothing does."""

    complaints: tuple[str, ...] = ()
    doubt: str = ""


@dataclass(frozen=True)
class Wish:
    """What is asked of the server whose model has to fit."""

    engine: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    extra_args: Sequence[str] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    accelerator: str = "cuda"
    #: The content of the model's config.json, used where the host does not have it.
    model_config: Mapping[str, Any] | str = ""
    #: The plan of the stack that will run; empty when it is not known.
    stack: Mapping[str, Any] = field(default_factory=dict)


class Knowledge:
    """Of an engine that nothing is known of beside its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def plan(
        self, host: Mapping[str, Any], accelerator: str, release: str = "auto", least: str = ""
    ) -> dict[str, Any]:
        """The build for a host, as far as that is known of, in the shape of filter engine_plan.

        *release* is `auto` for the usual one; *least* is the oldest that will do, "" for any.
        Raises PlanImpossible.
        """
        return {
            "accelerator": accelerator,
            "release": "",
            "requirements": [],
            "image": "",
            "environment": {},
            "least_driver": "",
            "download_gib": 0.0,
            "installed_gib": 0.0,
            "why": f"nothing is known of builds of engine {self.name}",
        }

    def image_release(
        self, host: Mapping[str, Any], asked: Mapping[str, str]
    ) -> tuple[str, str] | None:
        """The release and the CUDA of its build that a host would get, such as 0.32.0 and 13.0.

        *asked* has ``accelerator``, ``release`` and ``least_release``. None where nobody knows.
        """
        return None

    def least_release(
        self, config: Mapping[str, Any], arguments: Mapping[str, Any] | None = None
    ) -> str:
        """The oldest release that knows the model of this config.json; "" where nobody knows."""
        return ""

    def unknown_options(
        self, arguments: Mapping[str, Any], extra_args: Sequence[str], may_run: Sequence[str]
    ) -> list[str]:
        """What is wrong with these, a sentence each, whichever of the releases runs."""
        return []

    def judged(self, values: Mapping[str, Any]) -> Judged:
        """The same, and whatever else no host could serve, of the variables of a play before any
        release is chosen."""
        return Judged()

    def fit(
        self,
        config: Mapping[str, Any] | str,
        arguments: Mapping[str, Any] | None = None,
        **known: Any,
    ) -> dict[str, Any]:
        """How much memory a model takes; filter model_fit documents it. Raises ValueError for what
        is no option."""
        return uncomputed(self._of_memory())

    def fit_on(self, look: Mapping[str, Any], wish: Wish) -> dict[str, Any]:
        """Whether it fits on a host that module host_look has seen. Raises ValueError."""
        return unknown(self._of_memory())

    def reading(self, look: Mapping[str, Any], wish: Wish) -> dict[str, Any]:
        """How it reads the weights of such a host: `arguments` that are set, `how` and `why`."""
        return read(BY_DEFAULT, f"nothing is known of engine {self.name}")

    def reading_foreseen(self, weights_gib: float, ram_gib: float, wish: Wish) -> dict[str, Any]:
        """The same for an offer; 0 is for what is not known."""
        return self.reading({}, wish)

    def admission(
        self,
        arguments: Mapping[str, Any],
        extra_args: Sequence[str],
        stack: Mapping[str, Any],
    ) -> Admission:
        """How much a proxy may send to one that this plan of a stack has. Raises ValueError naming
        an option that is none."""
        return Admission(USUAL_CONNECTIONS, {})

    def _of_memory(self) -> str:
        return f"the memory that engine {self.name} takes is not computed"


def unknown(why: str) -> dict[str, Any]:
    """The answer on a host where it cannot be computed."""
    return {"fits": "unknown", "why": why, "arguments": {}}


def uncomputed(why: str, compiles: bool = True) -> dict[str, Any]:
    """The answer without a host where it cannot be computed."""
    sizes = {"vram_gib": 0, "least_vram_gib": 0}
    return {**unknown(why), "refusal": "", **sizes, "compiles": compiles}


def read(how: str, why: str, arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """How weights are read."""
    return {"how": how, "why": why, "arguments": dict(arguments or {})}


def read_line(reading: Mapping[str, Any]) -> str:
    """How weights are read, for people."""
    return f"weights are read {reading['how']}: {reading['why']}"
