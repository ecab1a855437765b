# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Prometheus reads where, and with which key: its configuration, as data.

A server has a job of its own, for each has a key of its own, and Prometheus takes a key by job. The
address stands in a file of targets beside it, which Prometheus reads again by itself: a tunnel that
was opened anew needs no reload.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ENGINE_JOB, FLEET_JOB = "inferops_engine", "inferops_fleet"
#: An exporter on the hosts of which the alert rules and the dashboard know the names.
DCGM = "dcgm"


def configuration(
    folder: Path,
    targets: Iterable[Mapping[str, Any]],
    node_exporter: str,
    alertmanagers: Iterable[str],
    interval_seconds: int,
) -> dict[str, Any]:
    """All of prometheus.yml. `scrape_configs` alone is for a Prometheus that has one already.

    Args:
        folder: where its files lie on the controller.
        targets: as module scrape_targets returns them.
        node_exporter: where the fleet's figures are published, empty for nowhere.
        alertmanagers: addresses, with their ports.
        interval_seconds: how often everything is read, and every rule judged.
    """
    jobs = [_job(folder, target) for target in targets]
    if node_exporter:
        jobs.insert(0, _static(FLEET_JOB, node_exporter))
    interval = f"{interval_seconds}s"
    told: dict[str, Any] = {
        "global": {"scrape_interval": interval, "evaluation_interval": interval},
        "rule_files": [str(folder / "rules.yml")],
        "scrape_configs": jobs,
    }
    if alerted := list(alertmanagers):
        told["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": alerted}]}]}
    return told


def targets_file(target: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the file of a target holds. Its labels count, whatever its job is called."""
    labels = {**target["labels"], "job": target["job"], "instance": target["name"]}
    return [{"targets": [target["address"]], "labels": labels}]


def targets_path(folder: Path, target: Mapping[str, Any]) -> Path:
    """Where that file lies."""
    return folder / "targets" / f"{target['name']}.json"


def _job(folder: Path, target: Mapping[str, Any]) -> dict[str, Any]:
    job: dict[str, Any] = {
        "job_name": f"{target['job']}_{target['name']}",
        "file_sd_configs": [{"files": [str(targets_path(folder, target))]}],
        # What a host says of itself never takes the place of what we know of it.
        "honor_labels": False,
        "honor_timestamps": False,
        "body_size_limit": "16MB",
        "sample_limit": 20000,
    }
    if target["key_file"]:
        job["authorization"] = {"credentials_file": target["key_file"]}
    return job


def _static(job: str, address: str) -> dict[str, Any]:
    return {"job_name": job, "static_configs": [{"targets": [address]}]}
