# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One name at several providers: ways to rent it twice, and to say of all what one has said."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import MARKET, UNIT

FILE = f"{MARKET}/rentals/several.py"
ASKING = f"{MARKET}/rentals/asking.py"
SEVERAL = f"{UNIT}/test_several.py"

MUTATIONS = (
    Mutation(
        "several-silent-is-none",
        "a provider that is down counts as one without rentals, and a teardown as done",
        FILE,
        "        if failed:\n            gone =",
        "        if False:\n            gone =",
        (f"{SEVERAL}::test_one_that_is_down_is_said_and_the_other_rents",),
    ),
    Mutation(
        "several-rents-beside-what-was-last-seen",
        "while a provider is down a second host is rented elsewhere and bills as well",
        FILE,
        "            if desk.last_known():\n",
        "            if False:\n",
        (f"{SEVERAL}::test_where_the_name_was_last_seen_nothing_else_is_rented_while_it_is_down",),
    ),
    Mutation(
        "several-ignore-the-drawn-nonce",
        "what a killed call has rented at one of them cannot be found by the nonce that was drawn",
        FILE,
        'nonce = self._given["nonce"] or draw_nonce()',
        "nonce = draw_nonce()",
        (
            f"{SEVERAL}::test_what_is_rented_anywhere_carries_the_nonce_that_was_drawn_before_the_call",
        ),
        2,
    ),
    Mutation(
        "several-unclear-request-is-followed-by-another",
        "a rental request without an answer is one of two",
        FILE,
        "            except UnclearCreate as error:\n"
        "                error.attempts = [*attempts, *error.attempts]\n"
        "                raise\n",
        "",
        (f"{SEVERAL}::test_a_request_without_an_answer_is_followed_by_no_other_one",),
    ),
    Mutation(
        "several-younger-counts",
        "each controller keeps its own of two rentals, and both bill for ever",
        ASKING,
        "    return rental.status in DEAD, created_at,",
        "    return rental.status in DEAD, -created_at,",
        (
            f"{SEVERAL}::test_of_two_the_older_request_counts_and_the_settled_one_is_released",
            f"{SEVERAL}::test_what_another_controller_has_rented_earlier_elsewhere_wins",
        ),
    ),
    Mutation(
        "several-duplicates-never-end",
        "the younger rental of a name at another provider bills for ever",
        FILE,
        '            ends = doomed and not self._dry_run and self._given["state"] == "present"\n',
        "            ends = False\n",
        (f"{SEVERAL}::test_of_two_the_older_request_counts_and_the_settled_one_is_released",),
    ),
    Mutation(
        "several-gives-way-to-nobody",
        "what two controllers rent at the same moment at two providers bills twice",
        FILE,
        "                self._give_way(result)\n",
        "                pass\n",
        (f"{SEVERAL}::test_what_another_controller_has_rented_earlier_elsewhere_wins",),
    ),
    Mutation(
        "several-forgets-what-it-rented",
        "what was just rented bills on because another provider refuses to say what it has",
        FILE,
        '            unclear.nonce, unclear.started = result["nonce"], error.started\n',
        "            unclear.started = error.started\n",
        (
            f"{SEVERAL}"
            "::test_what_was_rented_is_named_where_the_other_one_refuses_to_say_what_it_has",
        ),
    ),
    Mutation(
        "several-reaper-stops-at-the-first-error",
        "one provider that is down keeps the rentals at all others from being released",
        "plugins/modules/rental_reap.py",
        "        if not answers:\n",
        "        if failed:\n",
        (f"{SEVERAL}::test_the_reaper_releases_what_it_can_and_says_whom_it_could_not_ask",),
    ),
    Mutation(
        "several-reaper-is-silent-about-whom-it-could-not-ask",
        "a reap looks whole while a provider was not asked",
        "plugins/modules/rental_reap.py",
        "    if error or unasked:\n",
        "    if error:\n",
        (f"{SEVERAL}::test_the_reaper_releases_what_it_can_and_says_whom_it_could_not_ask",),
    ),
    Mutation(
        "several-refusal-ends-the-run",
        "an account without credit keeps all other providers from being asked",
        FILE,
        "                given_up.append(desk)\n",
        "                raise\n",
        (f"{SEVERAL}::test_an_account_without_credit_makes_room_for_the_other",),
    ),
    Mutation(
        "several-one-uses-up-all-requests",
        "a provider whose offers are all gone keeps the others from being asked",
        FILE,
        "            left = _share(left, len(others), desk not in asked)\n",
        "",
        (f"{SEVERAL}::test_offers_that_are_all_gone_leave_requests_for_the_other_provider",),
    ),
    Mutation(
        "several-asked-one-after-the-other",
        "a search takes as long as all providers together",
        ASKING,
        "    with ThreadPoolExecutor(len(asked)) as pool:\n",
        "    with ThreadPoolExecutor(1) as pool:\n",
        (f"{SEVERAL}::test_all_are_asked_at_the_same_time",),
    ),
    Mutation(
        "several-list-hides-whom-it-could-not-ask",
        "a status shows a part of the fleet as all of it",
        f"{MARKET}/rentals/info.py",
        '        "unasked": [account["provider"] for account, _error in failed],\n',
        '        "unasked": [],\n',
        (f"{SEVERAL}::test_one_that_is_down_is_said_and_the_other_rents",),
    ),
)
