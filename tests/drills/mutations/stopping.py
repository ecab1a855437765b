# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rentals that stand still: that they do, that somebody ends them, that they run again."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import MARKET, UNIT

DESK = f"{MARKET}/rentals/desk.py"
LIFECYCLE = f"{MARKET}/rentals/lifecycle.py"
STOPPING = f"{UNIT}/test_stopping.py"
FAILED = f"{UNIT}/test_failed_deploys.py"

MUTATIONS = (
    Mutation(
        "stop-believed-at-once",
        "a rental is said to stand still while its GPUs go on billing",
        LIFECYCLE,
        "lambda one: one.status == STOPPED,\n",
        "lambda one: True,\n",
        (f"{STOPPING}::test_a_stop_that_nobody_sees_fails_and_says_what_bills",),
    ),
    Mutation(
        "start-believed-at-once",
        "a start that waits for ever for GPUs is taken for a host",
        LIFECYCLE,
        "lambda one: one.status not in DEAD,\n",
        "lambda one: True,\n",
        (f"{STOPPING}::test_a_start_that_is_accepted_and_waits_for_gpus_is_replaced",),
    ),
    Mutation(
        "unknown-start-is-no-start",
        "what may run is released and rented anew because the provider did not answer",
        LIFECYCLE,
        '        if last:\n            raise ProviderUnavailable(\n                f"Nobody knows',
        '        if False:\n            raise ProviderUnavailable(\n                f"Nobody knows',
        (f"{STOPPING}::test_a_start_of_which_nobody_knows_rents_no_second_one",),
    ),
    Mutation(
        "lost-answer-ends-a-change",
        "a stop that worked is called a failure because its answer was lost",
        LIFECYCLE,
        "            except ProviderUnavailable as error:\n                unanswered =",
        "            except OfferGone as error:\n                unanswered =",
        (
            f"{STOPPING}::test_a_stop_whose_answer_was_lost_is_seen_to_have_worked",
            f"{STOPPING}::test_a_start_whose_answer_was_lost_is_seen_to_have_worked",
        ),
    ),
    Mutation(
        "unended-stop-accepted",
        "the disk of a rental that stands still bills for ever, for its switch does not run",
        f"{MARKET}/rentals/enforcing.py",
        "    if deadline and found == NOBODY and not nobody_accepted:\n",
        "    if False:\n",
        (f"{STOPPING}::test_it_is_refused_where_nobody_would_end_it_at_its_deadline",),
    ),
    Mutation(
        "stopped-by-another-id",
        "a deploy that failed stops another rental than the one that it has started",
        DESK,
        'if options["id"] in (None, one.id)]\n',
        "]\n",
        (f"{STOPPING}::test_only_the_rental_of_the_id_stands_still",),
    ),
    Mutation(
        "check-mode-stops",
        "a dry run stops a server that serves",
        DESK,
        "stands = pretend if self._dry_run else self._lifecycle.stop(kept)",
        "stands = self._lifecycle.stop(kept)",
        (f"{STOPPING}::test_check_mode_stops_nothing_and_says_what_it_would",),
    ),
    Mutation(
        "check-mode-starts",
        "a dry run starts what stands still, and it bills",
        DESK,
        "started = running if self._dry_run else self._lifecycle.start(kept)",
        "started = self._lifecycle.start(kept)",
        (f"{STOPPING}::test_check_mode_starts_nothing_and_says_what_it_would",),
    ),
    Mutation(
        "replaced-beside-the-old-one",
        "a rental without GPUs bills on, and runs when they are free, beside a new one",
        DESK,
        "            self._release_all([kept])\n            return self._rent(",
        "            return self._rent(",
        (f"{STOPPING}::test_a_rental_whose_gpus_others_have_is_replaced",),
    ),
    Mutation(
        "stopped-one-never-started",
        "a deploy waits for a host that stands still, in vain",
        DESK,
        "        if not self._provider.can_stop or not self._stands_still(kept):\n",
        "        if True:\n",
        (f"{STOPPING}::test_a_deploy_starts_what_stands_still_and_rents_nothing",),
    ),
    Mutation(
        "one-odd-list-stands-still",
        "a server that serves is stopped when a deploy fails, because one list was odd",
        DESK,
        "        return seen is None or seen.status == STOPPED\n",
        "        return True\n",
        (
            f"{STOPPING}::test_one_odd_list_starts_nothing_that_serves",
            f"{STOPPING}::test_one_odd_list_lets_nothing_that_bills_count_as_stopped",
        ),
        2,
    ),
    Mutation(
        "refused-start-loses-the-disk",
        "what was refused in unknown words is released with all that is on its disk",
        LIFECYCLE,
        "            return seen, last or unanswered\n",
        "            return seen, last\n",
        (f"{STOPPING}::test_a_start_that_is_refused_in_other_words_ends_nothing",),
    ),
    Mutation(
        "failed-start-goes-on-billing",
        "what a failed deploy has started goes on billing its GPUs",
        f"{MARKET}/rentals/attempts.py",
        'str(created.get("started") or "") if on_failure == RELEASE else ""\n',
        '""\n',
        (f"{FAILED}::test_what_a_failed_deploy_has_started_stands_still_again",),
    ),
    Mutation(
        "no-room-is-an-outage",
        "a rental whose GPUs are taken is asked for again and again instead of being replaced",
        f"{MARKET}/providers/vastai.py",
        "        if response.status < 500 and _NO_ROOM.search(",
        "        if False and _NO_ROOM.search(",
        (
            "tests/unit/market/conformance/test_clauses.py"
            "::test_a_stopped_rental_whose_gpus_others_have_is_told_apart",
        ),
    ),
)
