# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the modules that ask a model hub (`inferops.gpu.hub` documents them)."""

from __future__ import annotations

from typing import Any

from ..common.plain import fits_header
from .hub import Hub, default_endpoint
from .selection import FORMATS, SAFETENSORS

HUB_OPTIONS: dict[str, Any] = {
    "revision": {"type": "str", "default": "main"},
    "endpoint": {"type": "str", "default": ""},
    "token": {"type": "str", "no_log": True, "default": ""},
    "token_always": {"type": "bool", "default": False},
    "include": {"type": "list", "elements": "str", "default": []},
    "exclude": {"type": "list", "elements": "str", "default": []},
    "weights_format": {"type": "str", "choices": list(FORMATS), "default": SAFETENSORS},
    "timeout_seconds": {"type": "float", "default": 30.0},
}


def make_hub(options: dict[str, Any]) -> Hub:
    """The hub that these options name, or else this machine's settings.

    Raises ValueError for a token that is none.
    """
    endpoint = options["endpoint"] or default_endpoint()
    token = options["token"] or None
    if token and not fits_header(token):
        raise ValueError(
            "The hub's token has a blank or a line break at its end, or a sign in it that no token "
            "has: set HF_TOKEN, or inferops_hub_token, again without."
        )
    return Hub(endpoint, token, options["timeout_seconds"], options["token_always"])
