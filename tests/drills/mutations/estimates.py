# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model needs. What is wrong here rents what cannot serve, or refuses what would."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import FILTER, MARKET, SERVING, UNIT

LAYERS = "tests/unit/serving/test_layers.py"
QUANTISERS = "tests/unit/serving/test_quantisers.py"
ASKED = "tests/unit/serving/test_what_is_asked_for.py"
PROOFS = "tests/unit/plugins/test_other_proofs.py"
PLAYS = "tests/unit/market/test_plays.py"

MUTATIONS = (
    Mutation(
        "quantised-beside-the-config",
        "a checkpoint that its hf_quant_config.json calls quantised is counted four times as large",
        f"{SERVING}/architecture.py",
        "    if not given:\n        return {**config",
        "    if False:\n        return {**config",
        (
            f"{QUANTISERS}::test_what_modelopt_wrote_beside_the_config_counts_where_the_config_says_nothing",
        ),
    ),
    Mutation(
        "wildcards-unread",
        "modules that a list names by wildcards are counted as quantised",
        f"{SERVING}/modules.py",
        '    if "*" in wanted:\n',
        "    if False:\n",
        (f"{QUANTISERS}::test_lists_of_what_stays_are_read_with_their_wildcards",),
    ),
    Mutation(
        "mixed-precision-unread",
        "each module of a checkpoint of mixed precision is counted alike",
        f"{SERVING}/packing.py",
        '    if given.get("quantized_layers"):\n',
        "    if False:\n",
        (f"{QUANTISERS}::test_mixed_precision_counts_each_module_by_its_own",),
    ),
    Mutation(
        "strangers-expression",
        "an expression in a model's config holds the controller for as long as it likes",
        f"{SERVING}/modules.py",
        "or _REPEATED_GROUP.search(text):",
        "or False:",
        (f"{QUANTISERS}::test_no_expression_of_a_stranger_is_tried_for_ever",),
    ),
    Mutation(
        "odd-config-ends-the-run",
        "what nobody expects in a config.json ends a deploy in a traceback",
        f"{SERVING}/engines/vllm/estimate.py",
        "except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:",
        "except ZeroDivisionError as error:",
        (f"{LAYERS}::test_a_quantiser_that_wrote_something_odd_ends_in_an_answer",),
    ),
    Mutation(
        "layer-of-no-known-kind",
        "layers of a kind that nobody knows are counted as if they were attention",
        f"{SERVING}/architecture.py",
        "        if kind not in _MIXERS:\n",
        '        _MIXERS.setdefault(kind, "attention")\n        if kind not in _MIXERS:\n',
        (f"{LAYERS}::test_a_kind_of_layer_that_nobody_knows_is_said_to_be_unknown",),
    ),
    Mutation(
        "states-without-limit",
        "a hybrid model is started with more sequences than it has states for, and ends",
        f"{SERVING}/engines/vllm/fit.py",
        "    fewer = _fewer_sequences(demand, room, options, on)\n",
        "    fewer = None\n",
        (f"{LAYERS}::test_sequences_are_limited_to_the_states_there_is_room_for",),
    ),
    Mutation(
        "too-many-states",
        "max_num_seqs that a hybrid model cannot start with is let through",
        f"{SERVING}/engines/vllm/fit.py",
        " or _too_many(demand, room, options)",
        "",
        (f"{LAYERS}::test_sequences_are_limited_to_the_states_there_is_room_for",),
    ),
    Mutation(
        "one-state",
        "each sequence is counted with half of the states that it takes",
        f"{SERVING}/kv_cache.py",
        "STATES = 2\n",
        "STATES = 1\n",
        (f"{LAYERS}::test_a_state_is_as_large_as_the_real_server_logged",),
    ),
    Mutation(
        "cut-anyhow",
        "GPUs are rented for a model that cannot be cut into as many parts",
        f"{SERVING}/engines/vllm/fit.py",
        "    impossible = cannot_cut(config, arguments)\n",
        '    impossible = ""\n',
        (f"{ASKED}::test_parts_that_a_model_cannot_be_cut_into_are_refused",),
    ),
    Mutation(
        "whole-experts-cut",
        "a model that would serve with whole experts on each GPU is refused",
        f"{SERVING}/engines/vllm/cutting.py",
        "or (tensor.routed and experts_whole)",
        "or False",
        (f"{ASKED}::test_parts_that_a_model_cannot_be_cut_into_are_refused",),
    ),
    Mutation(
        "copies-of-heads-cut",
        "a model with fewer key-value heads than GPUs is refused",
        f"{SERVING}/engines/vllm/cutting.py",
        "each = min(parts * (replicas if tensor.routed else 1), tensor.parts)",
        "each = parts * (replicas if tensor.routed else 1)",
        (f"{ASKED}::test_parts_that_a_model_cannot_be_cut_into_are_refused",),
    ),
    Mutation(
        "replicas-are-whole-copies",
        "replicas of a mixture of experts are counted with all experts on each GPU, and refused",
        f"{SERVING}/engines/vllm/memory.py",
        "split = Split(cut, stages, cut * options.data_parallel)",
        "split = Split(cut, stages)",
        (f"{ASKED}::test_replicas_share_the_experts_out_among_them",),
    ),
    Mutation(
        "guess-is-a-floor",
        "the high end of a guess is what every offer must have",
        f"{SERVING}/engines/vllm/fit.py",
        "vram_gib = middle if demand.weights.are_guessed else high",
        "vram_gib = high",
        (f"{LAYERS}::test_a_guess_asks_for_its_middle_and_tells_its_range",),
    ),
    Mutation(
        "size-of-files-unused",
        "a model of unknown architecture is rented any GPU though the hub tells how large it is",
        f"{SERVING}/engines/vllm/memory.py",
        "            if not known_bytes:\n",
        "            if True:\n",
        (f"{LAYERS}::test_files_of_known_size_settle_what_a_config_does_not",),
    ),
    Mutation(
        "copy-in-the-files-is-loaded",
        "an embedding that the files hold twice is counted as loaded twice",
        f"{SERVING}/weights.py",
        "    near = abs(nearest - known_bytes) < PUBLISHED.error * known_bytes\n",
        "    near = False\n",
        (f"{LAYERS}::test_a_copy_of_the_output_embedding_in_the_files_is_not_counted_as_loaded",),
    ),
    Mutation(
        "nothing-is-a-vector",
        "a model that embeds is taken for serving when its vectors hold nothing",
        "plugins/module_utils/common/proofs.py",
        "    if not _are_numbers(vector) or not any(vector):\n",
        "    if not _are_numbers(vector):\n",
        (f"{PROOFS}::test_an_answer_that_holds_nothing_is_no_proof",),
    ),
    Mutation(
        "any-failure-asks-for-less",
        "a server that fails to write is taken for serving when it can embed",
        "plugins/module_utils/common/proofs.py",
        "    return status in _NO_ROUTE or (",
        "    return status >= 400 or (",
        (f"{PROOFS}::test_a_text_is_asked_for_first_and_another_answer_proves_nothing",),
    ),
    Mutation(
        "embeds-and-is-never-ready",
        "a model that embeds is rented a GPU, started, and never taken for ready",
        "plugins/module_utils/common/proofs.py",
        "_NO_ROUTE = (404, 405, 501)\n",
        "_NO_ROUTE = ()\n",
        (f"{PROOFS}::test_what_writes_no_text_is_proven_by_what_it_answers_instead",),
    ),
    Mutation(
        "unknown-size-rents-anything",
        "the cheapest card of all is rented for a model of which nothing is known",
        f"{MARKET}/offers/refusals.py",
        "named = asked.vram_gib > 0 or asked.gpu_names",
        "named = True",
        (
            f"{UNIT}/test_refusals.py::test_a_model_of_unknown_size_is_not_rented_just_any_gpu",
            f"{PLAYS}::test_no_gpu_is_rented_for_a_model_of_which_nothing_is_known",
        ),
        2,
    ),
    Mutation(
        "unread-config-rents-anything",
        "the cheapest card of all is rented for a model whose config nobody can read",
        f"{MARKET}/offers/refusals.py",
        """fit.get("fits") == "unknown" and not""",
        "False and not",
        (
            f"{UNIT}/test_refusals.py::"
            "test_a_config_of_which_nothing_can_be_computed_is_no_licence_for_any_gpu",
        ),
        3,
    ),
    Mutation(
        "replicas-cut-no-experts",
        "a GPU is rented for replicas among which quantised experts cannot be cut",
        f"{SERVING}/engines/vllm/cutting.py",
        "(replicas if tensor.routed else 1)",
        "1",
        (f"{ASKED}::test_parts_that_a_model_cannot_be_cut_into_are_refused",),
        2,
    ),
    Mutation(
        "draft-is-free",
        "a draft takes no memory",
        f"{SERVING}/engines/vllm/extras.py",
        "                held += _head(config, cut)\n",
        "                pass\n",
        (FILTER,),
    ),
    Mutation(
        "override-unread",
        "a config that hf_overrides changes is computed as it was",
        f"{SERVING}/engines/vllm/estimate.py",
        "        config = overridden(config, overrides)\n",
        "",
        (FILTER,),
    ),
    Mutation(
        "large-steps-on-a-slow-card",
        "an A100 is counted with the steps of an H100",
        f"{SERVING}/engines/vllm/tiers.py",
        " and not any(part in name for part in self.but)",
        "",
        (f"{ASKED}::test_a_step_is_as_large_as_this_release_of_vllm_makes_it_on_this_gpu",),
    ),
    Mutation(
        "outline-for-everything",
        "a model that is not known is guessed as Llama, whatever parts its config tells of",
        f"{SERVING}/architecture.py",
        "        if missed:\n",
        "        if False:\n",
        (
            f"{LAYERS}::test_a_family_that_is_not_known_is_not_guessed_where_an_outline_would_miss"
            "_parts",
        ),
    ),
    Mutation(
        "newest-steps-of-an-old-release",
        "an old release is counted with the steps of the newest",
        f"{SERVING}/engines/vllm/tiers.py",
        "    if release not in order:",
        "    if True:",
        (f"{ASKED}::test_the_release_that_will_run_decides_what_is_left_for_the_context",),
    ),
)
