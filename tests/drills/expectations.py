# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each step should make of a fault that is alone: it is told apart from what is merely feared.

What is not named here should end well. ``failure`` is one that explains itself, and ``either`` is
one of both. Any other word is the stage at which the host is given up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.simulator.dialect import Dialect

#: What a provider says of itself: the attributes of its class in the product.
Can = Mapping[str, Any]
OK, FAILURE, EITHER = "ok", "failure", "either"

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
}


#: What is so instead at a provider that cannot do this, has no such feature, or never shows it.
WITHOUT: dict[str, dict[str, dict[str, str]]] = {
    "attaches_keys": {
        # Nobody writes anything while a host is waited for, and nothing lets a key in again.
        "key-reads-only": {"ready": OK, "later": OK},
        "keys-lost-hours-later": {"later": "login"},
        # Keys are registered first: a rental request is among the calls that are refused, or not.
        "key-revoked-midway": {"rent": EITHER, "extend": EITHER},
    },
    "exited": {
        # What has gone down is shown as running, and lets nobody in.
        "outbid-at-once": {"ready": "ssh", "later": "ssh"},
        "dies-later": {"later": "ssh"},
    },
    "can_stop": {
        # What has stopped may show no price, so that no limit holds: it is given up at once.
        "outbid-at-once": {"ready": EITHER, "later": EITHER},
        "boot-ends-exited": {"ready": EITHER, "later": EITHER},
    },
    "blind changes": {
        "read-says-gone-once": {"extend": EITHER},
        "read-empty-object": {"extend": EITHER},
        "read-answered-by-a-page": {"extend": EITHER},
        "outage": {"extend": EITHER},
        "network-gone-for-a-while": {"extend": EITHER},
    },
    # Other calls are met before those that matter.
    "plain key": {
        "outage": {"rent": EITHER},
        "network-gone-for-a-while": {"rent": EITHER},
        "clock-behind-once": {"reap": EITHER},
    },
    # It may have lost what it has made, as whatever else it had.
    "forgets": {"create-phantom": REFUSED},
    "new statuses": {"list-unknown-status": {"again": EITHER}},
    # A deadline moves at once where what is charged is not what the offer said.
    "exact prices": {"read-refused-for-a-bad-key": {"rent": EITHER}},
    "overlap": {"list-shows-a-row-twice": failing(*READING)},
    # One of two clocks is wrong, and nobody can know which: there is no other answer.
    "tells_charges": {"clock-behind-once": failing("reap")},
}


def expected(fault: str, step: str, can: Can, dialect: Dialect) -> str:
    """What one step should make of one fault at a provider that *can* do this, in its market."""
    if step == "extend" and not can["can_change_mark"]:
        return FAILURE
    told = EXPECTED.get(fault, {}).get(step, OK)
    for capability, others in WITHOUT.items():
        has = can.get(capability, capability in (*dialect.features, *dialect.shows))
        if not has and step in others.get(fault, {}):
            told = others[fault][step]
            break
    # Past its deadline it may be gone already, and nothing is left to fail at.
    ended = step == "reap" and can["enforces_deadline"] == "provider"
    return EITHER if ended and told == FAILURE else told
