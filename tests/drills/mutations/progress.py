# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A4: nothing from outside is believed."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import PROGRESS

MUTATIONS = (
    Mutation(
        "price-told-by-a-host",
        "a host says what has been spent on it",
        "plugins/plugin_utils/bills.py",
        "(place in constants.LOCALHOST and result.task.resolved_action in _TELLING)",
        "(result.task.resolved_action in _TELLING)",
        (f"{PROGRESS}::test_a_host_that_tells_a_price_of_its_own_is_not_believed",),
    ),
    Mutation(
        "price-told-by-any-module",
        "a module that looks at hosts says what has been spent",
        "plugins/plugin_utils/bills.py",
        "(place in constants.LOCALHOST and result.task.resolved_action in _TELLING)",
        "(result.task.resolved_action not in _TELLING or place in constants.LOCALHOST)",
        (f"{PROGRESS}::test_a_host_that_tells_a_price_of_its_own_is_not_believed",),
    ),
)
