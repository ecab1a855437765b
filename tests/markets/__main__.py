# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.markets``: a server on every marketplace, with real hosts, and its end.

On each simulated marketplace of the registry, as whoever logs in on its hosts, and on hosts of
one's own by ``ssh`` and ``local``, as root and as a plain user: a deploy of real vLLM, which the
image of the host has, a completion, a second deploy that changes nothing, and a teardown that
leaves nothing in truth. Then one play over two accounts, of which the first has no capacity.

The last line is one JSON object behind the word RESULT. ``missing`` counts what the registry asks
for and was not tried, ``leaked`` what was left of rentals, containers and tunnels.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterable

from tests.drills.stage import SIGNALS, Interrupted, interrupt, print_result
from tests.integration import engine_image
from tests.integration.plays import ROOT
from tests.markets.places import MOST_SECONDS, Outcome, Place, all_places, run
from tests.rig import image
from tests.rig.podman import PodmanError


def chosen(only: str) -> list[Place]:
    """The places at these comma-separated markets, or all. Raises SystemExit."""
    places, wanted = all_places(), [name for name in only.split(",") if name]
    known = list(dict.fromkeys(place.market for place in places))
    if unknown := set(wanted) - set(known):
        raise SystemExit(f"no such market: {', '.join(unknown)}; there are {', '.join(known)}")
    return [place for place in places if not wanted or place.market in wanted]


def tried(places: Iterable[Place]) -> dict[Place, Outcome]:
    """What became of each, as far as there was time for it."""
    outcomes: dict[Place, Outcome] = {}
    try:
        for place in places:
            began = time.monotonic()
            outcomes[place] = run(place)
            print(
                f"{place}: {told_of(outcomes[place])}, {time.monotonic() - began:.0f} s", flush=True
            )
    except Interrupted as interruption:
        print(f"ended by {interruption}", flush=True)
    return outcomes


def told_of(outcome: Outcome) -> str:
    """How it ended, for people."""
    leaked = f"{outcome.leaked} left behind; " if outcome.leaked else ""
    return "proven" if outcome.proven else f"FAILED: {leaked}{outcome.problem}"


def result(places: list[Place], outcomes: dict[Place, Outcome]) -> dict[str, int]:
    """The figures of the last line. A market counts once all of its places are proven."""
    unproven = {one.market for one in places if one not in outcomes or not outcomes[one].proven}
    return {
        "markets": len({one.market for one in places} - unproven),
        "deploys": sum(outcome.proven for outcome in outcomes.values()),
        "missing": len(places) - len(outcomes),
        "leaked": sum(outcome.leaked for outcome in outcomes.values()),
        "failed": sum(bool(outcome.problem) for outcome in outcomes.values()),
    }


def main() -> int:
    """Try them; exit 1 when one failed, is missing or has left something."""
    parser = argparse.ArgumentParser(
        description="Deploy on every marketplace, and tear it down.",
        epilog=f"Each place has {MOST_SECONDS} s at most.",
    )
    parser.add_argument("--only", default="", help="names of markets, comma-separated")
    places = chosen(parser.parse_args().only)
    for number in SIGNALS:
        signal.signal(number, interrupt)
    for cache in ("uv", "pip"):
        folder = ROOT / ".rig" / f"{cache}-cache"
        os.environ.setdefault(f"INFEROPS_RIG_{cache.upper()}_CACHE", str(folder))
    outcomes: dict[Place, Outcome] = {}
    try:
        image.ensure()
        engine_image.ensure()
        outcomes = tried(places)
    except (PodmanError, Interrupted) as failure:
        print(failure, file=sys.stderr)
    told = result(places, outcomes)
    print_result(told)
    return 1 if told["missing"] or told["leaked"] or told["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
