# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The next deploy sees in one look whether a proxy is as it was asked for, and what is not."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.common import proxy_keys
from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy import (
    asked,
    configuration,
    observation,
)
from ansible_collections.inferops.gpu.plugins.modules import evidence
from ansible_collections.inferops.gpu.plugins.modules import proxy as module
from tests.unit.host.proxied import BIN, ENGINE_KEY, KEY, METRICS_KEY, Stage, as_sent

Call = Callable[..., dict[str, Any]]
STRANGER = f"{proxy_keys.digest('key-of-a-stranger')} client:mallory"


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Stage() as stage:
        yield stage


@pytest.fixture
def put(run_module: Call, stage: Stage) -> Call:
    """Do what a deploy does that asks for `all of it`; options may be changed."""

    def run(**options: Any) -> dict[str, Any]:
        wanted = {
            "name": "main",
            "home": str(stage.home),
            "listeners": [{"port": stage.port}],
            "servers": [stage.upstream(stage.big)],
            "server_key": ENGINE_KEY,
            "keys": {"inferops": KEY},
            "supervisor": "supervisord",
            "supervisord_bin_dir": BIN,
            "stop_timeout_seconds": 5,
            "wishes": "all of it",
        }
        result = run_module(module, **as_sent({**wanted, **options}))
        assert not result.get("failed"), result["msg"]
        return result

    return run


def told(stage: Stage, wishes: str = "all of it", port: int = 0) -> list[str]:
    seen = observation.observe(stage.proxy)
    return asked.differences(stage.proxy, seen, wishes, port or stage.big.port)


@pytest.mark.long
def test_whatever_was_changed_at_a_proxy_is_told_in_words(put: Call, stage: Stage) -> None:
    """One difference after the other, each put right by what the deploy does then."""
    assert told(stage) == ["no deploy asked for just this proxy before"]
    put()
    assert told(stage) == []
    assert told(stage, wishes="else") == ["no deploy asked for just this proxy before"]
    assert told(stage, port=9) == ["the proxy leads to another port than that of the server"]

    changed = ["the keys of the proxy were changed"]
    stage.proxy.runtime.ask(f"add map {configuration.KEYS} {STRANGER}")
    assert told(stage) == changed
    assert put()["done"] == "keys"
    for file in (configuration.KEYS, configuration.UPSTREAM_KEY):
        (stage.proxy.folder / file).write_text(STRANGER)
        assert told(stage) == changed
        assert put()["done"] == "keys"
    put(keys={"inferops": "another-key-1"}, wishes="")
    assert told(stage) == changed
    put()

    changed = ["the settings of the proxy were changed"]
    text = stage.proxy.configuration.read_text()
    stage.proxy.configuration.write_text(text.replace("status 401", "status 200"))
    assert told(stage) == changed
    put()
    put(max_body_kib=128, wishes="")
    assert told(stage) == changed
    put()
    assert told(stage) == []

    for launcher in stage.proxy.launchers():
        os.kill(launcher.pid, signal.SIGSTOP)
    for process in stage.proxy.processes():
        os.kill(process.pid, signal.SIGSTOP)
    try:
        (frozen,) = told(stage)
    finally:
        for process in [*stage.proxy.processes(), *stage.proxy.launchers()]:
            os.kill(process.pid, signal.SIGCONT)
    assert "its runtime socket" in frozen
    put(state="absent")
    assert told(stage) == ["the proxy is stopped: requested"]


def test_evidence_of_a_proxy_explains_it_and_holds_no_key(
    put: Call, stage: Stage, run_module: Call
) -> None:
    put(metrics_keys={"prometheus": METRICS_KEY})
    assert stage.ask().status == 200
    with stage.proxy.log.open("a") as log:
        log.write(f"somebody wrote {ENGINE_KEY} here\n")
    told = run_module(evidence, name="main", home=str(stage.home), dest="/nowhere")
    parts = {name: text for name, text in told["parts"].items() if name.startswith("proxy-")}
    assert set(parts) == {f"proxy-main.{what}" for what in ("log", "launcher.log", "haproxy.cfg")}
    assert "client:inferops POST /v1/completions" in parts["proxy-main.log"]
    assert "somebody wrote (redacted) here" in parts["proxy-main.log"]
    assert "backend engines" in parts["proxy-main.haproxy.cfg"]
    for key in (KEY, METRICS_KEY, ENGINE_KEY, proxy_keys.digest(KEY)):
        assert key not in "".join(told["parts"].values())
    assert [each["name"] for each in told["proxies"]] == ["main"]
