# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run shows: what may bill is said, and nothing forges or breaks a line."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation

_PHASES = "tests/unit/plugins/test_phases.py"

MUTATIONS = (
    Mutation(
        "interrupted-rental-unnamed",
        "who interrupts a deploy is not told which rental bills",
        "plugins/plugin_utils/interruption.py",
        "    _knowing[:] = [lines]\n",
        "    pass\n",
        (f"{_PHASES}::test_who_interrupts_a_deploy_is_told_which_rentals_may_bill",),
    ),
    Mutation(
        "interrupted-request-forgotten",
        "a rental request that was sent when its run was interrupted is not told",
        "plugins/plugin_utils/bills.py",
        "            self._asking.add(host)\n",
        "            pass\n",
        (f"{_PHASES}::test_who_interrupts_a_rental_request_is_told_that_it_may_bill",),
    ),
    Mutation(
        "lines-between-a-document",
        "what another callback writes for a program cannot be read by one",
        "plugins/plugin_utils/screen.py",
        "stderr=constants.DEFAULT_STDOUT_CALLBACK not in _FOR_PEOPLE",
        "stderr=False",
        (f"{_PHASES}::test_with_a_callback_for_programs_nothing_of_ours_is_on_standard_output",),
    ),
    Mutation(
        "screen-steered-by-a-host",
        "text of a host clears the screen and forges a recap",
        "plugins/callback/phases.py",
        'return " ".join(plain(text[:_MOST_LETTERS]).split("\\n")).expandtabs().rstrip()',
        "return text",
        (f"{_PHASES}::test_what_a_host_tells_is_one_plain_line",),
    ),
    Mutation(
        "worker-waits-for-its-screen",
        "work on a rented host stands still until somebody reads what it tells",
        "plugins/plugin_utils/screen.py",
        "            os.set_blocking(end, False)\n",
        "            os.set_blocking(end, end == self.writing)\n",
        (f"{_PHASES}::test_a_worker_never_waits_for_its_screen",),
    ),
)
