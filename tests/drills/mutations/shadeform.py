# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shadeform's own ways to rent twice, to bill on unseen, and to end a host too early."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import MARKET, UNIT

FILE = f"{MARKET}/providers/shadeform.py"
CONTRACT = "tests/unit/simulator/test_shadeform_contract.py"
CLAUSES = f"{UNIT}/conformance/test_clauses.py"

MUTATIONS = (
    Mutation(
        "shadeform-never-deletes",
        "an instance whose controller never comes back bills for ever",
        FILE,
        '        **({"auto_delete": {"date_threshold": _date(mark.deadline)}} if mark.deadline'
        " else {}),\n",
        "",
        (f"{CONTRACT}::test_shadeform_deletes_it_at_its_deadline_whoever_is_gone_by_then",),
    ),
    Mutation(
        "shadeform-deletes-at-the-old-deadline",
        "an extended host is deleted at the deadline that it had before",
        FILE,
        '            "auto_delete": limits if any(limits.values()) else None,\n',
        "",
        (f"{CONTRACT}::test_the_end_moves_along_with_the_mark",),
    ),
    Mutation(
        "shadeform-believes-that-the-end-has-moved",
        "an extension that Shadeform did not take over is told as done",
        FILE,
        "        if seen is None or not _ends_at(seen, mark.deadline):\n",
        "        if seen is None:\n",
        (f"{CONTRACT}::test_an_end_that_does_not_move_is_told",),
    ),
    Mutation(
        "shadeform-forgets-what-it-may-cost",
        "a limit that a person has set to an instance's cost is lost with a new deadline",
        FILE,
        '        limits = {**_limits(row), "date_threshold": _date(mark.deadline)}\n',
        '        limits = {"date_threshold": _date(mark.deadline)}\n',
        (f"{CONTRACT}::test_what_a_person_has_added_outlives_a_new_mark",),
    ),
    Mutation(
        "shadeform-page-is-gone",
        "a gateway's page says that an instance is gone, which bills on",
        FILE,
        "    return response.status == 404 and bool(own) and bool(_NO_SUCH.search(said))\n",
        "    return response.status == 404\n",
        (
            f"{CLAUSES}::test_an_answer_that_is_none_says_nothing",
            f"{CONTRACT}::test_gone_is_said_in_its_own_words",
        ),
    ),
    Mutation(
        "shadeform-believes-a-delete",
        "an instance that was not deleted, whatever the answer, is taken for one that was",
        FILE,
        "        if self._row(rental_id, doing) is not None:\n",
        "        if False:\n",
        (
            f"{CONTRACT}::test_a_delete_without_effect_is_told",
            f"{CLAUSES}::test_what_was_not_confirmed_is_an_error",
        ),
    ),
    Mutation(
        "shadeform-error-is-gone",
        "an instance that went wrong is taken for one that bills no more",
        FILE,
        '_GONE = ("deleting", "deleted")\n',
        '_GONE = ("deleting", "deleted", "error")\n',
        (f"{CONTRACT}::test_an_instance_is_in_one_of_its_states",),
    ),
    Mutation(
        "shadeform-5xx-rented-nothing",
        "a rental request that a gateway gave up is taken for one that was not carried out",
        FILE,
        "    return own and 400 <= response.status < 500 and response.status != 408\n",
        "    return own and response.status >= 400\n",
        (f"{CONTRACT}::test_a_refused_create_is_told_by_its_kind",),
    ),
    Mutation(
        "shadeform-own-fault-rented-nothing",
        "a rental request that broke within Shadeform is taken for one that was not carried out",
        FILE,
        "    if _BROKEN.search(said):\n",
        "    if False:\n",
        (f"{CONTRACT}::test_a_refused_create_is_told_by_its_kind",),
    ),
    Mutation(
        "shadeform-rents-what-is-dearer",
        "a machine is rented at another price than was offered",
        FILE,
        "                if one.id == offer.id and not dearer:\n",
        "                if one.id == offer.id:\n",
        (f"{CONTRACT}::test_what_has_become_dearer_is_not_rented",),
    ),
    Mutation(
        "shadeform-offers-what-may-be-taken-away",
        "a spot machine, which anybody may take away, is offered like any other",
        FILE,
        '    on_demand = place.get("rental_type", _ON_DEMAND) == _ON_DEMAND\n',
        "    on_demand = True\n",
        (f"{CONTRACT}::test_what_cannot_be_used_is_no_offer",),
    ),
    Mutation(
        "shadeform-lets-in-the-accounts-default-key",
        "whoever has the account's default key is let in, and the user is not",
        FILE,
        '        "ssh_key_id": key_id,\n',
        "",
        (f"{CONTRACT}::test_a_key_is_registered_once_and_stays",),
    ),
    Mutation(
        "shadeform-without-a-second-mark",
        "an instance whose tags were written over is nobody's, and bills on",
        FILE,
        "    return found[1] if found else None\n",
        "    return None\n",
        (
            f"{CLAUSES}::test_a_label_that_was_written_over_leaves_the_mark_where_a_second_one_is_kept",
        ),
    ),
)
