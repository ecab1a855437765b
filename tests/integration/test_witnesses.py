# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Providers' own clients work against the simulators: a sample, the fastest, of ``make fidelity``.

INFEROPS_SKIP_WITNESS=1 skips this where the packages cannot be installed.
"""

from __future__ import annotations

import os

import pytest

from tests.fidelity.clients import all_clients
from tests.fidelity.talk import hold

SAMPLE = ("vastai_sdk", "verda_sdk")
LEAST_CALLS = 30

pytestmark = [
    pytest.mark.witness,
    pytest.mark.skipif("INFEROPS_SKIP_WITNESS" in os.environ, reason="INFEROPS_SKIP_WITNESS"),
]


@pytest.mark.parametrize("name", SAMPLE)
def test_an_official_client_sees_what_there_is_and_does_what_it_says(name: str) -> None:
    talk = hold(all_clients()[name])
    assert talk.mismatches == []
    assert talk.calls >= LEAST_CALLS
