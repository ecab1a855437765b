# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""llama.cpp computes where it was asked to, from files that are known, and is not ended at work."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import HOST

ENGINE = "tests/unit/host/test_llama_cpp.py"
BUILDS = "tests/unit/serving/test_llama_cpp.py"
MODELS = "tests/unit/host/test_model_cache.py"
SERVE = f"{HOST}/engines/llama_cpp/serve.py"
PLAN = "plugins/module_utils/serving/engines/llama_cpp/engine.py"
WORDS = "plugins/module_utils/common/engines/llama_cpp/words.py"
WISHES = f"{BUILDS}::test_what_it_can_never_serve_is_refused_before_anything_is_rented"
READ = f"{ENGINE}::test_values_are_read_as_people_write_them"
CHOSEN = f"{MODELS}::test_of_many_quantisations_one_is_downloaded_and_its_file_is_told"

MUTATIONS = (
    Mutation(
        "llama-steps-not-counted",
        "a server that writes a long answer counts as one that hangs, and is ended",
        f"{HOST}/engines/engine.py",
        " + (self.steps or 0)",
        "",
        (f"{ENGINE}::test_work_shows_in_its_steps_while_tokens_are_counted_at_the_end",),
    ),
    Mutation(
        "llama-without-gpu",
        "a rented GPU stands idle while llama.cpp computes on the CPU",
        SERVE,
        '== "cuda" and not gpus(xllamacpp)',
        '== "gpu" and not gpus(xllamacpp)',
        (f"{ENGINE}::test_without_the_gpu_that_was_asked_for_it_does_not_serve",),
    ),
    Mutation(
        "llama-key-not-set",
        "whoever reaches the port is answered without a key",
        SERVE,
        "        params.api_keys = [key]\n",
        "        params.api_keys = []\n",
        (f"{ENGINE}::test_its_key_comes_from_its_environment_alone",),
    ),
    Mutation(
        "llama-any-driver",
        "a host is rented whose driver cannot run the build",
        PLAN,
        'str(build.least_driver), "rent_driver_version")',
        '"0", "rent_driver_version")',
        (f"{BUILDS}::test_a_host_that_it_cannot_compute_on_is_refused",),
    ),
    Mutation(
        "llama-any-file",
        "whatever file an index has of the version is installed",
        PLAN,
        '"lock": " ".join(words) + "\\n" if hashes else "",',
        '"lock": "",',
        (f"{BUILDS}::test_the_build_for_cpus_is_pinned_to_files_that_are_known",),
    ),
    Mutation(
        "llama-own-options-taken",
        "an option of the command line leads the server away from the port that is proven",
        WORDS,
        "for name in given if name in OWN)",
        "for name in given if name in ())",
        (f"{ENGINE}::test_what_it_does_not_take_is_refused_by_name",),
    ),
    Mutation(
        "llama-options-after-renting",
        "a host is rented for an option that llama.cpp does not have",
        PLAN,
        "        return Judged((*refusals(values), *unknown))\n",
        "        return Judged(tuple(refusals(values)))\n",
        (f"{BUILDS}::test_an_option_that_it_does_not_know_is_refused_before_anything_is_rented",),
    ),
    Mutation(
        "gguf-folder-as-path",
        "another quantisation is downloaded, and the server goes on with the old one",
        "plugins/modules/model_cache.py",
        "        return str(copy.folder / model_file(names))\n",
        "        return str(copy.folder)\n",
        (CHOSEN,),
    ),
    Mutation(
        "gguf-all-quantisations",
        "every quantisation of a model is downloaded while the host bills",
        "plugins/module_utils/hub/selection.py",
        "    return [*models.get(chosen, []), *projectors[:1]] if models else []\n",
        "    return [*(one for each in models.values() for one in each), *projectors]\n",
        (CHOSEN,),
    ),
    Mutation(
        "llama-kwargs-as-they-are",
        "a start with template arguments ends the server that served",
        WORDS,
        "    return {name: json.dumps(value) for name, value in given.items()}\n",
        "    return dict(given)\n",
        (READ,),
    ),
    Mutation(
        "llama-seed-below-zero",
        "llama-server's own default ends the server that served",
        WORDS,
        "return _whole(text, _UINT32) % 2**32",
        "return _whole(text, _UINT32)",
        (READ,),
    ),
    Mutation(
        "llama-one-word-for-all-kinds",
        "a choice that llama-server has ends the server that served",
        SERVE,
        '_WORDS.get((kind, value), value).replace("+"',
        '_WORDS.get(("llama_flash_attn_type", value), value).replace("+"',
        (f"{ENGINE}::test_the_real_library_takes_every_option_and_every_choice",),
    ),
    Mutation(
        "llama-batch-as-silence",
        "recover ends a server that computes a long batch, with its requests",
        f"{HOST}/engines/llama_cpp/engine.py",
        '            client.call("GET", "/health", seconds=seconds)\n',
        '            client.call("GET", "/metrics", seconds=seconds)\n',
        (f"{ENGINE}::test_one_that_computes_a_batch_is_busy_and_a_frozen_one_is_not",),
    ),
    Mutation(
        "llama-batch-is-hung-at-once",
        "recover ends a server at its batch, because a look takes less long",
        f"{HOST}/server/health.py",
        'spec.runs_on.step_seconds if mode == "canary" else 0',
        "0",
        (
            f"{ENGINE}::test_a_long_step_is_told_at_a_glance_and_waited_for_before_anything_is_"
            "ended",
        ),
    ),
    Mutation(
        "gguf-first-part-is-all",
        "a large model in parts is ended while it loads",
        f"{HOST}/server/start_limit.py",
        "    if not gguf_names.is_part(file.name):\n",
        "    if file:\n",
        (
            "tests/unit/host/test_start_limit.py"
            "::test_all_parts_of_a_model_count_that_is_loaded_by_its_first",
        ),
    ),
    Mutation(
        "llama-wishes-after-renting",
        "a host is rented for a wish that llama.cpp can never fulfil",
        PLAN,
        "        return Judged((*refusals(values), *unknown))\n",
        "        return Judged(tuple(unknown))\n",
        (WISHES,),
    ),
    Mutation(
        "llama-any-release",
        "a host is rented for a release that is none",
        PLAN,
        "    if not _RELEASE.fullmatch(version):\n",
        "    if not version:\n",
        (WISHES,),
    ),
    Mutation(
        "gguf-none-and-rented",
        "a host is rented for a model without a file to load",
        "plugins/module_utils/hub/asking.py",
        "    if refusal:\n",
        "    if refusal is None:\n",
        (f"{MODELS}::test_what_no_server_could_load_is_refused_before_anything_is_rented",),
    ),
    Mutation(
        "llama-names-divided",
        "a server never becomes ready, because its name is two to llama.cpp",
        f"{HOST}/engines/llama_cpp/command.py",
        "    for refusal in llama_words.misnamed(names):\n",
        "    for refusal in llama_words.misnamed(()):\n",
        (f"{ENGINE}::test_a_name_that_it_would_divide_is_refused",),
    ),
    Mutation(
        "llama-slots-without-bound",
        "all requests wait in llama.cpp, without bound, and none in the proxy",
        PLAN,
        "        return Admission(slots if slots > 0 else ",
        "        return Admission(1024 if slots > 0 else ",
        ("tests/unit/serving/test_admission.py::test_llama_cpp_gets_as_many_as_it_has_slots",),
    ),
    Mutation(
        "llama-options-not-tried",
        "a server is ended for options with which the next one dies",
        f"{HOST}/engines/llama_cpp/command.py",
        "    if serve.NOT_TAKEN in last:\n",
        "    if not last:\n",
        (f"{ENGINE}::test_what_the_real_library_refuses_ends_no_server",),
    ),
    Mutation(
        "llama-other-release-planned",
        "check mode and the estimate tell of another llama.cpp than is installed",
        "roles/rent/tasks/needs.yml",
        "inferops_accelerator, inferops_engine_release) }}",
        "inferops_accelerator) }}",
        (f"{BUILDS}::test_every_plan_of_a_play_is_of_the_release_that_is_asked_for",),
    ),
    Mutation(
        "llama-other-release-shown",
        "a dry run tells of another llama.cpp than is installed",
        "playbooks/tasks/plan.yml",
        '      release: "{{ inferops_engine_release }}"\n',
        "",
        (
            "tests/unit/plugins/test_check_variables.py"
            "::test_a_dry_run_tells_of_the_llama_cpp_that_is_asked_for",
        ),
    ),
)
