# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What README and docs/ tell people to run does what they say.

Tried as a reader would who has the collection installed: in an empty folder, with the ansible.cfg
and the inventories that the documents show; as dry runs against the simulated marketplace. What
needs no run is in tests/unit/test_documents.py.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.registry import (
    PROVIDERS,
)
from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator.app import Simulator, dialect_of
from tests.simulator.hosts import PretendHosts
from tests.simulator.market import ACCOUNT_KEY, Market

ROOT = Path(__file__).resolve().parents[2]
TEXTS = [file.read_text() for file in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))]


def blocks(language: str) -> list[str]:
    """The blocks of one language in all documents."""
    return [
        block
        for text in TEXTS
        for block in re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)
    ]


def commands() -> list[tuple[str, ...]]:
    """The commands of Ansible, each once: a dry run makes the same of one with --check."""
    lines = re.findall(r"^ansible.*$", "\n".join(blocks("console")), flags=re.MULTILINE)
    words = (shlex.split(line, comments=True) for line in lines)
    return list(dict.fromkeys(tuple(w for w in line if w != "--check") for line in words))


COMMANDS = commands()
FLEET = next(block for block in blocks("yaml") if block.startswith("gpu_hosts:"))
RENTALS = next(block for block in blocks("yaml") if block.startswith("# fleet.rentals.yml"))
KEYS = next(block for block in blocks("yaml") if block.startswith("# keys.yml"))
GATEWAY = next(block for block in blocks("yaml") if block.startswith("# gateway.yml"))
PLAYS = [block for block in blocks("yaml") if block.startswith("- name:")]

#: What says that a command has done its job where nothing is rented yet.
SAID = {
    "inferops.gpu.doctor": "Ready to deploy",
    "inferops.gpu.deploy": "Would rent offer",
    "inferops.gpu.teardown": "Nothing is rented",
    "inferops.gpu.stop": "Nothing is rented",
    "inferops.gpu.status": "Scope prod: 0 rentals",
    "inferops.gpu.gateway": "No proxy is before server vllm on this host",
    "inferops.gpu.costs": "0.0000 dollars for no rental",
    "inferops.gpu.monitoring": "Watched: no server",
    "inferops.gpu.reap": "counts",
    "inferops.gpu.extend": "Nothing is rented under the name gpu-1",
    "inferops.gpu.recover": "Nothing that can be reached is rented under the name gpu-1",
    "inferops.gpu.benchmark": "Nothing that can be reached is rented under the name gpu-1",
    "inferops.gpu.keys": "Nothing that can be reached is rented under the name gpu-1",
    "inferops.gpu.mend": "Nothing that can be reached is rented under the name gpu-1",
    "inferops.gpu.prove": "Nothing that can be reached is rented under the name gpu-1",
    "inferops.gpu.support_bundle": ".tar.gz; read its summary.md first",
    "--list": "_meta",
    "ansible.builtin.ping": "hosts list is empty",
}
#: Those that need a rental, or a server, fail without one.
NEED_A_RENTAL = tuple(
    f"inferops.gpu.{name}"
    for name in ("benchmark", "extend", "gateway", "keys", "mend", "prove", "recover")
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A reader's folder: the files that the documents show, and nothing else."""
    (tmp_path / "ansible.cfg").write_text(blocks("ini")[0])
    (tmp_path / "hosts.yml").write_text(FLEET)
    (tmp_path / "fleet.rentals.yml").write_text(RENTALS)
    (tmp_path / "keys.yml").write_text(KEYS)
    # The reader's own hosts are this machine.
    here = GATEWAY.replace("ansible_host: gate.example.org", "ansible_connection: local")
    here += f"    ansible_python_interpreter: {sys.executable}\n"
    (tmp_path / "gateway.yml").write_text(here.replace(": ssh\n", ": local\n"))
    return tmp_path


def dry_run(command: tuple[str, ...], folder: Path, status: int = 0) -> str:
    """The output of a command in check mode; it creates nothing."""
    is_play = command[0] == "ansible-playbook"
    asked = (word.removeprefix("inferops_provider=") for word in command)
    kind = next((PROVIDERS[name] for name in asked if name in PROVIDERS), PROVIDERS["vastai"])
    simulator = Simulator(Market(PretendHosts()), provider=kind.name)
    account = dialect_of(kind.name).credentials
    try:
        finished = subprocess.run(
            [*command, *(["--check"] if is_play else [])],
            cwd=folder,
            env={
                # The screen is the one that the documents choose.
                **{k: v for k, v in os.environ.items() if k != "ANSIBLE_STDOUT_CALLBACK"},
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "HOME": str(folder),
                "PWD": str(folder),  # where evidence is kept
                "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
                # Below the address of the machine, as the public one is.
                kind.url_env: simulator.url + urlsplit(kind.default_url).path,
                **{
                    name: account.get(one.option, ACCOUNT_KEY)
                    for one in kind.credentials
                    for name in one.environment
                },
                "INFEROPS_SCOPE_SECRET": "a-secret-of-the-reader",
                "HF_ENDPOINT": "http://127.0.0.1:9",  # no test asks the real hub
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=HANGS_AFTER_SECONDS,
            check=False,
        )
        calls = [(entry["method"], entry["path"]) for entry in simulator.journal.entries()]
    finally:
        simulator.close()
    assert finished.returncode == status, finished.stdout
    assert calls, finished.stdout
    # A search, and a login by which a token is bought, only read.
    reading = ("/bundles", "/oauth2/token")
    assert {method for method, path in calls if not any(map(path.count, reading))} <= {"GET"}
    # A long path makes Ansible break the line, anywhere.
    return " ".join(finished.stdout.split())


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_of_the_documents_works(command: tuple[str, ...], folder: Path) -> None:
    name = next(word for word in command if word in SAID)
    output = dry_run(command, folder, status=2 if name in NEED_A_RENTAL else 0)
    assert SAID[name] in output
    if name == "inferops.gpu.deploy":  # both hosts, whether an inventory or a variable names them
        # What they are told alike is one line on the screen.
        assert {"gpu-1", "gpu-2"} <= set(re.findall(r"(\S+) : ok=\d+", output))
        assert re.search(r"country (SE|DE|NL),", output)


def test_the_inventory_of_the_documents_holds_the_hosts_that_they_speak_of() -> None:
    assert set(yaml.safe_load(FLEET)["gpu_hosts"]["hosts"]) == {"gpu-1", "gpu-2"}


def test_the_plays_of_the_documents_work_for_both_hosts(folder: Path) -> None:
    (folder / "plays.yml").write_text("\n".join(["---", *PLAYS]))
    output = dry_run(("ansible-playbook", "-i", "hosts.yml", "plays.yml"), folder)
    assert len(PLAYS) == 2
    assert output.count("Would rent offer") == 2
    assert not re.search(r"(failed|unreachable|rescued)=[1-9]", output)
