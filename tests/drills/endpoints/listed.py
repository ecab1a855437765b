# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of endpoint drills: what is missing is counted against it."""

from __future__ import annotations

from typing import NamedTuple


class Listed(NamedTuple):
    """One drill: its name, and what it shows."""

    name: str
    shows: str


#: In this order.
LISTED = (
    Listed("served-and-named", "the first server answers, and the answer names it"),
    Listed("asked-twice", "a second run of the gateway's play changes nothing"),
    Listed("no-route-without-a-key", "no route answers without a key, nor to another user there"),
    Listed("streamed-as-direct", "200 tokens come as they come from the server itself"),
    Listed("body-too-large", "a body of 2 MiB is refused with what to change"),
    Listed("slow-clients", "a hundred clients that send slowly keep nobody out"),
    Listed("keys-changed-under-load", "keys change and no request fails"),
    Listed("engine-full", "what a full engine cannot take goes to the fallback"),
    Listed("engine-frozen", "new requests leave a frozen engine within 2 s; streams survive 5 s"),
    Listed("engine-killed", "only what was in flight is lost, and it comes back by itself"),
    Listed("tunnel-cut", "a tunnel that is cut heals, and nobody is sent away meanwhile"),
    Listed("host-away", "a host that is gone without a word costs seconds, and is taken back"),
    Listed("all-away", "with every server away clients are told so, and served again after"),
    Listed("port-taken", "a port that somebody has is named, and the gateway stays as it was"),
    Listed("server-unknown", "a server that is not there leaves the gateway as it is"),
    Listed("gateway-restarted", "the gateway's machine comes back, one play serves again"),
    Listed("taken-away", "nothing of a gateway that is taken away is left"),
)
