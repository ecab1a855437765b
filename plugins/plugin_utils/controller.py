# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the controller needs to rent: libraries, programs, folders. Changes nothing.

All of it is looked at before a rental request: what is found to be missing after it has cost money,
and a report that cannot be written would release a host that serves.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.common.checks import Problem
from ansible_collections.inferops.gpu.plugins.module_utils.common.compiled_cache import CacheError
from ansible_collections.inferops.gpu.plugins.plugin_utils.cache_shelf import RSYNC, S3, kind_of

#: What asks the marketplace and what logs in to a host the first time.
LIBRARIES = ("requests", "paramiko")
#: What reads the free-form wish, and nothing else.
FILTER, FILTER_LIBRARY = "rent_filter", "jmespath"
PROGRAMS = ("ssh", "ssh-keygen")
OPENSSH = "OpenSSH's client (package openssh-client or openssh-clients)"
PACKAGES = {"rsync": "package rsync"}
#: Variables that name folders to write to, and files to write in their folder.
FOLDERS = (
    "inferops_controller_dir",
    "inferops_evidence_dir",
    "inferops_report_dir",
    "rent_receipt_dir",
)
FILES = ("stack_lock_file",)
#: A variable that names a folder, or a place elsewhere.
STORE = "inferops_cache_home"
#: A variable that names a file to read, or holds what would be in it.
CONTENT = "inferops_model_config"
PLACES = (*FOLDERS, STORE, *FILES, CONTENT)


def wanting(values: Mapping[str, Any]) -> Iterator[Problem]:
    """What keeps a play with these variables from renting here."""
    yield from missing(*libraries(values))
    yield from absent(*PROGRAMS)
    for name in PLACES:
        yield from place(name, values.get(name))


def libraries(values: Mapping[str, Any]) -> tuple[str, ...]:
    """What a play with these variables needs of Python."""
    return (*LIBRARIES, FILTER_LIBRARY) if values.get(FILTER) else LIBRARIES


def place(name: str, value: Any) -> Iterator[Problem]:
    """What is wrong with the place that one of these variables names, if it names one."""
    if not value:
        return
    if name == CONTENT:
        yield from _unreadable(value)
    elif name == STORE:
        yield from _store(value)
    else:
        path = here(str(value))
        yield from _refused(name, value, path.parent if name in FILES else path)


def here(path: str) -> Path:
    """A path as users mean it: from their home, or from where they have called Ansible."""
    return Path(path).expanduser().absolute()


def missing(*names: str) -> Iterator[Problem]:
    """Which of these libraries the interpreter that runs Ansible lacks."""
    for library in names:
        if not _is_there(library):
            yield Problem(
                f"The Python library {library} is missing for {sys.executable}, which runs "
                "Ansible.",
                f"Install it: {sys.executable} -m pip install {library}.",
            )


def absent(*programs: str) -> Iterator[Problem]:
    """Which of these are not in the PATH."""
    for program in programs:
        if shutil.which(program) is None:
            yield Problem(
                f"The program {program} is not in the PATH of the controller.",
                f"Install {PACKAGES.get(program, OPENSSH)}.",
            )


def _is_there(library: str) -> bool:
    try:
        return importlib.util.find_spec(library) is not None
    except (ImportError, ValueError):
        return False


def _store(value: Any) -> Iterator[Problem]:
    """What keeps caches from their store."""
    try:
        kind = kind_of(str(value))
    except CacheError as error:
        yield Problem(f"{STORE}: {error}", "Name another place.")
        return
    if kind == S3:
        yield from missing("boto3")
    elif kind == RSYNC:
        yield from absent("rsync")
    else:
        yield from _refused(STORE, value, here(str(value)))


def _refused(name: str, value: Any, folder: Path) -> Iterator[Problem]:
    problem = unwritable(folder)
    if problem:
        yield Problem(
            f"{name} is {value}, which cannot be written to: {problem}.", "Name another place."
        )


def unwritable(folder: Path) -> str:
    """Why nothing can be written to a folder, which need not exist yet; empty when it can."""
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not there.is_dir():
        return f"{there} is no folder"
    try:
        # Rights alone do not tell of a full disk or one that can only be read.
        with tempfile.TemporaryFile(dir=there):
            return ""
    except OSError as error:
        return f"{there}: {error.strerror}"


def _unreadable(config: Any) -> Iterator[Problem]:
    if not isinstance(config, str) or "{" in config:
        return
    try:
        here(config).read_bytes()
    except OSError as error:
        yield Problem(
            f"{CONTENT} is {config}, which cannot be read: {error.strerror}.",
            "Name a file that is there.",
        )
