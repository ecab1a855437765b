# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever rewrites what a mutation breaks is told before the whole drill is run."""

from __future__ import annotations

from tests.drills.mutants import check_texts
from tests.drills.mutations import MUTATIONS


def test_every_mutation_still_finds_its_text() -> None:
    check_texts(MUTATIONS)


def test_every_mutation_has_a_name_of_its_own() -> None:
    names = [mutation.name for mutation in MUTATIONS]
    assert sorted({*names}) == sorted(names)
