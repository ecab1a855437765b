# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plays about a fleet do and say is the same, whether variables come as text or as JSON.

`test_every_variable` does so with the gate and with a deploy.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from tests.simulator.app import Simulator
from tests.simulator.market import Traits
from tests.unit.plugins.pretended import Pretended
from tests.unit.plugins.test_every_variable import EXAMPLES, OPTIONS, as_text

#: A server that hangs, and a host that tells all that role recover asks for.
HANGS: dict[str, Any] = {
    "model_server_info": {
        "servers": [
            {
                "name": "vllm",
                "phase": "running",
                "reason": None,
                "processes": 4,
                "model": "a/b",
                "port": 8001,
                "supervised": True,
                "exit_code": None,
                "signal": None,
                "ready_at": None,
                "symptoms": {"log": "", "exit_code": None},
                "health": {"state": "hung", "reason": "no token for 60 s"},
                "spec": {
                    "engine": "vllm",
                    "model": "a/b",
                    "served_model_name": None,
                    "port": 8001,
                    "arguments": {"max_model_len": 8192},
                    "suggested_arguments": {},
                    "extra_args": [],
                    "environment_names": [],
                    "needs_key": False,
                },
            }
        ]
    },
    "gpu_info": {"gpu": {"present": True, "gpus": []}},
}
#: What would lead the plays elsewhere, or to another machine.
LEFT_OUT = (
    "inferops_accounts",
    "inferops_hosts",
    "inferops_name",
    "inferops_provider",
    "inferops_scope",
    "inferops_scope_secret",
)
OF_THE_MACHINE = ("_dir", "_file", "_path", "_url", "_endpoint", "_key", "_group")
#: The variables that these plays go by. All flags say no: how a deploy takes yes is tried there.
GIVEN = {
    name: False if OPTIONS[name].get("type") == "bool" else value
    for name, value in EXAMPLES.items()
    if name.startswith(("inferops_", "status_", "extend_", "reap_", "recover_", "evidence_"))
    or name in ("rent_budget_usd", "rent_max_price_usd_per_hour")
    if name not in LEFT_OUT and not name.endswith(OF_THE_MACHINE)
}
#: All that an option of a module takes for no.
NO = ("no", "false", "off", "n", "0")
PLAYS = ("status", "reap", "support_bundle", "extend", "recover")


def texts() -> dict[str, str]:
    """The same as text, with one word for no after the other."""
    flags = [name for name, value in GIVEN.items() if value is False]
    return {
        name: NO[flags.index(name) % len(NO)] if name in flags else as_text(value)
        for name, value in GIVEN.items()
    }


def rented(simulator: Simulator, name: str, state: str) -> None:
    """A rental that ends in twenty hours, and runs or stands still."""
    now = int(simulator.market.clock.now())
    mark = Mark.new("test", name, now + 20 * 3600, 3600, now)
    wish = {"label": mark.encode(), "image": "any"}
    offer = simulator.market.search()[0]["id"]
    rental = simulator.market.create(offer, wish, Traits(boot_seconds=0))
    simulator.market.settle()
    simulator.market.set_state(rental, state)


def lines(said: str, folder: Path) -> list[str]:
    """What a run said, without what differs from run to run, such as which host was the first."""
    said = said.partition("PLAY RECAP")[0].replace(str(folder), "<folder>")
    said = re.sub(r"\d{8}T\d{6}Z|\d+\.\d+|\d{6,}", "<number>", said)
    # How long a phase took is told of those that take long.
    return sorted(line for line in said.splitlines() if not re.match(r"gpu-\d {2}", line))


@pytest.mark.long
def test_every_play_does_and_says_the_same_for_text_as_for_json(
    tmp_path: Path, simulator: Simulator
) -> None:
    """One of them runs, and one stands still, which nobody on its host ends."""
    found = {}
    for form, given in (("json", GIVEN), ("text", texts())):
        folder = tmp_path / form
        folder.mkdir()
        simulator.market.reset()
        rented(simulator, "gpu-1", "running")
        rented(simulator, "gpu-2", "stopped")
        pretended = Pretended(folder, simulator, ("gpu-1", "gpu-2"), HANGS)
        book = folder / "plays.yml"
        book.write_text(json.dumps([{"import_playbook": f"inferops.gpu.{one}"} for one in PLAYS]))
        done = pretended.run(book, inferops_report_dir=str(folder / "report"), **given)
        report = json.loads((folder / "report" / "status.json").read_text())
        verdicts = json.dumps(report["verdicts"], indent=1)
        found[form] = lines(f"{verdicts}\n{done.stdout}", folder)
    assert found["text"] == found["json"]
    # No play has ended before it could tell.
    said = "\n".join(found["json"])
    assert "  gpu-2: nobody ends it" in said
    assert "gpu-2 ends in <number> hours, enforced by nobody" in said
    assert "Nothing was moved: it lives as long already" in said
    assert "Nothing was changed. Take the steps with -e recover_apply=true" in said
    assert "release: false" in said
    assert "It holds 0 files of the host." in said
