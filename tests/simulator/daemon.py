# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One running simulator process per instance: start it, find it again, stop it for certain."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.rig import image, tiny_gguf, tiny_model
from tests.rig.checkout import ROOT
from tests.rig.podman import podman
from tests.simulator.app import DEFAULT_PROVIDER, Simulator
from tests.simulator.hosts import Hosts, PodmanHosts, PretendHosts, container_names
from tests.simulator.hub import Hub
from tests.simulator.market import Market

RIG = ROOT / ".rig"
#: What the hub serves, with how each is made (tests/rig/tiny_model.py). The deep one has as many
#: layers as Llama 3.1 8B.
MODELS: dict[str, dict[str, Any]] = {
    "inferops/tiny-llama": {},
    "inferops/tiny-llama-truncated": {"truncated": True},
    "inferops/deep-llama": {"layers": 32},
}
#: What is there in several quantisations, as far as their names tell.
GGUF_FILES = (
    "inferops/tiny-llama-GGUF/tiny-llama-Q4_K_M.gguf",
    "inferops/tiny-llama-GGUF/tiny-llama-Q8_0.gguf",
)
START_SECONDS, STOP_SECONDS = 30, 60


class DaemonError(RuntimeError):
    """The process could not be started or stopped; the text says what to do."""


@dataclass(frozen=True)
class Instance:
    """A simulator by name, with the folder that holds its pid file, log and request log."""

    name: str
    folder: Path

    @property
    def pid_file(self) -> Path:
        return self.folder / "process.json"

    @property
    def log_file(self) -> Path:
        return self.folder / "simulator.log"


# --- in the foreground ---


def serve(
    instance: Instance,
    port: int,
    hub_port: int,
    with_containers: bool,
    provider: str = DEFAULT_PROVIDER,
) -> None:
    """Run until SIGTERM or SIGINT, then remove every container."""
    instance.folder.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    write_models(RIG / "models")
    hub = Hub(RIG / "models", ("127.0.0.1", hub_port))
    hosts: Hosts = PodmanHosts(instance.name, hub.port) if with_containers else PretendHosts()
    if hosts.real:
        hub.open_to_hosts(hosts.door())
    journal = instance.folder / "requests.jsonl"
    simulator = Simulator(Market(hosts), port, journal, provider=provider)
    hosts.remove_all()  # what a killed process left; the ports above are proof that it is dead
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    write_atomically(
        instance.pid_file,
        {
            "pid": os.getpid(),
            "start_ticks": start_ticks(os.getpid()),
            "url": simulator.url,
            "hub_url": f"http://127.0.0.1:{hub.port}",
        },
    )
    logging.info("%s answers at %s", instance.name, simulator.url)
    ended.wait()
    simulator.close()
    hub.close()
    instance.pid_file.unlink(missing_ok=True)
    logging.info("%s has ended", instance.name)


def write_models(folder: Path) -> None:
    """Make the models that the hub serves, unless this very code has made them before."""
    recipes = [Path(module.__file__).read_bytes() for module in (tiny_model, tiny_gguf)]
    recipe = hashlib.sha256(b"".join([*recipes, repr(MODELS).encode()])).hexdigest()
    stamp = folder / ".recipe"
    if stamp.exists() and stamp.read_text() == recipe:
        return
    for name, made in MODELS.items():
        tiny_model.write(folder / name, **made)
    for file in GGUF_FILES:
        tiny_gguf.write(folder / file)
    stamp.write_text(recipe)


# --- from outside ---


def start(
    instance: Instance,
    port: int,
    hub_port: int,
    with_containers: bool,
    provider: str = DEFAULT_PROVIDER,
) -> dict[str, Any]:
    """Start the process unless it runs, wait until it answers, and return its status."""
    if running(instance):
        return status(instance)
    if with_containers and not image.exists():
        raise DaemonError("the host image is missing; run `python -m tests.rig.image`")
    instance.folder.mkdir(parents=True, exist_ok=True)
    arguments = ["--instance", instance.name, "--state-dir", str(instance.folder)]
    arguments += ["--port", str(port), "--hub-port", str(hub_port), "--provider", provider]
    arguments += [] if with_containers else ["--no-containers"]
    with instance.log_file.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.simulator", "serve", *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    # The record is written once the process listens.
    wait(lambda: running(instance) or process.poll() is not None, START_SECONDS)
    if not running(instance):
        process.kill()
        last = "\n".join(instance.log_file.read_text().splitlines()[-5:])
        raise DaemonError(f"the simulator did not start; see {instance.log_file}:\n{last}")
    return status(instance)


def stop(instance: Instance) -> dict[str, Any]:
    """End the process and destroy its containers, also after a crash; return the status."""
    record = read_record(instance)
    if record and running(instance):
        os.kill(record["pid"], signal.SIGTERM)
        if not wait(lambda: not running(instance), STOP_SECONDS):
            os.kill(record["pid"], signal.SIGKILL)
            wait(lambda: not running(instance), STOP_SECONDS)
    # It removes its record just before it ends.
    wait(lambda: not processes(instance.name), STOP_SECONDS)
    left = container_names(instance.name)
    if left:
        podman("rm", "--force", "--ignore", "--volumes", "--time", "0", *left)
    instance.pid_file.unlink(missing_ok=True)
    now = status(instance)
    if now["running"] or now["containers"] or now["processes"]:
        raise DaemonError(f"something of {instance.name} is left: {json.dumps(now)}")
    return now


def status(instance: Instance) -> dict[str, Any]:
    """Count again: rentals from the simulator, containers from podman, processes from /proc."""
    record = read_record(instance) if running(instance) else None
    state: dict[str, Any] = {"rentals": [], "verdict": None}
    if record:
        with urllib.request.urlopen(f"{record['url']}/simulator/state", timeout=10) as answer:
            state = json.load(answer)
    return {
        "instance": instance.name,
        "running": bool(record),
        "url": record["url"] if record else None,
        "hub_url": record["hub_url"] if record else None,
        "rentals": len(state["rentals"]),
        "verdict": state["verdict"],
        "containers": len(container_names(instance.name)),
        "processes": len(processes(instance.name)),
    }


def running(instance: Instance) -> bool:
    """Tell whether the recorded process is alive and the very same one."""
    record = read_record(instance)
    return record is not None and start_ticks(record["pid"]) == record["start_ticks"]


def read_record(instance: Instance) -> dict[str, Any] | None:
    """Return the pid file's content, or None."""
    try:
        record: dict[str, Any] = json.loads(instance.pid_file.read_text())
    except (OSError, ValueError):
        return None
    return record


def start_ticks(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def processes(name: str) -> list[int]:
    """Return the pids of this instance's processes, from the process table.

    Those of an instance of that name in another checkout are none of them.
    """
    wanted = ["-m", "tests.simulator", "serve", "--instance", name]
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and start_ticks(int(entry.name)) is not None:
            try:
                arguments = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                if arguments[1:6] == wanted and (entry / "cwd").readlink() == ROOT:
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def wait(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until the condition holds; tell whether it did in time."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def write_atomically(file: Path, content: dict[str, Any]) -> None:
    """Write JSON so that a reader sees all of it or none."""
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps(content))
    draft.replace(file)
