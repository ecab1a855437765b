#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rental
short_description: Rent a GPU host, keep exactly one, or release it and prove it gone
version_added: "0.1.0"
description:
  - With O(state=present), makes sure that one rental exists under a name. The name, its scope, a
    nonce and a deadline travel with the rental request in the field that the provider keeps, so any
    controller with the account's key finds the rental again.
  - A rental request is sent once. When its answer is lost, the provider's list decides. When an
    offer was taken meanwhile, the next one is tried; so it is when one is charged above the maximum
    or cannot be listed, after it was released and proven gone. Of several rentals of one name the
    oldest that lives wins.
  - Every rental has a deadline. A switch that travels with the rental request ends it from the
    inside when no controller comes back, with a key that is good for this rental only.
  - For an existing rental the deadline moves only when a different one is asked for.
  - With O(state=absent), releases every rental of the name and proves it gone, by id and in the
    complete list, twice, with a credential that still works. What cannot be proven fails.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
  - inferops.gpu.market
  - inferops.gpu.scope
  - inferops.gpu.wish
attributes:
  check_mode:
    support: full
    details: Searches and prices, but sends no rental request and no release.
  diff_mode:
    support: full
  platform:
    support: full
    platforms: posix
options:
  state:
    description: Whether the rental should exist.
    type: str
    choices: [present, absent]
    default: present
  name:
    description: Name of the rental within its scope, usually the inventory host.
    type: str
    required: true
  image:
    description:
      - Container image of the host. It must hold Python 3.9 or newer.
      - Without it the one that is usual at the provider,
        C(vastai/base-image:@vastai-automatic-tag) for V(vastai).
    type: str
  ssh_public_key:
    description: Public key that may log in. Needed to rent.
    type: str
  ports:
    description: Ports of the host, beside SSH, that the provider should map.
    type: list
    elements: int
    default: []
  deadline_hours:
    description: After so many hours the rental ends by itself. V(0) sets no such limit.
    type: float
    default: 24
  budget_usd:
    description:
      - The rental ends by itself when it has cost so much. V(0) sets no such limit.
      - It counts by the price that is really charged, also where that is above the offer's.
      - Of O(deadline_hours) and O(budget_usd) the sooner counts.
    type: float
    default: 0
  spent_usd:
    description:
      - What earlier attempts of the same run have cost. It is taken from O(budget_usd), and ends
        this rental sooner. A later run that has spent nothing does not take that for a new limit.
    type: float
    default: 0
  no_deadline:
    description: Accepts a rental that has neither limit and bills until somebody ends it.
    type: bool
    default: false
  reaper:
    description:
      - Says that the playbook C(inferops.gpu.reap) runs regularly for this scope, so that it counts
        as what enforces a deadline where neither host nor provider can.
    type: bool
    default: false
  allow_unenforced_deadline:
    description: Accepts a deadline that nobody enforces.
    type: bool
    default: false
  host_keys:
    description:
      - With V(delivered), the host's SSH key is derived from O(scope_secret) and the nonce and
        travels with the rental request, so that the first connection is already safe.
      - With V(first_contact), whatever key the host shows first is pinned.
    type: str
    choices: [delivered, first_contact]
    default: delivered
  max_attempts:
    description:
      - How many rental requests are sent at most. Offers on machines that parallel hosts rent cost
        none.
    type: int
    default: 5
  nonce:
    description:
      - Eight digits of V(0) to V(9) and V(a) to V(f).
      - With O(state=present), what is rented carries it; a new one is drawn without it. Whoever
        drew it before the call can release by it, even if the call is killed after the request.
      - With O(state=absent), releases only the rental that carries this nonce, as RV(nonce) of the
        call that rented it. A rental of the same name from another controller stays.
    type: str
seealso:
  - module: inferops.gpu.offer_info
  - module: inferops.gpu.rental_info
  - module: inferops.gpu.rental_ready
"""

EXAMPLES = r"""
- name: Rent a host with a 24 GB card
  inferops.gpu.rental:
    name: gpu-1
    scope: prod
    vram_gib: 24
    max_price_usd_per_hour: 0.6
    ssh_public_key: "{{ lookup('file', '~/.ssh/id_ed25519.pub') }}"
  delegate_to: localhost

- name: Release it
  inferops.gpu.rental:
    name: gpu-1
    scope: prod
    state: absent
  delegate_to: localhost
"""

RETURN = r"""
rental:
  description:
    - The rental, or null when there is none.
    - What the provider does not tell of it, or not yet, is null.
  returned: success
  type: dict
  sample:
    provider: vastai
    id: "27011234"
    seniority: "00000000000027011234"
    label: inferops/prod/gpu-1/9f2c41aa/2/tovs80/1uo0/totxk0
    mark: {scope: prod, name: gpu-1, nonce: 9f2c41aa, deadline: 1795312800, lifetime_seconds: 86400,
      created_at: 1795226400, version: 2, rest: ""}
    status: starting
    status_text: loading
    price_usd_per_hour: 0.3412
    started_at: 1795226400.0
    machine_id: "20811"
    gpu_name: RTX 4090
    gpu_count: 1
    vram_gib: 23.99
    driver_version: 580.95.05
    download_mbit_per_second: 812.4
    ssh_user: root
    ssh: [{host: 203.0.113.7, port: 33526}]
    ports: {"22": {host: 203.0.113.7, port: 33526}}
    console_url: https://console.vast.ai/instances/
offer:
  description: The offer that was taken, or would be taken, with its expected cost.
  returned: when something was rented, or would be
  type: dict
  sample: {provider: vastai, id: "1234567", gpu_name: RTX 4090, price_usd_per_hour: 0.3412}
disk_gib:
  description: The disk that is rented with it.
  returned: when something was rented, or would be
  type: int
  sample: 40
nonce:
  description:
    - The mark of what this call rented, for O(nonce). Empty when it rented nothing.
    - Also returned by a failure after which a rental may exist.
  returned: with O(state=present)
  type: str
  sample: 9f2c41aa
duplicates:
  description:
    - Other rentals of the same name. Those that no controller is about to release itself were
      released and proven gone; a warning names the others.
  returned: when the rental existed before
  type: list
  elements: dict
  sample: [{id: "27011299", cost_usd: 0.02, released: true}]
deadline:
  description: Until when the rental may bill, in epoch seconds, and who sees to it.
  returned: with O(state=present)
  type: dict
  sample: {at: 1795312800, hours: 24.0, remaining_seconds: 86400, enforced_by: host}
  contains:
    enforced_by:
      description:
        - V(host) when a switch on the host does, V(provider) when the provider itself does,
          V(reaper) when only the regular playbook does, else V(nobody).
      type: str
attempts:
  description:
    - The offers that were tried, and what became of each. Its cost is an estimate, from the price
      and the time between the rental request and the proof that it is gone.
    - Also returned by a failure.
  returned: when something was rented, or was to be
  type: list
  elements: dict
  sample:
    - offer: "1234566"
      machine_id: "20800"
      price_usd_per_hour: 0.3301
      outcome: gone
      message: "Renting offer 1234566: it is gone (no_such_ask)."
      cost_usd: 0.0
  contains:
    outcome:
      description:
        - V(rented) is the one that was kept. V(gone) was taken meanwhile, V(claimed) is on a
          machine that a parallel host rents, V(refused) and V(unclear) ended the call.
        - V(unlisted), V(unusable), V(dearer) and V(lost) were rented, then released and proven
          gone. They were never listed, stopped, too dear, or younger than another controller's.
      type: str
released:
  description:
    - The rentals that were released, or would be, each with what it has cost. Where the provider
      does not tell the price, that is null and the cost 0.
  returned: with O(state=absent)
  type: list
  elements: dict
  sample:
    - {provider: vastai, id: "27011234", price_usd_per_hour: 0.3412, cost_usd: 0.0841}
"""

from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.market.access.host_keys import derive
from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import (
    MarketError,
    UnclearCreate,
    UnprovenAbsence,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.failing import fail
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import (
    Mark,
    check_length,
    check_nonce,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import (
    Offer,
    Order,
    Rental,
    check_public_key,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.history import History
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.ranking import (
    RankedOffer,
    choose,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.options import (
    ACCOUNT_OPTIONS,
    WISH_OPTIONS,
    make_lifecycle,
    make_provider,
    make_usage,
    make_wish,
    scope_secret,
    with_usual,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.provider import Provider
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.lifecycle import (
    NOTHING_BILLS,
    SHARED_FOR_SECONDS,
    Limits,
    Rented,
    duplicates_warning,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.lifetime import (
    Lifetime,
    enforcer,
    is_new_wish,
)

_NONE_RENTED: dict[str, Any] = {"rental": None}


class Desk:
    """Where one call of the module rents, keeps and releases."""

    def __init__(self, module: AnsibleModule, provider: Provider) -> None:
        self._module = module
        self._options = with_usual(module.params)
        self._clock = Clock.from_environment()
        self._provider = provider
        self._lifecycle = make_lifecycle(module.params, provider, self._clock, notify=module.log)

    def present(self) -> dict[str, Any]:
        """Keep the one rental of the name, or rent one."""
        name = self._options["name"]
        listed = self._lifecycle.rentals(SHARED_FOR_SECONDS, name)
        existing = [rental for rental in listed if rental.mark and rental.mark.name == name]
        if existing:
            return self._keep(existing)
        return self._rent({rental.machine_id for rental in listed})

    def absent(self) -> dict[str, Any]:
        """Release every rental of the name, or only the one that carries the nonce."""
        name, nonce = self._options["name"], self._options["nonce"]
        if nonce is not None:
            check_nonce(nonce)
        look = self._lifecycle.find if self._module.check_mode else self._lifecycle.prove_none
        doomed = [one for one in look(name) if nonce in (None, one.mark and one.mark.nonce)]
        now = self._clock.now()
        released = [
            {
                "provider": one.provider,
                "id": one.id,
                "price_usd_per_hour": one.price_usd_per_hour,
                "cost_usd": one.cost_usd(now),
            }
            for one in doomed
        ]
        if not self._module.check_mode:
            self._release_all(doomed)
        return {
            "changed": bool(doomed),
            "rental": None,
            "released": released,
            "diff": {
                "before": {"rentals": [_shown(rental) for rental in doomed]},
                "after": {"rentals": []},
            },
        }

    # Keep.

    def _keep(self, existing: list[Rental]) -> dict[str, Any]:
        kept = existing[0]
        duplicates = self._resolve(existing)
        moved = self._moved(kept)
        return {
            "changed": moved != kept or any(one["released"] for one in duplicates),
            "rental": moved.to_dict(),
            "nonce": "",
            "duplicates": duplicates,
            "deadline": self._deadline(moved.mark, moved.since),
            "diff": {"before": {"rental": _shown(kept)}, "after": {"rental": _shown(moved)}},
        }

    def _resolve(self, existing: list[Rental]) -> list[dict[str, Any]]:
        """The younger rentals of the name, released when nobody else is about to do so."""
        now = self._clock.now()
        settled = self._lifecycle.settled_duplicates(existing)
        waiting = [rental for rental in existing[1:] if rental not in settled]
        if waiting:
            self._module.warn(
                duplicates_warning([existing[0], *waiting])
                + " Run again in some minutes to release it, or run playbook inferops.gpu.reap."
            )
        if not self._module.check_mode:
            self._release_all(settled)
        return [
            {"id": one.id, "cost_usd": one.cost_usd(now), "released": one in settled}
            for one in existing[1:]
        ]

    def _moved(self, kept: Rental) -> Rental:
        """The rental with its deadline where a changed wish wants it."""
        lifetime = self._lifetime()
        seconds = lifetime.seconds(kept.price_usd_per_hour)
        unpriced = bool(lifetime.budget_usd) and kept.price_usd_per_hour is None
        if kept.mark is None or unpriced or not is_new_wish(kept.mark, seconds):
            return kept
        left = lifetime.seconds_left(kept.price_usd_per_hour)
        deadline = int(kept.since or self._lifecycle.now()) + left if left else 0
        return self._lifecycle.move_deadline(kept, deadline, seconds, self._module.check_mode)

    # Rent.

    def _rent(self, machines_in_use: set[str]) -> dict[str, Any]:
        options = self._options
        wish = make_wish(options).without_machines(machines_in_use)
        history = History(options["history_path"])
        try:
            ranked = choose(self._lifecycle.search, wish, make_usage(options), history)
        except MarketError as error:
            error.money = error.money or NOTHING_BILLS
            raise
        mark = self._mark(ranked[0].offer, self._lifecycle.now(), options["nonce"])
        result: dict[str, Any] = {
            "changed": True,
            "rental": None,
            "offer": ranked[0].to_dict(),
            "disk_gib": options["disk_gib"],
            "nonce": "",
            "deadline": self._deadline(mark, self._lifecycle.now()),
        }
        if self._module.check_mode:
            diff = {"before": _NONE_RENTED, "after": {"offer": ranked[0].to_dict()}}
            return {**result, "diff": diff}
        return {**result, **self._create(ranked, mark)}

    def _create(self, ranked: list[RankedOffer], mark: Mark) -> dict[str, Any]:
        options = self._options
        public_key = check_public_key(options["ssh_public_key"])
        host_key = None
        if options["host_keys"] == "delivered" and self._provider.delivers_host_key:
            host_key = derive(scope_secret(options), mark, generation=1)

        def order_for(offer: Offer) -> Order:
            now = self._lifecycle.now()
            return Order(
                mark=self._mark(offer, now, mark.nonce),
                image=options["image"],
                disk_gib=options["disk_gib"],
                ssh_public_key=public_key,
                created_at=now,
                host_key=host_key,
                ports=tuple(options["ports"]),
            )

        rented = self._first(ranked, order_for, mark.nonce)
        rental = rented.rental
        return {
            "rental": rental.to_dict(),
            # An older rental that won was not rented by this offer.
            "offer": rented.offer.to_dict() if rented.own else {},
            "attempts": rented.attempts,
            "nonce": mark.nonce if rented.own else "",
            "deadline": self._deadline(rental.mark, self._lifecycle.now()),
            "diff": {"before": _NONE_RENTED, "after": {"rental": _shown(rental)}},
        }

    def _first(
        self, ranked: list[RankedOffer], order_for: Callable[[Offer], Order], nonce: str
    ) -> Rented:
        """What the lifecycle rents. A failure after which a rental may exist brings its nonce."""
        options = self._options
        limits = Limits(
            options["max_attempts"], options["max_price_usd_per_hour"], self._lifetime()
        )
        try:
            return self._lifecycle.rent(ranked, order_for, limits)
        except UnclearCreate as error:
            unclear = error
        except MarketError:
            raise
        except Exception as error:
            # Whatever broke, a request may have been sent, and the nonce is what releases it.
            unclear = UnclearCreate(f"Renting broke off ({type(error).__name__}: {error}).")
        money = f"A rental may bill. See {self._provider.console_url}"
        fail(self._module, unclear, money, nonce=nonce, attempts=unclear.attempts)

    def _lifetime(self) -> Lifetime:
        options = self._options
        return Lifetime(
            options["deadline_hours"],
            options["budget_usd"],
            options["no_deadline"],
            options["spent_usd"],
        )

    def _mark(self, offer: Offer, now: int, nonce: str | None) -> Mark:
        """A mark with the deadline that this offer's price allows; without a nonce a fresh one."""
        lifetime = self._lifetime()
        seconds = lifetime.seconds(offer.price_usd_per_hour)
        left = lifetime.seconds_left(offer.price_usd_per_hour)
        deadline = now + left if left else 0
        scope, name = self._options["scope"], self._options["name"]
        check_length(scope, name, self._provider.label_length)
        return Mark.new(scope, name, deadline, seconds, now, nonce=nonce)

    def _deadline(self, mark: Mark | None, since: float) -> dict[str, Any]:
        at = mark.deadline if mark else 0
        options = self._options
        return {
            "at": at,
            "hours": round((at - since) / 3600, 2) if at else None,
            "remaining_seconds": at - self._lifecycle.now() if at else None,
            "enforced_by": enforcer(
                at,
                self._provider.enforces_deadline,
                options["reaper"],
                options["allow_unenforced_deadline"] or options["no_deadline"],
            ),
        }

    def _release_all(self, rentals: list[Rental]) -> None:
        unproven = []
        for rental in rentals:
            try:
                self._lifecycle.release(rental)
            except UnprovenAbsence as error:
                # The others must not go on billing because of this one.
                unproven.append(error)
        if unproven:
            raise UnprovenAbsence(
                " ".join(error.cause for error in unproven),
                remedy=unproven[0].remedy,
                money=" ".join(error.money for error in unproven),
            )


def _shown(rental: Rental) -> dict[str, Any]:
    """What a diff shows of a rental."""
    return {
        "provider": rental.provider,
        "id": rental.id,
        "label": rental.label,
        "gpu": f"{rental.gpu_count} x {rental.gpu_name}",
        "price_usd_per_hour": rental.price_usd_per_hour,
    }


_STAKES = {
    "present": "This call rented nothing; what it could not see may bill.",
    "absent": "Whatever is rented under this name may go on billing.",
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **ACCOUNT_OPTIONS,
            **WISH_OPTIONS,
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "name": {"type": "str", "required": True},
            "image": {"type": "str"},
            "ssh_public_key": {"type": "str"},
            "ports": {"type": "list", "elements": "int", "default": []},
            "deadline_hours": {"type": "float", "default": 24.0},
            "budget_usd": {"type": "float", "default": 0.0},
            "spent_usd": {"type": "float", "default": 0.0},
            "no_deadline": {"type": "bool", "default": False},
            "reaper": {"type": "bool", "default": False},
            "allow_unenforced_deadline": {"type": "bool", "default": False},
            "host_keys": {
                "type": "str",
                "choices": ["delivered", "first_contact"],
                "default": "delivered",
            },
            "max_attempts": {"type": "int", "default": 5},
            "nonce": {"type": "str"},
        },
        required_if=[("state", "present", ("ssh_public_key",))],
        supports_check_mode=True,
    )
    state = module.params["state"]
    stakes = _STAKES[state]
    try:
        provider = make_provider(module.params)
        stakes += f" See {provider.console_url}"
        desk = Desk(module, provider)
        result = desk.present() if state == "present" else desk.absent()
    except (MarketError, ValueError) as error:
        fail(module, error, stakes, attempts=getattr(error, "attempts", []))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
