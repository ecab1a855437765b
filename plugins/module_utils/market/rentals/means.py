# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Could the account rent at all? For a run that only pretends: a real request is answered.

Hosts of one play share the answer. What is not told, or cannot be asked for, refuses nothing.
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
        if account.may_rent is False:
            raise CredentialError(
                "The API key may read and not rent.",
                remedy="Use a key that may change instances, too.",
            )
        if account.credit_usd is not None and account.credit_usd <= 0:
            raise RequestRefused(
                "The account has no credit left.",
                remedy=f"Add credit at {self._provider.console_url}",
            )

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
