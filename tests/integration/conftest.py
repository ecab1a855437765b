# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A marketplace and a controller for one test; both are gone afterwards."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo.__main__ import tunnels
from tests.integration.plays import ROOT, Controller
from tests.simulator import daemon
from tests.simulator.app import DEFAULT_PROVIDER

#: Whoever takes a whole file of these last does so with nobody beside.
LONGEST = ("test_main_job", "test_drills", "test_recover")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    items.sort(key=lambda item: item.path.stem not in LONGEST)


@pytest.fixture
def controller(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Controller]:
    """Its marketplace speaks for the provider that a test names as its parameter."""
    provider = getattr(request, "param", DEFAULT_PROVIDER)
    instance = daemon.Instance(f"test-main-{uuid.uuid4().hex[:8]}", tmp_path / "simulator")
    before = os.environ.get("INFEROPS_RIG_UV_CACHE")
    # Only the downloads are shared between hosts; each installs and proves its own stack.
    os.environ["INFEROPS_RIG_UV_CACHE"] = str(ROOT / ".rig" / "uv-cache")
    try:
        started = daemon.start(instance, 0, 0, True, provider)
        yield Controller(tmp_path, instance, started["url"], started["hub_url"])
    finally:
        daemon.stop(instance)
        if before is None:
            del os.environ["INFEROPS_RIG_UV_CACHE"]
    assert tunnels(tmp_path / "c" / "tunnels") == [], "a tunnel outlived its host"
