# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is refused before a stack is installed, which takes minutes that bill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .engines.registry import knowledge

#: It is most of the stack, with the CUDA libraries that come with it.
_LARGEST = "torch"


def unknown_to(
    engine: str,
    release: str,
    arguments: Mapping[str, Any],
    extra_args: Sequence[str],
    extra_requirements: Sequence[str],
) -> str:
    """Which options of the server this release does not know; empty where that is not sure.

    Packages that are installed beside it may add options to it.
    """
    if extra_requirements:
        return ""
    told = knowledge(engine).unknown_options(arguments, extra_args, [release])
    return " ".join(f"inferops_server_{one}" for one in told)


def no_room(
    to_install: Sequence[str], installed_gib: float, disk_free_mib: float, home: str
) -> str:
    """Why the stack does not fit on the disk; empty where it does, or is there already."""
    if _LARGEST not in to_install or disk_free_mib >= installed_gib * 1024:
        return ""
    return (
        f"The stack takes about {installed_gib} GiB, and the disk of {home} has "
        f"{disk_free_mib / 1024:.1f} GiB free: free some, rent a larger disk (rent_disk_gib), or "
        "put everything elsewhere (inferops_home)."
    )
