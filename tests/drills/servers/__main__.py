# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.drills.servers``: real vLLM in real containers, broken in every known way.

Two hosts are rented from a simulated market and get a real stack: one runs systemd, one gets
supervisord. Each works through its part of the committed list. The last line is one JSON object
behind the word RESULT.

With ``--mutant`` a safety rule of the product is broken first, in a copy of the checkout: the
drills that guard it must fail then.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from tests.drills import mutants
from tests.drills.listing import Failed, chosen, perform
from tests.drills.servers.drills import DRILLS
from tests.drills.servers.host import GROUP, HOME, MODEL, OTHER_MODEL, TRUNCATED, Host
from tests.drills.servers.listed import BOTH, LISTED, SYSTEMD, Listed
from tests.drills.stage import SIGNALS, Interrupted, interrupt, print_result
from tests.integration.plays import ROOT, Controller
from tests.rig import tiny_model
from tests.rig.podman import PodmanError, podman
from tests.simulator import daemon
from tests.simulator.hosts import container_names

PREPARE = Path(__file__).with_name("prepare.yml")
TOLD_LOG_LINES = 60


def prepare(controller: Controller, names: list[str]) -> list[Host]:
    """Rent a host for each name, install the stack on it, and give it the models."""
    inventory = controller.folder / "inventory.yml"
    images = {SYSTEMD: {"rent_image": "any/systemd"}}
    fleet = controller.folder / "fleet.yml"
    hosts = {name: images.get(name, {}) for name in names}
    fleet.write_text(yaml.safe_dump({GROUP: {"hosts": hosts}}))
    connections = controller.folder / "connections"
    connections.mkdir()
    run = controller.play(
        PREPARE,
        "-i",
        str(fleet),
        watch=lambda line: print(line, end="", flush=True) if "TASK" in line else None,
        inferops_group=GROUP,
        drill_connections=str(connections),
    )
    if run.status != 0:
        raise Failed(f"the hosts could not be prepared:\n{run.output[-5000:]}")
    reached = {name: yaml.safe_load((connections / name).read_text()) for name in names}
    inventory.write_text(yaml.safe_dump({"all": {"hosts": reached}}))
    rented = [
        Host(name, container_on(reached[name], controller), inventory, fleet, controller)
        for name in names
    ]
    for host in rented:
        give_models(host, controller.folder)
    return rented


def container_on(connection: dict[str, object], controller: Controller) -> str:
    """The name of the container whose SSH port the connection leads to."""
    for name in container_names(controller.instance.name):
        ports = podman("port", name, "22/tcp").stdout
        if ports.strip().endswith(f":{connection['ansible_port']}"):
            return name
    raise Failed(f"no container listens on port {connection['ansible_port']}")


def give_models(host: Host, scratch: Path) -> None:
    """Put two good models and a truncated one on the host."""
    host.shell("mkdir -p /root/models")
    for path in (MODEL, OTHER_MODEL, TRUNCATED):
        folder = scratch / "models" / Path(path).name
        tiny_model.write(folder, truncated=path == TRUNCATED)
        podman("cp", str(folder), f"{host.container}:{path}")


def run_one(host: Host, listed: Listed) -> bool:
    """Run one drill and tell what it did; whether it passed."""
    title = f"{listed.name} on {host.name}: {listed.shows}"
    passed = perform(title, lambda: DRILLS[listed.name](host), lambda: logs(host))
    if not passed:
        with contextlib.suppress(Failed, PodmanError):
            host.clean()
    return passed


def logs(host: Host) -> str:
    """The ends of the logs of the host's servers: a failed drill is seldom seen twice."""
    with contextlib.suppress(PodmanError):
        return host.shell(f"tail -n {TOLD_LOG_LINES} {HOME}/servers/*/server.log", check=False)
    return ""


def work_through(host: Host, listed: list[Listed], ended: threading.Event) -> list[bool]:
    """Run what is listed for this host, until it is done or everything has to end."""
    results = []
    for one in listed:
        if ended.is_set():
            break
        if host.name in one.hosts and one.name in DRILLS:
            results.append(run_one(host, one))
    return results


@contextlib.contextmanager
def market() -> Iterator[Controller]:
    """A simulated market with a controller of its own; both are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="inferops-drill-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        instance = daemon.Instance(f"server-drill-{uuid.uuid4().hex[:8]}", folder / "simulator")
        os.environ.setdefault("INFEROPS_RIG_UV_CACHE", str(ROOT / ".rig" / "uv-cache"))
        try:
            started = daemon.start(instance, 0, 0, True)
            yield Controller(folder, instance, started["url"], started["hub_url"])
        finally:
            daemon.stop(instance)


def run_all(listed: list[Listed], names: list[str]) -> dict[str, int]:
    """Run the drills on hosts of these names; the figures of the last line."""
    wanted = sum(name in one.hosts for one in listed for name in names)
    results: list[bool] = []
    ended = threading.Event()
    with market() as controller, ThreadPoolExecutor(len(names)) as pool:
        try:
            hosts = prepare(controller, names)
            running = [pool.submit(work_through, host, listed, ended) for host in hosts]
            for one in running:
                results += one.result()
        except Interrupted as interruption:
            print(f"ended by {interruption}", flush=True)
        finally:
            ended.set()
    return {
        "drills": len(results),
        "missing": wanted - len(results),
        "failed": results.count(False),
    }


def run_mutant(name: str, arguments: list[str]) -> int:
    """Run the drills in a copy of the checkout that breaks this rule; the copy's exit status."""
    (mutation,) = mutants.chosen(name)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # the run in the copy gets it too, and clears up
    os.environ.setdefault("INFEROPS_RIG_UV_CACHE", str(ROOT / ".rig" / "uv-cache"))
    with tempfile.TemporaryDirectory(prefix="inferops-drill-") as folder:
        copy = mutants.Copy(Path(folder, "copy"))
        with copy.mutated(mutation):
            print(f"{mutation.name}: {mutation.breaks}", flush=True)
            command = [sys.executable, "-m", "tests.drills.servers", *arguments]
            return subprocess.run(command, cwd=copy.folder, check=False).returncode


def main() -> int:
    """Run the drills; exit 1 when one failed or is missing."""
    parser = argparse.ArgumentParser(description="Break real servers in every known way.")
    parser.add_argument("--only", help="names of drills, comma-separated")
    parser.add_argument("--host", choices=BOTH, help="on this host alone")
    parser.add_argument("--mutant", help="break this rule of `make mutants` first")
    given = parser.parse_args()
    if given.mutant:
        wishes = {"--only": given.only, "--host": given.host}
        arguments = [word for name, value in wishes.items() if value for word in (name, value)]
        return run_mutant(given.mutant, arguments)
    for number in SIGNALS:
        signal.signal(number, interrupt)
    listed = chosen(LISTED, given.only)
    names = [given.host] if given.host else [n for n in BOTH if any(n in o.hosts for o in listed)]
    began = time.monotonic()
    try:
        result = run_all(listed, names)
    except Failed as failure:
        print(failure, file=sys.stderr)
        result = {"drills": 0, "missing": len(listed), "failed": 0}
    print(f"It took {time.monotonic() - began:.0f} s.")
    print_result(result)
    return 1 if result["missing"] or result["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
