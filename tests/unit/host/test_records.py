# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a server is whole, private, and never trusted when it is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import files
from ansible_collections.inferops.gpu.plugins.module_utils.host.service import records
from ansible_collections.inferops.gpu.plugins.module_utils.host.service.records import Record


def test_a_record_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "servers" / "main" / "record.json"
    written = records.write(path, Record("main", "/x/main"), pid=7, start_time_ticks=9, boot_id="b")
    assert records.read(path, records.Record) == written
    assert written.identity == (7, 9, "b")


def test_files_and_their_folder_are_private(tmp_path: Path) -> None:
    path = tmp_path / "main" / "environment.json"
    path.parent.mkdir(mode=0o755)
    path.touch(mode=0o644)
    assert files.write_json(path, {"HF_TOKEN": "secret"})
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["environment.json"]


def test_writing_the_same_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "main" / "spec.json"
    assert files.write_json(path, {"a": 1})
    assert not files.write_json(path, {"a": 1})
    assert files.write_json(path, {"a": 2})


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"name": "main"}', '{"name": "a", "service_id": "b", "phase": "odd"}'],
)
def test_a_damaged_record_counts_as_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(text)
    assert records.read(path, records.Record) is None
    path.write_bytes(b"\xff\xfe\x00")
    assert records.read(path, records.Record) is None


def test_fields_of_a_later_version_do_not_hide_the_record(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text('{"name": "main", "service_id": "i", "phase": "running", "new": 1}')
    record = records.read(path, records.Record)
    assert record is not None
    assert record.phase == "running"
