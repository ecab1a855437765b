# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the files of this collection lie on the host, whatever kinds of services it runs there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...common.server_words import NAME

__all__ = ["NAME", "Layout"]


@dataclass(frozen=True)
class Layout:
    """Where things lie below the home folder of this collection on the host."""

    home: Path

    @property
    def library(self) -> Path:
        """The sources that launchers run from."""
        return self.home / "lib"

    @property
    def supervisor(self) -> Path:
        """What a supervisord of our own needs."""
        return self.home / "supervisor"

    @property
    def locks(self) -> Path:
        return self.home / "locks"
