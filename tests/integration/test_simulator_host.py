# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rental of the simulator is a real machine: container, sshd, keys, and nothing left after it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.hanging import HANGS_AFTER_SECONDS
from tests.rig import image
from tests.simulator import daemon
from tests.simulator.hosts import container_name, container_names
from tests.simulator.market import ACCOUNT_KEY


class Market:
    """One simulator process with real containers, and a client of it."""

    def __init__(self, folder: Path) -> None:
        self.instance = daemon.Instance(f"test-host-{uuid.uuid4().hex[:8]}", folder)
        self.url = daemon.start(self.instance, 0, 0, True)["url"]
        self.call("POST", "/simulator/settings", {"boot_seconds": 1})
        self.key = folder / "key"
        make_key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)]
        subprocess.run(make_key, check=True, timeout=HANGS_AFTER_SECONDS)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {ACCOUNT_KEY}"}
        answer = requests.request(
            method, self.url + path, json=body, headers=headers, timeout=HANGS_AFTER_SECONDS
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    @contextmanager
    def rented(self, **wish: Any) -> Iterator[dict[str, Any]]:
        """Rent the best offer until the block ends; gives the row of the running instance."""
        row = self.rent(**wish)
        try:
            yield row
        finally:
            self.call("DELETE", f"/api/v0/instances/{row['id']}/", {})

    def rent(self, **wish: Any) -> dict[str, Any]:
        """Rent the best offer and wait until it runs."""
        offer = self.call("POST", "/api/v0/bundles/", {"limit": 1})["offers"][0]["id"]
        body = {"image": "any/image", "disk": 20} | wish
        number = self.call("PUT", f"/api/v0/asks/{offer}/", body)["new_contract"]
        limit = time.monotonic() + HANGS_AFTER_SECONDS
        while time.monotonic() < limit:
            row: dict[str, Any] = self.call("GET", f"/api/v0/instances/{number}/")["instances"]
            if row["actual_status"] == "running":
                return row
            time.sleep(0.2)
        pytest.fail(f"the rental never ran: {row}")

    def attach(self, row: dict[str, Any]) -> None:
        """Let our key in."""
        public = self.key.with_suffix(".pub").read_text()
        self.call("POST", f"/api/v0/instances/{row['id']}/ssh/", {"ssh_key": public})

    def log_in(self, row: dict[str, Any]) -> None:
        """Let our key in and wait for sshd, which may come later than the status says."""
        self.attach(row)
        assert daemon.wait(lambda: self.ssh(row, "true").returncode == 0, HANGS_AFTER_SECONDS)

    def ssh(self, row: dict[str, Any], command: str) -> subprocess.CompletedProcess[str]:
        port = row["ports"]["22/tcp"][0]["HostPort"]
        options = [
            "BatchMode=yes",
            "StrictHostKeyChecking=accept-new",
            f"UserKnownHostsFile={self.key}.hosts",
        ]
        options += ["LogLevel=ERROR", "ConnectTimeout=10", "IdentitiesOnly=yes", f"Port={port}"]
        command_line = ["ssh", "-F", "none", "-i", str(self.key)]
        command_line += [f"-o{option}" for option in options]
        command_line += [f"root@{row['public_ipaddr'].strip()}", command]
        return subprocess.run(
            command_line,
            capture_output=True,
            text=True,
            timeout=HANGS_AFTER_SECONDS,
            check=False,
        )

    def run(self, row: dict[str, Any], command: str) -> str:
        done = self.ssh(row, command)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    image.ensure()
    market = Market(tmp_path_factory.mktemp("simulator"))
    yield market
    left = daemon.stop(market.instance)
    assert (left["containers"], left["processes"]) == (0, 0)


def test_only_an_attached_key_gets_in(market: Market) -> None:
    with market.rented() as row:
        assert daemon.wait(
            lambda: "Permission denied" in market.ssh(row, "true").stderr, HANGS_AFTER_SECONDS
        )
        market.attach(row)
        assert market.run(row, "id -un") == "root"


def test_ssh_sees_the_machine_s_variables_but_not_the_container_s(market: Market) -> None:
    with market.rented(env={"A": "b", "-p 8000:8000": "1"}) as row:
        market.log_in(row)
        seen = dict(line.split("=", 1) for line in market.run(row, "env").splitlines())
        assert seen["HF_ENDPOINT"].startswith("http://host.containers.internal:")
        assert not {"A", "CONTAINER_ID", "CONTAINER_API_KEY"} & set(seen)
        first = market.run(row, "tr '\\0' '\\n' </proc/1/environ").splitlines()
        port = row["ports"]["8000/tcp"][0]["HostPort"]
        assert {"A=b", f"CONTAINER_ID={row['id']}", f"VAST_TCP_PORT_8000={port}"} <= set(first)


def test_a_host_reaches_the_hub_shows_its_gpus_and_runs_its_onstart(market: Market) -> None:
    with market.rented(onstart="echo started >/root/proof") as row:
        market.log_in(row)
        url = "os.environ['HF_ENDPOINT'] + '/inferops/tiny-llama/resolve/main/config.json'"
        fetch = f"import os, urllib.request as u; print(u.urlopen({url}).read())"
        assert "LlamaForCausalLM" in market.run(row, f'python3 -c "{fetch}"')
        query = "nvidia-smi --query-gpu=name,driver_version --format=csv,noheader"
        gpus = market.run(row, query).splitlines()
        assert gpus == [f"NVIDIA {row['gpu_name']}, {row['driver_version']}"] * row["num_gpus"]
        assert market.run(row, "cat /root/proof") == "started"


def test_two_hosts_have_different_host_keys(market: Market) -> None:
    with market.rented() as one, market.rented() as other:
        keys = set()
        for row in (one, other):
            market.log_in(row)
            keys.add(market.run(row, "cat /etc/ssh/ssh_host_ed25519_key.pub"))
        assert len(keys) == 2


def test_an_orphan_is_reaped(market: Market) -> None:
    with market.rented() as row:
        market.log_in(row)
        market.run(row, "(setsid sleep 0.1 >/dev/null 2>&1 &)")
        time.sleep(0.3)
        assert "Z" not in market.run(row, "ps -eo stat=")


def test_systemd_runs_where_the_image_asks_for_it(market: Market) -> None:
    with market.rented(image="team/host-systemd:1") as row:
        market.log_in(row)
        assert market.run(row, "systemctl is-system-running --wait") == "running"
        assert market.run(row, "cat /proc/1/comm") == "systemd"


def test_a_host_can_run_and_never_let_ssh_in(market: Market) -> None:
    market.call("POST", "/simulator/faults", [{"kind": "never_ssh"}])
    with market.rented() as row:
        market.attach(row)
        refused = market.ssh(row, "true")
        assert refused.returncode == 255
        assert "Permission denied" not in refused.stderr


def test_destroy_leaves_no_container(market: Market) -> None:
    with market.rented() as row:
        assert container_names(market.instance.name) == [
            container_name(market.instance.name, row["id"])
        ]
        assert daemon.status(market.instance)["containers"] == 1
    assert container_names(market.instance.name) == []


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_stop_removes_the_containers_however_the_process_ended(tmp_path: Path, how: int) -> None:
    image.ensure()
    market = Market(tmp_path)
    market.rent()
    pid = json.loads(market.instance.pid_file.read_text())["pid"]
    os.kill(pid, how)
    assert daemon.wait(lambda: daemon.start_ticks(pid) is None, HANGS_AFTER_SECONDS)
    left = len(container_names(market.instance.name))
    assert left == (1 if how == signal.SIGKILL else 0)
    assert daemon.stop(market.instance)["containers"] == 0


def test_a_start_script_runs_at_every_start_and_knows_the_market(market: Market) -> None:
    with market.rented(onstart="echo $VAST_URL >>/root/proof") as row:
        market.log_in(row)
        url = market.run(row, "cat /root/proof")
        assert url.startswith("http://host.containers.internal:")
        for state in ("stopped", "running"):
            market.call("PUT", f"/api/v0/instances/{row['id']}/", {"state": state})
        assert daemon.wait(
            lambda: market.ssh(row, "cat /root/proof").stdout.split() == [url, url],
            HANGS_AFTER_SECONDS,
        )


def test_a_host_can_destroy_itself_with_its_own_key(market: Market) -> None:
    release = (
        "import os, urllib.request as u; e = os.environ; u.urlopen(u.Request("
        "e['VAST_URL'] + '/api/v0/instances/' + e['CONTAINER_ID'] + '/', method='DELETE',"
        " headers={'Authorization': 'Bearer ' + e['CONTAINER_API_KEY']}))"
    )
    row = market.rent(onstart=f'sleep 4; python3 -c "{release}"')
    path = f"/api/v0/instances/{row['id']}/"
    assert daemon.wait(lambda: market.call("GET", path)["instances"] is None, HANGS_AFTER_SECONDS)
    assert daemon.wait(lambda: container_names(market.instance.name) == [], HANGS_AFTER_SECONDS)


def test_keys_and_host_key_change_when_the_provider_says_so(market: Market) -> None:
    kinds = ("wipe_keys", "host_key_changes")
    faults = [{"kind": kind, "after_seconds": 3600} for kind in kinds]
    market.call("POST", "/simulator/faults", faults)
    with market.rented() as row:
        market.log_in(row)
        market.run(row, "echo added by hand >>/root/.ssh/authorized_keys")
        before = market.run(row, "cat /etc/ssh/ssh_host_ed25519_key.pub")
        market.call("POST", "/simulator/clock", {"advance_seconds": 3600})
        assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in market.ssh(row, "true").stderr
        Path(f"{market.key}.hosts").unlink()
        assert market.run(row, "cat /etc/ssh/ssh_host_ed25519_key.pub") != before
        assert "by hand" not in market.run(row, "cat /root/.ssh/authorized_keys")


def test_a_short_disk_is_short(market: Market) -> None:
    market.call("POST", "/simulator/faults", [{"kind": "lies", "disk_factor": 0.01}])
    with market.rented(disk=100) as row:
        market.log_in(row)
        assert market.run(row, "df -BM --output=size /root/.inferops | tail -1").strip() == "1024M"
        assert row["disk_space"] == 100


def test_an_ssh_port_can_swallow_connections(market: Market) -> None:
    market.call("POST", "/simulator/faults", [{"kind": "black_hole"}])
    with market.rented() as row:
        direct = (row["public_ipaddr"].strip(), row["ports"]["22/tcp"][0]["HostPort"])
        for address, port in (direct, (row["ssh_host"], row["ssh_port"])):
            command = ["ssh-keyscan", "-T", "60", "-p", str(port), address]
            with pytest.raises(subprocess.TimeoutExpired):
                subprocess.run(command, capture_output=True, timeout=3, check=False)
