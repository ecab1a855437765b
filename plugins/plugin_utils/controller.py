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


def wanting(values: Mapping[str, Any]) -> Iterator[str]:
    """What keeps a play with these variables from renting here, one sentence each."""
    yield from missing(*LIBRARIES, *([FILTER_LIBRARY] if values.get(FILTER) else ()))
    yield from absent(*PROGRAMS)
    for name in FOLDERS:
        yield from _refused(name, values.get(name), here(str(values.get(name))))
    yield from _store(values.get(STORE))
    for name in FILES:
        yield from _refused(name, values.get(name), here(str(values.get(name))).parent)
    yield from _unreadable(values.get(CONTENT))


def here(path: str) -> Path:
    """A path as users mean it: from their home, or from where they have called Ansible."""
    return Path(path).expanduser().absolute()


def missing(*libraries: str) -> Iterator[str]:
    """Which of these the interpreter that runs Ansible lacks."""
    for library in libraries:
        if not _is_there(library):
            yield (
                f"The Python library {library} is missing for {sys.executable}, which runs "
                f"Ansible: {sys.executable} -m pip install {library}."
            )


def absent(*programs: str) -> Iterator[str]:
    """Which of these are not in the PATH."""
    for program in programs:
        if shutil.which(program) is None:
            yield (
                f"The program {program} is not in the PATH of the controller: install "
                f"{PACKAGES.get(program, OPENSSH)}."
            )


def _is_there(library: str) -> bool:
    try:
        return importlib.util.find_spec(library) is not None
    except (ImportError, ValueError):
        return False


def _store(value: Any) -> Iterator[str]:
    """What keeps caches from their store."""
    try:
        kind = kind_of(str(value or ""))
    except CacheError as error:
        yield f"{STORE}: {error}"
        return
    if kind == S3:
        yield from missing("boto3")
    elif kind == RSYNC:
        yield from absent("rsync")
    else:
        yield from _refused(STORE, value, here(str(value)))


def _refused(name: str, value: Any, folder: Path) -> Iterator[str]:
    problem = unwritable(folder) if value else ""
    if problem:
        yield f"{name} is {value}, which cannot be written to: {problem}. Name another place."


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


def _unreadable(config: Any) -> Iterator[str]:
    if not isinstance(config, str) or not config or "{" in config:
        return
    try:
        here(config).read_bytes()
    except OSError as error:
        yield f"{CONTENT} is {config}, which cannot be read: {error.strerror}."
