# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mutations: each breaks one safety rule of the product, and names the tests that must notice.

One file per kind; a new file is a new kind. ``text`` stands exactly once in its file. A mutation is
kept small and plausible: what a hurried change could do.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from tests.drills.mutations.mutation import Mutation

_FILES = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)]

MUTATIONS: tuple[Mutation, ...] = tuple(
    one for file in _FILES for one in getattr(file, "MUTATIONS", ())
)
