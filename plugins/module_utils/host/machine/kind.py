# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kind of host this is: a machine or a container, and what it can build."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .tools import search_path

#: The kernel's own number for the process namespace that the machine boots in (proc_ns.h).
FIRST_PID_NAMESPACE = 0xEFFFFFFC

COMPILERS = ("cc", "gcc", "clang")


def systemd_is_running() -> bool:
    """Whether systemd is PID 1: the test that sd_booted(3) documents."""
    return Path("/run/systemd/system").is_dir()


def sees_all_processes() -> bool:
    """Whether PIDs here are the machine's own; inside most containers they are not."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino == FIRST_PID_NAMESPACE
    except OSError:
        return False


def c_compiler() -> str | None:
    """The compiler that Triton would take: the one that CC names, else the usual ones."""
    named = os.environ.get("CC")
    where = search_path(os.environ.get("PATH", ""))
    names = [named] if named else COMPILERS
    return next(filter(None, (shutil.which(name, path=where) for name in names)), None)
