# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts a kind's launcher and all that it imports on the host, as the package it runs from."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from typing import Any

from ...common.private_files import write_private
from .service import Service

PACKAGE = "inferops_host"
"""Its folders are those of module_utils, so relative imports mean the same in both places."""

ROOT = __name__.partition(".host.")[0]


def launcher_of(service: Service[Any]) -> str:
    """The module that the supervisor runs, as it is called on the host."""
    return f"{PACKAGE}.{service.launcher}"


def ship(service: Service[Any]) -> bool:
    """Write the sources for services of this kind. Returns whether one of them changed."""
    changed = False
    for name, source in sources(f"{ROOT}.{service.launcher}").items():
        file = name.replace(ROOT, PACKAGE, 1).replace(".", "/") + ".py"
        changed |= write_private(service.layout.library / file, source)
    return changed


def sources(launcher: str) -> dict[str, str]:
    """The text of this module and of every one of ours that it imports, by module name."""
    found: dict[str, str] = {}
    pending = [launcher]
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
