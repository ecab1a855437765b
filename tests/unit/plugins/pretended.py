# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole playbooks without a host: what would be done on one answers as a healthy host does.

The marketplace is the simulator, asked by the real modules; playbooks, roles and callbacks are the
collection's own. Only the actions that need a host are stand-ins, which tell what the real ones do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator.app import Simulator
from tests.simulator.market import ACCOUNT_KEY
from tests.tools.tree import REPOSITORY

#: What each answers, and what it tells meanwhile.
ANSWERS: dict[str, dict[str, Any]] = {
    "rental_ready": {
        "tells": ["rental 1 is loading (5 s of about 60)", "SSH waits: connect (9 s)"],
        "ssh": {"user": "root", "host": "127.0.0.1", "port": 9},
        "known_hosts": ["[127.0.0.1]:9 ssh-ed25519 AAAA"],
        "brings_host_key": True,
        "seconds": {"running": 41.2, "ssh": 6.4},
        "remaining_seconds": 85680,
    },
    "host_look": {
        "gpu": {"present": True, "driver_version": "580.95.05", "gpus": []},
        "host": {"init_system": "systemd", "disk_free_mib": 81920},
        "server": {"name": "vllm", "phase": "absent", "port": 8000},
        "proxy": None,
        "proxy_is_in_the_way": False,
        "client_port": 8000,
        "installed": False,
        "as_asked": False,
        "switch_is_set": True,
        "wishes": "0f3c",
    },
    "deadline_switch": {"armed": True, "enforced_by": "host", "problem": ""},
    "host_exposure": {"open_ports": []},
    "host_speed": {"disk_mb_per_second": 1210.5, "download_mbit_per_second": 640.2},
    "offer_check": {"promises": [], "receipt": {}, "summary": "gpus 1 of 1"},
    "stack_image": {"python": "", "packages": {}, "vllm_version": ""},
    "stack_plan": {
        "tells": ["vLLM 0.19.1 with torch 2.10.0 (cu128) suits driver 580.95.05"],
        "interpreter": ">=3.11,<3.14",
        "plan": {
            "accelerator": "cuda",
            "constraints": [],
            "environment": {},
            "excluded": [],
            "indexes": [],
            "installed_gib": 8,
            "requirements": ["vllm==0.19.1"],
            "torch_backend": "cu128",
            "torch_device": "cuda",
            "torch_version": "2.10.0",
            "vllm_version": "0.19.1",
        },
    },
    "stack_lock": {
        "changed": True,
        "installer": "uv",
        "uv": "/uv",
        "python": "/python",
        "packages": {"vllm": "0.19.1", "torch": "2.10.0", "numpy": "2.3.5"},
        "tells": ["providing the installer: 3 s", "resolving the lock: 5 s"],
    },
    "stack_packages": {
        "changed": True,
        "proof": {"version": "0.19.1"},
        "tells": [f"installing vllm: {mib} MiB written, 5 s" for mib in range(100, 1100, 100)],
    },
    "model_cache": {
        "changed": True,
        "complete": False,
        "download_gib": 1.4,
        "files": ["model.safetensors"],
        "path": "/models/a",
        "size_gib": 1.4,
        "tells": [f"model {done / 10:.1f} of 1.4 GiB, 98 MB/s" for done in range(14)],
    },
    "model_fit": {
        "fits": "yes",
        "why": "1.4 GiB of weights make 3.0 of the 21.3 GiB that are free",
        "arguments": {},
        "max_connections": 1024,
        "loading": "weights are read by default",
        "needs_supervisord": False,
        "tells": ["Fit: yes, 1.4 GiB of weights", "Its weights are read by default"],
    },
    "model_server": {
        "changed": True,
        "port": 8000,
        "proxy_port": None,
        "client_port": 8000,
        "server": {"name": "vllm", "phase": "running", "port": 8000},
        "completion": " there",
        "tells": [f"loading weights {shard}/4 ({shard} s)" for shard in range(1, 5)],
    },
    "proxy": {"changed": True, "done": "started", "proxy": {"name": "vllm", "phase": "running"}},
    "endpoint": {
        "changed": True,
        "local_port": 40213,
        "url": "http://127.0.0.1:40213/v1",
        "model": "a/b",
        "completion": " there",
        "header_file": "/tunnels/2c26.header",
        "command": "curl http://127.0.0.1:40213/v1/completions -H @/tunnels/2c26.header -d '{}'",
    },
    "evidence": {"changed": True, "files": [], "missing": {}, "diagnosis": {}},
}

STAND_IN = """
import json, os, signal, time
from pathlib import Path
from ansible.plugins.action import ActionBase
from ansible_collections.inferops.gpu.plugins.plugin_utils.screen import tell

class ActionModule(ActionBase):
    _supports_async = True

    def run(self, tmp=None, task_vars=None):
        name, host = self._task.action.rpartition(".")[2], task_vars["inventory_hostname"]
        told = json.loads(Path(os.environ["PRETENDED"]).read_text())
        with open(os.environ["PRETENDED"] + ".asked", "a") as asked:
            print(json.dumps([name, host, self._task.args], default=str), file=asked)
        answer = {"changed": False, **told[name], **told.get(f"{name} of {host}", {})}
        if name == "rental_ready":
            answer.setdefault("rental", {**task_vars["inferops_rental"], "ssh": [answer["ssh"]]})
        if name == "host_look":
            answer["at"] = time.time()
        for line in answer.pop("tells", ()):
            tell(host, line)
        if answer.pop("once", False):
            seen = Path(os.environ["PRETENDED"] + f".{name}.{host}")
            if seen.exists():
                answer = {"changed": False, **told[name], "rental": task_vars["inferops_rental"]}
                answer.pop("tells", None)
            seen.touch()
        Path(os.environ["PRETENDED"] + f".in.{name}.{host}").touch()
        if answer.pop("is_late", False):
            os.kill(os.getpid(), signal.SIGALRM)  # what ends a task that has a limit of time
        time.sleep(answer.pop("takes", 0))
        return answer
"""


@dataclass
class Pretended:
    """A controller with this collection, whose hosts are pretended; they are rented for real."""

    folder: Path
    simulator: Simulator
    hosts: tuple[str, ...] = ("gpu-1",)
    #: What is answered otherwise, by module, or ``model_server of gpu-2`` for one host.
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)

    def prepare(self) -> None:
        """Write the collection down, with stand-ins for what needs a host."""
        ours = self.folder / "collections" / "ansible_collections" / "inferops" / "gpu"
        (ours / "plugins" / "action").mkdir(parents=True)
        for place, but in ((".", "plugins"), ("plugins", "action")):
            for entry in (REPOSITORY / place).iterdir():
                if entry.name not in (but, "collections", ".git", ".venv", ".rig"):
                    (ours / place / entry.name).symlink_to(entry)
        stand_ins = {name.partition(" ")[0] for name in (*ANSWERS, *self.answers)}
        for entry in (REPOSITORY / "plugins" / "action").glob("*.py"):
            if entry.stem not in stand_ins:
                (ours / "plugins" / "action" / entry.name).symlink_to(entry)
        for name in stand_ins:
            (ours / "plugins" / "action" / f"{name}.py").write_text(STAND_IN)

    def asked(self, *modules: str) -> list[tuple[str, dict[str, Any]]]:
        """Which of these were called so far on any host, in their order, and with what."""
        lines = (self.folder / "pretended.asked").read_text().splitlines()
        calls = (json.loads(line) for line in lines)
        return [(name, args) for name, _host, args in calls if name in modules]

    def command(self, playbook: str | Path, *arguments: str, **variables: Any) -> list[str]:
        """What a user types to run a playbook of this collection, or a file."""
        if not (self.folder / "collections").exists():
            self.prepare()
        group: Any = {"gpu_hosts": {"hosts": {name: {} for name in self.hosts}}}
        (self.folder / "hosts.yml").write_text(json.dumps(group))
        told = {**ANSWERS}
        for name, answer in self.answers.items():
            told[name] = {**told.get(name, {}), **answer}
        (self.folder / "pretended").write_text(json.dumps(told))
        given = {
            "inferops_scope": "test",
            "inferops_model": "a/b",
            "inferops_api_url": self.simulator.url,
            "inferops_controller_dir": str(self.folder / "controller"),
            "inferops_evidence_dir": str(self.folder / "evidence"),
            "inferops_ssh_private_key_file": str(self.folder / "key"),
            "rent_vram_gib": 20,
            **variables,
        }
        book = playbook if isinstance(playbook, Path) else f"inferops.gpu.{playbook}"
        ansible = Path(sys.executable).with_name("ansible-playbook")
        files = ["-i", str(self.folder / "hosts.yml")]
        return [str(ansible), *files, str(book), *arguments, "-e", json.dumps(given)]

    def environment(self) -> dict[str, str]:
        """A user's environment: the settings are those that the checkout has."""
        inherited = {k: v for k, v in os.environ.items() if k != "ANSIBLE_STDOUT_CALLBACK"}
        return {
            **inherited,
            "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(self.folder / "collections"),
            "ANSIBLE_HOME": str(self.folder / "home"),
            "COLUMNS": "100",
            "HF_ENDPOINT": "http://127.0.0.1:9",  # no test asks the real hub
            "PRETENDED": str(self.folder / "pretended"),
            "VAST_API_KEY": ACCOUNT_KEY,
        }

    def run(
        self,
        playbook: str | Path,
        *arguments: str,
        environment: dict[str, str] | None = None,
        **variables: Any,
    ) -> subprocess.CompletedProcess[str]:
        """A finished run, with its two outputs."""
        return subprocess.run(
            self.command(playbook, *arguments, **variables),
            cwd=self.folder,
            env={**self.environment(), **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


def wait_for(
    process: subprocess.Popen[str], reached: Path, seconds: float = HANGS_AFTER_SECONDS
) -> None:
    """Wait until a running playbook has made a file, or has ended."""
    until = time.monotonic() + seconds
    while not reached.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
