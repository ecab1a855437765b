# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets planted in addresses and environments: in no output, and in no system log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.parameters import remove_values

from ansible_collections.inferops.gpu.plugins.module_utils.common.hiding import (
    hide_passwords,
    passwords_in,
    secrets_in,
)
from tests.simulator.app import Simulator
from tests.simulator.hosts import PretendHosts
from tests.simulator.market import ACCOUNT_KEY, Market
from tests.tools.tree import REPOSITORY
from tests.unit.plugins.test_guarded_actions import ansible

PASSWORD, TOKEN, SHORT = "planted%2Fpassword-1", "plantedtoken12345", "p1anted"
#: Nobody listens there.
ADDRESS = "127.0.0.1:9/x"
WITH_PASSWORD = f"http://user:{PASSWORD}@{ADDRESS}"
WITH_TOKEN = f"http://{TOKEN}@{ADDRESS}"
WITH_SHORT = f"http://user:{SHORT}@{ADDRESS}"
PLANTED = (PASSWORD, "planted/password-1", TOKEN, SHORT)

SOURCES = {"index_url": WITH_PASSWORD, "find_links": [WITH_TOKEN, WITH_SHORT]}
LOCK = {
    **SOURCES,
    "torch_index_url": WITH_TOKEN,
    "extra_index_urls": [WITH_SHORT, WITH_PASSWORD],
    "python_mirror": WITH_TOKEN,
}
#: What the standard library's journal would be told.
JOURNAL = """
import os

def send(**told):
    with open(os.environ["TOLD"], "ab") as file:
        file.write(repr(told).encode() + b"\\n")

sendv = send
"""


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    started = Simulator(Market(PretendHosts()))
    yield started
    started.close()


def said(folder: Path, *tasks: dict[str, Any]) -> tuple[str, str]:
    """What a play prints at its most verbose, and what its modules tell the system log."""
    # Not in the folder of the play, which Ansible keeps out of the path of modules.
    library = folder / "library" / "systemd"
    library.mkdir(parents=True)
    (library / "__init__.py").touch()
    (library / "journal.py").write_text(JOURNAL)
    (library / "daemon.py").write_text("def booted():\n    return True\n")
    python, told = folder / "python", folder / "told"
    python.write_text(
        f"#!/bin/sh\nTOLD='{told}' PYTHONPATH='{library.parent}' exec '{sys.executable}' \"$@\"\n"
    )
    python.chmod(0o755)
    told.touch()
    here = {"ansible_connection": "local", "ansible_python_interpreter": str(python)}
    hosts, play = folder / "hosts.yml", folder / "play.yml"
    hosts.write_text(yaml.safe_dump({"all": {"hosts": {"gpu-1": here}}}))
    each = [{**task, "ignore_errors": True} for task in tasks]
    play.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": each}]))
    # Pauses between tries are a hundredth of what they are.
    clock = f"{time.time()} {time.time()} 100"
    done = ansible(play, hosts, "-vvvvv", defaults=False, INFEROPS_CLOCK=clock)
    assert done.stdout.count("TASK [") == len(tasks), done.stdout
    return done.stdout, told.read_text()


def assert_hidden(*texts: str) -> None:
    for secret in PLANTED:
        assert not any(secret in text for text in texts), secret


def test_the_password_of_an_index_or_a_hub_is_shown_nowhere(tmp_path: Path) -> None:
    hub = {"model": "a/b", "endpoint": WITH_PASSWORD, "timeout_seconds": 1}
    tool = {"folder": str(tmp_path / "tool"), "name": "uv", "version": "0.1", **SOURCES}
    printed, told = said(
        tmp_path,
        {"inferops.gpu.stack_lock": {"home": str(tmp_path), **LOCK}, "check_mode": True},
        {"inferops.gpu.host_tool": tool, "check_mode": True},
        {"inferops.gpu.model_info": hub},
        {"inferops.gpu.model_info": {**hub, "endpoint": WITH_TOKEN}, "delegate_to": "localhost"},
        {"ansible.builtin.stat": {"path": "/"}},
    )
    assert_hidden(printed, told)
    assert ADDRESS in printed
    assert "Invoked with" in told, "the system log was not looked at"


def test_the_password_of_a_marketplaces_address_is_shown_nowhere(
    tmp_path: Path, simulator: Simulator
) -> None:
    """Where it answers, on the controller, and where nobody does, on another machine."""
    tasks = []
    there = simulator.url.replace("://", f"://user:{PASSWORD}@")
    for address, place in ((there, "localhost"), (WITH_TOKEN, "gpu-1")):
        account = {
            "scope": "test",
            "api_key": ACCOUNT_KEY,
            "api_url": address,
            "controller_dir": str(tmp_path / "c"),
        }
        for module, options in {
            "rental_info": {},
            "rental_costs": {},
            "rental": {"name": "gpu-1", "state": "absent"},
            "rental_extend": {"name": "gpu-1", "hours": 1},
            "rental_reap": {},
            "offer_info": {},
        }.items():
            tasks.append({f"inferops.gpu.{module}": {**account, **options}, "delegate_to": place})
    printed, told = said(tmp_path, *tasks)
    assert_hidden(printed, told)
    assert ACCOUNT_KEY not in printed + told
    assert "rentals" in printed


def test_the_environment_of_a_server_does_not_reach_the_system_log(tmp_path: Path) -> None:
    server = {
        "name": "main",
        "home": str(tmp_path / "home"),
        "python": sys.executable,
        "model": "a/b",
        "environment": {"ANY_NAME": TOKEN},
    }
    printed, told = said(tmp_path, {"inferops.gpu.model_server": server, "check_mode": True})
    assert_hidden(printed, told)


def test_the_connection_which_shows_what_a_module_prints_is_told_no_password() -> None:
    """At -vvv, before any action of ours gets it."""
    module = AnsibleModule.__new__(AnsibleModule)
    module.params, module.no_log_values = dict(LOCK), set()
    hide_passwords(module)
    assert_hidden(str(remove_values(module.params, module.no_log_values)))


def test_every_module_that_takes_an_address_hides_its_password() -> None:
    shared = ("ACCOUNT", "MARKET", "RENTAL", "RENTAL_INFO", "HUB", "MODEL_INFO", "SOURCE")
    named = (*(f"{one}_OPTIONS" for one in shared), '"url"', "_url", "endpoint", "mirror")
    for file in (REPOSITORY / "plugins" / "modules").glob("*.py"):
        made = file.read_text().partition("AnsibleModule(")[2]
        takes = any(word in made.partition("\n    )\n")[0] for word in named)
        assert not takes or "hide_passwords(module)" in made, file.name


@pytest.mark.parametrize(
    ("value", "secrets"),
    [
        ("https://example.org/simple", set()),
        ("git+ssh://git@github.com/a/b", set()),
        ("https://u:p@h/", {"u:p@"}),
        ("https://u:longenough@h/", {"u:longenough@", "longenough"}),
        ("https://u:pass@with@h/", {"u:pass@with@", "pass@with"}),
        ("https://longtoken1@h/", {"longtoken1@", "longtoken1"}),
        ("https://u:p/longenough@h/", {"u:p/longenough@", "p/longenough"}),
        ("https://u:p?longenough@h/", {"u:p?longenough@", "p?longenough"}),
        ("https://u:long enough@h/", {"u:long enough@", "long enough"}),
        ("u:longenough@h:3128", {"u:longenough@", "longenough"}),
        ("https://h/simple?token=longenough&page=2", {"token=longenough", "longenough"}),
        ("https://h/simple?key=longenough", {"key=longenough", "longenough"}),
        ("http://h:8000/a@b", set()),
        ("http://[::1]:8000/a@b", set()),
        ("ubuntu:24.04@sha256:0123", set()),
        ("https://h/?page=2&max_tokens=5", set()),
        ({"a": ["x https://u:p%2Fp12345@h"]}, {"u:p%2Fp12345@", "p%2Fp12345", "p/p12345"}),
        (b"", set()),
        (None, set()),
    ],
)
def test_what_is_secret_in_an_address(value: Any, secrets: set[str]) -> None:
    assert passwords_in(value) == secrets


def test_what_is_secret_by_the_name_of_an_option() -> None:
    options = {
        "api_key": "longenough1",
        "environment": {"HF_TOKEN": "longenough2", "HF_HOME": "/models/hub"},
        "registry": {"password": "longenough3"},
        "ssh_private_key_file": "/home/me/.ssh/id",
        "host_keys": "delivered",
        "token": "short",
        "max_tokens": 123456789,
        "arguments": {"tokenizer": "organisation/model"},
    }
    assert secrets_in(options) == {"longenough1", "longenough2", "longenough3"}
