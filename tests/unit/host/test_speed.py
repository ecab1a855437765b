# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measuring a host's disk and network, and comparing a host with its offer."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.modules import host_speed, offer_check

Run = Callable[..., dict[str, Any]]
OFFER = {
    "gpu_count": 2,
    "vram_gib": 23.99,
    "driver_version": "580.95.05",
    "disk_mb_per_second": 2000.0,
    "download_mbit_per_second": 800.0,
    "price_usd_per_hour": 0.35,
}
CARD = {"memory_total_mib": 24564}
GPU = {"driver_version": "580.95.05", "gpus": [CARD, CARD]}
HOST = {"disk_free_mib": 39000}


class LargeFile(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"x" * 4_000_000)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), LargeFile)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/file"
    server.shutdown()
    server.server_close()


def test_disk_and_network_are_measured_and_nothing_stays(
    run_module: Run, tmp_path: Path, url: str
) -> None:
    result = run_module(host_speed, home=str(tmp_path), disk_mib=8, download_url=url)
    assert result["disk_mb_per_second"] > 0
    assert result["download_mbit_per_second"] > 0
    assert result["problems"] == []
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_measured_is_null_with_the_reason(run_module: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run_module(
        host_speed, home=str(tmp_path / "file"), disk_mib=1, download_url="http://127.0.0.1:9/"
    )
    assert result["disk_mb_per_second"] is result["download_mbit_per_second"] is None
    assert len(result["problems"]) == 2


def test_check_mode_writes_nothing(run_module: Run, tmp_path: Path) -> None:
    result = run_module(host_speed, home=str(tmp_path / "new"), check=True)
    assert result["disk_mb_per_second"] is None
    assert not (tmp_path / "new").exists()


def check(run_module: Run, **changes: Any) -> dict[str, Any]:
    given = {"offer": OFFER, "gpu": GPU, "host": HOST, "disk_gib": 40, **changes}
    return run_module(offer_check, **given)


def test_a_host_that_is_what_was_promised_passes(run_module: Run) -> None:
    result = check(run_module)
    assert "failed" not in result
    assert all(promise["kept"] for promise in result["promises"])


@pytest.mark.parametrize(
    ("changes", "stage"),
    [
        ({"gpu": {**GPU, "driver_version": "535.230.02"}}, "driver"),
        ({"gpu": {**GPU, "gpus": [CARD]}}, "gpus"),
        ({"gpu": {**GPU, "gpus": [CARD, {"memory_total_mib": 12288}]}}, "vram_gib"),
        ({"gpu": {"driver_version": None, "gpus": []}}, "gpus"),
        ({"host": {"disk_free_mib": 3000}}, "disk_gib"),
        ({"speed": {"disk_mb_per_second": 40.0}}, "disk_mb_per_second"),
        ({"speed": {"download_mbit_per_second": 20.0}}, "download_mbit_per_second"),
    ],
)
def test_a_broken_promise_names_both_figures_and_blames_the_machine(
    run_module: Run, changes: dict[str, Any], stage: str
) -> None:
    result = check(run_module, **changes)
    assert result["failed"]
    assert result["failure"]["stage"] == stage
    assert result["failure"]["blame"] == "machine"
    assert "0.3500 dollars an hour" in result["failure"]["money"]
    assert "instead of" in result["msg"]


def test_a_large_machine_need_not_reach_its_speed_over_one_connection(run_module: Run) -> None:
    offer = {**OFFER, "download_mbit_per_second": 9000.0}
    result = check(run_module, offer=offer, speed={"download_mbit_per_second": 120.0})
    assert "failed" not in result


def test_the_receipt_puts_promised_and_measured_side_by_side(
    run_module: Run, tmp_path: Path
) -> None:
    """Also for a host that is rejected, and with what nobody measured told apart."""
    path = tmp_path / "receipts" / "gpu-1.json"
    gpu = {**GPU, "driver_version": "535.230.02"}
    result = check(run_module, gpu=gpu, receipt_path=str(path))
    assert result["failed"]
    receipt = json.loads(path.read_text())
    assert receipt["kept"] is False
    assert receipt["promises"] == result["receipt"]
    assert receipt["promises"]["driver"] == {
        "promised": OFFER["driver_version"],
        "least": OFFER["driver_version"],
        "measured": "535.230.02",
        "kept": False,
    }
    assert receipt["promises"]["vram_gib"]["kept"] is True
    assert receipt["promises"]["download_mbit_per_second"]["kept"] is None
    assert path.stat().st_mode & 0o077 == 0
    assert "driver 535.230.02 of" in result["summary"]
    assert "BROKEN" in result["summary"]
    assert "download_mbit_per_second not measured" in result["summary"]


def test_a_receipt_that_cannot_be_written_decides_nothing(run_module: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = check(run_module, receipt_path=str(tmp_path / "file" / "receipt.json"))
    assert "failed" not in result
    assert "receipt cannot be written" in str(result["warnings"])


def test_check_mode_keeps_no_receipt(run_module: Run, tmp_path: Path) -> None:
    result = check(run_module, receipt_path=str(tmp_path / "r.json"), check=True)
    assert result["receipt"]["gpus"]["kept"] is True
    assert list(tmp_path.iterdir()) == []


def test_a_card_that_does_not_tell_its_memory_breaks_no_promise(run_module: Run) -> None:
    result = check(run_module, gpu={**GPU, "gpus": [CARD, {"memory_total_mib": None}]})
    assert "failed" not in result
    assert result["receipt"]["vram_gib"]["measured"] is None
