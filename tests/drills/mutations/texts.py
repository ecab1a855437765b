# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A word for no means no, and what a play goes on without may be late as well."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import FLEET

TYPED = "tests/unit/test_typed_variables.py"
LIMITS = "tests/unit/test_time_limits.py"
IN_EVERY_EXPRESSION = f"{TYPED}::test_text_means_the_same_as_json_in_every_expression"
NO_LIMIT = f"{LIMITS}::test_no_limit_of_the_users_comes_between_a_rental_and_what_is_told_of_it"
MAY_BE_LATE = f"{LIMITS}::test_what_a_play_goes_on_without_may_also_be_late"

MUTATIONS = (
    Mutation(
        "no-is-a-reaper-to-extend",
        "a rental that nobody ends is told to be ended, where the answer to a survey was no",
        "playbooks/extend.yml",
        "{{ inferops_reaper | inferops.gpu.as_type('bool') }}",
        "{{ inferops_reaper }}",
        (f"{IN_EVERY_EXPRESSION}[playbooks/extend.yml]",),
    ),
    Mutation(
        "no-is-a-reaper-to-status",
        "status finds nothing wrong with a rental that nobody ends",
        "plugins/filter/fleet_status.py",
        'boolean(fleet.get("reaper") or False)',
        'bool(fleet.get("reaper"))',
        (f"{FLEET}::test_a_reaper_that_is_told_as_text_is_what_the_text_says",),
    ),
    Mutation(
        "release-that-was-done-is-called-dry",
        "y releases rentals, and a word of the same answer says that nothing was released",
        "roles/reap/tasks/main.yml",
        "not reap_release | inferops.gpu.as_type('bool') or",
        "not reap_release | bool or",
        (f"{IN_EVERY_EXPRESSION}[roles/reap/tasks/main.yml]",),
    ),
    Mutation(
        "y-is-no",
        "a word that options of modules take for yes means no to the roles",
        "plugins/filter/as_type.py",
        "return check_type_bool(value or False)",
        'return str(value).lower() in ("yes", "on", "true", "1")',
        (f"{TYPED}::test_a_flag_is_what_an_option_of_a_module_takes_it_for",),
    ),
    Mutation(
        "late-host-takes-the-verdicts-away",
        "a limit for every task ends status before it has told what bills",
        "playbooks/status.yml",
        "      ignore_errors: true\n",
        "",
        (
            f"{MAY_BE_LATE}[playbooks/status.yml]",
            "tests/unit/plugins/test_late_hosts.py"
            "::test_status_tells_what_bills_where_every_host_is_late",
        ),
        least_red=2,
    ),
    Mutation(
        "slow-provider-takes-the-bill-away",
        "a limit for every task ends status while it asks what is rented",
        "playbooks/status.yml",
        "      timeout: 0\n",
        "",
        (f"{NO_LIMIT}[playbooks/status.yml]",),
    ),
    Mutation(
        "slow-history-releases-what-serves",
        "a limit for every task fails a deploy whose server serves, and releases its host",
        "playbooks/tasks/report.yml",
        "  timeout: 0\n",
        "",
        (f"{NO_LIMIT}[playbooks/tasks/report.yml]",),
    ),
    Mutation(
        "module-that-hangs-fails-the-driver",
        "a driver that was installed counts as failed, for its module took too long to load",
        "roles/driver/tasks/install.yml",
        "  rescue:\n    - name: Go on without it",
        "  always:\n    - name: Go on without it",
        (f"{MAY_BE_LATE}[roles/driver/tasks/install.yml]",),
    ),
)
