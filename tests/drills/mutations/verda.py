# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verda's own ways to bill on unseen, to lose what is somebody else's, and to tell its secrets."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import MARKET

FILE = f"{MARKET}/providers/verda.py"
TRANSPORT = f"{MARKET}/providers/transport.py"
CONTRACT = "tests/unit/simulator/test_verda_contract.py"

MUTATIONS = (
    Mutation(
        "verda-page-is-gone",
        "a gateway's page says that an instance is gone, which bills on",
        FILE,
        "bool(_NO_INSTANCE.search(_said(response)))",
        "bool(_NO_INSTANCE.search(response.text.casefold()))",
        (f"{CONTRACT}::test_gone_is_in_its_own_words_about_this_instance",),
    ),
    Mutation(
        "verda-5xx-rented-nothing",
        "a rental request that failed half-way is taken for one that was not carried out",
        FILE,
        "    if not code or not 400 <= status < 500 or status == 408:\n",
        "    if not code or status < 400:\n",
        (f"{CONTRACT}::test_a_refused_rental_request_is_told_by_its_kind",),
    ),
    Mutation(
        "verda-untold-disk-is-left",
        "an instance that does not tell its disk ends without it, and it bills in the trash",
        FILE,
        """            if known.get("instance_id") == row["id"] and _label(known):\n""",
        "            if False:\n",
        (f"{CONTRACT}::test_a_release_finds_the_disk_of_an_instance_that_does_not_tell_it",),
    ),
    Mutation(
        "verda-disk-is-left",
        "an instance ends without its disk, which bills on",
        FILE,
        '            body["volume_ids"] = [disk]\n',
        '            body["volume_ids"] = []\n',
        (f"{CONTRACT}::test_a_release_takes_its_own_disk_along_for_good_and_no_other",),
    ),
    Mutation(
        "verda-disks-of-others-end",
        "a disk that somebody attached is deleted for good with the instance",
        FILE,
        '            body["volume_ids"] = [disk]\n',
        '            body["volume_ids"] = sorted(_disks(row))\n',
        (f"{CONTRACT}::test_a_release_takes_its_own_disk_along_for_good_and_no_other",),
    ),
    Mutation(
        "verda-left-disk-is-unseen",
        "a disk whose instance was ended in the console bills on, and no list shows it",
        FILE,
        "for row in [*alive, *left]]\n",
        "for row in alive]\n",
        (f"{CONTRACT}::test_a_disk_that_is_left_bills_and_is_a_rental_until_it_is_gone",),
    ),
    Mutation(
        "verda-gone-before-its-disk",
        "a release is called proven while the disk of the instance is still there",
        FILE,
        "        if row is None and self._may_have_left_a_disk(rental_id):\n",
        "        if row is None and rental_id.startswith(_DISK):\n",
        (f"{CONTRACT}::test_a_release_is_not_proven_while_the_disk_is_left",),
    ),
    Mutation(
        "verda-not-yet-is-done",
        "an end that was refused because the instance is being made counts as one that was begun",
        FILE,
        "        if _NOT_YET.search(_said(response)):\n            raise ProviderUnavailable(\n",
        "        if _NOT_YET.search(_said(response)):\n            return\n"
        "            raise ProviderUnavailable(\n",
        (f"{CONTRACT}::test_what_is_being_made_is_released_when_it_runs",),
    ),
    Mutation(
        "verda-gives-up-while-it-is-made",
        "an instance that is being made outlives its release, and bills once it runs",
        FILE,
        "    ends_within_seconds = 600.0\n",
        "    ends_within_seconds = 90.0\n",
        (f"{CONTRACT}::test_what_is_being_made_is_released_when_it_runs",),
    ),
    Mutation(
        "verda-sweeps-other-scopes",
        "a release deletes the scripts and keys of another fleet",
        FILE,
        "    if owner.scope != mark.scope:\n",
        "    if False:\n",
        (f"{CONTRACT}::test_what_others_have_left_goes_with_a_release_unless_it_may_be_used",),
    ),
    Mutation(
        "verda-sweeps-what-is-used",
        "a release deletes the script and the key of an instance that runs",
        FILE,
        "if owner and one_id not in used and",
        "if owner and",
        (f"{CONTRACT}::test_what_others_have_left_goes_with_a_release_unless_it_may_be_used",),
    ),
    Mutation(
        "verda-without-a-mark-for-a-moment",
        "a rental whose mark moves has none in between, and is nobody's where that is cut off",
        FILE,
        "        key = next(one for one in _MARK_TAGS",
        "        self._untag(rental_id, current, doing)\n"
        "        key = next(one for one in _MARK_TAGS",
        (f"{CONTRACT}::test_a_mark_that_moves_is_there_at_every_moment",),
    ),
    Mutation(
        "verda-logs-in-for-ever",
        "credentials that are refused are renewed with each try of a rental request",
        TRANSPORT,
        "                may_renew = False\n",
        "                may_renew = True\n",
        (f"{CONTRACT}::test_a_rental_request_whose_token_is_refused_was_not_carried_out",),
    ),
    Mutation(
        "verda-tells-its-token",
        "a message shows the token that the account logs in with",
        FILE,
        "        return (*super().secrets(), self._token)\n",
        "        return super().secrets()\n",
        (f"{CONTRACT}::test_neither_credentials_nor_tokens_get_into_a_message",),
    ),
)
