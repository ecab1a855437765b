# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one view shows: a list that is behind, an odd row, a file beside a key, one host's text."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import (
    ATTEMPTS,
    CONTROLLER,
    LABELS,
    MARKET,
    READY,
    SCRIPT,
    UNIT,
)

ALONE = f"{UNIT}/test_lists_alone.py"
FRESH = f"{ALONE}::test_a_fresh_controller_says_that_lists_alone_tell_it"
UNMARKED = "test_what_nobody_has_marked_is_shown_apart_and_nothing_leads_there"

MUTATIONS = (
    Mutation(
        "youngest-bill-alone-looked-at",
        "lists that are behind hide the older one of two that were rented at once, which bills",
        f"{MARKET}/rentals/account.py",
        "_CHARGED_LOOKED_AT, _CHARGED_OF_A_NAME = 3, 5\n",
        "_CHARGED_LOOKED_AT, _CHARGED_OF_A_NAME = 3, 1\n",
        (
            f"{LABELS}::test_lists_that_are_behind_do_not_hide_the_older_of_two_that_were_rented_at_once",
        ),
        2,
    ),
    Mutation(
        "lists-alone-believed-by-a-teardown",
        "a teardown says that nothing is rented, by lists that are behind, and does not doubt it",
        f"{MARKET}/rentals/account.py",
        "        if not found:\n            self._doubt_lists_alone()\n",
        "",
        (f"{FRESH}[lambda-teardown]", f"{FRESH}[lambda-extend]"),
    ),
    Mutation(
        "lists-alone-believed-by-a-reaper",
        "a reaper says that all is well, by a list that is behind, and does not doubt it",
        f"{MARKET}/rentals/account.py",
        "        self._doubt_lists_alone()\n        return self._of_scope(listed), self._damaged",
        "        return self._of_scope(listed), self._damaged",
        (f"{FRESH}[lambda-reap]",),
    ),
    Mutation(
        "own-look-is-another-view",
        "a list that the same play has read takes away the doubt about the next one",
        f"{MARKET}/rentals/shared_listing.py",
        "        return bool(known_since) and self._clock.now() - known_since >= _BEHIND_SECONDS\n",
        '        return "seen" in kept\n',
        (f"{ALONE}::test_what_the_same_play_has_listed_before_is_no_other_view",),
    ),
    Mutation(
        "extension-denies-what-bills",
        "extend says that nothing bills, which lists alone have told it",
        "plugins/modules/rental_extend.py",
        'lifecycle.account.sure("Nothing bills under it.")',
        '"Nothing bills under it."',
        (f"{FRESH}[lambda-extend]",),
    ),
    Mutation(
        "reaper-believes-one-list",
        "a rental that the list misses is never ended, though it is charged for",
        f"{MARKET}/rentals/account.py",
        "            listed = [*listed, *self._missed(listed)]\n",
        "            pass\n",
        (f"{LABELS}::test_a_list_that_misses_one_of_two_lets_no_reaper_miss_it",),
    ),
    Mutation(
        "bill-without-a-name-ignored",
        "lists that are behind hide what bills at a provider whose bills tell no names",
        f"{MARKET}/rentals/account.py",
        "        if label is None:\n            return True\n",
        "        if label is None:\n            return False\n",
        (
            "tests/unit/market/conformance/test_clauses.py"
            "::test_what_a_list_misses_is_known_by_what_is_charged",
        ),
    ),
    Mutation(
        "others-hide-what-bills",
        "what other scopes rent is looked at in place of what lists miss: two are rented",
        f"{MARKET}/rentals/desk.py",
        "self._account.unlisted(whole, name)",
        "self._account.unlisted(listed, name)",
        (f"{ALONE}::test_what_others_rent_does_not_hide_what_a_list_misses[runpod]",),
    ),
    Mutation(
        "one-odd-read-ends-the-deploy",
        "one odd answer about a rental that has ended keeps everybody from renting",
        f"{MARKET}/rentals/account.py",
        "                if not self._may_ask_again(attempt, until, error):\n"
        "                    raise ProviderUnavailable(\n",
        "                if True:\n                    raise ProviderUnavailable(\n",
        (
            f"{ALONE}::test_an_odd_read_of_what_has_ended_keeps_nobody_from_renting[trouble0-runpod]",
        ),
    ),
    Mutation(
        "rented-beside-what-cannot-be-read",
        "a second one is rented beside what bills, is in no list, and cannot be read",
        f"{MARKET}/rentals/account.py",
        "                    raise ProviderUnavailable(\n"
        '                        f"Rental {rental_id} was charged',
        "                    return None\n"
        "                    raise ProviderUnavailable(\n"
        '                        f"Rental {rental_id} was charged',
        (
            f"{ALONE}::test_nothing_is_rented_beside_what_bills_and_cannot_be_read[runpod]",
            f"{ALONE}::test_nothing_is_rented_beside_what_bills_and_cannot_be_read[vastai]",
        ),
    ),
    Mutation(
        "odd-port-hides-the-rental",
        "one odd port keeps deploy and status from a rental that bills",
        f"{MARKET}/providers/fields.py",
        "        except DAMAGED:\n            continue\n        found.setdefault",
        "        except DAMAGED:\n            raise\n        found.setdefault",
        (f"{UNIT}/test_border.py::test_an_odd_port_hides_neither_the_rental_nor_its_other_ways",),
    ),
    Mutation(
        "extension-believes-one-list",
        "extend says that nothing bills, of a rental that one list has missed",
        "plugins/modules/rental_extend.py",
        "lifecycle.account.find(name) or lifecycle.account.prove_none(name)\n",
        "lifecycle.account.find(name)\n",
        (f"{LABELS}::test_lists_that_are_behind_let_no_extension_say_that_nothing_bills",),
    ),
    Mutation(
        "dry-run-believes-one-list",
        "a dry run of a teardown says that nothing is rented, of what one list has missed",
        f"{MARKET}/rentals/desk.py",
        "self._account.prove_none(name, but=rental_id)\n",
        "self._account.find(name)\n",
        (f"{LABELS}::test_lists_that_are_behind_let_no_dry_run_say_that_nothing_is_rented",),
    ),
    Mutation(
        "teardown-ends-at-its-look",
        "a row that nobody can read keeps a rental alive",
        "roles/teardown/tasks/serving.yml",
        "    connect_goes_on: true\n",
        "    connect_goes_on: false\n",
        ("tests/unit/plugins/test_teardown.py",),
    ),
    Mutation(
        "extension-believes-a-status",
        "a host that serves cannot be extended while its status is behind",
        f"{MARKET}/rentals/extending.py",
        "return PROVIDER if enforced_by == PROVIDER else HOST",
        "return enforced_by",
        (
            "tests/unit/plugins/test_extend.py"
            "::test_a_host_is_asked_whatever_its_status_says_unless_its_provider_ends_it",
            "tests/unit/plugins/test_extend.py"
            "::test_a_host_that_lets_us_in_is_asked_who_ends_it_whatever_its_status_says",
        ),
        2,
    ),
    Mutation(
        "first-guess-kept",
        "a host whose clock is behind, and whose network came late, bills past its deadline",
        f"{MARKET}/access/start_script.py",
        '    [ "$(cat deadline)" = $guess ] && rm deadline\n',
        "",
        (f"{SCRIPT}::test_a_host_whose_clock_is_wrong_and_whose_network_comes_late_ends_in_time",),
    ),
    Mutation(
        "one-odd-row-hides-the-scope",
        "one row that nobody can read hides what else is rented, and its price",
        f"{MARKET}/rentals/account.py",
        "        if name is not None:\n            readable(named(found, name))\n",
        "        readable(found)\n",
        (f"{LABELS}::test_one_odd_row_hides_no_other_rental_of_the_scope",),
    ),
    Mutation(
        "public-key-of-a-file-beside",
        "a private key without its public half is found out after a host was rented",
        "plugins/action/rental_ready.py",
        "check_public_key(public_half(here(private_key_file)))",
        'check_public_key(here(private_key_file + ".pub").read_text())',
        (
            f"{READY}::test_a_host_is_given_the_public_half_of_the_private_key_whatever_lies_beside_that",
        ),
        2,
    ),
    Mutation(
        "key-not-tried",
        "a key that cannot log in is found out after a host was rented",
        "plugins/plugin_utils/key_pair.py",
        "    user_key(str(file))\n",
        "",
        (f"{CONTROLLER}::test_a_key_that_cannot_log_in_is_found_before_anything_is_rented",),
    ),
    Mutation(
        "ids-in-a-text-are-causes",
        "what fails on every machine alike is blamed on each one for the ids in its text",
        f"{MARKET}/rentals/attempts.py",
        '_common(one.get("sign") or "") == _common(sign)',
        'one.get("sign") == sign',
        (f"{ATTEMPTS}::test_a_text_that_differs_by_what_is_a_machines_own_is_the_same_failure",),
        2,
    ),
    Mutation(
        "unclaimed-joins-the-fleet",
        "a play of one's own reaches for the rental of somebody else",
        "plugins/inventory/rentals.py",
        'group = self.inventory.add_group(self.get_option("unclaimed_group"))\n',
        'group = self.inventory.add_group(self.get_option("group"))\n',
        (f"{UNIT}/test_inventory.py::{UNMARKED}",),
    ),
    Mutation(
        "kept-fleet-of-another-scope",
        "another scope's hosts are shown as one's own, for as long as the cache lasts",
        "plugins/inventory/rentals.py",
        "asked = json.dumps(accounts, sort_keys=True, default=str)",
        'asked = ""',
        (f"{UNIT}/test_inventory.py::test_what_was_read_is_shown_again_without_asking",),
    ),
)
