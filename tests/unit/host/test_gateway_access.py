# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host lets a gateway in by one line of authorized_keys, and leaves everybody else's alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.tunnel import access
from ansible_collections.inferops.gpu.plugins.modules import gateway_access

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPq3cHdSGQ0pYpbxrcQHmH0Qf1sG6VYvbtQ1xJ7ot0Aa"
OTHER = KEY.replace("Pq3c", "Xq3c")
OPERATORS = f"{KEY.replace('Pq3c', 'Yq3c')} me@workstation"
Call = Callable[..., dict[str, Any]]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The authorized_keys of a user whose home is the test's folder."""
    user = SimpleNamespace(pw_dir=str(tmp_path), pw_name="ubuntu")
    monkeypatch.setattr(gateway_access.pwd, "getpwuid", lambda _uid: user)
    path = tmp_path / ".ssh" / "authorized_keys"
    path.parent.mkdir()
    path.write_text(f"{OPERATORS}\n")
    return path


ONE, TWO = {"name": "main@gate-1", "public_key": KEY}, {"name": "main@gate-2", "public_key": OTHER}


def let_in(run_module: Call, *gateways: dict[str, str], **options: Any) -> dict[str, Any]:
    return run_module(gateway_access, **{"gateways": list(gateways), "port": 8000, **options})


def test_a_gateway_gets_one_port_and_no_shell(run_module: Call, file: Path) -> None:
    planned = let_in(run_module, ONE, check=True)
    assert planned["changed"]
    assert file.read_text() == f"{OPERATORS}\n"

    done = let_in(run_module, ONE)
    assert (done["changed"], done["user"]) == (True, "ubuntu")
    operators, line = file.read_text().splitlines()
    assert operators == OPERATORS
    assert line == (
        'restrict,port-forwarding,permitopen="127.0.0.1:8000",permitlisten="127.0.0.1:1",'
        f'command="/bin/false" {KEY} inferops-gateway:main@gate-1'
    )
    assert done["diff"] == {"before": "", "after": f"{line}\n"}
    assert file.stat().st_mode & 0o777 == 0o600
    assert not let_in(run_module, ONE)["changed"]


def test_just_the_gateways_that_are_asked_for_are_let_in(run_module: Call, file: Path) -> None:
    let_in(run_module, ONE, TWO)
    assert len(access.own(file.read_text())) == 2
    assert let_in(run_module, ONE, TWO, port=8001)["changed"]
    assert file.read_text().count('permitopen="127.0.0.1:8001"') == 2
    assert let_in(run_module, TWO)["changed"]
    assert file.read_text().splitlines() == [OPERATORS, access.line("main@gate-2", OTHER, 8000)]
    assert let_in(run_module)["changed"]
    assert file.read_text() == f"{OPERATORS}\n"
    assert not let_in(run_module)["changed"]


def test_lines_of_others_stay_as_they_are(run_module: Call, file: Path) -> None:
    """Whatever signs are in them, and whatever they are called."""
    others = f"# by hand\u2028\x0c end\n\n{OPERATORS}\n{KEY} my inferops-gateway:main@gate-1"
    file.write_text(others)
    let_in(run_module, ONE)
    assert file.read_text().startswith(f"{others}\nrestrict,")
    let_in(run_module)
    assert file.read_text() == f"{others}\n"


def test_a_user_without_the_file_gets_one(run_module: Call, file: Path) -> None:
    file.unlink()
    file.parent.rmdir()
    assert not let_in(run_module)["changed"]
    assert not file.exists()
    assert let_in(run_module, ONE)["changed"]
    assert len(file.read_text().splitlines()) == 1
    assert file.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"public_key": f"{KEY}\nssh-ed25519 {'A' * 68}"}, "public_key"),
        ({"public_key": f'command="id" {KEY}'}, "public_key"),
        ({"name": "a\nb"}, "name"),
        ({"name": "a b"}, "name"),
        ({"port": 70000}, "port"),
    ],
)
def test_what_would_write_another_line_is_refused(
    run_module: Call, file: Path, change: dict[str, Any], told: str
) -> None:
    port = {"port": change.pop("port")} if "port" in change else {}
    done = let_in(run_module, {**ONE, **change}, **port)
    assert done["failed"]
    assert told in done["msg"]
    assert file.read_text() == f"{OPERATORS}\n"


def test_a_host_tells_its_keys_and_nothing_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "ssh_host_ed25519_key.pub").write_text(f"{KEY} root@host\n")
    (tmp_path / "ssh_host_rsa_key.pub").write_text('evil "quoted"\n')
    (tmp_path / "ssh_host_dsa_key.pub").write_text("")
    assert access.host_keys(tmp_path) == [KEY]
