# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the parts of a GGUF model are named: `name-00001-of-00005.gguf` and so on."""

from __future__ import annotations

import re

_PART = re.compile(r"-(\d{5})-of-\d{5}(?=\.gguf$)")


def is_part(name: str) -> bool:
    """Whether this is one of several parts."""
    return _PART.search(name) is not None


def is_first(name: str) -> bool:
    """Whether a model is loaded by this name: the first part, or a file that is no part."""
    part = _PART.search(name)
    return part is None or int(part[1]) == 1


def whole(name: str) -> str:
    """What all parts of one model have in common."""
    return _PART.sub("", name)
