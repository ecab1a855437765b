# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The endpoint drills: each breaks something while clients ask, and looks what they get.

A drill yields one line for each thing that it did. It fails by raising. It begins with a gateway
whose first server answers, and leaves one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator

from tests.drills.endpoints.fleet import (
    GATEWAY,
    KEY,
    LLAMA,
    NAME,
    VLLM,
    Fleet,
    Load,
    Stream,
)
from tests.drills.listing import require, wait
from tests.hanging import HANGS_AFTER_SECONDS
from tests.rig.podman import podman

Drill = Callable[[Fleet], Iterator[str]]
#: The promise: so long may new requests wait for a server that has gone silent.
ELSEWHERE_SECONDS = 2.0
FREEZE_SECONDS = 5.0
AWAY_SECONDS = 20.0

DRILLS: dict[str, Drill] = {}


def drill(function: Drill) -> Drill:
    """Register a drill under its name."""
    DRILLS[function.__name__.replace("_", "-")] = function
    return function


@drill
def served_and_named(fleet: Fleet) -> Iterator[str]:
    answers = [fleet.request() for _number in range(5)]
    require({(one.status, one.by) for one in answers} == {(200, VLLM)}, f"they are {answers}")
    yield f"5 answers, all by {VLLM}"


def changes(output: str) -> list[str]:
    """The tasks that have changed something."""
    tasks = output.split("\nTASK [")
    return [task.partition("]")[0] for task in tasks if "\nchanged: [" in task]


@drill
def asked_twice(fleet: Fleet) -> Iterator[str]:
    run = fleet.play("gateway")
    said = run.message()
    require(run.status == 0, f"it failed: {said[-4000:]}")
    require(f"{VLLM} UP" in said, f"it does not say how {VLLM} does: {said[-2000:]}")
    changed = [word for word in said.split() if word.startswith("changed=")]
    require(set(changed) == {"changed=0"}, f"it changed something: {changes(run.output)}")
    yield f"nothing changed on {len(changed)} hosts"


@drill
def no_route_without_a_key(fleet: Fleet) -> Iterator[str]:
    paths = ("/v1/models", "/v1/completions", "/metrics", "/health", "/sleep", "/", "/docs")
    for key in (None, "a-wrong-key-of-mine"):
        for method in ("GET", "POST", "OPTIONS"):
            for path in paths:
                status = fleet.request(path, key=key, method=method).status
                require(status == 401, f"{method} {path} gave {status}")
    yield f"{len(paths) * 6} questions, each answered with 401"
    require(fleet.request("/sleep", method="POST").status == 403, "a client's key opens /sleep")
    script = (
        "import socket, sys, urllib.request as r, urllib.error as e\n"
        "try: print(r.urlopen(f'http://127.0.0.1:{sys.argv[1]}/v1/models', timeout=20).status)\n"
        "except e.HTTPError as error: print(error.code)\n"
        "try: print(socket.socket(socket.AF_UNIX).connect(sys.argv[2]))\n"
        "except OSError as error: print(type(error).__name__)\n"
        "try: print(open(sys.argv[3]).read())\n"
        "except OSError as error: print(type(error).__name__)\n"
    )
    way, keys = fleet.tunnel() / "way.sock", fleet.home / "proxies" / f"gateway-{NAME}" / "keys.map"
    # What keeps him out is no folder that a test has closed.
    fleet.home.chmod(0o755)
    other = subprocess.run(
        ["/usr/bin/python3", "-c", script, str(fleet.port), str(way), str(keys)],
        user="nobody",
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER_SECONDS,
        check=False,
    )
    got = other.stdout.split()
    wanted = ["401", "PermissionError", "PermissionError"]
    require(got == wanted, f"another user got {got} {other.stderr}")
    yield "another user of the gateway gets 401, and neither its tunnels nor its files"


@drill
def streamed_as_direct(fleet: Fleet) -> Iterator[str]:
    ratios = []
    for _pair in range(5):
        # The server's own proxy stands at the end of the tunnel: what is measured is the gateway.
        straight = Stream(fleet.tunnel() / "way.sock", tokens=200).whole().gap_seconds()
        ratios.append(Stream(fleet.port, tokens=200).whole().gap_seconds() / straight)
    middle = sorted(ratios)[len(ratios) // 2]
    require(middle <= 1.1, f"the gap between tokens is {middle:.3f} times the direct one: {ratios}")
    yield f"the gap at p50 is {middle:.3f} times the direct one"


@drill
def body_too_large(fleet: Fleet) -> Iterator[str]:
    answer = fleet.request(prompt="a" * 2 * 2**20)
    require(answer.status == 413, f"it gave {answer.status}")
    require("proxy_max_body_kib" in answer.text, f"it does not say what to change: {answer.text}")
    yield f"413: {answer.text[:120]}"


@drill
def slow_clients(fleet: Fleet) -> Iterator[str]:
    head = (
        f"POST /v1/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {KEY}\r\n"
        "Content-Type: application/json\r\nContent-Length: 4000\r\n\r\n"
    )
    with contextlib.ExitStack() as stack:
        slow = []
        for number in range(100):
            place = ("127.0.0.1", fleet.port)
            client = stack.enter_context(socket.create_connection(place, HANGS_AFTER_SECONDS))
            # Half of them do not even end their headers.
            client.sendall((head if number % 2 else head[:40]).encode())
            slow.append(client)
        with Load(fleet) as load:
            for _second in range(5):
                time.sleep(1)
                for client in slow[1::2]:
                    client.sendall(b" ")
    load.require_none_failed()
    yield f"{len(load.answers)} requests beside 100 slow clients, none failed"


@drill
def keys_changed_under_load(fleet: Fleet) -> Iterator[str]:
    with Load(fleet) as load:
        fleet.must("gateway", proxy_client_keys={"alice": "key-of-alice-1"})
        first = fleet.request(key="key-of-alice-1").status
        hers = {"alice": "key-of-alice-2"}
        fleet.must("gateway", proxy_client_keys=hers, keys_keep_old=True)
        both = [fleet.request(key=f"key-of-alice-{number}").status for number in (1, 2)]
        fleet.must("gateway", proxy_client_keys=hers)
        last = [fleet.request(key=f"key-of-alice-{number}").status for number in (1, 2)]
        fleet.must("gateway")
        gone = fleet.request(key="key-of-alice-2").status
    seen = [first, *both, *last, gone]
    require(seen == [200, 200, 200, 401, 200, 401], f"her keys gave {seen}")
    load.require_none_failed()
    yield f"{len(load.answers)} requests while a key came and went, none failed"


@drill
def engine_full(fleet: Fleet) -> Iterator[str]:
    # It takes four at once, and the gateway sends it no more than that.
    streams = [Stream(fleet.port) for _number in range(8)]
    for stream in streams:
        stream.whole()
    by = {name: [one.by for one in streams].count(name) for name in (VLLM, LLAMA)}
    require(by[VLLM] >= 4 and by[LLAMA] >= 1 and sum(by.values()) == 8, f"they went to {by}")
    yield f"8 long streams at once: {by}"


def left_in_time(load: Load, gone_at: float) -> str:
    """See that new requests went elsewhere in time after a server was gone; in words."""
    answers = [one for one in load.answers if one.by == LLAMA and one.began >= gone_at]
    elsewhere = [one.ended - gone_at for one in answers]
    require(elsewhere, f"nobody else answered: {load.by()}")
    require(min(elsewhere) <= ELSEWHERE_SECONDS, f"elsewhere only after {min(elsewhere):.2f} s")
    later = [one for one in load.answers if one.began >= gone_at + ELSEWHERE_SECONDS]
    slowest = max(one.seconds for one in later if one.by == LLAMA)
    require(slowest <= ELSEWHERE_SECONDS, f"a later one waited {slowest:.2f} s")
    return (
        f"{load.by()}, the first answer elsewhere after {min(elsewhere):.2f} s, the slowest later "
        f"one in {slowest:.2f} s, {len(load.failures)} failed"
    )


@drill
def engine_frozen(fleet: Fleet) -> Iterator[str]:
    stream = Stream(fleet.port).begun()
    with Load(fleet) as load:
        time.sleep(1)
        with fleet.frozen() as gone_at:
            time.sleep(FREEZE_SECONDS)
    load.require_none_failed()
    yield left_in_time(load, gone_at)
    stream.whole()
    yield f"the stream lived through {FREEZE_SECONDS:.0f} s and ended whole"
    fleet.served_by(VLLM)
    yield f"{VLLM} answers again"


@drill
def engine_killed(fleet: Fleet) -> Iterator[str]:
    kill = f"kill -KILL {' '.join(map(str, fleet.engine()))}"
    with Load(fleet) as load:
        time.sleep(1)
        # As many as it takes at once, so that they last.
        streams = [Stream(fleet.port) for _number in range(4)]
        streams[0].begun()
        fleet.shell(VLLM, kill, check=False)
        time.sleep(10)
    for stream in streams:
        stream.join(HANGS_AFTER_SECONDS)
    lost = [stream for stream in streams if not stream.ended_well]
    require(lost, "every stream ended well, so nothing was killed")
    # What was in flight there: the streams, and one short request at most.
    require(len(load.failures) <= 1, f"{len(load.failures)} failed: {load.failures[:3]}")
    require(load.by().get(LLAMA, 0) > 0, f"nobody else answered: {load.by()}")
    yield f"{len(lost)} of 4 streams were lost; {load.by()}, {len(load.failures)} failed"
    fleet.served_by(VLLM, 300)
    yield f"{VLLM} answers again by itself"


@drill
def tunnel_cut(fleet: Fleet) -> Iterator[str]:
    with Load(fleet) as load:
        time.sleep(1)
        fleet.cut()
        time.sleep(5)
        fleet.served_by(VLLM)
    require(len(load.failures) <= 1, f"{len(load.failures)} failed: {load.failures[:3]}")
    yield f"{load.by()}, {len(load.failures)} failed, and {VLLM} answers again"


@drill
def host_away(fleet: Fleet) -> Iterator[str]:
    container = fleet.container(VLLM)
    with Load(fleet) as load:
        time.sleep(1)
        gone_at = time.monotonic()
        podman("pause", container)
        try:
            time.sleep(AWAY_SECONDS)
        finally:
            podman("unpause", container)
    load.require_none_failed()
    yield left_in_time(load, gone_at)
    fleet.served_by(VLLM)
    yield f"{VLLM} answers again"


@drill
def all_away(fleet: Fleet) -> Iterator[str]:
    containers = [fleet.container(host) for host in (VLLM, LLAMA)]
    for container in containers:
        podman("pause", container)
    try:
        for host in (VLLM, LLAMA):
            fleet.cut(host)
        answer = wait(
            lambda: (told := fleet.request()).status == 503 and told,
            60,
            "an answer without servers",
        )
    finally:
        for container in containers:
            podman("unpause", container)
    require('"error"' in answer.text, f"it is no error of the API: {answer.text}")
    yield f"503 after {answer.seconds:.1f} s: {answer.text[:100]}"
    fleet.served_by(VLLM)
    yield f"{VLLM} answers again"


@drill
def port_taken(fleet: Fleet) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = fleet.play("gateway", gateway_port=port)
    require(run.status != 0, "it took a port that somebody has")
    require(f"Port {port} is taken" in run.message(), f"it does not say so: {run.output[-2000:]}")
    require(fleet.request().by == VLLM, "the gateway does not serve as before")
    yield f"port {port} is told as taken, and the gateway serves as before"


@drill
def server_unknown(fleet: Fleet) -> Iterator[str]:
    with Load(fleet) as load:
        run = fleet.play("gateway", gateway_servers=[VLLM, "gpu-9"])
    require(run.status != 0, "it took a server that is not there")
    require(
        "The inventory has no gpu-9" in run.message(), f"it does not name it: {run.output[-2000:]}"
    )
    load.require_none_failed()
    yield f"refused by name; {len(load.answers)} requests meanwhile, none failed"


@drill
def gateway_restarted(fleet: Fleet) -> Iterator[str]:
    # What a restart leaves of it: its files, and no process.
    pids = fleet.processes()
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        require(fleet.request().status != 200, "something still answers")
    fleet.must("gateway")
    fleet.served_by(VLLM)
    yield f"{len(pids)} processes were ended; one play, and {VLLM} answers"


@drill
def taken_away(fleet: Fleet) -> Iterator[str]:
    fleet.must("gateway", gateway_state="absent")
    left = fleet.processes()
    require(not left, f"processes are left: {left}")
    for file in ("gateways", "tunnels"):
        kept = [str(path) for path in fleet.home.glob(f"{file}/*")]
        require(not kept, f"files are left: {kept}")
    again = fleet.must("gateway", gateway_state="absent")
    require(f"{GATEWAY} : ok" in again, "it was not asked for twice")
    yield f"no process and no key of gateway {NAME} is left"
    fleet.must("gateway")
    fleet.served_by(VLLM)
    yield "made anew, it serves"
