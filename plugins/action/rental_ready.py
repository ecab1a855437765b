# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wait for a rental with live progress. The module of the same name documents it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import (
    CredentialError,
    MarketError,
    ProviderUnavailable,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import (
    FAILED,
    RUNNING,
    STOPPED,
    Endpoint,
    Rental,
    check_public_key,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.options import (
    MARKET_OPTIONS,
    make_provider,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.provider import Provider
from ansible_collections.inferops.gpu.plugins.module_utils.market.ssh_probe import Probe, probe

_ARGUMENTS: dict[str, Any] = {
    **MARKET_OPTIONS,
    "id": {"type": "str", "required": True},
    "ssh_private_key_file": {"type": "path", "required": True},
    "known_hosts_file": {"type": "path", "required": True},
    "timeout_seconds": {"type": "float", "default": 900.0},
}
_POLL_SECONDS = 2.0
#: A state that ends the wait must be seen this often: listings waver, and a heartbeat may be late.
_SURE_AFTER = 10


class ActionModule(ActionBase):
    """Polls the provider, attaches the key, probes SSH."""

    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The result that the documentation promises."""
        super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec(argument_spec=_ARGUMENTS)
        self._host = (task_vars or {}).get("inventory_hostname", "localhost")
        self._last_line = ""
        try:
            return self._wait(options)
        except MarketError as error:
            raise AnsibleActionFail(str(error)) from error

    def _wait(self, options: dict[str, Any]) -> dict[str, Any]:
        clock = Clock()
        provider = make_provider(options)
        if self._task.check_mode:
            rental = provider.get(options["id"])
            return {"changed": False, "rental": rental.to_dict() if rental else None}
        ticks = clock.ticks(options["timeout_seconds"], _POLL_SECONDS)
        start = clock.monotonic()
        rental = self._until_running(provider, options["id"], ticks)
        running_at = clock.monotonic()
        provider.attach_key(rental.id, _public_key(options["ssh_private_key_file"]))
        endpoint = self._until_ssh(rental, options, ticks)
        return {
            "changed": False,
            "rental": rental.to_dict(),
            "ssh": {"user": rental.ssh_user, "host": endpoint.host, "port": endpoint.port},
            "seconds": {
                "running": round(running_at - start, 1),
                "ssh": round(clock.monotonic() - running_at, 1),
            },
        }

    def _until_running(self, provider: Provider, rental_id: str, ticks: Iterator[float]) -> Rental:
        ends_seen = 0
        text = "never seen"
        for waited in ticks:
            try:
                rental = provider.get(rental_id)
            except CredentialError:
                raise
            except ProviderUnavailable as error:
                self._tell(f"provider does not answer: {error}", waited)
                continue
            text = rental.status_text if rental else "the provider does not know it"
            self._tell(f"rental {rental_id} is {text}", waited)
            if rental and rental.status == RUNNING and rental.ssh:
                return rental
            ends_seen = ends_seen + 1 if not rental or rental.status in (FAILED, STOPPED) else 0
            if ends_seen >= _SURE_AFTER:
                raise MarketError(
                    f"Rental {rental_id} will not run: {text}. Release it and take another offer."
                )
        raise MarketError(
            f"Rental {rental_id} did not run in time; last seen: {text}. Raise timeout_seconds "
            "for a large image or a slow host, or take another offer."
        )

    def _until_ssh(
        self, rental: Rental, options: dict[str, Any], ticks: Iterator[float]
    ) -> Endpoint:
        tried: dict[Endpoint, Probe] = {}
        for waited in ticks:
            for endpoint in rental.ssh:
                seen = probe(
                    endpoint.host,
                    endpoint.port,
                    rental.ssh_user,
                    options["ssh_private_key_file"],
                    options["known_hosts_file"],
                )
                tried[endpoint] = seen
                if seen.ready:
                    return endpoint
                if seen.final:
                    raise MarketError(f"SSH to {endpoint.host}:{endpoint.port}: {seen.detail}")
                self._tell(f"SSH at {endpoint.host}:{endpoint.port} waits at {seen.stage}", waited)
        reasons = "; ".join(
            f"{endpoint.host}:{endpoint.port} failed at {seen.stage} ({seen.detail})"
            for endpoint, seen in tried.items()
        )
        raise MarketError(
            f"Rental {rental.id} runs, but SSH was not ready in time: {reasons or 'never tried'}. "
            "Release it and take another offer, or raise timeout_seconds."
        )

    def _tell(self, line: str, waited: float) -> None:
        """Show what is new, once."""
        if line != self._last_line:
            Display().display(f"{self._host}: {line} ({waited:.0f} s)")
            self._last_line = line


def _public_key(private_key_file: str) -> str:
    path = os.path.expanduser(private_key_file) + ".pub"
    try:
        with open(path, encoding="utf-8") as file:
            return check_public_key(file.read())
    except OSError as error:
        raise MarketError(
            f"The public SSH key cannot be read: {error}. Make the pair with ssh-keygen -t ed25519."
        ) from error
