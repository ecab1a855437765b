# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes secrets out of text before it leaves the host or is written down: one pure function."""

from __future__ import annotations

import re
from collections.abc import Iterable

REDACTED = "(redacted)"
SHORTEST_SECRET = 4
"""A shorter value would turn up everywhere by chance."""

_PATTERNS = tuple(
    re.compile(pattern, flags)
    for pattern, flags in (
        # The whole block of a private key.
        (r"()-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S),
        # Tokens that are known by their look.
        (r"()\bhf_[A-Za-z0-9]{20,}", 0),
        (r"()\bsk-[A-Za-z0-9_-]{16,}", 0),
        (r"()\bgh[opsu]_[A-Za-z0-9]{20,}", 0),
        # Headers.
        (r"(\b(?:Bearer|Basic)\s+)[A-Za-z0-9._~+/=-]{6,}", re.I),
        (r"(\bAuthorization[\"']?\s*[:=]\s*[\"']?)(?!(?:Bearer|Basic)\s)[^\s\"',]+", re.I),
        (r"(\bX-Api-Key[\"']?\s*[:=]\s*[\"']?)[^\s\"',]+", re.I),
        # Addresses: user and password, and keys among the parameters.
        (r"(://)[^\s/@:]+(?::[^\s/@]*)?(?=@)", 0),
        (
            r"([?&](?:api_?key|key|token|access_token|auth|secret|password|sig|signature"
            r"|X-Amz-[A-Za-z-]+)=)[^&\s\"']+",
            re.I,
        ),
        # Options of a command line.
        (
            r"(--(?:[a-z]+[_-])*(?:api[_-]?key|key|token|secret|password)[\"']?[=,\s]\s*[\"']?)"
            r"[^\s\"',\]-][^\s\"',\]]*",
            0,
        ),
        # Variables and settings that are named like a secret. `eos_token` is none.
        (
            r"(\b[A-Z0-9_]*(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)[\"']?\s*[=:]\s*[\"']?)"
            r"[^\s\"',}]+",
            0,
        ),
        (
            r"(\b\w*(?:api_?key|access_?key|(?:access|auth|hf|hub|bearer)_?token|secret|password)"
            r"[\"']?\s*[=:]\s*[\"']?)(?!None\b|null\b)[^\s\"',})&]+",
            re.I,
        ),
    )
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without the given secrets and without what looks like one."""
    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, REDACTED)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<1>{REDACTED}", text)
    return text
