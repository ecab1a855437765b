# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done with a proxy beside what can be done with any service: change it as it runs.

Its keys change through the runtime socket and in their files, so that a restart knows them too.
All else that HAProxy can take over is a reload: a new worker takes the sockets, the old one ends
with its last stream. No request fails for either.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ...common import private_files
from ...common.private_files import write_private
from ..machine import ports
from ..machine.processes import alive, read_process, send_signal
from ..machine.tools import search_path, tool_environment
from ..service import lifecycle
from ..service.supervisors.supervisor import Supervisor
from . import configuration, keys, launcher
from .proxy import Proxy
from .runtime import NoAnswer
from .spec import Spec

LAUNCHER = launcher.__name__
"""Named here so that it travels with the module that ships it to the host."""

USUAL = "/usr/sbin/haproxy"
"""Where the packages of distributions put it."""

LEAST_VERSION = (2, 4)
CHECK_SECONDS = 60
RELOAD_SECONDS = 60.0
POLL_SECONDS = 0.2
DRAFT = f"{configuration.FILE}.new"
FIRST_AGENT_PORT = 8600
AGENT_PORTS = 200
"""Which port of the loopback an agent takes first, and how many are tried."""


class Refused(Exception):
    """It cannot be done; the text says what to change. What ran before runs on."""


class Secrets(NamedTuple):
    """What is in the files beside the configuration, by file: the entries of a map."""

    clients: Mapping[str, str]
    upstream: str | None

    @property
    def files(self) -> dict[str, dict[str, str]]:
        upstream = {} if self.upstream is None else {keys.UPSTREAM: self.upstream}
        return {configuration.KEYS: dict(self.clients), configuration.UPSTREAM_KEY: upstream}


def find_executable(given: str | None) -> str:
    """The HAProxy of this host. Raises Refused."""
    found = shutil.which(given or "haproxy", path=search_path(os.environ.get("PATH", "")))
    if found is None:
        raise Refused(
            f"{given or 'haproxy'} is not there or not executable. Install package haproxy, as "
            "role inferops.gpu.proxy does, or set executable."
        )
    return os.path.abspath(found)


def version(executable: str) -> str:
    """Its version. Raises Refused for one that is too old or none."""
    said = _run([executable, "-v"], Path("/")).stdout
    found = re.search(r"version (\d+)\.(\d+)(\S*)", said)
    if found is None:
        raise Refused(f"{executable} does not say which version of HAProxy it is.")
    if (int(found[1]), int(found[2])) < LEAST_VERSION:
        raise Refused(
            f"{executable} is HAProxy {found[1]}.{found[2]}; it takes "
            f"{'.'.join(map(str, LEAST_VERSION))} or newer. Set executable to a newer one."
        )
    return f"{found[1]}.{found[2]}{found[3]}"


def held(proxy: Proxy) -> dict[str, dict[str, str]]:
    """What its files of keys hold now; a missing one holds nothing."""
    return {file: keys.held_in(proxy.folder / file) for file in Secrets({}, None).files}


def kept(proxy: Proxy) -> Secrets:
    """What its files of keys hold now."""
    found = held(proxy)
    return Secrets(found[configuration.KEYS], found[configuration.UPSTREAM_KEY].get(keys.UPSTREAM))


def holds(proxy: Proxy, text: str) -> bool:
    """Whether a restart would find this configuration."""
    return private_files.holds(proxy.configuration, text)


def forget_keys(proxy: Proxy) -> None:
    """Remove what it held of keys from this host."""
    for file in Secrets({}, None).files:
        (proxy.folder / file).unlink(missing_ok=True)


def runs_with(proxy: Proxy, spec: Spec) -> bool:
    """Whether it runs, kept by its launcher, with just these settings."""
    try:
        return proxy.runtime.identity() == configuration.identity(spec)
    except NoAnswer:
        return False


def knows(proxy: Proxy, secrets: Secrets) -> bool:
    """Whether files and process have just these keys."""
    try:
        return (
            held(proxy)
            == secrets.files
            == {file: proxy.runtime.entries(file) for file in secrets.files}
        )
    except NoAnswer:
        return False


def start(proxy: Proxy, spec: Spec, secrets: Secrets, supervisor: Supervisor) -> None:
    """Write down what is wanted, see that HAProxy takes it, and have the supervisor run it. The
    old tree must be gone. Raises Refused."""
    write_keys(proxy, secrets)
    check(proxy, spec)
    write_private(proxy.configuration, configuration.render(spec))
    lifecycle.start(proxy, spec, supervisor)


def write_keys(proxy: Proxy, secrets: Secrets) -> None:
    """Into their files."""
    for file, entries in secrets.files.items():
        write_private(proxy.folder / file, keys.as_map(entries))


def check(proxy: Proxy, spec: Spec) -> None:
    """Let HAProxy itself read the configuration. Raises Refused with its own words."""
    draft = proxy.folder / DRAFT
    write_private(draft, configuration.render(spec))
    try:
        done = _run([spec.executable, "-c", "-f", DRAFT], proxy.folder)
    finally:
        draft.unlink(missing_ok=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if "ALERT" in line]
        raise Refused(f"HAProxy refuses its configuration: {' '.join(said)[:1000]}")


def rotate(proxy: Proxy, secrets: Secrets) -> None:
    """Change the keys of a proxy that runs. Its files come first: a restart in between knows the
    new ones. Raises Refused."""
    write_keys(proxy, secrets)
    try:
        for file, entries in secrets.files.items():
            proxy.runtime.change_entries(file, entries)
    except NoAnswer as error:
        raise Refused(f"The proxy did not take its new keys: {error}. Run it again.") from error


def reload(proxy: Proxy, spec: Spec, secrets: Secrets) -> None:
    """Have a proxy that runs take over these settings. Raises Refused; then it goes on with the
    old ones, and finds them in its files."""
    check(proxy, spec)
    before, text = proxy.spec(), proxy.configuration.read_text()
    rotate(proxy, secrets)
    write_private(proxy.configuration, configuration.render(spec))
    proxy.write_spec(spec)
    try:
        _have_read_again(proxy, spec)
    except Refused:
        write_private(proxy.configuration, text)
        if before is not None:
            proxy.write_spec(before)
        raise


def _have_read_again(proxy: Proxy, spec: Spec) -> None:
    record = proxy.record()
    master = read_process(record.pid) if record and record.pid else None
    if master is None or not alive(record.identity):
        raise Refused("The proxy has just ended. Run it again.")
    send_signal(master, signal.SIGUSR2)
    deadline = time.monotonic() + RELOAD_SECONDS
    while not runs_with(proxy, spec):
        if time.monotonic() >= deadline:
            raise Refused(
                f"The proxy did not take over its new settings within {RELOAD_SECONDS:g} s, and "
                f"goes on with the old ones. The end of {proxy.log} says why."
            )
        time.sleep(POLL_SECONDS)


def agent_port(before: Spec | None, taken: set[int]) -> int:
    """The port for the agent: the one it has, else a free one of the loopback. Raises Refused."""
    if before is not None and before.agent_port not in taken:
        return before.agent_port
    for port in range(FIRST_AGENT_PORT, FIRST_AGENT_PORT + AGENT_PORTS):
        if port not in taken and not ports.is_taken("127.0.0.1", port):
            return port
    raise Refused(f"No port is free from {FIRST_AGENT_PORT} on for the agent of the proxy.")


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=CHECK_SECONDS,
            cwd=folder,
            env=tool_environment(),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refused(f"{command[0]} cannot be run: {error}") from error
