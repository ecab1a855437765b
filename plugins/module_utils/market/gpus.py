# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One key for a GPU that marketplaces and people write in many ways."""

from __future__ import annotations

import re

#: What says nothing about which GPU it is.
_NOISE = ("nvidia", "geforce", "tesla", "generation", "edition", "gpu")
#: The number behind it follows from the GPU: SXM4 is an A100's.
_SOCKET = re.compile(r"sxm\d?$")
#: What people and some marketplaces leave out, by what remains.
_SERIES = (
    (re.compile(r"(?:16|10|9)\d0(?:ti|super)*$"), "gtx"),
    (re.compile(r"[2-5]0\d0(?:ti|super|d)*$"), "rtx"),
    (re.compile(r"[2456][05]00ada$"), "rtx"),
    (re.compile(r"a[24-6][05]00$"), "rtx"),
)
#: Other words for the same.
_SAME = {
    "h200sxm": "h200",
    "b200sxm": "b200",
    "b300sxm": "b300",
    "rtxpro6000workstation": "rtxpro6000ws",
    "rtxpro6000blackwellworkstation": "rtxpro6000ws",
    "rtxpro6000server": "rtxpro6000s",
    "rtxpro6000blackwellserver": "rtxpro6000s",
}


def gpu_key(name: str) -> str:
    """The same for NVIDIA GeForce RTX_4090, RTX4090 and 4090: ``rtx4090``; empty for no name.

    A memory size stays in it, for an A100 of 40 GB is another GPU than one of 80.
    """
    words = re.findall("[a-z0-9]+", name.casefold())
    told = "".join(_SOCKET.sub("sxm", word) for word in words if word not in _NOISE)
    series = next((series for numbers, series in _SERIES if numbers.match(told)), "")
    return _SAME.get(told, series + told)
