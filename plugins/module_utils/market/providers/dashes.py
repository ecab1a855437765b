# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Marks as names of letters, digits and dashes, for providers that may take no others."""

from __future__ import annotations

import re

#: What else is in a mark is written by two dashes or letters: inferops--main--gpu-x1--...
_WRITTEN = {"/": "--", "-": "-x", ".": "-d", "_": "-u"}
_READ = {written: letter for letter, written in _WRITTEN.items()}
_SEPARATOR = _WRITTEN["/"]


def with_dashes(mark: str) -> str:
    """A mark as a name."""
    return re.sub(r"[/._-]", lambda found: _WRITTEN[found[0]], mark)


def without_dashes(name: str) -> str:
    """What :func:`with_dashes` has written, or is left of it; another name as it is."""
    if _SEPARATOR not in name:
        return name
    return re.sub(r"-[-xdu]", lambda found: _READ[found[0]], name)
