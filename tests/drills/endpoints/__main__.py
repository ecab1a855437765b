# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.drills.endpoints``: what clients get while engines, hosts and ways fail.

A real vLLM and a real llama.cpp in real containers, each behind its proxy, and a gateway before
both on this machine. The last line is one JSON object behind the word RESULT.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import sys
import time

from tests.drills.endpoints.drills import DRILLS
from tests.drills.endpoints.fleet import LLAMA, VLLM, Fleet
from tests.drills.endpoints.listed import LISTED, Listed
from tests.drills.listing import Failed, chosen, perform
from tests.drills.servers.__main__ import market
from tests.drills.stage import SIGNALS, Interrupted, interrupt, print_result
from tests.rig.podman import PodmanError

TOLD_LOG_LINES = 40


def logs(fleet: Fleet) -> str:
    """The ends of the logs: a failed drill is seldom seen twice."""
    told = []
    for file in sorted(fleet.home.glob("*/*/*.log")):
        told += [f"--- {file}", *file.read_text(errors="replace").splitlines()[-TOLD_LOG_LINES:]]
    for host in (VLLM, LLAMA):
        with contextlib.suppress(PodmanError, Failed):
            told.append(fleet.shell(host, "tail -n 40 /root/.inferops/*/*/*.log", check=False))
    return "\n".join(told)


def run_one(fleet: Fleet, one: Listed) -> bool:
    """Run one drill, and have the first server answer after it."""
    title = f"{one.name}: {one.shows}"
    passed = perform(title, lambda: DRILLS[one.name](fleet), lambda: logs(fleet))
    if not passed:
        with contextlib.suppress(Failed):
            fleet.served_by(VLLM)
    return passed


def run_all(listed: list[Listed]) -> list[bool]:
    """Run the drills on one fleet."""
    results: list[bool] = []
    with market() as controller:
        fleet = Fleet(controller)
        try:
            fleet.make()
            for one in listed:
                if one.name in DRILLS:
                    results.append(run_one(fleet, one))
        except Interrupted as interruption:
            print(f"ended by {interruption}", flush=True)
        finally:
            for number in SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            fleet.end()
            shutil.rmtree(fleet.home, ignore_errors=True)
    return results


def main() -> int:
    """Run the drills; exit 1 when one failed or is missing."""
    parser = argparse.ArgumentParser(description="Fail what is behind an endpoint.")
    parser.add_argument("--only", help="names of drills, comma-separated")
    given = parser.parse_args()
    for number in SIGNALS:
        signal.signal(number, interrupt)
    listed = chosen(LISTED, given.only)
    began = time.monotonic()
    results: list[bool] = []
    try:
        results = run_all(listed)
    except Failed as failure:
        print(failure, file=sys.stderr)
    print(f"It took {time.monotonic() - began:.0f} s.")
    result = {
        "drills": len(results),
        "missing": len(listed) - len(results),
        "failed": results.count(False),
    }
    print_result(result)
    return 1 if result["missing"] or result["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
