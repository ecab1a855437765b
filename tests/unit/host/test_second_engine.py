# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine that is added as CONTRIBUTING.md says is one that roles start.

The stand-in is added to a copy of the collection: its file and its lines in both registries.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import Server
from tests.hanging import HANGS_AFTER_SECONDS

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
HOST_SIDE = "plugins/module_utils/host/engines"
CONTROLLERS_SIDE = "plugins/module_utils/serving/engines"
ADDED = {
    f"{HOST_SIDE}/registry.py": """
from .stand_in import StandIn
ENGINES[StandIn.name] = StandIn()
""",
    f"{CONTROLLERS_SIDE}/registry.py": """
SPELLINGS["stand_in"] = Spelling()
""",
}


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """The copy, which plays take for the installed one."""
    root = tmp_path / "ansible_collections" / "inferops" / "gpu"
    compiled = shutil.ignore_patterns("__pycache__")
    for part in ("plugins", "roles", "meta"):
        shutil.copytree(ROOT / part, root / part, ignore=compiled)
    shutil.copy(ROOT / "galaxy.yml", root)
    shutil.copy(HERE / "stand_in_engine.py", root / HOST_SIDE / "stand_in.py")
    for name, lines in ADDED.items():
        with (root / name).open("a") as file:
            file.write(lines)
    return root


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An interpreter that is the stand-in's server, whatever it is told to run."""
    path = tmp_path / "engine" / "bin" / "python"
    path.parent.mkdir(parents=True)
    path.write_text(f'#!/bin/sh\nexec {sys.executable} {HERE}/fake_stand_in.py "$@"\n')
    path.chmod(0o755)
    return path


def test_an_engine_of_one_folder_and_two_lines_is_started_by_roles(
    tmp_path: Path,
    collection: Path,
    home: Path,
    python: Path,
    free_port: int,
    server: Server,
) -> None:
    # Role launch has nothing to install there; it is the development environment's own.
    venv = home / "supervisor" / "venv"
    (venv / "lib" / "python3" / "site-packages" / "supervisor-0.dist-info").mkdir(parents=True)
    (venv / "bin").symlink_to(BIN)
    given = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "inferops_engine": "stand_in",
        "inferops_home": str(home),
        "inferops_server": "main",
        "inferops_server_port": str(free_port),
        "inferops_server_api_key": "key-of-clients",
        "inferops_server_arguments": {"shelf": str(tmp_path)},
        "inferops_model": "tiny/model",
        "inferops_scope": "test",
        "inferops_stop_timeout_seconds": 5,
        "launch_supervisor": "supervisord",
        "launch_supervisord_version": "0",
    }

    # What other roles would have set.
    found_out = {
        "inferops_python": str(python),
        "inferops_stack": {"accelerator": "cuda", "environment": {"FAKE_START_SECONDS": "0"}},
        "inferops_known_hosts_file": "/dev/null",
    }

    def play(*tasks: dict[str, Any], **variables: Any) -> tuple[int, str]:
        roles = ["inferops.gpu.inferops"]
        whole = {"hosts": "gpu-1", "gather_facts": False, "roles": roles, "tasks": tasks}
        whole["vars"] = found_out
        file = tmp_path / "play.json"
        file.write_text(json.dumps([whole]))
        words = json.dumps({**given, **variables})
        done = subprocess.run(
            [BIN / "ansible-playbook", "-i", "gpu-1,", file, "-e", words],
            cwd=ROOT,
            env={
                **os.environ,
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_HOME": str(tmp_path / "ansible"),
                "ANSIBLE_COLLECTIONS_PATH": str(tmp_path),
                "VAST_API_KEY": "key-of-nobody",
            },
            capture_output=True,
            text=True,
            timeout=HANGS_AFTER_SECONDS,
            check=False,
        )
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    gate = {"inferops.gpu.check_variables": {"rents": True}}
    status, output = play(gate, inferops_engine="stand-in")
    assert status != 0
    assert "inferops_engine must be one of: vllm, llama_cpp, stand_in, got: stand-in" in output

    info = {"home": str(home), "name": "main"}
    look = {"inferops.gpu.model_server_info": info, "register": "found"}
    told = {"ansible.builtin.debug": {"msg": "{{ found.servers[0].spec }}"}}
    launch = {"ansible.builtin.include_role": {"name": "inferops.gpu.launch"}}
    status, output = play(gate, launch, look, told)
    assert status == 0, output
    assert "the memory that engine stand_in takes is not computed" in output
    for line in ("engine: stand_in", "needs_key: true", f"weights_dir: {tmp_path}"):
        assert line in output
    assert len(server.processes()) == 4
