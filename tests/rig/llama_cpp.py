# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real llama.cpp for tests on this machine: the build for CPUs, made once for the checkout."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.llama_cpp import (
    engine as llama_cpp,
)

FOLDER = Path(__file__).resolve().parents[2] / ".rig" / "llama-cpp"
MOST_SECONDS = 600


def python() -> str:
    """The interpreter of an environment that has it. Only its known files are installed."""
    plan = llama_cpp.plan({}, "cpu")
    made = FOLDER / plan["release"]
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not (made / "whole").exists():
            shutil.rmtree(made, ignore_errors=True)
            _install(made, plan["lock"])
            (made / "whole").touch()
    return str(made / "bin" / "python")


def _install(folder: Path, lock: str) -> None:
    _run(sys.executable, "-m", "venv", str(folder))
    listed = folder / "lock.txt"
    listed.write_text(lock)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps"]
    _run(*pip, "--only-binary", ":all:", "--require-hashes", "--requirement", str(listed))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=MOST_SECONDS)
