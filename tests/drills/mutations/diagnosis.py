# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a wrong and confident answer away: unknown is better than wrong."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import DIAGNOSIS, SERVING

MUTATIONS = (
    Mutation(
        "families-in-healthy-logs",
        "lines that only stand beside each other are a failure of a server that runs",
        f"{SERVING}/diagnosis.py",
        "if rest or exit_code or signal or late:",
        "if True:",
        (
            f"{DIAGNOSIS}::test_lines_that_only_stand_beside_each_other_are_no_cause_where_nothing"
            "_ended",
        ),
    ),
    Mutation(
        "import-blamed-on-the-architecture",
        "a package that is missing is told as a broken architecture",
        f"{SERVING}/failures/architecture.py",
        "same log, and is the cause.\n        kind=YIELDING,",
        "same log, and is the cause.",
        (f"{DIAGNOSIS}::test_a_model_whose_code_cannot_be_imported_is_told_by_what_broke_it",),
    ),
    Mutation(
        "late-instead-of-hung",
        "GPUs that cannot talk are given more time for it",
        f"{SERVING}/failures/endings.py",
        "        kind=YIELDING,\n",
        "",
        (
            f"{DIAGNOSIS}::test_gpus_that_hang_in_what_they_first_do_together_are_told_from_slow"
            "_ones",
        ),
    ),
    Mutation(
        "slow-load-called-a-hang",
        "a model that loads slowly is told as GPUs that cannot talk to each other",
        f"{SERVING}/failures/endings.py",
        "(?:[Ll]oad|",
        "(?:",
        (
            f"{DIAGNOSIS}::test_gpus_that_hang_in_what_they_first_do_together_are_told_from_slow"
            "_ones",
        ),
    ),
    Mutation(
        "refused-request-blamed",
        "a server is said to have ended of what one of its users asked for",
        f"{SERVING}/messages.py",
        'calm = prefix["level"] in _CALM or bool(_OF_A_REQUEST.search(head[-120:]))',
        'calm = prefix["level"] in _CALM',
        (f"{DIAGNOSIS}::test_a_request_that_was_refused_is_not_why_a_server_ended",),
    ),
    Mutation(
        "failed-request-blamed",
        "a server is said to have ended of a request that failed in its web server",
        f"{SERVING}/messages.py",
        "calm = calm or (request is not None and not any_fits(_envelopes(), message))",
        "calm = bool(calm)",
        (f"{DIAGNOSIS}::test_a_request_that_failed_in_the_web_server_is_not_why_a_server_ended",),
    ),
    Mutation(
        "model-blamed-on-an-option",
        "what is wrong with a model is laid on an option that does not exist",
        f"{SERVING}/failures/options.py",
        "(?!Model|Vllm)",
        "",
        (
            f"{DIAGNOSIS}::test_what_is_said_of_a_model_is_not_laid_on_an_option_and_its_reason_is"
            "_kept",
        ),
    ),
    Mutation(
        "death-of-a-peer-blamed-on-its-name",
        "a worker that died is told as a host name that leads nowhere",
        f"{SERVING}/failures/parallel.py",
        "(?!.{0,300}(?:closed|reset) by peer)",
        "",
        (f"{DIAGNOSIS}::test_a_peer_that_was_lost_is_not_a_name_that_leads_nowhere",),
    ),
    Mutation(
        "try-in-vain-taken-for-a-failure",
        "a server that runs is said to have too old a toolkit",
        f"{SERVING}/failures/noise.py",
        r"\bSM \d{1,2}\.\w{1,2} requires CUDA\b",
        "(?!)",
        (
            f"{DIAGNOSIS}::test_what_a_kernel_package_tries_in_vain_counts_only_where_nothing_else"
            "_failed",
            f"{DIAGNOSIS}::test_no_cause_is_claimed_on_healthy_and_unrelated_logs",
        ),
        2,
    ),
    Mutation(
        "source-taken-for-what-happened",
        "a cause is read out of the source text that a traceback shows",
        f"{SERVING}/failures/noise.py",
        "^raise ",
        "(?!)",
        (
            f"{DIAGNOSIS}::test_what_a_traceback_shows_of_the_source_counts_only_where_nothing_says"
            "_why",
        ),
    ),
)
