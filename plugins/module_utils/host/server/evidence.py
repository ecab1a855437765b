# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What explains a failure, gathered on the host: bounded, without secrets, within a time box.

Each part is a file of text. One that cannot be had is named with the reason; one that hangs (a
driver that does not answer) is left behind, so that the others still come.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Callable, NamedTuple

from ...common.redaction import redact
from ..gpus import activity, report
from ..machine.facts import host_facts
from ..machine.processes import snapshot
from ..machine.tools import tool_environment
from ..service.logs import Log
from ..service.supervisors.choice import named
from ..stack.stack import Stack
from . import observation
from .layout import Layout, Server
from .spec import secret_values

HEAD_BYTES = 64 * 1024
OTHER_LOG_BYTES = 64 * 1024
PART_BYTES = 256 * 1024
KERNEL_LINES = 300


class Gathered(NamedTuple):
    """`parts` maps a file's name to its text, `missing` to the reason why there is none."""

    parts: dict[str, str]
    missing: dict[str, str]


class Missing(Exception):
    """A part cannot be had; the text says why."""


Part = tuple[str, Callable[[], str]]


def gather(
    layout: Layout,
    server: Server,
    log_bytes: int,
    timeout_seconds: float,
    part_seconds: float,
    more: Iterable[Part] = (),
    more_secrets: Iterable[str] = (),
) -> Gathered:
    """All parts, the telling ones first: what is late is missing when the time is up.

    `more` are parts of what stands beside the servers, with its secrets.
    """
    deadline = time.monotonic() + timeout_seconds
    secrets = {value for each in layout.servers() for value in secret_values(each.environment())}
    secrets.update(more_secrets)
    parts: dict[str, str] = {}
    missing: dict[str, str] = {}
    for name, read in _parts(layout, server, log_bytes, more):
        seconds = min(part_seconds, deadline - time.monotonic())
        try:
            text = _within(read, seconds)
        except (Missing, OSError, ValueError) as error:
            missing[name] = str(error)
            continue
        parts[name] = redact(text, secrets)
    return Gathered(parts, missing)


def _within(read: Callable[[], str], seconds: float) -> str:
    """Call it in a thread that is given up after so long: nothing else ends a hanging driver."""
    if seconds <= 0:
        raise Missing("the time for collecting was up before its turn")
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(read())
        except Exception as error:  # a thread's error would be lost otherwise
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise Missing(f"it took longer than {seconds:.0f} s")
    if isinstance(outcome[0], Exception):
        raise Missing(str(outcome[0]) or type(outcome[0]).__name__)
    return str(outcome[0])


def _parts(layout: Layout, server: Server, log_bytes: int, more: Iterable[Part]) -> Iterator[Part]:
    yield "server.log", lambda: log_excerpt(Log(server.log), log_bytes)
    yield "record.json", lambda: file_text(server.record_path)
    yield "command.txt", lambda: _command(server)
    yield "launcher.log", lambda: log_excerpt(Log(server.launcher_log), OTHER_LOG_BYTES)
    yield from more
    yield "supervisor.txt", lambda: _supervisor(layout, server)
    yield "gpu.json", _gpu
    yield "kernel.txt", lambda: _last_lines(_output("dmesg"), KERNEL_LINES)
    yield "memory.txt", _memory
    yield "disk.txt", lambda: _output("df", "-hT") + "\n" + _sizes(layout.home)
    yield "processes.txt", _processes
    yield "packages.txt", lambda: _packages(layout.home)
    yield "lock.txt", lambda: file_text(layout.home / "stack" / "lock.txt")
    yield "requirements.txt", lambda: file_text(layout.home / "stack" / "requirements.in")
    yield "nvidia-smi.txt", lambda: _output("nvidia-smi")
    yield "host.json", lambda: _json(host_facts(layout.home))
    others = [other for other in layout.servers() if other.name != server.name]
    for other in others:
        yield f"{other.name}.log", partial(log_excerpt, Log(other.log), OTHER_LOG_BYTES)


def log_excerpt(log: Log, tail_bytes: int) -> str:
    """Head and tail of a log that may have gigabytes, or have been cut; what is missing is said."""
    if not log.path.exists():
        raise Missing(f"there is no {log.path.name} on the host")
    return log.excerpt(HEAD_BYTES, tail_bytes)


def file_text(path: Path) -> str:
    """The beginning of a file; one that is not there is said to be missing."""
    if not path.exists():
        raise Missing("there is no such file on the host")
    with path.open("rb") as stream:
        return stream.read(PART_BYTES).decode(errors="replace")


def _command(server: Server) -> str:
    """The rendered command, and the names of the variables beside it, never their values."""
    spec = server.spec()
    if spec is None:
        raise Missing("the server was never started here, or its specification is damaged")
    names = "".join(f"# environment: {name}\n" for name in sorted(spec.environment))
    return f"{names}{shlex.join(spec.command)}\n"


def _supervisor(layout: Layout, server: Server) -> str:
    """What keeps the server running says of it: where it never came to a log of its own."""
    spec = server.spec()
    supervisor = named(spec.supervisor, layout) if spec is not None else None
    command = supervisor.log_command(server) if supervisor is not None else None
    if command:
        return _output(*command)
    return log_excerpt(Log(layout.supervisor / "supervisord.log"), OTHER_LOG_BYTES)


def _output(*command: str) -> str:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=60,
            env=tool_environment(),
        )
    except FileNotFoundError as error:
        raise Missing(f"{command[0]} is not installed") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(str(error)) from error
    text = done.stdout[-PART_BYTES:].decode(errors="replace")
    if done.returncode:
        raise Missing(f"{command[0]} fails with status {done.returncode}: {text.strip()[:300]}")
    return text


def _gpu() -> str:
    return _json({**report.report().to_dict(), "activity": activity.read()})


def _memory() -> str:
    """The machine's memory, and what the control group says about limits and kills."""
    names = ("memory.max", "memory.current", "memory.events")
    files = [Path("/proc/meminfo"), *(Path("/sys/fs/cgroup") / name for name in names)]
    files.append(Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
    found = [f"==> {path}\n{file_text(path)}" for path in files if path.exists()]
    return "\n".join(found)


def _sizes(home: Path) -> str:
    """What takes the room below our folder; empty where du cannot tell."""
    try:
        return _output("du", "-xm", "--max-depth=2", str(home))
    except Missing:
        return ""


def _processes() -> str:
    shown = (process.describe() for process in snapshot().values())
    return "".join(
        f"{one['pid']:>8} {one['ppid']:>8} {one['state']} {one['name']:<16} {one['command']}\n"
        for one in shown
    )


def _packages(home: Path) -> str:
    installed = Stack(str(home)).installed()
    if not installed:
        raise Missing("no packages are installed in the stack's environment")
    return "".join(f"{name}=={version}\n" for name, version in sorted(installed.items()))


def _last_lines(text: str, count: int) -> str:
    return "\n".join(text.splitlines()[-count:]) + "\n"


def _json(content: Any) -> str:
    return json.dumps(content, indent=2, sort_keys=True) + "\n"


def states(layout: Layout) -> list[dict[str, Any]]:
    """Every server of the host as it is now."""
    return [observation.observe(server) for server in layout.servers()]
