# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each step should make of a fault that is alone: it is told apart from what is merely feared.

What is not named here should end well. ``failure`` is one that explains itself. Any other word is
the stage at which the host is given up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: What a provider says of itself: the attributes of its class in the product.
Can = Mapping[str, Any]
OK, FAILURE = "ok", "failure"

#: The steps that read the account's rentals, and those that prove that something is gone.
READING = ("rent", "again", "inventory", "look", "extend", "release", "reap")
PROVING = ("release", "reap")


def failing(*steps: str) -> dict[str, str]:
    """Failures of these steps."""
    return dict.fromkeys(steps, FAILURE)


def given_up(stage: str) -> dict[str, str]:
    """A host that is given up at this stage, whenever somebody waits for it."""
    return {"ready": stage, "later": stage}


NO_KEY = failing(*READING, "ready", "later")
#: Nobody can know whether a rental request without an answer was done: nothing else may be rented.
UNCLEAR = failing("rent")
REFUSED = failing("rent")

EXPECTED: dict[str, dict[str, str]] = {
    "search-without-list": REFUSED,
    "create-lost": UNCLEAR,
    "create-unavailable": UNCLEAR,
    "create-answered-by-a-page": UNCLEAR,
    "lost-and-visible-minutes-later": UNCLEAR,
    "outage": UNCLEAR,
    "network-gone-for-a-while": UNCLEAR,
    "create-invalid": REFUSED,
    "create-refused-for-a-bad-key": REFUSED,
    "create-always-too-frequent": REFUSED,
    "no-credit": REFUSED,
    # As often as a list is asked for, none of them can be believed.
    "list-empty-string": failing(*READING),
    "list-deprecated": failing(*READING),
    "list-withdrawn": failing(*READING),
    "key-revoked": NO_KEY,
    "key-revoked-401": NO_KEY,
    "key-revoked-lists-empty": NO_KEY,
    "session-expired": NO_KEY,
    "key-reads-only": failing("rent", "ready", "later", "extend", *PROVING),
    # Without that right, nothing tells a key that works from one that was revoked.
    "key-cannot-see-its-user": failing(*PROVING),
    "key-revoked-midway": failing(*PROVING),
    "read-refused-for-a-bad-key": failing("ready", "later", "extend", *PROVING),
    "destroy-refused-for-a-bad-key": failing(*PROVING),
    "destroy-never-works": failing(*PROVING),
    "boot-never-ends": given_up("boot"),
    "boot-container-fails": given_up("boot"),
    "boot-ends-exited": given_up("boot"),
    # A later deploy starts what was stopped.
    "outbid-at-once": {"ready": "boot"},
    "dies-later": {"later": "boot"},
    "heartbeat-lost-later": {"later": "boot"},
    "ssh-refused": given_up("ssh"),
    "ssh-black-hole": given_up("ssh"),
    # Nobody but the provider is to blame, and no other machine would help.
    "key-attach-never-works": given_up("login"),
    "address-reused": {"later": "ssh"},
    "container-recreated-later": {"later": "ssh"},
    "driver-older-than-advertised": {"verify": "driver"},
    "memory-less-than-advertised": {"verify": "vram_gib"},
    "disk-smaller-than-paid": {"verify": "disk_gib"},
    "module-killed-after-create": failing("rent"),
    "module-killed-after-destroy": failing(*PROVING),
    "task-times-out": failing("rent", "ready", "later", "again", "look", "extend", *PROVING),
    "label-change-forgotten": failing("extend"),
    # One of two clocks is wrong, and nobody can know which.
    "clock-behind-once": failing("reap"),
}


def expected(fault: str, step: str, can: Can) -> str:
    """What one step should make of one fault at a provider that *can* do this."""
    return EXPECTED.get(fault, {}).get(step, OK)
