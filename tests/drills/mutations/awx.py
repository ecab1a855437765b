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
        "inferops_provider in {marketplaces()}",
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
        "if not is_closed(url):",
        "if not url:",
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
        '{given["token"], *hidden}',
        '{given["token"]}',
        (f"{_BOOTSTRAP}::test_the_commands_of_the_page_need_an_address_and_a_token_alone",),
    ),
    Mutation(
        "account-chosen-at-launch",
        "a job rents in an account that nobody reaps, and is told that somebody does",
        "tests/awx/configuration.py",
        '"ask_credential_on_launch": False',
        '"ask_credential_on_launch": True',
        (
            f"{_CONFIGURATION}::test_the_files_are_what_the_specifications_make_now",
            f"{_CONFIGURATION}::test_another_marketplace_is_one_line_and_all_follows",
        ),
        least_red=2,
    ),
    Mutation(
        "one-budget-for-all-hosts",
        "a budget that each host may spend is approved as that of all together",
        "awx/workflows.yml",
        "ends: several hosts cost as many times of both.",
        "ends.",
        (f"{_CONFIGURATION}::test_a_budget_is_said_to_be_that_of_each_host",),
    ),
    Mutation(
        "typed-webhook-lost",
        "the webhook that somebody typed into AWX is written over, and nobody hears of approvals",
        _APPLYING,
        "key: one for key, one in _said(body[field]).items() if",
        "key: one for key, one in body[field].items() if",
        (f"{_BOOTSTRAP}::test_the_webhook_that_somebody_typed_stays",),
    ),
    Mutation(
        "password-of-the-webhook-lost",
        "a password that AWX does not tell differs in every run, and is written over",
        _APPLYING,
        "if kept.get(key) != _KEPT_BY_AWX",
        "if kept.get(key) != one",
        (f"{_BOOTSTRAP}::test_one_word_of_a_webhook_is_changed_and_nothing_beside_it",),
    ),
    Mutation(
        "webhook-shown",
        "whoever reads the output of the run may post to the webhook",
        _APPLYING,
        "return {*_of_credentials(configuration), *_of_notifications(configuration)}",
        "return _of_credentials(configuration)",
        (
            f"{_BOOTSTRAP}::test_the_commands_of_the_page_need_an_address_and_a_token_alone",
            f"{_BOOTSTRAP}::test_where_notifications_go_is_hidden_with_what_they_log_in_with",
        ),
        least_red=2,
    ),
    Mutation(
        "key-quoted",
        "the first letters of a private key, which AWX quotes, are in the output of the run",
        _API,
        "redact_parts(answer.text[: 10 * _MOST_LETTERS], self._secrets)",
        "answer.text",
        (f"{_BOOTSTRAP}::test_what_awx_quotes_of_a_secret_is_not_shown",),
    ),
    Mutation(
        "release-stuck",
        "no release with one more marketplace can be applied, the reaper's schedule included",
        _APPLYING,
        "if not made_of_it:",
        "if made_of_it:",
        (f"{_BOOTSTRAP}::test_the_next_release_is_applied_and_says_what_awx_keeps",),
    ),
    Mutation(
        "proof-of-nothing",
        "a server that is not there is not told as such",
        "playbooks/tasks/reached.yml",
        "that: inferops_connected | default(false)",
        "that: true",
        (
            "tests/unit/plugins/test_prove.py::"
            "test_a_name_that_nothing_is_rented_under_proves_nothing",
        ),
    ),
)
