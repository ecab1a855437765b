# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where vLLM and torch keep what they have compiled."""

from __future__ import annotations

import getpass
import tempfile
from collections.abc import Mapping
from pathlib import Path


def inductor_cache() -> Path:
    """Where torch keeps compiled kernels, unless TORCHINDUCTOR_CACHE_DIR names a folder."""
    return Path(tempfile.gettempdir()) / f"torchinductor_{getpass.getuser()}"


def compiled(environment: Mapping[str, str]) -> list[Path]:
    """Folders of compiled kernels and graphs; they are filled again by the next start."""
    root = Path(environment.get("VLLM_CACHE_ROOT") or "~/.cache/vllm").expanduser()
    triton = Path(environment.get("TRITON_CACHE_DIR") or "~/.triton/cache").expanduser()
    inductor = Path(environment.get("TORCHINDUCTOR_CACHE_DIR") or inductor_cache())
    return [path for path in (root / "torch_compile_cache", triton, inductor) if path.is_dir()]
