# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the launcher and all that it imports on the host, as the package that it runs from."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from ..machine import files
from . import launcher

PACKAGE = "inferops_host"
"""Its folders are those of module_utils, so relative imports mean the same in both places."""

ROOT = launcher.__name__.partition(".host.")[0]
LAUNCHER = launcher.__name__.replace(ROOT, PACKAGE, 1)


def ship(library: Path) -> bool:
    """Write the sources below `library`. Returns whether one of them changed."""
    changed = False
    for name, source in sources().items():
        file = name.replace(ROOT, PACKAGE, 1).replace(".", "/") + ".py"
        changed |= files.write_private(library / file, source)
    return changed


def sources() -> dict[str, str]:
    """The text of the launcher and of every module of ours that it imports, by module name."""
    found: dict[str, str] = {}
    pending = [launcher.__name__]
    while pending:
        name = pending.pop()
        if name not in found:
            found[name] = _source(name)
            pending += _imported(name, found[name])
    return found


def _source(name: str) -> str:
    """From the loaded module: on its way to the host it travels in a zip file, where no path
    exists but the loader still knows the source.
    """
    loader = getattr(sys.modules[name], "__loader__", None)
    source = loader.get_source(name) if loader else None
    if source is None:
        raise RuntimeError(f"The source of {name} cannot be read from where it runs.")
    return str(source)


def _imported(name: str, source: str) -> Iterator[str]:
    """The loaded modules that relative imports in this source name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = ".".join([*name.split(".")[: -node.level], *filter(None, [node.module])])
            members = [f"{base}.{alias.name}" for alias in node.names]
            modules = [member for member in members if member in sys.modules]
            # `from .package import module`, or `from .module import name`.
            yield from modules or [base]
