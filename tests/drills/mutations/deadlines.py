# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""P3: nothing bills past its deadline."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import ENDS, LIFECYCLE, MARKET, MODULES, PLAYS, RULES, TRANSPORT

MUTATIONS = (
    Mutation(
        "deadline-compared-the-wrong-way",
        "the reaper releases what may live and keeps what may not",
        f"{MARKET}/rentals/reaping.py",
        "now >= mark.deadline for now in clocks.both",
        "now < mark.deadline for now in clocks.both",
        (
            f"{LIFECYCLE}"
            "::test_a_reaper_without_anything_but_the_key_releases_what_is_past_its_deadline",
        ),
    ),
    Mutation(
        "no-deadline-is-a-past-one",
        "the reaper releases what was to live without a deadline",
        f"{MARKET}/rentals/reaping.py",
        "past = [bool(mark.deadline) and now >= mark.deadline for now in clocks.both]",
        "past = [now >= mark.deadline for now in clocks.both]",
        (f"{RULES}::test_what_has_no_deadline_is_never_past_it",),
    ),
    Mutation(
        "one-wrong-clock-releases",
        "a controller whose clock is wrong releases a fleet",
        f"{MARKET}/rentals/reaping.py",
        "    if all(past):",
        "    if any(past):",
        (f"{LIFECYCLE}::test_clocks_that_disagree_about_a_deadline_release_nothing",),
    ),
    Mutation(
        "provider-clock-ignored",
        "the controller's clock alone decides what is past its deadline",
        f"{MODULES}/rental_reap.py",
        "Clocks(now, now + offset)",
        "Clocks(now, now)",
        (f"{LIFECYCLE}::test_clocks_that_disagree_about_a_deadline_release_nothing",),
    ),
    Mutation(
        "later-limit-counts",
        "a budget in dollars is overdrawn until the hours are over",
        f"{MARKET}/rentals/lifetime.py",
        "int(min(*limits, MOST_HOURS * 3600))",
        "int(max(limits))",
        (f"{LIFECYCLE}::test_hours_and_dollars_give_the_sooner_end",),
    ),
    Mutation(
        "no-deadline-by-accident",
        "a rental without a deadline needs no yes",
        f"{MARKET}/rentals/lifetime.py",
        "if not limits and not self.unlimited:",
        "if False:",
        (f"{LIFECYCLE}::test_no_deadline_needs_an_explicit_yes",),
    ),
    Mutation(
        "nobody-enforces-by-accident",
        "a deadline that nobody enforces needs no yes",
        f"{MARKET}/rentals/enforcing.py",
        "    if nobody_accepted:\n        return NOBODY\n",
        "    return NOBODY\n",
        (f"{LIFECYCLE}::test_a_deadline_that_nobody_enforces_needs_an_explicit_yes",),
    ),
    Mutation(
        "deploy-undoes-an-extension",
        "the next deploy takes back what extend gave",
        f"{MARKET}/rentals/lifetime.py",
        "return abs(lifetime_seconds - mark.lifetime_seconds) > "
        "_SAME_SHARE * mark.lifetime_seconds",
        "return True",
        (f"{LIFECYCLE}::test_an_extension_survives_the_next_deploy",),
    ),
    Mutation(
        "new-deadline-in-the-past",
        "a shorter wish ends a serving host at once",
        f"{MARKET}/rentals/lifecycle.py",
        "if deadline and deadline <= self._clock.now() + _LEAST_NOTICE_SECONDS:",
        "if False:",
        (f"{LIFECYCLE}::test_a_new_deadline_in_the_past_is_refused",),
    ),
    Mutation(
        "new-deadline-unseen",
        "a deadline that the provider did not keep is told as moved",
        f"{MARKET}/rentals/lifecycle.py",
        "lambda one: one.mark == mark",
        "lambda one: True",
        (f"{RULES}::test_an_extension_that_the_provider_forgets_is_no_success",),
    ),
    Mutation(
        "last-date-believed",
        "one answer with a wrong date makes a rental immortal",
        f"{MARKET}/providers/transport.py",
        "return min(self._offsets, key=abs, default=0.0)",
        "return self._offsets[-1] if self._offsets else 0.0",
        (f"{TRANSPORT}::test_one_wrong_date_among_several_does_not_tell_the_time",),
    ),
    Mutation(
        "only-date-believed",
        "the only answer of a call makes a rental immortal",
        f"{MARKET}/rentals/account.py",
        "if abs(self._provider.clock_offset_seconds) > PLAUSIBLE_OFFSET_SECONDS:",
        "if False:",
        (
            f"{TRANSPORT}::test_one_answer_with_a_wrong_date_moves_no_deadline",
            f"{TRANSPORT}::test_one_answer_with_a_wrong_date_extends_nothing_else",
        ),
    ),
    Mutation(
        "created-by-our-own-clock",
        "a host counts its lifetime from the wrong hour",
        f"{MARKET}/rentals/desk.py",
        "created_at=now,",
        "created_at=int(self._clock.now()),",
        (f"{TRANSPORT}::test_a_controller_that_is_behind_loses_no_hour_when_the_price_differs",),
    ),
    Mutation(
        "switch-that-was-sent-counts-as-armed",
        "a host whose switch does not work is said to end its rental",
        f"{MARKET}/rentals/enforcing.py",
        "(planned == HOST and armed)",
        "planned == HOST",
        (f"{ENDS}::test_a_host_ends_its_rental_only_with_a_switch_that_is_armed",),
    ),
    Mutation(
        "nobody-ends-it-and-that-is-kept",
        "a rental that nobody ends is kept although nobody has accepted that",
        f"{MARKET}/rentals/enforcing.py",
        "if found == NOBODY and not nobody_accepted:",
        "if found == NOBODY and nobody_accepted is None:",
        (f"{ENDS}::test_a_rental_that_nobody_ends_is_refused_unless_that_is_accepted",),
    ),
    Mutation(
        "nobody-asked-of-the-play",
        "the action says that nobody ends a rental, and lets the deploy go on",
        "plugins/action/deadline_switch.py",
        'refuse_nobody(found, str(result.get("problem") or ""), accepted)',
        'refuse_nobody(found, str(result.get("problem") or ""), True)',
        (
            f"{ENDS}::test_a_switch_that_is_not_armed_fails_only_where_that_is_not_accepted",
            f"{ENDS}::test_a_rental_whose_host_has_no_switch_is_not_kept_without_a_reaper",
        ),
        2,
    ),
    Mutation(
        "done-without-a-switch",
        "a second deploy leaves a rental alone whose switch does not end it",
        "plugins/action/host_look.py",
        'result["as_asked"] and result["switch_is_set"]',
        'result["as_asked"]',
        (
            "tests/unit/plugins/test_controller_actions.py"
            "::test_a_deploy_is_done_only_where_it_serves_and_ends_by_itself",
        ),
    ),
    Mutation(
        "orphans-of-a-part",
        "a reaper that sees a part of the inventory releases the rentals of the rest",
        f"{MARKET}/rentals/reaping.py",
        "    if limit is None and not any(name in variables for name in _WORKFLOWS):",
        "    if limit is None or not any(name in variables for name in _WORKFLOWS):",
        (f"{PLAYS}::test_strict_reaping_is_refused_where_only_a_part_of_the_inventory_is_seen",),
    ),
)
