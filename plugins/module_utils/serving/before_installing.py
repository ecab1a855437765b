# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is refused before a stack is installed, which takes minutes that bill."""

from __future__ import annotations

from collections.abc import Sequence

#: It is most of the stack, with the CUDA libraries that come with it.
_LARGEST = "torch"


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
