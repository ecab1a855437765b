# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What marketplaces say where it is the account that may not rent, and no offer or image is wrong.

Whole phrases, for the same answers name images, and an image may be called credit-model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import RequestRefused


@dataclass(frozen=True)
class AccountRefusal:
    """Phrases, as a regular expression, with what they mean and what helps."""

    said: re.Pattern[str]
    cause: str
    remedy: str


def _phrases(*phrases: str) -> re.Pattern[str]:
    """Finds one of them, each of its blanks also as in a code, where it is no part of a name."""
    told = "|".join(phrases).replace(" ", "[ _-]")
    return re.compile(rf"(?<![\w/@-])(?<!\w[.:])(?:{told})(?![\w/@-]|[.:]\w)", re.IGNORECASE)


_MONEY = "(?:credits?|funds|balance)"
_SPENDS_TOO_FAST = AccountRefusal(
    _phrases("spend(?:ing)?(?: rate)? limits?(?: exceeded)?"),
    "the account spends as fast as it may",
    "Wait, release what is not needed, or ask the provider for a higher spend rate limit.",
)
_NO_PAYMENT_METHOD = AccountRefusal(
    _phrases(
        "missing (?:billing|payment)(?: information| details| method)?",
        "payment methods?",
        "billing (?:information|details|address)",
        "(?:add|no|valid|a) credit card",
    ),
    "the account has no payment method",
    "Add a payment method on the billing page of the console.",
)
NO_CREDIT = AccountRefusal(
    _phrases(
        f"insufficient (?:account |wallet |remaining |available )?{_MONEY}",
        f"(?:not|without) enough (?:account )?{_MONEY}",
        f"(?:lacks?|no|out of|add|more|negative|zero|low) (?:account |more |any )?{_MONEY}",
        f"{_MONEY} (?:is |are )?(?:too low|exhausted|used up|insufficient|depleted|negative)",
        f"(?:account|wallet|your|credit) {_MONEY}",
        "payment required",
        "top(?:ping)? up",
        "your wallet",
    ),
    "the account lacks credit",
    "Add credit, or set a lower maximum price.",
)
_MAY_NOT_RENT = AccountRefusal(
    _phrases(
        "(?:suspended|banned)",
        "account (?:is |was |has been )?(?:disabled|deactivated|inactive|locked|blocked)",
        "verify your(?: account| email| e-mail| identity| phone)?",
    ),
    "the account may not rent",
    "See what the console says of the account, and ask its provider.",
)
#: The first that fits counts.
_REFUSALS = (_SPENDS_TOO_FAST, _NO_PAYMENT_METHOD, NO_CREDIT, _MAY_NOT_RENT)


def account_refusal(text: str) -> AccountRefusal | None:
    """What *text* says against the account; None for nothing."""
    return next((one for one in _REFUSALS if one.said.search(text)), None)


def account_refused(doing: str, text: str, told: str) -> RequestRefused | None:
    """The error for a request that *text* refuses to the account; None for any other text."""
    refusal = account_refusal(text)
    if refusal is None:
        return None
    return RequestRefused(f"{doing}: {refusal.cause} {told}.", remedy=refusal.remedy)
