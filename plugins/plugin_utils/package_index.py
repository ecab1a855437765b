# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a mirror of the package index lets anybody in, asked from the controller.

Hosts ask it later, from another place: what does not answer here may answer there.
"""

from __future__ import annotations

import base64
import http.client
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator

from ansible_collections.inferops.gpu.plugins.module_utils.common.answers import within
from ansible_collections.inferops.gpu.plugins.module_utils.common.checks import (
    FAILED,
    NOTE,
    OK,
    UNKNOWN,
    Check,
)
from ansible_collections.inferops.gpu.plugins.module_utils.common.hiding import without_login

#: What every stack has: the page of it is short.
_PACKAGE = "torch"
_NAME = "package index"
_REACH = "See that the host reaches it: what does not answer here may answer there."


def index_checks(address: str, timeout_seconds: float) -> Iterator[Check]:
    """What the index at *address* answers, with the login in it; nothing where there is none."""
    if not address:
        return
    shown = without_login(address)
    if not address.startswith(("http://", "https://")):
        yield Check(_NAME, NOTE, f"{shown} lies on the host: nobody is asked for it here.")
        return
    try:
        status = within(2 * timeout_seconds, lambda: _status(address, timeout_seconds))
    except (ValueError, http.client.InvalidURL):
        # Its text may hold a part of the login.
        remedy = "Write it as https://user:password@mirror.example/simple, signs in both quoted."
        yield Check(_NAME, FAILED, f"{shown} is no address.", remedy)
        return
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "reason", None) or error
        yield Check(_NAME, UNKNOWN, f"{shown} does not answer from here: {why}.", _REACH)
        return
    if status in (401, 403):
        yield Check(
            _NAME,
            FAILED,
            f"{shown} lets nobody in with this login (HTTP {status}).",
            "Correct user and password in inferops_index_url.",
        )
    elif status >= 400:
        told = f"{shown} answers HTTP {status} for {_PACKAGE}."
        yield Check(_NAME, UNKNOWN, told, "Look whether inferops_index_url ends like /simple.")
    else:
        yield Check(_NAME, OK, f"{shown} answers.")


def _status(address: str, timeout_seconds: float) -> int:
    """The status of the page of a package that every stack has."""
    parts = urllib.parse.urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    path = f"{parts.path.rstrip('/')}/{_PACKAGE}/"
    request = urllib.request.Request(parts._replace(netloc=host, path=path).geturl())
    if parts.username is not None:
        words = (urllib.parse.unquote(one or "") for one in (parts.username, parts.password))
        login = base64.b64encode(":".join(words).encode()).decode()
        # For this address alone: whoever it leads to gets no login.
        request.add_unredirected_header("Authorization", f"Basic {login}")
    try:
        with urllib.request.build_opener().open(request, timeout=timeout_seconds) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
