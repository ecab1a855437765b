# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scope may spend in a month, and what is written down of what it spends."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import COSTS, MARKET

BUDGET = f"{MARKET}/rentals/budget.py"
COURSES = f"{MARKET}/costs/courses.py"
TRAIL = f"{MARKET}/trail.py"
LIFECYCLE = f"{MARKET}/rentals/lifecycle.py"

MUTATIONS = (
    Mutation(
        "budget-forgets-what-bills-on",
        "hosts that run for another week are nothing to a budget",
        BUDGET,
        "if spent + to_come + wanted <= self._usd:",
        "if spent + wanted <= self._usd:",
        (f"{COSTS}::test_what_is_rented_counts_until_its_deadline",),
    ),
    Mutation(
        "budget-forgets-what-was-spent",
        "a budget is spent once a day",
        BUDGET,
        "if spent + to_come + wanted <= self._usd:",
        "if to_come + wanted <= self._usd:",
        (f"{COSTS}::test_what_was_spent_this_month_counts",),
    ),
    Mutation(
        "budget-forgets-the-new-one",
        "the last rental of a month overdraws its budget",
        BUDGET,
        "if spent + to_come + wanted <= self._usd:",
        "if spent + to_come <= self._usd:",
        (f"{COSTS}::test_a_request_beyond_the_budget_is_not_sent",),
    ),
    Mutation(
        "budget-of-one-host",
        "hosts of a play that rent at once spend the last dollar of a budget each",
        COURSES,
        "    found += [\n        _pending(row, now)\n",
        "    _unused = [\n        _pending(row, now)\n",
        (f"{COSTS}::test_a_request_that_another_host_has_sent_counts",),
    ),
    Mutation(
        "budget-of-one-controller",
        "what another controller has rented is nothing to a budget",
        BUDGET,
        "known = known_at(self.accounts)",
        "known = known_at([])",
        (f"{COSTS}::test_what_is_rented_counts_without_a_trail",),
    ),
    Mutation(
        "budget-never-ends",
        "a request that was refused takes its share of the budget for ever",
        COURSES,
        'nonce not in listed and now - row["time"] < PENDING_SECONDS',
        "nonce not in listed",
        (f"{COSTS}::test_a_request_that_another_host_has_sent_counts",),
    ),
    Mutation(
        "refused-request-spends",
        "three offers that were gone use up a budget",
        COURSES,
        'if row["event"] in (REFUSED, RENTED):',
        'if row["event"] == RENTED:',
        (f"{COSTS}::test_a_refused_request_counts_for_nothing",),
    ),
    Mutation(
        "plan-beyond-the-budget",
        "a dry run promises what the run refuses",
        f"{MARKET}/rentals/desk.py",
        "            self._refuse_beyond_budget(ranked[0].offer.price_usd_per_hour, mark)\n",
        "",
        (f"{COSTS}::test_the_plan_of_a_dry_run_refuses_it_as_well",),
    ),
    Mutation(
        "budget-of-another-scope",
        "one fleet pays for another one",
        COURSES,
        "mine = [one for one in found if one.scope == scope]",
        "mine = found",
        (f"{COSTS}::test_what_another_scope_rents_is_not_counted",),
    ),
    Mutation(
        "full-disk-keeps-a-rental",
        "a release fails where its line cannot be written",
        TRAIL,
        "            self._warn_of(error)\n\n    def _warn_of",
        "            raise ValueError from error\n\n    def _warn_of",
        (f"{COSTS}::test_a_trail_that_cannot_be_written_costs_a_warning_and_no_release",),
    ),
    Mutation(
        "release-leaves-no-line",
        "a rental that was released costs until its deadline",
        LIFECYCLE,
        "                    self._trail.released(self._provider.name, rental_id, known, now)\n",
        "",
        (f"{COSTS}::test_all_that_spends_changes_or_releases_leaves_a_line",),
    ),
    Mutation(
        "failed-attempt-at-the-price-of-its-offer",
        "what was charged above its offer is told at the offer's price",
        LIFECYCLE,
        "self._trail.changed(RENTED, own, self.account.about_now())",
        "self._rented_as(own.id, mark, offer)",
        (f"{COSTS}::test_what_was_charged_above_its_offer_costs_that",),
    ),
    Mutation(
        "disk-at-the-price-of-gpus",
        "what stands still is told to cost as if it ran",
        COURSES,
        'yield Span(begin, row["time"], running_usd if running else stopped_usd, running)',
        'yield Span(begin, row["time"], running_usd, running)',
        (f"{COSTS}::test_a_disk_alone_counts_while_a_rental_stands_still",),
    ),
    Mutation(
        "part-of-a-bill",
        "a rental of two months is told to cost what the second one did",
        COURSES,
        "return charge.usd if charge and begin >= self.since else None",
        "return charge.usd if charge else None",
        (f"{COSTS}::test_a_bill_of_a_part_of_its_life_is_no_bill",),
    ),
    Mutation(
        "bill-before-its-time",
        "a rental that has just ended is told to be free, for no bill names all of it yet",
        COURSES,
        "return max(self.billed_usd, self.estimated_usd)",
        "return self.billed_usd",
        (f"{COSTS}::test_a_bill_counts_once_a_rental_has_ended_a_day_ago",),
    ),
    Mutation(
        "odd-path-keeps-what-is-past-its-deadline",
        "a reaper whose trail has an odd path ends one rental and no other",
        f"{MARKET}/lines.py",
        "UNUSABLE = (OSError, RuntimeError, ValueError)",
        "UNUSABLE = (OSError,)",
        (f"{COSTS}::test_a_reaper_ends_all_that_it_should_whatever_its_trail_is",),
    ),
    Mutation(
        "what-was-just-rented-is-free",
        "two hosts of a play rent with one host's budget",
        COURSES,
        'is_sure = key[0] in known.asked and now - rows[-1]["time"] > PENDING_SECONDS',
        "is_sure = key[0] in known.asked",
        (f"{COSTS}::test_what_was_just_rented_may_bill_before_a_listing_shows_it",),
    ),
    Mutation(
        "silent-marketplace-is-free",
        "what a marketplace has that does not answer leaves the budget to others",
        COURSES,
        "is_sure = key[0] in known.asked and now",
        "is_sure = now",
        (f"{COSTS}::test_what_a_marketplace_that_was_not_asked_has_may_bill_until_its_deadline",),
    ),
    Mutation(
        "second-try-is-free",
        "a request counts for nothing where an earlier one had its nonce",
        COURSES,
        "listed = {one.mark.nonce for one in known.rentals if one.mark}",
        "listed = {row.get('nonce') for row in sound if row['event'] != REQUESTED}",
        (f"{COSTS}::test_a_second_try_under_the_same_nonce_counts_while_nobody_knows_its_answer",),
    ),
    Mutation(
        "bill-of-what-nobody-released-is-not-read",
        "a rental without a deadline is told to cost more each day after it was gone",
        COURSES,
        "if is_whole or self.stood_unseen or self.state in (ENDED, BILLED):",
        "if is_whole or self.stood_unseen:",
        (f"{COSTS}::test_what_nobody_released_costs_what_its_bill_says",),
    ),
    Mutation(
        "stop-that-nobody-saw",
        "a host that stopped by itself is told to cost as if it ran",
        COURSES,
        "if is_whole or self.stood_unseen or self.state in (ENDED, BILLED):",
        "if is_whole or self.state in (ENDED, BILLED):",
        (f"{COSTS}::test_what_stopped_by_itself_costs_what_its_bill_says",),
    ),
    Mutation(
        "stopped-one-starts-beyond-the-budget",
        "a budget is overdrawn by what was let stand still",
        f"{MARKET}/rentals/desk.py",
        "            self._lifecycle.refuse_beyond_budget(kept.price_usd_per_hour, kept.mark)\n",
        "            pass\n",
        (f"{COSTS}::test_a_host_that_stands_still_is_not_started_beyond_the_budget",),
    ),
    Mutation(
        "formula-in-a-table",
        "a name that begins with = runs in the accountant's spreadsheet",
        f"{MARKET}/costs/export.py",
        "is_formula = isinstance(value, str) and value.startswith(_FORMULA)",
        "is_formula = False",
        (f"{COSTS}::test_what_a_spreadsheet_takes_for_a_formula_is_text",),
    ),
)
