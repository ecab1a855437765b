# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rentals that stand still: that they do, that somebody ends them, that they run again."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import MARKET, OUTCOME, UNIT

DESK = f"{MARKET}/rentals/desk.py"
LIFECYCLE = f"{MARKET}/rentals/lifecycle.py"
STOPPING = f"{UNIT}/test_stopping.py"
FAILED = f"{UNIT}/test_failed_deploys.py"
SEVERAL = f"{UNIT}/test_several.py"

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
        "            return self._by_id(rental_id, [])\n",
        "            return self._account.find(name)\n",
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
        "started = running if self._dry_run else self._start(kept)",
        "started = self._start(kept)",
        (f"{STOPPING}::test_check_mode_starts_nothing_and_says_what_it_would",),
    ),
    Mutation(
        "replaced-beside-the-old-one",
        "a rental without GPUs bills on, and runs when they are free, beside a new one",
        DESK,
        "            self._release_all([kept])\n            return None\n",
        "            return None\n",
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
        "started_in(created) if on_failure == RELEASE else {}\n",
        "{}\n",
        (f"{FAILED}::test_what_a_failed_deploy_has_started_stands_still_again",),
    ),
    Mutation(
        "unread-never-stopped",
        "what has to stand still bills on because reads by its id are down",
        DESK,
        "            if not listed:\n                raise\n",
        "            raise\n",
        (f"{STOPPING}::test_reads_that_are_down_keep_nothing_running_that_a_list_shows",),
    ),
    Mutation(
        "killed-start-forgotten",
        "what a call has started that was killed goes on billing its GPUs, and nobody names it",
        "plugins/action/rental.py",
        "        return {**started_in(seen), **result} if is_silent(result) else result\n",
        "        return result\n",
        (
            f"{FAILED}::test_a_start_that_is_killed_stands_still_again",
            f"{FAILED}::test_a_start_that_is_killed_and_is_to_be_kept_is_named",
        ),
    ),
    Mutation(
        "unclear-start-forgotten",
        "what may have been started goes on billing its GPUs because the provider did not answer",
        f"{MARKET}/rentals/starting.py",
        "        error.started = error.started or dict(started)\n",
        "",
        (
            f"{STOPPING}::test_a_start_of_which_nobody_knows_rents_no_second_one",
            f"{STOPPING}::test_what_could_not_be_released_after_its_start_is_named_as_started",
            f"{SEVERAL}::test_a_start_that_is_followed_by_a_failure_elsewhere_is_told",
            f"{FAILED}::test_a_start_of_which_nobody_knows_stands_still_again",
        ),
    ),
    Mutation(
        "started-elsewhere-never-stopped",
        "what a failed deploy has started bills on, because another provider has the name as well",
        f"{MARKET}/rentals/several.py",
        "            return self._desk_of_id().stopped()\n",
        "            pass\n",
        (f"{SEVERAL}::test_what_was_started_stands_still_again_though_another_one_counts",),
    ),
    Mutation(
        "killed-stop-unnamed",
        "what could not be stopped again is not named",
        f"{MARKET}/rentals/outcome.py",
        'told = f"RENTAL {started} COULD NOT BE STOPPED AGAIN: ',
        'told = f"IT COULD NOT BE STOPPED AGAIN: ',
        (f"{OUTCOME}::test_a_failed_deploy_says_what_bills",),
    ),
    Mutation(
        "stopped-again-hides-the-rest",
        "a release that failed is not told because something else was stopped",
        f"{MARKET}/rentals/outcome.py",
        "    parts = (_bill_of_nonce(",
        '    parts = ("" if release.stopped else _bill_of_nonce(',
        (f"{OUTCOME}::test_a_failed_deploy_says_what_bills",),
    ),
    Mutation(
        "stopped-row-by-its-machine",
        "a rental that stands still is told as dead, at the rate of its GPUs",
        f"{MARKET}/providers/vastai.py",
        '    if row.get("intended_status") == "stopped" and row.get("cur_state") == "stopped":\n'
        "        return STOPPED\n",
        "",
        (f"{STOPPING}::test_what_was_stopped_bills_its_disk_alone_whatever_its_host_was_doing",),
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
