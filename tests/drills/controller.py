# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controllers: home folders in which real ansible-playbook processes run, and can be killed.

A home is what an operator's machine keeps, and loses.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator.app import DEFAULT_PROVIDER, dialect_of
from tests.simulator.clock import Clock
from tests.simulator.web import Reply, Request, Server, json_reply
from tests.tools.tree import REPOSITORY

PLAYBOOKS = REPOSITORY / "playbooks"
TEARDOWN, STOP, REAP = (PLAYBOOKS / f"{name}.yml" for name in ("teardown", "stop", "reap"))
SCOPE, HOST = "drill", "drill-1"
PLAY_SECONDS, DIE_SECONDS = 180, 10
# The user's own settings and accounts stay out.
NOT_INHERITED = ("ANSIBLE_", "INFEROPS_CLOCK", "INFEROPS_SCOPE", "VAST")
# What deploy.yml does once a host is reachable.
NEEDLESS = ("Serve", "Prove it")

Hear = Callable[["Play", dict[str, Any]], None]


# --- what is played ---


def rent_playbook(folder: Path) -> Path:
    """Write playbooks/deploy.yml without what follows a reachable host; return its path."""
    left_out: list[str] = []
    copies = folder / "shortened"
    copies.mkdir(exist_ok=True)
    draft = shortened(PLAYBOOKS / "deploy.yml", copies, left_out)
    if sorted(left_out) != sorted(NEEDLESS):
        raise ValueError(f"deploy.yml should have each task of {NEEDLESS} once, not {left_out}")
    return draft


def shortened(file: Path, folder: Path, left_out: list[str]) -> Path:
    """Write a copy of a file and of those that it includes, without the needless tasks."""
    copy = folder / file.name
    content = without_needless(yaml.safe_load(file.read_text()), file.parent, folder, left_out)
    copy.write_text(yaml.safe_dump(content, sort_keys=False))
    return copy


def without_needless(node: Any, base: Path, folder: Path, left_out: list[str]) -> Any:
    """Return a part of a playbook without them; what it includes is copied as well."""
    if isinstance(node, list):
        named = [one.get("name") if isinstance(one, dict) else None for one in node]
        left_out += [name for name in named if name in NEEDLESS]
        kept = (one for one, name in zip(node, named, strict=True) if name not in NEEDLESS)
        return [without_needless(one, base, folder, left_out) for one in kept]
    if isinstance(node, dict):
        verbs = ("import_playbook", "import_tasks", "include_tasks")
        files = [f"ansible.builtin.{verb}" for verb in verbs]
        return {
            key: str(shortened(base / value, folder, left_out))
            if key in files
            else without_needless(value, base, folder, left_out)
            for key, value in node.items()
        }
    return node


def make_key_pair(folder: Path) -> Path:
    """Make the fleet's SSH key pair once: a credential, which every controller of it has."""
    pair = folder / "id_ed25519"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "drill", "-f", str(pair)]
    subprocess.run(command, check=True, timeout=HANGS_AFTER_SECONDS)
    return pair


def inventory(folder: Path, provider: str) -> Path:
    """Write the fleet that is wanted: one host at a provider, which runs what CPUs can run."""
    account = dialect_of(provider).credentials
    variables = {
        "inferops_provider": provider,
        **{f"inferops_{option}": value for option, value in account.items()},
        # Elsewhere nobody counts on a host that ends itself.
        "inferops_reaper": provider != DEFAULT_PROVIDER,
        "inferops_scope": SCOPE,
        "inferops_model": "inferops/tiny-llama",
        "inferops_accelerator": "cpu",
        "inferops_evidence_dir": str(folder / "evidence"),
        "rent_vram_gib": 24,
        # Simulated hosts have this machine's disk, whatever their offers say.
        "rent_measure_speed": False,
    }
    file = folder / "hosts.json"
    file.write_text(json.dumps({"gpu_hosts": {"hosts": {HOST: {}}, "vars": variables}}))
    return file


# --- who plays ---


@dataclass
class Controller:
    """One machine that Ansible runs on, with nothing but credentials at first."""

    home: Path
    url: str  # of the market
    settings: dict[str, str] = field(default_factory=dict)  # environment variables

    @classmethod
    def fresh(
        cls, home: Path, url: str, key_pair: Path, settings: dict[str, str] | None = None
    ) -> Controller:
        """A home folder with the fleet's SSH key pair, where the roles look for it."""
        (home / ".ssh").mkdir(mode=0o700, parents=True)
        (home / "tmp").mkdir()
        for suffix in ("", ".pub"):
            shutil.copy(f"{key_pair}{suffix}", home / ".ssh" / f"inferops_ed25519{suffix}")
        return cls(home, url, settings or {})

    def start(
        self, playbook: Path, inventory_file: Path, clock: Clock, hear: Hear, **variables: Any
    ) -> Play:
        """Start ansible-playbook as its user would, in the market's time."""
        given = {"inferops_api_url": self.url, **variables}
        command = ["ansible-playbook", "-i", str(inventory_file), str(playbook)]
        command += ["-e", json.dumps(given)]
        return Play(command, self.environment(clock), self.home, hear)

    def environment(self, clock: Clock) -> dict[str, str]:
        """What this machine's processes see."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(NOT_INHERITED)}
        return {
            **inherited,
            "HOME": str(self.home),
            # Modules that are killed leave what they have unpacked: it goes with the home.
            "TMPDIR": str(self.home / "tmp"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "LC_ALL": "C.UTF-8",
            "INFEROPS_CLOCK": f"{clock.simulated_base} {clock.real_base} {clock.scale}",
            "ANSIBLE_STDOUT_CALLBACK": "default",  # every task is shown
            "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
            "ANSIBLE_HOME": str(self.home / ".ansible"),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.home / "cp"),
            "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).with_name("plugins")),
            "ANSIBLE_CALLBACKS_ENABLED": "inferops.gpu.progress,boundaries",
            **self.settings,
        }


class Play:
    """One running ansible-playbook. ``hear`` is told what it is about to do, and may kill it."""

    def __init__(
        self, command: list[str], environment: dict[str, str], home: Path, hear: Hear
    ) -> None:
        self.home = home
        self.hear = hear
        self.claims: list[dict[str, Any]] = []
        self.failures: list[dict[str, Any]] = []
        self.log = home / "play.log"
        self.killed = threading.Event()
        self.killing = threading.Lock()
        self.boundaries = Server(("127.0.0.1", 0), self.answer)
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env={**environment, "INFEROPS_DRILL_URL": self.boundaries.url},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def answer(self, request: Request) -> Reply:
        """Take news from the play; it waits for this answer."""
        news = request.json()
        if "claim" in news:
            self.claims.append(news["claim"])
        if "failure" in news:
            self.failures.append(news["failure"])
        try:
            self.hear(self, news)
        except Exception as mistake:  # a server's threads keep theirs to themselves
            self.failures.append({"msg": f"the drill could not judge {news}: {mistake!r}"})
            self.kill()
        return json_reply({})

    def kill(self) -> None:
        """End it at once with all of its processes, as when its machine loses power.

        Ansible's workers leave its process group, and ssh's masters as well, so the home that
        only they have tells which they are.
        """
        self.killed.set()
        # Who waits for the end comes through here too: only then may the home's next play start,
        # which this would take for a rest of the first.
        with self.killing:
            with contextlib.suppress(ProcessLookupError):
                if self.process.poll() is None:
                    os.killpg(self.process.pid, signal.SIGKILL)
            limit = time.monotonic() + DIE_SECONDS
            while (pids := processes_of(self.home)) and time.monotonic() < limit:
                for pid in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                time.sleep(0.01)

    def wait(self, seconds: float = PLAY_SECONDS) -> int | None:
        """Return its exit status once it has ended; None when it was killed or took too long."""
        status = None
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.failures.append({"msg": f"the play did not end within {seconds:.0f} s"})
            self.kill()
            self.process.wait(DIE_SECONDS)
        was_killed = self.killed.is_set()
        self.kill()  # connections that would stay open for ten minutes
        self.boundaries.close()
        return None if was_killed else status

    def last_words(self, lines: int = 40) -> str:
        """The end of its output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def kill_modules(word: str) -> None:
    """Kill the modules that plays run on this machine: neither the plays nor their shells.

    Only those that have *word* in their environment.
    """
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            told, command = (folder / "environ").read_bytes(), (folder / "cmdline").read_bytes()
            is_python = (folder / "exe").readlink().name.startswith("python")
            if is_python and word.encode() in told and b"ansible-playbook" not in command:
                os.kill(int(folder.name), signal.SIGKILL)


def processes_of(home: Path) -> list[int]:
    """The processes that have this home folder: by their environment, or by their own title."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            told = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
            if f"{home}".encode() in told:
                found.append(int(folder.name))
    return found
