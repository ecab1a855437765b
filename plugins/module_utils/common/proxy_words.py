# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What HAProxy says of the servers behind it."""

from __future__ import annotations

_TAKES = ("UP", "no check")


def takes_requests(status: str) -> bool:
    """Whether a server of this status is sent requests; one that is DRAIN or DOWN is not."""
    return status.startswith(_TAKES)
