# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look says that nothing has to be done: then nothing is done."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import ATTEMPTS, DEADLINE, HOST, LOOK, MARKET, RENTALS

MUTATIONS = (
    Mutation(
        "wish-not-compared",
        "a changed wish is never fulfilled, because the old one was",
        f"{HOST}/server/asked.py",
        'if not asked or asked.get("wishes") != wishes:',
        "if not asked:",
        (f"{LOOK}::test_another_wish_is_not_what_was_asked",),
    ),
    Mutation(
        "label-is-the-only-handle",
        "a rental whose label was replaced is said to be gone, and bills",
        f"{MARKET}/rentals/desk.py",
        "            doomed += self._by_id(rental_id, doomed)\n",
        "            pass\n",
        (f"{RENTALS}::test_a_label_that_was_replaced_meanwhile_hides_no_rental_from_its_release",),
    ),
    Mutation(
        "id-of-another-name-is-released",
        "a teardown of one host ends the rental of another",
        f"{MARKET}/rentals/desk.py",
        "        if mark is not None:\n            # A whole mark",
        "        if False:\n            # A whole mark",
        (f"{RENTALS}::test_an_id_of_another_name_is_left_alone",),
    ),
    Mutation(
        "empty-name-stands-for-the-scope",
        "a name that renders to nothing finds the rental of another host",
        f"{MARKET}/rentals/info.py",
        "        if name is not None:\n            # An empty",
        "        if name:\n            # An empty",
        (f"{RENTALS}::test_an_empty_name_stands_for_no_rental",),
    ),
    Mutation(
        "one-unproven-id-keeps-all",
        "an id of which nothing is known keeps the rentals of the name billing",
        f"{MARKET}/rentals/desk.py",
        "except UnprovenAbsence as error:\n            unproven.append(error)\n        self._",
        "except KeyError as error:\n            unproven.append(error)\n        self._",
        (f"{RENTALS}::test_an_id_that_is_left_alone_keeps_no_other_from_its_release",),
    ),
    Mutation(
        "silence-about-an-id-is-its-absence",
        "a rental that the provider cannot show is said to be gone",
        f"{MARKET}/rentals/account.py",
        "        if verdict.presence == GONE:\n            return None\n",
        "        if verdict.presence in (GONE, UNKNOWN):\n            return None\n",
        (f"{RENTALS}::test_an_id_of_which_nobody_can_say_whether_it_is_there_is_unproven",),
    ),
    Mutation(
        "failed-attempt-forgets-its-id",
        "a failed deploy releases by label alone what somebody has renamed",
        f"{MARKET}/rentals/attempts.py",
        'release_id = str((made or {}).get("id") or "")',
        'release_id = ""',
        (f"{ATTEMPTS}::test_what_is_released_is_named_by_its_id_as_well",),
    ),
    Mutation(
        "found-rental-changes-are-forgotten",
        "a deploy leaves a deadline that was asked for elsewhere, and a duplicate that bills",
        f"{MARKET}/rentals/desk.py",
        '"as_asked": usable and not kept["changed"] and not self._is_expired(existing[0]),',
        '"as_asked": usable,',
        (f"{RENTALS}::test_what_renting_would_change_is_not_as_asked_and_stays",),
    ),
    Mutation(
        "found-rental-that-died-serves",
        "a deploy looks at a host that is gone, and calls it as asked",
        f"{MARKET}/rentals/desk.py",
        "usable = rental.status == RUNNING and bool(rental.ssh)",
        "usable = bool(rental.ssh)",
        (f"{RENTALS}::test_what_is_rented_as_asked_is_found_and_nothing_is_changed",),
    ),
    Mutation(
        "finding-releases",
        "a look at what is rented releases a duplicate",
        f"{MARKET}/rentals/rental.py",
        'dry_run or state == "found"',
        "dry_run",
        (f"{RENTALS}::test_what_renting_would_change_is_not_as_asked_and_stays",),
    ),
    Mutation(
        "dead-switch-counts-as-set",
        "a host whose switch is dead is left alone, and nobody ends it",
        f"{HOST}/deadline.py",
        "return self.armed and abs(apart) < SAME_SECONDS",
        "return abs(apart) < SAME_SECONDS",
        (
            f"{DEADLINE}::test_a_switch_is_set_for_a_deadline_when_it_is_armed_and_a_minute_apart_at_most",
        ),
    ),
    Mutation(
        "switch-of-another-deadline-counts-as-set",
        "a host is ended hours after its deadline, or before it",
        f"{HOST}/deadline.py",
        "return self.armed and abs(apart) < SAME_SECONDS",
        "return self.armed",
        (
            f"{DEADLINE}::test_a_switch_is_set_for_a_deadline_when_it_is_armed_and_a_minute_apart_at_most",
        ),
    ),
    Mutation(
        "specification-not-compared",
        "a server that somebody started otherwise counts as the one that was asked for",
        f"{HOST}/server/asked.py",
        'if spec is None or not spec.hash == seen["spec_hash"] == asked.get("spec_hash"):',
        "if spec is None:",
        (f"{LOOK}::test_a_server_that_somebody_started_otherwise_or_stopped_is_seen",),
    ),
    Mutation(
        "lock-not-compared",
        "a stack that somebody replaced counts as the one that was asked for",
        f"{HOST}/server/asked.py",
        'if lock_sha256 != asked.get("lock_sha256"):',
        "if not lock_sha256:",
        (f"{LOOK}::test_whatever_changed_on_the_host_is_seen",),
    ),
    Mutation(
        "receipts-not-read",
        "a proof of another driver, boot or lock counts",
        "plugins/modules/host_look.py",
        "told = stack.unproven(server.engine().parts)",
        "told = []",
        (f"{LOOK}::test_whatever_changed_on_the_host_is_seen",),
    ),
    Mutation(
        "packages-not-read",
        "packages that were exchanged count as those of the lock",
        f"{HOST}/stack/stack.py",
        "if not told and self.differences([]):",
        "if not told and not self.locked():",
        (f"{LOOK}::test_whatever_changed_on_the_host_is_seen",),
    ),
    Mutation(
        "model-not-read",
        "a model whose files were changed counts as the one that was proven",
        "plugins/modules/host_look.py",
        'told += [f"{name} of the model was changed" for name in Copy.holding(model).altered()]',
        "told += []",
        (f"{LOOK}::test_whatever_changed_on_the_host_is_seen",),
    ),
    Mutation(
        "nobody-asked-for-a-completion",
        "a server that is frozen counts as one that serves",
        "plugins/modules/host_look.py",
        "told = [answer.detail] if answer.waiting_for else []",
        "told = []",
        (f"{LOOK}::test_a_server_that_is_frozen_or_completes_no_more_is_seen",),
    ),
    Mutation(
        "other-gpu-is-the-same",
        "a host whose GPU was exchanged is not planned anew",
        f"{HOST}/server/asked.py",
        'if _identities(report) != asked.get("gpus"):',
        "if report is None:",
        (f"{LOOK}::test_other_gpus_are_seen",),
    ),
)
