# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet under drill: vLLM and llama.cpp on rented hosts, behind proxies, and a gateway here.

The gateway is this machine, with a folder of its own: it reaches the hosts as any other would.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.drills.listing import Failed, require, wait
from tests.hanging import HANGS_AFTER_SECONDS
from tests.integration import engine_image
from tests.integration.plays import Controller, Run
from tests.rig.podman import podman
from tests.rig.ports import free_port
from tests.simulator.hosts import container_name

VLLM, LLAMA, GATEWAY = "gpu-1", "gpu-2", "gate-1"
GROUP, NAME = "endpoint_fleet", "front"
MODEL, GGUF = "inferops/tiny-llama", "inferops/tiny-llama-GGUF"
KEY = "key-of-the-clients-1"
SECRET = "a-secret-of-twenty-letters-and-more"
#: The longest of what the model can write.
MOST_TOKENS = 480


class Answer(NamedTuple):
    """`by` is the server that the gateway names, None where it has answered itself."""

    status: int
    by: str | None
    text: str
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began


class Fleet:
    """What a user has: an inventory, a controller, and clients of the gateway."""

    def __init__(self, controller: Controller) -> None:
        self.controller, self.port = controller, free_port()
        # The socket of supervisord needs a short path.
        self.home = Path(tempfile.mkdtemp(prefix="inferops-gate-"))
        self.inventory = controller.folder / "fleet.yml"
        self.inventory.write_text(yaml.safe_dump(self.hosts()))

    def hosts(self) -> dict[str, Any]:
        gateway = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "inferops_home": str(self.home),
            "gateway_port": self.port,
        }
        llama = {
            "inferops_engine": "llama_cpp",
            "inferops_model": GGUF,
            "inferops_served_model_name": MODEL,
            "inferops_server_arguments": {"ctx_size": 2048, "parallel": 4},
            "inferops_server_environment": {},
            "inferops_fallback": True,
        }
        return {
            GROUP: {"hosts": {VLLM: {"rent_image": engine_image.NAME}, LLAMA: llama}},
            "gpu_gateways": {"hosts": {GATEWAY: gateway}},
        }

    def play(self, name: str, **variables: Any) -> Run:
        """A playbook of ours over the fleet, and how it ended."""
        own = {
            "inferops_group": GROUP,
            "inferops_proxy": True,
            "inferops_gateway": NAME,
            "inferops_scope_secret": SECRET,
            "inferops_server_api_key": KEY,
        }
        return self.controller.play(name, "-i", str(self.inventory), **{**own, **variables})

    def must(self, name: str, **variables: Any) -> str:
        """The same, which has to end well; what it said."""
        run = self.play(name, **variables)
        require(run.status == 0, f"{name} failed:\n{run.output[-4000:]}")
        return run.message()

    def make(self) -> None:
        """Rent, deploy, and put the gateway before."""
        engine_image.ensure()
        self.must("deploy")
        self.must("gateway")

    def end(self) -> None:
        """Leave nothing of the gateway on this machine."""
        with contextlib.suppress(Failed):
            self.must("gateway", gateway_state="absent")

    # What is behind it.

    def container(self, host: str) -> str:
        """The container of the rental of this name."""
        for row in self.controller.rentals():
            if f"/{host}/" in row["label"]:
                return container_name(self.controller.instance.name, row["id"])
        raise Failed(f"nothing is rented under {host}")

    def shell(self, host: str, script: str, check: bool = True) -> str:
        """What a shell script prints in the container."""
        done = podman("exec", self.container(host), "sh", "-c", script, check=check, timeout=120)
        return str(done.stdout.strip())

    def engine(self, host: str = VLLM) -> list[int]:
        """The processes of its engine."""
        marked = "grep -lzs INFEROPS_SERVER= /proc/[0-9]*/environ | cut -d/ -f3"
        return [int(pid) for pid in self.shell(host, marked, check=False).split()]

    @contextlib.contextmanager
    def frozen(self, host: str = VLLM) -> Iterator[float]:
        """Its engine stands still meanwhile, since the moment that is given.

        That is told by the container, which has our monotonic clock: getting a command there may
        take a second.
        """
        pids = " ".join(map(str, self.engine(host)))
        stop = (
            "import os, signal, sys, time\n"
            "print(time.monotonic())\n"
            "for pid in sys.argv[1:]: os.kill(int(pid), signal.SIGSTOP)\n"
        )
        told = self.shell(host, f"python3 -c '{stop}' {pids}")
        try:
            yield float(told)
        finally:
            self.shell(host, f"kill -CONT {pids}", check=False)

    # What it is on this machine.

    def processes(self) -> list[int]:
        """The processes of the gateway and of what keeps it running."""
        ours = str(self.home).encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes()
                told = (entry / "environ").read_bytes()
                if ours in words or (ours in told and b"INFEROPS_" in told):
                    found.append(int(entry.name))
        return found

    # What a client does.

    def request(
        self,
        path: str = "/v1/completions",
        key: str | None = KEY,
        method: str = "POST",
        **body: Any,
    ) -> Answer:
        asked = {"model": MODEL, "prompt": "the quick", "max_tokens": 4, **body}
        headers = {"Content-Type": "application/json"}
        headers |= {"Authorization": f"Bearer {key}"} if key else {}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANGS_AFTER_SECONDS)
        began = time.monotonic()
        try:
            content = json.dumps(asked) if method == "POST" else None
            # An answer may come, and the connection close, before all was sent.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, path, content, headers)
            answer = connection.getresponse()
            by, text = answer.getheader("x-inferops-server"), answer.read().decode()
            return Answer(answer.status, by, text, began, time.monotonic())
        finally:
            connection.close()

    def served_by(self, host: str, seconds: float = 120) -> None:
        """Wait until this server answers."""

        def answers() -> bool:
            with contextlib.suppress(OSError, http.client.HTTPException):
                answer = self.request()
                return (answer.status, answer.by) == (200, host)
            return False

        wait(answers, seconds, f"an answer by {host}", poll_seconds=0.2)

    def tunnel(self, host: str = VLLM) -> Path:
        """The folder of the tunnel that leads to a server."""
        for file in self.home.glob("tunnels/*/spec.json"):
            if json.loads(file.read_text())["server"] == host:
                return file.parent
        raise Failed(f"there is no tunnel to {host}")

    def cut(self, host: str = VLLM) -> None:
        """Kill the ssh that holds the tunnel."""
        marked = f"INFEROPS_TUNNEL={self.tunnel(host)}".encode()
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if marked in (entry / "environ").read_bytes().split(b"\0"):
                    os.kill(int(entry.name), signal.SIGKILL)


class ToSocket(http.client.HTTPConnection):
    """To the end of a tunnel."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=HANGS_AFTER_SECONDS)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Stream(threading.Thread):
    """A long completion that is read while the drill goes on; by a port, or a socket."""

    def __init__(self, place: int | Path, tokens: int = MOST_TOKENS, key: str = KEY) -> None:
        super().__init__(daemon=True)
        self.place, self.tokens, self.key = place, tokens, key
        self.times: list[float] = []
        self.by: str | None = None
        self.ended_well = False
        self.start()

    def run(self) -> None:
        body = {
            "model": MODEL,
            "prompt": "the quick",
            "max_tokens": self.tokens,
            "min_tokens": self.tokens,
            "ignore_eos": True,
            "stream": True,
        }
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        connection = (
            ToSocket(self.place)
            if isinstance(self.place, Path)
            else http.client.HTTPConnection("127.0.0.1", self.place, timeout=HANGS_AFTER_SECONDS)
        )
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("POST", "/v1/completions", json.dumps(body), headers)
            answer = connection.getresponse()
            self.by = answer.getheader("x-inferops-server")
            while line := answer.readline():
                if line.startswith(b"data: [DONE]"):
                    self.ended_well = True
                elif line.startswith(b"data:"):
                    self.times.append(time.monotonic())
        connection.close()

    def begun(self) -> Stream:
        """Once its first tokens have come."""
        wait(lambda: len(self.times) > 3, HANGS_AFTER_SECONDS, "the first token", poll_seconds=0.01)
        return self

    def whole(self) -> Stream:
        """Once it has ended, and all of it has come."""
        self.join(HANGS_AFTER_SECONDS)
        require(self.ended_well, f"a stream ended after {len(self.times)} tokens")
        return self

    def gap_seconds(self) -> float:
        """The median between two tokens."""
        gaps = sorted(later - earlier for earlier, later in itertools.pairwise(self.times))
        return gaps[len(gaps) // 2]


class Load:
    """Requests, so many a second, for as long as the block takes; all their answers."""

    def __init__(self, fleet: Fleet, per_second: float = 5, key: str = KEY) -> None:
        self.fleet, self.per_second, self.key = fleet, per_second, key
        self.answers: list[Answer] = []
        self.failures: list[str] = []
        self.ended = threading.Event()
        self.threads: list[threading.Thread] = []
        self.clock = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Load:
        self.clock.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.ended.set()
        self.clock.join()
        for thread in self.threads:
            thread.join(HANGS_AFTER_SECONDS)

    def _tick(self) -> None:
        while not self.ended.wait(1 / self.per_second):
            thread = threading.Thread(target=self._ask, daemon=True)
            self.threads.append(thread)
            thread.start()

    def _ask(self) -> None:
        try:
            answer = self.fleet.request(key=self.key)
        except (OSError, http.client.HTTPException) as error:
            self.failures.append(f"{type(error).__name__}: {error}")
            return
        self.answers.append(answer)
        if answer.status != 200:
            self.failures.append(f"{answer.status} by {answer.by}: {answer.text[:200]}")

    def by(self) -> dict[str | None, int]:
        """How many answers each server gave."""
        names = [answer.by for answer in self.answers]
        return {name: names.count(name) for name in dict.fromkeys(names)}

    def require_none_failed(self) -> None:
        require(not self.failures, f"{len(self.failures)} failed: {self.failures[:3]}")
