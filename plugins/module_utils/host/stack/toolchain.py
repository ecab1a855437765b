# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server on a GPU compiles with at run time: Triton builds a small C extension of Python.

Where it lacks the compiler or Python's headers the server dies at its start, after minutes
(https://github.com/vllm-project/vllm/issues/15329).
"""

from __future__ import annotations

from pathlib import Path

from ..machine.kind import c_compiler
from .installers import run

_QUESTION = (
    "import os, sys, sysconfig; "
    "print(os.path.isfile(os.path.join(sysconfig.get_paths()['include'], 'Python.h'))); "
    "print('python%d.%d' % sys.version_info[:2])"
)


def has_headers(python: Path) -> bool:
    """Whether *python* has what a C extension includes. Raises StackError when it does not run."""
    return _headers(python)[0]


def lacking(python: Path) -> list[str]:
    """What is not there, in sentences with the remedy; nothing when *python* can compile.

    An interpreter that does not exist yet is not asked. Raises StackError when it does not run.
    """
    told = []
    if not c_compiler():
        told.append(
            "There is no C compiler on this host, and an engine may compile small kernels when it "
            "starts (Triton). On Debian and Ubuntu: apt-get install gcc libc6-dev."
        )
    if python.exists():
        is_complete, name = _headers(python)
        if not is_complete:
            told.append(
                f"{python} has no Python.h, and an engine may compile with it when it starts "
                f"(Triton). On Debian and Ubuntu: apt-get install {name}-dev; or set stack_python "
                "to a version that this host has not, and uv brings one that has it."
            )
    return told


def _headers(python: Path) -> tuple[bool, str]:
    """Whether there is a Python.h, and what this Python is called, such as python3.12."""
    said = run([str(python), "-c", _QUESTION], f"Asking {python} for its headers", "")
    found, name = said.split()
    return found == "True", name
