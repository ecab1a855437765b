# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Found by the simulated market's own faults."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import MARKET, MODULES, OUTCOME, READY, SHARING, UNIT, UNTOLD

MUTATIONS = (
    Mutation(
        "no-proxy",
        "a host whose own port is dead is given up, though the marketplace's proxy lets in",
        f"{MARKET}/providers/vastai.py",
        '    if row.get("ssh_host") and row.get("ssh_port"):\n',
        '    if not direct and row.get("ssh_host") and row.get("ssh_port"):\n',
        (f"{READY}::test_a_host_is_reached_by_the_way_that_works_while_the_other_is_dead",),
    ),
    Mutation(
        "only-the-first-way",
        "a host is tried by one of its ways only",
        f"{MARKET}/rentals/waiting.py",
        "            for endpoint in rental.ssh:\n",
        "            for endpoint in rental.ssh[:1]:\n",
        (f"{READY}::test_a_host_is_reached_by_the_way_that_works_while_the_other_is_dead",),
    ),
    Mutation(
        "looked-up-by-the-first-way",
        "what was deployed through the proxy cannot be looked at, mended or extended",
        f"{MARKET}/access/answering.py",
        "    return next((way for way in ways if _answers(way, seconds)), ways[0])\n",
        "    return ways[0]\n",
        (f"{UNIT}/test_way_in.py",),
    ),
    Mutation(
        "unknown-price-without-a-place",
        "a rental whose price is not told bills, and nobody says where",
        f"{MARKET}/model.py",
        """    place = f" (see {console_url})" if""",
        """    place = "" if""",
        (
            f"{UNTOLD}::test_a_price_that_is_not_told_is_said_with_where_it_is_shown",
            f"{UNTOLD}::test_what_may_be_ended_at_any_moment_is_told_with_where_its_price_is_shown",
            f"{UNTOLD}::test_a_price_that_is_not_told_is_said_and_not_zero",
            OUTCOME,
        ),
    ),
    Mutation(
        "unknown-price-counted-as-none",
        "what orphans bill is told without those whose price nobody knows, as if that were all",
        f"{MODULES}/rental_reap.py",
        "'at least ' if None in rates else ''",
        "''",
        (f"{UNTOLD}::test_what_orphans_bill_is_told_as_the_least_where_a_price_is_not_told",),
    ),
    Mutation(
        "ending-rental-is-kept",
        "a deploy keeps a rental whose end was asked for, and nobody has a host a moment later",
        f"{MARKET}/rentals/desk.py",
        "        lasting = [one for one in existing if not one.is_ending]\n",
        "        lasting = list(existing)\n",
        (f"{UNTOLD}::test_what_is_ending_is_proven_gone_and_never_kept",),
    ),
    Mutation(
        "label-alone-is-not-said",
        "nobody is told that a rental which loses its label is known to nobody",
        f"{MARKET}/rentals/lacking.py",
        "    if not provider.keeps_second_mark:\n",
        "    if False:\n",
        (f"{UNTOLD}::test_what_a_provider_cannot_do_is_said_before_anything_is_paid",),
    ),
    Mutation(
        "killed-release-stays-shared",
        "what a killed release has ended is taken for what is rented",
        f"{MARKET}/rentals/lifecycle.py",
        "        self.account.forget()\n        proof = Proof(self._provider, rental_id)\n",
        "        proof = Proof(self._provider, rental_id)\n",
        (f"{SHARING}::test_what_a_killed_release_has_ended_is_not_taken_for_rented",),
    ),
)
