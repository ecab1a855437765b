# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What takes minutes outlives the connection, and says what was proven."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import HOST, JOBS, STACK

MUTATIONS = (
    Mutation(
        "work-in-the-session",
        "the installation ends with the connection",
        f"{HOST}/machine/jobs.py",
        "            os.setsid()\n",
        "            pass\n",
        (f"{JOBS}::test_the_work_outlives_the_call_that_began_it",),
    ),
    Mutation(
        "dead-work-awaited",
        "a host that killed the installation is waited for until nobody pays any more",
        f"{HOST}/machine/jobs.py",
        "            if not at_work:\n",
        "            if False:\n",
        (f"{JOBS}::test_work_that_was_killed_is_not_waited_for",),
    ),
    Mutation(
        "first-part-blamed",
        "of parts that are proven together the wrong one is named",
        f"{HOST}/stack/stack.py",
        "if failure and number == len(said) - 1:",
        "if failure:",
        (f"{STACK}::test_of_parts_that_are_proven_together_the_one_that_fails_is_named",),
    ),
)
