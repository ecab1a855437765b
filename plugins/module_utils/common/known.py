# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes secrets that are known by their values out of data, whatever they look like."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from .redaction import REDACTED

#: A server's key that was derived; see market/access/client_key.py. To derive it again, so that its
#: value is known, takes longer than most tasks.
_DERIVED = re.compile(r"sk-[0-9a-f]{48}")


def as_written(secrets: Iterable[str]) -> set[str]:
    """The secrets, and how they look as JSON, and as JSON in a text: signs in them are escaped."""
    bare = set(secrets)
    once = {json.dumps(secret)[1:-1] for secret in bare}
    return bare | once | {json.dumps(secret)[1:-1] for secret in once}


def without(value: Any, secrets: Iterable[str]) -> Any:
    """*value* with these secrets, and every derived key, taken out of each text in it.

    Names in a mapping are texts as well.
    """
    longest_first = sorted(secrets, key=len, reverse=True)

    def clean(one: Any) -> Any:
        if isinstance(one, str):
            for secret in longest_first:
                one = one.replace(secret, REDACTED) if secret in one else one
            return _DERIVED.sub(REDACTED, one) if "sk-" in one else one
        if isinstance(one, dict):
            return {clean(name): clean(inner) for name, inner in one.items()}
        return [clean(inner) for inner in one] if isinstance(one, (list, tuple)) else one

    return clean(value)
