# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulator for somebody who has this repository and Python, without podman."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hanging import HANGS_AFTER_SECONDS
from tests.rig.checkout import ROOT
from tests.simulator.market import ACCOUNT_KEY
from tests.tools import endpoints

REQUIREMENTS = ROOT / "tests" / "simulator" / "requirements.txt"
UV = Path(sys.executable).with_name("uv")


class Stranger:
    """The command line in an environment of its own, on a machine without podman."""

    def __init__(self, folder: Path) -> None:
        self.python = folder / "venv" / "bin" / "python"
        self.common = ["--instance", f"test-{uuid.uuid4().hex[:8]}"]
        self.common += ["--state-dir", str(folder / "state")]
        self.environment = {**os.environ, "PATH": str(folder / "nothing"), "PYTHONPATH": ""}
        install = [UV, "pip", "install", "--quiet", "--require-hashes", "--python", self.python]
        for command in (
            [UV, "venv", "--quiet", "--python", sys.executable, folder / "venv"],
            [*install, "--requirement", REQUIREMENTS],
        ):
            subprocess.run([*map(str, command)], check=True, timeout=300)

    def __call__(self, action: str, *more: str) -> Any:
        done = subprocess.run(
            [str(self.python), "-m", "tests.simulator", action, *self.common, *more],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=HANGS_AFTER_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[Stranger]:
    stranger = Stranger(tmp_path)
    yield stranger
    stranger("stop")
    shutil.rmtree(tmp_path / "venv")


def ask(method: str, url: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {ACCOUNT_KEY}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(request, timeout=HANGS_AFTER_SECONDS) as answer:
        return json.load(answer)


def test_its_own_requirements_are_all_it_needs_and_it_says_what_bills(stranger: Stranger) -> None:
    url = stranger("start", "--port", "0", "--no-containers")["url"]
    assert stranger("status")["verdict"].startswith("nothing bills; 0 ended; 0.0000")
    offer = ask("POST", f"{url}/api/v0/bundles/", {"limit": 1})["offers"][0]
    wish = {"image": "any/image", "disk": 40, "label": "mine"}
    number = ask("PUT", f"{url}/api/v0/asks/{offer['id']}/", wish)["new_contract"]
    assert stranger("status")["verdict"].startswith("1 rental bills 0.")
    assert f": {number} (mine, " in stranger("status")["verdict"]
    ask("POST", f"{url}/simulator/clock", {"advance_seconds": 3600})
    ask("DELETE", f"{url}/api/v0/instances/{number}/", {})
    state = ask("GET", f"{url}/simulator/state")
    (ended,) = state["history"]
    assert (ended["id"], ended["label"]) == (number, "mine")
    assert ended["ended_at"] - ended["created_at"] >= 3600
    cost = f"{ended['charged_usd']:.4f} dollars until now"
    assert state["verdict"] == f"nothing bills; 1 ended; {cost}"
    assert ended["charged_usd"] > 0


def test_the_page_of_endpoints_says_what_the_routes_are() -> None:
    assert endpoints.PAGE.read_text() == endpoints.page()
    # Who reads it is told what each is for.
    assert not [line for line in endpoints.page().splitlines() if line.endswith("|  |")]
