# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every clause runs for every provider.

That takes minutes, so `make test` takes a third: each clause at some providers, and of each
provider some clauses. `make conformance` takes all.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.market.conformance.subjects import SUBJECTS, Subject

_ONE_IN = 3


@pytest.fixture(params=sorted(SUBJECTS))
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    made = SUBJECTS[request.param]()
    yield made
    made.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as long what the sample leaves out."""
    providers, clauses = sorted(SUBJECTS), dict[str, int]()
    for item in items:
        about = getattr(item, "callspec", None)
        if item.path.parent != Path(__file__).parent or about is None:
            continue
        provider = about.params.get("subject")
        if provider not in SUBJECTS:
            continue
        clause = item.nodeid.replace(provider, "")
        number = clauses.setdefault(clause, len(clauses))
        if (number + providers.index(provider)) % _ONE_IN:
            item.add_marker(pytest.mark.long)
