# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RunPod's own ways to rent twice, to bill on unseen, and to let nobody in."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import MARKET, UNIT

FILE = f"{MARKET}/providers/runpod.py"
SHARED = f"{MARKET}/providers/rest.py"
CONTRACT = "tests/unit/simulator/test_runpod_contract.py"
CLAUSES = f"{UNIT}/conformance/test_clauses.py"

MUTATIONS = (
    Mutation(
        "runpod-page-is-gone",
        "a gateway's page says that a pod is gone, which bills on",
        FILE,
        "    return response.status == 404 and _is_problem(response)\n",
        "    return response.status == 404\n",
        (f"{CLAUSES}::test_an_answer_that_is_none_says_nothing",),
    ),
    Mutation(
        "runpod-5xx-rented-nothing",
        "a rental request that a gateway gave up is taken for one that was not carried out",
        FILE,
        "    return own and 400 <= response.status < 500 and response.status != 408\n",
        "    return own and response.status >= 400\n",
        (f"{CONTRACT}::test_a_refused_create_is_told_by_its_kind",),
    ),
    Mutation(
        "runpod-id-beside-an-error-is-lost",
        "a pod whose id came beside an error is not looked for by it",
        FILE,
        'response, data.get("id"), response.status == 201)',
        'response, response.status == 201 and data.get("id"), True)',
        (f"{CONTRACT}::test_an_id_beside_an_error_is_the_rental_to_look_for",),
    ),
    Mutation(
        "runpod-no-capacity-ends-the-run",
        "one kind of GPU that is out of stock keeps the next one from being tried",
        FILE,
        "    if response.status == 400 and _NO_CAPACITY.search(said):\n",
        "    if False:\n",
        (f"{CONTRACT}::test_a_refused_create_is_told_by_its_kind",),
    ),
    Mutation(
        "runpod-rule-is-no-capacity",
        "a request that breaks a rule is sent for one offer after another",
        FILE,
        "    if response.status == 400 and _NO_CAPACITY.search(said):\n",
        "    if response.status == 400:\n",
        (f"{CONTRACT}::test_a_refused_create_is_told_by_its_kind",),
    ),
    Mutation(
        "runpod-terminated-bills",
        "a pod that is gone for good is released again and again, and never proven gone",
        FILE,
        '        return None if row.get("status") == _GONE else self._rental(row)\n',
        "        return self._rental(row)\n",
        (f"{CONTRACT}::test_a_terminated_pod_is_gone",),
    ),
    Mutation(
        "runpod-another-pods-row",
        "the row of another pod is believed to be that of ours",
        FILE,
        "row = own_row(expect_ok(response, doing), rental_id, response, doing)",
        "row = expect_ok(response, doing)",
        (f"{CONTRACT}::test_another_pod_in_the_answer_is_no_answer",),
    ),
    Mutation(
        "runpod-odd-row-hides-the-list",
        "one odd pod of somebody else's keeps all others from being found and released",
        SHARED,
        "            if not isinstance(row, dict):\n",
        "            if True:\n",
        (f"{CONTRACT}::test_one_odd_row_hides_neither_itself_nor_the_others",),
    ),
    Mutation(
        "runpod-odd-catalogue-is-empty",
        "a catalogue that nobody understands reads as a market without offers",
        SHARED,
        "    if odd and not offers:\n",
        "    if False:\n",
        (f"{CONTRACT}::test_a_catalogue_that_nobody_understands_is_no_market_without_offers",),
    ),
    Mutation(
        "runpod-anywhere",
        "a pod runs in another country than was wished for",
        FILE,
        '            body["dataCenterIds"] = self._data_centers(offer)\n',
        "            pass\n",
        (f"{CONTRACT}::test_a_country_that_is_wished_for_is_where_the_pod_runs",),
    ),
    Mutation(
        "runpod-shell-for-people-is-the-way-in",
        "the host is looked for behind a proxy that carries no command",
        FILE,
        '    direct = (row.get("ssh") or {}).get("direct")\n',
        '    ssh = row.get("ssh") or {}\n    direct = ssh.get("direct") or ssh.get("proxy")\n',
        (f"{CONTRACT}::test_the_way_in_is_the_direct_one_and_never_the_shell_for_people",),
    ),
    Mutation(
        "runpod-without-a-second-mark",
        "a pod whose name was written over is nobody's, and bills on",
        FILE,
        "    return copy if isinstance(copy, str) else None\n",
        "    return None\n",
        (
            f"{CLAUSES}::test_a_label_that_was_written_over_leaves_the_mark_where_a_second_one_is_kept",
        ),
    ),
    Mutation(
        "runpod-without-a-switch",
        "a pod whose controller never comes back bills for ever",
        FILE,
        "order.mark.deadline, _SELF_RELEASE",
        "order.mark.deadline, None",
        (f"{CONTRACT}::test_the_switch_is_sent_along_though_nobody_counts_on_it",),
    ),
    Mutation(
        "runpod-bill-of-all-pods",
        "a pod is told to have cost what the whole account has",
        FILE,
        "for _hour, pod, usd in bills if pod == rental_id]",
        "for _hour, pod, usd in bills]",
        (f"{CONTRACT}::test_the_bill_of_a_pod_is_its_own",),
    ),
)
