#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rental_attempt
short_description: Keep the account of a run's attempts to rent, and decide what a failure costs
version_added: "0.1.0"
description:
  - Internal. Used by role P(inferops.gpu.rent#role); its options and results may change.
  - A run rents in attempts. Each is a call of M(inferops.gpu.rental) and what follows it until the
    host works. This keeps what the attempts have sent and spent, says whether a failure makes room
    for the next one and what is this run's to release, and writes the last message of a deploy.
  - It neither rents nor releases. Role P(inferops.gpu.rent#role) does what it says.
  - It also adds to the history file by which M(inferops.gpu.rental) ranks and
    M(inferops.gpu.rental_ready) waits. The history is a help, not a record that anything relies on.
    A file that cannot be written is a warning.
  - This is an action plugin. It runs on the controller, and needs no C(delegate_to).
author:
  - inferops.gpu contributors (@inferops)
extends_documentation_fragment:
  - inferops.gpu.attributes
attributes:
  check_mode:
    support: full
    details: Adds nothing to the history.
  diff_mode:
    support: N/A
  platform:
    support: full
    platforms: posix
options:
  state:
    description:
      - With V(begun), another attempt begins, and gets its nonce.
      - With V(looked), tasks on the host have returned. The task fails where the host has fallen
        silent meanwhile.
      - With V(served), the host works.
      - With V(measured), it is known how long it took until the first token.
      - With V(failed), an attempt has failed, and what becomes of it is decided.
      - With V(released), it was released, and the next attempt begins.
      - With V(ended), the deploy has failed for good. The task fails with what there is to say.
    type: str
    choices: [begun, looked, served, measured, failed, released, ended]
    required: true
  ledger:
    description:
      - What this returned with O(state=begun) or O(state=released) before; empty at first.
    type: dict
    default: {}
  created:
    description: What M(inferops.gpu.rental) returned in this attempt; empty before that was called.
    type: dict
    default: {}
  rental:
    description: The rental, as M(inferops.gpu.rental) returns it; empty when there is none.
    type: dict
    default: {}
  result:
    description:
      - With O(state=failed), what the task that failed returned. The second machine that fails in
        the same way is not to blame, and neither is the first.
    type: dict
    default: {}
  looks:
    description:
      - With O(state=looked) and O(state=failed), what tasks on the host returned before. A host
        that had accepted SSH and was unreachable for one of them is to blame.
    type: list
    elements: dict
    default: []
  max_attempts:
    description: How many rental requests a run may send.
    type: int
    default: 5
  budget_usd:
    description:
      - Dollars that a run may spend; V(0) sets no limit. A next attempt is made only where the rest
        of it lets that one get at least as far as the one that failed.
    type: float
    default: 0
  on_failure:
    description:
      - Whether what this run has rented is released when it fails. With V(keep) nothing is, and no
        other attempt is made.
    type: str
    choices: [release, keep]
    default: release
  verdict:
    description: With O(state=released), what O(state=failed) returned.
    type: dict
    default: {}
  released:
    description:
      - The rentals that were released and proven gone, as M(inferops.gpu.rental) returns them.
    type: list
    elements: dict
    default: []
  release_failed:
    description: With O(state=ended), what a release that failed returned; empty when none did.
    type: dict
    default: {}
  stopped:
    description:
      - With O(state=ended), what M(inferops.gpu.rental) returned that let an older rental stand
        still again; empty where this run had started none.
    type: dict
    default: {}
  history_path:
    description: The history file. It is made when needed, readable by its owner only.
    type: str
    default: ""
  boot_seconds:
    description: How long it took until SSH worked, for the history; V(0) when it did not.
    type: float
    default: 0
  clock_offset_seconds:
    description: The provider's clock minus the controller's, as M(inferops.gpu.rental) returns it.
    type: float
    default: 0
  ratios:
    description:
      - With O(state=measured), by phase how many times longer it took than the offer had let
        expect, as filter P(inferops.gpu.deploy_report#filter) returns it.
    type: dict
    default: {}
  task:
    description: With O(state=ended), the task at which the deploy failed.
    type: str
    default: an unknown task
  message:
    description: With O(state=ended), what that task said.
    type: str
    default: no message
  unreachable:
    description: With O(state=ended), whether the host does not answer any more.
    type: bool
    default: false
  evidence:
    description: With O(state=ended), the folder with the evidence. Named when it exists.
    type: path
    default: ""
notes:
  - Only what carries the nonce of the attempt counts as rented by this run. A call that was killed
    may have rented all the same, so the nonce is drawn before it.
seealso:
  - module: inferops.gpu.rental
"""

EXAMPLES = r"""
- name: Begin an attempt
  inferops.gpu.rental_attempt:
    state: begun
  register: ledger

- name: Rent a host, and let it go when it does not work
  block:
    - name: Rent it
      inferops.gpu.rental:
        name: gpu-1
        scope: prod
        image: vastai/base-image:cuda-13.0.1-auto
        ssh_public_key: "{{ lookup('file', '~/.ssh/id_ed25519.pub') }}"
        nonce: "{{ ledger.nonce }}"
      delegate_to: localhost
      register: created
  rescue:
    - name: Find out what is to be released
      inferops.gpu.rental_attempt:
        state: failed
        ledger: "{{ ledger }}"
        created: "{{ created }}"
        result: "{{ ansible_failed_result }}"
      register: verdict
"""

RETURN = r"""
nonce:
  description: The nonce of the attempt that begins, for O(inferops.gpu.rental#module:nonce).
  returned: with O(state=begun) and O(state=released)
  type: str
  sample: 9f2c41aa
requests_sent:
  description: How many rental requests the attempts before it have sent.
  returned: with O(state=begun) and O(state=released)
  type: int
  sample: 1
requests_left:
  description: How many rental requests the attempt that begins may send.
  returned: with O(state=begun) and O(state=released)
  type: int
  sample: 4
spent_usd:
  description: What they have cost, in dollars.
  returned: with O(state=begun) and O(state=released)
  type: float
  sample: 0.0213
attempts:
  description: The attempts that have failed and were released.
  returned: with O(state=begun) and O(state=released)
  type: list
  elements: dict
  sample:
    - rental: "27011234"
      machine_id: "20811"
      stage: driver
      blame: machine
      sign: ""
      message: "driver 470.256.02 instead of 580.95.05"
      cost_usd: 0.0213
shunned:
  description: The machines of these attempts that were to blame.
  returned: with O(state=begun) and O(state=released)
  type: list
  elements: str
  sample: ["20811"]
installs:
  description:
    - Whether the next attempt rents an image without the engine, because nobody gets the one that
      has it.
  returned: with O(state=begun) and O(state=released)
  type: bool
  sample: false
told:
  description: What there is to say about the attempt, as long as it bills or when it was released.
  returned: with O(state=failed) and O(state=released)
  type: str
  sample: "Attempt 1 of 5 failed at driver: ..."
parts:
  description: The parts of the message of a deploy that failed.
  returned: with O(state=ended)
  type: list
  elements: str
  sample:
    - 'At "Wait until the host runs and accepts SSH": ...'
    - Rental 27011234 was released and proven gone; it cost 0.0213 dollars.
try_next:
  description: Whether the next attempt may be made.
  returned: with O(state=failed)
  type: bool
  sample: true
release:
  description: The nonce by which what this run has rented is released; empty when it is not.
  returned: with O(state=failed)
  type: str
  sample: 9f2c41aa
release_id:
  description: The id of what is released by that nonce, empty where it is not known.
  returned: with O(state=failed)
  type: str
  sample: "27011234"
stop:
  description:
    - The id of an older rental that this run has started, or may have, and that has to stand still
      again; empty where there is none.
  returned: with O(state=failed)
  type: str
  sample: ""
stop_provider:
  description: Whose RV(stop) is.
  returned: with O(state=failed)
  type: str
  sample: ""
attempt:
  description: The attempt that has failed, as in RV(attempts).
  returned: with O(state=failed)
  type: dict
  sample: {rental: "27011234", stage: driver, blame: machine, cost_usd: 0.0213}
ledger:
  description: The ledger with what the rental requests of the attempt have cost by themselves.
  returned: with O(state=failed)
  type: dict
  sample: {requests_sent: 1, spent_usd: 0.0}
cost_usd:
  description: What the rental has cost so far.
  returned: with O(state=served)
  type: float
  sample: 0.0084
"""
