# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot serve is refused before it is rented, and options reach the engine as meant."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import COMMON, GATE, HOST, MARKET, SERVING

WORDS = "tests/unit/serving/test_vllm_words.py"
CHECK = "tests/unit/serving/test_option_check.py"
PLAN = "tests/unit/serving/test_compatibility.py"

MUTATIONS = (
    Mutation(
        "unknown-option-is-rented-for",
        "a host is rented and installed before a misspelt option is found",
        "plugins/action/check_variables.py",
        "complaints += () if judged.doubt else judged.complaints",
        "complaints += ()",
        (f"{GATE}::test_options_that_no_vllm_knows_are_refused_before_the_market_is_asked",),
    ),
    Mutation(
        "known-option-is-refused",
        "an option that the release has which will run is refused",
        f"{SERVING}/engines/vllm/unknown.py",
        "        if len(unknown) == len(may_run):",
        "        if unknown:",
        (f"{CHECK}::test_what_a_release_knows_that_may_run_is_not_refused",),
    ),
    Mutation(
        "unknown-release-is-judged",
        "an option is refused for a release of which nothing is known",
        f"{SERVING}/engines/vllm/unknown.py",
        "if not may_run or not set(may_run) <= set(releases()):",
        "if not may_run:",
        (f"{CHECK}::test_nothing_is_refused_of_a_release_that_the_table_does_not_have",),
    ),
    Mutation(
        "option-of-a-plugin-is-refused",
        "what a package adds to the engine's options is refused as misspelt",
        "plugins/module_utils/serving/engines/vllm/knowledge.py",
        "        return Judged(complaints, doubt)",
        "        return Judged(complaints)",
        (f"{GATE}::test_only_what_is_sure_is_refused_of_the_options",),
    ),
    Mutation(
        "yes-is-a-model",
        "the word yes behind a switch is taken for the name of the model",
        f"{COMMON}/engines/vllm/words.py",
        '("true", "yes", "on", "y", "t", "1", "1.0")',
        '("true",)',
        (f"{WORDS}::test_an_option_is_written_as_it_is_meant",),
    ),
    Mutation(
        "key-behind-a-dot-is-respelled",
        "a key of the model's config gets dashes, and another config is served",
        f"{COMMON}/engines/vllm/words.py",
        "written = f\"--{head.replace('_', '-')}{dot}{path}\"",
        "written = f\"--{name.replace('_', '-')}\"",
        (f"{WORDS}::test_an_option_is_written_as_it_is_meant",),
    ),
    Mutation(
        "false-is-the-default",
        "an option that is turned off stays on",
        f"{COMMON}/engines/vllm/words.py",
        'return [] if option.kind == "flag" else [f"--no-{option.name}"]',
        "return []",
        (f"{WORDS}::test_an_option_is_written_as_it_is_meant",),
    ),
    Mutation(
        "boolean-in-the-environment-is-a-word",
        "the engine dies of int('True') as it reads its environment",
        f"{HOST}/server/spec.py",
        "return str(int(value)) if isinstance(value, bool) else str(value)",
        "return str(value)",
        (
            "tests/unit/host/test_model_server.py"
            "::test_a_boolean_reaches_the_environment_as_engines_read_it",
        ),
    ),
    Mutation(
        "abbreviated-token-is-shown",
        "a token stands in the argument list under the beginning of its option's name",
        f"{COMMON}/server_words.py",
        "option = next(meant, option) if len(option) > 1 else option",
        "option = next((name for name in meant if name == option), option)",
        (f"{GATE}::test_what_a_host_would_refuse_is_refused_before_one_is_rented",),
    ),
    Mutation(
        "any-build-for-any-blackwell",
        "a B300 is rented for a build without its kernels",
        f"{SERVING}/engines/vllm/planning.py",
        "if _major(build) < generation.least_cuda:",
        "if _major(build) < 0:",
        (f"{PLAN}::test_a_blackwell_that_needs_cuda_13_is_refused_a_build_for_cuda_12",),
    ),
    Mutation(
        "vllm-that-does-not-know-the-model",
        "a host is rented whose driver allows only a vLLM without the model",
        f"{SERVING}/engines/vllm/planning.py",
        "if wish.least_vllm and _release(candidate.version) < _release(wish.least_vllm):",
        "if wish.least_vllm and not candidate.version:",
        (f"{PLAN}::test_a_driver_that_allows_only_a_vllm_without_the_model_is_refused",),
    ),
    Mutation(
        "driver-of-the-users-own-is-enough",
        "an older driver that is asked for outweighs the model, which then cannot be served",
        f"{MARKET}/rentals/options.py",
        "version_key(asked) >= version_key(needed)",
        "bool(asked)",
        (
            "tests/unit/market/test_plays.py"
            "::test_no_host_is_rented_whose_vllm_does_not_know_the_model",
        ),
    ),
    Mutation(
        "gpu-by-another-maker",
        "a GPU by AMD is rented for builds that only GPUs by NVIDIA run",
        f"{MARKET}/wish.py",
        'yield _Check("GPU by NVIDIA", other_maker(offer.gpu_name) is None)',
        'yield _Check("GPU by NVIDIA", True)',
        ("tests/unit/market/test_offers.py::test_a_gpu_by_another_maker_is_no_match",),
    ),
)
