# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does the model fit? What is wrong here rents in vain, or refuses what would serve."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import ESTIMATE, FILTER, SERVING

MUTATIONS = (
    Mutation(
        "own-server-in-its-own-way",
        "a second deploy finds the GPU full of its own server and refuses",
        f"{SERVING}/engines/vllm/estimate.py",
        'used = memory_before_mib.get(gpu.get("uuid", ""), gpu.get("memory_used_mib"))',
        'used = gpu.get("memory_used_mib")',
        (
            f"{ESTIMATE}::test_a_server_that_runs_is_counted_as_if_it_were_stopped_or_nothing_is_said",
        ),
    ),
    Mutation(
        "fit-of-another-engine",
        "what vLLM would take is said of an engine that nobody has measured",
        f"{SERVING}/engines/registry.py",
        "    return spelling(engine).knowledge or Knowledge(engine)\n",
        "    return spelling(engine).knowledge or knowledge(DEFAULT)\n",
        (f"{ESTIMATE}::test_nothing_is_computed_for_an_engine_that_nobody_has_measured",),
    ),
    Mutation(
        "running-server-guessed",
        "where nobody noted what the GPU holds without the server, its memory counts as taken",
        f"{SERVING}/engines/vllm/estimate.py",
        'if server["processes"] and (on_cpu or not server["memory_before_mib"]):',
        'if server["processes"] and on_cpu:',
        (
            f"{ESTIMATE}::test_a_server_that_runs_is_counted_as_if_it_were_stopped_or_nothing_is_said",
        ),
    ),
    Mutation(
        "cpu-server-counted",
        "on a CPU what the running server holds counts as taken",
        f"{SERVING}/engines/vllm/estimate.py",
        'if server["processes"] and (on_cpu or not server["memory_before_mib"]):',
        'if server["processes"] and not server["memory_before_mib"]:',
        (f"{ESTIMATE}::test_on_a_cpu_nobody_knows_what_a_server_that_runs_holds",),
    ),
    Mutation(
        "limit-forgotten",
        "a container may take what the machine around it has free",
        f"{SERVING}/engines/vllm/estimate.py",
        'for name in ("memory_available_mib", "memory_limit_mib") if host[name]]',
        'for name in ("memory_available_mib",) if host[name]]',
        (f"{ESTIMATE}::test_on_a_cpu_the_smaller_of_what_is_free_and_what_is_allowed_counts",),
    ),
    Mutation(
        "room-forgotten",
        "the KV cache that a server on a CPU is given does not count",
        f"{SERVING}/engines/vllm/estimate.py",
        "float(space or DEFAULT_KV_CACHE_GIB)",
        "DEFAULT_KV_CACHE_GIB",
        (f"{ESTIMATE}::test_on_a_cpu_the_room_that_the_server_is_given_counts",),
    ),
    Mutation(
        "every-gpu-seen",
        "GPUs that are hidden from the server count",
        f"{SERVING}/engines/vllm/estimate.py",
        'wish.environment.get("CUDA_VISIBLE_DEVICES") or ""',
        '""',
        (f"{ESTIMATE}::test_only_gpus_that_the_server_sees_count",),
    ),
    Mutation(
        "given-config-first",
        "the config of the inventory is believed before that of the files that are served",
        f"{SERVING}/engines/vllm/estimate.py",
        'config = look["model"]["config"] or wish.model_config',
        'config = wish.model_config or look["model"]["config"]',
        (
            f"{ESTIMATE}::test_the_config_on_the_host_counts_and_a_given_one_takes_its_place_"
            "where_it_lacks",
        ),
    ),
    Mutation(
        "words-unread",
        "options among the further words do not count",
        f"{SERVING}/engines/vllm/estimate.py",
        '"extra_args": wish.extra_args,',
        '"extra_args": (),',
        (f"{ESTIMATE}::test_options_in_either_form_count",),
    ),
    Mutation(
        "published-size-ignored",
        "the size of the files is guessed though they state it",
        f"{SERVING}/engines/vllm/estimate.py",
        '{"metadata": {"total_size": size}} if size else {}',
        "{}",
        (f"{ESTIMATE}::test_what_was_left_open_is_chosen_for_the_gpus_of_the_host",),
    ),
    Mutation(
        "unread-file-believed",
        "a file of options that nobody has read changes nothing",
        f"{SERVING}/engines/vllm/estimate.py",
        "        if unread:\n",
        "        if False:\n",
        (FILTER,),
    ),
    Mutation(
        "addition-overlooked",
        "an adapter or a draft model takes no memory",
        f"{SERVING}/engines/vllm/estimate.py",
        '    fits = "no" if fit["fits"] == "no" else "unknown"\n',
        '    fits = fit["fits"]\n',
        (FILTER,),
    ),
    Mutation(
        "divided-gpu-is-whole",
        "a server is promised a GPU of which it has a part",
        f"{SERVING}/engines/vllm/estimate.py",
        "    if divided:\n",
        "    if False:\n",
        (FILTER,),
    ),
)
