# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GPU shopper's own ways to rent twice, to bill on unseen, to lock us out and to tell a key."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import MARKET

FILE = f"{MARKET}/providers/shopper.py"
TRANSPORT = f"{MARKET}/providers/transport.py"
CONTRACT = "tests/unit/simulator/test_shopper_contract.py"
ENDS = f"{CONTRACT}::test_a_session_has_ended_when_what_is_said_of_its_end_does_not_leave_it_open"
KINDS = f"{CONTRACT}::test_a_refused_rental_request_is_told_by_its_kind"

MUTATIONS = (
    Mutation(
        "shopper-stopped-is-gone",
        "a session that the service gave up counts as gone, and its instance bills on",
        FILE,
        "        return bool(_ENDED.match(error))\n",
        "        return True\n",
        (ENDS,),
    ),
    Mutation(
        "shopper-missed-is-gone",
        "an instance that the service lost sight of counts as gone at once",
        FILE,
        "            return self._is_past_its_end(row)\n",
        "            return True\n",
        (ENDS,),
    ),
    Mutation(
        "shopper-failed-is-gone",
        "a session counts as never begun whose instance may have been made",
        FILE,
        "    return error.startswith(_NOT_MADE) and certain\n",
        "    return error.startswith(_NOT_MADE)\n",
        (ENDS,),
    ),
    Mutation(
        "shopper-refused-lasts",
        "a request that was refused is a rental for ever, which nobody can end",
        FILE,
        '            return _never_began(error or "")\n',
        "            return False\n",
        (ENDS,),
    ),
    Mutation(
        "shopper-forgotten-is-gone",
        "sessions are gone that another database does not have",
        FILE,
        "        for rental_id in self._shown - listed:\n",
        "        for rental_id in ():\n",
        (f"{CONTRACT}::test_sessions_that_a_service_has_lost_are_not_gone",),
    ),
    Mutation(
        "shopper-any-404-is-gone",
        "a wrong address says that a session never was",
        FILE,
        "if response.status == 404 and _error(response) == _UNKNOWN:",
        "if response.status == 404:",
        (f"{CONTRACT}::test_only_its_own_words_say_that_a_session_never_was",),
    ),
    Mutation(
        "shopper-short-list-is-whole",
        "a list that lacks sessions is taken for all of them",
        FILE,
        'if not isinstance(rows, list) or data.get("count") != len(rows):',
        "if not isinstance(rows, list):",
        (f"{CONTRACT}::test_a_list_that_is_not_as_long_as_it_says_is_no_list",),
    ),
    Mutation(
        "shopper-rents-another-offer",
        "the service takes another offer at another price, under the same mark",
        FILE,
        '        "auto_retry": False,\n',
        '        "auto_retry": True,\n',
        (
            f"{CONTRACT}"
            "::test_a_rental_request_reserves_until_the_deadline_and_takes_no_other_offer",
        ),
    ),
    Mutation(
        "shopper-hours-beyond-the-deadline",
        "the service ends a rental up to an hour past its deadline",
        FILE,
        "    if rest or not 1 <= hours <= _MOST_HOURS:\n",
        "    hours += bool(rest)\n    if not 1 <= hours <= _MOST_HOURS:\n",
        (f"{CONTRACT}::test_a_deadline_that_the_service_does_not_keep_is_refused_before_it_costs",),
    ),
    Mutation(
        "shopper-hangs-up",
        "who waits for an instance hangs up, and the service loses what it was making",
        FILE,
        '        ("create", "destroy"), _ANSWER_SECONDS\n',
        '        ("create",), _ANSWER_SECONDS\n',
        (f"{CONTRACT}::test_who_waits_for_an_instance_or_its_end_does_not_hang_up_on_the_service",),
    ),
    Mutation(
        "shopper-stale-is-an-outage",
        "one offer that is taken keeps the next one from being tried",
        FILE,
        'if response.status == 503 and _data(response).get("error_type") == _STALE:',
        "if False:",
        (KINDS,),
    ),
    Mutation(
        "shopper-sent-on-twice",
        "a request that was carried out before is taken for one that was refused",
        FILE,
        "    if response.status == 400 and error:\n",
        "    if response.status in (400, 409) and error:\n",
        (KINDS,),
    ),
    Mutation(
        "shopper-broken-there-rented-nothing",
        "an instance that its marketplace may have made is not looked for",
        FILE,
        "    return status if 400 <= status < 500 and status != 408 else None\n",
        "    return status if status >= 400 else None\n",
        (KINDS, ENDS),
        least_red=2,
    ),
    Mutation(
        "shopper-key-in-a-message",
        "the private key that the service tells is in an error, and so in a log",
        TRANSPORT,
        '        text = _PRIVATE_KEY.sub("***", text[:_MOST_READ_LETTERS])\n',
        "        text = text[:_MOST_READ_LETTERS]\n",
        (f"{CONTRACT}::test_the_services_private_key_is_in_no_message",),
    ),
    Mutation(
        "shopper-blind-service-proves",
        "a service that sees none of its marketplaces proves that an instance is gone",
        FILE,
        '        self._offers("Checking the service", {"limit": 1})\n',
        "",
        (f"{CONTRACT}::test_a_service_that_cannot_see_its_marketplaces_proves_no_absence",),
    ),
    Mutation(
        "shopper-promises-more-memory-than-was-told",
        "honest hosts with small cards are paid for and given up, one after the other",
        FILE,
        "    return round(whole_gib + min(_CUT_OFF_GIB, whole_gib * _CUT_OFF_SHARE), 2)\n",
        "    return whole_gib + _CUT_OFF_GIB\n",
        (f"{CONTRACT}::test_memory_that_comes_cut_to_whole_gib_refuses_no_honest_host",),
        least_red=2,
    ),
    Mutation(
        "shopper-without-switch",
        "a host bills on when the machine goes away that both controller and service are on",
        FILE,
        "order.mark.deadline, SELF_RELEASE, _PYTHON\n",
        "order.mark.deadline, None, _PYTHON\n",
        (f"{CONTRACT}::test_the_switch_goes_along_for_a_service_that_does_not_come_back",),
    ),
    Mutation(
        "shopper-keeps-what-is-ending",
        "a deploy keeps a rental whose end was asked for, and nobody has a host a moment later",
        FILE,
        '            is_ending=row.get("status") == _STOPPING,\n',
        "",
        (f"{CONTRACT}::test_a_session_is_in_one_of_its_states",),
    ),
)
