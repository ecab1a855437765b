# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tools are found whatever PATH a login has brought."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.gpus import activity
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import kind, tools


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one folder of the system's tools; the PATH lacks it."""
    monkeypatch.setattr(tools, "SYSTEM_FOLDERS", (str(tmp_path),))
    monkeypatch.setenv("PATH", "/nowhere")
    return tmp_path


def tool(folder: Path, name: str, script: str = "") -> Path:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


def test_a_tool_outside_of_the_path_is_found(system: Path) -> None:
    tool(system, "nvidia-smi", "echo '0, 71, 55, 9, 24564, Not Active'")
    assert activity.read()


def test_the_compiler_is_found_where_the_server_will_find_it(
    system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CC", raising=False)
    assert kind.c_compiler() is None
    assert kind.c_compiler() or tool(system, "gcc")
    assert kind.c_compiler() == str(system / "gcc")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", "/usr/sbin:/sbin"),
        ("/opt/bin", "/opt/bin:/usr/sbin:/sbin"),
        ("/sbin:/opt/bin", "/sbin:/opt/bin:/usr/sbin"),
        ("::/opt/bin:", "/opt/bin:/usr/sbin:/sbin"),
    ],
)
def test_the_folders_of_a_user_come_first(
    monkeypatch: pytest.MonkeyPatch, given: str, expected: str
) -> None:
    monkeypatch.setattr(tools, "SYSTEM_FOLDERS", ("/usr/sbin", "/sbin"))
    assert tools.search_path(given) == expected
