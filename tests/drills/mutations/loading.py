# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How weights are read: never against the user's word, nor so that a start fails for it."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import SERVING

LOADING = f"{SERVING}/engines/vllm/loading.py"
TESTS = "tests/unit/serving/test_loading.py"

MUTATIONS = (
    Mutation(
        "reads-weights-in-its-own-way",
        "an option of the user's gets another one of ours beside it, which vLLM refuses",
        LOADING,
        "    if own:\n",
        "    if own and False:\n",
        (f"{TESTS}::test_what_the_user_has_said_of_it_stays",),
    ),
    Mutation(
        "no-file-of-options-counts",
        "what stands in a file of vLLM's own options is overridden",
        LOADING,
        '& {*OPTIONS, "config"}',
        "& {*OPTIONS}",
        (f"{TESTS}::test_what_the_user_has_said_of_it_stays",),
    ),
    Mutation(
        "reads-ahead-by-any-release",
        "a release without the option does not start on a host that is paid for",
        LOADING,
        "    if row.arguments and not _can(wish):\n",
        "    if row.arguments and not wish:\n",
        (f"{TESTS}::test_what_a_release_is_not_known_to_do_is_not_asked_of_it",),
    ),
    Mutation(
        "reads-ahead-more-than-memory-holds",
        "a server is killed for want of memory while it reads weights ahead",
        LOADING,
        "    if usable is None or size > FITS_SHARE * usable * 1024**2:\n",
        "    if usable is None:\n",
        (f"{TESTS}::test_what_memory_cannot_hold_is_not_read_ahead",),
    ),
    Mutation(
        "reads-ahead-on-a-processor",
        "a server on a processor has its weights in memory twice while it starts",
        LOADING,
        '    if wish.accelerator == "cpu":\n',
        '    if wish.accelerator == "none":\n',
        (f"{TESTS}::test_other_engines_and_servers_on_a_processor_are_left_alone",),
    ),
    Mutation(
        "nonsense-of-a-host-counts",
        "a host that tells nonsense ends the launch in an error of ours",
        LOADING,
        "    is_one = isinstance(told, (int, float)) and not isinstance(told, bool)\n",
        "    is_one = told is not None\n",
        (f"{TESTS}::test_a_host_that_tells_nonsense_gets_the_default",),
    ),
)
