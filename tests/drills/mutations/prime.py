# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prime Intellect's own ways to rent twice, to bill on unseen, and to log in somewhere else."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import MARKET

FILE = f"{MARKET}/providers/prime.py"
CONTRACT = "tests/unit/simulator/test_prime_contract.py"

MUTATIONS = (
    Mutation(
        "prime-not-found-is-gone",
        "a wrong address says that a pod is gone, which bills on",
        FILE,
        "response.status == 404 and _is_refusal(response) and self._has_ended(rental_id):",
        "response.status == 404 and _is_refusal(response):",
        (f"{CONTRACT}::test_a_wrong_address_says_of_no_pod_that_it_is_gone",),
    ),
    Mutation(
        "prime-dearer-than-offered",
        "a plan is rented that has become dearer since it was found",
        FILE,
        "json.dumps([_price(row), *(row.get(field) for field in _PLAN)]",
        "json.dumps([row.get(field) for field in _PLAN]",
        (f"{CONTRACT}::test_an_offer_whose_price_has_moved_is_gone_before_it_is_rented",),
    ),
    Mutation(
        "prime-terminated-bills",
        "a pod that is gone for good is released again and again, and never proven gone",
        FILE,
        '        return None if row.get("status") == _GONE else self._rental(row)\n',
        "        return self._rental(row)\n",
        (f"{CONTRACT}::test_a_terminated_pod_is_gone",),
    ),
    Mutation(
        "prime-another-pods-row",
        "the row of another pod is believed to be that of ours",
        FILE,
        "row = own_row(self._ok(response, doing), rental_id, response, doing)",
        "row = self._ok(response, doing)",
        (f"{CONTRACT}::test_another_pod_in_the_answer_is_no_answer",),
    ),
    Mutation(
        "prime-5xx-rented-nothing",
        "a rental request that a cloud behind it gave up is taken for one that was not carried out",
        FILE,
        "    return own and 400 <= response.status < 500 and response.status != 408\n",
        "    return own and response.status >= 400\n",
        (f"{CONTRACT}::test_a_refused_rental_request_is_told_by_its_kind",),
    ),
    Mutation(
        "prime-id-beside-an-error-is-lost",
        "a pod whose id came beside an error is not looked for by it",
        FILE,
        'response, data.get("id"), response.status in (200, 201))',
        'response, response.status == 200 and data.get("id"), True)',
        (f"{CONTRACT}::test_an_id_beside_an_error_is_the_rental_to_look_for",),
    ),
    Mutation(
        "prime-no-capacity-ends-the-run",
        "one plan that is taken keeps the next one from being tried",
        FILE,
        "    if response.status != 422 and _NO_CAPACITY.search(said):\n",
        "    if False:\n",
        (f"{CONTRACT}::test_a_refused_rental_request_is_told_by_its_kind",),
    ),
    Mutation(
        "prime-pages-that-moved",
        "a pod that moved to another page meanwhile is in no list, and bills on",
        FILE,
        'if rows and (not page or page[0]["id"] != rows[-1]["id"]):',
        "if False:",
        (f"{CONTRACT}::test_a_pod_that_ends_between_two_pages_hides_no_other_one",),
    ),
    Mutation(
        "prime-short-list-is-whole",
        "a list that lacks pods is taken for all of them",
        FILE,
        '        if not len({row["id"] for row in rows}) == len(rows) == total:\n',
        "        if False:\n",
        (f"{CONTRACT}::test_a_list_that_is_not_as_long_as_it_says_is_no_list",),
    ),
    Mutation(
        "prime-spot-is-rented",
        "a pod is rented that its cloud takes away when it likes",
        FILE,
        'is_denied(row, "isSpot") and ',
        "",
        (f"{CONTRACT}::test_what_may_be_taken_away_or_moves_its_price_is_no_offer",),
    ),
    Mutation(
        "prime-euros-are-dollars",
        "a price in another currency is taken for dollars, and the deadline lies too late",
        FILE,
        'if prices.get("currency") != "USD" or price <= 0:',
        "if price <= 0:",
        (f"{CONTRACT}::test_offers_that_nobody_understands_are_no_market_without_offers",),
    ),
    Mutation(
        "prime-slashes-in-a-name",
        "the mark has letters that a pod's name may not have",
        FILE,
        '            "name": with_dashes(order.mark.encode()),\n',
        '            "name": order.mark.encode(),\n',
        (f"{CONTRACT}::test_a_pods_name_has_letters_digits_and_dashes_alone",),
    ),
    Mutation(
        "prime-part-of-a-way-in",
        "what stands behind the way in, such as an option of ssh, is overlooked",
        FILE,
        "    found = _SSH.fullmatch(told.strip())\n",
        "    found = _SSH.match(told.strip())\n",
        (f"{CONTRACT}::test_a_way_in_that_is_none_is_never_used",),
    ),
)
