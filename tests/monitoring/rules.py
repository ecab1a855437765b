# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alert rules against the distribution's promtool: each is raised by what it is about alone."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

from tests.hanging import HANGS_AFTER_SECONDS
from tests.tools.tree import REPOSITORY

FILES = REPOSITORY / "roles" / "monitoring" / "files"
RULES = FILES / "rules.yml"
CASES = Path(__file__).with_name("alerts.yml")
SERVER = {"scope": "prod", "host": "gpu-1", "server": "vllm"}
ENGINE = 'job="inferops_engine",scope="prod",host="gpu-1",server="vllm"'
FLEET = 'job="inferops_fleet",scope="prod"'


def promtool() -> str | None:
    """Where it is, None where it is not installed."""
    return shutil.which("promtool")


def cases() -> list[dict[str, Any]]:
    """What alerts.yml plants."""
    return list(yaml.safe_load(CASES.read_text()))


def alerts(rules: Path = RULES) -> dict[str, dict[str, Any]]:
    """The alert rules by name."""
    groups = yaml.safe_load(rules.read_text())["groups"]
    every = [rule for group in groups for rule in group["rules"]]
    return {rule["alert"]: rule for rule in every if "alert" in rule}


def untested() -> list[str]:
    """Alerts that no case raises, or that no case leaves alone."""
    raised = {case["alert"] for case in cases() if case["raised"]}
    silent = {case["alert"] for case in cases() if not case["raised"]}
    return sorted(set(alerts()) ^ (raised & silent))


def checked(*arguments: str) -> str:
    """What promtool complains of; empty where all is well."""
    tool = promtool()
    if tool is None:
        return "promtool is not installed: tests/tools/setup.sh prometheus"
    done = subprocess.run(
        [tool, *arguments],
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER_SECONDS,
        check=False,
    )
    return "" if done.returncode == 0 else (done.stdout + done.stderr).strip()


def failures(rules: Path = RULES, of: Collection[str] = ()) -> list[str]:
    """Of each case that is not as it should be, its name with what promtool says.

    With *of* those of these alerts alone.
    """
    told = alerts(rules)
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for number, case in enumerate(one for one in cases() if not of or one["alert"] in of):
            file = Path(folder) / f"{number}.yml"
            file.write_text(yaml.safe_dump(_as_promtool_has_it(case, told, rules)))
            complaint = checked("test", "rules", str(file))
            if complaint:
                found.append(f"{case['alert']}: {case['case']}: {complaint}")
    return found


def _as_promtool_has_it(
    case: dict[str, Any], told: dict[str, dict[str, Any]], rules: Path
) -> dict[str, Any]:
    rule = told[case["alert"]]
    labels = case.get("labels", SERVER)
    expected = [
        {
            "exp_labels": {**labels, **rule["labels"]},
            "exp_annotations": {"summary": summary, "next": rule["annotations"]["next"]},
        }
        for summary in case["raised"]
    ]
    series = [
        {"series": _named(name), "values": str(values)} for name, values in case["series"].items()
    ]
    alert = {"eval_time": case["at"], "alertname": case["alert"], "exp_alerts": expected}
    test = {"interval": "15s", "input_series": series, "alert_rule_test": [alert]}
    return {"rule_files": [str(rules)], "evaluation_interval": "15s", "tests": [test]}


def _named(series: str) -> str:
    return series.replace("{ENGINE", "{" + ENGINE).replace("{FLEET", "{" + FLEET)
