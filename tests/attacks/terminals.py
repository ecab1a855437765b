# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text from outside that wants to steer the operator's terminal, or to look like Ansible's own."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.attacks.hosts import LOOK
from tests.attacks.markets import met
from tests.attacks.registry import attack, each
from tests.attacks.stage import NAME, Played, Stage, key_pair, on_market, plays
from tests.simulator.web import Reply, Request

FORGED = "PLAY RECAP *****\ngpu-1 : ok=99 changed=0 unreachable=0 failed=0"
STEERING = f"\x1b]0;owned\x07\x1b[2J\u202eit failed\r\n{FORGED}"


def forged(stage: Stage, played: Played) -> None:
    """Does the output have more recaps than plays that were run?"""
    recaps = len(re.findall(r"(?m)^PLAY RECAP", played.output))
    stage.harmed(recaps != 1, f"{recaps} recaps of one run")


@each(
    "terminal-is-steered-by-a-host-s",
    {key: key for key in ("msg", "warnings", "deprecations", "exception", "phase", "stderr")},
)
def by_a_result(stage: Stage, key: str) -> None:
    listed = key in ("warnings", "deprecations")
    told = [STEERING] if listed else STEERING
    stage.host.answers({"changed": False, "failed": key in ("msg", "exception"), key: told})
    shows = {"ansible.builtin.debug": {"var": "told"}}
    played = stage.play(plays({**LOOK, "ignore_errors": True}, shows))
    stage.tried(stage.host.times_asked)
    forged(stage, played)


@each(
    "terminal-is-steered-by-a-difference",
    {
        "that-is-prepared": {"prepared": STEERING},
        "with-a-header": {"before": "a", "after": "b", "before_header": STEERING},
    },
)
def by_a_difference(stage: Stage, diff: dict[str, Any]) -> None:
    """What --diff shows."""
    stage.host.answers({"changed": True, "diff": diff})
    played = stage.play(plays(LOOK), "--diff")
    stage.tried(stage.host.times_asked and "TASK" in played.output)
    forged(stage, played)


@attack
def terminal_is_steered_by_what_is_ansible_s_own(stage: Stage) -> None:
    """What begins so Ansible removes, and prints what it has removed."""
    stage.host.answers({"changed": False, "_ansible_item_label": STEERING, "phase": "as told"})
    shows = {"ansible.builtin.debug": {"var": "told"}}
    played = stage.play(plays(LOOK, shows))
    stage.tried("as told" in played.text)
    forged(stage, played)


@attack
def terminal_is_steered_by_the_progress_of_a_job(stage: Stage) -> None:
    first = json.dumps({"changed": False, "running": {"doing": STEERING, "seconds": STEERING}})
    then = json.dumps({"changed": False, "packages": {}})
    once = stage.folder / "once"
    stage.host.runs(
        f"if mkdir {once} 2>/dev/null; then cat <<'END'\n{first}\nEND\n"
        f"else cat <<'END'\n{then}\nEND\nfi"
    )
    # Callback phases keeps such lines for phases that last.
    shown = {"ANSIBLE_STDOUT_CALLBACK": "default"}
    played = stage.play(plays({"inferops.gpu.stack_lock": {}}), environment=shown)
    stage.tried("? s" in played.output)
    forged(stage, played)


@each("terminal-is-steered-by-a-banner", {"and-a-refusal": 255, "and-a-login": None})
def by_a_banner(stage: Stage, status: int | None) -> None:
    """What sshd says before anybody has logged in, ssh prints as it stands."""
    stage.host.answers({"changed": False})
    stage.host.lets_in(STEERING, status)
    shows = {"ansible.builtin.debug": {"var": "told"}}
    look = {**LOOK, "ignore_errors": True, "ignore_unreachable": True}
    played = stage.play(plays(look, shows))
    stage.tried(stage.host.called_by)
    forged(stage, played)


@each(
    "terminal-is-steered-by-a-market-s",
    {
        "refusal": (403, {"success": False, "error": "auth_error", "msg": STEERING}),
        "failure": (500, {"success": False, "error": STEERING, "msg": STEERING}),
        "page": (502, f"<html>{STEERING}</html>"),
        "wait": (429, {"success": False, "msg": STEERING}),
    },
)
def by_a_market(stage: Stage, answer: tuple[int, Any]) -> None:
    status, body = answer
    order = {"kind": "reply", "method": "ANY", "path": ".", "status": status, "times": 999}
    simulator = stage.market({**order, "body": body, "headers": {}})
    info = {"inferops.gpu.rental_info": {}}
    played = stage.play(on_market(stage, simulator, info), simulator=simulator)
    stage.tried(met(simulator) and played.status != 0)
    forged(stage, played)


@attack
def terminal_is_steered_by_why_a_rental_failed(stage: Stage) -> None:
    """A status text, by way of a wait that fails."""
    fields = {"actual_status": "exited", "status_msg": STEERING, "intended_status": "stopped"}
    simulator = stage.market({"kind": "row_is", "fields": fields, "times": 999})
    mark = stage.rented(simulator)
    find = {"inferops.gpu.rental_info": {"name": mark.name}, "register": "found"}
    wait = {
        "inferops.gpu.rental_ready": {
            "id": "{{ found.rentals[0].id }}",
            "ssh_private_key_file": str(key_pair(stage)),
            "known_hosts_file": str(stage.controller / "known_hosts"),
            "timeout_seconds": 30,
        }
    }
    played = stage.play(on_market(stage, simulator, find, wait), simulator=simulator)
    stage.tried(met(simulator) and played.status != 0)
    forged(stage, played)


@each("terminal-is-steered-by-a-hub-s", {"error": 404, "listing": 200})
def by_a_hub(stage: Stage, status: int) -> None:
    body = {
        "error": STEERING,
        "sha": STEERING,
        "id": STEERING,
        "siblings": [{"rfilename": STEERING}],
    }

    def answer(_request: Request) -> Reply:
        headers = {"Content-Type": "application/json", "X-Error-Code": "RepoNotFound"}
        return Reply(status, json.dumps(body).encode(), headers)

    ask = {"inferops.gpu.model_info": {"model": "a/b", "endpoint": stage.serve(answer)}}
    shows = {"ansible.builtin.debug": {"var": "told"}}
    told = {**ask, "register": "told", "ignore_errors": True}
    played = stage.play(plays(told, shows, hosts="localhost"), hosts={NAME: {}})
    stage.tried("told" in played.text)
    forged(stage, played)
