# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where another user was faster and made the collection's folder, or planted something in it, no
module reads it, runs what lies there, or writes into it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.modules import (
    compiled_cache,
    evidence,
    host_look,
    mend_attempt,
    model_cache,
    model_server,
    model_server_info,
    server_cleanup,
    stack_image,
    stack_lock,
    stack_packages,
)
from tests.strangers import Strangers

NAMED = {"name": "main"}
CALLS: list[tuple[ModuleType, dict[str, Any]]] = [
    (compiled_cache, {"state": "given", "python": "/nowhere/python", "model": "org/model"}),
    (evidence, {**NAMED, "dest": "/nowhere"}),
    (host_look, {}),
    (mend_attempt, NAMED),
    (model_cache, {"model": "org/model", "endpoint": "http://127.0.0.1:1"}),
    (model_server, {**NAMED, "python": "/nowhere/python", "model": "org/model"}),
    (model_server, {**NAMED, "state": "stopped"}),
    (model_server_info, {}),
    (server_cleanup, {**NAMED, "what": ["old_logs"]}),
    (stack_image, {"python": "/nowhere/python"}),
    (stack_lock, {"requirements": ["vllm"]}),
    (stack_packages, {"name": "numpy", "packages": ["numpy"], "proof": "print('{}')"}),
]


@pytest.mark.parametrize("planted", ["home", "home/servers"])
@pytest.mark.parametrize(
    ("module", "options"), CALLS, ids=[call[0].__name__.rpartition(".")[2] for call in CALLS]
)
def test_a_home_of_a_stranger_is_refused_by_name(
    run_module: Callable[..., dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    options: dict[str, Any],
    planted: str,
) -> None:
    (tmp_path / "home" / "servers").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    Strangers(monkeypatch).give(tmp_path / planted)
    result = run_module(module, home=str(tmp_path / "home"), **options)
    assert result["failed"]
    assert result["msg"].startswith(f"home: {tmp_path / planted} is a file or folder of another")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("planted", ["models", "models/org--model"])
def test_a_home_that_is_for_all_users_is_looked_at_where_it_is_used(
    run_module: Callable[..., dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    planted: str,
) -> None:
    for name in ("of-a-stranger", planted):
        (tmp_path / name).mkdir(parents=True)
    tmp_path.chmod(0o1777)
    strangers = Strangers(monkeypatch)
    strangers.give(tmp_path / "of-a-stranger")
    nobody = {"model": "org/model", "endpoint": "http://127.0.0.1:1", "timeout_seconds": 1}
    monkeypatch.setattr(model_cache, "patiently", lambda question: question())
    result = run_module(model_cache, home=str(tmp_path), **nobody)
    assert "cannot be read" in result["msg"]
    strangers.give(tmp_path / planted)
    result = run_module(model_cache, home=str(tmp_path), **nobody)
    assert result["msg"].startswith(f"home: {tmp_path / planted} is a file or folder of another")
