# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may call what, and how often: keys, states of the account, and rate limits.

Vast.ai documents seconds between two calls per endpoint and identity; a search's are one sixth
of the ten calls per minute that it allows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from tests.simulator.market import ACCOUNT_KEY, ACCOUNT_OK, Market, Rental
from tests.simulator.web import Reply, Request, json_reply

#: Kinds of endpoints, and the seconds between two calls of one of them.
SECONDS_BETWEEN = {
    "search": 6.0,
    "names": 0.0,
    "create": 4.5,
    "destroy": 3.0,
    "read": 2.0,
    "list": 2.0,
    "change": 1.0,
    "container": 1.0,
    "logs": 1.0,
    "keys": 1.0,
    "user": 1.0,
    "charges": 1.0,
}
ROUNDING_SECONDS = 0.001  # epoch seconds with a fraction are not exact
PUBLIC = ("search", "names")  # these need no key, yet refuse a wrong one
OWN = ("read", "change", "destroy")  # what an instance's own key may do to that instance


def error_reply(status: int, code: str, message: str, **more: Any) -> Reply:
    """Return an error as Vast.ai tells it."""
    return json_reply({"success": False, "error": code, "msg": message, **more}, status)


# --- states of the account: what its key is answered, None for the ordinary answer ---


def revoked(kind: str, method: str) -> Reply | None:
    """The key was revoked, told as Vast.ai has been seen to: by 404."""
    return error_reply(404, "auth_error", "Invalid user key")


def revoked_401(kind: str, method: str) -> Reply | None:
    """The key was revoked, told as documented."""
    return error_reply(401, "auth_error", "Invalid user key")


def revoked_empty_lists(kind: str, method: str) -> Reply | None:
    """The key was revoked, and reads answer as for a stranger who owns nothing."""
    if kind in PUBLIC:
        return None
    if kind == "read":
        return json_reply({"instances": None})
    if kind == "list":
        nothing = {"instances_found": 0, "total_instances": 0, "label_counts": {}}
        return json_reply({"success": True, **nothing, "next_token": None, "instances": []})
    return revoked(kind, method)


def session_expired(kind: str, method: str) -> Reply | None:
    """The session of a login with two factors has ended."""
    message = "Session expired. Please log in again."
    return json_reply({"success": False, "msg": message}, 404)


def no_user_right(kind: str, method: str) -> Reply | None:
    """A key without the right to read the account."""
    return forbidden() if kind == "user" else None


def no_billing_right(kind: str, method: str) -> Reply | None:
    """A key without the right to read bills."""
    return forbidden() if kind == "charges" else None


def read_only(kind: str, method: str) -> Reply | None:
    """A key that may only read."""
    writes = kind in ("create", "destroy", "change", "container") or (
        kind == "keys" and method != "GET"
    )
    return forbidden() if writes else None


def forbidden() -> Reply:
    """Return what a key without a right is answered."""
    return error_reply(403, "forbidden", "This API key is not authorized for this endpoint.")


STATES: dict[str, Callable[[str, str], Reply | None]] = {
    ACCOUNT_OK: lambda kind, method: None,
    "revoked": revoked,
    "revoked-401": revoked_401,
    "revoked-empty-lists": revoked_empty_lists,
    "session-expired": session_expired,
    "no-user-right": no_user_right,
    "no-billing-right": no_billing_right,
    "read-only": read_only,
}


class Gate:
    """Looks at every request before the API does."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.lock = threading.Lock()
        self.last_call: dict[tuple[str, str], float] = {}  # (endpoint, key) -> simulated seconds

    def stop(
        self, request: Request, endpoint: str, kind: str, rental: Rental | None, from_host: bool
    ) -> Reply | None:
        """Return the answer to a request that gets no further, None for one that may pass.

        ``rental`` is the one that the request is about. ``from_host`` lets no account key in.
        """
        header = request.headers.get("authorization", "")
        key = header.removeprefix("Bearer ") or request.query.get("api_key", "")
        of_account = key == ACCOUNT_KEY and not from_host
        if of_account:
            reply = STATES[self.market.account](kind, request.method)
        elif not may_pass(request, kind, key, rental):
            reply = revoked_401(kind, request.method)
        else:
            reply = None
        return reply or self.too_early(endpoint, kind, key)

    def too_early(self, endpoint: str, kind: str, key: str) -> Reply | None:
        """Return the refusal of a call that comes too soon after the last one that passed."""
        if not self.market.rate_limits:
            return None
        now, wanted = self.market.clock.now(), SECONDS_BETWEEN[kind]
        with self.lock:
            waited = now - self.last_call.get((endpoint, key), 0.0)
            # A call that is yet to come was made before a reset, by another clock.
            if not 0 <= waited < wanted - ROUNDING_SECONDS:
                self.last_call[endpoint, key] = now
                return None
            self.market.too_frequent += 1
        text = f"API requests too frequent: endpoint threshold={wanted}*1.0"
        return Reply(429, text.encode(), {"Content-Type": "text/plain"})


def may_pass(request: Request, kind: str, key: str, rental: Rental | None) -> bool:
    """Tell what a request may without the account's key."""
    if kind in PUBLIC and not key:
        return True
    own = rental is not None and key == rental.api_key
    return own and kind in OWN and "label" not in (request.json() or {})
