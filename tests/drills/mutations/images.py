# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that have the engine: who gets one, and what follows where it cannot be had or used."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import ENGINE_IMAGES, MARKET, STACK

_ATTEMPTS = f"{MARKET}/rentals/attempts.py"
_OPTIONS = f"{MARKET}/rentals/options.py"
_IMAGE = "plugins/modules/stack_image.py"

MUTATIONS = (
    Mutation(
        "image-of-ones-own-replaced",
        "whoever names an image is rented another one",
        _OPTIONS,
        'options.get("image") or options["image_gib"] is not None',
        "False",
        (f"{ENGINE_IMAGES}::test_whoever_wants_another_one_gets_that",),
    ),
    Mutation(
        "image-for-an-untold-driver",
        "a host whose driver nobody knows gets an image that it may not run",
        "plugins/module_utils/serving/engines/vllm/choosing.py",
        'if not host.get("driver_version"):',
        "if False:",
        (f"{ENGINE_IMAGES}::test_a_host_that_does_not_tell_its_driver_gets_no_guess",),
    ),
    Mutation(
        "image-whatever-it-costs",
        "an image that takes an hour to come is preferred to an installation of minutes",
        f"{MARKET}/offers/ranking.py",
        "image = min(ways, key=lambda one: ways[one].total_seconds)",
        "image = next(iter(ways))",
        (
            f"{ENGINE_IMAGES}::test_where_an_installation_serves_sooner_nothing_is_gained_by_an_image",
        ),
    ),
    Mutation(
        "image-nobody-gets-again",
        "each attempt rents with the image that no host gets",
        _ATTEMPTS,
        "counted = replace(counted, installs=True)",
        "pass",
        (
            f"{ENGINE_IMAGES}::test_an_image_that_nobody_asked_for_and_nobody_gets_is_left_for_an_installation",
        ),
    ),
    Mutation(
        "image-of-ones-own-passed-over",
        "an image that the user names and nobody gets costs one rental after the other",
        _ATTEMPTS,
        "return ours and failure.kind",
        "return failure.kind",
        (f"{ENGINE_IMAGES}::test_an_image_of_ones_own_that_nobody_gets_ends_the_run",),
    ),
    Mutation(
        "image-after-an-installation",
        "what failed its proof is taken again by the next run, beside a server that runs",
        _IMAGE,
        "() if stack.is_ours else places",
        "places",
        (f"{STACK}::test_an_image_is_looked_at_only_before_there_is_an_installation",),
    ),
)
