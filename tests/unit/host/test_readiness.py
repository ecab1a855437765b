# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ready means a non-empty completion; what stands in the way is named in order."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from ansible_collections.inferops.gpu.plugins.module_utils.host.server import readiness
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.tree import server_processes

ID = f"/inferops-test-{os.getpid()}/servers/readiness"


def check(port: int, name: str = "tiny", key: str | None = None) -> readiness.Readiness:
    return readiness.check(server_processes(ID), "127.0.0.1", port, name, key, completion_seconds=5)


def settle(wait_until: Callable[..., Any], port: int, **options: Any) -> readiness.Readiness:
    """The outcome once the stand-in listens."""
    wait_until(lambda: check(port, **options).waiting_for not in ("port", "health"))
    return check(port, **options)


def test_a_completion_makes_it_ready(
    tree: Callable[..., Any], free_port: int, wait_until: Callable[..., Any]
) -> None:
    tree(ID, size=1, FAKE_NO_CHILDREN="1", FAKE_START_SECONDS="1", listening=False)
    assert check(free_port).waiting_for == "port"
    assert settle(wait_until, free_port) == (None, "a completion came back", " the lazy dog.")


def test_an_empty_completion_is_not_ready_though_health_is_green(
    tree: Callable[..., Any], free_port: int, wait_until: Callable[..., Any]
) -> None:
    tree(ID, size=1, FAKE_NO_CHILDREN="1", FAKE_EMPTY_COMPLETION="1")
    seen = settle(wait_until, free_port)
    assert (seen.waiting_for, seen.detail) == ("completion", "the completion is empty")


def test_another_model_is_not_ready(
    tree: Callable[..., Any], free_port: int, wait_until: Callable[..., Any]
) -> None:
    tree(ID, size=1, FAKE_NO_CHILDREN="1")
    assert settle(wait_until, free_port, name="other").waiting_for == "model"


def test_a_wrong_key_is_not_ready_and_the_right_one_is(
    tree: Callable[..., Any], free_port: int, wait_until: Callable[..., Any]
) -> None:
    tree(ID, size=1, FAKE_NO_CHILDREN="1", VLLM_API_KEY="right")
    seen = settle(wait_until, free_port, key="wrong")
    assert seen.waiting_for == "model"
    assert "401" in seen.detail
    assert check(free_port, key="right").waiting_for is None


def test_a_stranger_on_the_port_is_not_the_server(
    tree: Callable[..., Any], free_port: int, wait_until: Callable[..., Any]
) -> None:
    tree(ID, size=1, FAKE_NO_CHILDREN="1")
    settle(wait_until, free_port)
    seen = readiness.check([], "127.0.0.1", free_port, "tiny", None)
    assert seen.waiting_for == "port"


def test_a_server_on_all_addresses_is_asked_over_the_loopback() -> None:
    assert readiness.loopback_for("0.0.0.0") == "127.0.0.1"
    assert readiness.loopback_for("::") == "::1"
    assert readiness.loopback_for("10.0.0.5") == "10.0.0.5"
