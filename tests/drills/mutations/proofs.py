# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""P2: proof of absence."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import (
    HALF_MADE,
    LIFECYCLE,
    MARKET,
    MODULES,
    RENTALS,
    RULES,
    UNIT,
)

MUTATIONS = (
    Mutation(
        "one-look-is-enough",
        "a destroyed rental that comes back counts as released",
        f"{MARKET}/rentals/presence.py",
        "if self.absent < 2:",
        "if self.absent < 1:",
        (f"{RULES}::test_a_rental_that_comes_back_at_once_is_released_again",),
    ),
    Mutation(
        "no-positive-control",
        "the empty answers that a revoked key gets count as proof",
        f"{MARKET}/rentals/presence.py",
        "            self._provider.check_credential()\n",
        "",
        (f"{LIFECYCLE}::test_presence_is_judged_by_bodies_and_a_key_that_works",),
    ),
    Mutation(
        "list-not-asked",
        "one wrong answer about the id is enough to call a rental gone",
        f"{MARKET}/rentals/presence.py",
        "if any(rental.id == self._rental_id for rental in self._provider.list_rentals()):",
        "if False:",
        (f"{RULES}::test_gone_takes_both_the_list_and_the_id",),
    ),
    Mutation(
        "id-not-asked",
        "a list that lags is enough to call a rental gone",
        f"{MARKET}/rentals/presence.py",
        "if self._provider.get(self._rental_id) is not None:",
        "if False:",
        (f"{RULES}::test_gone_takes_both_the_list_and_the_id",),
    ),
    Mutation(
        "error-counts-as-absent",
        "a provider that is down counts as proof",
        f"{MARKET}/rentals/presence.py",
        "            self.absent = 0\n            return Verdict(UNKNOWN, error",
        "            self.absent += 1\n            return Verdict(GONE, error",
        (f"{RULES}::test_gone_takes_both_the_list_and_the_id",),
    ),
    Mutation(
        "release-believed",
        "a destroy that did nothing counts as a release",
        f"{MARKET}/rentals/lifecycle.py",
        "                if verdict.presence == GONE:\n",
        "                if True:\n",
        (f"{RENTALS}::test_a_release_that_does_nothing_is_not_believed",),
    ),
    Mutation(
        "release-sent-once",
        "a destroy without effect is never repeated",
        f"{MARKET}/rentals/lifecycle.py",
        "                if not proof.absent:\n                    self._try_release(rental_id)",
        "                if 'never' in verdict.reason:\n"
        "                    self._try_release(rental_id)",
        (f"{RENTALS}::test_a_release_without_effect_and_a_hiccup_are_overcome",),
    ),
    Mutation(
        "time-ends-a-half-made-proof",
        "what is seen absent just as the time is up is said to bill, whatever comes then",
        f"{MARKET}/rentals/lifecycle.py",
        "            if is_late and not proof.absent:\n",
        "            if is_late:\n",
        (f"{HALF_MADE}::test_who_is_seen_absent_just_as_the_time_is_up_is_proven_gone",),
        least_red=3,
    ),
    Mutation(
        "a-long-look-uses-up-the-time",
        "who looks for as long as the provider may take looks once, and gives up",
        f"{MARKET}/rentals/lifecycle.py",
        "            is_late = self._clock.monotonic() >= until\n            yield\n",
        "            yield\n            is_late = self._clock.monotonic() >= until\n",
        (f"{HALF_MADE}::test_a_starved_controller_proves_as_much_as_a_fast_one",),
    ),
    Mutation(
        "time-shortens-the-pause-of-a-proof",
        "two looks close together count as two",
        f"{MARKET}/rentals/lifecycle.py",
        "            self._clock.sleep(LOOKS_APART_SECONDS)\n\n    def _try_release",
        "            left = until - self._clock.monotonic()\n"
        "            self._clock.sleep(min(LOOKS_APART_SECONDS, max(left, 0)))\n\n"
        "    def _try_release",
        (
            f"{HALF_MADE}::test_the_two_looks_of_a_proof_are_a_whole_pause_apart_whenever_the_first_one_is",
        ),
    ),
    Mutation(
        "empty-list-is-empty-account",
        "an empty list under a revoked key counts as nothing rented",
        f"{MARKET}/rentals/account.py",
        "        if not listed:\n",
        "        if False:\n",
        (f"{LIFECYCLE}::test_an_empty_list_is_believed_only_with_a_key_that_works",),
    ),
    Mutation(
        "list-that-misses-a-rental-believed",
        "a list that lags hides a rental that the provider still shows by its id",
        f"{MARKET}/rentals/account.py",
        "if self._provider.get(rental_id) is not None:",
        "if False:",
        (f"{LIFECYCLE}::test_a_list_that_misses_what_the_provider_still_shows_is_not_trusted",),
    ),
    Mutation(
        "one-list-proves-nothing-rented",
        "a rental request that is not listed yet counts as nothing rented",
        f"{MARKET}/rentals/account.py",
        "        if not found:\n            self._clock.sleep(LOOKS_APART_SECONDS)\n",
        "        if False:\n            self._clock.sleep(LOOKS_APART_SECONDS)\n",
        (f"{RULES}::test_a_create_that_shows_seconds_later_is_found_by_a_teardown",),
    ),
    Mutation(
        "shared-list-proves-absence",
        "an old listing of another host proves that nothing is rented",
        f"{MARKET}/rentals/account.py",
        "return self._listed(math.inf)",
        "return self._listed(self._clock.now() - 60)",
        (f"{RULES}::test_what_another_host_listed_never_proves_that_nothing_is_rented",),
    ),
    Mutation(
        "failed-release-is-success",
        "a teardown that could not release ends well",
        f"{MARKET}/rentals/desk.py",
        "        if unproven:\n            raise UnprovenAbsence(",
        "        if False:\n            raise UnprovenAbsence(",
        (f"{RULES}::test_a_teardown_that_cannot_be_proven_fails",),
    ),
    Mutation(
        "unreadable-account-is-an-empty-inventory",
        "an inventory that cannot be read looks like a fleet of nothing",
        "plugins/inventory/rentals.py",
        "            raise _unreadable(path, error, market) from None\n        except ValueError",
        "            return\n        except ValueError",
        (f"{UNIT}/test_inventory.py::test_a_wrong_key_is_told",),
    ),
    Mutation(
        "unproven-release-is-success",
        "a reaper that could not prove a release ends well",
        f"{MODULES}/rental_reap.py",
        "if not unknown and not unproven:",
        "if not unknown:",
        (f"{LIFECYCLE}::test_a_release_that_cannot_be_proven_fails_with_the_verdicts",),
    ),
)
