#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rental
short_description: Rent a GPU host, or release it and prove it gone
version_added: "0.1.0"
description:
  - With O(state=present), makes sure that one rental exists under a name. The name, its scope, a
    nonce and a deadline travel with the create in the field that the provider keeps, so any
    controller with the account's key finds the rental again.
  - A create is sent once. When its answer is lost, the provider's list decides. An offer that was
    taken meanwhile makes room for the next one.
  - With O(state=absent), releases every rental of the name and proves it gone, by id and in the
    complete list, twice, with a credential that still works. What cannot be proven fails.
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
  - inferops.gpu.market
  - inferops.gpu.wish
attributes:
  check_mode:
    support: full
    details: Searches and prices, but sends no create and no release.
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
  scope:
    description: The set of rentals that one fleet owns. Nothing outside it is ever touched.
    type: str
    required: true
  image:
    description: Container image of the host. Needed to rent.
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
    description:
      - After so many hours the rental counts as forgotten. The deadline is part of its mark.
      - V(0) sets none.
    type: float
    default: 24
  max_attempts:
    description: How many offers are tried.
    type: int
    default: 5
  nonce:
    description:
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
    image: vastai/base-image:cuda-13.0.1-auto
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
  description: The rental, or null when there is none.
  returned: success
  type: dict
  sample:
    provider: vastai
    id: "27011234"
    label: inferops/prod/gpu-1/9f2c41aa/1795312800
    mark: {scope: prod, name: gpu-1, nonce: 9f2c41aa, deadline: 1795312800}
    status: starting
    status_text: loading
    price_usd_per_hour: 0.3412
    started_at: 1795226400.0
    machine_id: "20811"
    gpu_name: RTX 4090
    gpu_count: 1
    driver_version: 580.95.05
    ssh_user: root
    ssh: [{host: 203.0.113.7, port: 33526}]
    ports: {"22": {host: 203.0.113.7, port: 33526}}
    console_url: https://console.vast.ai/instances/
offer:
  description: The offer that was taken, or would be taken, with its expected cost.
  returned: when something was rented, or would be
  type: dict
  sample: {provider: vastai, id: "1234567", gpu_name: RTX 4090, price_usd_per_hour: 0.3412}
nonce:
  description:
    - The mark of what this call rented, for O(nonce). Empty when it rented nothing.
    - Also returned by a failure after which a rental may exist.
  returned: with O(state=present)
  type: str
  sample: 9f2c41aa
duplicates:
  description: Other rentals of the same name, which bill as well. A warning names them too.
  returned: when the rental existed before
  type: list
  elements: str
  sample: []
attempts:
  description: The offers that were tried, and what became of each.
  returned: when something was rented
  type: list
  elements: dict
  sample:
    - offer: "1234566"
      machine_id: "20800"
      price_usd_per_hour: 0.3301
      outcome: gone
      message: "Renting offer 1234566: it is gone (no_such_ask)."
released:
  description: The rentals that were released, each with what it cost, or would be.
  returned: with O(state=absent)
  type: list
  elements: dict
  sample: [{provider: vastai, id: "27011234", cost_usd: 0.0841}]
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import (
    MarketError,
    UnclearCreate,
    UnprovenAbsence,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.lifecycle import (
    Lifecycle,
    duplicates_warning,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import (
    Order,
    Rental,
    check_public_key,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.options import (
    MARKET_OPTIONS,
    WISH_OPTIONS,
    make_provider,
    make_usage,
    make_wish,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.ranking import choose

_NONE_RENTED: dict[str, Any] = {"rental": None}


def present(module: AnsibleModule) -> dict[str, Any]:
    """Find the rental of the name, or rent one."""
    options = module.params
    mark = Mark.new(options["scope"], options["name"], _deadline(options["deadline_hours"]))
    provider = make_provider(options)
    lifecycle = Lifecycle(provider, options["scope"], notify=module.log)
    existing = lifecycle.find(options["name"])
    if existing:
        if len(existing) > 1:
            module.warn(duplicates_warning(existing))
        return {
            "changed": False,
            "rental": existing[0].to_dict(),
            "nonce": "",
            "duplicates": [rental.id for rental in existing[1:]],
        }
    ranked = choose(provider, make_wish(options), make_usage(options))
    best = ranked[0].to_dict()
    if module.check_mode:
        return {
            "changed": True,
            "rental": None,
            "offer": best,
            "nonce": "",
            "diff": {"before": _NONE_RENTED, "after": {"offer": best}},
        }
    order = Order(
        mark=mark,
        image=options["image"],
        disk_gib=options["disk_gib"],
        ssh_public_key=check_public_key(options["ssh_public_key"]),
        ports=tuple(options["ports"]),
    )
    try:
        rented = lifecycle.rent(ranked[: options["max_attempts"]], order)
    except UnclearCreate as error:
        module.fail_json(msg=str(error), nonce=mark.nonce)
    return {
        "changed": True,
        "rental": rented.rental.to_dict(),
        "offer": rented.offer.to_dict(),
        "attempts": rented.attempts,
        "nonce": mark.nonce if rented.own else "",
        "diff": {"before": _NONE_RENTED, "after": {"rental": _shown(rented.rental)}},
    }


def absent(module: AnsibleModule) -> dict[str, Any]:
    """Release every rental of the name, or only the one that carries the nonce."""
    options = module.params
    lifecycle = Lifecycle(make_provider(options), options["scope"], notify=module.log)
    look = lifecycle.find if module.check_mode else lifecycle.prove_none
    existing = [
        rental
        for rental in look(options["name"])
        if options["nonce"] in (None, rental.mark and rental.mark.nonce)
    ]
    released = [
        {"provider": rental.provider, "id": rental.id, "cost_usd": rental.cost_usd(time.time())}
        for rental in existing
    ]
    unproven = []
    for rental in existing if not module.check_mode else []:
        try:
            lifecycle.release(rental)
        except UnprovenAbsence as error:
            # The others must not go on billing because of this one.
            unproven.append(str(error))
    if unproven:
        raise UnprovenAbsence(" ".join(unproven))
    return {
        "changed": bool(existing),
        "rental": None,
        "released": released,
        "diff": {
            "before": {"rentals": [_shown(rental) for rental in existing]},
            "after": {"rentals": []},
        },
    }


def _deadline(hours: float) -> int:
    return int(time.time() + hours * 3600) if hours else 0


def _shown(rental: Rental) -> dict[str, Any]:
    """What a diff shows of a rental."""
    return {
        "provider": rental.provider,
        "id": rental.id,
        "label": rental.label,
        "gpu": f"{rental.gpu_count} x {rental.gpu_name}",
        "price_usd_per_hour": rental.price_usd_per_hour,
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **MARKET_OPTIONS,
            **WISH_OPTIONS,
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "name": {"type": "str", "required": True},
            "scope": {"type": "str", "required": True},
            "image": {"type": "str"},
            "ssh_public_key": {"type": "str"},
            "ports": {"type": "list", "elements": "int", "default": []},
            "deadline_hours": {"type": "float", "default": 24.0},
            "max_attempts": {"type": "int", "default": 5},
            "nonce": {"type": "str"},
        },
        required_if=[("state", "present", ("image", "ssh_public_key"))],
        supports_check_mode=True,
    )
    try:
        result = present(module) if module.params["state"] == "present" else absent(module)
    except (MarketError, ValueError) as error:
        module.fail_json(msg=str(error), attempts=getattr(error, "attempts", []))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
