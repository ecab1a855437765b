# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an attack takes place: a controller with something to lose, and what tells that it lost.

The collection is the built tarball, run by real ``ansible-playbook``. Stand-ins are the host (a
Python that answers whatever the attack says), the marketplace (the simulator) and the attacker's
own server, which nothing of ours may ever ask.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.inferops.gpu.plugins.module_utils.market.access.host_keys import derive
from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark, Seal
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Order
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.pace import Pace
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.vastai import VastAI
from ansible_collections.inferops.gpu.plugins.module_utils.market.wish import Wish
from ansible_collections.inferops.gpu.plugins.plugin_utils.variables import is_secret, options
from tests.simulator.app import Simulator
from tests.simulator.hosts import PretendHosts
from tests.simulator.market import ACCOUNT_KEY, Market
from tests.simulator.web import Reply, Request, Server
from tests.tools.tree import REPOSITORY
from tests.unit.market.ssh_host import write_key_pair

SCOPE, NAME = "attacked", "gpu-1"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGk9 user@example"
DAY = 86_400
#: How much faster the market's time runs: nobody waits for a rate limit here.
TIME_SCALE = 30.0
#: No attack may keep a play for longer, or make it larger.
MOST_SECONDS, MOST_RSS_MIB = 180.0, 400
#: Runs a command and writes down what its largest process took. What a process starts begins with
#: its own peak, so this one is small.
_MEASURED = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    file.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024))
sys.exit(status)
"""
PRECIOUS = "what the operator would miss\n"
#: By variable, what its secret is called; any other one is called as its variable.
CALLED = {
    "inferops_api_key": "account key",
    "inferops_scope_secret": "scope secret",
    "inferops_server_api_key": "server key",
    "inferops_hub_token": "hub token",
    "inferops_index_url": "index password",
    "inferops_find_links": "index password",
}
#: Every variable of the collection that is secret.
SECRET_VARIABLES = sorted(filter(is_secret, options()))
#: What must never be seen outside of the place that it was given for.
SECRETS = {
    "account key": ACCOUNT_KEY,
    "scope secret": "scope-secret-of-those-attacked-0123456789",
    "server key": "server-key-of-those-attacked",
    "hub token": "hf_TokenOfThoseWhoAreAttacked00",
    "index password": "index-password-of-those-attacked",
    "login of another service": "password-of-another-service",
    **{
        name: f"what-{name.replace('_', '-')}-must-not-tell"
        for name in SECRET_VARIABLES
        if name not in CALLED
    },
}
# Control characters but for line breaks and tabs, and what turns the direction of text.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_MOST_READ_BYTES = 8 * 2**20


@dataclass(frozen=True)
class Setting:
    """By which ansible-core and which configuration the operator works."""

    core: str
    commands: Path
    #: "defaults" are Ansible's own, with the one setting that the README asks for.
    configuration: str
    collections: Path

    def __str__(self) -> str:
        return f"{self.core}/{self.configuration}"


@dataclass(frozen=True)
class Played:
    """What became of a play."""

    status: int
    output: str

    @property
    def text(self) -> str:
        """The output with its line breaks folded away."""
        return " ".join(self.output.split())


class Liar:
    """A rented host that answers the same, whatever it is asked, and whose owner writes along.

    In place of ssh there is a program that runs the command here, with nothing of the controller's
    environment; first it prints the host's ``banner``, as sshd does before anybody has logged in.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._python, self._ssh = folder / "python3", folder / "ssh"
        self._asked, self._called = folder / "asked", folder / "called"
        self.answers({"changed": False})
        self.lets_in()

    @property
    def variables(self) -> dict[str, Any]:
        """How Ansible reaches it."""
        return {
            "ansible_host": "203.0.113.7",
            "ansible_ssh_executable": str(self._ssh),
            "ansible_ssh_transfer_method": "piped",
            "ansible_ssh_retries": 0,
            "ansible_python_interpreter": str(self._python),
        }

    @property
    def times_asked(self) -> int:
        """How often a module ran on it."""
        return self.seen.count("\nPWD=")

    @property
    def seen(self) -> str:
        """All that it was sent: arguments, environment and input of its Python."""
        return _read(self._asked)

    @property
    def called_by(self) -> str:
        """The arguments of ssh, which everybody on the controller can read."""
        return _read(self._called)

    def answers(self, answer: Any) -> None:
        """What it says from now on."""
        self.prints(json.dumps(answer))

    def prints(self, text: str) -> None:
        """The same, as it stands."""
        self.runs(f"cat <<'END'\n{text}\nEND")

    def runs(self, shell: str) -> None:
        """The same, as a command that prints it."""
        # The module comes as a file, or with pipelining as the input.
        reads = 'if [ $# -gt 0 ]; then cat "$1"; else head -c 4000000; fi'
        notes = f"(echo \"$@\"; env; {reads}) >> '{self._asked}'"
        _program(self._python, f"{notes}\n{shell}")

    def lets_in(self, banner: str = "", status: int | None = None) -> None:
        """How a login goes: with a *status* it fails with that."""
        says = f"cat >&2 <<'END'\n{banner}\nEND" if banner else ":"
        clean = f"env -i HOME='{self._ssh.parent}' PATH=/usr/bin:/bin"
        runs = f"exit {status}" if status else f'exec {clean} sh -c "$last"'
        notes = f"echo \"$@\" >> '{self._called}'\nfor last; do :; done"
        _program(self._ssh, f"{notes}\n{says}\n{runs}")


def _program(path: Path, shell: str) -> None:
    path.write_text(f"#!/bin/sh\n{shell}\n")
    path.chmod(0o755)


def _read(path: Path) -> str:
    """The beginning of a file. What this process holds counts as memory of the plays it starts."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        return file.read(_MOST_READ_BYTES).decode(errors="replace")


@dataclass
class Stage:
    """One attack in one setting.

    ``harms`` is what the attacker got, ``met`` whether the attack reached what it is aimed at.
    """

    setting: Setting
    folder: Path
    harms: list[str] = field(default_factory=list)
    met: bool = False
    output: str = ""
    umask: int = 0o022
    most_seconds: float = MOST_SECONDS
    closing: ExitStack = field(default_factory=ExitStack)
    _strangers: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("home", "work", "controller"):
            (self.folder / name).mkdir(mode=0o700)
        self.precious.write_text(PRECIOUS)
        self.host = Liar(self.folder / "host")
        self.stranger = self.serve(self._note)

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_reason: object) -> None:
        self.closing.close()

    # --- what there is to lose ---

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def work(self) -> Path:
        """The operator's current folder."""
        return self.folder / "work"

    @property
    def controller(self) -> Path:
        """The folder that the collection keeps on the controller."""
        return self.folder / "controller"

    @property
    def precious(self) -> Path:
        """A file that no attack may read or change."""
        return self.folder / "precious"

    @property
    def owned(self) -> Path:
        """A file that is there when a command of the attacker ran."""
        return self.folder / "owned"

    def serve(self, answer: Any, address: str = "127.0.0.1") -> str:
        """The URL of a server of the attacker's."""
        server = Server((address, 0), answer)
        self.closing.callback(server.close)
        return server.url

    def _note(self, request: Request) -> Reply:
        self._strangers.append(request)
        return Reply(404)

    # --- what is done ---

    def market(self, *faults: dict[str, Any]) -> Simulator:
        """A marketplace with these faults."""
        market = Market(PretendHosts())
        market.boot_seconds = 0
        simulator = Simulator(market)
        self.closing.callback(simulator.close)
        simulator.control.plan_faults(list(faults))
        market.rescale(TIME_SCALE)
        return simulator

    def rented(self, simulator: Simulator, name: str = NAME, scope: str = SCOPE) -> Mark:
        """Rent past all of our rules, as another controller does; the rental's mark."""
        clock = Clock(now=simulator.market.clock.now)
        provider = VastAI({"api_key": ACCOUNT_KEY}, simulator.url, Pace(None, {}, clock), clock)
        now = int(clock.now())
        seal = Seal(SECRETS["scope secret"])
        mark = seal.put_on(Mark.new(scope, name, now + DAY, DAY, now))
        offer = provider.search(Wish())[0]
        provider.rent(offer, Order(mark, "some/image", 20, PUBLIC_KEY, 0, ports=(8000,)))
        return mark

    def play(
        self,
        what: str | list[dict[str, Any]],
        *arguments: str,
        simulator: Simulator | None = None,
        hosts: dict[str, dict[str, Any]] | None = None,
        environment: dict[str, str] | None = None,
        **variables: Any,
    ) -> Played:
        """Run a playbook of the collection, or these plays, as the operator does."""
        file = what
        if not isinstance(what, str):
            file = str(self.folder / "play.yml")
            Path(file).write_text(yaml.safe_dump(what))
        inventory = self.folder / "hosts.yml"
        given = {"inferops_scope": SCOPE, "inferops_controller_dir": str(self.controller)}
        group = {"hosts": hosts or {NAME: self.host.variables}, "vars": {**given, **variables}}
        every = {"gpu_hosts": group}
        if what == "inferops.gpu.gateway":
            # Each of them is a server and a gateway.
            group["vars"]["inferops_gateway"] = "main"
            every["gpu_gateways"] = {"hosts": {name: {} for name in group["hosts"]}}
        inventory.write_text(yaml.safe_dump(every))
        command = [str(self.setting.commands / "ansible-playbook"), "-i", str(inventory)]
        environ = self._environment(simulator) | (environment or {})
        played = self._run([*command, str(file), *arguments], environ)
        self.output += played.output
        return played

    def _environment(self, simulator: Simulator | None) -> dict[str, str]:
        nothing_set = self.folder / "ansible.cfg"
        nothing_set.touch()
        by_checkout = self.setting.configuration == "checkout"
        told = {} if by_checkout else {"ANSIBLE_INJECT_FACT_VARS": "false"}
        if simulator:
            clock = simulator.market.clock
            told["INFEROPS_CLOCK"] = f"{clock.now()} {time.time()} {TIME_SCALE}"
        return {
            **told,
            "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg" if by_checkout else nothing_set),
            "ANSIBLE_COLLECTIONS_PATH": str(self.setting.collections),
            "PATH": f"{self.setting.commands}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "TMPDIR": str(self.folder),
            "VAST_URL": simulator.url if simulator else "http://127.0.0.1:9",
            "VAST_API_KEY": SECRETS["account key"],
            "INFEROPS_SCOPE_SECRET": SECRETS["scope secret"],
            "HF_ENDPOINT": "http://127.0.0.1:9",  # nobody asks the real hub
            "HF_TOKEN": SECRETS["hub token"],
        }

    def _run(self, command: list[str], environment: dict[str, str]) -> Played:
        """Run it within its bounds; what goes beyond is a harm."""
        with (self.folder / "output").open("w+b") as output:
            used = self.folder / "used"
            process = subprocess.Popen(
                [sys.executable, "-S", "-c", _MEASURED, str(used), *command],
                cwd=self.work,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=self.umask,
            )
            with _ended_after(self.most_seconds, process.pid) as held:
                process.wait()
            if held.is_set():
                self.harms.append(f"the play was held for {self.most_seconds:g} s")
            mebibytes = int(_read(used) or 0)
            self.harmed(mebibytes > MOST_RSS_MIB, f"the play took {mebibytes} MiB")
            output.seek(0)
            told = output.read(_MOST_READ_BYTES).decode(errors="replace")
        return Played(process.returncode, told)

    # --- what became of it ---

    def tried(self, really: object) -> None:
        """Say whether the attack reached what it is aimed at; each attack says it once at least."""
        self.met = bool(really)

    def harmed(self, is_so: object, text: str) -> None:
        """Say what the attacker got, if it is so."""
        if is_so:
            self.harms.append(text)

    def judge(self) -> None:
        """Look for what no attack may ever bring about."""
        self.harmed(self.owned.exists(), "a command of the attacker ran on the controller")
        unharmed = self.precious.exists() and self.precious.read_text() == PRECIOUS
        self.harmed(not unharmed, "a file of the operator was changed")
        for request in self._strangers[:3]:
            self.harms.append(f"the attacker was asked: {request.method} {request.path}")
        steering = _STEERING.search(self.output)
        if steering:
            shown = ascii(self.output[max(0, steering.start() - 60) : steering.end() + 20])
            self.harms.append(f"the terminal was steered: {shown}")
        kept = {file: _read(file) for file in self._kept()}
        for name, secret in SECRETS.items():
            self.harmed(secret in self.output, f"the {name} was shown")
            for file, text in kept.items():
                self.harmed(secret in text, f"the {name} lies in {file}")
        for name, secret in SECRETS.items():
            self.harmed(secret in self.host.called_by, f"the {name} is in an argument list")
        for name in ("account key", "scope secret", "hub token"):
            self.harmed(SECRETS[name] in self.host.seen, f"the host saw the {name}")

    def _kept(self) -> Iterator[Path]:
        """The files that plays of ours have left where others may look."""
        for folder in (self.work, self.controller, self.home):
            there = (one for one in folder.rglob("*") if one.is_file() and not one.is_symlink())
            # The operator's own file of logins is his.
            yield from (one for one in there if one.name != ".netrc")


def plays(*tasks: dict[str, Any], hosts: str = NAME) -> list[dict[str, Any]]:
    """One play."""
    return [{"hosts": hosts, "gather_facts": False, "tasks": list(tasks)}]


def on_market(stage: Stage, simulator: Simulator, *tasks: dict[str, Any]) -> list[dict[str, Any]]:
    """A play of modules that speak to the marketplace."""
    account = {
        "api_url": simulator.url,
        "controller_dir": str(stage.controller),
        "scope": SCOPE,
    }
    (play,) = plays(*tasks, hosts="localhost")
    return [{**play, "module_defaults": {"group/inferops.gpu.market": account}}]


def with_login(address: str, password: str) -> str:
    """*address*, and who logs in there."""
    return address.replace("://", f"://me:{password}@")


def planted(market: str = "http://127.0.0.1:9", several: bool = False) -> dict[str, Any]:
    """Every variable that is secret, with its secret in it, for a marketplace at this address.

    Its account is given by a list of *several*, of one here, or by itself. What is planted beside
    lets a deploy see what it would rent.
    """
    found = {name: _planted(name, market) for name in SECRET_VARIABLES}
    if not several:
        # It would count instead of the others.
        del found["inferops_accounts"]
    return {"rent_registry_username": "me", "rent_vram_gib": 1, **found}


def _planted(name: str, market: str) -> Any:
    """A value of the type that the variable has."""
    secret, rules = SECRETS[CALLED.get(name, name)], options()[name]
    if name == "inferops_api_url":
        return with_login(market, secret)
    if name == "inferops_accounts":
        return [
            {"provider": "vastai", "api_key": ACCOUNT_KEY, "api_url": with_login(market, secret)}
        ]
    if name.endswith(("_url", "_endpoint", "_mirror")):
        return with_login("https://127.0.0.1:9/simple", secret)
    if rules["type"] == "list":
        return [with_login("https://127.0.0.1:9/simple", secret)]
    if rules["type"] == "dict":
        return {"OTHER_API_KEY": secret}
    return secret


def key_pair(stage: Stage) -> Path:
    """An SSH key pair of the operator's; the path of its private half."""
    return write_key_pair(derive("operator", Mark(SCOPE, NAME, "0", 0, 0), 1), stage.home)


@contextmanager
def _ended_after(seconds: float, leader: int) -> Iterator[threading.Event]:
    """End a process group when its time is up; the event tells whether it was."""
    held = threading.Event()

    def end() -> None:
        held.set()
        with suppress(ProcessLookupError):
            os.killpg(leader, signal.SIGKILL)

    timer = threading.Timer(seconds, end)
    timer.start()
    try:
        yield held
    finally:
        timer.cancel()
