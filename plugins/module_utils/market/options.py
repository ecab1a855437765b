# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options that every market module shares, and what they make."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from .errors import CredentialError
from .provider import Provider
from .ranking import Usage
from .vastai import VastAI
from .wish import Wish

PROVIDERS: dict[str, type[Provider]] = {VastAI.name: VastAI}

MARKET_OPTIONS: dict[str, Any] = {
    "provider": {"type": "str", "choices": sorted(PROVIDERS), "default": VastAI.name},
    "api_key": {"type": "str", "no_log": True},
    "api_url": {"type": "str"},
}

WISH_OPTIONS: dict[str, Any] = {
    "gpu_names": {"type": "list", "elements": "str", "default": []},
    "gpu_count": {"type": "int", "default": 1},
    "vram_gib": {"type": "float"},
    "disk_gib": {"type": "int", "default": 40},
    "compute_capability": {"type": "str"},
    "driver_version": {"type": "str"},
    "max_price_usd_per_hour": {"type": "float"},
    "min_reliability": {"type": "float"},
    "min_download_mbit_per_second": {"type": "float"},
    "countries": {"type": "list", "elements": "str", "default": []},
    "verified": {"type": "bool", "default": True},
    "duration_hours": {"type": "float"},
    "filter": {"type": "str"},
    "exclude_machines": {"type": "list", "elements": "str", "default": []},
    "expected_hours": {"type": "float", "default": 24.0},
    "download_gib": {"type": "float", "default": 10.0},
}


def make_provider(options: Mapping[str, Any]) -> Provider:
    """The provider that *options* name; raises CredentialError without an API key."""
    kind = PROVIDERS[options["provider"]]
    api_key = options.get("api_key") or os.environ.get(kind.credential_env, "")
    if not api_key:
        raise CredentialError(
            f"Provider {kind.name} needs an API key: set the environment variable "
            f"{kind.credential_env} on the controller, or the option api_key."
        )
    # A stray line break would end in the text of an error about the header that carries it.
    if not api_key.isascii() or any(not sign.isprintable() or sign.isspace() for sign in api_key):
        raise CredentialError(
            f"The API key for {kind.name} holds a blank, a line break or another sign that no key "
            "has. Set it again without."
        )
    api_url = options.get("api_url") or os.environ.get(kind.url_env) or kind.default_url
    return kind(api_key, api_url)


def make_wish(options: Mapping[str, Any]) -> Wish:
    """The wish in *options*, which have the shape of WISH_OPTIONS."""
    given: dict[str, Any] = {}
    for field in fields(Wish):
        value = options[field.name]
        given[field.name] = tuple(value) if isinstance(value, list) else value
    return Wish(**given)


def make_usage(options: Mapping[str, Any]) -> Usage:
    """What the rental is expected to do, from *options* in the shape of WISH_OPTIONS."""
    return Usage(hours=options["expected_hours"], download_gib=options["download_gib"])
