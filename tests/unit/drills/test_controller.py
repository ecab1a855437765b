# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill's controller keeps all that it leaves in its own home, which goes with the drill."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.drills.controller import Controller, kill_modules, make_key_pair
from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator import daemon
from tests.simulator.clock import Clock

NEVER_ENDING = [
    {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable},
        "tasks": [{"ansible.builtin.wait_for": {"timeout": 600}}],
    }
]


def test_a_killed_module_leaves_what_it_has_unpacked_in_its_controllers_home(
    tmp_path: Path,
) -> None:
    controller = Controller.fresh(tmp_path / "home", "http://127.0.0.1:9", make_key_pair(tmp_path))
    playbook, hosts = tmp_path / "play.yml", tmp_path / "hosts.json"
    playbook.write_text(json.dumps(NEVER_ENDING))
    hosts.write_text(json.dumps({"all": {"hosts": {"localhost": {}}}}))
    play = controller.start(playbook, hosts, Clock(), lambda _play, _news: None)

    def unpacked() -> list[Path]:
        return list(controller.home.glob("tmp/ansible_*payload*"))

    try:
        assert daemon.wait(lambda: bool(unpacked()), HANGS_AFTER_SECONDS), play.last_words()
        kill_modules(f"HOME={controller.home}")
    finally:
        status = play.wait(HANGS_AFTER_SECONDS)
    assert status, play.last_words()
    assert unpacked()
