# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is rented, taken and told: what Jinja decided before, where no mutation reached it."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import SERVING

BEFORE = f"{SERVING}/before_renting.py"
PREBUILT = f"{SERVING}/prebuilt.py"
RENTING = "tests/unit/serving/test_before_renting.py"
_LOOKED_FOR = f"{RENTING}::test_a_host_is_looked_at_for_the_engine_only_where_its_image_may_have_it"
_RENTED = f"{RENTING}::test_an_image_with_the_engine_is_rented_only_where_it_can_do"

MUTATIONS = (
    Mutation(
        "unknown-model-taken-for-a-small-one",
        "for a model that nothing is known of the cheapest card of all is rented",
        BEFORE,
        "    if not config and not known_bytes:\n",
        "    if False:\n",
        (f"{RENTING}::test_a_model_that_nothing_is_known_of_says_why",),
        4,
    ),
    Mutation(
        "hub-outranks-the-user",
        "a host is rented for another model than the one that is served",
        BEFORE,
        'wish.config or asked.get("config") or {}',
        'asked.get("config") or wish.config or {}',
        (f"{RENTING}::test_a_config_that_is_given_counts_more_than_what_the_hub_says",),
    ),
    Mutation(
        "driver-of-any-release",
        "a host is rented whose driver runs no vLLM that knows the model",
        BEFORE,
        "vllm_version=wish.vllm_version, least=least\n",
        'vllm_version=wish.vllm_version, least=""\n',
        (f"{RENTING}::test_a_release_that_does_not_know_the_model_is_refused",),
    ),
    Mutation(
        "image-nobody-gets-rented-again",
        "every attempt rents the image that no host can get",
        PREBUILT,
        " and not wish.only_installed and not installs",
        " and not wish.only_installed",
        (_RENTED,),
    ),
    Mutation(
        "image-for-what-it-cannot-do",
        "an image is pulled for minutes whose engine cannot be taken",
        PREBUILT,
        "return bool(self.extra_requirements or self.lock_file)",
        "return bool(self.extra_requirements)",
        (_RENTED, _LOOKED_FOR),
        2,
    ),
    Mutation(
        "own-host-rummaged",
        "an environment of the user's own is taken that nobody has named",
        PREBUILT,
        ' or not rental or rental.get("own")',
        " or not rental",
        (_LOOKED_FOR,),
    ),
    Mutation(
        "disk-for-nothing",
        "a disk is paid for that holds no stack",
        "plugins/filter/rental_needs.py",
        '{} if (asked or {}).get("given_python") else stack or {}',
        "stack or {}",
        (f"{RENTING}::test_what_is_not_installed_needs_no_disk",),
    ),
)
