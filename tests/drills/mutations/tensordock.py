# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TensorDock's own ways to rent twice, to bill on unseen, and to let nobody in."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import MARKET

FILE = f"{MARKET}/providers/tensordock.py"
CONTRACT = "tests/unit/simulator/test_tensordock_contract.py"

MUTATIONS = (
    Mutation(
        "tensordock-page-is-gone",
        "a gateway's page says that an instance is gone, which bills on",
        FILE,
        "    return status == 404 and bool(_NO_SUCH.search(said))\n",
        "    return status == 404\n",
        (f"{CONTRACT}::test_other_words_do_not_say_that_one_is_gone",),
    ),
    Mutation(
        "tensordock-words-are-gone",
        "an error of another kind that says not found proves an instance gone",
        FILE,
        "    return status == 404 and bool(_NO_SUCH.search(said))\n",
        "    return bool(_NO_SUCH.search(said))\n",
        (f"{CONTRACT}::test_other_words_do_not_say_that_one_is_gone",),
    ),
    Mutation(
        "tensordock-good-status-is-good",
        "a list with an error in it is an empty list: nothing is rented, and nothing released",
        FILE,
        "        if said:\n            raise ProviderUnavailable(",
        "        if False:\n            raise ProviderUnavailable(",
        (f"{CONTRACT}::test_an_error_under_a_good_status_is_no_answer",),
    ),
    Mutation(
        "tensordock-no-node-ends-the-run",
        "one location that offers what nobody has keeps the next one from being tried",
        FILE,
        "    if _NO_NODE.search(said):\n",
        "    if False:\n",
        (f"{CONTRACT}::test_a_refused_rental_request_is_told_by_its_words",),
    ),
    Mutation(
        "tensordock-unexpected-error-rented-nothing",
        "a rental request that broke on its way is taken for one that was not carried out",
        FILE,
        "    if not said or not refused or _BROKEN.search(said):\n",
        "    if not said or not refused:\n",
        (f"{CONTRACT}::test_a_refused_rental_request_is_told_by_its_words",),
    ),
    Mutation(
        "tensordock-5xx-rented-nothing",
        "a rental request that a gateway gave up is taken for one that was not carried out",
        FILE,
        "    refused = 400 <= status < 500 and status != 408\n",
        "    refused = status >= 400\n",
        (f"{CONTRACT}::test_a_refused_rental_request_is_told_by_its_words",),
    ),
    Mutation(
        "tensordock-id-beside-an-error",
        "a rental that was named beside an error is believed to be in order",
        FILE,
        "        good = response.status in (200, 201) and not said\n",
        "        good = response.status in (200, 201)\n",
        (f"{CONTRACT}::test_an_id_beside_an_error_may_bill",),
    ),
    Mutation(
        "tensordock-gives-up-early",
        "each rental request is unclear, for its answer takes more than a minute",
        FILE,
        '{_CALL: 120.0, "create": 120.0}',
        '{_CALL: 120.0, "create": 30.0}',
        (f"{CONTRACT}::test_an_answer_is_waited_for_longer_than_a_minute",),
    ),
    Mutation(
        "tensordock-short-list-has-no-price",
        "what a short list shows has no price, so whatever is rented under a limit is released",
        FILE,
        '            return self._row(rental_id, f"Reading rental {rental_id}") or row\n',
        "            return row\n",
        (f"{CONTRACT}::test_list_and_read_agree_in_each_of_their_shapes",),
    ),
    Mutation(
        "tensordock-read-overrules-the-list",
        "one wrong answer proves an end by both of its witnesses, and the instance bills on",
        FILE,
        "        return [self._listed(self._completed(row)) for row in rows"
        " if _word(row) != _GONE]\n",
        "        whole = [self._row(row['id'], '') for row in rows]\n"
        "        return [self._listed(row) for row in whole if row]\n",
        (f"{CONTRACT}::test_what_a_short_list_shows_is_there_although_it_is_not_found",),
    ),
    Mutation(
        "tensordock-one-row-hides-the-list",
        "one instance that cannot be read keeps all others from being released",
        FILE,
        "        except ProviderUnavailable:\n            return row\n",
        "        except KeyError:\n            return row\n",
        (f"{CONTRACT}::test_one_that_cannot_be_read_now_does_not_hide_itself",),
    ),
    Mutation(
        "tensordock-untold-part-is-free",
        "a price lacks what the memory costs, and the deadline that follows from it lies too late",
        FILE,
        '    ram_usd = required(prices, "per_gb_ram_hr") * size.ram_gb\n',
        '    ram_usd = (numeric(prices, "per_gb_ram_hr") or 0.0) * size.ram_gb\n',
        (f"{CONTRACT}::test_a_price_that_lacks_a_part_is_none",),
    ),
    Mutation(
        "tensordock-port-stays-closed",
        "a host is rented and paid for whose port 22 nobody has forwarded",
        FILE,
        '        "useDedicatedIp": True,\n',
        "",
        (f"{CONTRACT}::test_nothing_more_is_sent_than_its_page_has",),
    ),
    Mutation(
        "tensordock-nobody-is-let-in",
        "a host is rented and paid for that lets in root alone, while we are user",
        FILE,
        "    script += _LET_IN.format(key=shlex.quote(key))\n",
        "",
        (f"{CONTRACT}::test_user_is_let_in_once_however_often_it_runs",),
    ),
    Mutation(
        "tensordock-unconfirmed-release",
        "an answer with an error in it confirms a release",
        FILE,
        "    return response.status == 200 and success and not _error(response)[1]\n",
        "    return response.status == 200 and success\n",
        (f"{CONTRACT}::test_an_answer_that_confirms_nothing_is_no_release",),
    ),
    Mutation(
        "tensordock-proof-gives-up-early",
        "each teardown fails, because an instance takes its minutes to end",
        FILE,
        "    ends_within_seconds = 300.0\n",
        "    ends_within_seconds = 90.0\n",
        (f"{CONTRACT}::test_a_release_is_proven_once_it_is_not_found_any_more",),
    ),
    Mutation(
        "tensordock-keeps-what-is-ending",
        "a deploy keeps a rental whose end was asked for, and nobody has a host a moment later",
        FILE,
        "            is_ending=_word(row) == _DELETING,\n",
        "",
        (f"{CONTRACT}::test_one_that_is_being_deleted_can_be_released_again",),
    ),
)
