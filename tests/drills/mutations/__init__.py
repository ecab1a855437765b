# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mutations: each breaks one safety rule of the product, and names the tests that must notice.

One file per kind. ``text`` stands exactly once in its file. A mutation is kept small and plausible:
what a hurried change could do.
"""

from __future__ import annotations

from tests.drills.mutations import (
    answers,
    attempts,
    before_it_costs,
    bounds,
    check_mode,
    creates,
    deadlines,
    decisions,
    field,
    fitting,
    hosts,
    limits,
    locks,
    looking,
    market_faults,
    options,
    ownership,
    prices,
    progress,
    proofs,
    seals,
    seam,
    servers,
    shown,
    trust,
    working,
)
from tests.drills.mutations.mutation import Mutation

_KINDS = (
    answers,
    proofs,
    creates,
    prices,
    ownership,
    deadlines,
    attempts,
    check_mode,
    limits,
    hosts,
    servers,
    decisions,
    seam,
    fitting,
    looking,
    working,
    field,
    locks,
    trust,
    bounds,
    progress,
    shown,
    market_faults,
    seals,
    before_it_costs,
    options,
)

MUTATIONS: tuple[Mutation, ...] = tuple(one for kind in _KINDS for one in kind.MUTATIONS)
