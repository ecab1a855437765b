# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A6: nobody holds the controller or fills it."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import BOUNDS, COMMON, MARKET, VASTAI

_ACTIONS = "tests/unit/plugins/test_controller_actions.py"

MUTATIONS = (
    Mutation(
        "answer-without-end-read",
        "a host's answer fills the memory of the controller",
        "plugins/plugin_utils/bounds.py",
        "        if _peak_mib() > most_mib:\n",
        "        if False:\n",
        (f"{BOUNDS}::test_a_host_that_answers_without_end_does_not_fill_the_controller",),
    ),
    Mutation(
        "lock-waited-for-without-end",
        "a lock that another process keeps holds a deploy for ever, before it says a word",
        f"{COMMON}/private_files.py",
        "            if time.monotonic() >= limit:\n",
        "            if False:\n",
        (f"{_ACTIONS}::test_a_lock_that_is_never_given_back_ends_with_its_file_and_what_helps",),
    ),
    Mutation(
        "lock-not-waited-for",
        "of parallel hosts all fail but the one that makes their key pair",
        f"{COMMON}/private_files.py",
        "            if time.monotonic() >= limit:\n",
        "            if True:\n",
        (f"{_ACTIONS}::test_a_host_waits_for_another_that_makes_the_pair",),
    ),
    Mutation(
        "pair-made-twice",
        "a host makes the key pair anew that another host has just made, and is using",
        "plugins/action/ssh_key_pair.py",
        "            ) from error\n        if file.is_file():\n",
        "            ) from error\n        if False:\n",
        (f"{_ACTIONS}::test_a_host_waits_for_another_that_makes_the_pair",),
    ),
    Mutation(
        "answer-that-is-endless-work",
        "a host's answer keeps a processor of the controller busy for ever",
        "plugins/plugin_utils/bounds.py",
        "        if next(ticks, None) is None:\n",
        "        if False:\n",
        (f"{BOUNDS}::test_a_host_whose_answer_is_work_without_end_is_given_up",),
    ),
    Mutation(
        "silence-tried-again",
        "a host that never answers is waited for once more by whoever tries again",
        "plugins/plugin_utils/bounds.py",
        "class _Enough(BaseException):",
        "class _Enough(Exception):",
        (f"{BOUNDS}::test_a_host_that_never_answers_is_given_up_also_where_ansible_tries_again",),
    ),
    Mutation(
        "long-answer-kept",
        "a host's long answer becomes a result, in memory and on the screen",
        "plugins/plugin_utils/guarded_action.py",
        "        refuse_length(answer)\n",
        "",
        (f"{BOUNDS}::test_an_answer_that_is_too_long_is_refused_and_not_shown",),
    ),
    Mutation(
        "hosts-time-obeyed",
        "a host says for how long the controller waits",
        "plugins/module_utils/serving/limits.py",
        "min(float(seconds), MOST_START_SECONDS)",
        "float(seconds)",
        (
            f"{BOUNDS}"
            "::test_a_start_takes_no_longer_than_the_controller_allows_whatever_the_host_says",
        ),
    ),
    Mutation(
        "asked-as-often-as-the-host-wants",
        "a host that answers at once is asked without a pause, and floods the screen",
        "plugins/plugin_utils/bounds.py",
        "        time.sleep(max(0.0, LEAST_TURN_SECONDS - spent))\n",
        "        time.sleep(0 * spent)\n",
        (f"{BOUNDS}::test_a_host_is_asked_no_more_often_than_the_controller_wants",),
    ),
    Mutation(
        "list-that-never-ends-in-time",
        "a marketplace whose pages drip holds the controller for hours",
        f"{MARKET}/providers/vastai.py",
        "if time.monotonic() > until or letters > _MOST_LISTING_LETTERS:",
        "if letters > _MOST_LISTING_LETTERS:",
        (f"{VASTAI}::test_a_list_without_end_is_given_up_by_pages_time_and_size",),
    ),
)
