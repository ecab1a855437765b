# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the host side's own sources on the host, as the package that the launcher runs from."""

from __future__ import annotations

from pathlib import Path

from . import (
    launcher,
    logs,
    memory_events,
    ports,
    processes,
    readiness,
    records,
    servers,
    shared_memory,
    sweeping,
)

PACKAGE = "inferops_host"
MODULES = (
    launcher,
    logs,
    memory_events,
    ports,
    processes,
    readiness,
    records,
    servers,
    shared_memory,
    sweeping,
)


def ship(library: Path) -> bool:
    """Write the sources below `library`. Returns whether one of them changed.

    The text comes from the loaded modules themselves: a module on its way to the host travels in
    a zip file, where no path exists but the loader still knows the source.
    """
    folder = library / PACKAGE
    changed = records.write_private(
        folder / "__init__.py", '"""The host side of inferops.gpu."""\n'
    )
    for module in MODULES:
        name = module.__name__
        loader = getattr(module, "__loader__", None)
        source = loader.get_source(name) if loader else None
        if source is None:
            raise RuntimeError(f"The source of {name} cannot be read from where it runs.")
        changed |= records.write_private(folder / f"{name.rpartition('.')[2]}.py", source)
    return changed
