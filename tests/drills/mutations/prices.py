# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rental may cost."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import LIFECYCLE, LIMITED, MARKET, UNIT

MUTATIONS = (
    Mutation(
        "charged-price-ignored",
        "a rental is kept that costs more than the user allows",
        f"{MARKET}/rentals/lifecycle.py",
        "if most is not None and price > most + _SAME_PRICE_USD:",
        "if False:",
        (f"{LIMITED}::test_a_rental_that_is_charged_above_the_maximum_is_released_and_told",),
    ),
    Mutation(
        "no-price-is-cheap",
        "a rental whose row comes before its price passes every maximum",
        f"{MARKET}/rentals/lifecycle.py",
        "if winner.id == own.id and limits.need_price and own.price_usd_per_hour is None:",
        "if False:",
        (
            f"{LIMITED}::test_a_price_that_the_first_rows_do_not_show_is_waited_for",
            f"{LIMITED}::test_a_rental_that_never_shows_its_price_is_not_kept_within_a_limit",
        ),
    ),
    Mutation(
        "dearer-rental-keeps-its-deadline",
        "a budget is overdrawn by what the offer did not say",
        f"{MARKET}/rentals/lifecycle.py",
        "if (deadline, seconds) == (mark.deadline, mark.lifetime_seconds):",
        "if True:",
        (f"{LIMITED}::test_a_dearer_rental_ends_sooner_so_that_its_budget_holds",),
    ),
    Mutation(
        "dearer-rental-downloads-for-nothing",
        "a budget is overdrawn by the downloads of a rental that is charged above its offer",
        f"{MARKET}/rentals/lifecycle.py",
        "left = lifetime.less(limits.traffic_usd(offer)).seconds_left(price)",
        "left = lifetime.seconds_left(price)",
        (f"{LIMITED}::test_the_budget_of_a_dearer_rental_pays_for_its_downloads_as_well",),
    ),
    Mutation(
        "cheaper-rental-keeps-the-wish-of-its-offer",
        "the next deploy gives back what was spent, or undoes an extension",
        f"{MARKET}/rentals/lifecycle.py",
        "same = abs(price - offer.price_usd_per_hour) <= _SAME_PRICE_USD",
        "same = price <= offer.price_usd_per_hour + _SAME_PRICE_USD",
        (f"{LIMITED}::test_a_cheaper_rental_keeps_its_deadline_through_later_deploys",),
    ),
    Mutation(
        "unmoved-deadline-accepted",
        "a budget is overdrawn where the provider keeps the old mark",
        f"{MARKET}/rentals/lifecycle.py",
        'raise self._too_dear(rental, offer, f"and its deadline stays: {error.cause}") from error',
        "return rental",
        (f"{LIMITED}::test_a_dearer_rental_whose_deadline_cannot_be_moved_is_released",),
    ),
    Mutation(
        "spent-budget-spent-again",
        "each attempt may spend the whole budget",
        f"{MARKET}/rentals/desk.py",
        "left = lifetime.seconds_left(offer.price_usd_per_hour)",
        "left = seconds",
        (
            f"{LIMITED}::test_what_was_spent_ends_a_rental_sooner_and_a_later_deploy_gives_nothing_back",
        ),
    ),
    Mutation(
        "deploy-gives-back-what-was-spent",
        "the next deploy moves a deadline past the budget",
        f"{MARKET}/rentals/desk.py",
        "        seconds = lifetime.seconds(offer.price_usd_per_hour)\n",
        "        seconds = lifetime.seconds_left(offer.price_usd_per_hour)\n",
        (
            f"{LIMITED}::test_what_was_spent_ends_a_rental_sooner_and_a_later_deploy_gives_nothing_back",
        ),
    ),
    Mutation(
        "no-price-is-a-new-wish",
        "a row without a price moves a deadline past the budget",
        f"{MARKET}/rentals/desk.py",
        "unpriced = bool(lifetime.budget_usd) and kept.price_usd_per_hour is None",
        "unpriced = False",
        (f"{LIMITED}::test_a_row_that_shows_no_price_moves_no_deadline",),
    ),
    Mutation(
        "claimed-machine-costs-an-attempt",
        "parallel hosts fail although offers are plenty",
        f"{MARKET}/rentals/lifecycle.py",
        "                shunned.add(offer.machine_id)\n                continue\n",
        "                requests += 1\n                continue\n",
        (f"{LIMITED}::test_machines_that_other_hosts_rent_cost_no_attempt",),
    ),
    Mutation(
        "dear-bill-is-not-said",
        "a bill far above the price is found at the end of the month",
        f"{MARKET}/model.py",
        "    return one_usd - other_usd > max(0.05 * other_usd, 0.01)\n",
        "    return one_usd - other_usd > max(50 * other_usd, 10)\n",
        (f"{LIFECYCLE}::test_a_bill_that_is_dearer_than_the_price_lets_expect_is_said",),
    ),
    Mutation(
        "unreadable-bill-stops-a-release",
        "a teardown fails at a bill, after what it was for has ended",
        f"{MARKET}/rentals/account.py",
        "else round(billed, 4)\n        except MarketError as error:\n",
        "else round(billed, 4)\n        except KeyError as error:\n",
        (f"{LIFECYCLE}::test_bills_that_nobody_may_read_keep_nobody_from_releasing",),
    ),
    Mutation(
        "memory-is-no-part-of-a-gpu",
        "a wish for an A100 of 80 GB rents one of 40",
        f"{MARKET}/gpus.py",
        "for word in words if word not in _NOISE)",
        'for word in words if word not in _NOISE and not word.endswith("gb"))',
        (f"{UNIT}/test_gpus.py::test_other_gpus_have_other_keys",),
    ),
)
