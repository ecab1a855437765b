# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What playbook doctor must not call good."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import MARKET

DOCTOR = "tests/unit/plugins/test_doctor.py"
ACCOUNT = f"{MARKET}/rentals/checkup.py"
ACTION = "plugins/action/doctor.py"
MACHINE = "plugins/plugin_utils/checkup.py"

MUTATIONS = (
    Mutation(
        "untold-rights-are-good",
        "a key that may only read is said to be good",
        ACCOUNT,
        "        if account.may_rent:\n",
        "        if account.may_rent is not False:\n",
        (f"{DOCTOR}::test_a_key_that_may_only_read_is_never_said_to_be_good[runpod-unknown]",),
    ),
    Mutation(
        "doctor-forgets-the-credit",
        "an account without credit is said to be ready",
        ACCOUNT,
        "        refusal = credit_refusal(account, self._provider.console_url)\n",
        "        refusal = None\n",
        (
            f"{DOCTOR}::test_an_account_without_credit_is_told_where_the_marketplace_tells_it"
            "[vastai-failed]",
        ),
    ),
    Mutation(
        "a-silent-marketplace-is-unknown",
        "doctor ends well although no marketplace answers",
        ACCOUNT,
        "            return self._unanswered(error, FAILED)\n",
        "            return self._unanswered(error, UNKNOWN)\n",
        (
            f"{DOCTOR}::test_an_api_that_does_not_answer_leaves_the_account_unknown[vastai]",
            f"{DOCTOR}::test_an_api_that_does_not_answer_leaves_the_account_unknown[runpod]",
        ),
    ),
    Mutation(
        "nobody-ends-it-unsaid",
        "a rental that nobody would end is found out by the deploy",
        ACCOUNT,
        'enforcer(1, kind.enforces_deadline, given["reaper"], accepted)',
        'enforcer(1, kind.enforces_deadline, given["reaper"], True)',
        (f"{DOCTOR}::test_who_would_end_a_rental_is_told",),
    ),
    Mutation(
        "any-clock-is-right",
        "a clock that is two hours off is a note among others",
        ACCOUNT,
        "state = FAILED if abs(ahead) > PLAUSIBLE_OFFSET_SECONDS else NOTE",
        "state = NOTE",
        (f"{DOCTOR}::test_a_wrong_clock_is_told_and_by_how_much[runpod]",),
    ),
    Mutation(
        "one-date-is-the-time",
        "one odd answer of a cache makes a good clock wrong",
        ACCOUNT,
        "            with suppress(MarketError):\n"
        "                _in_time(self._provider.check_credential)\n",
        "            pass\n",
        (f"{DOCTOR}::test_one_odd_date_is_no_wrong_clock",),
    ),
    Mutation(
        "each-host-asks-anew",
        "a fleet asks for its account once for each host, and runs into the limits",
        ACCOUNT,
        "            if not _is_fresh(kept, clock):\n",
        "            if True:\n",
        (f"{DOCTOR}::test_hosts_of_one_account_ask_for_it_once",),
    ),
    Mutation(
        "doctor-asks-while-facts-are-variables",
        "the key is sent to an address that a host may have set",
        ACTION,
        "        if injected_facts():\n",
        "        if False:\n",
        (f"{DOCTOR}::test_nobody_is_asked_while_hosts_could_set_the_addresses",),
    ),
    Mutation(
        "another-marketplace-is-asked",
        "a misspelt marketplace is answered by the usual one",
        ACTION,
        "        wrong = sorted({*map(_variable, options)} & self._gate.wrong)\n",
        "        wrong: list[str] = []\n",
        (f"{DOCTOR}::test_variables_are_told_as_the_gate_of_every_playbook_tells_them",),
    ),
    Mutation(
        "an-open-folder-is-good",
        "others may put their host keys among ours",
        MACHINE,
        "    if mode & (stat.S_IWGRP | stat.S_IWOTH):\n",
        "    if mode & stat.S_ISVTX:\n",
        (f"{DOCTOR}::test_a_folder_of_the_controller_that_others_may_change_is_told",),
    ),
    Mutation(
        "a-key-is-not-tried",
        "a key that ssh refuses is said to be good",
        MACHINE,
        "            usable_half(file)\n",
        "            file.read_bytes()\n",
        (f"{DOCTOR}::test_a_key_is_tried_or_made_where_it_can_be",),
    ),
    Mutation(
        "the-login-of-an-index-travels",
        "whoever a mirror leads to gets its password",
        "plugins/plugin_utils/package_index.py",
        "        request.add_unredirected_header(",
        "        request.add_header(",
        (f"{DOCTOR}::test_whether_a_mirror_of_the_package_index_lets_us_in_is_told",),
    ),
    Mutation(
        "doctor-always-ends-well",
        "a script goes on and rents although a check has failed",
        "playbooks/doctor.yml",
        "        that: doctor_told.ready\n",
        "        that: true\n",
        (f"{DOCTOR}::test_a_scope_that_is_not_set_is_told_beside_all_else",),
    ),
    Mutation(
        "an-unseen-host-is-ready",
        "a host that nobody could look at counts as ready",
        "plugins/filter/doctor_report.py",
        " else [_NOT_LOOKED_AT]\n",
        " else []\n",
        (f"{DOCTOR}::test_a_host_that_could_not_be_looked_at_is_not_ready",),
    ),
)
