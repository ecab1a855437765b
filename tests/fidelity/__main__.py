# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.fidelity``: let other people's clients work against the simulators.

What each result says, as the client understood it, must be what the simulator's books have. Names
every mismatch and ends with the line ``RESULT {...}``.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time

from tests.fidelity.clients import Client, all_clients
from tests.fidelity.talk import hold

LEAST_CLIENTS, LEAST_CALLS = 7, 120


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="names of clients, comma-separated")
    only = [name for name in parser.parse_args(arguments).only.split(",") if name]
    known = all_clients()
    if unknown := set(only) - set(known):
        parser.error(f"no such client: {', '.join(unknown)}; there are {', '.join(known)}")
    chosen = [client for name, client in known.items() if not only or name in only]
    held = [count for count in map(report, chosen) if count is not None]
    calls, mismatches = (sum(numbers) for numbers in zip(*held, strict=True)) if held else (0, 0)
    result = {"clients": len(held), "calls": calls, "mismatches": mismatches}
    print(f"RESULT {json.dumps(result)}")
    enough = only or (len(held) >= LEAST_CLIENTS and calls >= LEAST_CALLS)
    return 0 if enough and len(held) == len(chosen) and not mismatches else 1


def report(client: Client) -> tuple[int, int] | None:
    """Hold one client and tell how it went: calls and mismatches, None where it has not run."""
    began = time.monotonic()
    try:
        talk = hold(client)
    except (subprocess.SubprocessError, OSError) as reason:
        print(
            f"{client.name}: not installed or not run: {reason}; let uv reach its package index",
            flush=True,
        )
        return None
    for mismatch in talk.mismatches:
        print(f"MISMATCH {client.name}: {mismatch}", flush=True)
    seconds = time.monotonic() - began
    told = f"{client.name}: {talk.calls} calls, {len(talk.mismatches)} mismatches, {seconds:.0f} s"
    if talk.wire and talk.wire.undocumented:
        calls = {re.sub(r"/[^/]*\d{4}[^/]*", "/{id}", call) for call in talk.wire.undocumented}
        told += f"; in no document kept here: {', '.join(sorted(calls))}"
    print(told, flush=True)
    return talk.calls, len(talk.mismatches)


if __name__ == "__main__":
    sys.exit(main())
