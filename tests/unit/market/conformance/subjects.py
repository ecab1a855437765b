# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The providers under test, each with the truth behind it and a way to spoil its answers.

Each that the registry has is a subject: its client against its routes of the simulator.
"""

from __future__ import annotations

import contextlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import (
    CredentialError,
    ProviderUnavailable,
    RateLimited,
    UnclearCreate,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.lambda_cloud import (
    LambdaCloud,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.pace import Pace
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.prime import (
    PrimeIntellect,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.provider import Provider
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.registry import (
    PROVIDERS,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.runpod import RunPod
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.shadeform import (
    Shadeform,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.shopper import (
    GpuShopper,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.tensordock import (
    TensorDock,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.verda import Verda
from tests.simulator import shopper, tensordock, verda
from tests.simulator.app import Simulator, dialect_of, routes_of
from tests.simulator.dialect import Dialect
from tests.simulator.hosts import PretendHosts
from tests.simulator.market import ACCOUNT_KEY
from tests.simulator.market import Market as SimulatedMarket
from tests.simulator.web import Reply, Request
from tests.unit.market import wire
from tests.unit.market.conftest import market_clock
from tests.unit.market.fake_provider import KEY, Answer, FakeProvider, World

#: What spoils an answer, as it comes over HTTP: status and body.
TROUBLES: dict[str, tuple[int, Any]] = {
    "401": (401, {"error": "unauthorized"}),
    "403": (403, {"error": "forbidden"}),
    "429": (429, "too many requests"),
    "500": (500, {"error": "internal"}),
    "502 with a page": (502, "<html><h1>Bad Gateway</h1></html>"),
    "404 with a page": (404, "<html><h1>Not Found</h1></html>"),
    "200 with a page": (200, "<html><h1>Down for maintenance</h1></html>"),
    "200 and nothing": (200, ""),
    "200 and half of it": (200, '{"success": true, "instances": [{"id": 1, "lab'),
    "200 and another shape": (200, [1, 2]),
}
#: What the dialects of the simulator call some of the words of ``wire.CALLS``.
REQUESTS = {
    "get": "read",
    "release": "destroy",
    "change_mark": "change",
    "attach_key": "attach",
    "check_credential": "user",
    "charged": "charges",
    "account": "account",
}
#: Those that refuse the credential, and those that say "not carried out".
REFUSING, NOT_CARRIED_OUT = ("401", "403"), ("429",)


class Subject(ABC):
    """A provider, and what there is in truth."""

    kind: ClassVar[type[Provider]]
    #: What its account logs in with.
    key: ClassVar[str]
    clock: Clock

    @property
    def image(self) -> str:
        """One that every offer takes."""
        return self.kind.usual.image

    @abstractmethod
    def provider(self, key: str | None = None) -> Provider:
        """A client of its own, with the right key or another."""

    @abstractmethod
    def rentals(self) -> set[str]:
        """The ids of what is rented in truth."""

    @abstractmethod
    def creates(self) -> int:
        """How many creates were sent."""

    @abstractmethod
    def carried(self) -> str:
        """What the last create sent along, as text."""

    @abstractmethod
    def spoil(self, call: str, trouble: str) -> None:
        """Let every answer to *call*, a word of ``wire.CALLS``, be this trouble from now on."""

    @abstractmethod
    def lose_create(self, trouble: str = "") -> None:
        """Let the next create be carried out, and its answer be lost or this trouble."""

    @abstractmethod
    def take(self, offer_id: str) -> None:
        """Let somebody else rent an offer."""

    @abstractmethod
    def relabel(self, rental_id: str, label: str) -> None:
        """Let somebody write a label."""

    @abstractmethod
    def take_gpus(self, rental_id: str) -> None:
        """Let somebody else have the GPUs of a rental that stands still."""

    @abstractmethod
    def settle(self) -> None:
        """Wait until what was created runs."""

    def close(self) -> None:
        """End it."""
        return None


#: Makes another answer of one; both are what JSON stands for.
Change = Callable[[Any], Any]


class Tampered(Simulator):
    """A simulator in whose answers somebody may change what he likes."""

    change: Change | None = None

    def serve(self, request: Request, from_host: bool) -> Reply:
        """The answer, changed."""
        reply = super().serve(request, from_host)
        if self.change is None or not reply.body:
            return reply
        return replace(reply, body=json.dumps(self.change(json.loads(reply.body))).encode())


class Simulated(Subject):
    """The real client against its provider's routes of the simulator, over HTTP."""

    key = ACCOUNT_KEY

    @property
    def dialect(self) -> Dialect:
        """What its provider calls things."""
        return dialect_of(self.kind.name)

    @property
    def calls(self) -> dict[str, tuple[str, str]]:
        """Each word of ``wire.CALLS`` that there is here, as method and pattern of the path."""
        known = self.dialect.requests
        names = {call: REQUESTS.get(call, call) for call in wire.CALLS}
        return {
            call: (known[name].method, known[name].path)
            for call, name in names.items()
            if name in known
        }

    def __init__(self) -> None:
        self.market = SimulatedMarket(PretendHosts())
        self.market.boot_seconds = 0
        self.clock = market_clock(self.market)
        self.simulator = Tampered(self.market, provider=self.kind.name)

    def provider(self, key: str | None = None) -> Provider:
        """A client at its own pace."""
        pace = Pace(None, self.kind.seconds_between, self.clock)
        known = self.dialect.credentials
        credentials = {
            option: key if key and told == self.key else told for option, told in known.items()
        }
        url = self.simulator.url + self.dialect.api_path
        return self.kind(credentials, url, pace, self.clock)

    @property
    def image(self) -> str:
        """What the dialect has, else what is usual."""
        return self.dialect.image or super().image

    def number(self, rental_id: str) -> int:
        """That of a rental in the books."""
        return self.dialect.number(rental_id)

    def rentals(self) -> set[str]:
        """By the simulator's books."""
        return {self.dialect.rental_id(number) for number in self.market.rentals}

    def _sent(self) -> list[dict[str, Any]]:
        method, path = self.calls["create"]
        entries = self.simulator.journal.entries()
        return [one for one in entries if one["method"] == method and re.search(path, one["path"])]

    def creates(self) -> int:
        """By the simulator's log of requests."""
        return len(self._sent())

    def carried(self) -> str:
        """The body of the create, and what its routes know to be in it."""
        body = self._sent()[-1]["body"]
        unpack = getattr(routes_of(self.kind.name), "carried", None)
        return unpack(self.simulator.api, body) if unpack else str(body)

    def take(self, offer_id: str) -> None:
        """Off the market, with all that its routes show as the same offer."""
        routes_of(self.kind.name).take(self.market, offer_id)

    def _plan(self, kind: str, call: str, trouble: str, times: int) -> None:
        method, path = self.calls[call]
        order: dict[str, Any] = {"kind": kind, "method": method, "path": path, "times": times}
        if trouble:
            order["status"], order["body"] = TROUBLES[trouble]
        self.simulator.control.plan_faults([order])

    def spoil(self, call: str, trouble: str) -> None:
        """By a fault without end."""
        self._plan("reply", call, trouble, 9999)

    def lose_create(self, trouble: str = "") -> None:
        """By a fault after the commit."""
        kind = "reply_after_commit" if trouble else "drop_after_commit"
        self._plan(kind, "create", trouble, 1)

    def relabel(self, rental_id: str, label: str) -> None:
        """As in its console."""
        self.market.relabel(self.market.rentals[self.number(rental_id)], label)

    def take_gpus(self, rental_id: str) -> None:
        """Its machine off the market."""
        machine = self.market.rentals[self.number(rental_id)].offer["machine_id"]
        for offer in [one for one in self.market.search() if one["machine_id"] == machine]:
            del self.market.offers[offer["id"]]

    @contextlib.contextmanager
    def tampered(self, change: Change) -> Iterator[None]:
        """Every answer meanwhile is what this makes of it."""
        self.simulator.change = change
        try:
            yield
        finally:
            self.simulator.change = None

    def settle(self) -> None:
        """Let the threads that boot hosts come to their end."""
        for rental in self.market.rentals.values():
            while not rental.running:
                rental.gone.wait(0.001)

    def close(self) -> None:
        """Stop the server."""
        self.simulator.close()


def subject_of(kind: type[Provider]) -> Simulated:
    """That of a provider."""
    made: Simulated = type(f"Simulated{kind.__name__}", (Simulated,), {"kind": kind})()
    return made


# Those that tests of a provider's own words are about.


class SimulatedRunPod(Simulated):
    """RunPod."""

    kind = RunPod


class SimulatedLambda(Simulated):
    """Lambda Cloud."""

    kind = LambdaCloud


class SimulatedShadeform(Simulated):
    """Shadeform."""

    kind = Shadeform


class SimulatedPrimeIntellect(Simulated):
    """Prime Intellect."""

    kind = PrimeIntellect


class SimulatedVerda(Simulated):
    """Verda, a tag of which keeps the mark."""

    kind = Verda

    @property
    def api(self) -> verda.Api:
        """Its routes, with the disks, scripts and keys behind them."""
        assert isinstance(self.simulator.api, verda.Api)
        return self.simulator.api


class SimulatedShopper(Simulated):
    """GPU shopper behind a proxy that asks for a key."""

    kind = GpuShopper

    @property
    def api(self) -> shopper.Api:
        """Its routes, with the sessions that it keeps."""
        assert isinstance(self.simulator.api, shopper.Api)
        return self.simulator.api


class SimulatedTensorDock(Simulated):
    """TensorDock."""

    kind = TensorDock

    @property
    def api(self) -> tensordock.Api:
        """Its routes."""
        assert isinstance(self.simulator.api, tensordock.Api)
        return self.simulator.api


class Fake(Subject):
    """The fake, whose scripts stand for what a client makes of such answers."""

    kind = FakeProvider
    key = KEY
    _METHODS: ClassVar[dict[str, str]] = {
        "search": "search",
        "create": "rent",
        "list": "list_rentals",
        "get": "get",
        "release": "release",
        "change_mark": "change_mark",
        "stop": "stop",
        "start": "start",
        "attach_key": "attach_key",
        "charged": "charged",
        "account": "account",
        "log": "log",
        "check_credential": "check_credential",
    }

    def __init__(self) -> None:
        time = [1_795_000_000.0]

        def sleep(seconds: float) -> None:
            time[0] += seconds

        self.clock = Clock(monotonic=lambda: time[0], sleep=sleep, now=lambda: time[0])
        self.world = World(self.clock)

    def provider(self, key: str | None = None) -> Provider:
        """A client in this world."""
        credentials = {"api_key": key or self.key}
        return self.world.kind()(credentials, "", Pace(None, {}, self.clock), self.clock)

    def rentals(self) -> set[str]:
        """By the world's dictionary."""
        return set(self.world.rentals)

    def creates(self) -> int:
        """By the calls that were made."""
        return self.world.calls.count("rent")

    def carried(self) -> str:
        """Label and key."""
        order = list(self.world.orders.values())[-1]
        return f"{order.mark.encode()} {order.ssh_public_key}"

    def _error(self, call: str, trouble: str) -> Exception:
        if trouble in REFUSING and call != "create":
            return CredentialError(trouble)
        if trouble in NOT_CARRIED_OUT:
            return RateLimited(trouble)
        return UnclearCreate(trouble) if call == "create" else ProviderUnavailable(trouble)

    def spoil(self, call: str, trouble: str) -> None:
        """By a script that is longer than anybody asks."""
        error = self._error(call, trouble)
        self.world.scripts.clear()
        self.world.script(self._METHODS[call], *[Answer(error)] * 999)

    def lose_create(self, trouble: str = "") -> None:
        """By a script of one line."""
        self.world.script("rent", Answer(UnclearCreate(trouble or "lost"), carried_out=True))

    def take(self, offer_id: str) -> None:
        """Off the market."""
        self.world.offers = [one for one in self.world.offers if one.id != offer_id]

    def relabel(self, rental_id: str, label: str) -> None:
        """In the dictionary."""
        rental = self.world.rentals[rental_id]
        self.world.rentals[rental_id] = replace(rental, label=label, mark=Mark.decode(label))

    def take_gpus(self, rental_id: str) -> None:
        """By a note."""
        self.world.without_gpus.add(rental_id)

    def settle(self) -> None:
        """All run at once."""


#: By the name of the provider: each that can be chosen, against its routes, and the fake.
SUBJECTS: dict[str, Callable[[], Subject]] = {
    **{name: partial(subject_of, kind) for name, kind in PROVIDERS.items()},
    FakeProvider.name: Fake,
}
assert set(Fake._METHODS) == set(wire.CALLS) - {"rows"}
