# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for NVIDIA's nvidia-smi on rented hosts of the simulator, which have no GPU.

It answers the queries that scripts use, from /etc/inferops-sim/gpus.json. Tests change that file
to play another driver, a full memory or a broken driver. Standard library only.
"""

from __future__ import annotations

import json
import os
import sys

FACTS = os.environ.get("INFEROPS_SIM_GPUS", "/etc/inferops-sim/gpus.json")
UNITS = {
    "memory.total": "MiB",
    "memory.used": "MiB",
    "memory.free": "MiB",
    "used_gpu_memory": "MiB",
    "used_memory": "MiB",
}


def table(rows: list[dict[str, object]], fields: list[str], options: list[str]) -> str:
    """Return the rows as nvidia-smi's CSV: units unless ``nounits``, a header unless not wanted."""
    units = {} if "nounits" in options else UNITS
    lines = []
    if "noheader" not in options:
        named = [f"{field} [{units[field]}]" if field in units else field for field in fields]
        lines.append(", ".join(named))
    for row in rows:
        cells = []
        for field in fields:
            value = row.get(field, "[N/A]")
            cells.append(f"{value} {units[field]}" if field in units else str(value))
        lines.append(", ".join(cells))
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Answer one query; any other call says that this is a stand-in and exits 2."""
    given = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    with open(FACTS, encoding="utf-8") as file:
        facts = json.load(file)
    if facts.get("failure"):
        print(facts["failure"])
        return 9
    common = {"driver_version": facts["driver_version"], "count": len(facts["gpus"])}
    gpus = [{"index": i, **common, **gpu} for i, gpu in enumerate(facts["gpus"])]
    queries = {"--query-gpu": gpus, "--query-compute-apps": facts.get("processes", [])}
    options = [option.strip() for option in given.get("--format", "").split(",")]
    if "-L" in arguments or "--list-gpus" in arguments:
        for gpu in gpus:
            print(f"GPU {gpu['index']}: {gpu['name']} (UUID: {gpu['uuid']})")
        return 0
    for query, rows in queries.items():
        if query in given:
            print(table(rows, given[query].split(","), options))
            return 0
    print("This is the simulator's stand-in for nvidia-smi: it answers --query-... only.")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
