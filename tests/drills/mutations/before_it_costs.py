# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused before it costs money."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import (
    CONTROLLER,
    MARKET,
    NEEDED,
    PLAYS,
    RENTALS,
    SERVING,
    UNIT,
)

INSTALLING = "tests/unit/serving/test_before_installing.py"

MUTATIONS = (
    Mutation(
        "controller-not-looked-at",
        "a deploy rents a host and finds out then that it can write no report",
        "playbooks/deploy.yml",
        "        rents: true\n",
        "",
        (
            f"{CONTROLLER}::test_a_folder_that_cannot_be_written_to_is_found_before_anything_is_rented"
            "[inferops_report_dir-run]",
        ),
    ),
    Mutation(
        "report-releases-a-server",
        "a disk that has filled up releases a host that serves",
        "playbooks/tasks/report.yml",
        "  rescue:\n",
        "  always:\n",
        (f"{CONTROLLER}::test_a_report_that_cannot_be_kept_ends_no_deploy",),
    ),
    Mutation(
        "libraries-not-looked-for",
        "a host is rented that nothing here can log in to",
        "plugins/plugin_utils/controller.py",
        "        if not _is_there(library):\n",
        "        if False:\n",
        (
            f"{CONTROLLER}::test_a_library_that_is_missing_is_found_before_anything_is_rented"
            "[paramiko]",
        ),
    ),
    Mutation(
        "ssh-not-looked-for",
        "a host is rented that nothing here can log in to",
        "plugins/plugin_utils/controller.py",
        "        if shutil.which(program) is None:\n",
        "        if False:\n",
        (f"{CONTROLLER}::test_a_missing_ssh_client_is_found_before_anything_is_rented[deploy]",),
    ),
    Mutation(
        "too-small-a-card",
        "a model of 891 GiB is rented a card of 24",
        f"{MARKET}/offers/refusals.py",
        "if 0 < asked.vram_gib < least:",
        "if 0 < asked.vram_gib < 0:",
        (
            f"{UNIT}/test_refusals.py::test_a_card_on_which_the_model_cannot_start_is_refused",
            f"{PLAYS}::test_a_model_is_never_rented_a_card_on_which_it_cannot_start",
        ),
        2,
    ),
    Mutation(
        "any-memory-is-any",
        "with rent_vram_gib 0 a model is rented a card on which it cannot start",
        f"{MARKET}/rentals/options.py",
        'max(options["vram_gib"] or 0.0, options["least_vram_gib"]) or None',
        'options["vram_gib"]',
        (
            f"{NEEDED}::test_a_card_that_is_too_small_for_the_model_is_not_rented",
            f"{PLAYS}::test_a_model_is_never_rented_a_card_on_which_it_cannot_start",
        ),
        2,
    ),
    Mutation(
        "plan-without-credit",
        "check mode promises what the account would be refused",
        f"{MARKET}/rentals/desk.py",
        "            self._refuse_without_means()\n",
        "            pass\n",
        (f"{RENTALS}::test_check_mode_refuses_what_the_account_would_be_refused_later",),
        2,
    ),
    Mutation(
        "untold-credit-is-none",
        "an account that does not tell its credit can plan nothing",
        f"{MARKET}/rentals/means.py",
        "account.credit_usd is not None and account.credit_usd <= 0",
        "(account.credit_usd or 0) <= 0",
        (f"{RENTALS}::test_an_account_that_tells_nothing_refuses_nothing",),
    ),
    Mutation(
        "downloads-are-free",
        "a budget is overdrawn by the price of traffic",
        f"{MARKET}/rentals/desk.py",
        "lifetime.less(self._traffic_usd(offer, chosen.image))",
        "lifetime",
        (f"{RENTALS}::test_a_budget_knows_what_the_downloads_cost",),
    ),
    Mutation(
        "gpu-is-guessed",
        "a wish for an A100 gets whatever is spelled alike",
        f"{MARKET}/offers/gpu_names.py",
        "    if same:\n        return same\n    alike = names_alike(word, known)\n",
        "    alike = names_alike(word, known)\n"
        "    if same or alike:\n        return same or alike\n",
        (f"{UNIT}/test_offers.py::test_a_gpu_that_may_be_another_is_asked_back_and_never_guessed",),
    ),
    Mutation(
        "inventory-trusts-any-host",
        "whoever answers at a rental's address is logged in to",
        "plugins/plugin_utils/connection.py",
        "StrictHostKeyChecking={'yes' if delivered else 'accept-new'}",
        "StrictHostKeyChecking={'no' if delivered else 'accept-new'}",
        (f"{UNIT}/test_ready.py::test_the_inventory_lets_no_stranger_take_the_place_of_a_rental",),
    ),
    Mutation(
        "offer-ends-before-the-deadline",
        "an offer is rented that its provider ends before the deadline",
        f"{MARKET}/rentals/options.py",
        'max(options["duration_hours"] or 0.0, options["least_duration_hours"])',
        'options["duration_hours"] or 0.0',
        (f"{NEEDED}::test_an_offer_that_ends_before_the_deadline_is_not_rented",),
    ),
    Mutation(
        "every-attempt-begins-anew",
        "each attempt of a run may send as many rental requests as the whole run",
        f"{MARKET}/rentals/attempts.py",
        "max(max_attempts - self.requests_sent, 1)",
        "max(max_attempts, 1)",
        (f"{NEEDED}::test_attempts_of_a_run_share_its_rental_requests_and_each_may_send_one",),
    ),
    Mutation(
        "unknown-option-is-installed-for",
        "a stack is installed for minutes, for a server whose options its vLLM then refuses",
        f"{SERVING}/before_installing.py",
        "    if extra_requirements:\n",
        "    if extra_args or extra_requirements:\n",
        (f"{INSTALLING}::test_an_option_that_the_planned_vllm_does_not_know_is_refused",),
    ),
    Mutation(
        "no-room-for-the-stack",
        "a stack is downloaded to a disk that it does not fit on",
        f"{SERVING}/before_installing.py",
        "disk_free_mib >= installed_gib * 1024",
        "disk_free_mib >= installed_gib",
        (f"{INSTALLING}::test_a_stack_that_the_disk_has_no_room_for_is_refused",),
    ),
)
