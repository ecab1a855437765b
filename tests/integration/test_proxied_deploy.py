# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rented host whose server stands behind a proxy: a real vLLM and the distribution's HAProxy.

With stand-ins for vLLM and for the packages, test_one_look.py tells the same of this machine.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import requests

from tests.hanging import HANGS_AFTER_SECONDS
from tests.integration import engine_image
from tests.integration.plays import Controller
from tests.rig.podman import podman
from tests.simulator.hosts import container_names

ONE = ("--limit", "gpu-1,localhost")
WISH: dict[str, Any] = {
    "inferops_group": "gpu_fleet",
    "rent_image": engine_image.NAME,
    "inferops_proxy": True,
    "proxy_client_keys": {"alice": "key-of-alice"},
}
HERS = {"Authorization": "Bearer key-of-alice"}


@pytest.mark.long
def test_a_server_behind_a_proxy_serves_changes_nothing_again_and_is_torn_down(
    controller: Controller,
) -> None:
    engine_image.ensure()
    run = controller.play("deploy", *ONE, **WISH)
    assert run.status == 0, run.output[-5000:]
    (url,) = set(re.findall(r"Endpoint: (http://127\.0\.0\.1:\d+)/v1 serves", run.message()))

    def status(method: str, path: str, headers: dict[str, str] | None = None, **more: Any) -> int:
        return requests.request(
            method, url + path, headers=headers, timeout=HANGS_AFTER_SECONDS, **more
        ).status_code

    question = {"model": "inferops/tiny-llama", "prompt": "Hello", "max_tokens": 8}
    for method, path in (
        ("POST", "/v1/completions"),
        ("OPTIONS", "/v1/models"),
        ("GET", "/metrics"),
    ):
        assert status(method, path) == 401
    assert status("POST", "/sleep", HERS) == status("GET", "/metrics", HERS) == 403
    assert status("POST", "/v1/completions", HERS, json=question) == 200

    for options in (["--check"], []):
        again = controller.play("deploy", *ONE, *options, **WISH)
        assert again.status == 0, again.output[-5000:]
        assert set(re.findall(r"changed=(\d+)", again.output)) == {"0"}
        assert "all is as asked, and a completion came back" in again.message()

    (container,) = container_names(controller.instance.name)
    podman("exec", "--detach", container, "python3", "-m", "http.server", "9999")
    opened = controller.play("deploy", *ONE, **WISH)
    assert opened.status != 0
    assert "on 0.0.0.0 port 9999" in opened.message()
    # It serves as before: what somebody opened beside it is no reason to take it away.
    assert len(controller.rentals()) == 1
    assert status("POST", "/v1/completions", HERS, json=question) == 200
    known = controller.play("deploy", *ONE, **WISH, inferops_expected_ports=[9999])
    assert known.status == 0, known.output[-5000:]

    shown = controller.play("status", *ONE, **WISH).message()
    assert re.search(r"gpu-1/proxy vllm: running on port 8000; vllm UP, \d sessions", shown), shown
    down = controller.play("teardown", *ONE, **WISH)
    assert down.status == 0, down.output[-5000:]
    assert "Proxy: ended, proven. Server: stopped, proven. Tunnel: closed." in down.message()
    assert controller.rentals() == []
