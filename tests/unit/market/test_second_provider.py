# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A provider that is added as CONTRIBUTING.md says is one that whole plays rent at.

It is added to a copy of the collection: its file, a line in the registry, the documentation of the
options. It logs in with two secrets, so the second has an option and a variable that no role names.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from tests.tools.tree import REPOSITORY
from tests.unit.market.conftest import PUBLIC_KEY
from tests.unit.market.fake_provider import KEY
from tests.unit.market.second_provider import ACCOUNT
from tests.unit.plays import SCALE, play

HERE = Path(__file__).parent
PROVIDERS = "plugins/module_utils/market/providers"
REGISTERED = """
from .second import Second
PROVIDERS[Second.name] = Second
"""
OPTION = """  account_secret:
    description: E(SECOND_ACCOUNT_SECRET) for V(second).
    type: str
  api_url:
"""
RENT = {
    "hosts": "gpu-1",
    "gather_facts": False,
    "roles": ["inferops.gpu.inferops"],
    "module_defaults": {"group/inferops.gpu.market": "{{ inferops_account }}"},
    "tasks": [
        {"inferops.gpu.check_variables": {"rents": True}},
        {
            "inferops.gpu.rental": {
                "name": "{{ inferops_name }}",
                "ssh_public_key": PUBLIC_KEY,
                "allow_unenforced_deadline": True,
            },
            "delegate_to": "localhost",
        },
        {"ansible.builtin.debug": {"msg": "clients send {{ inferops_client_key }}"}},
    ],
}


@pytest.fixture
def collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The copy, which plays take for the installed one."""
    root = tmp_path / "ansible_collections" / "inferops" / "gpu"
    compiled = shutil.ignore_patterns("__pycache__")
    for part in ("plugins", "roles", "playbooks", "meta"):
        shutil.copytree(REPOSITORY / part, root / part, ignore=compiled)
    shutil.copy(REPOSITORY / "galaxy.yml", root)
    shutil.copy(HERE / "fake_provider.py", root / PROVIDERS)
    shutil.copy(HERE / "second_provider.py", root / PROVIDERS / "second.py")
    with (root / PROVIDERS / "registry.py").open("a") as registry:
        registry.write(REGISTERED)
    options = root / "plugins" / "doc_fragments" / "market.py"
    text = options.read_text().replace("choices: [", "choices: [second, ", 1)
    options.write_text(text.replace("\n  api_url:\n", f"\n{OPTION}", 1))
    monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", str(tmp_path))
    monkeypatch.setenv("INFEROPS_CLOCK", f"{time.time()} {time.time()} {SCALE}")
    return root


@pytest.mark.long
def test_a_provider_of_one_file_and_one_line_is_rented_at_seen_and_left(
    tmp_path: Path, collection: Path
) -> None:
    market = tmp_path / "market"
    account = {
        "inferops_provider": "second",
        "inferops_api_key": KEY,
        "inferops_account_secret": ACCOUNT,
        "inferops_api_url": f"file:{market}",
    }

    def run(playbook: Path | list[dict[str, Any]], **others: Any) -> tuple[int, str]:
        return play(tmp_path, playbook, "--limit", "gpu-1", **{**account, **others})

    status, output = run([RENT], inferops_account_secret="")
    assert status != 0
    assert "Set the environment variable SECOND_ACCOUNT_SECRET" in output
    assert "(variable inferops_account_secret)" in output
    assert not market.exists()

    status, output = run([RENT])
    assert status == 0, output
    assert "clients send sk-" in output
    assert ACCOUNT not in output

    status, output = run(collection / "playbooks" / "status.yml")
    assert status == 0, output
    assert "of second is" in output

    source = {"plugin": "inferops.gpu.rentals", "provider": "second", "scope": "test"}
    secrets = {"api_key": KEY, "account_secret": ACCOUNT, "api_url": f"file:{market}"}
    fleet = tmp_path / "fleet.rentals.yml"
    fleet.write_text(json.dumps({**source, **secrets}))
    told = {"ansible.builtin.debug": {"msg": "{{ inferops_rental.provider }} has it"}}
    shown = [{"hosts": "gpu_rentals", "gather_facts": False, "tasks": [told]}]
    status, output = play(tmp_path, shown, "-i", str(fleet))
    assert "second has it" in output, output

    status, output = run(collection / "playbooks" / "teardown.yml")
    assert status == 0, output
    assert "Released and proven gone: rental " in output
