# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an agent says reaches Ansible as data: no template in it is rendered."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.tools.tree import REPOSITORY
from tools.mcp import plays
from tools.mcp.plays import Ansible, as_data


def test_every_text_is_marked_and_nothing_else_is() -> None:
    told = {"a": "x", "b": ["y", {"c": "{{ z }}"}], "n": 1, "f": 0.5, "t": True}
    written = yaml.dump(as_data(told), Dumper=plays._Dumper, sort_keys=False)
    assert written.count("!unsafe") == 3
    read = yaml.load(written.replace("!unsafe ", ""), Loader=yaml.SafeLoader)
    assert read == told


@pytest.fixture
def ansible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ansible:
    """With a stand-in for playbook deploy in a collection of its own."""
    folder = tmp_path / "collections/ansible_collections/inferops/gpu"
    (folder / "playbooks").mkdir(parents=True)
    (folder / "galaxy.yml").write_text((REPOSITORY / "galaxy.yml").read_text())
    stats = {"gpu_told": "{{ told }}", "gpu_report": "{{ inferops_report_dir }}"}
    play = [
        {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "tasks": [
                {"ansible.builtin.debug": {"msg": "{{ told }}"}},
                {"ansible.builtin.set_stats": {"data": stats}},
                {"ansible.builtin.fail": {}, "when": "told == 'fail'"},
                {"ansible.builtin.pause": {"seconds": 600}, "when": "told == 'hang'"},
            ],
        }
    ]
    (folder / "playbooks/deploy.yml").write_text(json.dumps(play))
    monkeypatch.setattr(plays, "ROOT", tmp_path)
    # Ours is not in this collection.
    monkeypatch.setattr(plays, "SCREEN", "default")
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("all: {}\n")
    return Ansible(inventory)


def played(ansible: Ansible, told: Any, seconds: float = 300) -> plays.Played:
    return asyncio.run(ansible.play("deploy", most_seconds=seconds, told=told))


def test_a_template_of_an_agent_is_not_rendered(ansible: Ansible, tmp_path: Path) -> None:
    owned = tmp_path / "owned"
    template = f"{{{{ lookup('ansible.builtin.pipe', 'touch {owned}') }}}}"
    for told in (template, [template], {"a": template}):
        done = played(ansible, told)
        assert done.status == 0, done.text
        assert done.artifacts["gpu_told"] == told
        assert not owned.exists()
    assert not Path(done.artifacts["gpu_report"]).exists()


def test_a_failure_is_told_and_a_play_that_hangs_is_ended(ansible: Ansible) -> None:
    assert played(ansible, "fail").status != 0
    assert played(ansible, "hang", seconds=5).status is None
