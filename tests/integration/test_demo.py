# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo as `make demo` and `make demo-down` run it, beside a demo that may be running."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.simulator import daemon

ROOT = Path(__file__).resolve().parents[2]
NAME = "test-demo"


@pytest.fixture(autouse=True)
def simulator() -> Iterator[None]:
    yield
    daemon.stop(daemon.Instance(NAME, daemon.RIG / "simulator" / NAME))


def demo(action: str) -> tuple[dict[str, Any], str]:
    """The result in the last line, and the whole output."""
    finished = subprocess.run(
        [sys.executable, "-m", "tests.demo", action, "--instance", NAME],
        cwd=ROOT,
        # As users see it: the screen is the checkout's own.
        env={k: v for k, v in os.environ.items() if k != "ANSIBLE_STDOUT_CALLBACK"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout[-5000:]
    word, _blank, content = finished.stdout.splitlines()[-1].partition(" ")
    assert word == "RESULT"
    return json.loads(content), finished.stdout


def test_the_demo_serves_again_changes_nothing_and_ends_without_a_trace() -> None:
    first, screen = demo("up")
    assert len(screen.splitlines()) <= 60, screen
    assert first["completion"].strip()
    assert first["endpoint"].startswith("http://127.0.0.1:")
    assert first["model"] == "inferops/tiny-llama"
    assert set(first["rental"]) == {"provider", "id", "offer", "price_per_hour"}
    assert first["rental"]["offer"]
    assert set(first["seconds"]) == {"rent", "ssh", "install", "launch", "total"}
    parts = sum(first["seconds"].values()) - first["seconds"]["total"]
    assert parts == pytest.approx(first["seconds"]["total"], abs=2)
    assert first["cost"] > 0

    second, output = demo("up")
    assert second["seconds"]["total"] < first["seconds"]["total"]
    assert set(re.findall(r"changed=(\d+)", output)) == {"0"}
    assert second["rental"]["id"] == first["rental"]["id"]
    assert second["endpoint"] == first["endpoint"]

    nothing = {"rentals": 0, "containers": 0, "processes": 0, "tunnels": 0}
    assert demo("down")[0] == nothing
    assert demo("down")[0] == nothing
