# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rented host with a real vLLM, which the distribution's Prometheus reads through a tunnel.

`make monitoring REAL=1` runs it. What needs no host of its own is in tests/monitoring.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.hanging import HANGS_AFTER_SECONDS
from tests.integration import engine_image
from tests.integration.plays import Controller
from tests.monitoring import watching
from tests.rig.ports import free_port

ONE = ("--limit", "gpu-1,localhost")
MODEL = "inferops/tiny-llama"
SERVED = 'host="gpu-1",server="vllm"'


def files(controller: Controller) -> Path:
    return controller.folder / "c" / "monitoring" / "main-job"


def ask(controller: Controller) -> None:
    """Have the server write a completion, over the way that Prometheus reads."""
    (targets,) = files(controller).glob("targets/*.json")
    address = json.loads(targets.read_text())[0]["targets"][0]
    (key,) = files(controller).glob("keys/*")
    reply = requests.post(
        f"http://{address}/v1/completions",
        json={"model": MODEL, "prompt": "Hello", "max_tokens": 8},
        headers={"Authorization": f"Bearer {key.read_text()}"},
        timeout=HANGS_AFTER_SECONDS,
    )
    assert reply.status_code == 200, reply.text


@pytest.mark.long
@pytest.mark.skipif(bool(watching.missing()), reason="tests/tools/setup.sh prometheus")
@pytest.mark.parametrize("proxied", [False, True], ids=["alone", "behind-a-proxy"])
def test_a_real_server_is_watched_from_its_deploy_to_its_teardown(
    controller: Controller, tmp_path: Path, proxied: bool
) -> None:
    engine_image.ensure()
    address = f"127.0.0.1:{free_port()}"
    wish: dict[str, Any] = {
        "inferops_group": "gpu_fleet",
        "rent_image": engine_image.NAME,
        "rent_budget_usd": 5,
        "inferops_proxy": proxied,
        "inferops_report_dir": str(controller.folder / "reports"),
        "monitoring_node_exporter": address,
        "monitoring_interval_seconds": 5,
    }

    def play(name: str) -> str:
        run = controller.play(name, *ONE, **wish)
        assert run.status == 0, run.output[-5000:]
        return run.message()

    play("deploy")
    assert "Watched: gpu-1.vllm" in play("monitoring")
    figures, configuration = files(controller) / "figures", files(controller) / "prometheus.yml"
    with (
        watching.node_exporter(figures, address),
        watching.prometheus(configuration, tmp_path / "data") as prometheus,
    ):

        def told(query: str) -> float:
            found = watching.wait_for(query, lambda: prometheus.ask(query))
            return float(found[0]["value"][1])

        def written() -> float:
            return told(f"vllm:generation_tokens_total{{{SERVED}}}")

        before = written()
        ask(controller)
        watching.wait_for("the tokens of a completion", lambda: written() > before)
        assert told(f"up{{{SERVED}}}") == 1
        assert told('inferops_rental_price_usd_per_hour{host="gpu-1"}') > 0
        assert told('inferops_rental_deadline_timestamp_seconds{host="gpu-1"} - time()') > 0
        assert told('inferops_deploy_happened_seconds{host="gpu-1",phase="launch"}') > 0
        assert prometheus.alerts() == []
        again = play("monitoring")
        assert set(re.findall(r"gpu-1 : .*?changed=(\d+)", again)) == {"0"}

        play("teardown")
        assert "Watched: no server" in play("monitoring")
    assert list(files(controller).glob("keys/*")) == []
    assert list(files(controller).glob("targets/*")) == []
