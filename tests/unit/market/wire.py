# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The provider's calls and words behind tests that are about none of them: Vast.ai's, in one place.

A test of what holds for every provider says ``on="create"`` and ``saying="gone"``.
"""

from __future__ import annotations

from typing import Any

#: Method and path of the requests that a call of the contract makes.
CALLS: dict[str, tuple[str, str]] = {
    "search": ("POST", r"/bundles/"),
    "create": ("PUT", r"/asks/"),
    "list": ("GET", r"/api/v1/instances/"),
    "get": ("GET", r"/api/v0/instances/\d+/?$"),
    "rows": ("GET", r"/api/v[01]/instances/"),
    "release": ("DELETE", r"/instances/\d+/?$"),
    "change_mark": ("PUT", r"/instances/\d+/?$"),
    "stop": ("PUT", r"/instances/\d+/?$"),
    "start": ("PUT", r"/instances/\d+/?$"),
    "attach_key": ("ANY", r"/instances/\d+/ssh/"),
    "check_credential": ("GET", r"/users/current"),
    "charged": ("GET", r"/api/v0/charges/"),
    "account": ("GET", r"/api/v0/auth/apikeys/"),
    "log": ("PUT", r"/instances/request_logs/\d+/"),
}

#: What a rental's row shows while the provider does not tell its price.
NO_PRICE: dict[str, Any] = {"dph_total": None}
#: What the provider says in its own words, as the answer of a fault.
SAYINGS: dict[str, dict[str, Any]] = {
    "gone": {"status": 410, "body": {"success": False, "error": "no_such_ask", "msg": "3907"}},
    "key refused": {
        "status": 404,
        "body": {"success": False, "error": "auth_error", "msg": "Invalid user key"},
    },
    "no such rental": {"status": 200, "body": {"instances": None}},
    "empty list": {
        "status": 200,
        "body": {"success": True, "instances": [], "total_instances": 0, "next_token": None},
    },
    "GPUs taken": {
        "status": 400,
        "body": {
            "success": False,
            "error": "resources_unavailable",
            "msg": "Required resources are currently unavailable, state change queued.",
        },
    },
    "done": {"status": 200, "body": {"success": True}},
}
