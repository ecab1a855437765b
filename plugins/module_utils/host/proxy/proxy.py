# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proxy as a kind of service: what is run, and whether it serves."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Callable

from ..machine import ports
from ..machine.processes import Process
from ..service.layout import NAME
from ..service.service import Probe, Service
from . import configuration
from .runtime import NoAnswer, Runtime
from .spec import Listener, Spec

MARKER = "INFEROPS_PROXY"
CHECKS = ("port", "settings", "closed")
"""Each listener is bound by it, it runs with what was asked for, and nobody gets in without a key.
"""

ANSWER_SECONDS = 5.0
FOLDER = "proxies"


class Proxy(Service[Spec]):
    """One proxy's folder."""

    kind = "proxy"
    title = "proxy of an inference server"
    marker = MARKER
    launcher = "host.proxy.launcher"
    spec_type = Spec
    first_check = CHECKS[0]

    @property
    def configuration(self) -> Path:
        return self.folder / configuration.FILE

    @property
    def asked(self) -> Path:
        """What the last deploy asked of it, and what that was fulfilled with."""
        return self.folder / "asked.json"

    @property
    def port(self) -> int | None:
        """That of its first listener, None where it was never asked for or that is lost."""
        spec = self.spec()
        return spec.listens[0].port if spec else None

    @property
    def runtime(self) -> Runtime:
        return Runtime(self.folder)

    def command(self, spec: Spec) -> list[str]:
        """A master, which can be told to read its configuration again, and its worker. It is run
        in its folder."""
        return [spec.executable, "-W", "-db", "-f", configuration.FILE]

    def probe(
        self,
        spec: Spec,
        tree: list[Process],
        quick: bool = False,
        tell: Callable[[str], None] | None = None,
    ) -> Probe:
        """That its engines serve is not for it to say: it serves while they start."""
        for each in spec.listens:
            if not ports.listeners(each.port, tree):
                return Probe("port", f"no process of it listens on port {each.port}")
        try:
            running = self.runtime.identity()
        except NoAnswer as error:
            return Probe("settings", str(error))
        if running != configuration.identity(spec):
            return Probe("settings", "it runs with other settings than it was asked for")
        return closed(spec.listens)


def closed(listeners: Iterable[Listener]) -> Probe:
    """Whether each of them turns away who has no key."""
    for each in listeners:
        try:
            status = _status_without_key(each)
        except (OSError, http.client.HTTPException) as error:
            return Probe("closed", f"port {each.port}: {error or type(error).__name__}")
        if status != 401:
            return Probe("closed", f"port {each.port} answered {status} to a request without a key")
    return Probe(None, "it asks for a key")


def _status_without_key(listener: Listener) -> int:
    address = ports.loopback_for(listener.address)
    connection = _connection(address, listener)
    try:
        connection.request("GET", "/v1/models")
        return connection.getresponse().status
    finally:
        connection.close()


def _connection(address: str, listener: Listener) -> http.client.HTTPConnection:
    """To ourselves, over this machine's loopback: whose certificate it is does not matter."""
    if listener.certificate is None:
        return http.client.HTTPConnection(address, listener.port, timeout=ANSWER_SECONDS)
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(
        address, listener.port, timeout=ANSWER_SECONDS, context=trusting
    )


def proxy_of(home: Path, name: str) -> Proxy:
    """The proxy of this name below a home folder. That before a server has the server's name."""
    return Proxy(home / FOLDER / name)


def proxies(home: Path) -> list[Proxy]:
    """Those that have a folder below a home folder, by name."""
    folder = home / FOLDER
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [Proxy(path) for path in found if path.is_dir() and NAME.fullmatch(path.name)]
