# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long it takes until the first token, what that is worth, and what is told of it."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import MARKET, MINUTES, OFFERS, SHOWN, WAITING

_RANKING = f"{MARKET}/offers/ranking.py"
_MINUTES = f"{MARKET}/offers/minutes.py"

MUTATIONS = (
    Mutation(
        "waiting-is-free",
        "a host that needs an hour to download wins by two cents",
        _RANKING,
        "return self.expected_usd + self.wait_usd",
        "return self.expected_usd",
        (f"{MINUTES}::test_a_cheap_host_on_a_slow_line_no_longer_wins",),
    ),
    Mutation(
        "waiting-told-as-billed",
        "a plan names dollars that nobody will bill",
        _RANKING,
        "return start_usd + self.base_usd + self.disk_usd + self.outage_usd",
        "return start_usd + self.base_usd + self.disk_usd + self.outage_usd + self.wait_usd",
        (f"{MINUTES}::test_waiting_is_never_told_as_dollars_that_are_billed",),
    ),
    Mutation(
        "compiles-anyway",
        "a host with many cores is paid for that nothing compiles on",
        _MINUTES,
        "if not work.compiles:",
        "if False:",
        (f"{MINUTES}::test_an_engine_that_does_not_compile_starts_sooner_and_needs_no_cores",),
    ),
    Mutation(
        "failed-attempts-cost-no-time",
        "a doubtful host is as quick as a sure one",
        _RANKING,
        "way.total_seconds / 3600 + risk.odds * failed_hours",
        "way.total_seconds / 3600",
        (f"{MINUTES}::test_the_waiting_for_failed_attempts_counts_too",),
    ),
    Mutation(
        "cores-do-not-count",
        "a host with two cores compiles as fast as one with 32",
        _MINUTES,
        "min(host.cores, _MOST_COMPILING)",
        "_MOST_COMPILING",
        (f"{MINUTES}::test_each_part_is_slower_by_what_it_needs_of_a_host",),
    ),
    Mutation(
        "disk-does-not-count",
        "weights are read from a slow disk at the speed of memory",
        _MINUTES,
        "return max(copied, work.model_gib / host.disk)",
        "return copied",
        (f"{MINUTES}::test_weights_that_stayed_in_memory_are_not_read_from_a_slow_disk_again",),
    ),
    Mutation(
        "estimate-without-end",
        "a listing that says nonsense makes a plan of years",
        _MINUTES,
        "return min(max(seconds, 0.0), _MOST_SECONDS)",
        "return max(seconds, 0.0)",
        (f"{MINUTES}::test_a_listing_that_says_nonsense_still_has_an_end",),
    ),
    Mutation(
        "assumed-told-as-known",
        "an estimate that rests on nothing looks like one that was told",
        _MINUTES,
        '        yield f"a line of {USUAL_MBIT_PER_SECOND:.0f} Mbit/s"\n',
        "        pass\n",
        (f"{MINUTES}::test_what_nobody_tells_is_assumed_and_said",),
    ),
    Mutation(
        "history-learns-twice",
        "each deploy makes the same slow host look slower",
        _MINUTES,
        'seconds / (expected / estimate["paces"].get(phase, 1.0))',
        "seconds / expected",
        (f"{MINUTES}::test_what_the_history_has_corrected_is_not_learnt_twice",),
    ),
    Mutation(
        "damaged-history-ends-the-ranking",
        "one odd line of the history and nothing can be rented",
        f"{MARKET}/offers/history.py",
        "        and _are_ratios(attempt.ratios)\n",
        "",
        (f"{MINUTES}::test_a_damaged_line_of_the_history_says_nothing",),
    ),
    Mutation(
        "one-deploy-turns-the-estimate-over",
        "one odd deploy makes a provider's hosts look a million times slower",
        f"{MARKET}/offers/history.py",
        "math.log(_sane(ratios[phase]))",
        "math.log(ratios[phase])",
        (f"{MINUTES}::test_one_odd_deploy_does_not_turn_the_estimate_over",),
    ),
    Mutation(
        "floor-overrides-the-user",
        "a slow host that somebody has asked for is refused",
        f"{MARKET}/rentals/options.py",
        ' and filled["min_download_mbit_per_second"] is None:',
        ":",
        (f"{MINUTES}::test_a_floor_that_the_user_gives_stays_a_hard_limit",),
    ),
    Mutation(
        "floor-shuts-the-market",
        "for a large model every offer is refused by its line",
        _MINUTES,
        "return min(needed, _HIGHEST_FLOOR_MBIT_PER_SECOND)",
        "return needed",
        (f"{MINUTES}::test_the_slowest_line_that_is_taken_follows_the_models_size",),
    ),
    Mutation(
        "wait-without-end",
        "a rental that never boots bills for as long as a listing makes expect",
        f"{MARKET}/rentals/waiting.py",
        "min(max(seconds, _LEAST_RUNNING_SECONDS), _MOST_RUNNING_SECONDS)",
        "max(seconds, _LEAST_RUNNING_SECONDS)",
        (f"{WAITING}::test_a_host_of_which_a_slow_boot_is_expected_gets_three_times_as_long",),
    ),
    Mutation(
        "assumptions-not-shown",
        "people see minutes and not what they rest on",
        f"{MARKET}/offers/showing.py",
        'f"; assumed: {assumed}" if assumed else ""',
        '""',
        (f"{SHOWN}::test_an_offer_is_shown_with_its_price_its_odds_and_its_deadline",),
    ),
    Mutation(
        "runner-up-before-the-winner",
        "an offer that failed is told as one that lost",
        f"{MARKET}/offers/runners_up.py",
        "ranked[ranked.index(winner) + 1 :]",
        "[one for one in ranked if one is not winner]",
        (f"{MINUTES}::test_only_who_comes_after_the_one_that_was_taken_is_a_runner_up",),
    ),
    Mutation(
        "waiting-worth-less-than-nothing",
        "the slowest host of the market is rented, because waiting for it pays",
        f"{MARKET}/rentals/options.py",
        'if not 0 <= options["wait_usd_per_hour"] < math.inf:',
        "if False:",
        (f"{MINUTES}::test_waiting_that_is_worth_no_sum_is_refused_before_anything_is_rented[-1]",),
    ),
    Mutation(
        "default-worth-of-waiting-not-taken",
        "a plan ranks by dollars alone although it says otherwise",
        f"{MARKET}/rentals/options.py",
        '        wait_usd_per_hour=options["wait_usd_per_hour"],\n',
        "",
        (
            f"{OFFERS}::test_who_does_not_mind_waiting_gets_offers_by_what_is_billed",
            f"{MINUTES}::test_a_rental_and_its_plan_name_them",
        ),
    ),
)
