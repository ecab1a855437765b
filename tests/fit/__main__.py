# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.fit``: hold the memory estimate to what is published of real models.

judging.py describes the files. ``listed.txt`` names the models that must be there. Prints every
finding by name and ends with the line ``RESULT {...}``.
"""

from __future__ import annotations

import json
import sys
from collections import Counter

from tests.fit.judging import HERE, Finding, config_of, judge, judge_log, lines

LEAST_CONFIGS, MOST_UNKNOWN = 120, 0.1


def main() -> int:
    models, logs = lines("models.jsonl"), lines("logs.jsonl")
    configs = {entry["model"]: config_of(entry) for entry in models}
    listed = (HERE / "listed.txt").read_text().splitlines()
    findings = [finding for entry in models for finding in judge(entry)]
    findings += [found for log in logs for found in judge_log(log, configs[log["model"]])]
    missing = sorted(set(listed) ^ set(configs))
    findings += [
        Finding("missing", name, "only in the list or only in the data") for name in missing
    ]
    for finding in sorted(findings):
        print(f"{finding.kind}: {finding.model}: {finding.words}")
    kinds = Counter(finding.kind for finding in findings)
    result = {
        "configs": len(configs),
        "checked_against_a_size": sum("size" in entry for entry in models),
        "of_these_at_first_sight": sum(entry.get("first_sight", False) for entry in models),
        "logs": len(logs),
        "crashes": kinds["crash"],
        "wrong": kinds["wrong"],
        "outside_stated_range": kinds["outside"] + kinds["wrong"],
        "unknown": kinds["unknown"],
        "missing": kinds["missing"],
    }
    print(f"RESULT {json.dumps(result)}")
    zeros = ("crashes", "wrong", "outside_stated_range", "missing")
    enough = len(configs) >= LEAST_CONFIGS and kinds["unknown"] <= MOST_UNKNOWN * len(configs)
    return 0 if enough and not any(result[name] for name in zeros) else 1


if __name__ == "__main__":
    sys.exit(main())
