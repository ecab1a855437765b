# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""P1: one name, one rental."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import LIFECYCLE, LIMITED, MARKET, RENTALS, RULES, SHARING

MUTATIONS = (
    Mutation(
        "create-retried-after-5xx",
        "a rental request that was carried out and answered with an error is sent again",
        f"{MARKET}/providers/transport.py",
        "passing = _PASSING if idempotent else _NOT_CARRIED_OUT",
        "passing = _PASSING",
        (f"{RENTALS}::test_a_500_after_a_create_is_adopted_and_never_repeated",),
    ),
    Mutation(
        "create-retried-after-drop",
        "a rental request whose answer was lost is sent again",
        f"{MARKET}/providers/transport.py",
        "if attempt == self._tries or not idempotent:",
        "if attempt == self._tries:",
        (f"{RENTALS}::test_a_lost_answer_to_a_create_is_adopted_and_never_repeated",),
    ),
    Mutation(
        "create-says-that-it-is-idempotent",
        "a rental request is sent again whenever its answer is odd",
        f"{MARKET}/providers/rest.py",
        'kind="create", body=body, idempotent=False',
        'kind="create", body=body, idempotent=True',
        (f"{RENTALS}::test_a_500_after_a_create_is_adopted_and_never_repeated",),
    ),
    Mutation(
        "unclear-create-takes-the-next-offer",
        "a rental request that shows late is one of two",
        f"{MARKET}/rentals/lifecycle.py",
        "            if rental is None and error.rental_id is None:\n"
        "                raise UnclearCreate(",
        "            if rental is None and error.rental_id is None:\n"
        "                raise OfferGone(error.cause) from error\n"
        "                raise UnclearCreate(",
        (f"{RENTALS}::test_a_create_that_may_have_happened_rents_nothing_else",),
    ),
    Mutation(
        "strangers-create-adopted",
        "a lost request is taken for done when another controller made one",
        f"{MARKET}/rentals/lifecycle.py",
        "                if _carries(rental, mark):\n",
        "                if rental.mark:\n",
        (f"{RULES}::test_the_rental_of_another_controller_is_not_taken_for_a_lost_create",),
    ),
    Mutation(
        "youngest-wins",
        "two controllers each keep their own rental, or release each other's",
        f"{MARKET}/rentals/account.py",
        "return sorted(sure, key=lambda rental: rental.precedence)",
        "return sorted(sure, key=lambda rental: rental.precedence, reverse=True)",
        (f"{RENTALS}::test_the_oldest_of_two_rentals_wins_and_only_the_own_one_is_released",),
    ),
    Mutation(
        "loser-releases-the-winner",
        "a controller ends the rental of another one",
        f"{MARKET}/rentals/lifecycle.py",
        "                self._end_own(own.id, offer)\n",
        "                self._end_own(winner.id, offer)\n",
        (f"{RENTALS}::test_the_oldest_of_two_rentals_wins_and_only_the_own_one_is_released",),
    ),
    Mutation(
        "loser-keeps-its-own",
        "the younger of two rentals bills on",
        f"{MARKET}/rentals/lifecycle.py",
        "                self._end_own(own.id, offer)\n",
        "",
        (f"{RENTALS}::test_the_oldest_of_two_rentals_wins_and_only_the_own_one_is_released",),
    ),
    Mutation(
        "own-create-not-awaited",
        "the list that decides who is oldest may be older than the own request",
        f"{MARKET}/rentals/lifecycle.py",
        "            if own is None:\n                continue\n",
        "            if own is None:\n                own = self._provider.get(rental_id)\n"
        "                return own\n",
        (f"{RULES}::test_who_is_oldest_is_decided_by_a_list_that_shows_the_own_create",),
    ),
    Mutation(
        "old-list-shared",
        "what another host listed long ago counts as what is there now",
        f"{MARKET}/rentals/shared_listing.py",
        'if not_before <= float(kept.get("asked_at", 0.0)) <= self._clock.now():',
        'if 0.0 < float(kept.get("asked_at", 0.0)) <= self._clock.now():',
        (f"{RULES}::test_an_old_listing_of_another_host_is_not_used",),
    ),
    Mutation(
        "unlisted-create-forgotten",
        "a rental that no list shows bills unseen",
        f"{MARKET}/rentals/lifecycle.py",
        "        self._end_own(rental_id, offer)\n        raise _Unwanted(",
        "        raise _Unwanted(",
        (f"{RULES}::test_a_rental_that_no_list_ever_shows_is_released",),
    ),
    Mutation(
        "failed-clean-up-told-as-nothing",
        "a rental that could not be released is told as if nothing billed",
        f"{MARKET}/rentals/lifecycle.py",
        "            raise UnclearCreate(\n"
        "                error.cause, rental_id=rental_id, "
        'money=f"Rental {rental_id} may bill{most}."\n'
        "            ) from error",
        "            raise OfferGone(error.cause) from error",
        (f"{RENTALS}::test_a_loser_that_cannot_be_released_is_never_told_as_nothing",),
    ),
    Mutation(
        "duplicate-released-at-once",
        "a controller ends a rental whose own controller is still deciding",
        f"{MARKET}/rentals/reaping.py",
        "return bool(rental.since) and now - rental.since >= _DUPLICATE_SETTLES_SECONDS",
        "return True",
        (f"{LIFECYCLE}::test_a_young_duplicate_is_left_to_its_own_controller",),
    ),
    Mutation(
        "duplicate-never-released",
        "a rental request that shows late bills until its deadline",
        f"{MARKET}/rentals/reaping.py",
        "return bool(rental.since) and now - rental.since >= _DUPLICATE_SETTLES_SECONDS",
        "return False",
        (
            f"{LIFECYCLE}::test_a_deploy_releases_a_duplicate_that_nobody_else_is_about_to_release",
            f"{LIFECYCLE}::test_a_create_that_shows_minutes_later_is_reaped_as_a_duplicate",
        ),
    ),
    Mutation(
        "claims-ignored",
        "parallel hosts fight over one machine",
        f"{MARKET}/rentals/claims.py",
        'if machine_id in claims and claims[machine_id]["holder"] != holder:',
        "if False:",
        (f"{RULES}::test_a_machine_that_another_host_is_renting_is_left_to_it",),
    ),
    Mutation(
        "machines-in-use-rented-again",
        "two hosts end on one machine",
        f"{MARKET}/rentals/desk.py",
        "wish = make_wish(options).without_machines(in_use)",
        "wish = make_wish(options)",
        (f"{RULES}::test_two_hosts_of_a_fleet_never_share_a_machine",),
    ),
    Mutation(
        "full-disk-hides-a-rental",
        "a disk that fills after a rental request ends the run without the nonce",
        f"{MARKET}/rentals/shared_listing.py",
        "        except OSError:\n            # It may",
        "        except ZeroDivisionError:\n            # It may",
        (f"{SHARING}::test_a_disk_that_fills_after_the_create_hides_no_rental",),
    ),
    Mutation(
        "unusable-folder-blocks-releases",
        "nothing can be released while a folder cannot be written",
        f"{MARKET}/rentals/shared_listing.py",
        "        except OSError:\n            # What was",
        "        except ZeroDivisionError:\n            # What was",
        (f"{SHARING}::test_a_controller_that_can_keep_nothing_rents_shows_and_releases",),
    ),
    Mutation(
        "defect-hides-the-nonce",
        "a defect after a rental request ends the run without what releases it",
        f"{MARKET}/rentals/desk.py",
        "        except Exception as error:\n",
        "        except ZeroDivisionError as error:\n",
        (f"{LIMITED}::test_whatever_breaks_after_a_create_leaves_the_nonce",),
    ),
    Mutation(
        "dead-rental-wins",
        "a rental that nobody can use is kept and the one that serves is released",
        f"{MARKET}/model.py",
        "return self.status in DEAD, self.seniority",
        "return False, self.seniority",
        (f"{LIFECYCLE}::test_of_several_rentals_the_oldest_that_lives_counts",),
    ),
    Mutation(
        "unlisted-create-costs-nothing",
        "what was rented and released is told as taken by somebody else",
        f"{MARKET}/rentals/lifecycle.py",
        '            "unlisted",\n            f"Rental',
        '            "gone",\n            f"Rental',
        (f"{LIMITED}::test_what_was_made_and_never_listed_is_told_with_its_cost",),
    ),
)
