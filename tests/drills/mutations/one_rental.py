# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All playbooks mean the same rental by a host."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation

RULES = "plugins/plugin_utils/one_rental.py"
WISHED = "plugins/filter/wished_names.py"
ONE_RENTAL = "tests/unit/plugins/test_one_rental.py"
GATE = "tests/unit/plugins/test_check_variables.py"
NAMES = "plugins/plugin_utils/variables.py"

MUTATIONS = (
    Mutation(
        "shared-fact-of-another-role-passes",
        "teardown ends the rental of another name than the one that was set for it",
        NAMES,
        "for one in used + own if one in options()",
        "for one in used if one in options()",
        (f"{GATE}::test_no_shared_fact_passes_under_the_name_of_any_role_or_playbook",),
    ),
    Mutation(
        "two-hosts-are-one-rental",
        "the teardown of one host ends the rental of the other",
        RULES,
        "if self._name_of(other) == name and not self._is_only_found(other, group):",
        "if False:",
        (f"{GATE}::test_two_hosts_cannot_be_one_rental",),
    ),
    Mutation(
        "limit-hides-the-other-host",
        "a teardown under --limit ends the rental of a host that it leaves out",
        RULES,
        '            others = {*self._groups["all"]}\n',
        '            others = {*self._variables["ansible_play_hosts_all"]}\n',
        (f"{ONE_RENTAL}::test_a_host_that_has_the_name_of_another_does_not_end_its_rental",),
    ),
    Mutation(
        "name-of-the-play-passes",
        "a reaper ends each rental whose name only a play knows",
        RULES,
        "        if seen != name:\n",
        "        if False:\n",
        (f"{ONE_RENTAL}::test_a_name_that_only_the_play_knows_is_refused",),
    ),
    Mutation(
        "group-is-the-whole-inventory",
        "a strict reaper ends the rentals of every other group",
        WISHED,
        'wished = (host for host in groups["all"] if',
        "wished = (host for host in fleet if",
        (f"{ONE_RENTAL}::test_strict_reaping_knows_the_hosts_of_every_group",),
    ),
    Mutation(
        "found-is-wished-for",
        "an orphan that the inventory shows is never told, nor ended",
        WISHED,
        'in groups["all"] if host not in shown)',
        'in groups["all"])',
        (f"{ONE_RENTAL}::test_a_host_that_is_only_found_is_no_wish",),
    ),
    Mutation(
        "status-takes-the-found-for-wished",
        "an orphan that the inventory shows bills, and status has nothing to say of it",
        "playbooks/status.yml",
        'named: "{{ status_wished.names }}"',
        "named: \"{{ groups['all'] }}\"",
        (f"{ONE_RENTAL}::test_a_host_that_is_only_found_is_no_wish",),
    ),
    Mutation(
        "host-name-beside-its-own-name",
        "a rental called like a host that wishes for another one is no orphan",
        WISHED,
        "names = (str(hostvars[host].get(NAME) or host) for host in wished)",
        "names = [*wished, *(str(hostvars[host].get(NAME) or host) for host in groups['all'])]",
        ("tests/unit/plugins/test_wished_names.py::test_a_host_wishes_for_one_name_alone",),
    ),
    Mutation(
        "strict-among-the-found",
        "a strict reaper ends a wish that it takes for an orphan which the inventory shows",
        "roles/reap/tasks/main.yml",
        "that: not reap_strict | inferops.gpu.as_type('bool') or reap_wished.shown | length == 0",
        "that: not reap_strict | inferops.gpu.as_type('bool') or reap_wished.shown | length >= 0",
        (f"{ONE_RENTAL}::test_a_host_that_is_only_found_is_no_wish",),
    ),
    Mutation(
        "name-of-one-run-is-the-inventory",
        "a strict reaper that is given one name ends every rental of another",
        RULES,
        'if for_all and values.get("reap_strict") and NAME in self._extra:',
        "if False:",
        (f"{ONE_RENTAL}::test_strict_reaping_goes_by_no_name_of_the_command_line",),
    ),
    Mutation(
        "group-of-the-inventory-passes",
        "plays take the hosts of one group, and go by another",
        RULES,
        "if variable in seen and variable not in self._extra:",
        "if False:",
        (f"{ONE_RENTAL}::test_a_group_is_given_by_the_command_line_or_not_at_all",),
    ),
    Mutation(
        "facts-from-the-command-line",
        "a deploy pays for one host and installs on another, or ends well and bills",
        "plugins/plugin_utils/variables.py",
        "if name in options() or not mentioned or name not in _set_by_roles():",
        "if True:",
        (f"{ONE_RENTAL}::test_what_the_roles_find_out_is_not_taken_from_the_command_line",),
    ),
    Mutation(
        "first-host-speaks-for-other-accounts",
        "what is rented in the scope of the second host is never reaped",
        RULES,
        "            yield from self._of_two_accounts(values)\n",
        "            pass\n",
        (f"{ONE_RENTAL}::test_one_look_at_the_marketplace_does_not_stand_for_two_accounts[scope]",),
    ),
    Mutation(
        "key-is-named-in-the-refusal",
        "two keys that differ are shown",
        RULES,
        "if known.is_secret(variable):",
        "if False:",
        (f"{ONE_RENTAL}::test_one_look_at_the_marketplace_does_not_stand_for_two_accounts[key]",),
    ),
    Mutation(
        "way-to-what-is-gone",
        "a host that is somebody else's by now is contacted",
        "roles/connect/tasks/lookup.yml",
        'inferops_connected: "{{ (connect_found.rentals | default([]) | first | default({})).own |',
        'inferops_connected: "{{ inferops_connected |',
        (f"{ONE_RENTAL}::test_no_playbook_contacts_the_host_of_a_rental_that_is_gone",),
    ),
)
