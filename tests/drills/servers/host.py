# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rented host under drill: the product's modules over SSH, and the truth seen beside them."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tests.drills.listing import Failed, require, wait
from tests.integration.plays import ROOT, Controller
from tests.rig.podman import podman, stop_container

HOME = "/root/.inferops"
PYTHON = f"{HOME}/stack/venv/bin/python"
MODEL, OTHER_MODEL, TRUNCATED = "/root/models/a", "/root/models/b", "/root/models/truncated"
GROUP, NAME, PORT = "drill_hosts", "drill", 8000
LONGEST_CALL_SECONDS = 420
ARGUMENTS = {"dtype": "float32", "enforce_eager": True, "max_model_len": 512, "max_num_seqs": 4}
ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "HF_HUB_OFFLINE": "1",
}

#: Prints every process of an inference server, found by other signs than those that the product
#: goes by: vLLM's process titles, and whatever runs from the stack's virtual environment.
TRUTH = """
import json, os
found = []
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        words = open(f"/proc/{pid}/cmdline", "rb").read().decode(errors="replace").split("\\0")
        stat = open(f"/proc/{pid}/stat").read()
    except OSError:
        continue
    name, tail = stat[stat.index("(") + 1 : stat.rindex(")")], stat[stat.rindex(")") + 1 :].split()
    ours = words[0].startswith(("VLLM::", "/root/.inferops/stack/venv", "drill-escaped"))
    if ours and tail[0] not in "ZX":
        found.append({"pid": int(pid), "name": name, "ppid": int(tail[1]), "title": words[0]})
print(json.dumps(found))
"""

#: Prints where the processes with these PIDs listen.
LISTENERS = """
import ipaddress, json, os, sys
ours, found = set(), []
for pid in json.loads(sys.argv[1]):
    for handle in os.listdir(f"/proc/{pid}/fd"):
        try:
            ours.add(os.readlink(f"/proc/{pid}/fd/{handle}"))
        except OSError:
            pass
for table in ("tcp", "tcp6"):
    for row in open(f"/proc/net/{table}").read().splitlines()[1:]:
        fields = row.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in ours:
            text, port = fields[1].split(":")
            words = [bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8)]
            address = str(ipaddress.ip_address(b"".join(words)))
            found.append({"address": address, "port": int(port, 16)})
print(json.dumps(found))
"""


class Seen(NamedTuple):
    """One process of an inference server, as the kernel shows it."""

    pid: int
    name: str
    ppid: int
    title: str


@dataclass(frozen=True)
class Host:
    """One host. ``inventory`` names it with the connection that role connect has set.

    ``fleet`` is the inventory that it was rented by, for playbooks that look up the rental.
    """

    name: str
    container: str
    inventory: Path
    fleet: Path
    controller: Controller

    # What a user does.

    def call(self, module: str, **options: Any) -> dict[str, Any]:
        """The result of one module of ours, run over SSH as Ansible runs it."""
        with tempfile.TemporaryDirectory(prefix="inferops-drill-") as folder:
            command = ["ansible", self.name, "-i", str(self.inventory), "--tree", folder]
            command += ["-m", f"inferops.gpu.{module}", "-a", json.dumps(options)]
            done = subprocess.run(
                [Path(sys.executable).with_name("ansible"), *command[1:]],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=LONGEST_CALL_SECONDS,
                check=False,
            )
            try:
                result: dict[str, Any] = json.loads(Path(folder, self.name).read_text())
            except (OSError, ValueError) as error:
                raise Failed(f"{module} gave no result: {done.stdout}{done.stderr}") from error
        # What is written down of a result leaves out whether it failed.
        return {**result, "failed": done.returncode != 0}

    def start(self, name: str = NAME, **options: Any) -> dict[str, Any]:
        """Ask for a server with the tiny model; what comes back, be it a failure."""
        asked = {
            "name": name,
            "home": HOME,
            "python": PYTHON,
            "model": MODEL,
            "port": PORT,
            "arguments": ARGUMENTS,
            "environment": ENVIRONMENT,
            "supervisor": self.name,
            "supervisord_bin_dir": f"{HOME}/supervisor/venv/bin",
            "wait_timeout_seconds": 300,
            "stop_timeout_seconds": 15,
        }
        return self.call("model_server", **{**asked, **options})

    def serving(self, name: str = NAME, **options: Any) -> dict[str, Any]:
        """A server that runs as asked; one that does already is left alone."""
        result = self.start(name, **options)
        require(result.get("completion"), f"the server does not serve: {result.get('msg')}")
        server: dict[str, Any] = result["server"]
        return server

    def stop(self, name: str = NAME) -> dict[str, Any]:
        """Stop a server, whatever became of it."""
        return self.call(
            "model_server", name=name, home=HOME, state="stopped", stop_timeout_seconds=15
        )

    def info(self, name: str = NAME, **options: Any) -> dict[str, Any]:
        """What model_server_info says of the server."""
        result = self.call("model_server_info", name=name, home=HOME, **options)
        require("servers" in result, f"the server cannot be observed: {result.get('msg')}")
        server: dict[str, Any] = result["servers"][0]
        return server

    def recover(self, **variables: Any) -> dict[str, Any]:
        """The report of playbook recover, which found the cause by itself and took the steps."""
        with tempfile.TemporaryDirectory(prefix="inferops-drill-") as reports:
            run = self.controller.play(
                "recover",
                *("-i", str(self.fleet), "--limit", f"{self.name},localhost"),
                inferops_group=GROUP,
                inferops_server=NAME,
                inferops_home=HOME,
                inferops_report_dir=reports,
                recover_apply=True,
                recover_canary_seconds=15,
                recover_start_timeout_seconds=200,
                inferops_stop_timeout_seconds=15,
                recover_ladder=[{"model": OTHER_MODEL}],
                **variables,
            )
            require(run.status == 0, f"it was not mended:\n{run.output[-3000:]}")
            file = Path(reports, f"recover-{self.name}.json")
            report: dict[str, Any] = json.loads(file.read_text())
        return report

    # The truth beside it.

    def shell(self, script: str, check: bool = True, seconds: float = 120) -> str:
        """What a shell script prints, run in the container as its root."""
        done = podman("exec", self.container, "sh", "-c", script, check=check, timeout=seconds)
        return done.stdout.strip()

    def processes(self) -> list[Seen]:
        """Every living process of an inference server, whoever it belongs to."""
        done = podman("exec", self.container, "/usr/bin/python3", "-c", TRUTH)
        return [Seen(**row) for row in json.loads(done.stdout)]

    def listeners(self) -> list[dict[str, Any]]:
        """Where these processes listen, by the kernel's tables."""
        pids = json.dumps([seen.pid for seen in self.processes()])
        done = podman("exec", self.container, "/usr/bin/python3", "-c", LISTENERS, pids)
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    def named(self, name: str) -> list[Seen]:
        """Those of these processes whose kernel name begins so."""
        return [seen for seen in self.processes() if seen.name.startswith(name)]

    def answer(self, path: str, port: int = PORT, body: dict[str, Any] | None = None) -> str:
        """Status and body that the server gives on its loopback, ``0`` when there is none."""
        script = (
            "import json, sys, urllib.request as r, urllib.error as e\n"
            "url, body = sys.argv[1], sys.argv[2].encode() or None\n"
            "try:\n"
            "    got = r.urlopen(r.Request(url, body, {'Content-Type': 'application/json'}),"
            " timeout=20)\n"
            "    print(got.status, got.read().decode())\n"
            "except e.HTTPError as error: print(error.code, error.read().decode())\n"
            "except OSError as error: print(0, error)\n"
        )
        url = f"http://127.0.0.1:{port}{path}"
        text = json.dumps(body) if body else ""
        done = podman("exec", self.container, "/usr/bin/python3", "-c", script, url, text)
        return done.stdout.strip()

    def completes(self, port: int = PORT, model: str = MODEL) -> bool:
        """Whether a completion comes back, asked for beside the product."""
        body = {"model": model, "prompt": "Hello", "max_tokens": 4}
        status, _blank, content = self.answer("/v1/completions", port, body).partition(" ")
        return status == "200" and bool(json.loads(content)["choices"][0]["text"].strip())

    def require_stopped(self, result: dict[str, Any]) -> None:
        """The stop has said so, and it is true."""
        require(not result.get("failed"), f"the stop failed: {result.get('msg')}")
        require(result.get("stopped") == "proven", f"the stop is {result.get('stopped')}")
        self.require_nothing_left()

    def require_nothing_left(self) -> None:
        """No process of an inference server lives, and nobody holds the port."""
        left = self.processes()
        require(not left, f"still alive: {left}")
        held = self.shell(
            '/usr/bin/python3 -c "import socket as s; x = s.socket(); x.setsockopt(s.SOL_SOCKET,'
            f" s.SO_REUSEADDR, 1); x.bind(('127.0.0.1', {PORT}))\" 2>&1",
            check=False,
        )
        require(not held, f"port {PORT} is held: {held}")
        shared = self.shell("ls /dev/shm")
        require(not shared, f"left in /dev/shm: {shared}")

    def kill(self, *pids: int, signal: str = "KILL") -> None:
        """Send a signal as somebody on the host would."""
        self.shell(f"kill -{signal} {' '.join(map(str, pids))}")

    def launchers(self) -> list[int]:
        """The PIDs of our launchers."""
        found = self.shell(
            "pgrep -f '^[^ ]*python3[^ ]* -m inferops_host.host.server.launcher'", check=False
        )
        return [int(pid) for pid in found.split()]

    def clean(self) -> None:
        """Leave no server behind, whatever the drill before this one has done."""
        for name in self.shell(f"ls {HOME}/servers", check=False).split():
            self.stop(name)
        left = [seen.pid for seen in self.processes()]
        if left:
            self.kill(*left)
        self.shell("rm -rf /root/drill /root/.inferops/servers", check=False)

    def reboot(self) -> None:
        """Restart the machine: every process ends, the disk stays."""
        stop_container(self.container)
        podman("start", self.container)

        def answers() -> bool:
            try:
                return bool(self.call("gpu_info", home=HOME).get("host"))
            except Failed:
                return False

        wait(answers, 60, "the host's return")

    def limit_memory(self, limit: str = "1000g") -> None:
        """Give the machine less memory, or all that there is; the kernel's killer is real."""
        podman("update", f"--memory={limit}", f"--memory-swap={limit}", self.container)
