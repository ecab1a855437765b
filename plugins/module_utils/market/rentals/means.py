# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Could the account rent at all? For a run that only pretends: a real request is answered.

Hosts of one play share the answer. What is not told, or cannot be asked for, refuses nothing.
Playbook doctor asks for itself, and judges by the same two rules.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..clock import Clock
from ..errors import CredentialError, MarketError, RequestRefused
from ..model import Account
from ..providers.provider import Provider
from ..shared_file import SharedFile

SHARED_FOR_SECONDS = 60.0


def rights_refusal(account: Account) -> CredentialError | None:
    """Why a rental request would be refused for the key's rights; None where it is not known to."""
    if account.may_rent is not False:
        return None
    return CredentialError(
        "The API key may read and not rent.",
        remedy="Use a key that may change instances, too.",
    )


def credit_refusal(account: Account, console_url: str) -> RequestRefused | None:
    """Why a rental request would be refused for want of money; None where it is not known to."""
    if account.credit_usd is not None and account.credit_usd <= 0:
        return RequestRefused(
            "The account has no credit left.", remedy=f"Add credit at {console_url}"
        )
    return None


class Means:
    """What one account may do and has, as last asked for by any process of this controller."""

    def __init__(self, provider: Provider, file: SharedFile, clock: Clock) -> None:
        self._provider = provider
        self._file = file
        self._clock = clock

    def check(self) -> None:
        """Raise CredentialError or RequestRefused where a rental request would be refused."""
        if not self._provider.tells_account:
            return
        account = self._account()
        refusal = rights_refusal(account) or credit_refusal(account, self._provider.console_url)
        if refusal:
            raise refusal

    def _account(self) -> Account:
        try:
            with self._file.locked() as kept:
                if not self._is_fresh(kept):
                    kept.clear()
                    kept.update(asked_at=self._clock.now(), account=asdict(self._asked()))
                return Account(**kept["account"])
        except (OSError, TypeError, KeyError):
            return self._asked()

    def _is_fresh(self, kept: dict[str, Any]) -> bool:
        asked_at = kept.get("asked_at")
        now = self._clock.now()
        return isinstance(asked_at, (int, float)) and now - SHARED_FOR_SECONDS <= asked_at <= now

    def _asked(self) -> Account:
        try:
            return self._provider.account()
        except MarketError:
            return Account()
