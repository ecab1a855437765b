# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The distribution's Prometheus and node exporter, with the files that role monitoring has left."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.hanging import HANGS_AFTER_SECONDS
from tests.rig.ports import free_port

PROGRAMS = ("prometheus", "promtool", "prometheus-node-exporter")


class Prometheus:
    """One that runs, and what it says."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The series of an instant query."""
        return list(self._get("query", query=query)["result"])

    def alerts(self, state: str = "firing") -> list[dict[str, str]]:
        """The labels of all alerts in a state."""
        return [one["labels"] for one in self._get("alerts")["alerts"] if one["state"] == state]

    def targets(self) -> list[dict[str, Any]]:
        """All that it reads, with what came of that."""
        return list(self._get("targets")["activeTargets"])

    def _get(self, path: str, **parameters: str) -> Any:
        reply = requests.get(
            f"{self.url}/api/v1/{path}", params=parameters, timeout=HANGS_AFTER_SECONDS
        )
        assert reply.status_code == 200, reply.text
        return reply.json()["data"]


def missing() -> list[str]:
    """The programs that are not installed."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


@contextmanager
def prometheus(configuration: Path, folder: Path) -> Iterator[Prometheus]:
    """One with this configuration, which keeps what it reads in a folder, until the block ends."""
    address = f"127.0.0.1:{free_port()}"
    command = [
        "prometheus",
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder}",
        f"--web.listen-address={address}",
        "--web.enable-lifecycle",
        "--log.level=warn",
    ]
    with _running(command, f"http://{address}/-/ready"):
        yield Prometheus(f"http://{address}")


@contextmanager
def node_exporter(figures: Path, address: str) -> Iterator[None]:
    """One that publishes the files of a folder, and nothing of this machine."""
    command = [
        "prometheus-node-exporter",
        "--collector.disable-defaults",
        "--collector.textfile",
        f"--collector.textfile.directory={figures}",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    with _running(command, f"http://{address}/metrics"):
        yield


def wait_for(what: str, seen: Callable[[], Any]) -> Any:
    """What a look sees once that is something. Raises AssertionError where it hangs."""
    began = time.monotonic()
    while not (found := seen()):
        assert time.monotonic() - began < HANGS_AFTER_SECONDS, f"nothing was seen of {what}"
        time.sleep(0.5)
    return found


@contextmanager
def _running(command: list[str], url: str) -> Iterator[None]:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def answers() -> bool:
        assert process.poll() is None, f"{command[0]} has ended"
        try:
            return requests.get(url, timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    try:
        wait_for(command[0], answers)
        yield
    finally:
        process.terminate()
        process.wait(HANGS_AFTER_SECONDS)


def queries(dashboard: Mapping[str, Any]) -> list[str]:
    """Every query of a dashboard, with all scopes and all hosts chosen."""
    told = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    variables = {f"${one['name']}": one.get("allValue", "") for one in _variables(dashboard)}
    for name, value in variables.items():
        told = [query.replace(name, value) for query in told]
    return told


def _variables(dashboard: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [one for one in dashboard["templating"]["list"] if one["type"] == "query"]
