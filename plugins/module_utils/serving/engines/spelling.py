# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an engine spells what a remedy wants of it.

A remedy names an intent, such as `memory_share`; an engine's spelling makes options and variables
of it, and finds in the engine's log what would have fitted. What an engine cannot do has no word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from re import Pattern
from typing import Any, NamedTuple


class PlanImpossible(ValueError):
    """A host that no build of an engine suits; the text says why and what to change."""


class Change(NamedTuple):
    """What changes for the server; null leaves an option or a variable out."""

    arguments: dict[str, Any]
    environment: dict[str, Any]


class Spelling(NamedTuple):
    """One engine's words for intents.

    options: the option that takes the intent's value as it is, by intent.
    variables: the environment variable that takes it, as text, by intent.
    values: values that the engine calls otherwise, by intent and value.
    usual: what the engine takes for an intent when nothing is said.
    fitting_context: what it logs about the longest context that would have fitted.
    asked_context: what it logs about the context that was asked for.
    fitting_requests: what it logs about the most requests at once that would have fitted.
    asked_rank: what it logs about the rank of an adapter that was too high.
    asked_step: what it logs about the tokens that one step would have had to hold.
    proof: a program that fails unless its packages are whole; none where no lock installs them.
    tables: whether the tables of serving are about it: what memory it takes, which release has
        which option. Where they are not, nothing is computed and no option is refused by them.
    complaints: what it does not take of arguments and words, where that does not depend on its
        release; what the tables know, they refuse.
    refusals: why it cannot serve a play with these variables, by their names, one sentence each.
    asked: what arguments and words ask for, by the engine's own names; of those that are none,
        raises ValueError.
    roles: what installs it, in order; the last one's tasks `whole` do all that is left.
    weights_format: what it loads of a model that is there in several formats.
    plan: which build of it a host gets, from the host and the accelerator; raises PlanImpossible.
        None where the tables of releases say it.
    """

    options: Mapping[str, str] = {}
    variables: Mapping[str, str] = {}
    values: Mapping[tuple[str, Any], Any] = {}
    usual: Mapping[str, float] = {}
    fitting_context: tuple[Pattern[str], ...] = ()
    asked_context: tuple[Pattern[str], ...] = ()
    fitting_requests: tuple[Pattern[str], ...] = ()
    asked_rank: tuple[Pattern[str], ...] = ()
    asked_step: tuple[Pattern[str], ...] = ()
    proof: str = ""
    tables: bool = False
    complaints: Callable[..., Iterable[str]] | None = None
    refusals: Callable[[Mapping[str, Any]], Iterable[str]] | None = None
    asked: Callable[..., Mapping[str, Any]] | None = None
    roles: tuple[str, ...] = ()
    weights_format: str = "safetensors"
    plan: Callable[..., dict[str, Any]] | None = None

    def knows(self, intents: Mapping[str, Any]) -> bool:
        """Whether the engine can do all of this."""
        return set(intents) <= set(self.options) | set(self.variables)

    def intent(self, word: str) -> str:
        """What the engine's option or variable of this name is for; the name, where none says."""
        own = {name: intent for intent, name in {**self.variables, **self.options}.items()}
        return own.get(word, word)

    def spell(self, intents: Mapping[str, Any]) -> Change:
        """The options and variables for these intents."""
        change = Change({}, {})
        for intent, wanted in intents.items():
            value = self.values.get((intent, wanted), wanted)
            if intent in self.options:
                change.arguments[self.options[intent]] = value
            if intent in self.variables:
                change.environment[self.variables[intent]] = None if value is None else str(value)
        return change

    def number(self, arguments: Mapping[str, Any], intent: str, default: float = 0) -> float:
        """An argument of a server as a number; `32k` and `auto` are none."""
        try:
            return float(arguments[self.options[intent]])
        except (KeyError, TypeError, ValueError):
            return self.usual.get(intent, default)
