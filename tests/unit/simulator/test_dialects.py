# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every provider says what faults are about in its own words, or why it has no such fault."""

from __future__ import annotations

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.registry import (
    DEFAULT_PROVIDER,
    PROVIDERS,
)
from tests.simulator.app import dialect_of
from tests.simulator.catalogue import FAULTS
from tests.simulator.control import SETTINGS
from tests.simulator.dialect import FEATURES, REQUESTS, SAYINGS, SHOWS, Dialect
from tests.simulator.faults import parse
from tests.simulator.web import Request

#: Without these, nothing can be rented and ended.
NEEDED = ("search", "create", "list", "read", "rows", "destroy", "user")
#: No provider is so different that it has less of the faults.
MOST_LEFT_OUT = 38


@pytest.fixture(params=sorted(PROVIDERS))
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def dialect(provider: str) -> Dialect:
    return dialect_of(provider)


def test_a_provider_has_the_words_that_all_need(dialect: Dialect) -> None:
    assert set(NEEDED) <= set(dialect.requests)


def test_every_word_of_a_dialect_is_one_that_faults_know(dialect: Dialect) -> None:
    assert set(dialect.requests) <= set(REQUESTS)
    assert set(dialect.sayings) <= set(SAYINGS)
    assert set(dialect.shows) <= set(SHOWS)
    assert set(dialect.features) <= set(FEATURES)


def test_the_features_are_those_that_the_provider_has(provider: str, dialect: Dialect) -> None:
    kind = PROVIDERS[provider]
    assert ("second mark" in dialect.features) == kind.keeps_second_mark
    assert ("attach" in dialect.requests) == kind.attaches_keys
    assert ("change" in dialect.requests) == kind.can_change_mark
    assert ("stop" in dialect.requests) == ("start" in dialect.requests) == kind.can_stop
    assert ("charges" in dialect.requests) == kind.tells_charges
    assert ("log" in dialect.requests) == kind.tells_log
    known = set(dialect.credentials)
    assert known <= {one.option for one in kind.credentials}
    assert known >= {one.option for one in kind.credentials if one.required}


def test_what_is_not_left_out_can_be_planned(provider: str, dialect: Dialect) -> None:
    left_out = [fault for fault in FAULTS if fault.lacking(provider, dialect)]
    for fault in FAULTS:
        if fault not in left_out:
            for order in fault.orders:
                parse(order, dialect)
            assert set(fault.settings_in(dialect)) <= set(SETTINGS)
    assert len(left_out) <= MOST_LEFT_OUT


def test_nothing_is_left_out_where_the_faults_were_first_seen() -> None:
    dialect = dialect_of(DEFAULT_PROVIDER)
    assert not [fault for fault in FAULTS if fault.lacking(DEFAULT_PROVIDER, dialect)]


def test_ids_are_numbers_of_the_market_and_back(dialect: Dialect) -> None:
    assert dialect.number(dialect.rental_id(95_973_950)) == 95_973_950


def test_what_has_no_name_is_called_alike_in_every_market() -> None:
    dialect = dialect_of(DEFAULT_PROVIDER)
    asked = [Request("GET", f"/api/v0/instances/{one}/ssh/", {}, {}, b"") for one in (7, 95_973)]
    assert {dialect.name_of(one) for one in asked} == {"GET /api/v0/instances/<id>/ssh/"}


def test_a_state_that_is_asked_for_is_told_from_another_label() -> None:
    dialect = dialect_of(DEFAULT_PROVIDER)
    for name, body in (
        ("start", b'{"state": "running"}'),
        ("stop", b'{"state":"stopped"}'),
        ("change", b'{"label": "state: stopped"}'),
    ):
        assert dialect.name_of(Request("PUT", "/api/v0/instances/7/", {}, {}, body)) == name


def test_a_release_names_the_rental_that_it_ends(dialect: Dialect) -> None:
    where, rental_id = dialect.requests["destroy"], dialect.rental_id(7)
    fitting = where.path.strip("^$").replace("[^/]+", rental_id)
    path = fitting if rental_id in fitting else f"{fitting}{rental_id}/"
    body = f'{{"id": ["{rental_id}"], "instance_ids": ["{rental_id}"]}}'.encode()
    request = Request(where.method, path, {}, {}, body)
    assert dialect.ids(request) == [rental_id]
