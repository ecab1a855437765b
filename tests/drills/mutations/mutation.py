# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a mutation is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """One broken rule. ``tests`` are files or test ids, as pytest takes them.

    At least so many of them must notice.
    """

    name: str
    breaks: str
    file: str
    text: str
    replacement: str
    tests: tuple[str, ...]
    least_red: int = 1

    def applied_to(self, source: str) -> str:
        """The broken source. Raises ValueError unless the text stands there exactly once."""
        count = source.count(self.text)
        if count != 1:
            raise ValueError(f"its text stands {count} times in {self.file}: {self.text!r}")
        return source.replace(self.text, self.replacement)
