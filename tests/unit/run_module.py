# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module's real main() and returns its real JSON."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args


def run_main(
    module: ModuleType,
    capsys: pytest.CaptureFixture[str],
    options: dict[str, Any],
    check: bool = False,
) -> dict[str, Any]:
    """What the module prints for *options*; with *check*, in check mode with diff."""
    given = {**options, "_ansible_check_mode": True, "_ansible_diff": True} if check else options
    capsys.readouterr()
    with patch_module_args(given), pytest.raises(SystemExit):
        module.main()
    return dict(json.loads(capsys.readouterr().out))
