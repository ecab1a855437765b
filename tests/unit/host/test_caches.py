# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is cleaned up is what can be made or fetched again, and nothing beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.machine.files import write_json
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import Server
from ansible_collections.inferops.gpu.plugins.modules import server_cleanup

pytestmark = pytest.mark.vllm

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def clean(run_module: Call, home: Path) -> Call:
    def call(check: bool = False, **options: Any) -> dict[str, Any]:
        return run_module(server_cleanup, check=check, name="main", home=str(home), **options)

    return call


@pytest.fixture
def disk(tmp_path: Path, server: Server) -> Path:
    """A server with caches of its own below one folder."""
    variables = {
        "HF_HOME": str(tmp_path / "hf"),
        "VLLM_CACHE_ROOT": str(tmp_path / "vllm"),
        "TRITON_CACHE_DIR": str(tmp_path / "triton"),
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "inductor"),
        "FLASHINFER_WORKSPACE_BASE": str(tmp_path),
    }
    write_json(server.folder / "environment.json", variables)
    files = [
        tmp_path / "hf/hub/models--org--broken/blobs/abc",
        tmp_path / "hf/hub/models--org--broken/blobs/def.incomplete",
        tmp_path / "hf/hub/models--org--fine/blobs/abc",
        tmp_path / "vllm/torch_compile_cache/x/graph",
        tmp_path / "vllm/assets/keep",
        tmp_path / "triton/kernel",
        server.folder / "server.log",
        server.folder / "server.log.1",
    ]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x" * 300_000)
    return tmp_path


def left(disk: Path, server: Server) -> set[str]:
    roots = (disk / "hf", disk / "vllm", disk / "triton", server.folder)
    return {path.name for root in roots for path in root.rglob("*") if path.is_file()}


def test_caches_go_and_everything_else_stays(clean: Call, disk: Path, server: Server) -> None:
    dry = clean(check=True, what=["compiled", "unfinished", "old_logs"])
    assert dry["changed"]
    assert len(left(disk, server)) > 5
    done = clean(what=["compiled", "unfinished", "old_logs"])
    assert [one["path"] for one in done["removed"]] == [one["path"] for one in dry["removed"]]
    assert done["freed_mib"] > 0
    assert left(disk, server) == {"abc", "keep", "server.log", "environment.json"}
    assert not clean(what=["compiled", "unfinished", "old_logs"])["changed"]


def test_a_damaged_model_goes_and_the_others_stay(clean: Call, disk: Path) -> None:
    assert clean(model="org/broken")["changed"]
    assert [path.name for path in (disk / "hf/hub").iterdir()] == ["models--org--fine"]
    assert not clean(model="org/broken")["changed"]


@pytest.mark.parametrize("model", ["/models/mine", "../../etc", "org/..", "org"])
def test_what_was_not_downloaded_is_never_deleted(clean: Call, disk: Path, model: str) -> None:
    result = clean(model=model)
    assert result["failed"]
    assert "not deleted" in result["msg"]
