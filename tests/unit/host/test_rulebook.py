# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real ansible-rulebook with planted alerts: an engine is mended by itself, until it is given up.

`make rulebook` installs what it takes, which is Java and an environment of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from ansible_collections.inferops.gpu.plugins.module_utils.host.server import mends
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import Server
from tests.fidelity.clients import Environment
from tests.hanging import HANGS_AFTER_SECONDS
from tests.rig.ports import free_port
from tests.tools.tree import REPOSITORY
from tests.unit.host.own_host import link_tools, variables_of
from tests.unit.host.test_mend import PLAY_SECONDS, frozen

RULEBOOKS = REPOSITORY / "extensions/eda/rulebooks"
ENVIRONMENT = Environment(
    "ansible-rulebook",
    packages=("ansible-rulebook==1.3.2", "ansible-core==2.19.14"),
    published_before="2026-11-29T00:00:00Z",
)
TOKEN = "token-of-alertmanager"
RULES = {file.stem: yaml.safe_load(file.read_text())[0] for file in sorted(RULEBOOKS.glob("*.yml"))}
NAME = "[a-z0-9][a-z0-9-]{0,62}$"

Call = Callable[..., dict[str, Any]]


def alert(host: str, status: str = "firing") -> dict[str, Any]:
    """What Alertmanager posts, of one alert."""
    labels = {"alertname": "InferopsServerDown", "inferops_host": host}
    one = {"status": status, "labels": labels, "annotations": {}, "fingerprint": "f"}
    return {"version": "4", "status": status, "receiver": "inferops", "alerts": [one]}


@pytest.mark.parametrize("name", RULES)
def test_only_a_name_of_a_host_that_fires_becomes_a_variable(name: str) -> None:
    (rule,) = RULES[name]["rules"]
    assert rule["condition"] == (
        f'event.status == "firing" and event.labels.inferops_host is match("{NAME}")'
    )
    (action,) = rule["action"].values()
    told = action.get("job_args", action)["extra_vars"]
    assert told == {"inferops_hosts": "{{ event.labels.inferops_host }}"}


@pytest.mark.parametrize("name", RULES)
def test_nobody_without_a_token_is_listened_to_and_nobody_from_afar(name: str) -> None:
    (source,) = RULES[name]["sources"]
    listens = source["eda.builtin.webhook"]
    assert listens["host"] == "127.0.0.1"
    assert listens["token"] == "{{ INFEROPS_ALERTS_TOKEN }}"


def test_what_is_started_is_there() -> None:
    assert (REPOSITORY / "playbooks/mend.yml").is_file()
    templates = yaml.safe_load((REPOSITORY / "tests/awx/forms.yml").read_text())["templates"]
    job = RULES["mend_in_awx"]["rules"][0]["action"]["run_job_template"]
    assert job["name"].removeprefix("inferops ") in templates


@pytest.fixture
def rulebook(tmp_path: Path, home: Path) -> Iterator[Callable[[Any], int]]:
    """It listens; returns how alerts are posted. Its output is in the file ``output``."""
    if shutil.which("java") is None:
        pytest.skip("there is no Java here: make rulebook installs it")
    ENVIRONMENT.install()
    link_tools(home)
    variables = {
        **variables_of(home, tmp_path),
        "mend_most_attempts": 1,
        "recover_canary_seconds": 2,
    }
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"gpu-1": {}}, "vars": variables}}))
    port = free_port()
    commands = ENVIRONMENT.folder / "bin"
    output = (tmp_path / "output").open("wb")
    process = subprocess.Popen(
        [
            *(commands / "ansible-rulebook", "--rulebook", RULEBOOKS / "mend.yml"),
            *("--inventory", inventory, "--print-events"),
            *("--env-vars", "INFEROPS_ALERTS_TOKEN,INFEROPS_ALERTS_PORT"),
        ],
        cwd=tmp_path,
        env={
            **os.environ,
            "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / "collections"),
            "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
            "ANSIBLE_STDOUT_CALLBACK": "default",
            # Who waits for lines wants them as they are written.
            "PYTHONUNBUFFERED": "1",
            "INFEROPS_ALERTS_TOKEN": TOKEN,
            "INFEROPS_ALERTS_PORT": str(port),
        },
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
    )

    def post(payload: Any, token: str = TOKEN) -> int:
        return requests.post(
            f"http://127.0.0.1:{port}/alerts",
            json=payload,
            headers={"Authorization": f"Bearer {token}"},
            timeout=HANGS_AFTER_SECONDS,
        ).status_code

    try:
        yield post
    finally:
        process.terminate()
        process.wait(HANGS_AFTER_SECONDS)
        output.close()


@pytest.mark.vllm
@pytest.mark.long
def test_an_alert_mends_an_engine_and_gives_it_up_after_the_limit(
    rulebook: Callable[..., int],
    start: Call,
    server: Server,
    tmp_path: Path,
    wait_until: Callable[..., Any],
) -> None:
    start()
    said = tmp_path / "output"

    def listens() -> bool:
        try:
            return rulebook(alert("gpu-1"), token="of somebody else") == 401
        except requests.ConnectionError:
            return False

    def attempts() -> int:
        file = server.folder / mends.FILE
        return len(json.loads(file.read_text())["at"]) if file.exists() else 0

    def mended() -> bool:
        now = {process.identity for process in server.processes()}
        return attempts() == 1 and bool(now) and not now & old

    wait_until(listens)
    owned = tmp_path / "owned"
    planted = f"{{{{ lookup('pipe', 'touch {owned}') }}}}"
    old = frozen(server)
    assert rulebook(alert(planted)) == 200
    assert rulebook(alert("gpu-1", status="resolved")) == 200
    assert rulebook(alert("gpu-1")) == 200
    wait_until(mended, PLAY_SECONDS)
    # It is the first thing that any play was started for.
    wait_until(lambda: said.read_text().count("PLAY RECAP") == 1, PLAY_SECONDS)
    old = frozen(server)
    assert rulebook(alert("gpu-1")) == 200
    given_up = "was mended 1 times within"
    wait_until(lambda: given_up in " ".join(said.read_text().split()), PLAY_SECONDS)
    assert attempts() == 1
    assert {process.identity for process in server.processes()} == old
    assert not owned.exists()
