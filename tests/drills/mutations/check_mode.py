# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""P8: check mode never spends and never changes."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import LIFECYCLE, MARKET, MODULES, RENTALS, RULES

MUTATIONS = (
    Mutation(
        "check-mode-creates",
        "a dry run rents",
        f"{MARKET}/rentals/desk.py",
        "        if self._dry_run:\n            return plan\n",
        "",
        (f"{RENTALS}::test_check_mode_prices_the_offer_and_creates_nothing",),
    ),
    Mutation(
        "check-mode-releases",
        "a dry run ends what serves",
        f"{MARKET}/rentals/desk.py",
        "self._release_all([] if self._dry_run else doomed, unproven)",
        "self._release_all(doomed, unproven)",
        (f"{RENTALS}::test_check_mode_releases_nothing",),
    ),
    Mutation(
        "check-mode-resolves-duplicates",
        "a dry run ends a duplicate",
        f"{MARKET}/rentals/desk.py",
        "        if not self._dry_run:\n            self._release_all(settled)",
        "        if True:\n            self._release_all(settled)",
        (f"{RULES}::test_check_mode_leaves_duplicates_alone",),
    ),
    Mutation(
        "check-mode-moves-deadlines",
        "a dry run changes a rental's mark",
        f"{MARKET}/rentals/lifecycle.py",
        "        if pretend:\n            return replace(",
        "        if False:\n            return replace(",
        (f"{LIFECYCLE}::test_a_deploy_moves_the_deadline_only_when_the_wish_changes",),
    ),
    Mutation(
        "check-mode-reaps",
        "a dry run of the reaper releases",
        f"{MODULES}/rental_reap.py",
        'acting = module.params["release"] and not module.check_mode',
        'acting = module.params["release"]',
        (f"{RULES}::test_check_mode_of_the_reaper_releases_nothing",),
    ),
    Mutation(
        "reaper-acts-unasked",
        "a reaper that should only judge releases",
        f"{MODULES}/rental_reap.py",
        'acting = module.params["release"] and not module.check_mode',
        "acting = not module.check_mode",
        (
            f"{LIFECYCLE}"
            "::test_a_reaper_without_anything_but_the_key_releases_what_is_past_its_deadline",
        ),
    ),
)
