# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.costs``: what rentals are said to cost, against what marketplaces charge.

On each simulated marketplace a controller rents, meets a price above its offer, lets a rental stand
still where that can be done, releases and keeps. The sum by prices and times, and the sum by bills,
must be what the simulator's books have within a cent. All of it as a data set of FOCUS must pass
focus-validator, which is installed with pinned packages in an environment of its own. The last line
is ``RESULT {...}``.
"""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.provider import Provider
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.registry import (
    PROVIDERS,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.costing import (
    RENTAL_COSTS_OPTIONS,
    rental_costs,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.desk import RENTAL_OPTIONS
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.rental import rental
from tests.drills.stage import print_result
from tests.fidelity.clients import Environment
from tests.unit.market.conformance.subjects import Simulated, subject_of
from tests.unit.market.conftest import PUBLIC_KEY

CENT = 0.01
#: As long as every marketplace lets a rental live.
HOURS = 12
#: What these charge for a session, its offer has said.
HIDE_PRICES = ("shopper",)
FOCUS = Environment(
    "focus",
    packages=("focus-validator==2.2.1", "pyarrow==21.0.0"),
    published_before="2026-11-29T00:00:00Z",
    python_minors=(12, 13),
)
#: The rules that come with the validator, and what they call what marketplaces have.
FOCUS_VERSION = "1.2.0.1"
APPLICABLE = (
    "ACCOUNT_NAMING_SUPPORTED",
    "BILLING_BASED_ON_PROVISIONED_RESOURCES_SUPPORTED",
    "PUBLIC_PRICE_LIST_SUPPORTED",
    "RESOURCE_TYPE_ASSIGNMENT_SUPPORTED",
    "SUB_ACCOUNT_SUPPORTED",
    "TAGGING_SUPPORTED",
    "UNIT_PRICING_SUPPORTED",
    "USAGE_MEASUREMENT_SUPPORTED",
)
#: Of two rules one of which must hold, the one for charges that are on an invoice.
OTHERWISE = ("InvoiceId-C-005-C",)
LEAST_RULES, VALIDATOR_SECONDS = 200, 300
_TOTAL = re.compile(r"Total: \d+ \| Pass: (\d+)")
_FAILED = re.compile(r"^\S*\s*(\S+): FAIL\b.*", re.MULTILINE)


class Controller:
    """One that rents at a simulated marketplace, and writes down what it does."""

    def __init__(self, kind: type[Provider], folder: Path) -> None:
        self.kind, self.folder, self.subject = kind, folder, subject_of(kind)

    def _given(self, spec: Mapping[str, Any], **options: Any) -> dict[str, Any]:
        subject: Simulated = self.subject
        account = {
            "provider": self.kind.name,
            "api_url": subject.simulator.url + subject.dialect.api_path,
            **subject.dialect.credentials,
            "scope": "costs",
            "controller_dir": str(self.folder),
            "audit_path": str(self.folder / "audit.jsonl"),
        }
        checked = ArgumentSpecValidator(dict(spec)).validate({**account, **options})
        if checked.error_messages:
            raise ValueError("; ".join(checked.error_messages))
        given: dict[str, Any] = checked.validated_parameters
        return given

    def rental(self, name: str, **options: Any) -> dict[str, Any]:
        """Module rental, and all that the marketplace does about it."""
        usual = {
            "ssh_public_key": PUBLIC_KEY,
            "image": self.subject.image,
            "reaper": True,
            "deadline_hours": HOURS,
        }
        given = self._given(RENTAL_OPTIONS, name=name, **{**usual, **options})
        with patch.object(Clock, "from_environment", lambda: self.subject.clock):
            result = rental(given, False, lambda line: None, lambda offer, engine: None)
        if result.get("failed"):
            raise RuntimeError(f"{self.kind.name}, {name}: {result['msg']}")
        for one in list(self.subject.market.rentals.values()):
            while one.intended == "running" and not one.running:
                one.gone.wait(0.001)
        return result

    def costs(self, **options: Any) -> dict[str, Any]:
        """Module rental_costs."""
        with patch.object(Clock, "from_environment", lambda: self.subject.clock):
            return rental_costs(
                self._given(RENTAL_COSTS_OPTIONS, first_day="2020-01-01", **options)
            )

    def pass_hours(self, hours: float) -> None:
        """Let simulated time pass."""
        self.subject.clock.sleep(hours * 3600)

    def bill_usd(self) -> float:
        """What the simulator's books have."""
        market = self.subject.market
        return sum(one.charged_usd for one in (*market.rentals.values(), *market.ended))

    def live(self) -> None:
        """Most of a day of renting."""
        self.rental("gpu-1")
        self.pass_hours(3)
        self.rental("gpu-1", state="absent")
        if self.kind.name not in HIDE_PRICES:
            self.subject.simulator.control.plan_faults([{"kind": "price_change", "factor": 3.0}])
        self.rental("gpu-2", max_price_usd_per_hour=1.5 * self._price())
        self.pass_hours(5)
        if self.kind.can_stop:
            self.rental("gpu-2", state="stopped")
            self.pass_hours(4)
            self.rental("gpu-2")
        self.pass_hours(2)
        self.rental("gpu-2", state="absent")
        self.rental("gpu-3")
        self.pass_hours(4)

    def _price(self) -> float:
        seen = rental_price(self.costs())
        return max(seen)


def rental_price(told: Mapping[str, Any]) -> list[float]:
    """What the rentals of a report cost in an hour."""
    return [row["price_usd_per_hour"] for row in told["rentals"] if row["price_usd_per_hour"]]


@dataclass
class Held:
    """What one marketplace has shown: what is wrong, and what it adds to the whole."""

    wrong: list[str]
    rentals: int
    bill_usd: float
    focus: str


def held(kind: type[Provider], scratch: Path) -> Held:
    """Rent at one marketplace, and compare: while something bills, and a day after the last end."""
    controller = Controller(kind, scratch / kind.name)
    try:
        controller.live()
        told, bill = controller.costs(), controller.bill_usd()
        wrong = differences(kind, told, bill)
        controller.rental("gpu-3", state="absent")
        controller.pass_hours(30)
        told = controller.costs(folder=str(scratch / kind.name / "reports"))
        bill = controller.bill_usd()
        wrong += differences(kind, told, bill)
        wanted = "bill" if kind.tells_charges else "estimate"
        if {row["basis"] for row in told["rentals"]} != {wanted}:
            wrong.append(f"{kind.name}: its costs do not go by the {wanted} alone")
        focus = Path(told["files"][1]).read_text()
        sums = sum(float(row["BilledCost"]) for row in csv.DictReader(io.StringIO(focus)))
        if abs(sums - told["cost_usd"]) > CENT:
            wrong.append(f"{kind.name}: focus.csv sums up to {sums:.4f}, not {told['cost_usd']}")
        print(f"{kind.name}: {told['lines'][-1]} Books: {bill:.4f}", flush=True)
        return Held(wrong, len(told["rentals"]), bill, focus)
    finally:
        controller.subject.close()


def differences(kind: type[Provider], told: Mapping[str, Any], bill: float) -> list[str]:
    """Where a report is not what the books have."""
    wrong = [
        f"{kind.name}: {what} is {told[what]:.4f}, and the books have {bill:.4f}"
        for what in ("estimated_usd", "cost_usd")
        if abs(told[what] - bill) > CENT
    ]
    names = {row["name"] for row in told["rentals"]}
    if names != {"gpu-1", "gpu-2", "gpu-3"}:
        wrong.append(f"{kind.name}: it tells of {', '.join(sorted(names))}")
    return wrong


def validated(focus: list[str], scratch: Path) -> tuple[list[str], int]:
    """What focus-validator finds wrong with these data sets as one, and how many rules it has."""
    header = focus[0].splitlines()[0]
    rows = [line for text in focus for line in text.splitlines()[1:]]
    file = scratch / "focus.csv"
    file.write_text("\n".join([header, *rows]) + "\n")
    FOCUS.install()
    # It looks for its table of currencies below the current folder.
    (packages,) = FOCUS.folder.glob("lib/python3*/site-packages")
    done = subprocess.run(
        [
            str(FOCUS.folder / "bin" / "focus-validator"),
            *("--data-file", str(file), "--focus-dataset", "CostAndUsage", "--block-download"),
            *("--validate-version", FOCUS_VERSION),
            *("--applicability-criteria", ",".join(APPLICABLE)),
        ],
        cwd=packages,
        capture_output=True,
        text=True,
        timeout=VALIDATOR_SECONDS,
        check=False,
    )
    failed = [one[0] for one in _FAILED.finditer(done.stdout) if one[1] not in OTHERWISE]
    total = _TOTAL.search(done.stdout)
    if done.returncode or total is None:
        failed.append(done.stderr.strip()[-2000:] or f"exit {done.returncode}")
    return [f"focus-validator: {line[:300]}" for line in failed], int(total[1]) if total else 0


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="inferops-costs-") as folder:
        scratch = Path(folder)
        each = [held(PROVIDERS[name], scratch) for name in sorted(PROVIDERS)]
        problems, rules = validated([one.focus for one in each], scratch)
    wrong = [*(line for one in each for line in one.wrong), *problems]
    for line in wrong:
        print(f"WRONG {line}")
    print_result(
        {
            "providers": len(each),
            "rentals": sum(one.rentals for one in each),
            "bill_usd": round(sum(one.bill_usd for one in each), 4),
            "focus_rules": rules,
            "failed": len(wrong),
        }
    )
    return 1 if wrong or rules < LEAST_RULES else 0


if __name__ == "__main__":
    sys.exit(main())
