# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lambda Cloud's own ways to rent twice, to bill on unseen, and to let nobody in."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import MARKET, PROBE, UNIT

FILE = f"{MARKET}/providers/lambda_cloud.py"
CONTRACT = "tests/unit/simulator/test_lambda_contract.py"
CLAUSES = f"{UNIT}/conformance/test_clauses.py"

MUTATIONS = (
    Mutation(
        "lambda-page-is-gone",
        "a gateway's page says that an instance is gone, which bills on",
        FILE,
        "    return response.status == 404 and _code(response) == _NO_SUCH_OBJECT\n",
        "    return response.status == 404\n",
        (f"{CLAUSES}::test_an_answer_that_is_none_says_nothing",),
    ),
    Mutation(
        "lambda-terminating-is-gone",
        "an instance that does not end after all is proven gone by its first word",
        FILE,
        'return None if row is None or row.get("status") == _GONE else self._rental(row)\n',
        'return None if row is None or row.get("status") in _ENDING else self._rental(row)\n',
        (f"{CONTRACT}::test_one_that_ends_already_can_be_released_again",),
    ),
    Mutation(
        "lambda-terminated-bills",
        "an instance that is gone for good is released again and again, and never proven gone",
        FILE,
        'return None if row is None or row.get("status") == _GONE else self._rental(row)\n',
        "return None if row is None else self._rental(row)\n",
        (f"{CONTRACT}::test_a_terminated_instance_is_gone",),
    ),
    Mutation(
        "lambda-proof-gives-up-early",
        "each teardown fails, because an instance takes its minutes to end",
        FILE,
        "    ends_within_seconds = 600.0\n",
        "    ends_within_seconds = 90.0\n",
        (f"{CONTRACT}::test_a_release_is_proven_once_it_is_terminated",),
    ),
    Mutation(
        "lambda-unclear-error-rented-nothing",
        "a launch that broke behind Lambda's own API is taken for one that was not carried out",
        FILE,
        "    clear = bool(code) and code not in _UNCLEAR and not code.startswith(_OF_A_PROVIDER)\n",
        "    clear = bool(code)\n",
        (f"{CONTRACT}::test_a_refused_launch_is_told_by_its_code",),
    ),
    Mutation(
        "lambda-5xx-rented-nothing",
        "a launch that a gateway gave up is taken for one that was not carried out",
        FILE,
        "    return clear and 400 <= response.status < 500 and response.status != 408\n",
        "    return clear and response.status >= 400\n",
        (f"{CONTRACT}::test_a_refused_launch_is_told_by_its_code",),
    ),
    Mutation(
        "lambda-no-capacity-ends-the-run",
        "one type that is sold out in its region keeps the next one from being tried",
        FILE,
        "    if code == _NO_CAPACITY:\n",
        "    if False:\n",
        (f"{CONTRACT}::test_a_refused_launch_is_told_by_its_code",),
    ),
    Mutation(
        "lambda-two-instances-are-one",
        "of two instances that a launch has made one bills on unseen",
        FILE,
        "        alone = isinstance(ids, list) and len(ids) == 1\n",
        "        alone = isinstance(ids, list)\n",
        (f"{CONTRACT}::test_an_answer_that_names_not_the_one_rental_is_unclear",),
    ),
    Mutation(
        "lambda-first-page-is-all",
        "what is on the second page of a list bills on unseen",
        FILE,
        "            if not token:\n",
        "            if True:\n",
        (f"{CONTRACT}::test_a_list_is_read_to_its_last_page",),
    ),
    Mutation(
        "lambda-another-instances-row",
        "the row of another instance is believed to be that of ours",
        FILE,
        'return own_row(_part(expect_ok(response, doing), "data"), rental_id, response, doing)',
        'return _part(expect_ok(response, doing), "data")',
        (f"{CONTRACT}::test_another_instance_in_the_answer_is_no_answer",),
    ),
    Mutation(
        "lambda-somebody-elses-key",
        "a host lets in whoever has the first key of the account, and not us",
        FILE,
        "if isinstance(key, str) and isinstance(name, str) and _bare(key) == _bare(public_key):\n",
        "if isinstance(key, str) and isinstance(name, str):\n",
        (f"{CONTRACT}::test_a_key_that_the_account_has_is_used_under_its_own_name",),
    ),
    Mutation(
        "lambda-closed-port-is-promised",
        "a host is rented and paid for whose port nobody can reach",
        FILE,
        "    if closed:\n",
        "    if False:\n",
        (f"{CONTRACT}::test_a_port_that_nobody_opens_is_refused_before_anything_is_asked_for",),
    ),
    Mutation(
        "lambda-replaces-no-host-key",
        "the key that the marketplace has seen stays, since user ubuntu may not replace it",
        f"{MARKET}/access/ssh_probe.py",
        '    if login.user != "root":\n',
        "    if False:\n",
        (f"{PROBE}::test_a_user_who_is_not_root_becomes_it_to_replace_the_key",),
    ),
)
