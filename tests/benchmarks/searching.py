# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.benchmarks.searching``: a search of all marketplaces against the slowest alone.

Module offer_info asks each simulated marketplace alone, and then all of them at once. Each holds
every answer back for a time of its own, so that waiting is what a search is made of, as it is over
the internet. Each round has a new folder: nothing is shared, and no pace carries over. The last
line is one JSON object behind the word RESULT: the median over the rounds of all at once over the
slowest one of the same round, wanted below 1.1.
"""

from __future__ import annotations

import contextlib
import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from ansible.module_utils.testing import patch_module_args

from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.registry import (
    PROVIDERS,
)
from ansible_collections.inferops.gpu.plugins.modules import offer_info
from tests.drills.stage import print_result
from tests.simulator.app import Simulator
from tests.simulator.hosts import PretendHosts
from tests.simulator.market import Market
from tests.simulator.web import Request

ROUNDS, MOST = 5, 1.1
#: The fastest marketplace holds an answer back so long, and each next one a step longer.
HELD_SECONDS, STEP_SECONDS = 0.3, 0.15
SECRET = "the-secret-of-this-scope"


@contextlib.contextmanager
def market(provider: str, held_seconds: float) -> Iterator[dict[str, Any]]:
    """A marketplace that holds its answers back; the account at it."""

    def hold(phase: str, _request: Request, _number: int) -> None:
        if phase == "before":
            time.sleep(held_seconds)

    simulator = Simulator(Market(PretendHosts()), observe=hold, provider=provider)
    try:
        address = simulator.url + simulator.dialect.api_path
        yield {"provider": provider, "api_url": address, **simulator.dialect.credentials}
    finally:
        simulator.close()


def seconds_for(accounts: list[dict[str, Any]]) -> float:
    """How long one search takes. Raises RuntimeError where it finds nothing."""
    with tempfile.TemporaryDirectory(prefix="inferops-searching-") as folder:
        options = {"accounts": accounts, "controller_dir": folder, "scope_secret": SECRET}
        said = io.StringIO()
        began = time.monotonic()
        with (
            patch_module_args({**options, "verified": False}),
            contextlib.redirect_stdout(said),
            contextlib.suppress(SystemExit),
        ):
            offer_info.main()
        took = time.monotonic() - began
    result = json.loads(said.getvalue().splitlines()[-1])
    if result.get("failed") or result.get("warnings"):
        raise RuntimeError(f"{[one['provider'] for one in accounts]}: {result}")
    return took


def main() -> int:
    """Measure, tell each round, and fail above the bound."""
    ratios = []
    with contextlib.ExitStack() as stack:
        accounts = [
            stack.enter_context(market(provider, HELD_SECONDS + number * STEP_SECONDS))
            for number, provider in enumerate(sorted(PROVIDERS))
        ]
        seconds_for(accounts)  # what is loaded once
        for number in range(1, ROUNDS + 1):
            alone = {one["provider"]: seconds_for([one]) for one in accounts}
            slowest = max(alone, key=lambda name: alone[name])
            together = seconds_for(accounts)
            ratios.append(together / alone[slowest])
            print(
                f"round {number}: all {together:.2f} s, {slowest} alone {alone[slowest]:.2f} s, "
                f"one after the other {sum(alone.values()):.2f} s",
                flush=True,
            )
    ratio = round(statistics.median(ratios), 3)
    print_result({"providers": len(accounts), "rounds": ROUNDS, "over_slowest": ratio})
    return 0 if ratio <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
