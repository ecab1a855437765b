# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wait for a rental with live progress. The module of the same name documents it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.market.access.host_keys import (
    derive,
    known_hosts_lines,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.access.ssh_probe import Login
from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import (
    HostFault,
    ImageRefused,
    MarketError,
    RequestRefused,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import (
    HostKey,
    Rental,
    check_public_key,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.history import History
from ansible_collections.inferops.gpu.plugins.module_utils.market.own import is_own, own_rental
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.provider import Provider
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.logs import (
    explained,
    last_lines,
    read_log,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.options import (
    ACCOUNT_OPTIONS,
    HOST_KEYS_OPTION,
    account_at,
    make_provider,
    scope_secret,
    with_usual,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.waiting import (
    YOUNG_SECONDS,
    Reached,
    ReadyLimits,
    Waiter,
    age_seconds,
    ready_limits,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.controller import here
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import WorkerAction
from ansible_collections.inferops.gpu.plugins.plugin_utils.key_pair import public_half

_ARGUMENTS: dict[str, Any] = {
    **ACCOUNT_OPTIONS,
    "id": {"type": "str", "required": True},
    "ssh_private_key_file": {"type": "path", "required": True},
    "known_hosts_file": {"type": "path", "required": True},
    "host_keys": HOST_KEYS_OPTION,
    "image_gib": {"type": "float"},
    "download_mbit_per_second": {"type": "float", "default": 0.0},
    "history_path": {"type": "path"},
    "machine_id": {"type": "str", "default": ""},
    "timeout_seconds": {"type": "float"},
    "expected_seconds": {"type": "float"},
    "nonce": {"type": "str"},
    "id_provider": {"type": "str"},
}


class ActionModule(WorkerAction):
    """Polls the provider, attaches the key, probes SSH, replaces the delivered host key."""

    argument_spec = _ARGUMENTS

    def work(self, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """The result that the documentation promises."""
        self._host = variables.get("inventory_hostname", "localhost")
        if is_own(given["provider"]):
            return _of_own(given)
        try:
            return self._wait(with_usual(account_at(given, given["id_provider"])), variables)
        except MarketError as error:
            return _failed(error, given["id"])

    def _wait(self, options: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        clock = Clock.from_environment()
        provider = make_provider(options, clock)
        if self._task.check_mode:
            return _as_it_is(options, provider, clock)
        try:
            return self._reach(options, provider, clock)
        except (HostFault, ImageRefused) as fault:
            self.secrets |= self._secrets_of_the_fleet(variables)
            return self._with_log(fault, options["id"], provider)

    def _with_log(self, fault: MarketError, rental_id: str, provider: Provider) -> dict[str, Any]:
        """The failure of a host that nobody could log in to, with what its provider tells of it."""
        if provider.tells_log:
            self._tell(f"reading the log of rental {rental_id}, before it may be released")
        heard = read_log(provider, rental_id)
        return {
            **_failed(explained(rental_id, fault, heard.log), rental_id),
            "log": last_lines(heard.log, self.secrets),
            "log_missing": heard.missing,
        }

    def _reach(self, options: dict[str, Any], provider: Provider, clock: Clock) -> dict[str, Any]:
        public_key = _public_key(options["ssh_private_key_file"])
        limits = _limits(options)
        waiter = Waiter(provider, clock, self._tell, expected_seconds=options["expected_seconds"])
        start = clock.monotonic()

        def login_for(rental: Rental) -> Login:
            keys = _host_keys(options, provider, rental)
            return _login(options, rental, keys, age_seconds(rental, provider, clock))

        rental = waiter.until_running(options["id"], limits, login_for)
        running_at = clock.monotonic()
        if options["timeout_seconds"] is not None:
            left = max(0.0, options["timeout_seconds"] - (running_at - start))
            limits = replace(limits, ssh_seconds=left)
        keys = _host_keys(options, provider, rental)
        login = login_for(rental)
        new_host_key = keys[0] if keys else None
        reached = waiter.until_ssh(rental, login, public_key, limits, new_host_key)
        seconds = {
            "running": round(running_at - start, 1),
            "ssh": round(clock.monotonic() - running_at, 1),
        }
        return {
            **_result(reached, seconds),
            "brings_host_key": provider.delivers_host_key,
            "remaining_seconds": _remaining(provider, rental, clock),
        }

    def _tell(self, line: str) -> None:
        self.tell(self._host, line)


def _failed(error: MarketError, rental_id: str) -> dict[str, Any]:
    error.money = error.money or f"Rental {rental_id} may bill."
    return {"failed": True, "msg": str(error), "failure": error.to_dict()}


def _of_own(given: dict[str, Any]) -> dict[str, Any]:
    """A host of the user's own is there, and logged in to as the inventory says."""
    found = {"changed": False, "rental": own_rental(given["provider"], given["id"])}
    return {**found, "seconds": {"running": 0.0, "ssh": 0.0}, "remaining_seconds": None}


def _limits(options: dict[str, Any]) -> ReadyLimits:
    if options["timeout_seconds"] is not None:
        return ReadyLimits(options["timeout_seconds"], options["timeout_seconds"])
    history = History(options["history_path"])
    return ready_limits(
        options["image_gib"],
        options["download_mbit_per_second"],
        history.boot_seconds(options["provider"], options["machine_id"]),
        options["expected_seconds"],
    )


def _host_keys(options: dict[str, Any], provider: Provider, rental: Rental) -> list[HostKey]:
    """The keys that the host may show, the preferred one first; none to trust the first contact."""
    if rental.mark is None and rental.claim is not None:
        raise RequestRefused(
            f"The mark of rental {rental.id}, {rental.label!r}, is not proven by the secret of its "
            "scope, so nobody logs in.",
            remedy="Set the secret that it was rented with (inferops_scope_secret).",
        )
    if options["host_keys"] != "delivered" or not provider.delivers_host_key:
        return []
    mark = rental.mark
    if mark is None:
        raise RequestRefused(
            f"The host key of rental {rental.id} is unknown, because its label {rental.label!r} is "
            "not a mark of this collection.",
            remedy="Trust its first connection with host_keys: first_contact.",
        )
    secret = scope_secret(options)
    return [derive(secret, mark, generation) for generation in (2, 1)]


def _login(
    options: dict[str, Any], rental: Rental, keys: list[HostKey], age_seconds: float
) -> Login:
    """Who logs in, and which of *keys* the host may show.

    The marketplace has seen the first one, which came with the rental request. So it counts only
    for the run that made the request, and only while that is young.
    """
    mark = rental.mark
    is_ours = mark is not None and mark.nonce == options["nonce"] and age_seconds < YOUNG_SECONDS
    believed = [key.public for key in (keys if is_ours else keys[:1])]
    seen_by_others = [key.public for key in keys[1:] if key.public not in believed]
    return Login(
        rental.ssh_user,
        options["ssh_private_key_file"],
        options["known_hosts_file"],
        tuple(believed),
        tuple(seen_by_others),
    )


def _as_it_is(options: dict[str, Any], provider: Provider, clock: Clock) -> dict[str, Any]:
    """What check mode tells without a wait: what is known of the rental before any contact."""
    rental = provider.get(options["id"])
    if rental is None:
        return {"changed": False, "rental": None}
    keys = _host_keys(options, provider, rental)
    return {
        "changed": False,
        "rental": rental.to_dict(),
        "known_hosts": known_hosts_lines(rental.ssh, keys[0].public) if keys else [],
        "brings_host_key": provider.delivers_host_key,
        "remaining_seconds": _remaining(provider, rental, clock),
    }


def _result(reached: Reached, seconds: dict[str, float]) -> dict[str, Any]:
    rental, endpoint = reached.rental, reached.endpoint
    return {
        "changed": False,
        "rental": rental.to_dict(),
        "ssh": {"user": rental.ssh_user, "host": endpoint.host, "port": endpoint.port},
        "host_key": reached.host_key,
        "known_hosts": known_hosts_lines(rental.ssh, reached.host_key),
        "seconds": seconds,
    }


def _remaining(provider: Provider, rental: Rental, clock: Clock) -> int | None:
    """Seconds until the deadline in the mark, by the provider's clock; None when it has none."""
    if rental.mark is None or not rental.mark.deadline:
        return None
    return round(rental.mark.deadline - clock.now() - provider.clock_offset_seconds)


def _public_key(private_key_file: str) -> str:
    try:
        return check_public_key(public_half(here(private_key_file)))
    except (OSError, ValueError) as error:
        raise RequestRefused(
            f"The SSH key cannot be used: {error}",
            remedy="Name a private key that can be used (inferops_ssh_private_key_file).",
        ) from error
