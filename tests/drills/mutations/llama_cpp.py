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
        "        return Judged(tuple(self.unknown_options(arguments, words, ())))\n",
        "        return Judged()\n",
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
)
