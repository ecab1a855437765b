# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reports that deploys have left, read from the folder where they keep them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_MOST_BYTES = 2**20


def deploy_reports(folder: Path, hosts: Iterable[str]) -> dict[str, dict[str, Any]]:
    """By host, what its latest deploy has left. It is a help: what cannot be read is left out."""
    found = {host: _report(folder, host) for host in hosts}
    return {host: report for host, report in found.items() if report}


def _report(folder: Path, host: str) -> dict[str, Any]:
    file = folder / f"{host}.json"
    try:
        # A pipe would keep its reader waiting.
        if file.parent != folder or not file.is_file():
            return {}
        if file.stat().st_size > _MOST_BYTES:
            return {}
        report = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return report if isinstance(report, dict) else {}
