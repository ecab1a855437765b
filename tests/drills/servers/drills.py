# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server drills: each breaks something as it breaks in the field, and looks what comes of it.

A drill yields one line for each thing that it did. It fails by raising, and is not trusted to
clean up after itself.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.drills.listing import Failed, require, wait
from tests.drills.servers.host import (
    ARGUMENTS,
    ENVIRONMENT,
    HOME,
    MODEL,
    NAME,
    OTHER_MODEL,
    PORT,
    TRUNCATED,
    Host,
)
from tests.drills.servers.listed import SYSTEMD

Drill = Callable[[Host], Iterator[str]]
RECORD = f"{HOME}/servers/{NAME}/record.json"
ENGINE, WORKER = "VLLM::EngineCor", "VLLM::Worker"
LOADED_SECONDS = 180

DRILLS: dict[str, Drill] = {}


def drill(function: Drill) -> Drill:
    """Register a drill under its name."""
    DRILLS[function.__name__.replace("_", "-")] = function
    return function


def main_process(host: Host) -> int:
    """The PID of the API server, as recorded; it must be alive and vLLM's."""
    pid = int(host.info()["pid"])
    require(pid in {seen.pid for seen in host.processes()}, f"process {pid} is no server")
    return pid


def engines(host: Host) -> list[int]:
    """The PIDs of the living engines."""
    return [seen.pid for seen in host.named(ENGINE)]


def leave_orphans(host: Host) -> list[int]:
    """Kill the API server, its launcher and its supervisor at once; the PIDs that live on."""
    doomed = [*host.launchers(), main_process(host)]
    daemon = host.shell("pgrep -f '[b]in/supervisord -c'", check=False).split()
    host.kill(*map(int, daemon), *doomed)
    time.sleep(3)
    left = [seen.pid for seen in host.processes()]
    require(left, "the engine did not outlive its API server: there is nothing to show")
    return left


def failed_start(host: Host, cause_id: str, **options: Any) -> str:
    """Start what cannot start; the message, after the cause was seen to be the right one."""
    result = host.start(**options)
    require(result.get("failed"), "it started")
    found = result.get("failure", {}).get("cause_id")
    require(found == cause_id, f"the cause is {found}, not {cause_id}: {result['msg']}")
    host.require_nothing_left()
    return str(result["msg"])


# --- stopping ---


@drill
def stop_forgotten(host: Host) -> Iterator[str]:
    host.serving()
    host.shell(f"rm -f {HOME}/servers/{NAME}/spec.json {HOME}/servers/{NAME}/environment.json")
    host.shell(f"rm -rf {HOME}/servers/{NAME}/record.json {HOME}/lib")
    yield "removed record, specification and library from the host; the controller keeps nothing"
    host.require_stopped(host.stop())
    yield "stopped, proven"


@drill
def killed_restarted(host: Host) -> Iterator[str]:
    host.serving()
    killed, before = main_process(host), engines(host)
    host.kill(killed)
    yield f"killed API server {killed}; engine {before} outlives it for a moment"
    wait(lambda: host.info()["pid"] not in (None, killed), 60, "the restart")
    wait(lambda: host.info()["phase"] == "running", LOADED_SECONDS, "serving again")
    now = engines(host)
    require(len(now) == 1 and now != before, f"engines: {now}")
    require(host.info()["restarts"] == 1, "the restart is not counted")
    require(host.completes(), "it does not complete")
    yield f"one engine lives, {now[0]}, and it completes"


@drill
def orphans_stopped(host: Host) -> Iterator[str]:
    host.serving()
    left = leave_orphans(host)
    yield f"killed supervisor, launcher and API server; {left} live on without a parent"
    host.require_stopped(host.stop())
    yield "stopped, proven"


def customized(host: Host, code: str) -> dict[str, str]:
    """The environment in which every Python of a server runs this code first."""
    host.shell("rm -rf /root/drill; mkdir -p /root/drill")
    host.shell(f"cat > /root/drill/sitecustomize.py <<'END'\n{code}\nEND")
    return {**ENVIRONMENT, "PYTHONPATH": "/root/drill"}


ESCAPE = """
import os
if "api_server" in " ".join(open("/proc/self/cmdline").read().split("\\0")):
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        os.execv("/bin/sleep", ["drill-escaped", "3600"])
"""


@drill
def setsid_stopped(host: Host) -> Iterator[str]:
    host.serving(environment=customized(host, ESCAPE))
    escaped = [seen for seen in host.processes() if seen.title == "drill-escaped"]
    require(len(escaped) == 1, f"nothing escaped: {host.processes()}")
    yield f"process {escaped[0].pid} has left session and group; its parent is {escaped[0].ppid}"
    host.require_stopped(host.stop())
    yield "stopped, proven"


@drill
def stop_during_launch(host: Host) -> Iterator[str]:
    for moment, reached in (
        ("it imports", host.processes),
        ("its engine loads", lambda: host.named(ENGINE)),
    ):
        host.stop()
        host.start(wait=False)
        wait(reached, LOADED_SECONDS, moment)
        host.require_stopped(host.stop())
        time.sleep(3)
        host.require_nothing_left()
        yield f"stopped while {moment}, proven, and nothing came back"


def temporary_files(host: Host) -> set[str]:
    """What is in shared memory, in /tmp and in the servers' own temporary folders."""
    found = host.shell(f"find /dev/shm /tmp {HOME}/servers/*/tmp 2>/dev/null", check=False)
    return set(found.split())


@drill
def five_times(host: Host) -> Iterator[str]:
    host.clean()
    before = temporary_files(host)
    for number in range(1, 6):
        host.serving()
        host.require_stopped(host.stop())
        yield f"start and stop {number}"
    more = temporary_files(host) - before
    require(not more, f"left behind: {more}")
    yield "no shared memory and no temporary file was left"


@drill
def model_switched(host: Host) -> Iterator[str]:
    host.serving()
    host.require_stopped(host.stop())
    host.serving(model=OTHER_MODEL)
    require(host.completes(model=OTHER_MODEL), "model B does not complete")
    require(not host.completes(model=MODEL), "model A still answers")
    yield "model A was served and stopped, then model B alone answers"


@drill
def two_servers(host: Host) -> Iterator[str]:
    host.serving()
    host.serving("second", port=PORT + 1, model=OTHER_MODEL)
    require(host.completes() and host.completes(PORT + 1, OTHER_MODEL), "not both complete")
    second = host.info("second")["pid"]
    result = host.stop()
    require(result.get("stopped") == "proven", f"the stop is {result.get('stopped')}")
    alone = {seen.pid for seen in host.processes()}
    require(second in alone and len(host.named(ENGINE)) == 1, f"left: {alone}")
    require(host.completes(PORT + 1, OTHER_MODEL), "the other does not complete any more")
    yield "stopped one; the other is the same process and completes"
    host.require_stopped(host.stop("second"))
    yield "stopped the other"


@drill
def within_the_host(host: Host) -> Iterator[str]:
    host.serving()
    found = host.listeners()
    require(found, "nothing of it listens: there is nothing to show")
    beyond = [one for one in found if not one["address"].startswith(("127.", "::1", "::ffff:127."))]
    require(not beyond, f"beyond the loopback: {beyond}")
    require(not host.info()["exposed"], "model_server_info tells of an address that is none")
    yield f"{len(found)} listeners, all on the loopback"


@drill
def stop_twice(host: Host) -> Iterator[str]:
    host.serving()
    results: list[dict[str, Any]] = []
    stops = [threading.Thread(target=lambda: results.append(host.stop())) for _twice in range(2)]
    for stop in stops:
        stop.start()
    for stop in stops:
        stop.join()
    require(len(results) == 2, "one of them gave no result")
    for result in results:
        host.require_stopped(result)
    yield "two stops at once: both say proven, and it is true"


@drill
def memory_of_gpu(host: Host) -> Iterator[str]:
    facts = "/etc/inferops-sim/gpus.json"
    gpus = json.loads(host.shell(f"cat {facts}"))

    def use(used_mib: int) -> None:
        for gpu in gpus["gpus"]:
            gpu["memory.used"], gpu["memory.free"] = used_mib, gpu["memory.total"] - used_mib
        host.shell(f"cat > {facts} <<'END'\n{json.dumps(gpus)}\nEND")

    use(100)
    host.serving()
    use(20_000)
    result = host.stop()
    require(result.get("stopped") == "unproven", f"the stop is {result.get('stopped')}")
    require(result["vram"]["state"] == "above_baseline", f"memory: {result['vram']}")
    yield "the scripted driver still shows 20000 MiB in use: unproven"
    use(100)
    host.require_stopped(host.stop())
    yield "it shows the baseline again: proven"


# --- dying and being found again ---


@drill
def dead_while_starting(host: Host) -> Iterator[str]:
    host.stop()
    host.start(wait=False)
    wait(lambda: host.named(ENGINE), LOADED_SECONDS, "the engine's start")
    host.kill(main_process(host))
    seen = wait(lambda: _in_phase(host, "error"), 60, "the verdict")
    require(seen["reason"] == "died during startup", f"the reason is {seen['reason']}")
    require(seen["signal"] == "SIGKILL", f"the signal is {seen['signal']}")
    time.sleep(5)
    host.require_nothing_left()
    yield "killed while its engine loaded: error, died during startup, SIGKILL; nothing came back"


def _in_phase(host: Host, *phases: str) -> dict[str, Any] | None:
    seen = host.info()
    return seen if seen["phase"] in phases else None


@drill
def dead_while_running(host: Host) -> Iterator[str]:
    host.serving()
    host.kill(*leave_orphans(host))
    seen = host.info()
    require(seen["phase"] == "stopped", f"the phase is {seen['phase']}")
    require(seen["reason"] == "crashed", f"the reason is {seen['reason']}")
    yield "everything was killed: stopped, crashed"
    host.serving()
    yield "and it starts again"


def give_pid_away(host: Host, pid: int) -> None:
    """Have a stranger that sleeps get this PID, which must be free."""
    # The kernel hands out the next free number: ask for the one before.
    stranger = host.shell(
        f"for _try in $(seq 200); do echo {pid - 1} > /proc/sys/kernel/ns_last_pid;"
        f" sleep 600 >/dev/null 2>&1 & [ $! = {pid} ] && break; kill $!; done; echo $!"
    )
    require(stranger == str(pid), f"the PID could not be reused: {stranger}")


def require_stranger(host: Host, pid: int) -> None:
    """The stranger lives and is what it was."""
    name = host.shell(f"cat /proc/{pid}/comm", check=False)
    require(name == "sleep", f"process {pid}, a stranger's, is {name or 'gone'}")


def die_with_a_stranger(host: Host) -> int:
    """A server dies with its launcher, and a stranger gets its PID; that PID."""
    host.serving()
    pid = main_process(host)
    host.shell(f"cp {RECORD} /root/record.json && systemctl stop inferops-{NAME}")
    give_pid_away(host, pid)
    # What the record said while the server ran; the launcher has written its end meanwhile.
    host.shell(f"cp /root/record.json {RECORD}")
    return pid


@drill
def pid_reused(host: Host) -> Iterator[str]:
    pid = die_with_a_stranger(host)
    seen = host.info()
    require(not seen["alive"] and seen["phase"] == "stopped", f"{seen['phase']}, {seen['alive']}")
    require(seen["reason"] == "crashed", f"the reason is {seen['reason']}")
    require_stranger(host, pid)
    host.kill(pid)
    yield f"a stranger with PID {pid} is no server: stopped, crashed"


@drill
def pid_reused_stopped(host: Host) -> Iterator[str]:
    pid = die_with_a_stranger(host)
    host.require_stopped(host.stop())
    require_stranger(host, pid)
    host.kill(pid)
    yield f"the stop says proven, and the stranger with PID {pid} lives"


@drill
def pid_reused_started(host: Host) -> Iterator[str]:
    pid = die_with_a_stranger(host)
    host.serving()
    require(main_process(host) != pid and host.completes(), "nothing new was started")
    require_stranger(host, pid)
    host.kill(pid)
    yield f"a new server was started, and the stranger with PID {pid} lives"
    host.require_stopped(host.stop())


@drill
def record_corrupt(host: Host) -> Iterator[str]:
    yield from _rebuilt(host, f"head -c 100 /dev/urandom > {RECORD}")


@drill
def record_missing(host: Host) -> Iterator[str]:
    yield from _rebuilt(host, f"rm {RECORD}")


def _rebuilt(host: Host, damage: str) -> Iterator[str]:
    host.serving()
    pid = main_process(host)
    host.shell(damage)
    seen = host.info()
    require(seen["phase"] == "running" and seen["pid"] == pid, f"{seen['phase']}, {seen['pid']}")
    again = host.start()
    require(again.get("completion") and again["server"]["pid"] == pid, f"{again.get('msg')}")
    yield f"the record names process {pid} again, and it was kept"
    host.require_stopped(host.stop())
    yield "stopped, proven"


@drill
def crash_loop(host: Host) -> Iterator[str]:
    host.serving()
    killed: set[int] = set()
    deadline = time.monotonic() + 300
    while True:
        seen = host.info()
        if seen["phase"] == "error":
            break
        if seen["pid"] and seen["alive"] and seen["pid"] not in killed:
            killed.add(seen["pid"])
            host.kill(seen["pid"])
        require(time.monotonic() < deadline, "it restarts for ever")
        time.sleep(1)
    require("crash loop" in seen["reason"], f"the reason is {seen['reason']}")
    time.sleep(5)
    host.require_nothing_left()
    yield f"killed {len(killed)} times: {seen['reason']}"


AT_GREEN = """
import os, signal, threading, time, urllib.request

def act():
    while True:
        try:
            status = urllib.request.urlopen("http://127.0.0.1:8000/health", timeout=5).status
            break
        except OSError:
            time.sleep(0.005)
    with open("/root/drill/health", "w") as file:
        file.write(str(status))
    names = dict()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            names[int(pid)] = open("/proc/" + pid + "/comm").read()
        except OSError:
            continue
    workers = [pid for pid in names if names[pid].startswith("VLLM::Worker")]
    engines = [pid for pid in names if names[pid].startswith("VLLM::EngineCor")]
    for pid in workers or engines:
        os.kill(pid, signal.{signal})

if "api_server" in open("/proc/self/cmdline").read():
    threading.Thread(target=act, daemon=True).start()
"""
"""Runs in the API server: a signal to its workers as soon as /health is green."""


def require_green(host: Host) -> None:
    """AT_GREEN has seen a green /health and sent its signal."""
    seen = host.shell("cat /root/drill/health", check=False)
    require(seen == "200", f"/health was never green: {seen}")


def start_that_dies_of_sigill(host: Host) -> dict[str, Any]:
    """The result of a start whose worker dies once /health is green, as it dies of bfloat16."""
    environment = customized(host, AT_GREEN.format(signal="SIGILL"))
    result = host.start(arguments={**ARGUMENTS, "dtype": "bfloat16"}, environment=environment)
    require(result.get("failed"), f"it is said to serve: {result.get('completion')}")
    require_green(host)
    return result


@drill
def sigill(host: Host) -> Iterator[str]:
    result = start_that_dies_of_sigill(host)
    found = result.get("failure", {}).get("cause_id")
    require(found == "illegal_instruction", f"the cause is {found}: {result['msg']}")
    host.require_nothing_left()
    yield "/health said 200, the worker died by SIGILL: failed, and the cause is named"


@drill
def hung_worker(host: Host) -> Iterator[str]:
    host.serving()
    pid = main_process(host)
    for worker in (*host.named(WORKER), *host.named(ENGINE)):
        host.kill(worker.pid, signal="STOP")
    require(host.answer("/health").startswith("200"), "/health is not green")
    again = host.start()
    require(again.get("completion") and again["server"]["pid"] != pid, f"{again.get('msg')}")
    require(len(host.named(ENGINE)) == 1 and host.completes(), "not exactly one engine")
    yield "froze the engine, /health said 200: the server was replaced, and completes"


@drill
def hung_at_start(host: Host) -> Iterator[str]:
    environment = customized(host, AT_GREEN.format(signal="SIGSTOP"))
    result = host.start(check_timeouts_seconds={"completion": 20}, environment=environment)
    require(result.get("failed"), f"it is said to serve: {result.get('completion')}")
    require_green(host)
    why = "did not pass its check of completion within 20 s"
    require(why in result["msg"], result["msg"])
    require(host.info()["reason"] == "hung at its start", f"the reason: {host.info()['reason']}")
    require(result.get("stopped") == "proven", f"the stop is {result.get('stopped')}")
    host.require_nothing_left()
    yield f"/health said 200, then the engine froze: {result['msg'][:100]}"


@drill
def supervisor_killed(host: Host) -> Iterator[str]:
    host.serving()
    if host.name == SYSTEMD:
        host.kill(*host.launchers())
        yield "killed the launcher under systemd"
        wait(lambda: _in_phase(host, "running"), LOADED_SECONDS, "serving again")
        require(len(host.named(ENGINE)) == 1, f"engines: {host.named(ENGINE)}")
        yield "it was started again, and one engine lives"
    else:
        host.kill(*map(int, host.shell("pgrep -f '[b]in/supervisord -c'").split()))
        time.sleep(2)
        require(host.completes(), "the server went down with its supervisor")
        require(not host.info()["supervised"], "it is called supervised")
        yield "killed supervisord; the server goes on, and is told to have no supervisor"
    host.require_stopped(host.stop())
    yield "stopped, proven"
    host.serving()
    require(host.info()["supervised"], "it is not supervised")
    yield "and it starts again"


@drill
def host_restarted(host: Host) -> Iterator[str]:
    host.serving()
    pid = main_process(host)
    host.reboot()
    if host.name == SYSTEMD:
        give_pid_away(host, pid)
    seen = host.info()
    require(seen["phase"] == "stopped", f"the phase is {seen['phase']}")
    require("restarted" in (seen["reason"] or ""), f"the reason is {seen['reason']}")
    # The shared memory of a container outlives its restart: the next start sweeps it.
    require(not host.processes(), f"still alive: {host.processes()}")
    yield f"restarted the host: stopped, {seen['reason']}"
    if host.name == SYSTEMD:
        require_stranger(host, pid)
        yield f"a stranger has its PID, {pid}, now: it is no server, and lives"
    host.serving()
    host.require_stopped(host.stop())
    yield "it starts and stops again"


@drill
def start_at_boot(host: Host) -> Iterator[str]:
    host.serving(start_at_boot=True)
    host.reboot()
    seen = wait(lambda: _in_phase(host, "running"), LOADED_SECONDS, "that it serves by itself")
    require(seen["restarts"] == 0, f"it is called a crash: {seen}")
    require(len(host.named(ENGINE)) == 1 and host.completes(), "not exactly one that completes")
    yield f"restarted the host: process {seen['pid']} serves, and nobody has asked for it"
    host.require_stopped(host.stop())
    host.reboot()
    time.sleep(5)
    host.require_nothing_left()
    yield "stopped it and restarted the host again: nothing came back"


# --- starting what cannot start ---


@drill
def port_of_own_server(host: Host) -> Iterator[str]:
    host.serving()
    old = main_process(host)
    host.serving(model=OTHER_MODEL)
    require(len(host.named(ENGINE)) == 1, f"engines: {host.named(ENGINE)}")
    require(host.completes(model=OTHER_MODEL), "the new one does not complete")
    require(main_process(host) != old, "it is the old one")
    yield f"the older server {old} on port {PORT} was replaced"


# The last connections of the server before may keep the port for a minute.
OCCUPY = """
import socket, time
stranger = socket.socket()
for _second in range(90):
    try:
        stranger.bind(('127.0.0.1', {port}))
        break
    except OSError:
        time.sleep(1)
{listen}
print('has it', flush=True)
time.sleep(600)
"""
LISTEN = "stranger.listen()"


def occupy(host: Host, listen: str) -> int:
    """The PID of a stranger that holds the port, and does with it what *listen* says."""
    script, said = OCCUPY.format(port=PORT, listen=listen), "/root/stranger.log"
    pid = host.shell(f'nohup /usr/bin/python3 -c "{script}" >{said} 2>&1 & echo $!')
    wait(lambda: "has it" in host.shell(f"cat {said}"), 100, "that the stranger has the port")
    return int(pid)


@drill
def port_of_stranger(host: Host) -> Iterator[str]:
    host.clean()
    for kind, listen in (("listens", LISTEN), ("is bound", "")):
        stranger = occupy(host, listen)
        result = host.start()
        require(result.get("failed") and str(PORT) in result["msg"], f"{result.get('msg')}")
        require(not listen or str(stranger) in result["msg"], f"no owner: {result['msg']}")
        require(not host.processes(), "something was started")
        yield f"a stranger's port {kind}: refused, nothing was started"
        result = host.start(port="auto", wait=False)
        require(result.get("server", {}).get("port") == PORT + 1, f"{result.get('msg')}")
        host.stop()
        host.kill(stranger)
        yield f"port auto took {PORT + 1}"


@drill
def model_missing(host: Host) -> Iterator[str]:
    yield failed_start(host, "model_path_missing", model="/root/models/nowhere")


@drill
def weights_truncated(host: Host) -> Iterator[str]:
    yield failed_start(host, "weights_truncated", model=TRUNCATED)


@drill
def unknown_option(host: Host) -> Iterator[str]:
    host.serving()
    pid = main_process(host)
    result = host.start(arguments={**ARGUMENTS, "max_model_length": 512})
    require(result.get("failed"), "it started")
    require("max-model-length" in result["msg"], f"no option named: {result['msg']}")
    require(main_process(host) == pid and host.completes(), "the running server paid for it")
    yield f"refused, and the running server was left alone: {result['msg'][:150]}"


@drill
def disk_full(host: Host) -> Iterator[str]:
    host.shell("mkdir -p /root/drill/small && mount -t tmpfs -o size=256k tmpfs /root/drill/small")
    try:
        environment = {**ENVIRONMENT, "HF_HOME": "/root/drill/small", "HF_HUB_OFFLINE": "0"}
        yield failed_start(host, "disk_full", model="inferops/tiny-llama", environment=environment)
    finally:
        host.shell("umount /root/drill/small", check=False)


@drill
def out_of_memory(host: Host) -> Iterator[str]:
    host.clean()
    host.limit_memory("700m")
    try:
        yield failed_start(host, "host_out_of_memory")
    finally:
        host.limit_memory()
    kills = host.info()["oom_kills"]
    require(kills, f"the control group's counter told nothing: {kills}")
    yield f"its record counts {kills} processes that the kernel killed"


@drill
def no_network(host: Host) -> Iterator[str]:
    route = host.shell("ip route show default")
    host.shell("ip route del default")
    try:
        environment = {
            **ENVIRONMENT,
            "HF_HUB_OFFLINE": "0",
            "HF_ENDPOINT": "https://huggingface.co",
            "HF_HOME": "/root/drill/hub",
        }
        yield failed_start(
            host, "hub_unreachable", model="inferops/not-there", environment=environment
        )
        host.serving()
        yield "a local model serves without network"
    finally:
        host.shell(f"ip route add {route}", check=False)


LOG_MIB = 64 + 1
"""What the log of a server may take by default, and its head."""


@drill
def log_of_gigabytes(host: Host) -> Iterator[str]:
    host.serving()
    log = f"{HOME}/servers/{NAME}/server.log"
    host.shell(
        f"i=0; while [ $i -lt 20 ]; do head -c 104857600 /dev/zero | tr '\\0' 'x' | fold -w 200"
        f" >> {log}; i=$((i + 1)); done",
        seconds=300,
    )
    yield "the server has written 2 GB into its log"
    began = time.monotonic()
    seen = host.info(log_lines=50)
    require(len(seen["log_tail"]) <= 50, "the tail is no tail")
    wait(lambda: int(host.shell(f"du -sm {log} | cut -f1")) <= LOG_MIB, 60, "the rotation")
    require(host.completes(), "it does not complete any more")
    host.require_stopped(host.stop())
    size = int(host.shell(f"du -sm {HOME}/servers/{NAME} | cut -f1"))
    require(size <= LOG_MIB, f"{size} MiB are left")
    yield f"looked, rotated and stopped in {time.monotonic() - began:.0f} s; {size} MiB are left"


# --- mended by playbook recover, which finds the cause by itself ---


def mended(host: Host, state: str, cause_id: str | None, *steps: str) -> str:
    """Recover; what was wrong and done, after both were seen to be as they must be."""
    report = host.recover()
    before = report["before"]
    require(before["state"] == state, f"it is {before['state']}: {before}")
    require(cause_id in (None, before["cause_id"]), f"the cause is {before['cause_id']}: {before}")
    helped = [step["id"] for step in report["tried"] if step["helped"]]
    require(helped == list(steps), f"tried: {[step['id'] for step in report['tried']]}")
    require(report["mended"], f"the report says that it is not mended: {report['after']}")
    require(len(host.named(ENGINE)) == 1, f"engines: {host.named(ENGINE)}")
    require(host.completes(report["port"], report["model"]), "it does not complete")
    return f"{before['reason']}: {', '.join(steps)} helped, and it completes"


@drill
def mended_hang(host: Host) -> Iterator[str]:
    host.serving()
    host.kill(*engines(host), signal="STOP")
    require(host.answer("/health").startswith("200"), "/health is not green")
    yield "froze the engine, /health says 200"
    yield mended(host, "hung", None, "restart")
    host.require_stopped(host.stop())


@drill
def mended_crash(host: Host) -> Iterator[str]:
    host.serving()
    yield f"killed supervisor, launcher and API server; {leave_orphans(host)} live on"
    yield mended(host, "not_running", None, "restart")
    host.require_stopped(host.stop())


@drill
def mended_weights(host: Host) -> Iterator[str]:
    yield failed_start(host, "weights_truncated", model=TRUNCATED)
    yield mended(host, "not_running", "weights_truncated", "smaller_model")
    host.require_stopped(host.stop())


@drill
def mended_missing(host: Host) -> Iterator[str]:
    yield failed_start(host, "model_path_missing", model="/root/models/nowhere")
    yield mended(host, "not_running", "model_path_missing", "smaller_model")
    host.require_stopped(host.stop())


@drill
def mended_context(host: Host) -> Iterator[str]:
    arguments = {**ARGUMENTS, "max_model_len": 100_000}
    yield failed_start(host, "context_exceeds_model", arguments=arguments)
    yield mended(host, "not_running", "context_exceeds_model", "lower_max_model_len")
    host.require_stopped(host.stop())


@drill
def mended_sigill(host: Host) -> Iterator[str]:
    start_that_dies_of_sigill(host)
    host.shell("rm -r /root/drill")
    yield "/health said 200, the worker died by SIGILL"
    yield mended(host, "not_running", "illegal_instruction", "dtype_float32")
    host.require_stopped(host.stop())


@drill
def mended_port(host: Host) -> Iterator[str]:
    host.serving()
    host.require_stopped(host.stop())
    stranger = occupy(host, LISTEN)
    yield f"process {stranger}, a stranger, took the port of a server that was stopped"
    yield mended(host, "not_running", None, "next_free_port")
    host.kill(stranger)
    host.require_stopped(host.stop())


@drill
def mended_reboot(host: Host) -> Iterator[str]:
    host.serving()
    host.reboot()
    yield "restarted the host"
    yield mended(host, "not_running", None, "restart")
    host.require_stopped(host.stop())


__all__ = ["DRILLS", "Failed"]
