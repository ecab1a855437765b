# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of plays share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulator.app import Simulator
from tests.simulator.hosts import PretendHosts
from tests.simulator.market import Market
from tests.unit.plays import faster


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A market whose time runs faster: nobody waits for its pace here."""
    market = Market(PretendHosts())
    for name, value in faster(market).items():
        monkeypatch.setenv(name, value)
    simulated = Simulator(market)
    yield simulated
    simulated.close()
