# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No wrong file is believed: what a mirror, a line, a disk or a restart makes of a download."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import HOST, HOSTILE_HUB, HUB, RANGES

PARTS = "plugins/module_utils/hub/parts.py"
PIECES = f"{HOST}/models/pieces.py"

MUTATIONS = (
    Mutation(
        "range-taken-as-asked",
        "bytes of another place of a file are written where others belong",
        PARTS,
        "or not int(place[1]) == first <= int(place[2]):",
        "or False:",
        (
            f"{RANGES}::test_another_range_than_was_asked_for_is_never_written",
            f"{RANGES}::test_a_mirror_that_always_sends_other_ranges_is_given_up_with_what_to_change",
        ),
        2,
    ),
    Mutation(
        "whole-answer-taken-for-a-range",
        "a mirror that ignores ranges writes the begin of a file into its middle",
        PIECES,
        "if part.first != first or not self._fits(part.version):",
        "if not self._fits(part.version):",
        (f"{RANGES}::test_a_mirror_that_ignores_ranges_gives_the_whole_file_by_one_connection",),
        2,
    ),
    Mutation(
        "size-of-the-answer-not-compared",
        "the first bytes of a longer file are taken for the whole",
        PARTS,
        'if told not in (None, "*", str(self.file.size)):',
        "if False:",
        (f"{RANGES}::test_a_file_of_another_size_than_is_listed_is_refused",),
        3,
    ),
    Mutation(
        "versions-mixed",
        "a file that changes while it is downloaded becomes a mixture of both",
        PIECES,
        "return version is not None and version == self.version",
        "return True",
        (
            f"{RANGES}::test_a_file_that_changes_between_pieces_is_no_mixture_of_both",
            f"{RANGES}::test_a_file_that_changes_between_two_runs_is_no_mixture_of_both",
        ),
        2,
    ),
    Mutation(
        "pieces-without-a-name-joined",
        "pieces that nothing holds together become a file",
        PIECES,
        "return version is not None and version == self.version",
        "return version == self.version",
        (f"{RANGES}::test_what_nothing_holds_together_is_taken_from_one_answer",),
    ),
    Mutation(
        "weak-name-joins-pieces",
        "a server that calls two contents the same makes a mixture of them",
        PARTS,
        'if tag.startswith("W/") else tag',
        'if tag == "W/" else tag',
        (f"{RANGES}::test_pieces_without_a_checksum_are_joined_by_a_name_that_is_as_good",),
    ),
    Mutation(
        "pieces-without-a-name-kept",
        "another run goes on with pieces of a file that it cannot know",
        PIECES,
        " and (self.file.checksum or self.version):",
        ":",
        (f"{RANGES}::test_what_has_no_name_is_not_taken_up_by_another_run",),
    ),
    Mutation(
        "rest-of-a-file-believed",
        "what some earlier run has left of a file is taken for its begin",
        PIECES,
        "return here if file.checksum else 0",
        "return here",
        (f"{RANGES}::test_what_is_left_of_a_small_file_counts_only_where_a_checksum_proves_it",),
    ),
    Mutation(
        "lost-piece-believed",
        "zeros that a restart of the host has left are taken for weights",
        PIECES,
        "if self._crc(piece, with_it) == piece.crc:",
        "if self._crc(piece, with_it) >= 0:",
        (
            f"{RANGES}::test_a_lost_piece_is_found_where_no_checksum_would_tell",
            f"{RANGES}::test_a_piece_that_a_restart_of_the_host_has_lost_is_fetched_again_alone",
        ),
        2,
    ),
    Mutation(
        "checksum-not-compared",
        "a model that was damaged or exchanged on the way is served",
        PIECES,
        "if digest and digest.hexdigest() != self.file.checksum:",
        "if False:",
        (
            f"{RANGES}::test_bytes_with_another_checksum_are_thrown_away_with_their_journal",
            f"{RANGES}::test_what_changes_and_has_a_checksum_says_that_it_changed",
        ),
        2,
    ),
    Mutation(
        "wrong-file-kept",
        "each further run finds the wrong bytes and fails of them again",
        PIECES,
        "            self.part.unlink()\n",
        "",
        (f"{RANGES}::test_bytes_with_another_checksum_are_thrown_away_with_their_journal",),
    ),
    Mutation(
        "token-to-the-address",
        "the server that a hub names for the bytes is shown the token",
        HUB,
        "return self._open(address, asked) if address else self._ask(url, asked)",
        "return self._ask(address or url, asked)",
        (f"{RANGES}::test_the_address_of_the_bytes_never_gets_the_token",),
    ),
    Mutation(
        "address-kept-after-its-time",
        "a download of hours ends when the address of the bytes does",
        PARTS,
        "            except HubError:\n                self._address = None\n        answer =",
        "            except HubError:\n                raise\n        answer =",
        (f"{RANGES}::test_an_address_whose_time_is_over_is_asked_for_anew",),
    ),
    Mutation(
        "hub-asked-for-each-piece",
        "a large model has more pieces than a hub answers requests",
        PARTS,
        "answer.geturl() if elsewhere else None",
        "None",
        (f"{RANGES}::test_the_hub_is_asked_once_where_bytes_lie_elsewhere",),
    ),
    Mutation(
        "connections-without-number",
        "a mirror shuts out a host that asks for all pieces at once",
        f"{HOST}/models/store.py",
        "ThreadPoolExecutor(CONNECTIONS) as",
        "ThreadPoolExecutor(999) as",
        (f"{RANGES}::test_connections_are_bounded_over_all_files",),
    ),
    Mutation(
        "journal-from-the-hub",
        "a hub writes itself which pieces have arrived",
        HUB,
        '(".incomplete", ".incomplete.pieces")',
        '(".incomplete",)',
        (f"{HOSTILE_HUB}::test_a_file_lies_within_the_model_under_a_name_of_its_own",),
    ),
)
