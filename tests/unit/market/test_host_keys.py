# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host keys: the same on every controller, another one for everything that differs."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.access import host_keys
from ansible_collections.inferops.gpu.plugins.module_utils.market.access.host_keys import (
    derive,
    known_hosts_lines,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import RequestRefused
from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import Endpoint

MARK = Mark("prod", "gpu-1", "9f2c41aa", 1795312800, 86400)


def test_a_later_controller_derives_the_same_key_though_the_deadline_moved() -> None:
    moved = replace(MARK, deadline=1795399200, lifetime_seconds=7200)
    assert derive("secret", MARK, 1) == derive("secret", moved, 1)


def test_the_derivation_never_changes_or_every_running_host_would_be_lost() -> None:
    assert (
        derive("secret", MARK, 1).public
        == "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN/iCXT+oQRFK8/aWe5xKv+k71U9NK8NMq7xF9sojVxm"
    )
    assert (
        derive("secret", MARK, 2).public
        == "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF6ourLBeHxgC2EzQGWvjuz5SvjuelsH3lOHbdSVxFVz"
    )


@pytest.mark.parametrize(
    ("secret", "mark", "generation"),
    [
        ("other", MARK, 1),
        ("secret", replace(MARK, scope="test"), 1),
        ("secret", replace(MARK, name="gpu-2"), 1),
        ("secret", replace(MARK, nonce="9f2c41ab"), 1),
        ("secret", MARK, 2),
    ],
)
def test_whatever_differs_makes_another_key(secret: str, mark: Mark, generation: int) -> None:
    assert derive(secret, mark, generation).public != derive("secret", MARK, 1).public


def test_openssh_reads_the_private_half_and_finds_the_public_one(tmp_path: Path) -> None:
    key = derive("secret", MARK, 1)
    file = tmp_path / "key"
    file.write_text(key.private)
    file.chmod(0o600)
    done = subprocess.run(
        ["ssh-keygen", "-y", "-f", str(file)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[:2] == key.public.split()


def test_a_key_that_is_printed_shows_no_secret() -> None:
    assert "PRIVATE" not in repr(derive("secret", MARK, 1))


def test_known_hosts_lines_name_the_port_unless_it_is_the_usual_one() -> None:
    ways = (Endpoint("203.0.113.7", 33526), Endpoint("ssh4.example", 22))
    assert known_hosts_lines(ways, "ssh-ed25519 AAAA") == [
        "[203.0.113.7]:33526 ssh-ed25519 AAAA",
        "ssh4.example ssh-ed25519 AAAA",
    ]


def test_a_controller_without_the_library_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(host_keys, "CRYPTOGRAPHY_MISSING", True)
    with pytest.raises(RequestRefused, match="pip install paramiko"):
        derive("secret", MARK, 1)
