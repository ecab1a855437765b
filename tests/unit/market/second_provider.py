# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fake as a provider of its own, which logs in with two secrets.

Test_second_provider.py puts it into a copy of the collection, where each task of a play asks it
from another process: so its market is a file, and the address of its API that file's.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import CredentialError
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Endpoint
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.pace import Pace
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.provider import (
    Credential,
)

from .fake_provider import SILENT_OFFER, FakeProvider, World

ACCOUNT = "account-of-the-second"
#: Where no host of it answers.
NOBODY = Endpoint("127.0.0.1", 1)


class Second(FakeProvider):
    """The contract, kept by a file."""

    name = "second"
    credentials = (
        Credential("api_key", ("SECOND_API_KEY",)),
        Credential("account_secret", ("SECOND_ACCOUNT_SECRET",)),
    )
    url_env = "SECOND_URL"

    def __init__(
        self, credentials: Mapping[str, str], api_url: str, pace: Pace, clock: Clock
    ) -> None:
        super().__init__(credentials, api_url, pace, clock)
        self._secret = credentials["account_secret"]
        self._file = Path(api_url.removeprefix("file:"))
        type(self).world = World(clock, offers=[replace(SILENT_OFFER, provider=self.name)])

    def _play(self, call: str, do: Callable[[], Any]) -> Any:
        if self._secret != ACCOUNT:
            raise CredentialError("The second provider refused the account's secret.")
        world = self.world
        if self._file.exists():
            world.rentals, world.orders = pickle.loads(self._file.read_bytes())
        answer = super()._play(call, do)
        world.rentals = {
            number: replace(rental, provider=self.name, ssh=(NOBODY,))
            for number, rental in world.rentals.items()
        }
        self._file.write_bytes(pickle.dumps((world.rentals, world.orders)))
        return answer
