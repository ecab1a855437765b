# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What travels with the rental request: the dead-man switch and the host's key."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import MARKET, PROBE, RULES, SCRIPT, UNIT, WAITING

MUTATIONS = (
    Mutation(
        "create-without-switch",
        "a rental whose controller never comes back bills for ever",
        f"{MARKET}/providers/vastai.py",
        "            order.mark.deadline,\n            SELF_RELEASE,\n",
        "            order.mark.deadline,\n            None,\n",
        (f"{RULES}::test_the_dead_man_switch_travels_with_the_create",),
    ),
    Mutation(
        "restart-resets-the-deadline",
        "a host that was stopped and started again lives by another deadline",
        f"{MARKET}/access/start_script.py",
        "if [ ! -s switch.sh ]; then\n",
        "rm -f switch.sh deadline\nif true; then\n",
        (f"{SCRIPT}::test_a_restart_undoes_no_extension",),
    ),
    Mutation(
        "damaged-deadline-believed",
        "a file with rubbish in it lets a host live for ever",
        f"{MARKET}/access/start_script.py",
        "    *[!0-9]*|0*) deadline=;;\n    ??????????) ;;\n    *) deadline=;;\n",
        "    '') ;;\n",
        (f"{SCRIPT}::test_a_damaged_deadline_counts_as_the_original_one",),
    ),
    Mutation(
        "release-from-inside-tried-once",
        "a host whose release meets a hiccup bills for ever",
        f"{MARKET}/access/start_script.py",
        "      (exec 9>&-; call f @{method})\n      pause=30\n",
        "      (exec 9>&-; call f @{method})\n      exit\n",
        (f"{SCRIPT}::test_a_release_that_fails_is_tried_again",),
    ),
    Mutation(
        "lock-outlives-the-switch",
        "a switch that was killed while it asked cannot be armed again, and nobody ends the host",
        f"{MARKET}/access/start_script.py",
        "row=$(exec 9>&-; call i",
        "row=$(call i",
        (f"{SCRIPT}::test_a_switch_that_was_killed_while_it_asked_leaves_no_lock_behind",),
    ),
    Mutation(
        "wrong-clock-of-a-host-believed",
        "a host whose clock is wrong ends at once or never",
        f"{MARKET}/access/start_script.py",
        "offset=$((now-$(date +%s)))",
        "offset=0",
        (f"{SCRIPT}::test_a_host_whose_clock_is_wrong_ends_by_the_providers_clock",),
    ),
    Mutation(
        "key-in-an-argument-list",
        "whoever lists the processes of a host can read its key",
        f"{MARKET}/access/start_script.py",
        "curl -q${1}sSm60 -K - ||",
        'curl -q${1}sSm60 -K - -A "$key" ||',
        (f"{SCRIPT}::test_the_key_is_in_no_argument_list_and_no_file",),
    ),
    Mutation(
        "delivered-host-key-put-back",
        "after a restart a host shows the key that the marketplace has seen",
        f"{MARKET}/access/start_script.py",
        "  [ ! -e $replaced ] || exit\n",
        "",
        (f"{SCRIPT}::test_a_restart_keeps_the_key_that_replaced_the_delivered_one",),
    ),
    Mutation(
        "host-key-not-checked",
        "whoever answers at the address is given the fleet's secrets",
        f"{MARKET}/access/ssh_probe.py",
        "if login.expected_keys and _line(key) not in login.expected_keys:",
        "if False:",
        (
            f"{PROBE}"
            "::test_another_key_is_refused_before_the_login_and_may_still_change_while_the_host_boots",
        ),
    ),
    Mutation(
        "pinned-host-key-not-checked",
        "an address that went to another machine is trusted",
        f"{MARKET}/access/ssh_probe.py",
        "if known.check(name, key):",
        "if True:",
        (f"{PROBE}::test_another_key_than_the_pinned_one_is_final_and_explained",),
    ),
    Mutation(
        "seen-host-key-pinned",
        "a host may go on showing the key that the marketplace has seen",
        f"{MARKET}/access/ssh_probe.py",
        "if not login.expected_keys or _line(key) == login.expected_keys[0]:",
        "if True:",
        (f"{PROBE}::test_a_key_that_the_marketplace_has_seen_is_accepted_but_never_pinned",),
    ),
    Mutation(
        "one-host-key-for-all-rentals",
        "a rental's host key opens the way to impersonate the next one",
        f"{MARKET}/access/host_keys.py",
        "{mark.name}/{mark.nonce}/{generation}",
        "{mark.name}/{generation}",
        (f"{UNIT}/test_host_keys.py::test_whatever_differs_makes_another_key",),
    ),
    Mutation(
        "revoked-key-blamed-on-the-host",
        "a good host is given up because the key was revoked",
        f"{MARKET}/rentals/waiting.py",
        "                self._provider.check_credential()\n",
        "                pass\n",
        (f"{WAITING}::test_a_key_that_was_revoked_is_no_fault_of_the_host",),
    ),
    Mutation(
        "end-believed-at-first-sight",
        "a good host is given up because its status flickered",
        f"{MARKET}/rentals/waiting.py",
        "if self._ended.seconds(status in (FAILED, STOPPED), now) >= _ENDED_SECONDS:",
        "if status in (FAILED, STOPPED):",
        (f"{WAITING}::test_an_end_that_was_a_flicker_is_not_believed",),
    ),
    Mutation(
        "dead-switch-told-as-armed",
        "a host whose switch is dead is told to end by itself",
        "plugins/module_utils/host/deadline.py",
        "    if pid is None:\n",
        "    if False:\n",
        ("tests/unit/host/test_deadline.py::test_a_dead_switch_is_told_and_started_again",),
    ),
    Mutation(
        "providers-fault-blamed-on-the-machine",
        "machine after machine is shunned for what the provider fails to do",
        f"{MARKET}/rentals/waiting.py",
        'return "provider" if self._unattached and self._at(LOGIN) else "machine"',
        'return "machine"',
        (
            f"{WAITING}::test_a_key_that_the_provider_never_attaches_is_its_fault_and_not_the_machines",
        ),
    ),
)
