# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What travels with the create works in a real host: it ends by itself, and shows our host key."""

from __future__ import annotations

import json
import math
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.access.host_keys import (
    derive,
    known_hosts_lines,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.access.start_script import FOLDER
from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark, Seal
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import (
    RUNNING,
    STOPPED,
    Endpoint,
    HostKey,
    Order,
    Rental,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.pace import Pace
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.vastai import VastAI
from ansible_collections.inferops.gpu.plugins.module_utils.market.wish import Wish
from tests.hanging import HANGS_AFTER_SECONDS
from tests.integration.test_simulator_host import Market
from tests.rig import image
from tests.rig.podman import podman
from tests.simulator import daemon
from tests.simulator.hosts import container_name, container_names
from tests.simulator.market import ACCOUNT_KEY

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
ANSIBLE = {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
SECRET = "the secret of the scope"
#: A server's process tree as the launcher makes it: marked, in a session of its own.
SERVER_TREE = (
    "INFEROPS_SERVER=main setsid sh -c 'sleep 600 & echo $$ >/tmp/server; wait' >&- 2>&- &"
)


class Fleet:
    """Rentals of one simulated market, made as role rent makes them."""

    def __init__(self, market: Market) -> None:
        self.market = market
        clock = Clock()
        self.provider = VastAI({"api_key": ACCOUNT_KEY}, market.url, Pace(None, {}, clock), clock)
        self.public_key = market.key.with_suffix(".pub").read_text().strip()
        self.offers = self.provider.search(Wish())

    def create(self, lifetime_seconds: int) -> Rental:
        """Send a rental request with everything that travels along, and nothing else."""
        now = int(time.time())
        nonce = secrets.token_hex(4)
        bare = Mark("test", "gpu-1", nonce, now + lifetime_seconds, lifetime_seconds)
        mark = Seal(SECRET).put_on(bare)
        host_key = derive(SECRET, mark, generation=1)
        order = Order(mark, "any/image", 20, self.public_key, now, host_key)
        rental_id = self.provider.rent(self.offers.pop(), order)
        rental = self.provider.get(rental_id)
        assert rental
        return rental

    def wait_for(self, status: str, rental: Rental) -> Rental:
        """The rental in this status."""

        def look() -> bool:
            found = self.provider.get(rental.id)
            return found is not None and found.status == status

        assert daemon.wait(look, HANGS_AFTER_SECONDS), f"{rental.id} is never {status}"
        found = self.provider.get(rental.id)
        assert found
        return found

    def restart(self, rental: Rental) -> None:
        """Stop the container and start it again, as a provider does."""
        for state, status in (("stopped", STOPPED), ("running", RUNNING)):
            self.market.call("PUT", f"/api/v0/instances/{rental.id}/", {"state": state})
            self.wait_for(status, rental)

    def bills(self, rental: Rental) -> bool:
        """Whether the market still knows it, in truth."""
        rentals = self.market.call("GET", "/simulator/state")["rentals"]
        return any(str(one["id"]) == rental.id for one in rentals)

    def ends(self, rental: Rental, deadline: float = 0.0) -> None:
        """See it billing until its deadline, and gone with its container soon after."""
        assert rental.mark
        deadline = deadline or rental.mark.deadline
        while time.time() < deadline - 1:
            assert self.bills(rental), f"{rental.id} ended before its deadline"
            time.sleep(0.5)
        assert daemon.wait(lambda: not self.bills(rental), HANGS_AFTER_SECONDS), "it still bills"
        name = self.container(rental)
        assert daemon.wait(
            lambda: name not in container_names(self.market.instance.name), HANGS_AFTER_SECONDS
        )

    def container(self, rental: Rental) -> str:
        return container_name(self.market.instance.name, rental.id)

    def inside(self, rental: Rental, command: str) -> str:
        """What a command prints that nobody's SSH carries into the host."""
        return podman("exec", self.container(rental), "sh", "-c", command).stdout.strip()

    def wait_for_switch(self, rental: Rental) -> None:
        """Until the start script is through."""
        ready = f"test -s {FOLDER}/pid && echo yes"
        assert daemon.wait(
            lambda: self.inside(rental, f"{ready} || true") == "yes", HANGS_AFTER_SECONDS
        )

    def ansible(self, *arguments: str) -> dict[str, Any]:
        """The result of one task."""
        done = subprocess.run(
            [str(BIN / "ansible"), *arguments],
            cwd=ROOT,
            env={**os.environ, **ANSIBLE, "ANSIBLE_HOME": str(self.market.key.parent)},
            capture_output=True,
            text=True,
            timeout=HANGS_AFTER_SECONDS,
            check=False,
        )
        assert " => " in done.stdout, done.stdout + done.stderr
        result: dict[str, Any] = json.loads(done.stdout.partition(" => ")[2])
        return result

    def switch(self, rental: Rental, **options: Any) -> dict[str, Any]:
        """Run module deadline_switch on the host, over SSH."""
        assert daemon.wait(
            lambda: self.ssh(rental, self.key(rental, 1)).returncode == 0, HANGS_AFTER_SECONDS
        )
        way = self.way(rental)
        connection = {
            "ansible_port": way.port,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.market.key),
            "ansible_ssh_common_args": f"-F none -o UserKnownHostsFile={self.market.key}.hosts",
        }
        arguments = ["all", "-i", f"{way.host},", "-e", json.dumps(connection)]
        arguments += ["-m", "inferops.gpu.deadline_switch", "-a", json.dumps(options)]
        return self.ansible(*arguments)

    def ready(self, rental: Rental) -> dict[str, Any]:
        """Run module rental_ready on the controller."""
        options = {
            "api_url": self.market.url,
            "api_key": ACCOUNT_KEY,
            "controller_dir": str(self.market.key.parent / "controller"),
            "id": rental.id,
            "scope_secret": SECRET,
            "ssh_private_key_file": str(self.market.key),
            "known_hosts_file": f"{self.market.key}.{rental.id}",
            "nonce": rental.mark.nonce if rental.mark else "",
        }
        arguments = ["localhost", "-m", "inferops.gpu.rental_ready", "-a", json.dumps(options)]
        return self.ansible(*arguments)

    def key(self, rental: Rental, generation: int) -> HostKey:
        assert rental.mark
        return derive(SECRET, rental.mark, generation)

    def way(self, rental: Rental) -> Endpoint:
        return self.wait_for(RUNNING, rental).ssh[0]

    def ssh(self, rental: Rental, host_key: HostKey) -> subprocess.CompletedProcess[str]:
        """Log in with OpenSSH, which believes this host key alone."""
        way = self.way(rental)
        known = Path(f"{self.market.key}.hosts")
        known.write_text("\n".join(known_hosts_lines([way], host_key.public)) + "\n")
        options = ["BatchMode=yes", "StrictHostKeyChecking=yes", f"UserKnownHostsFile={known}"]
        options += ["ConnectTimeout=10", "IdentitiesOnly=yes", f"Port={way.port}"]
        command = ["ssh", "-F", "none", "-i", str(self.market.key)]
        command += [f"-o{option}" for option in options]
        return subprocess.run(
            [*command, f"root@{way.host}", "true"],
            capture_output=True,
            text=True,
            timeout=HANGS_AFTER_SECONDS,
            check=False,
        )


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    image.ensure()
    market = Market(tmp_path_factory.mktemp("simulator"))
    yield Fleet(market)
    daemon.stop(market.instance)


@pytest.fixture(scope="module")
def lifetime_seconds(fleet: Fleet) -> int:
    """Long enough for what the tests do with a host meanwhile: one shows how long that takes here.

    Nothing but its end tells that a host ends by itself, so it has to be waited for.
    """
    began = time.monotonic()
    rental = fleet.create(lifetime_seconds=3600)
    fleet.wait_for(RUNNING, rental)
    fleet.wait_for_switch(rental)
    fleet.restart(rental)
    fleet.wait_for_switch(rental)
    fleet.provider.release(rental.id)
    return 20 + 4 * math.ceil(time.monotonic() - began)


class Doomed(NamedTuple):
    """Hosts whose controller never comes back, and what happened to them meanwhile."""

    untouched: Rental
    restarted: Rental
    damaged: Rental


@pytest.fixture(scope="module")
def doomed(fleet: Fleet, lifetime_seconds: int) -> Doomed:
    hosts = Doomed(*(fleet.create(lifetime_seconds) for _host in Doomed._fields))
    for host in (hosts.restarted, hosts.damaged):
        fleet.wait_for(RUNNING, host)
        fleet.wait_for_switch(host)
    fleet.inside(hosts.damaged, f"echo 99999999999999999999 >{FOLDER}/deadline")
    fleet.restart(hosts.restarted)
    return hosts


def test_a_host_that_nobody_ever_connects_to_ends_itself(fleet: Fleet, doomed: Doomed) -> None:
    fleet.ends(doomed.untouched)


def test_a_host_that_was_stopped_and_started_again_ends_itself(
    fleet: Fleet, doomed: Doomed
) -> None:
    fleet.ends(doomed.restarted)


def test_a_host_whose_deadline_was_damaged_ends_itself_at_the_original_one(
    fleet: Fleet, doomed: Doomed
) -> None:
    fleet.ends(doomed.damaged)


@pytest.mark.long
def test_an_extension_outlives_restarts_of_host_and_server_and_ends_in_its_turn(
    fleet: Fleet, lifetime_seconds: int
) -> None:
    original = time.time() + lifetime_seconds
    rental = fleet.create(lifetime_seconds)
    fleet.wait_for(RUNNING, rental)
    moved = fleet.switch(rental, remaining_seconds=3600)
    assert (moved["changed"], moved["armed"], moved["enforced_by"]) == (True, True, "host")
    assert not fleet.switch(rental, remaining_seconds=3600)["changed"]
    fleet.restart(rental)
    fleet.wait_for_switch(rental)
    fleet.inside(rental, SERVER_TREE)
    fleet.inside(rental, "sleep 0.5; kill -9 -$(cat /tmp/server)")
    time.sleep(max(0.0, original + 6 - time.time()))
    found = fleet.switch(rental, state="read")
    assert (found["changed"], found["armed"]) == (False, True)
    last = fleet.switch(rental, remaining_seconds=10)
    assert last["changed"]
    fleet.ends(rental, last["deadline"])


def test_a_switch_that_was_killed_is_seen_and_armed_again(fleet: Fleet) -> None:
    rental = fleet.create(lifetime_seconds=3600)
    fleet.wait_for(RUNNING, rental)
    before = fleet.switch(rental, state="read")
    assert before["armed"]
    fleet.inside(rental, f"kill -9 {before['pid']}")
    dead = fleet.switch(rental, state="read")
    assert (dead["armed"], dead["enforced_by"]) == (False, "nobody")
    assert "does not run" in dead["problem"]
    again = fleet.switch(rental, state="armed")
    assert (again["changed"], again["armed"]) == (True, True)
    # By the provider's clock, which tells whole seconds, and whose answer may take some.
    assert again["deadline"] == pytest.approx(before["deadline"], abs=60)
    fleet.provider.release(rental.id)


def test_a_host_shows_the_delivered_key_and_after_the_first_contact_only_its_successor(
    fleet: Fleet,
) -> None:
    rental = fleet.create(lifetime_seconds=3600)
    delivered, replaced = fleet.key(rental, 1), fleet.key(rental, 2)
    fleet.provider.attach_key(rental.id, fleet.public_key)
    assert daemon.wait(lambda: fleet.ssh(rental, delivered).returncode == 0, HANGS_AFTER_SECONDS)
    result = fleet.ready(rental)
    assert result["host_key"] == replaced.public
    assert fleet.ssh(rental, replaced).returncode == 0
    assert "Host key verification failed" in fleet.ssh(rental, delivered).stderr
    fleet.restart(rental)
    assert daemon.wait(lambda: fleet.ssh(rental, replaced).returncode == 0, HANGS_AFTER_SECONDS)
    fleet.provider.release(rental.id)
