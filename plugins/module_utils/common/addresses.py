# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""To which addresses a secret may go: whoever is on the way must not read it."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def is_closed(url: str) -> bool:
    """Whether nobody on the way reads what is sent to *url*: by TLS, or because it stays here.

    What is no address is open.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" or (
        parts.scheme == "http" and _is_loopback(parts.hostname or "")
    )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
