# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which task of our roles and playbooks belongs to which phase, and who reads what tasks tell."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.registry import SPELLINGS

#: The folder of this collection, and those in it whose tasks are ours.
_OURS = Path(__file__).resolve().parents[2]
_FOLDERS = ("playbooks", "roles")

#: The phase of a task, by the file or folder that it stands in; the file counts first. Nobody waits
#: for tasks without a phase.
PHASES = {
    **{f"roles/{role}": "install" for one in SPELLINGS.values() for role in one.roles},
    "playbooks": "",
    "playbooks/tasks/serve.yml": "look",
    "roles/benchmark": "measure",
    "roles/connect": "",
    "roles/driver": "driver",
    "roles/endpoint": "prove",
    "roles/evidence": "evidence",
    "roles/gateway": "",
    "roles/launch": "launch",
    "roles/launch/tasks/caches.yml": "caches",
    "roles/model_cache": "install",
    "roles/model_cache/tasks/check.yml": "model",
    "roles/monitoring": "",
    "roles/proxy": "proxy",
    "roles/proxy/tasks/haproxy.yml": "install",
    "roles/proxy/tasks/install.yml": "install",
    "roles/proxy/tasks/provide.yml": "install",
    "roles/reap": "",
    "roles/recover": "look",
    "roles/recover/tasks/reset_gpu.yml": "mend",
    "roles/recover/tasks/step.yml": "mend",
    "roles/rent": "",
    "roles/rent/tasks/create.yml": "rent",
    "roles/rent/tasks/found.yml": "look",
    "roles/rent/tasks/give_up.yml": "release",
    "roles/rent/tasks/model.yml": "model",
    "roles/rent/tasks/on_failure.yml": "release",
    "roles/rent/tasks/verify.yml": "verify",
    "roles/rent/tasks/wait.yml": "boot",
    "roles/teardown": "release",
    "roles/teardown/tasks/serving.yml": "stop",
    "roles/teardown/tasks/stop.yml": "stop",
}

#: What an offer calls the seconds that are expected of a phase.
EXPECTED = {"boot": "ssh", "install": "install", "launch": "launch"}

#: Actions that only think and tell: no phase begins or ends with one.
THINKING = frozenset(
    (
        *(
            f"ansible.builtin.{name}"
            for name in (
                *("add_host", "assert", "debug", "fail", "meta", "set_fact"),
                "validate_argument_spec",
                *("import_role", "import_tasks", "include_role", "include_tasks"),
            )
        ),
        *(
            f"inferops.gpu.{name}"
            for name in (
                *("check_variables", "controller_file", "fleet_monitoring", "fleet_page"),
                *("rental_attempt", "ssh_key_pair"),
            )
        ),
    )
)

#: It fails so that its host has failed, whatever phase that is in.
LAST_WORD = "inferops.gpu.rental_attempt"

#: When people get to read what a task tells them, by its name: only in check mode, not at all, when
#: its phase is shown, which it ends, or at the end, as the card of its host. All others at once.
IN_CHECK_MODE, NEVER, AFTER, LAST = "in check mode", "never", "after its phase", "last"
SHOWN = {
    "Show how much memory it needs": IN_CHECK_MODE,
    "Show the endpoint, what it costs and how to stop it": LAST,
    "Show the offer and its price": IN_CHECK_MODE,
    "Tell what is downloaded": IN_CHECK_MODE,
    "Show what ended, what is unproven and what it has cost": AFTER,
    "Show what stands still, and what it bills": AFTER,
    "Show what was promised and what is there": NEVER,
}


def place_of(path: str) -> str:
    """Where in this collection a task stands, such as roles/rent/tasks/wait.yml; empty for others.

    *path* is that of its file, with a line number behind it as Ansible tells it.
    """
    file = Path(path.rpartition(":")[0] or path).resolve()
    if not file.is_relative_to(_OURS):
        return ""
    place = file.relative_to(_OURS)
    return place.as_posix() if place.parts[0] in _FOLDERS else ""


def phase_of(place: str) -> str:
    """The phase of a task that stands at *place*; empty for one without."""
    for depth in (place, *map(str, Path(place).parents)):
        if depth in PHASES:
            return PHASES[depth]
    return ""
