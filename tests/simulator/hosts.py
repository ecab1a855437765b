# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rented hosts: real containers through podman, or none at all for tests of the API alone."""

from __future__ import annotations

import io
import json
import os
import random
import socket
import tarfile
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.rig import engine, image
from tests.rig.checkout import TOKEN
from tests.rig.podman import PodmanError, gateway, is_installed, podman, stop_container
from tests.simulator.ways import ADDRESS

# Another checkout may run an instance of the same name.
PREFIX = f"inferops-sim-{TOKEN}-"
# Below the range from which outgoing connections take theirs, so that none is taken in between.
PORTS = range(20_000, 32_000)
NVIDIA_SMI = Path(image.__file__).with_name("nvidia_smi.py")
SHARED_MEMORY = "--shm-size=1g"  # inference servers pass their data through /dev/shm
GATEWAY = "host.containers.internal"  # this machine, as containers call it
WORK_FOLDER = ".inferops"  # where the collection keeps what it installs, below the user's home
ONSTART_LOG = "/var/log/onstart.log"
ONSTART = f"exec bash /root/onstart.sh >>{ONSTART_LOG} 2>&1"
ROOT = "root"
# What cloud-init does with a user of the machine's image: makes it, who may become root without a
# password, lets in the keys that are read here, and turns root away who logs in with one of them.
LET_IN = r"""set -eu
user=$1 home=/home/$1
if ! id "$user" >/dev/null 2>&1; then
    useradd --create-home --shell /bin/bash "$user"
    echo "$user ALL=(ALL) NOPASSWD:ALL" >/etc/sudoers.d/90-cloud-init-users
    chown "$user:" "$home"
fi
install -d -m 700 -o "$user" -g "$user" "$home/.ssh"
install -m 600 -o "$user" -g "$user" /dev/stdin "$home/.ssh/authorized_keys"
refusal="echo Please login as the user $user rather than the user root.; exit 142"
umask 077
mkdir -p /root/.ssh
sed "s|^|no-port-forwarding,no-agent-forwarding,command=\"$refusal\" |" \
    "$home/.ssh/authorized_keys" >/root/.ssh/authorized_keys
"""
NEW_HOST_KEY = """rm -f /etc/ssh/ssh_host_*
ssh-keygen -A >/dev/null
kill -HUP $(cat /run/sshd.pid)
key=$(cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub)
for _try in 1 2 3 4 5 6 7 8 9 10; do
    ssh-keyscan -t ed25519 127.0.0.1 2>/dev/null | grep -qF "$key" && break
    sleep 0.1
done
"""
AUTHORIZED_KEYS = "root/.ssh/authorized_keys"
TRUST_FOLDER = "/etc/inferops-sim/trust"
# By the variable that names its folder on this machine: a cache, and what lets hosts use it.
CACHES = {
    "INFEROPS_RIG_UV_CACHE": (
        "/var/cache/inferops-uv",
        {"UV_CACHE_DIR": "/var/cache/inferops-uv", "UV_LINK_MODE": "symlink"},
    ),
    "INFEROPS_RIG_PIP_CACHE": (
        "/var/cache/inferops-pip",
        {"PIP_CACHE_DIR": "/var/cache/inferops-pip"},
    ),
}


class HostFailure(RuntimeError):
    """The host did not start; the text is the reason."""


@dataclass(frozen=True)
class HostSpec:
    """What one rented host must be. A short disk has less room than its renter pays for.

    ``user`` is whom it lets in: where that is not root, root is turned away. ``onstart`` runs as
    root at each start, or at the first one alone. ``host_key`` is the private half of what sshd
    shows from its first start on. With an address of its own it has port 22 as well.
    """

    number: int
    container_ports: tuple[str, ...]  # "22/tcp"
    environment: dict[str, str]
    authorized_keys: tuple[str, ...]
    onstart: str = ""
    onstart_once: bool = False
    gpus: dict[str, Any] | None = None
    systemd: bool = False
    engine: bool = False
    sshd: bool = True
    short_disk_gib: float | None = None
    user: str = ROOT
    own_address: bool = False
    host_key: str = ""

    @property
    def home(self) -> str:
        """The home of its user, without the first slash."""
        return ROOT if self.user == ROOT else f"home/{self.user}"


class Hosts(Protocol):
    """Where rentals run. ``launch`` returns the host port of each container port.

    ``real`` hosts call the API at ``api_url`` themselves; ``door`` is the address of this machine
    that they reach.
    """

    real: bool
    api_url: str

    def door(self) -> str: ...
    def launch(self, spec: HostSpec) -> dict[str, int]: ...
    def address(self, number: int) -> str: ...
    def authorize(self, number: int, keys: tuple[str, ...]) -> None: ...
    def change_host_key(self, number: int) -> None: ...
    def log(self, number: int) -> str: ...
    def stop(self, number: int) -> None: ...
    def start(self, number: int) -> None: ...
    def remove(self, number: int) -> None: ...
    def names(self) -> list[str]: ...
    def remove_all(self) -> None: ...


@dataclass
class PretendHosts:
    """Hosts that exist in memory only. ``failure`` makes the next launches fail with that text.

    ``starts`` counts how often each ran its start script, ``host_keys`` the keys it has shown.
    """

    specs: dict[int, HostSpec] = field(default_factory=dict)
    failure: str = ""
    keys: dict[int, tuple[str, ...]] = field(default_factory=dict)
    starts: Counter[int] = field(default_factory=Counter)
    host_keys: Counter[int] = field(default_factory=Counter)
    real: bool = False
    api_url: str = ""

    def door(self) -> str:
        return ADDRESS

    def launch(self, spec: HostSpec) -> dict[str, int]:
        if self.failure:
            raise HostFailure(self.failure)
        self.specs[spec.number] = spec
        self.keys[spec.number] = spec.authorized_keys
        self.host_keys[spec.number] += 1
        self.start(spec.number)
        return {port: 40_000 + n for n, port in enumerate(spec.container_ports)}

    def address(self, number: int) -> str:
        return ADDRESS

    def authorize(self, number: int, keys: tuple[str, ...]) -> None:
        self.keys[number] = keys

    def change_host_key(self, number: int) -> None:
        self.host_keys[number] += 1

    def log(self, number: int) -> str:
        return f"rental {number} was started\n" * self.starts[number]

    def stop(self, number: int) -> None: ...

    def start(self, number: int) -> None:
        self.starts[number] += 1

    def remove(self, number: int) -> None:
        self.specs.pop(number, None)

    def names(self) -> list[str]:
        return [f"{PREFIX}pretend-{number}" for number in self.specs]

    def remove_all(self) -> None:
        self.specs.clear()


class PodmanHosts:
    """One container per rental, named after the simulator's instance and the rental's id."""

    def __init__(self, instance: str, hub_port: int) -> None:
        self.instance = instance
        self.hub_port = hub_port
        self.real, self.api_url = True, ""
        self.specs: dict[int, HostSpec] = {}
        self.started: set[int] = set()
        self.lock = threading.Lock()
        self.next_port = random.choice(PORTS)

    def name(self, number: int) -> str:
        """Return the container's name."""
        return container_name(self.instance, number)

    def door(self) -> str:
        """Return the address of this machine that containers reach."""
        return gateway()

    def launch(self, spec: HostSpec) -> dict[str, int]:
        """Create, fill and start the container. Raises HostFailure with podman's words."""
        name = self.name(spec.number)
        ports = self.ports(spec)
        self.specs[spec.number] = spec
        self.started.discard(spec.number)
        try:
            podman(
                "create",
                *self.options(spec, ports),
                image.tag(),
                *start_command(spec),
                stdin=lines(f"{k}={v}" for k, v in self.environment(spec, ports)).encode(),
            )
            podman("cp", "-", f"{name}:/", stdin=tarball(self.files(spec)))
            self.start(spec.number)
        except PodmanError as failure:
            raise HostFailure(str(failure)) from failure
        return ports

    def ports(self, spec: HostSpec) -> dict[str, int]:
        """Return by which port each of the container's is reached. Raises HostFailure."""
        if not spec.own_address:
            return {port: self.free_port() for port in spec.container_ports}
        if os.geteuid() != 0:
            raise HostFailure("only root reaches containers at addresses of their own")
        return {port: int(port.partition("/")[0]) for port in spec.container_ports}

    def address(self, number: int) -> str:
        """Return where the host is reached now."""
        if not self.specs[number].own_address:
            return ADDRESS
        template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return podman("inspect", "--format", template, self.name(number)).stdout.strip()

    def options(self, spec: HostSpec, ports: dict[str, int]) -> list[str]:
        """Return the options of ``podman create``."""
        options = [f"--name={self.name(spec.number)}", f"--hostname=rental-{spec.number}"]
        options += [f"--label={label(self.instance)}", "--pull=never", SHARED_MEMORY]
        # So that whoever checks for leftovers knows those of its own run from all others.
        options.append(f"--label=inferops.check={os.environ.get('INFEROPS_CHECK_RUN', '')}")
        options.append("--env-file=/dev/stdin")  # values may be secret: no process list shows them
        options += ["--systemd=always", "--privileged"] if spec.systemd else ["--systemd=false"]
        if spec.short_disk_gib is not None:
            size_mib = round(spec.short_disk_gib * 1024)
            folder, mode = f"/{spec.home}/{WORK_FOLDER}", "0755" if spec.user == ROOT else "0777"
            options.append(f"--tmpfs={folder}:size={size_mib}m,mode={mode},exec")
        for port, host_port in ports.items():
            number, protocol = port.split("/")
            if not spec.own_address:
                options.append(f"--publish={ADDRESS}:{host_port}:{number}/{protocol}")
        if spec.engine:
            if not engine.CURRENT.exists():
                raise HostFailure("Error response from daemon: manifest unknown")
            options.append(f"--volume={engine.CURRENT.resolve()}:{engine.PLACE}:O")
        return options + [f"--volume={volume}" for volume in self.trust(spec.user)[0]]

    def environment(self, spec: HostSpec, ports: dict[str, int]) -> Iterator[tuple[str, str]]:
        """Give the variables of the container's first process, as Vast.ai sets them."""
        yield "PUBLIC_IPADDR", ADDRESS
        if self.api_url:
            yield "VAST_URL", self.api_url
        for port, host_port in ports.items():
            number, protocol = port.split("/")
            yield f"VAST_{protocol.upper()}_PORT_{number}", str(host_port)
        yield from spec.environment.items()

    def trust(self, user: str = ROOT) -> tuple[list[str], dict[str, str]]:
        """Return the volumes and the variables by which this machine's own set-up reaches a host.

        Only what this machine's environment names: a CA bundle, a folder of wheels, caches. Plain
        users write to other caches than root, whose files they could not change.
        """
        volumes: list[str] = []
        variables = {"HF_ENDPOINT": f"http://{GATEWAY}:{self.hub_port}"}
        bundle = Path(os.environ.get("SSL_CERT_FILE") or "")
        if bundle.is_file():
            bundle = bundle.resolve()
            volumes.append(f"{bundle.parent}:{TRUST_FOLDER}:ro")
            inside = f"{TRUST_FOLDER}/{bundle.name}"
            variables |= dict.fromkeys(("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"), inside)
        wheels = os.environ.get("PIP_FIND_LINKS") or ""
        if Path(wheels).is_absolute() and Path(wheels).is_dir():
            volumes.append(f"{wheels}:{wheels}:ro")
            variables |= {"PIP_FIND_LINKS": wheels, "UV_FIND_LINKS": wheels}
        for name, (inside, settings) in CACHES.items():
            if cache := os.environ.get(name):
                folder = Path(cache if user == ROOT else f"{cache}-of-users")
                folder.mkdir(parents=True, exist_ok=True)
                if user != ROOT:
                    folder.chmod(0o1777)
                volumes.append(f"{folder.resolve()}:{inside}:rw")
                variables |= settings
        return volumes, variables

    def files(self, spec: HostSpec) -> dict[str, tuple[str, int]]:
        """Return path -> (text, mode) of what the host needs before it starts."""
        variables = self.trust(spec.user)[1]
        files = {
            # sshd's PAM reads this file, so that ssh commands see the variables too.
            "etc/environment": ("".join(f"{k}={v}\n" for k, v in variables.items()), 0o644),
        }
        if spec.user == ROOT:
            files[AUTHORIZED_KEYS] = (lines(spec.authorized_keys), 0o600)
        if spec.host_key:
            files["etc/ssh/ssh_host_ed25519_key"] = (spec.host_key, 0o600)
        if spec.onstart:
            files["root/onstart.sh"] = (spec.onstart, 0o700)
        if spec.gpus:
            files["usr/local/bin/nvidia-smi"] = (
                "#!/usr/bin/python3\n" + NVIDIA_SMI.read_text(),
                0o755,
            )
            files["etc/inferops-sim/gpus.json"] = (json.dumps(spec.gpus, indent=2) + "\n", 0o644)
        return files

    def authorize(self, number: int, keys: tuple[str, ...]) -> None:
        """Replace the host's authorized keys."""
        name, user = self.name(number), self.specs[number].user
        if user == ROOT:
            content = tarball({AUTHORIZED_KEYS: (lines(keys), 0o600)})
            podman("cp", "-", f"{name}:/", stdin=content)
            return
        into = ("exec", "--interactive", name, "sh", "-c", LET_IN, "sh", user)
        podman(*into, stdin=lines(keys).encode())

    def change_host_key(self, number: int) -> None:
        """Make new SSH host keys and let sshd show them."""
        podman("exec", self.name(number), "sh", "-c", NEW_HOST_KEY)

    def log(self, number: int) -> str:
        """Return what the container and its start script have printed."""
        name = self.name(number)
        printed = podman("logs", name).stdout
        if not self.specs[number].onstart:
            return printed
        return printed + podman("exec", name, "cat", ONSTART_LOG).stdout

    def stop(self, number: int) -> None:
        """Stop the host; its disk stays."""
        stop_container(self.name(number))

    def start(self, number: int) -> None:
        """Start a host that does not run."""
        spec, is_first = self.specs[number], number not in self.started
        podman("start", self.name(number))
        self.started.add(number)
        if spec.user != ROOT and is_first:
            self.authorize(number, spec.authorized_keys)
        if spec.onstart and (is_first or not spec.onstart_once):
            podman("exec", "--detach", self.name(number), "bash", "-c", ONSTART)

    def remove(self, number: int) -> None:
        """Destroy the host and its disk; one that is not there is fine."""
        podman("rm", "--force", "--ignore", "--volumes", "--time", "0", self.name(number))

    def names(self) -> list[str]:
        """Return the names of this instance's containers, counted from podman."""
        return container_names(self.instance)

    def remove_all(self) -> None:
        """Destroy every container of this instance, also those of an earlier process."""
        names = self.names()
        if names:
            podman("rm", "--force", "--ignore", "--volumes", "--time", "0", *names)

    def free_port(self) -> int:
        """Return a port of this machine that nobody listens on."""
        with self.lock:
            for _port in PORTS:
                self.next_port += 1
                if self.next_port not in PORTS:
                    self.next_port = PORTS.start
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    try:
                        probe.bind((ADDRESS, self.next_port))
                    except OSError:
                        continue
                return self.next_port
        raise HostFailure("no free port is left on this machine")


def start_command(spec: HostSpec) -> list[str]:
    """Return the command that the container runs, empty for the image's own."""
    if spec.systemd:
        return ["/sbin/init"]
    return [] if spec.sshd else ["/usr/bin/tini", "-g", "--", "sleep", "infinity"]


def label(instance: str) -> str:
    """Return what tells the containers of one simulator instance from all others."""
    return f"inferops.simulator={TOKEN}/{instance}"


def container_name(instance: str, number: int) -> str:
    """Return the name of a rental's container."""
    return f"{PREFIX}{instance}-{number}"


def container_names(instance: str) -> list[str]:
    """Return the names of all containers of one simulator instance, running or not."""
    if not is_installed():
        return []
    found = podman("ps", "--all", "--filter", f"label={label(instance)}", "--format", "{{.Names}}")
    return found.stdout.split()


def lines(items: Iterable[str]) -> str:
    """Return the items, each on its own line."""
    return "".join(f"{item.strip()}\n" for item in items)


def tarball(files: dict[str, tuple[str, int]]) -> bytes:
    """Return a tar archive of path -> (text, mode), owned by root, private folders closed."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        closed = tarfile.TarInfo("root/.ssh")
        closed.type, closed.mode = tarfile.DIRTYPE, 0o700
        archive.addfile(closed)
        for path, (text, mode) in files.items():
            entry = tarfile.TarInfo(path)
            content = text.encode()
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()
