# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where files lie, and what of them memory holds: asked of this machine's own kernel."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import file_systems
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine.file_systems import (
    MOUNTS,
    cached_share,
    file_system_of,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.models.description import (
    described,
    placed,
)

MIB = 2**20


def written(path: Path, size: int) -> Path:
    """A file that lies on the disk in truth."""
    with path.open("wb") as stream:
        stream.write(os.urandom(size))
        stream.flush()
        os.fsync(stream.fileno())
    return path


def forget(path: Path) -> None:
    """Let memory hold nothing of it, as after a restart."""
    with path.open("rb") as stream:
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def test_what_was_just_written_is_in_memory_and_what_was_forgotten_is_not(tmp_path: Path) -> None:
    file = written(tmp_path / "model.safetensors", 8 * MIB + 5)
    assert cached_share([file]) == 1.0
    if file_system_of(file) == "tmpfs":
        return  # is memory
    forget(file)
    assert cached_share([file]) == 0.0
    # To look brings nothing into memory.
    assert cached_share([file]) == 0.0
    other = written(tmp_path / "other.safetensors", 8 * MIB)
    assert cached_share([file, other]) == pytest.approx(0.5, abs=0.01)


def test_large_files_are_looked_at_in_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_systems, "SAMPLES", 4)
    files = [written(tmp_path / name, 16 * MIB) for name in ("a", "b")]
    looked: list[int] = []
    look = file_systems._held
    monkeypatch.setattr(
        file_systems, "_held", lambda *asked: looked.append(asked[1]) or look(*asked)
    )
    assert cached_share(files) == 1.0
    assert looked == [0, 8 * MIB, 0, 8 * MIB]


def test_where_nobody_can_tell_nothing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path / "a", 10)
    assert cached_share([tmp_path / "missing"]) is None
    assert cached_share([]) is None
    (tmp_path / "empty").touch()
    assert cached_share([tmp_path / "empty"]) is None

    class Other:
        """A kernel that does not answer."""

        def mincore(self, *_asked: Any) -> int:
            return -1

    monkeypatch.setattr(ctypes, "CDLL", lambda *_asked, **_more: Other())
    assert cached_share([file]) is None


def test_the_file_system_is_that_of_the_nearest_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/vda / ext4 rw 0 0\n"
        "tag /data virtiofs rw 0 0\n"
        "server:/a /data/my\\040models nfs4 rw 0 0\n"
        "tmpfs /data/late tmpfs rw 0 0\n"
        "mon:/ /data/late ceph rw 0 0\n"
        "broken\n"
    )
    for path, kind in {
        "/data/model": "virtiofs",
        "/data": "virtiofs",
        "/database/model": "ext4",
        "/data/my models/a": "nfs4",
        "/data/late/a": "ceph",
        "/home": "ext4",
    }.items():
        assert file_system_of(Path(path), mounts) == kind, path
    assert file_system_of(Path("/data"), tmp_path / "missing") is None
    assert file_system_of(tmp_path) == file_system_of(tmp_path / "a", MOUNTS)


def test_a_model_tells_where_its_weights_lie(tmp_path: Path) -> None:
    assert placed(tmp_path) is None
    written(tmp_path / "model.safetensors", MIB)
    (tmp_path / "tokenizer.json").write_text("{}")
    told = {"bytes": MIB, "file_system": file_system_of(tmp_path), "cached_share": 1.0}
    assert described(str(tmp_path), tmp_path)["weights"] == told
    # As the hub's own client keeps them: links into a folder of blobs.
    snapshot = tmp_path / "hub" / "models--a--b" / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").symlink_to(tmp_path / "model.safetensors")
    assert described("a/b", tmp_path / "hub")["weights"] == told
    assert described("a/c", tmp_path / "hub")["weights"] is None
