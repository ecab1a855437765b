# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""S1: a secret that is known by its value leaves by no task, whichever has it."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import COMMON, GATE, KNOWN, MARKET, TRANSPORT

_ACTIONS = "plugins/plugin_utils/guarded_action.py"
_FLEET = "plugins/plugin_utils/fleet_secrets.py"

MUTATIONS = (
    Mutation(
        "said-back-to-another-task",
        "a host says the server's key back to a task that does not have it, and it is shown",
        _ACTIONS,
        "        return as_written(given) | self._secrets_of_the_fleet(variables, names)\n",
        "        return as_written(given)\n",
        (
            f"{KNOWN}::test_no_task_on_a_host_tells_a_secret_that_another_task_has_given",
            f"{KNOWN}::test_a_result_that_did_not_fail_holds_none_either",
            f"{KNOWN}::test_no_line_about_the_start_of_a_server_shows_one",
        ),
        3,
    ),
    Mutation(
        "cut-before-it-is-known",
        "half of the server's key is shown where a line is cut",
        _ACTIONS,
        "            told: dict[str, Any] = without(_from_outside(result), self.secrets)\n",
        "            told: dict[str, Any] = _from_outside(result)\n",
        (f"{KNOWN}::test_no_line_about_a_job_shows_one[cut]",),
    ),
    Mutation(
        "line-with-a-secret",
        "a line about a host whose connection broke shows the server's key",
        _ACTIONS,
        "        screen.tell(host, _sentence(text, self.secrets))\n",
        "        screen.tell(host, shown(text))\n",
        (f"{KNOWN}::test_no_failure_of_the_connection_shows_one_or_steers_a_terminal",),
    ),
    Mutation(
        "error-of-ansible-s-own",
        "what a host prints while a file is sent to it steers the terminal and shows a key",
        _ACTIONS,
        "        except AnsibleError as error:\n",
        "        except AnsibleActionFail as error:\n",
        (f"{KNOWN}::test_no_failure_of_the_connection_shows_one_or_steers_a_terminal",),
    ),
    Mutation(
        "name-in-a-result",
        "a host puts the server's key where the name of a value stands",
        f"{COMMON}/known.py",
        "{clean(name): clean(inner)",
        "{name: clean(inner)",
        (f"{KNOWN}::test_a_result_that_did_not_fail_holds_none_either",),
    ),
    Mutation(
        "escaped-as-json",
        "a password with a quote in it is shown where JSON is",
        f"{COMMON}/known.py",
        "    return bare | once | {json.dumps(secret)[1:-1] for secret in once}\n",
        "    return bare\n",
        (f"{KNOWN}::test_a_secret_with_signs_that_json_escapes_is_known_as_json",),
        2,
    ),
    Mutation(
        "secret-without-a-name",
        "keys of a proxy's clients are known by names that tell nothing, so they are shown",
        _FLEET,
        "whole = set() if name.endswith(_MAY_HOLD) else _texts_in(value)",
        "whole: set[str] = set()",
        (f"{KNOWN}::test_what_every_secret_variable_holds_is_known",),
        2,
    ),
    Mutation(
        "secret-as-text",
        "secrets in a dictionary that a survey gives as text are shown",
        _FLEET,
        "    value, _complaint = coerce(name, value)\n",
        "",
        (f"{KNOWN}::test_what_every_secret_variable_holds_is_known",),
    ),
    Mutation(
        "summary-by-looks-alone",
        "a message of Ansible's own puts the server's key into the summary that is passed on",
        "roles/evidence/vars/main.yml",
        "'summary.md.j2') | inferops.gpu.redact(inferops_secrets)",
        "'summary.md.j2') | inferops.gpu.redact",
        (f"{KNOWN}::test_state_and_summary_of_evidence_hold_none",),
    ),
    Mutation(
        "state-by-looks-alone",
        "a diagnosis puts the server's key into the state that is passed on",
        "roles/evidence/vars/main.yml",
        "evidence_known | inferops.gpu.redact(inferops_secrets)",
        "evidence_known | inferops.gpu.redact",
        (f"{KNOWN}::test_state_and_summary_of_evidence_hold_none",),
    ),
    Mutation(
        "report-by-nothing",
        "a message of Ansible's own puts the server's key into the report of recover",
        "roles/recover/tasks/attempt.yml",
        " | inferops.gpu.redact(inferops_secrets)",
        "",
        (f"{KNOWN}::test_what_is_kept_of_a_task_that_failed_is_without_secrets",),
    ),
    Mutation(
        "login-in-a-kept-error",
        "the password in a marketplace's address is kept on the controller's disk",
        f"{MARKET}/providers/transport.py",
        "            without_login(told),\n",
        "            told,\n",
        (f"{TRANSPORT}::test_an_address_with_a_login_is_told_without_it",),
        2,
    ),
    Mutation(
        "started-with-what-stands-for-a-secret",
        "recover starts a server with the word that stands for its token",
        "plugins/action/model_server.py",
        "        if any(REDACTED in str(arguments.get(name)) for name in READ_BACK):\n",
        "        if False:\n",
        (f"{KNOWN}::test_what_recover_reads_back_is_not_started_without_its_secret",),
    ),
    Mutation(
        "package-by-its-address",
        "a package that no lock can hold is refused by the host, after it has begun to bill",
        "plugins/plugin_utils/variables.py",
        "        if not _REQUIREMENT.fullmatch(line.strip()):\n",
        "        if False:\n",
        (f"{GATE}::test_what_no_lock_can_hold_is_refused_before_anything_is_rented_and_not_shown",),
        5,
    ),
    Mutation(
        "login-in-a-variable",
        "at -v the gate shows the password in a variable that no role takes for a secret",
        "plugins/action/check_variables.py",
        "        self.secrets |= passwords_in(told) | secrets_in(told)\n",
        "",
        (f"{GATE}::test_the_login_in_a_variable_that_is_no_secret_is_not_shown",),
    ),
)
