# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-builder, in an environment of its own, as the clients of tests/fidelity are."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from tests.fidelity.clients import Environment

BUILDER = Environment(
    "ansible-builder",
    packages=("ansible-builder==3.2.0",),
    published_before="2026-11-29T00:00:00Z",
)
SECONDS = 120


def builder(*words: Any, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run it in a folder, whatever comes of it."""
    BUILDER.install()
    return subprocess.run(
        [str(BUILDER.folder / "bin" / "ansible-builder"), *map(str, words)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
