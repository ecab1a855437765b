# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers that want to be more than data: no field of any provider's leads anywhere.

Whatever stands in one field, an offer is as it was or left out, and a rental is as it was or
unreadable, or the whole answer proves nothing. Nothing that bills is hidden.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import MarketError
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import (
    UNREADABLE,
    Offer,
    Rental,
)
from tests.unit.market.conformance.subjects import Simulated, Subject
from tests.unit.market.conformance.test_clauses import READS, cheapest, order

#: What is an option of ssh, a path and no number; and what adds a line to a file of host keys.
COMMAND, LINE = "-oProxyCommand=id/../../x", "203.0.113.9\n* ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA"
#: How many offers there are: one field after the other is asked for again.
OFFERS = 4
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:-]*")

Path = tuple[Any, ...]


class Reading:
    """One call of a provider, as it is answered, and asked again with one field changed."""

    def __init__(self, subject: Simulated, call: str, rental_id: str) -> None:
        self._subject, self._call, self._id = subject, call, rental_id
        self.answers: list[Any] = []
        with subject.tampered(self._noted):
            self.told = self._ask()

    def _noted(self, answer: Any) -> Any:
        self.answers.append(answer)
        return answer

    def _ask(self) -> Any:
        return READS[self._call](self._subject.provider(), self._id)

    def changed(self, path: Path, value: Any) -> Any:
        """What is told when a field is this; None where it is an error."""
        seen = iter(range(99))

        def change(answer: Any) -> Any:
            return put(answer, path[1:], value) if next(seen) == path[0] else answer

        try:
            with self._subject.tampered(change):
                return self._ask()
        except MarketError:
            return None

    def spares_others(self, path: Path) -> bool:
        """Whether something is told without all of the row, or the part, that a field is in."""
        return any(self.changed(path[:end], None) for end in range(2, len(path)))

    def fields(self) -> Iterator[tuple[Path, Any]]:
        """Every field with its value; of rows that are alike, those of one that matters."""
        for number, answer in enumerate(self.answers):
            yield from self._below(answer, (number,))

    def _below(self, node: Any, path: Path) -> Iterator[tuple[Path, Any]]:
        inside = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in [self._one_of(node, path)] if is_rows(node) else inside:
            if isinstance(value, (dict, list)):
                yield from self._below(value, (*path, key))
            else:
                yield (*path, key), value

    def _one_of(self, rows: Any, path: Path) -> tuple[Any, Any]:
        keys = list(rows) if isinstance(rows, dict) else list(range(len(rows)))
        matters = (key for key in keys if self.changed((*path, key), None) != self.told)
        key = next(matters, keys[0])
        return key, rows[key]


def is_rows(node: Any) -> bool:
    """Whether this is many of the same, by a number or by a name."""
    rows = list(node.values()) if isinstance(node, dict) else node
    return len(rows) > 1 and all(isinstance(row, dict) and {*row} == {*rows[0]} for row in rows)


def put(node: Any, path: Path, value: Any) -> Any:
    """A copy with another value there, where there is such a place."""
    changed = at = copy.deepcopy(node)
    try:
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value
    except (LookupError, TypeError):
        return node
    return changed


def hostile(value: Any) -> Iterator[Any]:
    """What somebody could write there."""
    yield COMMAND
    if isinstance(value, bool):
        return
    try:
        yield type(value)(-abs(float(value)) - 1)
    except (TypeError, ValueError):
        yield LINE


def leads_nowhere(rental: Rental) -> bool:
    """Whether nothing of it is an option, a path, or more than one line."""
    names = [rental.id, rental.machine_id or "x", rental.driver_version or "0", rental.ssh_user]
    ways = [*rental.ssh, *rental.ports.values()]
    return (
        all(WORD.fullmatch(name) for name in names)
        and all(HOST.fullmatch(way.host) and 0 < way.port < 65536 for way in ways)
        and all(text.isprintable() for text in (rental.gpu_name, rental.status_text, rental.label))
        and (rental.price_usd_per_hour or 0) >= 0
    )


def made(subject: Subject) -> tuple[Simulated, str] | None:
    """A market with few offers and two rentals, and the id of one; None where there is no wire."""
    if not isinstance(subject, Simulated):
        return None
    provider = subject.provider()
    ids = [provider.rent(cheapest(subject), order(subject, name)) for name in ("gpu-1", "gpu-2")]
    subject.settle()
    for number in sorted(subject.market.offers)[OFFERS:]:
        del subject.market.offers[number]
    return subject, ids[0]


def test_a_hostile_field_leaves_an_offer_out_or_as_it_is(subject: Subject) -> None:
    market = made(subject)
    if not market:
        return
    reading = Reading(market[0], "search", "")
    told = {offer.id: offer for offer in reading.told}
    left_out = 0
    for path, value in reading.fields():
        for odd in hostile(value):
            found: list[Offer] | None = reading.changed(path, odd)
            left_out += found is None or {one.id for one in found} != {*told}
            assert found or not reading.spares_others(path), path
            for offer in found or ():
                known = told.get(offer.id, offer)
                prices = (offer.price_usd_per_hour, offer.disk_usd_per_hour)
                versions = (offer.driver_version, offer.cuda_version, offer.compute_capability)
                words = (offer.id, offer.machine_id, *versions)
                assert all(WORD.fullmatch(word or "x") for word in words), path
                assert offer.gpu_name.isprintable(), path
                assert offer.gpu_count >= 0, path
                assert prices >= (known.price_usd_per_hour, known.disk_usd_per_hour), path
    assert left_out


@pytest.mark.parametrize("call", ["list", "get"])
def test_a_hostile_field_hides_no_rental_and_leads_nowhere(subject: Subject, call: str) -> None:
    market = made(subject)
    if not market:
        return
    reading = Reading(market[0], call, market[1])
    told = reading.told if call == "list" else [reading.told]
    refused = 0
    for path, value in reading.fields():
        for odd in hostile(value):
            found = reading.changed(path, odd)
            refused += found is None
            shown: list[Rental] = [found] if isinstance(found, Rental) else found or []
            refused += any(rental.status == UNREADABLE for rental in shown)
            assert found is None or {one.id for one in shown} == {one.id for one in told}, path
            assert all(map(leads_nowhere, shown)), path
    assert refused
