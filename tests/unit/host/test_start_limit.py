# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a start may take when nobody said it."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.common import reasons
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import processes
from ansible_collections.inferops.gpu.plugins.module_utils.host.server import (
    observation,
    start_limit,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import Server
from ansible_collections.inferops.gpu.plugins.module_utils.host.service import records
from ansible_collections.inferops.gpu.plugins.module_utils.serving import limits

GIB = 1024**3


def hub_model(hub: Path, size: int) -> Path:
    """A model as the hub's cache keeps it: links in a snapshot to blobs."""
    blob = hub / "models--org--name" / "blobs" / "abc"
    blob.parent.mkdir(parents=True)
    with blob.open("wb") as stream:
        stream.truncate(size)
    link = hub / "models--org--name" / "snapshots" / "main" / "model.safetensors"
    link.parent.mkdir(parents=True)
    link.symlink_to(blob)
    return blob


def test_a_large_model_on_a_slow_disk_gets_more_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        with (tmp_path / f"model-{number}.safetensors").open("wb") as stream:
            stream.truncate(10 * GIB)
    (tmp_path / "notes.txt").write_text("no weights")
    monkeypatch.setattr(start_limit, "read_bytes_per_second", lambda file: 100e6)
    given = start_limit.for_start(str(tmp_path), None, {})
    assert given.seconds == 600 + round(4 * 20 * GIB / 100e6)
    assert given.why == ("600 s, and 4 times what reading 21.5 GB takes at the 100 MB/s measured")


def test_all_parts_of_a_model_count_that_is_loaded_by_its_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"big-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    sizes = {names[0]: 0, names[1]: 10, names[2]: 10, "big.gguf": 40, "other.gguf": 40}
    for name, size in sizes.items():
        with (tmp_path / name).open("wb") as stream:
            stream.truncate(size * GIB)
    monkeypatch.setattr(start_limit, "read_bytes_per_second", lambda file: 100e6)
    seconds = {
        name: start_limit.for_start(str(tmp_path / name), None, {}).seconds
        for name in (names[0], "big.gguf")
    }
    assert seconds == {
        names[0]: 600 + round(4 * 20 * GIB / 100e6),
        "big.gguf": 600 + round(4 * 40 * GIB / 100e6),
    }


@pytest.mark.parametrize("place", ["download_dir", "HF_HUB_CACHE", "HF_HOME"])
def test_a_model_in_the_cache_of_the_hub_is_found(tmp_path: Path, place: str) -> None:
    hub = tmp_path / "hub"
    hub_model(hub, 1000)
    where = {place: str(tmp_path if place == "HF_HOME" else hub)}
    given = start_limit.for_start("org/name", where.pop("download_dir", None), where)
    assert given.seconds == start_limit.WITHOUT_WEIGHTS_SECONDS


def test_a_model_that_has_not_come_wholly_may_still_be_downloaded(tmp_path: Path) -> None:
    place = {"HF_HUB_CACHE": str(tmp_path)}
    absent = start_limit.for_start("org/name", None, place)
    assert absent.seconds == start_limit.DOWNLOAD_SECONDS
    assert "org/name is not on this host yet" in absent.why
    blob = hub_model(tmp_path, 1000)
    blob.with_name("def.incomplete").touch()
    assert start_limit.for_start("org/name", None, place) == absent


def test_the_speed_of_the_disk_is_measured_in_a_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "model.gguf"
    with file.open("wb") as stream:
        stream.truncate(64 * GIB)
    monkeypatch.setattr(start_limit, "SAMPLE_BYTES", 32 * 1024**2)
    assert start_limit.read_bytes_per_second(file) > 1e6
    file.write_bytes(b"")
    assert start_limit.read_bytes_per_second(file) > 0


def test_a_check_counts_from_when_this_start_came_to_it_not_one_before(server: Server) -> None:
    long_ago = {"port": time.time() - 7300, "completion": time.time() - 7200}
    waits = records.Record(server.name, server.id, started_at=time.time(), checks_since=long_ago)

    def passed(record: records.Record) -> limits.Limit | None:
        records.write(server.record_path, record)
        seen = observation.observe(server, keep=False)
        return limits.passed(seen, 0, 60, start_limit.CHECKS_SECONDS)

    # Between two starts its supervisor waits for a moment: there is no process.
    assert passed(waits) is None
    own = processes.read_process(os.getpid())
    assert own is not None
    ticks, boot = own.start_time_ticks, processes.boot_id()
    lives = replace(waits, pid=own.pid, start_time_ticks=ticks, boot_id=boot)
    limit = passed(lives)
    assert limit is not None
    assert (limit.option, limit.reason) == ("check_timeouts_seconds.completion", reasons.HUNG)
    assert "did not pass its check of completion within 300 s" in limit.event
    recent = {"port": time.time() - 7300, "completion": time.time()}
    assert passed(replace(lives, checks_since=recent)) is None


def test_what_an_offer_lets_expect_is_never_cut_short() -> None:
    limit = start_limit.StartLimit(600, "measured")
    assert start_limit.and_expected(limit, 0) == limit
    assert start_limit.and_expected(limit, 200) == limit
    assert start_limit.and_expected(limit, 900) == (
        2700,
        "3 times the 900 s that are expected of it",
    )
