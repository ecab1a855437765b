# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ready means a non-empty completion; what stands in the way is named in order."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.engine import Engine
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import ports
from ansible_collections.inferops.gpu.plugins.module_utils.host.server import readiness
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.tree import server_processes

ID = f"/inferops-test-{os.getpid()}/servers/readiness"
Check = Callable[..., readiness.Readiness]


@pytest.fixture
def check(the_engine: Engine, free_port: int) -> Check:
    """The outcome of one look."""

    def look(name: str = "tiny", key: str | None = None) -> readiness.Readiness:
        tree = server_processes(ID)
        return readiness.check(the_engine, tree, "127.0.0.1", free_port, name, key, 5)

    return look


def settle(wait_until: Callable[..., Any], check: Check, **options: Any) -> readiness.Readiness:
    """The outcome once the stand-in listens."""
    wait_until(lambda: check(**options).waiting_for not in ("port", "health"))
    return check(**options)


def test_a_completion_makes_it_ready(
    tree: Callable[..., Any], check: Check, wait_until: Callable[..., Any]
) -> None:
    tree(ID, size=1, FAKE_NO_CHILDREN="1", FAKE_START_SECONDS="1", listening=False)
    assert check().waiting_for == "port"
    assert settle(wait_until, check) == (None, "a completion came back", " the lazy dog.")


def test_an_empty_completion_is_not_ready_though_health_is_green(
    tree: Callable[..., Any], check: Check, wait_until: Callable[..., Any]
) -> None:
    tree(ID, size=1, FAKE_NO_CHILDREN="1", FAKE_EMPTY_COMPLETION="1")
    seen = settle(wait_until, check)
    assert (seen.waiting_for, seen.detail) == ("completion", "the completion is empty")


def test_another_model_is_not_ready(
    tree: Callable[..., Any], check: Check, wait_until: Callable[..., Any]
) -> None:
    tree(ID, size=1, FAKE_NO_CHILDREN="1")
    assert settle(wait_until, check, name="other").waiting_for == "model"


def test_a_wrong_key_is_not_ready_and_the_right_one_is(
    tree: Callable[..., Any], check: Check, wait_until: Callable[..., Any], key_variable: str
) -> None:
    tree(ID, size=1, FAKE_NO_CHILDREN="1", **{key_variable: "right"})
    seen = settle(wait_until, check, key="wrong")
    assert seen.waiting_for == "model"
    assert "401" in seen.detail
    assert check(key="right").waiting_for is None


def test_a_stranger_on_the_port_is_not_the_server(
    tree: Callable[..., Any],
    check: Check,
    wait_until: Callable[..., Any],
    the_engine: Engine,
    free_port: int,
) -> None:
    tree(ID, size=1, FAKE_NO_CHILDREN="1")
    settle(wait_until, check)
    seen = readiness.check(the_engine, [], "127.0.0.1", free_port, "tiny", None)
    assert seen.waiting_for == "port"


def test_a_server_on_all_addresses_is_asked_over_the_loopback() -> None:
    assert ports.loopback_for("0.0.0.0") == "127.0.0.1"
    assert ports.loopback_for("::") == "::1"
    assert ports.loopback_for("10.0.0.5") == "10.0.0.5"
