# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines that stream, the real proxy before them, and clients: what tests of the proxy need."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.inferops.gpu.plugins.module_utils.common import proxy_keys
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import ports
from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy import lifecycle
from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy.proxy import Proxy, proxy_of
from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy.spec import Spec
from ansible_collections.inferops.gpu.plugins.module_utils.host.service import (
    lifecycle as services,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.service import observation
from ansible_collections.inferops.gpu.plugins.module_utils.host.service.supervisors import (
    supervisord,
)
from tests.hanging import HANGS_AFTER_SECONDS
from tests.rig.ports import free_port

BIN = str(Path(sys.executable).parent)
KEY, METRICS_KEY, ENGINE_KEY = "key-of-alice-1", "key-of-prometheus-1", "key-of-the-engine-1"
COMPLETIONS = "/v1/completions"
#: A busy machine is silent for some seconds now and then.
SILENCE_SECONDS = 8.0


def as_sent(options: dict[str, Any]) -> dict[str, Any]:
    """Options of module proxy as its action sends them: of clients' keys no more than a hash."""
    keys = (name for name in proxy_keys.KINDS if name in options)
    return {**options, **{name: proxy_keys.digests(options[name]) for name in keys}}


def wait_for(condition: Callable[[], Any], seconds: float = HANGS_AFTER_SECONDS) -> Any:
    """What the condition gave once it held."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.05)
    return found


class Answer(NamedTuple):
    """`by` is the server that the proxy names, None where it has answered itself."""

    status: int
    by: str | None
    text: str
    seconds: float


def ask(
    port: int,
    path: str = COMPLETIONS,
    body: Any = None,
    key: str | None = KEY,
    method: str = "POST",
    headers: dict[str, str] | None = None,
) -> Answer:
    """One request, over a connection of its own."""
    sent = {**({"Authorization": f"Bearer {key}"} if key else {}), **(headers or {})}
    content = json.dumps({} if body is None else body) if method != "GET" else None
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HANGS_AFTER_SECONDS)
    began = time.monotonic()
    try:
        # An answer may come, and the connection close, before all was sent: clients read it then.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, path, content, sent)
        answer = connection.getresponse()
        text = answer.read().decode()
        by = answer.getheader("x-inferops-server")
        return Answer(answer.status, by, text, time.monotonic() - began)
    finally:
        connection.close()


class Stream(threading.Thread):
    """A stream of tokens that is read while the test goes on."""

    def __init__(self, port: int, tokens: int, gap: float) -> None:
        super().__init__(daemon=True)
        self.port, self.asked = port, {"tokens": tokens, "gap": gap, "stream": True}
        self.lines: list[tuple[float, str]] = []
        self.by: str | None = None
        self.start()

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANGS_AFTER_SECONDS)
        headers = {"Authorization": f"Bearer {KEY}"}
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("POST", COMPLETIONS, json.dumps(self.asked), headers)
            answer = connection.getresponse()
            self.by = answer.getheader("x-inferops-server")
            while line := answer.readline():
                if line.strip():
                    self.lines.append((time.monotonic(), line.decode().strip()))
        connection.close()

    @property
    def whole(self) -> bool:
        """Whether every token came, and the end."""
        return len(self.lines) == int(str(self.asked["tokens"])) + 1 and self.lines[-1][1].endswith(
            "[DONE]"
        )

    def gaps(self) -> list[float]:
        """Seconds between two tokens, shortest first."""
        times = [at for at, _line in self.lines]
        return sorted(later - earlier for earlier, later in itertools.pairwise(times))


class Engine:
    """The process of one stand-in."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder, self.port = name, folder, free_port()
        self.process = self.begin()

    def begin(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.rig.streaming_engine", self.name]
        process = subprocess.Popen([*command, str(self.port), str(self.folder)])
        wait_for(lambda: ports.owners(self.port))
        return process

    def again(self) -> None:
        self.process = self.begin()

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def seen(self) -> list[dict[str, Any]]:
        """The requests that have come to it."""
        file = self.folder / f"{self.name}.seen"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @contextlib.contextmanager
    def being(self, word: str) -> Iterator[None]:
        """`full` or `stuck` meanwhile."""
        file = self.folder / f"{self.name}.{word}"
        file.touch()
        try:
            yield
        finally:
            file.unlink()

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.signal(signal.SIGCONT)
        self.kill()


class Stage:
    """Engines `big` and `small`, the second a fallback, with the proxy before them."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="inferops-test-"))
        self.big, self.small = Engine("big", self.home), Engine("small", self.home)
        self.port, self.agent_port = free_port(), free_port()
        self.proxy: Proxy = proxy_of(self.home, "main")
        self.supervisor = supervisord.Supervisord(self.proxy.layout, BIN)
        self.clients = {"alice": KEY}
        self.gateways: dict[str, str] = {}
        self.engine_key = ENGINE_KEY

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_error: object) -> None:
        self.end()

    def spec(self, **changes: Any) -> Spec:
        wanted: dict[str, Any] = {
            "name": "main",
            "supervisor": "supervisord",
            "stop_timeout_seconds": 5,
            "log_max_mib": 8,
            "environment": {},
            "executable": lifecycle.find_executable(None),
            "listeners": [{"address": "127.0.0.1", "port": self.port, "certificate": None}],
            "upstreams": [self.upstream(self.big), self.upstream(self.small, fallback=True)],
            "routes": [],
            "sends_key": True,
            "agent_port": self.agent_port,
            "max_body_kib": 64,
            "silence_seconds": SILENCE_SECONDS,
        }
        return Spec(**{**wanted, **changes})

    def upstream(self, process: Engine, **changes: Any) -> dict[str, Any]:
        own = {"name": process.name, "address": "127.0.0.1", "port": process.port}
        return {**own, "engine": "vllm", "fallback": False, "max_connections": 64, **changes}

    @property
    def secrets(self) -> lifecycle.Secrets:
        given = {
            "keys": self.clients,
            "metrics_keys": {"prometheus": METRICS_KEY},
            "gateway_keys": self.gateways,
        }
        return lifecycle.Secrets(proxy_keys.hashed(given), self.engine_key)

    def start(self, **changes: Any) -> Stage:
        """Returns once it serves and has found out that its engines do."""
        lifecycle.start(self.proxy, self.spec(**changes), self.secrets, self.supervisor)
        wait_for(lambda: observation.look(self.proxy).phase != "starting")
        assert observation.look(self.proxy).phase == "running", self.proxy.log.read_text()
        self.wait_until_up()
        return self

    def wait_until_up(self) -> None:
        """Until all that is behind it takes requests."""
        wait_for(lambda: {each.status for each in self.proxy.runtime.servers()} == {"UP"})

    def ask(self, *arguments: Any, **options: Any) -> Answer:
        return ask(self.port, *arguments, **options)

    def status(self, name: str) -> str:
        """UP, DRAIN or DOWN."""
        servers = self.proxy.runtime.servers()
        return next(each.status.split()[0] for each in servers if each.name == name)

    def end(self) -> None:
        assert not services.end(self.proxy, timeout_seconds=5).left
        for engine in (self.big, self.small):
            engine.end()
        shutil.rmtree(self.home)


class Load(threading.Thread):
    """One short request after the other, some at a time, until the test is over."""

    def __init__(self, port: int, keys: Callable[[], str] = lambda: KEY) -> None:
        super().__init__(daemon=True)
        self.port, self.keys = port, keys
        self.over = threading.Event()
        self.answers: list[Answer | Exception] = []

    def run(self) -> None:
        while not self.over.is_set():
            try:
                self.answers.append(ask(self.port, body={"tokens": 2}, key=self.keys()))
            except (OSError, http.client.HTTPException) as error:
                self.answers.append(error)
            time.sleep(0.02)

    def failed(self) -> list[Answer | Exception]:
        return [each for each in self.answers if not (isinstance(each, Answer) and each[0] == 200)]


@contextlib.contextmanager
def load(port: int, keys: Callable[[], str] = lambda: KEY) -> Iterator[Load]:
    """Requests all the time; some are answered before what happens meanwhile, and some after it."""
    running = Load(port, keys)
    running.start()
    wait_for(lambda: len(running.answers) > 3)
    yield running
    known = len(running.answers)
    wait_for(lambda: len(running.answers) > known + 3)
    running.over.set()
    running.join(HANGS_AFTER_SECONDS)


def raw(port: int, text: bytes) -> bytes:
    """What comes back for these very bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=HANGS_AFTER_SECONDS) as stream:
        stream.sendall(text)
        found = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := stream.recv(65536):
                found += chunk
        return found
