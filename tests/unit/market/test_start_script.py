# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The start script, run by a real shell in a folder that stands for the host."""

from __future__ import annotations

import base64
import fcntl
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.access.host_keys import derive
from ansible_collections.inferops.gpu.plugins.module_utils.market.access.start_script import (
    FOLDER,
    HOST_KEY_FILE,
    MOST_CHARACTERS,
    PACKED,
    SelfRelease,
    replacement_script,
    start_script,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark, Seal
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import HostKey
from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator import daemon

USER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGk9 user@example"
MARK = Mark("prod", "gpu-1", "9f2c41aa", 0, 0)
HOST_KEY, SUCCESSOR = (derive("secret", MARK, generation) for generation in (1, 2))
API_KEY = "key-of-this-rental-alone"
RELEASE = SelfRelease(
    method="DELETE",
    read_method="GET",
    url="${API_URL:-https://default.example}/instances/$RENTAL_ID/",
    key_variable="RENTAL_KEY",
)
DAY = 86400
#: Writes down how it was called and with what input, and answers what the host's provider shows.
CURL = f"""#!{sys.executable}
import json, os, sys
call = {{"arguments": sys.argv[1:], "stdin": sys.stdin.read()}}
with open(os.environ["CALLS"], "a") as file:
    file.write(json.dumps(call) + "\\n")
if os.path.exists(os.environ["CALLS"] + ".answer"):
    print(open(os.environ["CALLS"] + ".answer").read())
"""


@dataclass
class Host:
    """A folder with the places that the script touches, and tools that write down their calls.

    ``container`` is the environment of the container's first process, ``session`` what the script
    itself sees of it.
    """

    root: Path
    container: dict[str, str] = field(default_factory=dict)
    session: dict[str, str] = field(default_factory=dict)
    user_key: str = USER_KEY

    def __post_init__(self) -> None:
        for folder in ("home", "proc", "bin"):
            (self.root / folder).mkdir()
        self.tool("curl", CURL)

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def host_key(self) -> Path:
        return self.root / "ssh" / Path(HOST_KEY_FILE).name

    def tool(self, name: str, text: str) -> None:
        """Put a program before the system's own."""
        path = self.root / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def start(
        self,
        created_at: float | None = None,
        lifetime_seconds: int = DAY,
        host_key: HostKey | None = None,
        packed: bool = False,
    ) -> None:
        """Start the container: run the script of a rental request at this time."""
        created = int(created_at or time.time())
        deadline = created + lifetime_seconds if lifetime_seconds else 0
        script = start_script(self.user_key, host_key, deadline, RELEASE)
        if packed:
            words = script.split()
            assert words[-7:] == ["|", "base64", "-d", "|", "gzip", "-dc", "|", "sh"][-7:]
            script = gzip.decompress(base64.b64decode(words[2])).decode()
        first = "".join(f"{name}={value}\0" for name, value in self.container.items())
        (self.root / "environ").write_text(first)
        tools = f"{self.root / 'bin'}:{os.environ['PATH']}"
        environment = {"PATH": tools, "CALLS": str(self.root / "calls"), **self.session}
        here = self.here(script)
        if packed:
            here = PACKED.substitute(text=base64.b64encode(gzip.compress(here.encode())).decode())
        subprocess.run(["sh", "-c", here], env=environment, check=True, timeout=HANGS_AFTER_SECONDS)

    def replace_key(self, private: str) -> None:
        """What the controller runs over its first connection; here no sshd can read the key."""
        command = ["sh", "-c", self.here(replacement_script(SUCCESSOR.public))]
        subprocess.run(command, input=private, text=True, check=False, timeout=HANGS_AFTER_SECONDS)

    def here(self, script: str) -> str:
        """The script with the places of this host instead of the real ones."""
        for real, here in (
            (FOLDER, self.state),
            ("~root", self.root / "home"),
            (HOST_KEY_FILE, self.host_key),
            ("/proc/1/environ", self.root / "environ"),
            ("/proc/", f"{self.root}/proc/"),
        ):
            script = script.replace(real, str(here))
        return script

    def switch_pid(self) -> int:
        """The process of the switch, once it runs."""
        assert daemon.wait(lambda: self.text("pid").strip().isdigit(), HANGS_AFTER_SECONDS)
        return int(self.text("pid"))

    def shows(self, deadline: float | None, off_seconds: float = 0.0, label: str = "") -> None:
        """Let the provider's row show a deadline in its mark, and the answer another time."""
        mark = replace(MARK, deadline=int(deadline or 0), lifetime_seconds=DAY, created_at=1)
        row = {"instances": {"id": 4711, "label": label or mark.encode(), "onstart": "..."}}
        date = formatdate(time.time() + off_seconds, usegmt=True)
        head = f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Type: application/json\r\n\r\n"
        (self.root / "calls.answer").write_text(head + json.dumps(row), newline="")

    def asked(self) -> list[dict[str, Any]]:
        """The calls that ask for the rental's own row."""
        return [call for call in self._called() if _method(call) == "GET"]

    def calls(self) -> list[dict[str, Any]]:
        """The calls that end the rental."""
        return [call for call in self._called() if _method(call) == "DELETE"]

    def _called(self) -> list[dict[str, Any]]:
        file = self.root / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def text(self, name: str) -> str:
        """A file of the switch; nothing when it is not there."""
        file = self.state / name
        return file.read_text() if file.exists() else ""

    def holds(self, deadline: float) -> bool:
        """Does the switch come to this deadline? Give or take the seconds that an answer takes."""
        near = pytest.approx(deadline, abs=30)
        return daemon.wait(lambda: int(self.text("deadline") or 0) == near, HANGS_AFTER_SECONDS)

    def crash(self) -> None:
        """End the switch without a trace, as a stop of the container does."""
        pid = self.switch_pid()
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        # A container is stopped when all of its processes are gone, and their locks with them.
        assert daemon.wait(self._is_unlocked, HANGS_AFTER_SECONDS)
        (self.state / "pid").unlink()

    def _is_unlocked(self) -> bool:
        with (self.state / "lock").open() as lock, suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path)
    made.container = {"RENTAL_ID": "4711", "RENTAL_KEY": API_KEY, "API_URL": "http://api.example"}
    yield made
    if made.state.exists():
        (made.state / "host_key_replaced").touch()  # ends the wait for sshd
    if made.text("switch.sh"):
        made.crash()


def _method(call: dict[str, Any]) -> str:
    """In curl's configuration, or python's last argument."""
    told = re.search("request=([A-Z]+)", call["stdin"])
    return told[1] if told else str(call["arguments"][-1])


def alive(pid: int) -> Callable[[], bool]:
    return lambda: Path(f"/proc/{pid}").exists()


def test_the_user_may_log_in_and_no_key_of_others_is_lost(host: Host) -> None:
    keys = host.root / "home" / ".ssh" / "authorized_keys"
    keys.parent.mkdir()
    keys.write_text("ssh-rsa AAAA other@example")
    host.start(lifetime_seconds=0)
    host.start(lifetime_seconds=0)
    lines = [line for line in keys.read_text().splitlines() if line]
    assert lines == ["ssh-rsa AAAA other@example", USER_KEY]


def test_no_terminal_multiplexer_gets_in_the_way(host: Host) -> None:
    host.start(lifetime_seconds=0)
    assert (host.root / "home" / ".no_auto_tmux").exists()


def test_the_delivered_host_key_is_installed_for_its_owner_only(host: Host) -> None:
    host.start(lifetime_seconds=0, host_key=HOST_KEY)
    assert host.host_key.read_text().strip() == HOST_KEY.private.strip()
    assert host.host_key.stat().st_mode & 0o777 == 0o600
    assert host.host_key.with_suffix(".pub").read_text().strip() == HOST_KEY.public


def test_a_restart_keeps_the_key_that_replaced_the_delivered_one(host: Host) -> None:
    host.start(lifetime_seconds=0, host_key=HOST_KEY)
    host.replace_key(SUCCESSOR.private)
    host.start(lifetime_seconds=0, host_key=HOST_KEY)
    time.sleep(0.1)  # for what it leaves in the background
    assert host.host_key.read_text().strip() == SUCCESSOR.private.strip()


def test_half_a_key_replaces_nothing(host: Host) -> None:
    host.start(lifetime_seconds=0, host_key=HOST_KEY)
    host.replace_key(SUCCESSOR.private[:200])
    assert host.host_key.read_text().strip() == HOST_KEY.private.strip()


def test_without_a_deadline_there_is_no_switch(host: Host) -> None:
    host.start(lifetime_seconds=0)
    assert host.text("switch.sh") == ""


def test_before_the_deadline_nothing_is_released(host: Host) -> None:
    host.start()
    assert alive(host.switch_pid())()
    time.sleep(0.2)
    assert host.calls() == []


def test_past_the_deadline_the_host_releases_itself_with_its_own_key(host: Host) -> None:
    host.start(time.time() - 60, lifetime_seconds=30)
    assert daemon.wait(lambda: bool(host.calls()), HANGS_AFTER_SECONDS)
    config = host.calls()[0]["stdin"]
    assert 'url="http://api.example/instances/4711/"' in config
    assert "request=DELETE" in config
    assert f'header="Authorization: Bearer {API_KEY}"' in config


def test_the_key_is_in_no_argument_list_and_no_file(host: Host) -> None:
    host.start(time.time() - 60, lifetime_seconds=30)
    assert daemon.wait(lambda: bool(host.calls()), HANGS_AFTER_SECONDS)
    assert API_KEY not in " ".join(host.calls()[0]["arguments"])
    assert not [file for file in host.state.iterdir() if API_KEY in file.read_text()]
    assert host.state.stat().st_mode & 0o777 == 0o700


def test_what_the_script_s_own_environment_says_comes_first(host: Host) -> None:
    host.session = {"RENTAL_ID": "4712"}
    host.start(time.time() - 60, lifetime_seconds=30)
    assert daemon.wait(lambda: bool(host.calls()), HANGS_AFTER_SECONDS)
    assert "/instances/4712/" in host.calls()[0]["stdin"]


def test_the_usual_address_is_called_when_the_container_names_none(host: Host) -> None:
    del host.container["API_URL"]
    host.start(time.time() - 60, lifetime_seconds=30)
    assert daemon.wait(lambda: bool(host.calls()), HANGS_AFTER_SECONDS)
    assert "https://default.example/instances/4711/" in host.calls()[0]["stdin"]


def test_a_release_that_fails_is_tried_again(host: Host) -> None:
    host.tool("curl", CURL + "sys.exit(22)\n")
    host.tool("python3", CURL)
    host.tool("sleep", "#!/bin/sh\nexit 0\n")
    host.start(time.time() - 60, lifetime_seconds=30)
    assert daemon.wait(lambda: len(host.calls()) >= 6, HANGS_AFTER_SECONDS)


def test_python_does_it_where_curl_cannot_and_tells_no_key_either(host: Host) -> None:
    host.tool("curl", "#!/bin/sh\nexit 127\n")
    host.tool("python3", CURL)
    host.start(time.time() - 60, lifetime_seconds=30)
    assert daemon.wait(lambda: bool(host.calls()), HANGS_AFTER_SECONDS)
    call = host.calls()[0]
    assert call["stdin"].split() == ["http://api.example/instances/4711/", API_KEY]
    assert API_KEY not in " ".join(call["arguments"])


@pytest.mark.parametrize("text", ["", "soon\n", "0\n", "99999999999999999999\n", "-5\n", "1\n2\n"])
def test_a_damaged_deadline_counts_as_the_original_one(host: Host, text: str) -> None:
    host.state.mkdir()
    (host.state / "deadline").write_text(text)
    host.start(time.time() - 60, lifetime_seconds=30)
    assert daemon.wait(lambda: bool(host.calls()), HANGS_AFTER_SECONDS)


def test_a_damaged_deadline_ends_no_host_early(host: Host) -> None:
    host.state.mkdir()
    (host.state / "deadline").write_text("0\n")
    host.start()
    assert alive(host.switch_pid())()
    time.sleep(0.2)
    assert host.calls() == []


def test_a_restart_undoes_no_extension(host: Host) -> None:
    host.start(time.time() - 60, lifetime_seconds=120)
    moved = f"{int(time.time()) + DAY}\n"
    (host.state / "deadline").write_text(moved)
    host.crash()
    host.start(time.time() - 180, lifetime_seconds=120)
    host.switch_pid()
    time.sleep(0.2)
    assert host.text("deadline") == moved
    assert host.calls() == []


@pytest.mark.parametrize("off_seconds", [-3 * 365 * DAY, -3600, 3 * 3600, 3 * 365 * DAY])
def test_a_host_whose_clock_is_wrong_ends_by_the_providers_clock(
    host: Host, off_seconds: int
) -> None:
    """The time of the provider is so many seconds ahead of this host's."""
    created = time.time() + off_seconds
    host.shows(created + 7200, off_seconds)
    host.start(created, lifetime_seconds=7200)
    assert daemon.wait(lambda: bool(host.asked()), HANGS_AFTER_SECONDS)
    assert host.holds(time.time() + 7200)
    assert host.calls() == []


def test_a_host_whose_clock_is_wrong_and_whose_network_comes_late_ends_in_time(host: Host) -> None:
    """At its start nobody answers, and its clock is three hours behind."""
    created = time.time() + 3 * 3600
    host.tool("sleep", "#!/bin/sh\nexit 0\n")
    host.start(created, lifetime_seconds=7200)
    assert daemon.wait(lambda: bool(host.asked()), HANGS_AFTER_SECONDS)
    host.shows(created + 7200, 3 * 3600)
    assert host.holds(time.time() + 7200)
    assert host.calls() == []


def test_a_container_that_was_recreated_keeps_the_deadline_of_its_request(host: Host) -> None:
    """It starts as if for the first time, 23 of 24 hours later."""
    created = int(time.time()) - 23 * 3600
    host.shows(created + DAY)
    host.start(created, lifetime_seconds=DAY)
    assert daemon.wait(lambda: bool(host.asked()), HANGS_AFTER_SECONDS)
    assert host.holds(created + DAY)


def test_a_container_that_was_recreated_keeps_its_extension(host: Host) -> None:
    """It starts past the deadline that it was made with, and its mark has another one."""
    created = int(time.time()) - 30 * 3600
    host.shows(created + 2 * DAY)
    host.start(created, lifetime_seconds=DAY)
    assert daemon.wait(lambda: bool(host.asked()), HANGS_AFTER_SECONDS)
    assert host.holds(created + 2 * DAY)
    assert host.calls() == []


@pytest.mark.parametrize("secret", ["", "s" * 20])
def test_a_deadline_that_nobody_could_tell_the_host_holds(host: Host, secret: str) -> None:
    """With a seal and without: the host cannot look at it."""
    now = int(time.time())
    mark = Seal(secret).put_on(replace(MARK, deadline=now + DAY))
    host.shows(now + DAY, label=f"keep {mark.encode()} please")
    host.start(now - 7200, lifetime_seconds=3600)
    assert host.holds(now + DAY)
    assert host.calls() == []


def test_a_deadline_that_was_moved_on_the_host_alone_holds(host: Host) -> None:
    now = int(time.time())
    host.state.mkdir()
    (host.state / "deadline").write_text(f"{now + DAY}\n")
    host.shows(now + 60)
    host.start(now, lifetime_seconds=60)
    assert daemon.wait(lambda: bool(host.asked()), HANGS_AFTER_SECONDS)
    time.sleep(0.3)
    assert int(host.text("deadline")) == now + DAY


def test_a_mark_without_a_deadline_ends_nothing(host: Host) -> None:
    host.shows(None)
    host.start(time.time() - 7200, lifetime_seconds=3600)
    assert daemon.wait(
        lambda: host.text("deadline").startswith(("8999", "9000")), HANGS_AFTER_SECONDS
    )
    assert host.calls() == []


@pytest.mark.parametrize("label", ["our demo", "inferops/prod/gpu-1/9f2c41aa/2/-/0/0", "-"])
def test_a_label_that_is_no_mark_leaves_the_deadline(host: Host, label: str) -> None:
    created = int(time.time()) - 60
    host.shows(None, label=label)
    host.start(created, lifetime_seconds=3600)
    assert daemon.wait(lambda: bool(host.asked()), HANGS_AFTER_SECONDS)
    assert host.holds(created + 3600)


def test_a_slow_boot_costs_lifetime_and_never_adds_to_it(host: Host) -> None:
    created = int(time.time()) - 3600
    host.start(created, lifetime_seconds=2 * 3600)
    assert host.holds(created + 2 * 3600)


def test_a_late_restart_is_no_wrong_clock(host: Host) -> None:
    created = time.time() - 60
    host.start(created, lifetime_seconds=DAY)
    first = host.text("switch.sh")
    host.crash()
    host.start(created - DAY, lifetime_seconds=DAY)
    assert host.text("switch.sh") == first


def test_only_one_switch_lives(host: Host) -> None:
    host.start()
    pid = host.switch_pid()
    host.start()
    host.start()
    time.sleep(0.2)
    assert host.switch_pid() == pid
    listed = subprocess.run(
        ["pgrep", "-f", str(host.state / "switch.sh")], capture_output=True, text=True, check=True
    )
    assert listed.stdout.split() == [str(pid)]


def test_a_switch_that_was_killed_leaves_no_lock_behind(host: Host) -> None:
    host.start()
    pid = host.switch_pid()
    os.kill(pid, signal.SIGKILL)  # what it is sleeping in lives on for a moment
    (host.state / "pid").unlink()
    host.start()
    assert host.switch_pid() != pid


def test_a_switch_that_was_killed_while_it_asked_leaves_no_lock_behind(host: Host) -> None:
    host.tool("curl", '#!/bin/sh\ntouch "$CALLS"\nexec sleep 60\n')
    host.start()
    pid = host.switch_pid()
    assert daemon.wait((host.root / "calls").exists, HANGS_AFTER_SECONDS)
    os.kill(pid, signal.SIGKILL)  # who answers slowly still does
    (host.state / "pid").unlink()
    try:
        host.start()
        assert daemon.wait((host.state / "pid").exists, HANGS_AFTER_SECONDS)
    finally:
        os.killpg(pid, signal.SIGKILL)


def test_the_longest_usual_key_fits_and_a_longer_one_is_refused() -> None:
    rsa = f"ssh-rsa {'A' * 716} user@a-machine-with-a-long-name.example"
    script = start_script(rsa, HOST_KEY, 1795399200, RELEASE)
    assert len(script) <= MOST_CHARACTERS
    with pytest.raises(ValueError, match="ssh-ed25519"):
        start_script(f"ssh-rsa {os.urandom(2000).hex()}", HOST_KEY, 1795399200, RELEASE)


def test_a_script_that_is_packed_does_the_same(host: Host) -> None:
    host.user_key = f"ssh-rsa {os.urandom(358).hex()} user@example"
    host.start(time.time() - 60, lifetime_seconds=30, host_key=HOST_KEY, packed=True)
    keys = host.root / "home" / ".ssh" / "authorized_keys"
    assert host.user_key in keys.read_text()
    assert host.host_key.read_text().strip() == HOST_KEY.private.strip()
    assert daemon.wait(lambda: bool(host.calls()), HANGS_AFTER_SECONDS)


def test_no_key_can_break_out_of_the_script(host: Host) -> None:
    mean = "ssh-ed25519 AAAA'; touch mean; '"
    script = start_script(mean, None, 0, None)
    subprocess.run(
        ["sh", "-c", host.here(script)], cwd=host.root, check=True, timeout=HANGS_AFTER_SECONDS
    )
    assert not (host.root / "mean").exists()


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox sh"])
def test_every_usual_shell_can_read_it(shell: str) -> None:
    command = [*shell.split(), "-n"]
    if subprocess.run(["which", command[0]], capture_output=True, check=False).returncode:
        pytest.skip(f"{shell} is not installed")
    script = start_script(USER_KEY, HOST_KEY, 1795399200, RELEASE)
    subprocess.run(command, input=script, text=True, check=True, timeout=HANGS_AFTER_SECONDS)
