# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A8: only who has the scope's secret is believed, and nobody guesses it."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import MARKET, SEALS, UNIT

_NOT_PROVEN = (f"{SEALS}::test_a_mark_that_is_not_proven_is_neither_used_nor_released_and_is_told",)

MUTATIONS = (
    Mutation(
        "seal-of-the-copy-unread",
        "whoever makes an instance with our mark in it gets it used and released",
        f"{MARKET}/mark.py",
        "    if not seal.proves(kept):\n",
        "    if False:\n",
        _NOT_PROVEN,
        3,
    ),
    Mutation(
        "seal-of-the-label-unread",
        "a mark that somebody writes into a label is believed where there is no copy",
        f"{MARKET}/mark.py",
        "return whole if whole and seal.proves(whole) else None",
        "return whole",
        (f"{SEALS}::test_who_writes_a_mark_without_the_secret_gets_nothing_released",),
    ),
    Mutation(
        "deadline-in-a-label-believed",
        "who writes a deadline of the past into a label has a reaper end the rental",
        f"{MARKET}/mark.py",
        "return next(filter(seal.proves, ours), kept)",
        "return next(ours, kept)",
        (f"{SEALS}::test_a_deadline_that_somebody_writes_into_a_label_does_not_count",),
        2,
    ),
    Mutation(
        "seal-of-names-alone",
        "one seal serves for every deadline",
        f"{MARKET}/mark.py",
        'f"inferops mark/{mark.encode()}"',
        'f"inferops mark/{mark.identity}"',
        (f"{SEALS}::test_a_seal_is_of_the_whole_mark_and_of_one_secret",),
    ),
    Mutation(
        "unproven-is-invisible",
        "a rental whose secret has changed bills, and teardown says that nothing is rented",
        f"{MARKET}/rentals/account.py",
        "return claim.scope == self._scope and name in (None, claim.name)",
        "return False",
        _NOT_PROVEN,
        3,
    ),
    Mutation(
        "unproven-stays-for-ever",
        "a lost secret leaves a rental that nothing but the console ends",
        f"{MARKET}/rentals/account.py",
        "doubted = [one for one in self._damaged(listed, name) if one.id != but]",
        "doubted = self._damaged(listed, name)",
        (f"{SEALS}::test_what_is_not_proven_is_released_by_its_id",),
    ),
    Mutation(
        "extension-without-a-seal",
        "an extension by a controller without the secret is taken back by the next one",
        f"{MARKET}/rentals/lifecycle.py",
        "        if rental.mark.version >= SEALED and not seal:\n",
        "        if False:\n",
        (f"{SEALS}::test_without_the_secret_a_sealed_rental_is_released_and_not_extended",),
    ),
    Mutation(
        "listing-shared-with-who-believes-all",
        "what one process believes, another one believes for it",
        f"{MARKET}/rentals/options.py",
        'SharedListing(_shared_file(options, "listing", provider.seal.fingerprint), clock)',
        'SharedListing(_shared_file(options, "listing"), clock)',
        (f"{SEALS}::test_who_believes_every_mark_shares_no_listing_with_who_does_not",),
    ),
    Mutation(
        "short-secret-rents",
        "a marketplace guesses the secret, and with it the keys of all hosts",
        f"{MARKET}/rentals/desk.py",
        "        refuse_short(given_secret(options))\n",
        "",
        (f"{SEALS}::test_nothing_is_rented_with_a_secret_that_can_be_guessed",),
        2,
    ),
    Mutation(
        "guess-for-nothing",
        "a secret is guessed 10000 times a second",
        f"{MARKET}/secret.py",
        "return hmac.new(_stretched(secret), ",
        "return hmac.new(secret.encode(), ",
        (
            f"{UNIT}/test_host_keys.py"
            "::test_the_derivation_never_changes_or_every_running_host_would_be_lost",
            f"{SEALS}::test_a_seal_never_changes_or_every_rental_would_be_unproven",
        ),
        2,
    ),
)
