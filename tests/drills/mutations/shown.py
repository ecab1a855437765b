# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A3: what leaves goes through one redaction."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import BOUNDS, GUARDED, PLANTED, UNIT

MUTATIONS = (
    Mutation(
        "answer-in-an-inventorys-error",
        "a marketplace's answer steers the terminal of whoever looks at the inventory",
        "plugins/inventory/rentals.py",
        "    told = redact(plain_line(str(error), 4000), passwords_in(market))\n",
        "    told = str(error)\n",
        (
            f"{UNIT}/test_inventory.py"
            "::test_what_a_marketplace_answers_is_told_plainly_and_without_secrets",
        ),
    ),
    Mutation(
        "options-in-the-system-log",
        "the environment of a server, with the keys in it, is written to the host's log",
        "plugins/plugin_utils/guarded_action.py",
        '            module_args["_ansible_no_log"] = True\n',
        "            pass\n",
        (f"{PLANTED}::test_the_environment_of_a_server_does_not_reach_the_system_log",),
    ),
    Mutation(
        "address-shown-with-its-password",
        "a verbose run shows the password of a package index",
        "plugins/module_utils/common/hiding.py",
        "    module.no_log_values.update(passwords_in(module.params))\n",
        "    pass\n",
        (f"{PLANTED}::test_the_connection_which_shows_what_a_module_prints_is_told_no_password",),
    ),
    Mutation(
        "failed-result-shown-as-it-is",
        "a secret in any field of a failed task is printed",
        "plugins/plugin_utils/guarded_action.py",
        "    shortened: dict[str, Any] = redact_in(told, most=_MOST_LETTERS)\n",
        "    shortened = told\n",
        (
            f"{GUARDED}"
            "::test_no_text_of_a_host_steers_a_terminal_or_forges_a_line_of_ansible[failure]",
            f"{BOUNDS}::test_an_answer_that_is_no_result_is_shown_in_short_and_without_secrets",
        ),
    ),
)
