# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A marketplace in memory, with scripted answers and no HTTP.

It is what Vast.ai is not: ids without an order, no start and no machine of a rental, no driver and
no reliability of an offer, no change of a mark and no host key. Tests give a kind other flags.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import (
    CredentialError,
    OfferGone,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import (
    RUNNING,
    STOPPED,
    Account,
    Charge,
    Endpoint,
    Offer,
    Order,
    Rental,
    RentalLog,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.pace import Pace
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.provider import (
    Credential,
    Provider,
    Usual,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.wish import Wish

KEY = "key-of-the-fake"
#: A type of GPU in a data centre, as RunPod lists it.
SILENT_OFFER = Offer(
    provider="fake",
    id="H100-EU",
    gpu_name="H100 SXM",
    gpu_count=1,
    price_usd_per_hour=1.9,
    vram_gib=80.0,
    cuda_version="13.0",
)
_DISK_USD_PER_GIB_HOUR = 0.0001


@dataclass(frozen=True)
class Answer:
    """What one call ends with; ``carried_out`` when it is done all the same."""

    error: Exception | None = None
    value: Any = None
    carried_out: bool = False


@dataclass
class World:
    """What there is in truth, and what the next calls answer."""

    clock: Clock
    key: str = KEY
    offers: list[Offer] = field(default_factory=lambda: [SILENT_OFFER])
    rentals: dict[str, Rental] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    keys: dict[str, set[str]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    scripts: dict[str, deque[Answer]] = field(default_factory=dict)
    without_gpus: set[str] = field(default_factory=set)
    ids: Iterable[int] = field(default_factory=lambda: itertools.count(1))

    def script(self, call: str, *answers: Answer) -> None:
        """Let the next calls of this method end so."""
        self.scripts.setdefault(call, deque()).extend(answers)

    def kind(self, **attributes: Any) -> type[FakeProvider]:
        """A class of providers in this world, with other flags where they are given."""
        return type("Fake", (FakeProvider,), {"world": self, **attributes})


class FakeProvider(Provider):
    """The contract, kept by dictionaries."""

    world: ClassVar[World]
    name = "fake"
    credentials: ClassVar[tuple[Credential, ...]] = (Credential("api_key", ("FAKE_API_KEY",)),)
    url_env = "FAKE_URL"
    default_url = "https://fake.example"
    seconds_between: ClassVar[Mapping[str, float]] = {}
    label_length = 64
    ssh_user = "ubuntu"
    usual = Usual(
        image="some/image",
        image_gib=4.0,
        disk_gib=40,
        driver_version=None,
        min_reliability=None,
        longest_download_hours=None,
        verified=False,
    )
    console_url = "https://fake.example/console"
    clock_offset_seconds = 0.0

    def __init__(
        self, credentials: Mapping[str, str], api_url: str, pace: Pace, clock: Clock
    ) -> None:
        self._key = credentials["api_key"]

    def search(self, wish: Wish) -> list[Offer]:
        """All offers, whatever the wish, with its disk in their prices."""

        def found() -> list[Offer]:
            disk_usd = wish.disk_gib * _DISK_USD_PER_GIB_HOUR
            return [
                replace(
                    offer,
                    price_usd_per_hour=offer.price_usd_per_hour + disk_usd,
                    disk_usd_per_hour=disk_usd,
                )
                for offer in self.world.offers
            ]

        return self._play("search", found)

    def rent(self, offer: Offer, order: Order) -> str:
        """An id without an order in it."""

        def made() -> str:
            if all(one.id != offer.id for one in self.world.offers):
                raise OfferGone(f"Renting offer {offer.id}: it is gone.")
            number = next(iter(self.world.ids))
            rental_id = f"{(number * 7919) % 10007:05d}-fake"
            self.world.orders[rental_id] = order
            self.world.rentals[rental_id] = _rental(rental_id, offer, order)
            return rental_id

        return self._play("rent", made)

    def list_rentals(self) -> list[Rental]:
        """All of them."""
        return self._play("list_rentals", lambda: list(self.world.rentals.values()))

    def get(self, rental_id: str) -> Rental | None:
        """One of them."""
        return self._play("get", lambda: self.world.rentals.get(rental_id))

    def charged(self, since: float) -> dict[str, Charge]:
        """All that ever was."""

        def told() -> dict[str, Charge]:
            orders = self.world.orders.items()
            return {one: Charge(order.mark.encode(), 0.1) for one, order in orders}

        return self._play("charged", told)

    def billed_usd(self, rental_id: str, since: float) -> float | None:
        """By what was charged."""
        charge = self.charged(since).get(rental_id)
        return charge.usd if charge else None

    def account(self) -> Account:
        """Money, where the kind tells of it."""
        return self._play("account", lambda: Account(credit_usd=25.0))

    def log(self, rental_id: str, seconds: float) -> RentalLog:
        """What its container prints, where the kind tells it."""
        if not self.tells_log:
            return super().log(rental_id, seconds)
        log: RentalLog = self._play("log", lambda: RentalLog(container=f"{rental_id} is there"))
        return log

    def release(self, rental_id: str) -> None:
        """Forget it."""
        self._play("release", lambda: self.world.rentals.pop(rental_id, None))

    def change_mark(self, rental_id: str, mark: Mark) -> None:
        """Write another label, where the kind can."""
        if not self.can_change_mark:
            return super().change_mark(rental_id, mark)

        def changed() -> None:
            old = self.world.rentals[rental_id]
            self.world.rentals[rental_id] = replace(old, mark=mark, label=mark.encode())

        return self._play("change_mark", changed)

    def stop(self, rental_id: str) -> None:
        """Let it stand still, where the kind can."""
        if not self.can_stop:
            return super().stop(rental_id)
        return self._play("stop", lambda: self._show(rental_id, STOPPED))

    def start(self, rental_id: str) -> None:
        """Let it run, where the kind can and its GPUs are there."""
        if not self.can_stop:
            return super().start(rental_id)

        def started() -> None:
            if rental_id in self.world.without_gpus:
                raise OfferGone(f"Starting rental {rental_id}: its GPUs are gone.")
            self._show(rental_id, RUNNING)

        return self._play("start", started)

    def _show(self, rental_id: str, status: str) -> None:
        old = self.world.rentals[rental_id]
        self.world.rentals[rental_id] = replace(old, status=status, status_text=status)

    def attach_key(self, rental_id: str, ssh_public_key: str, again: bool = False) -> None:
        """Note the key."""
        self._play(
            "attach_key", lambda: self.world.keys.setdefault(rental_id, set()).add(ssh_public_key)
        )

    def check_credential(self) -> None:
        """Raises for another key than the world's."""
        self._play("check_credential", lambda: None)

    def _play(self, call: str, do: Callable[[], Any]) -> Any:
        """Do it, or what the script says."""
        self.world.calls.append(call)
        if self._key != self.world.key:
            raise CredentialError("The fake refused the API key.")
        script = self.world.scripts.get(call)
        if not script:
            return do()
        answer = script.popleft()
        if answer.carried_out:
            do()
        if answer.error:
            raise answer.error
        return answer.value


def _rental(rental_id: str, offer: Offer, order: Order) -> Rental:
    label = order.mark.encode()
    return Rental(
        provider=FakeProvider.name,
        id=rental_id,
        seniority="",
        label=label,
        mark=Mark.decode(label),
        status=RUNNING,
        status_text="RUNNING",
        price_usd_per_hour=offer.price_usd_per_hour,
        started_at=None,
        machine_id=None,
        gpu_name=offer.gpu_name,
        gpu_count=offer.gpu_count,
        vram_gib=offer.vram_gib,
        driver_version=None,
        download_mbit_per_second=None,
        ssh_user=FakeProvider.ssh_user,
        ssh=(Endpoint("127.0.0.1", 22),),
        ports={},
        console_url=FakeProvider.console_url,
    )
