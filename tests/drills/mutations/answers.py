# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""P2: what an answer means."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import MARKET, RULES, TRANSPORT, VASTAI

MUTATIONS = (
    Mutation(
        "any-404-is-gone",
        "a revoked key makes every rental look released",
        f"{MARKET}/providers/vastai.py",
        'return response.status == 404 and data.get("error") in ("no_such_instance", "not_found")',
        "return response.status == 404",
        (f"{VASTAI}::test_an_unknown_404_is_not_gone",),
    ),
    Mutation(
        "first-page-only",
        "the rentals of later pages are never seen again",
        f"{MARKET}/providers/vastai.py",
        "            if not token:\n",
        "            if True:\n",
        (f"{VASTAI}::test_every_page_of_the_list_is_read",),
    ),
    Mutation(
        "odd-row-hides-the-account",
        "one odd row of a stranger keeps every rental from being released",
        f"{MARKET}/providers/vastai.py",
        "return [self._listed(row) for row in by_id.values()]",
        "return [self._rental(row) for row in by_id.values()]",
        (
            f"{VASTAI}::test_a_strangers_row_that_stays_odd_is_in_nobodys_way",
            f"{VASTAI}::test_a_row_of_ours_that_stays_odd_is_named_and_can_still_be_released",
        ),
    ),
    Mutation(
        "token-ignored",
        "no account with more than one page can be listed",
        f"{MARKET}/providers/vastai.py",
        'token = data.get("next_token")',
        "token = None",
        (f"{VASTAI}::test_every_page_of_the_list_is_read",),
    ),
    Mutation(
        "total-ignored",
        "a list that lost a page counts as complete",
        f"{MARKET}/providers/vastai.py",
        "str(len(by_id)) != str(total)",
        "None in by_id",
        (f"{VASTAI}::test_a_short_list_is_not_trusted",),
    ),
    Mutation(
        "null-list-is-empty",
        "an answer without a list counts as an empty account",
        f"{MARKET}/providers/vastai.py",
        "page = data.get(field)\n",
        "page = data.get(field) or []\n",
        (f"{RULES}::test_a_list_that_only_looks_empty_is_not_believed",),
    ),
    Mutation(
        "failed-answer-believed",
        "an answer that says that it failed counts as an empty account",
        f"{MARKET}/providers/vastai.py",
        'if not isinstance(data, dict) or data.get("success") is False:',
        "if not isinstance(data, dict):",
        (f"{RULES}::test_a_list_that_only_looks_empty_is_not_believed",),
    ),
    Mutation(
        "missing-row-is-gone",
        "an answer about nothing counts as proof that the rental is gone",
        f"{MARKET}/providers/vastai.py",
        'row = data.get("instances", "")',
        'row = data.get("instances")',
        (f"{RULES}::test_a_read_that_shows_no_such_rental_does_not_say_that_it_is_gone",),
    ),
    Mutation(
        "another-row-accepted",
        "another rental's row is taken for the one that was asked for",
        f"{MARKET}/providers/vastai.py",
        'if not isinstance(row, dict) or str(row.get("id")) != rental_id:',
        "if not isinstance(row, dict):",
        (f"{RULES}::test_a_read_that_shows_no_such_rental_does_not_say_that_it_is_gone",),
    ),
    Mutation(
        "bad-key-in-404-unseen",
        "a key that is refused by 404 counts as a hiccup",
        f"{MARKET}/providers/vastai.py",
        "if not 200 <= response.status < 300 and any(words in said for words in _BAD_KEY):",
        "if False:",
        (f"{VASTAI}::test_an_unknown_404_is_not_gone",),
    ),
    Mutation(
        "stale-503-unknown",
        "a stale offer told by 503 ends the run instead of taking the next one",
        f"{MARKET}/providers/vastai.py",
        "return _STALE in response.text.casefold()",
        "return False",
        (f"{RULES}::test_an_offer_that_is_stale_by_503_takes_the_next_one",),
    ),
    Mutation(
        "any-503-is-stale",
        "a rental request that may have been carried out is followed by a second one",
        f"{MARKET}/providers/vastai.py",
        "return _STALE in response.text.casefold()",
        "return response.status == 503",
        (f"{VASTAI}::test_a_503_is_never_taken_for_a_stale_offer",),
    ),
    Mutation(
        "id-beside-error-ignored",
        "a rental that was made beside an error bills unseen",
        f"{MARKET}/providers/rest.py",
        "        if told:\n            raise UnclearCreate(",
        "        if False:\n            raise UnclearCreate(",
        (f"{VASTAI}::test_an_error_beside_an_id_tells_the_id",),
    ),
    Mutation(
        "stopped-instance-accepted",
        "a lost race leaves a stopped rental that bills its disk",
        f"{MARKET}/providers/vastai.py",
        '"cancel_unavail": True,',
        '"cancel_unavail": False,',
        (f"{RULES}::test_a_lost_race_never_leaves_a_stopped_rental",),
    ),
    Mutation(
        "damaged-row-crashes",
        "a row of wrong types ends the run while a rental bills",
        f"{MARKET}/providers/rest.py",
        "        except DAMAGED as error:\n            known = row",
        "        except ZeroDivisionError as error:\n            known = row",
        (f"{VASTAI}::test_odd_rows_after_a_create_are_looked_at_again",),
    ),
    Mutation(
        "gateway-page-believed",
        "a rental request that a gateway denies after it was done bills unseen",
        f"{MARKET}/providers/vastai.py",
        "return response.status != 408 and (own_words or offer_gone)",
        "return response.status != 408",
        (f"{VASTAI}::test_a_gateway_that_refuses_a_create_after_it_was_done_hides_no_rental",),
    ),
    Mutation(
        "gateway-json-believed",
        "a rental request that a gateway denies in JSON after it was done bills unseen",
        f"{MARKET}/providers/vastai.py",
        'own_words = said.get("success") is False or "error" in said',
        "own_words = isinstance(response.data, dict)",
        (f"{VASTAI}::test_a_gateways_refusal_of_a_create_that_was_carried_out_is_not_believed",),
    ),
    Mutation(
        "create-timeout-believed",
        "a rental request that was answered too late bills unseen",
        f"{MARKET}/providers/vastai.py",
        "return response.status != 408 and (own_words or offer_gone)",
        "return own_words or offer_gone",
        (f"{VASTAI}::test_a_gateway_that_refuses_a_create_after_it_was_done_hides_no_rental",),
    ),
    Mutation(
        "rate-limited-create-is-unclear",
        "a rental request that was certainly not carried out is told as money at stake",
        f"{MARKET}/providers/rest.py",
        "        except RateLimited:\n            raise\n",
        "",
        (
            f"{TRANSPORT}::test_a_create_that_is_refused_for_its_rate_rents_nothing_and_blames_no_option",
        ),
    ),
)
