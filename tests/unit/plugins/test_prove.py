# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbook prove: from any controller, and never a success without a completion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.simulator.app import Simulator
from tests.tools.tree import REPOSITORY
from tests.unit.plays import play
from tests.unit.plugins.pretended import Pretended

PROVE = REPOSITORY / "playbooks" / "prove.yml"


def test_a_name_that_nothing_is_rented_under_proves_nothing(
    tmp_path: Path, simulator: Simulator
) -> None:
    given = {"inferops_model": "a/b", "inferops_api_url": simulator.url}
    status, output = play(tmp_path, PROVE, "--limit", "gpu-1", **given)
    assert status != 0
    assert "Nothing that can be reached is rented under the name gpu-1 in scope test" in output
    assert {entry["method"] for entry in simulator.journal.entries()} == {"GET"}


def test_it_does_not_begin_without_a_model(tmp_path: Path) -> None:
    status, output = play(tmp_path, PROVE, "--limit", "gpu-1")
    assert status != 0
    assert "inferops_model is not set: it is the model that it serves" in output


PROXY = {"name": "vllm", "phase": "running", "port": 8000}


@pytest.mark.parametrize(
    ("proxies", "given", "port"),
    [
        pytest.param(
            *([], {"inferops_server_port": "auto"}, 8017),
            id="automatic",
            marks=pytest.mark.long,
        ),
        pytest.param([PROXY], {"inferops_server_port": "auto"}, 8000, id="proxied"),
        pytest.param(
            *([PROXY], {"inferops_proxy": True, "inferops_expected_ports": ["9100"]}, 8000),
            id="proxied-as-said",
            marks=pytest.mark.long,
        ),
    ],
)
def test_a_server_is_proven_where_it_is_and_with_all_that_a_deploy_proves_there(
    tmp_path: Path,
    simulator: Simulator,
    proxies: list[dict[str, Any]],
    given: dict[str, Any],
    port: int,
) -> None:
    """Whatever the variables say of its port, and of what stands before it."""
    server = {"name": "vllm", "phase": "running", "port": 8017}
    told = {"servers": [server], "proxies": proxies}
    pretended = Pretended(tmp_path, simulator, answers={"model_server_info": told})
    assert pretended.run("deploy").returncode == 0
    before = len(pretended.asked("endpoint"))
    done = pretended.run("prove", **given)
    assert done.returncode == 0, done.stdout + done.stderr
    ((_name, asked),) = pretended.asked("endpoint")[before:]
    assert (asked["remote_port"], asked["closed"]) == (port, bool(proxies))
    looks = [args["expected_ports"] for _name, args in pretended.asked("host_exposure")]
    assert looks == [given.get("inferops_expected_ports", [])] * bool(proxies)


@pytest.mark.long
def test_a_server_that_was_never_started_is_not_looked_for_at_the_usual_port(
    tmp_path: Path, simulator: Simulator
) -> None:
    told = {"servers": [{"name": "other", "phase": "stopped", "port": None}], "proxies": []}
    pretended = Pretended(tmp_path, simulator, answers={"model_server_info": told})
    assert pretended.run("deploy").returncode == 0
    before = len(pretended.asked("endpoint"))
    done = pretended.run("prove", inferops_server="other")
    assert "No server other was started on this host" in " ".join(done.stdout.split())
    assert len(pretended.asked("endpoint")) == before
