# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real plays over two marketplaces: where the first has no capacity, the second rents.

Its host is a machine that lets in a plain user and turns root away. No server is put on it here;
`make markets` does that.
"""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.drills.controller import rent_playbook
from tests.hanging import HANGS_AFTER_SECONDS
from tests.markets import rented
from tests.markets.places import MOST_SECONDS
from tests.markets.site import Site
from tests.simulator.app import machines_of
from tests.simulator.hosts import ROOT
from tests.simulator.ways import ADDRESS


def ssh(site: Site, user: str, command: str) -> subprocess.CompletedProcess[str]:
    """A login at the only host of the second market with the key that it was rented with."""
    controller = site.markets[1]
    (rental,) = controller.rentals()
    options = ["StrictHostKeyChecking=accept-new", "UserKnownHostsFile=/dev/null", "BatchMode=yes"]
    words = ["-F", "none", "-i", controller.variables()["inferops_ssh_private_key_file"]]
    words += [f"-o{option}" for option in options]
    words += ["-p", str(rental["ports"]["22/tcp"]), f"{user}@{ADDRESS}", command]
    return subprocess.run(
        ["ssh", *words], capture_output=True, text=True, timeout=HANGS_AFTER_SECONDS, check=False
    )


@pytest.mark.long
def test_a_rental_that_begins_at_a_market_without_capacity_ends_at_another() -> None:
    (user, *_others) = machines_of(rented.SECOND).users
    with rented.at_several(user, time.monotonic() + MOST_SECONDS, engine=False) as site:
        run = site.play(rent_playbook(site.markets[0].folder))
        assert run.status == 0, run.output[-5000:]
        assert site.container().endswith(f"-{site.markets[1].rentals()[0]['id']}")
        assert ssh(site, user, "sudo -n id -un").stdout == "root\n"
        refused = ssh(site, ROOT, "id -un")
        assert refused.returncode == 142
        assert "root\n" not in refused.stdout
        # It brings no host key along: the one that was seen first is pinned, where each run looks.
        pinned = [path.name for path in (site.markets[0].folder / "c" / "known_hosts").iterdir()]
        assert pinned
        assert not [name for name in pinned if name.endswith(".derived")]
        down = site.play("teardown")
        assert down.status == 0, down.output[-5000:]
        assert "Released and proven gone" in down.message()
        assert site.left() == []
