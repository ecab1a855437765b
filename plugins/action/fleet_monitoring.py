# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what Prometheus needs to watch a fleet. The module of the same name documents it."""

from __future__ import annotations

import json
from http.client import HTTPException
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleActionFail
from ansible.module_utils.urls import open_url

from ansible_collections.inferops.gpu.plugins.module_utils.common.private_files import (
    FILE_MODE,
    private_folder,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.fleet_page.deploys import (
    deploy_reports,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import WorkerAction
from ansible_collections.inferops.gpu.plugins.plugin_utils.kept_file import keep_file
from ansible_collections.inferops.gpu.plugins.plugin_utils.monitoring import scraping
from ansible_collections.inferops.gpu.plugins.plugin_utils.monitoring.figures import figures

ARGUMENTS: dict[str, Any] = {
    "folder": {"type": "path", "required": True},
    "figures_file": {"type": "path", "required": True},
    "public_figures": {"type": "bool", "default": False},
    "report": {"type": "dict", "required": True},
    "targets": {"type": "dict", "required": True},
    "rules": {"type": "str", "required": True},
    "dashboard": {"type": "str", "required": True},
    "node_exporter": {"type": "str", "default": "127.0.0.1:9100"},
    "alertmanagers": {"type": "list", "elements": "str", "default": []},
    "interval_seconds": {"type": "int", "default": 15},
    "report_dir": {"type": "path"},
    "prometheus_url": {"type": "str", "no_log": True},
}
#: A Prometheus that runs reads these when it is told to, targets by itself.
_RELOADED = ("prometheus.yml", "scrape.yml", "rules.yml")
_PUBLIC_MODE = 0o644
_RELOAD_SECONDS = 30


class ActionModule(WorkerAction):
    """Every file, and no more than those."""

    argument_spec = ARGUMENTS

    def work(self, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """The result that the documentation promises."""
        folder, dry = Path(given["folder"]), self._task.check_mode
        targets = [target for told in given["targets"].values() for target in told]
        try:
            if not dry:
                private_folder(folder)
            changed = {
                name: keep_file(folder / name, text, dry)["changed"]
                for name, text in _files(folder, targets, given).items()
            }
            gone = _left_over(folder, targets)
            for path in () if dry else gone:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise AnsibleActionFail(str(error)) from error
        needs_reload = any(changed[name] for name in _RELOADED)
        mode = _PUBLIC_MODE if given["public_figures"] else FILE_MODE
        keep_file(Path(given["figures_file"]), _figures(given), dry, mode)
        if needs_reload and given["prometheus_url"] and not dry:
            _reload(given["prometheus_url"])
        return {
            # Figures are others with each look, and no change of what was asked for.
            "changed": bool(gone) or any(changed.values()),
            "prometheus_file": str(folder / "prometheus.yml"),
            "watched": sorted(target["name"] for target in targets),
            "needs_reload": needs_reload,
        }


def _files(folder: Path, targets: list[dict[str, Any]], given: dict[str, Any]) -> dict[str, str]:
    """Each file below the folder but the figures, by its path there."""
    whole = scraping.configuration(
        folder,
        targets,
        given["node_exporter"],
        given["alertmanagers"],
        given["interval_seconds"],
    )
    jobs = {"scrape_configs": whole["scrape_configs"]}
    found = {
        str(scraping.targets_path(folder, target).relative_to(folder)): json.dumps(
            scraping.targets_file(target), indent=1
        )
        for target in targets
    }
    return {
        **found,
        "prometheus.yml": _yaml(whole),
        "scrape.yml": _yaml(jobs),
        "rules.yml": given["rules"],
        "dashboard.json": given["dashboard"],
    }


def _reload(url: str) -> None:
    """Have a Prometheus read its configuration. Raises AnsibleActionFail."""
    try:
        open_url(f"{url.rstrip('/')}/-/reload", method="POST", timeout=_RELOAD_SECONDS).read()
    except (OSError, HTTPException, ValueError) as error:
        raise AnsibleActionFail(
            f"Prometheus did not read its configuration again: {error}. See its log; it has to be "
            "started with --web.enable-lifecycle. The files are written: SIGHUP does the same."
        ) from error


def _yaml(told: dict[str, Any]) -> str:
    """Text of Ansible's own kinds is none that YAML knows, and becomes plain text on the way."""
    return str(yaml.safe_dump(json.loads(json.dumps(told)), sort_keys=False))


def _left_over(folder: Path, targets: list[dict[str, Any]]) -> list[Path]:
    """Files of targets, and keys, that belong to nothing that is read now."""
    files = {scraping.targets_path(folder, target) for target in targets}
    keys = {Path(target["key_file"]) for target in targets if target["key_file"]}
    found = {*(folder / "targets").glob("*.json"), *(folder / "keys").glob("*")}
    return sorted(found - files - keys)


def _figures(given: dict[str, Any]) -> str:
    report, folder = given["report"], given["report_dir"]
    deploys = deploy_reports(Path(folder), report["hosts"]) if folder else {}
    own = {
        host
        for host, told in given["targets"].items()
        if any(target["job"] == scraping.DCGM for target in told)
    }
    return figures(report, deploys, own)
