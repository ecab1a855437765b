# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The phases of each host of a run, and the lines that tell of them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

#: More hosts than this are counted, not named, and share a line.
HOSTS_NAMED = 3
_LONGEST_NAME = 24
_LONGEST_PHASE = 8
_LONGEST_TIME = len("200 s of about 200 s")


def host_list(hosts: list[str]) -> str:
    """`gpu-1, gpu-2, gpu-3 and 22 more`."""
    named = ", ".join(hosts[:HOSTS_NAMED])
    return f"{named} and {len(hosts) - HOSTS_NAMED} more" if hosts[HOSTS_NAMED:] else named


@dataclass
class Phase:
    """What a host is in, since when, and when it last ended a task of it (monotonic seconds)."""

    host: str
    name: str
    began: float
    ended: float = 0.0
    #: Whether anything was done in it: a phase whose tasks were all skipped was none.
    worked: bool = False


@dataclass(frozen=True)
class Done:
    """A phase that is over, with what it was expected to take and what its host has cost by now.

    ``expected_seconds`` is 0 and ``spent_usd`` None where nobody knows.
    """

    host: str
    phase: str
    seconds: float
    expected_seconds: float = 0.0
    spent_usd: float | None = None
    failed: bool = False
    note: str = ""


@dataclass(frozen=True)
class Said:
    """Lines that a task has for people, about a host; about none where one speaks for all."""

    host: str
    lines: tuple[str, ...]


@dataclass
class Timeline:
    """The phase that each host is in. What is over is returned once."""

    now_in: dict[str, Phase] = field(default_factory=dict)

    def enter(self, host: str, phase: str, now: float) -> Phase | None:
        """A host begins a task of *phase*; the phase that this has ended, if any."""
        current = self.now_in.get(host)
        if current is not None and current.name == phase:
            return None
        self.now_in[host] = Phase(host, phase, now)
        return current if current is not None and current.worked else None

    def work(self, host: str, phase: str, now: float) -> None:
        """A host has done a task of *phase*."""
        current = self.now_in.get(host)
        if current is not None and current.name == phase:
            current.ended, current.worked = now, True

    def leave(self, host: str) -> Phase | None:
        """A host goes no further; the phase that this has ended, if any."""
        current = self.now_in.pop(host, None)
        return current if current is not None and current.worked else None


def entry_lines(entries: Iterable[Done | Said], width: int) -> Iterator[tuple[str, bool]]:
    """The lines of *entries*, and whether each tells of a failure.

    Many hosts that tell the same at once share a line. *width* is that of the longest host's name.
    """
    groups: dict[Any, list[Any]] = {}
    for one in entries:
        if isinstance(one, Done):
            key: Any = (one.phase, one.failed, one.note)
        else:
            key = (one.lines, bool(one.host))
        groups.setdefault(key, []).append(one)
    for group in groups.values():
        if isinstance(group[0], Said):
            yield from ((line, False) for line in _said_lines(group))
        elif len(group) <= HOSTS_NAMED:
            yield from ((_done_line([one], width), one.failed) for one in group)
        else:
            yield _done_line(group, width), group[0].failed


def _said_lines(group: list[Said]) -> Iterator[str]:
    # Indented where no host stands before it: text from outside must not look like Ansible's own.
    hosts = list(dict.fromkeys(one.host for one in group))
    first, *more = group[0].lines
    if hosts != [""] and not more:
        yield f"{host_list(hosts)}: {first}"
        return
    if hosts != [""]:
        yield f"{host_list(hosts)}:"
    yield from (f"  {line}" for line in group[0].lines)


def _done_line(group: list[Done], width: int) -> str:
    """gpu-1  boot      62 s of about 75 s  $0.0070"""
    name = host_list([one.host for one in group])
    first = group[0]
    host = f"{name:<{min(width, _LONGEST_NAME)}}"
    took = f"{'failed after ' if first.failed else ''}{_took(group)}"
    phase, time = f"{first.phase:<{_LONGEST_PHASE}}", f"{took:<{_LONGEST_TIME}}"
    cells = (host, phase, time, _cost(group), first.note)
    return "  ".join(filter(None, cells)).rstrip()


def _took(group: list[Done]) -> str:
    least, most = min(one.seconds for one in group), max(one.seconds for one in group)
    expected = max(one.expected_seconds for one in group)
    took = seconds_words(most)
    if seconds_words(least) != took:
        took = f"{seconds_words(least)} to {took}"
    if expected and not group[0].failed:
        took += f" of about {seconds_words(expected)}"
    return took


def _cost(group: list[Done]) -> str:
    known = [one.spent_usd for one in group if one.spent_usd is not None]
    return f"${sum(known):.4f} so far" if known else ""


def seconds_words(seconds: float) -> str:
    """0.4 s, 62 s, 12 min: as fine as people wait."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"


def card_lines(cards: Mapping[str, Card], shown: Mapping[str, list[str]]) -> list[str]:
    """What to do with the hosts that serve now: *shown* is what the play tells of each.

    So many that this would be a book get a line each, and what holds for all of them once.
    """
    if len(cards) <= HOSTS_NAMED:
        return [
            line
            for host, card in cards.items()
            for line in (
                f"{host} serves",
                *(f"  {one}" for one in shown.get(host, ())),
                *(["  Try it:", f"  {card.command}"] if card.command else []),
            )
        ]
    width = max(map(len, cards))
    lines = [f"{len(cards)} hosts serve"]
    lines += [f"  {host:<{width}}  {card.endpoint}  {card.model}" for host, card in cards.items()]
    prices = [card.usd_per_hour for card in cards.values() if card.usd_per_hour is not None]
    first = next(iter(cards.values()))
    tail = [
        *(["Try one:", first.command] if first.command else []),
        f"Cost: {sum(card.spent_usd for card in cards.values()):.4f} dollars so far, "
        f"{sum(prices):.4f} dollars per hour until they are stopped",
        *(one for one in shown.get(next(iter(cards)), ()) if one.startswith(_FOR_ALL)),
    ]
    return [*lines, *(f"  {line}" for line in tail)]


#: What the card of one host says for all that were asked for together.
_FOR_ALL = ("Deadline: ", "Stop it: ")


@dataclass(frozen=True)
class Card:
    """A host that serves, from the report of a deploy."""

    endpoint: str
    model: str
    command: str
    usd_per_hour: float | None
    spent_usd: float


def failure_lines(failures: Mapping[str, list[str]], columns: int) -> list[str]:
    """Why hosts failed and what comes next, for people. Hosts with the same reasons share them.

    Where a task speaks for all hosts, it is under the name "". Nothing that is pasted, such as a
    path, is broken.
    """
    hosts: dict[tuple[str, ...], list[str]] = {}
    for host, reasons in failures.items():
        hosts.setdefault(tuple(reasons), []).append(host)
    return [
        line
        for reasons, named in hosts.items()
        for line in (_heading(named), *_paragraphs(reasons, columns))
    ]


def _heading(hosts: list[str]) -> str:
    return f"{host_list(hosts)} failed" if any(hosts) else "Failed"


def _paragraphs(texts: Iterable[str], columns: int) -> Iterator[str]:
    for text in texts:
        yield from textwrap.wrap(
            text,
            width=max(columns, 40),
            initial_indent="  ",
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
