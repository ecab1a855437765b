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
  - For an existing rental the deadline moves only when a different one is asked for. One that
    stands still is started again; where its GPUs are somebody else's by now, it is released and
    another one is rented.
  - With O(state=stopped), lets the rental stand still. Its disk stays with all that is on it, and
    bills alone. Whether its GPUs are free when it is wanted again, nobody can promise.
  - With O(state=absent), releases every rental of the name and proves it gone, by id and in the
    complete list, twice, with a credential that still works. What cannot be proven fails.
  - That nothing has the name is known by the provider's lists, and by its bills where it tells
    them. Where lists alone tell it, and this controller has not known before what is there, a
    warning says so.
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
    description:
      - Whether the rental should exist.
      - V(found) tells which rental V(present) would keep and whether it would leave all of it as it
        is. It rents, changes and releases nothing.
      - V(stopped) is refused where nobody would end the rental at its deadline while it stands
        still. The switch on its host does not run then, so that is for O(reaper), or for the
        provider where it does that itself.
    type: str
    choices: [present, absent, found, stopped]
    default: present
  name:
    description: Name of the rental within its scope, usually the inventory host.
    type: str
    required: true
  image:
    description:
      - Container image of the host. It must hold Python 3.9 or newer.
      - Without it one that has the O(engine) already, or the one that is usual at the provider
        (O(provider) tells).
    type: str
  registry_username:
    description:
      - Who gets the image, where its registry wants a login. The registry is what stands before the
        first slash of O(image), or Docker Hub.
    type: str
  registry_password:
    description:
      - Password or token for O(registry_username). The marketplace and the host's owner see it, so
        give one that may do nothing but read this image.
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
  id:
    description:
      - With O(state=absent), the rental of this id is released and proven gone as well, whatever
        its label says by now. People write into labels in the provider's console, and a rental
        that lost its mark goes on billing. Give only an id that this module or
        M(inferops.gpu.rental_info) has returned.
      - With O(state=stopped), the rental of this id alone is stopped, whatever its label says.
    type: str
  id_provider:
    description: Whose O(id) it is, where O(accounts) names several.
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

- name: Let it stand still until it is wanted again
  inferops.gpu.rental:
    name: gpu-1
    scope: prod
    state: stopped
    reaper: true
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
    - With O(state=found) it has C(known_hosts) and C(brings_host_key) as well, as
      M(inferops.gpu.rental_info) returns it.
    - Of a host of the user's own C(own) is true, and nothing else of it is more than its name.
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
    gpu: rtx4090
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
runners_up:
  description:
    - Up to three offers that came after it, and what each lost by, as
      M(inferops.gpu.offer_info) returns them.
  returned: when something was rented, or would be
  type: list
  elements: dict
  sample:
    - {id: "1234570", price_usd_per_hour: 0.3009, behind_usd: 5.8211, why: rent 5.82 dollars more}
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
  returned: with O(state=present), and with O(state=found) where there is one
  type: dict
  sample: {at: 1795312800, hours: 24.0, remaining_seconds: 86400, enforced_by: host}
  contains:
    enforced_by:
      description:
        - V(host) when a switch on the host does, V(provider) when the provider itself does,
          V(reaper) when only the regular playbook does, else V(nobody).
      type: str
    nobody_accepted:
      description:
        - Whether it is accepted that nobody does, by O(allow_unenforced_deadline) or
          O(no_deadline).
      type: bool
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
        - V(unlisted), V(unusable), V(interruptible), V(dearer) and V(lost) were rented, then
          released and proven gone. They were never listed, stopped, such as others may outbid, too
          dear, or younger than another controller's.
      type: str
started:
  description:
    - The id of the rental that stood still and is started again, or would be.
    - Also returned by a failure after which it may have been started, and by a call that was killed
      while it was to do so.
  returned: with O(state=present), where one stood still
  type: str
  sample: "27011234"
started_provider:
  description: Whose RV(started) is.
  returned: with RV(started)
  type: str
  sample: vastai
started_told:
  description: The same in words, with what it bills before and after.
  returned: with O(state=present), where one stood still
  type: str
  sample: >-
    Rental 27011234 stood still, 0.0110 dollars an hour; it is started again, and bills 0.3412
    dollars an hour then.
cost_usd:
  description: What the rental has cost so far, in dollars.
  returned: with O(state=stopped), where there is one
  type: float
  sample: 0.0841
as_asked:
  description:
    - Whether there is a rental that can be used, and O(state=present) would neither move its
      deadline nor release a duplicate.
  returned: with O(state=found)
  type: bool
  sample: true
released:
  description:
    - The rentals that were released, or would be, each with what it has cost. Where the provider
      does not tell the price, that is null and the cost 0.
    - C(billed_usd) is what the provider has billed so far, null where it does not tell. Bills come
      later; one that is more than 5 % above C(cost_usd) is warned of.
  returned: with O(state=absent)
  type: list
  elements: dict
  sample:
    - provider: vastai
      id: "27011234"
      price_usd_per_hour: 0.3412
      cost_usd: 0.0841
      billed_usd: 0.0839
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.common.ending import end
from ansible_collections.inferops.gpu.plugins.module_utils.common.hiding import hide_passwords
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.desk import (
    RENTAL_OPTIONS,
    RENTAL_REQUIRED_IF,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.rental import rental
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.registry import (
    image_release,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec=RENTAL_OPTIONS, required_if=RENTAL_REQUIRED_IF, supports_check_mode=True
    )
    hide_passwords(module)
    end(module, rental(module.params, module.check_mode, module.log, image_release))


if __name__ == "__main__":
    main()
