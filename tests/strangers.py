# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of another user, also where tests may not make any."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.common import private_files

STRANGER = 65534


class Strangers:
    """What was given to another user looks like that to the product, by what the kernel says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._theirs: set[tuple[int, int]] = set()
        self._judge = private_files._require_ours
        monkeypatch.setattr(private_files, "_require_ours", self._judged)

    def give(self, path: Path) -> None:
        """Make it theirs; of a link, the link itself."""
        status = os.lstat(path)
        self._theirs.add((status.st_dev, status.st_ino))

    def _judged(self, path: Path, status: os.stat_result) -> None:
        if (status.st_dev, status.st_ino) in self._theirs:
            status = os.stat_result((*status[:4], STRANGER, *status[5:10]))
        self._judge(path, status)
