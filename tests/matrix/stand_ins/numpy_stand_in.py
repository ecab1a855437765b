# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for numpy: one row of numbers."""

from __future__ import annotations

import json
import pathlib

__version__ = json.loads(pathlib.Path(__file__).with_name("build.json").read_text())["version"]


class ndarray:
    """Numbers in a row."""

    def __init__(self, numbers):
        self.numbers = list(numbers)

    def sum(self):
        return sum(self.numbers)

    def tolist(self):
        return self.numbers


def arange(count):
    return ndarray(range(count))
