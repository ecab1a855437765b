# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep the account of a run's attempts to rent. The module of the same name documents it."""

from __future__ import annotations

import os
from typing import Any

from ansible.utils.display import Display

from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import rental_cost_usd
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.history import (
    MEASURED,
    Attempt,
    History,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.attempts import (
    KEEP,
    RELEASE,
    Failure,
    Ledger,
    Limits,
    after_release,
    fallen_silent,
    is_silent,
    judge,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.outcome import (
    Failed,
    Release,
    failed_attempt,
    failed_deploy,
    in_one,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.starting import (
    started_in,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import WorkerAction

_DICT: dict[str, Any] = {"type": "dict", "default": {}}
_DICTS: dict[str, Any] = {"type": "list", "elements": "dict", "default": []}
_ARGUMENTS: dict[str, Any] = {
    "state": {
        "type": "str",
        "required": True,
        "choices": ["begun", "looked", "served", "measured", "failed", "released", "ended"],
    },
    "ledger": _DICT,
    "created": _DICT,
    "rental": _DICT,
    "result": _DICT,
    "looks": _DICTS,
    "verdict": _DICT,
    "released": _DICTS,
    "release_failed": _DICT,
    "stopped": _DICT,
    "max_attempts": {"type": "int", "default": 5},
    "budget_usd": {"type": "float", "default": 0.0},
    "on_failure": {"type": "str", "choices": [RELEASE, KEEP], "default": RELEASE},
    "history_path": {"type": "str", "default": ""},
    "boot_seconds": {"type": "float", "default": 0.0},
    "clock_offset_seconds": {"type": "float", "default": 0.0},
    "ratios": _DICT,
    "task": {"type": "str", "default": "an unknown task"},
    "message": {"type": "str", "default": "no message"},
    "unreachable": {"type": "bool", "default": False},
    "evidence": {"type": "path", "default": ""},
}


class ActionModule(WorkerAction):
    """Decides by what it is given, and adds to the history; the play does the rest."""

    argument_spec = _ARGUMENTS
    required_if = (("state", "released", ("verdict",)),)

    def work(self, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """The result that the documentation promises."""
        self._options = given
        self._host = variables.get("inventory_hostname", "localhost")
        self._now = Clock.from_environment().now()
        # It began by the provider's clock, whatever this one shows.
        now = self._now + self._options["clock_offset_seconds"]
        self._cost_usd = rental_cost_usd(self._options["rental"], now)
        self._ledger = Ledger.from_dict(self._options["ledger"])
        told: dict[str, Any] = getattr(self, f"_{self._options['state']}")()
        # An account is about a run, not a state to keep.
        return {"changed": False, **told}

    def _begun(self) -> dict[str, Any]:
        return self._told(self._ledger.begun())

    def _looked(self) -> dict[str, Any]:
        silence = fallen_silent(self._options["looks"])
        return {"failed": True, "msg": silence} if silence else {}

    def _served(self) -> dict[str, Any]:
        self._remember_last_attempt()
        self._remember("served")
        return {"cost_usd": self._cost_usd}

    def _measured(self) -> dict[str, Any]:
        self._remember(MEASURED)
        return {}

    def _failed(self) -> dict[str, Any]:
        options = self._options
        verdict = judge(
            self._ledger,
            options["created"],
            Failure.of(options["result"], options["looks"]),
            options["rental"],
            self._cost_usd,
            Limits(options["max_attempts"], options["budget_usd"]),
            options["on_failure"],
        )
        if verdict.attempt["blame"]:
            self._remember_last_attempt()
        # What may not be the machine's fault waits for what becomes of the next one.
        if verdict.shunned and not (verdict.try_next and verdict.attempt["sign"]):
            self._remember("failed", verdict.attempt["stage"])
        return verdict.to_dict()

    def _released(self) -> dict[str, Any]:
        options, verdict = self._options, self._options["verdict"]
        before = Ledger.from_dict(verdict["ledger"])
        ledger = after_release(before, verdict["attempt"], options["released"])
        return {**self._told(ledger), "told": failed_attempt(ledger, options["max_attempts"])}

    def _told(self, ledger: Ledger) -> dict[str, Any]:
        left = ledger.requests_left(self._options["max_attempts"])
        return {**ledger.to_dict(), "requests_left": left}

    def _ended(self) -> dict[str, Any]:
        options, created = self._options, self._options["created"]
        evidence = options["evidence"]
        failed = Failed(
            self._host,
            options["task"],
            options["message"],
            options["unreachable"],
            evidence if os.path.isdir(evidence) else "",
        )
        parts = failed_deploy(
            failed,
            Release(
                self._ledger.open_nonce(created),
                options["on_failure"],
                options["released"],
                options["release_failed"],
                is_silent(created),
                started_in(created).get("started", ""),
                options["stopped"],
            ),
            self._ledger.counted(created),
            options["rental"],
            self._cost_usd,
        )
        return {"failed": True, "msg": in_one(failed, parts), "parts": parts}

    def _remember_last_attempt(self) -> None:
        """Add the attempt before this one, if it was left open: the next one did not fail alike."""
        last = self._ledger.attempts[-1] if self._ledger.attempts else {}
        if last.get("sign") and last["blame"] == "machine":
            self._add(last["machine_id"], "failed", last["stage"], usd=last["cost_usd"])

    def _remember(self, outcome: str, stage: str = "") -> None:
        options = self._options
        machine = str(options["rental"].get("machine_id") or "")
        self._add(machine, outcome, stage, options["boot_seconds"], self._cost_usd)

    def _add(
        self, machine: str, outcome: str, stage: str, seconds: float = 0.0, usd: float = 0.0
    ) -> None:
        """Add a line to the history, where there is one. It is a help, nothing relies on it."""
        path = self._options["history_path"]
        if not path or self._task.check_mode:
            return
        provider = str(self._options["rental"].get("provider") or "")
        ratios = {phase: float(ratio) for phase, ratio in self._options["ratios"].items()}
        attempt = Attempt(self._now, provider, machine, outcome, stage, seconds, usd, ratios)
        warning = History(path).add(attempt)
        if warning:
            Display().warning(warning)
