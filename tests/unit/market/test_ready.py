# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""rental_ready as a task: real Ansible, the simulated marketplace, SSH on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.access.host_keys import derive
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark, Seal
from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator.app import Simulator
from tests.simulator.hosts import HostSpec, PretendHosts
from tests.simulator.market import ACCOUNT_KEY, Traits
from tests.simulator.market import Market as SimulatedMarket
from tests.simulator.ways import DIRECT, PROXY, PROXY_ADDRESS
from tests.unit.market.ssh_host import SshHost, as_paramiko, write_key_pair

ROOT = Path(__file__).parents[3]
ANSIBLE = Path(sys.executable).parent / "ansible"
SECRET = "the secret of the scope"
MARK = Seal(SECRET).put_on(Mark("prod", "gpu-1", "9f2c41aa", 1795312800, 86400))
DELIVERED, REPLACED = (derive(SECRET, MARK, generation) for generation in (1, 2))


class SshHosts(PretendHosts):
    """Pretended hosts whose SSH is the one of the test."""

    def __init__(self, ssh: SshHost) -> None:
        super().__init__()
        self.ssh = ssh

    def launch(self, spec: HostSpec) -> dict[str, int]:
        return {**super().launch(spec), "22/tcp": self.ssh.endpoint.port}


class Controller:
    """Runs the task as a play does, and returns its output and its result."""

    def __init__(self, folder: Path, ssh: SshHost) -> None:
        self.folder = folder
        self.market = SimulatedMarket(SshHosts(ssh))
        self.market.boot_seconds = 0
        self.simulator = Simulator(self.market)
        self.key_file = write_key_pair(derive("user", MARK, generation=1), folder)
        self.known_hosts = folder / "known_hosts"

    def rent(self, label: str = MARK.encode(), **traits: Any) -> str:
        """A rental past all rules of ours; returns its id."""
        offer, wish = self.market.search()[0]["id"], {"label": label, "image": "any"}
        rental = self.market.create(offer, wish, Traits(boot_seconds=0, **traits))
        return str(rental.id)

    def ready(self, *flags: str, **options: Any) -> tuple[str, dict[str, Any]]:
        task = {
            "api_url": self.simulator.url,
            "api_key": ACCOUNT_KEY,
            "controller_dir": str(self.folder / "controller"),
            "scope_secret": SECRET,
            "ssh_private_key_file": str(self.key_file),
            "known_hosts_file": str(self.known_hosts),
            "timeout_seconds": 20,
            **options,
        }
        command = [str(ANSIBLE), "localhost", "-m", "inferops.gpu.rental_ready", *flags]
        settings = {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
        done = subprocess.run(
            [*command, "-a", json.dumps(task)],
            cwd=ROOT,
            env={**os.environ, **settings, "ANSIBLE_HOME": str(self.folder / "ansible")},
            capture_output=True,
            text=True,
            timeout=HANGS_AFTER_SECONDS,
            check=False,
        )
        assert " => " in done.stdout, done.stdout + done.stderr
        result: dict[str, Any] = json.loads(done.stdout.partition(" => ")[2])
        return done.stdout + done.stderr, result


@pytest.fixture
def ssh() -> Iterator[SshHost]:
    with SshHost(as_paramiko(DELIVERED.private)) as host:
        yield host


@pytest.fixture
def controller(tmp_path: Path, ssh: SshHost) -> Iterator[Controller]:
    made = Controller(tmp_path, ssh)
    yield made
    made.simulator.close()


def test_a_host_is_ready_with_a_key_that_the_marketplace_has_never_seen(
    controller: Controller, ssh: SshHost
) -> None:
    output, result = controller.ready(id=controller.rent(), nonce=MARK.nonce)
    assert result["ssh"] == {"user": "root", "host": "127.0.0.1", "port": ssh.endpoint.port}
    assert result["host_key"] == REPLACED.public
    assert result["brings_host_key"] is True
    line = f"[127.0.0.1]:{ssh.endpoint.port} {REPLACED.public}"
    assert line in result["known_hosts"]
    assert line in controller.known_hosts.read_text()
    assert result["rental"]["status"] == "running"
    assert set(result["seconds"]) == {"running", "ssh"}
    assert "localhost: replacing the host key that came with the rental request" in output
    assert SECRET not in output


def test_the_first_host_key_is_believed_by_no_other_run(
    controller: Controller, ssh: SshHost
) -> None:
    for others in ({}, {"nonce": "00000000"}):
        result = controller.ready(id=controller.rent(), timeout_seconds=3, **others)[1]
        assert "first host key" in result["failure"]["cause"]
    # No key of ours, and above all not the next host key, went to whoever showed it.
    assert ssh.commands == []
    assert not controller.known_hosts.exists()


@pytest.mark.parametrize("beside", ["", "ssh-ed25519 AAAAC3Nz0000 left@another\n"])
def test_a_host_is_given_the_public_half_of_the_private_key_whatever_lies_beside_that(
    controller: Controller, beside: str
) -> None:
    """AWX gives a private key alone, and the file beside it may be left of another one."""
    public = controller.key_file.with_suffix(".pub")
    ours = public.read_text().split()[1]
    public.unlink()
    if beside:
        public.write_text(beside)
    rental_id = controller.rent()
    result = controller.ready(id=rental_id, nonce=MARK.nonce)[1]
    assert result.get("host_key") == REPLACED.public, result
    attached = controller.market.rentals[int(rental_id)].keys.values()
    assert [key.split()[1] for key in attached] == [ours]


@pytest.mark.long
@pytest.mark.parametrize("dead", [DIRECT, PROXY])
def test_a_host_is_reached_by_the_way_that_works_while_the_other_is_dead(
    controller: Controller, ssh: SshHost, dead: str
) -> None:
    rental_id = controller.rent(never_ssh=dead)
    result = controller.ready(id=rental_id, nonce=MARK.nonce)[1]
    proxy = (PROXY_ADDRESS, controller.market.rentals[int(rental_id)].proxy_port)
    host, port = proxy if dead == DIRECT else ("127.0.0.1", ssh.endpoint.port)
    assert result["ssh"] == {"user": "root", "host": host, "port": port}
    assert f"[{host}]:{port} {REPLACED.public}" in controller.known_hosts.read_text()


def test_a_controller_that_is_ahead_believes_the_first_key_of_its_own_rental(
    controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFEROPS_CLOCK", f"{time.time() + 7200} {time.time()} 1")
    result = controller.ready(id=controller.rent(), nonce=MARK.nonce)[1]
    assert result["host_key"] == REPLACED.public


def test_first_contact_trusts_whatever_is_shown_when_asked_to(
    controller: Controller, ssh: SshHost
) -> None:
    result = controller.ready(id=controller.rent(), host_keys="first_contact")[1]
    assert result["host_key"] == DELIVERED.public
    assert [stdin for _command, stdin in ssh.commands] == [""]


@pytest.mark.long
def test_a_host_that_is_to_blame_is_told_as_data(controller: Controller, ssh: SshHost) -> None:
    ssh.host_key = as_paramiko(derive("a stranger's", MARK, 2).private)
    output, result = controller.ready(id=controller.rent(), timeout_seconds=2)
    assert "FAILED!" in output
    failure = result["failure"]
    assert (failure["kind"], failure["stage"]) == ("HostFault", "ssh")
    assert "failed at host key" in failure["cause"]
    assert "dollars an hour" in failure["money"]
    for part in ("cause", "remedy", "money"):
        assert failure[part] in result["msg"]


@pytest.mark.long
def test_the_log_of_a_host_that_lets_nobody_in_is_told(
    controller: Controller, ssh: SshHost
) -> None:
    ssh.host_key = as_paramiko(derive("a stranger's", MARK, 2).private)
    rental_id = controller.rent()
    output, result = controller.ready(id=rental_id, timeout_seconds=2)
    assert f"reading the log of rental {rental_id}" in output
    assert result["failure"]["stage"] == "ssh"
    assert f"rental {rental_id} was started" in result["log"]
    assert result["log_missing"] == ""


@pytest.mark.long
def test_a_log_that_nobody_gets_changes_no_word_of_the_failure(
    controller: Controller, ssh: SshHost
) -> None:
    ssh.host_key = as_paramiko(derive("a stranger's", MARK, 2).private)
    fault = {"kind": "reply", "path": "/request_logs/", "status": 500, "body": "down", "times": 9}
    controller.simulator.control.plan_faults([fault])
    _output, result = controller.ready(id=controller.rent(), timeout_seconds=2)
    assert (result["failure"]["kind"], result["failure"]["stage"]) == ("HostFault", "ssh")
    assert result["log"] == []
    assert "down" in result["log_missing"]


def test_a_label_that_is_no_mark_leaves_the_host_key_unknown(controller: Controller) -> None:
    output, result = controller.ready(id=controller.rent(label="renamed by hand"))
    assert "FAILED!" in output
    assert "is not a mark of this collection" in result["msg"]
    assert "first_contact" in result["failure"]["remedy"]


def test_check_mode_waits_for_nothing(controller: Controller, ssh: SshHost) -> None:
    result = controller.ready("--check", id=controller.rent())[1]
    assert not result["changed"]
    assert result["rental"]["id"]
    assert ssh.commands == []


def test_check_mode_tells_the_host_key_that_is_pinned_otherwise(
    controller: Controller, ssh: SshHost
) -> None:
    rental_id = controller.rent()
    result = controller.ready("--check", id=rental_id)[1]
    assert f"[127.0.0.1]:{ssh.endpoint.port} {REPLACED.public}" in result["known_hosts"]
    assert isinstance(result["remaining_seconds"], int)
    trusting = controller.ready("--check", id=rental_id, host_keys="first_contact")[1]
    assert trusting["known_hosts"] == []


def reach(controller: Controller, tmp_path: Path, secret: str = SECRET) -> tuple[str, str]:
    """What a fresh Ansible says that knows nothing but the inventory, and the inventory's file."""
    inventory = {
        "plugin": "inferops.gpu.rentals",
        "scope": MARK.scope,
        "scope_secret": secret,
        "api_url": controller.simulator.url,
        "controller_dir": str(tmp_path / "fresh"),
        "ssh_private_key_file": str(controller.key_file),
    }
    fleet = tmp_path / "fleet.rentals.yml"
    fleet.write_text(json.dumps(inventory))
    done = subprocess.run(
        [ANSIBLE, "-i", fleet, "gpu-1", "-m", "ansible.builtin.raw", "-a", "true"],
        cwd=ROOT,
        env={
            **os.environ,
            "VAST_API_KEY": ACCOUNT_KEY,
            "ANSIBLE_HOME": str(tmp_path / "ansible"),
            "ANSIBLE_SSH_ARGS": "-o ControlMaster=no -n",
            "ANSIBLE_SSH_USETTY": "False",
            "ANSIBLE_HOST_KEY_CHECKING": "False",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER_SECONDS,
        check=False,
    )
    (known,) = (tmp_path / "fresh" / "known_hosts").iterdir()
    assert known.stat().st_mode & 0o777 == 0o600
    return done.stdout + done.stderr, known.read_text()


def test_a_fresh_ansible_reaches_a_rental_by_the_inventory_alone(
    controller: Controller, ssh: SshHost, tmp_path: Path
) -> None:
    controller.rent()
    ssh.host_key = as_paramiko(REPLACED.private)
    output, known = reach(controller, tmp_path)
    assert "gpu-1 | CHANGED | rc=0" in output
    assert [command for command, _stdin in ssh.commands] == ["true"]
    assert f"[127.0.0.1]:{ssh.endpoint.port} {REPLACED.public}\n" in known


def test_the_inventory_lets_no_stranger_take_the_place_of_a_rental(
    controller: Controller, ssh: SshHost, tmp_path: Path
) -> None:
    controller.rent()
    ssh.host_key = as_paramiko(derive("a stranger's", MARK, 2).private)
    output, _known = reach(controller, tmp_path)
    assert "UNREACHABLE" in output
    assert "Host key verification failed" in output
    assert ssh.commands == []
