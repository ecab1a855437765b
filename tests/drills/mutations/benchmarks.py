# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A benchmark: what it may send, what it may call good, and whom it shows the key."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation

UTILS = "plugins/module_utils"
LOADS = f"{UTILS}/common/loads.py"
REPORT = f"{UTILS}/serving/benchmark"
PLANNED = "tests/unit/serving/test_loads.py"
REPORTED = "tests/unit/serving/test_benchmark_report.py"
MEASURED = "tests/unit/host/test_benchmark.py"

MUTATIONS = (
    Mutation(
        "benchmark-without-end",
        "a search sends more loads than anybody was told, and the host bills meanwhile",
        LOADS,
        "if len(shown) >= self.most_loads:",
        "if False:",
        (f"{PLANNED}::test_no_more_loads_are_sent_than_the_plan_has",),
    ),
    Mutation(
        "benchmark-above-what-hangs",
        "a server that does not keep up is loaded higher and higher",
        LOADS,
        "if one not in shown and (too_slow is None or one < too_slow):",
        "if one not in shown:",
        (f"{PLANNED}::test_nothing_higher_is_sent_than_what_did_not_end_in_its_time",),
    ),
    Mutation(
        "benchmark-failed-requests-are-served",
        "a server that answers the half of its clients keeps every objective",
        LOADS,
        'if figures["failed"] or not figures["completed"]:',
        'if not figures["completed"]:',
        (f"{PLANNED}::test_a_load_keeps_the_objective_when_99_of_100_do_and_none_failed",),
    ),
    Mutation(
        "benchmark-unknown-latency-keeps",
        "an objective counts as kept that nobody has measured",
        LOADS,
        "p99 is not None and p99 <= objective_ms[name]",
        "(p99 or 0) <= objective_ms[name]",
        (f"{PLANNED}::test_a_load_keeps_the_objective_when_99_of_100_do_and_none_failed",),
    ),
    Mutation(
        "benchmark-kept-above-a-miss",
        "a load is promised at which, a little lower, the objective was missed",
        LOADS,
        "if what == KEPT and (high is None or one < high))",
        "if what == KEPT)",
        (f"{PLANNED}::test_what_was_kept_above_a_load_that_missed_counts_for_nothing",),
    ),
    Mutation(
        "benchmark-same-text-again",
        "a server answers from its cache, and looks faster than it is",
        f"{UTILS}/host/server/benchmark.py",
        "self._seed + len(self.loads) + 1",
        "self._seed",
        (f"{MEASURED}::test_each_load_is_measured_after_one_that_is_not",),
    ),
    Mutation(
        "benchmark-zeros-are-figures",
        "a server that answers nothing is the fastest of all",
        f"{UTILS}/host/engines/vllm/generator.py",
        "if not completed:",
        "if False:",
        (f"{MEASURED}::test_a_load_of_which_nothing_was_answered_has_no_figures",),
    ),
    Mutation(
        "benchmark-both-keys",
        "the generator's environment has the server's key under the engine's name too",
        f"{UTILS}/host/server/benchmark.py",
        "if k != spec.runs_on.key_variable}",
        "}",
        (f"{MEASURED}::test_the_key_reaches_the_generator_by_its_environment_alone",),
    ),
    Mutation(
        "benchmark-load-without-limit",
        "a load that hangs holds the host until the controller gives up",
        f"{UTILS}/host/engines/driving.py",
        "if left <= 0 or not select.select([out], [], [], left)[0]:",
        "if not select.select([out], [], [])[0]:",
        (f"{MEASURED}::test_a_driver_that_is_not_there_is_told",),
    ),
    Mutation(
        "benchmark-host-sells-itself",
        "the highest load is what the host says, whatever its loads have shown",
        f"{REPORT}/report.py",
        "highest = highest_kept(shown) if plan.objective_ms else None",
        'highest = found.get("highest_kept") if plan.objective_ms else None',
        (
            f"{REPORTED}::"
            "test_the_search_goes_by_what_the_loads_have_shown_and_not_by_what_the_host_says",
        ),
    ),
    Mutation(
        "benchmark-host-judges-itself",
        "a load counts as kept because its host says so",
        f"{REPORT}/report.py",
        'return UNFINISHED if load["verdict"] == UNFINISHED else judged(load, plan.objective_ms)',
        'return str(load["verdict"])',
        (
            f"{REPORTED}::"
            "test_the_search_goes_by_what_the_loads_have_shown_and_not_by_what_the_host_says",
        ),
    ),
    Mutation(
        "benchmark-any-figure",
        "what a host calls a figure goes into the report, its prices and comparisons",
        f"{REPORT}/reading.py",
        "return told if math.isfinite(told) and 0 <= told <= _MOST else None",
        "return told",
        (f"{REPORTED}::test_what_a_host_says_is_a_figure_or_nothing",),
    ),
    Mutation(
        "benchmark-release-of-a-host",
        "what a host calls its release becomes a variable of the next deploy",
        f"{REPORT}/report.py",
        "if variable and _RELEASE.fullmatch(public) else {}",
        "if variable else {}",
        (f"{REPORTED}::test_what_another_deploy_takes_is_the_wish_and_a_release_of_the_engine",),
    ),
    Mutation(
        "benchmark-own-host-is-free",
        "tokens of a host of one's own cost nothing",
        f"{REPORT}/costs.py",
        'return None if rental.get("own") else number(rental.get("price_usd_per_hour"))',
        'return number(rental.get("price_usd_per_hour"))',
        (f"{REPORTED}::test_a_host_of_ones_own_has_no_price",),
    ),
    Mutation(
        "benchmark-failing-load-is-the-most",
        "the speed that is told is one at which requests fail",
        f"{REPORT}/comparison.py",
        'answered = load["output_tokens_per_second"] is not None and not load["failed"]',
        'answered = load["output_tokens_per_second"] is not None',
        (f"{REPORTED}::test_nothing_is_called_the_most_that_failed_or_that_broke_the_objective",),
    ),
    Mutation(
        "benchmark-regression-the-wrong-way",
        "a server that got faster fails, and one that got slower does not",
        f"{REPORT}/comparison.py",
        "if (-change if more_is_better else change) > percent:",
        "if (change if more_is_better else -change) > percent:",
        (f"{REPORTED}::test_a_figure_that_is_worse_than_before_by_more_than_allowed_fails",),
        2,
    ),
    Mutation(
        "benchmark-other-lengths-compared",
        "a run with shorter answers looks like a faster server",
        f"{REPORT}/comparison.py",
        "if not same_lengths(report, earlier):",
        "if False:",
        (f"{REPORTED}::test_only_what_was_asked_alike_is_compared",),
    ),
    Mutation(
        "benchmark-markup-of-a-host",
        "what a host writes is markup on the page",
        f"{REPORT}/showing.py",
        "return text.translate(_MARKS)",
        "return text",
        (f"{REPORTED}::test_text_of_a_host_is_one_plain_line_without_secrets_and_no_markup",),
    ),
)
