# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWX: nothing is spent without consent, nothing bills unseen, and no secret is in a form."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation

_API = "plugins/module_utils/awx/api.py"
_APPLYING = "plugins/module_utils/awx/applying.py"
_CONFIGURATION = "tests/unit/awx/test_configuration.py"
_BOOTSTRAP = "tests/unit/awx/test_bootstrap.py"

MUTATIONS = (
    Mutation(
        "plan-leads-to-deploy",
        "a workflow spends before anybody has approved it",
        "awx/workflows.yml",
        "        success_nodes:\n          - approve\n",
        "        success_nodes:\n          - deploy\n",
        (f"{_CONFIGURATION}::test_nothing_is_rented_before_a_plan_was_shown_and_approved",),
    ),
    Mutation(
        "way-around-the-approval",
        "a way around the approval stays in a workflow that is applied again",
        _APPLYING,
        '"disassociate": True',
        '"disassociate": False',
        (f"{_BOOTSTRAP}::test_a_way_around_the_approval_is_taken_away",),
    ),
    Mutation(
        "reaper-that-only-looks",
        "jobs say that somebody reaps, and the schedule releases nothing",
        "awx/schedules.yml",
        "reap_release: 'true'",
        "reap_release: 'false'",
        (
            f"{_CONFIGURATION}::"
            "test_a_job_says_that_somebody_reaps_where_a_schedule_does_and_nowhere_else",
        ),
    ),
    Mutation(
        "reaper-said-everywhere",
        "a job says that somebody reaps at a marketplace where nobody does",
        "tests/awx/configuration.py",
        "inferops_provider in {[*REAPED]}",
        "inferops_provider in {[*PROVIDERS]}",
        (f"{_CONFIGURATION}::test_the_files_are_what_the_specifications_make_now",),
    ),
    Mutation(
        "secret-in-a-form",
        "AWX keeps a secret as an answer, and shows it to whoever may see the job",
        "tests/awx/surveys.py",
        "if variables.is_secret(name):",
        "if False:",
        ("tests/unit/awx/test_surveys.py::test_a_secret_is_no_question",),
    ),
    Mutation(
        "token-without-tls",
        "an administrator's token goes over the wire as it is",
        _API,
        'if place.scheme != "https" and',
        "if False and",
        (f"{_BOOTSTRAP}::test_a_token_goes_nowhere_without_tls",),
    ),
    Mutation(
        "token-follows",
        "an administrator's token is taken to wherever an answer points",
        _API,
        "allow_redirects=False",
        "allow_redirects=True",
        (f"{_BOOTSTRAP}::test_a_token_is_not_taken_to_another_address",),
    ),
    Mutation(
        "typed-secret-lost",
        "a secret that somebody typed into AWX is written over",
        _APPLYING,
        "if not kept.get(key)",
        "if key",
        (f"{_BOOTSTRAP}::test_a_secret_is_filled_in_once_and_what_somebody_typed_stays",),
    ),
    Mutation(
        "credential-shown",
        "what a credential is filled with is in the output of the run",
        "plugins/modules/awx_configuration.py",
        '{given["token"], *secrets(given["configuration"])}',
        '{given["token"]}',
        (f"{_BOOTSTRAP}::test_the_commands_of_the_page_need_an_address_and_a_token_alone",),
    ),
    Mutation(
        "proof-of-nothing",
        "a server that is not there is not told as such",
        "playbooks/prove.yml",
        "that: inferops_connected | default(false)",
        "that: true",
        (
            "tests/unit/plugins/test_prove.py::"
            "test_a_name_that_nothing_is_rented_under_proves_nothing",
        ),
    ),
)
