# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose rentals these are."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import LIFECYCLE, MARKET, MODULES, ODD_LABELS, RENTALS

MUTATIONS = (
    Mutation(
        "odd-label-spoils-the-list",
        "one row whose label is a number closes the whole account",
        f"{MARKET}/providers/fields.py",
        "    return printable(value) if isinstance(value, str) else shown(value)\n",
        "    return printable(value)\n",
        (f"{ODD_LABELS}::test_a_row_whose_label_is_no_text_closes_the_account_to_nobody",),
        least_red=3,
    ),
    Mutation(
        "odd-list-hides-a-rental",
        "a list with a number for a label has another one rented beside it",
        f"{MARKET}/rentals/account.py",
        "if one.has_odd_label][:_ODD_LOOKED_AT]",
        "if one.has_odd_label][:0]",
        (f"{ODD_LABELS}::test_an_odd_list_hides_nothing_that_is_read_by_its_id",),
    ),
    Mutation(
        "odd-labels-without-bound",
        "an account full of odd labels is asked for each of them at every look",
        f"{MARKET}/rentals/account.py",
        "if one.has_odd_label][:_ODD_LOOKED_AT]",
        "if one.has_odd_label]",
        (f"{ODD_LABELS}::test_an_account_full_of_odd_labels_is_not_asked_for_all_of_them",),
    ),
    Mutation(
        "odd-label-forgets-whose",
        "what this controller has known as its own is given up for an odd label",
        f"{MARKET}/rentals/account.py",
        "Mark.decode(seen.get(rental.id)) or rental.mark",
        "rental.mark or Mark.decode(None)",
        (
            f"{ODD_LABELS}::test_what_this_controller_has_known_as_ours_stays_ours",
            f"{ODD_LABELS}::test_an_extension_is_kept_where_the_label_that_tells_it_is_no_text",
        ),
        least_red=2,
    ),
    Mutation(
        "odd-label-of-nobody-is-not-said",
        "what may be ours and bill is left alone without a word",
        f"{MARKET}/rentals/account.py",
        "            self.doubt(odd_labels_warning(unknown))\n",
        "            pass\n",
        (f"{ODD_LABELS}::test_what_nobody_can_tell_is_somebody_elses_and_said",),
        least_red=2,
    ),
    Mutation(
        "odd-key-hides-the-others",
        "a key of the account that is no text ends the work of those that are",
        f"{MARKET}/providers/vastai.py",
        "        with contextlib.suppress(*DAMAGED):\n            found[row",
        "        if True:\n            found[row",
        (f"{ODD_LABELS}::test_keys_that_are_no_texts_hide_no_key_that_is",),
    ),
    Mutation(
        "every-scope-is-ours",
        "one team releases what another one rents",
        f"{MARKET}/rentals/account.py",
        "[one for one in listed if one.mark and one.mark.scope == self._scope]",
        "[one for one in listed if one.mark]",
        (f"{RENTALS}::test_other_scopes_names_and_strangers_are_never_touched",),
    ),
    Mutation(
        "every-name-is-ours",
        "a teardown of one host ends the whole fleet",
        f"{MARKET}/rentals/account.py",
        "[rental for rental in rentals if rental.mark and rental.mark.name == name]",
        "[rental for rental in rentals if rental.mark]",
        (f"{RENTALS}::test_other_scopes_names_and_strangers_are_never_touched",),
    ),
    Mutation(
        "release-by-name-instead-of-nonce",
        "a failed run ends the rental of another run",
        f"{MARKET}/rentals/desk.py",
        "[one for one in found if nonce in (None, one.mark and one.mark.nonce)]",
        "list(found)",
        (f"{RENTALS}::test_only_the_rental_with_the_nonce_is_released",),
    ),
    Mutation(
        "strict-without-scope",
        "a reaper with a mistyped scope releases a fleet",
        f"{MODULES}/rental_reap.py",
        'if strict and options["confirm_scope"] != options["scope"]:',
        "if False:",
        (f"{LIFECYCLE}::test_orphans_are_told_and_go_only_when_the_scope_is_spelled_out",),
    ),
    Mutation(
        "orphans-released-without-strict",
        "what an inventory forgot is released without being asked to",
        f"{MARKET}/rentals/reaping.py",
        'return Judgement(rental, ORPHAN, "the inventory does not name it", strict)',
        'return Judgement(rental, ORPHAN, "the inventory does not name it", True)',
        (f"{LIFECYCLE}::test_orphans_are_told_and_go_only_when_the_scope_is_spelled_out",),
    ),
    Mutation(
        "cap-ignored",
        "a wrong inventory releases a whole fleet",
        f"{MODULES}/rental_reap.py",
        'if not module.params["release"] or len(doomed) <= most:',
        "if True:",
        (f"{LIFECYCLE}::test_of_too_many_orphans_none_is_released_but_what_is_expired_goes",),
    ),
    Mutation(
        "cap-holds-back-the-expired",
        "a large fleet that is past its deadline bills for ever",
        f"{MODULES}/rental_reap.py",
        "(spared and one.verdict == ORPHAN)",
        "len([one for one in judged if one.release]) > module.params['max_orphans']",
        (f"{LIFECYCLE}::test_a_large_fleet_that_expires_together_goes_as_a_whole",),
    ),
    Mutation(
        "no-inventory-is-an-empty-one",
        "an inventory that could not be read releases a whole fleet",
        f"{MODULES}/rental_reap.py",
        "if strict and not names:",
        "if strict and names is None:",
        (f"{LIFECYCLE}::test_an_inventory_without_names_makes_no_orphans",),
    ),
    Mutation(
        "damaged-mark-unseen",
        "a rental whose label was edited bills unseen",
        f"{MARKET}/mark.py",
        "    if not text or Mark.decode(text) is not None:\n",
        "    if text is not scope:\n",
        (f"{LIFECYCLE}::test_a_damaged_mark_cannot_be_judged_and_fails",),
    ),
)
