# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All playbooks mean the same rental by a host, whatever a run is given and leaves out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.inferops.gpu.plugins.plugin_utils import variables
from tests.simulator.app import Simulator
from tests.tools.tree import REPOSITORY
from tests.unit.plays import on_the_host, play, role
from tests.unit.plugins.test_check_variables import playbook, rented

STRICT = {"reap_strict": True, "reap_confirm_scope": "test", "reap_release": True}


def inventory(tmp_path: Path, **groups: Any) -> tuple[str, str]:
    """Options that add groups, their hosts and variables to the two hosts of every play here."""
    file = tmp_path / "more.yml"
    file.write_text(yaml.safe_dump(groups))
    return "-i", str(file)


def hosts(**named: dict[str, Any]) -> dict[str, Any]:
    """Variables of the hosts of group gpu_hosts."""
    return {"gpu_hosts": {"hosts": {name.replace("_", "-"): own for name, own in named.items()}}}


def imported(name: str, **given: Any) -> list[dict[str, Any]]:
    """A playbook of the user's own that imports one of ours with variables."""
    return [{"import_playbook": str(playbook(name)), "vars": given}]


def bills(simulator: Simulator) -> list[str]:
    return [str(rental["id"]) for rental in simulator.control.state()["rentals"]]


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("deploy", "team-{{ inventory_hostname }}", "is team-gpu-1 for gpu-1 in this play"),
        ("teardown", "demo", "is demo for gpu-1 in this play, and is gpu-1 outside of it"),
        ("reap", "team-{{ inventory_hostname }}", "is team-gpu-1 for gpu-1 in this play"),
    ],
)
def test_a_name_that_only_the_play_knows_is_refused(
    tmp_path: Path, simulator: Simulator, name: str, given: str, said: str
) -> None:
    """A reaper would take such a rental for a stranger's, and end it."""
    plays = imported(name, inferops_name=given)
    options = {"inferops_model": "a/b", "inferops_api_url": simulator.url}
    status, output = play(tmp_path, plays, **options)
    assert status != 0
    assert said in output
    assert "Set it in the inventory, in host_vars or with -e" in output
    assert simulator.journal.entries() == []


def test_a_name_is_made_of_what_everybody_knows(tmp_path: Path, simulator: Simulator) -> None:
    options = ("--limit", "gpu-1", "--check")
    for template, said in (
        ("{{ inferops_scope }}-{{ inventory_hostname }}", "under the name test-gpu-1"),
        (
            "{{ inferops_server }}-1",
            "vllm-1 for gpu-1 in this play, and cannot be rendered outside",
        ),
    ):
        named = inventory(tmp_path, **hosts(gpu_1={"inferops_name": template}))
        status, output = play(
            tmp_path, playbook("teardown"), *options, *named, inferops_api_url=simulator.url
        )
        assert said in output
        assert (status == 0) == said.startswith("under"), output


def test_a_host_that_has_the_name_of_another_does_not_end_its_rental(
    tmp_path: Path, simulator: Simulator
) -> None:
    """Neither where --limit hides the other, nor where it is in another group."""
    rental = rented(tmp_path, simulator, "gpu-1")
    (tmp_path / "b").mkdir()
    same = {"gpu_hosts": {}, "team": {"hosts": {"gpu-7": {"inferops_name": "gpu-1"}}}}
    for options, group in (
        (inventory(tmp_path, **hosts(gpu_2={"inferops_name": "gpu-1"})), "gpu_hosts"),
        (inventory(tmp_path / "b", **same), "team"),
    ):
        host = "gpu-2" if group == "gpu_hosts" else "gpu-7"
        status, output = play(
            tmp_path,
            playbook("teardown"),
            *("--limit", host, *options),
            inferops_group=group,
            inferops_api_url=simulator.url,
        )
        assert status != 0
        assert f"inferops_name is gpu-1 for {host} and for gpu-1: each host needs" in output
        assert bills(simulator) == [rental]


@pytest.mark.long
def test_a_name_for_one_run_or_one_that_is_found_is_no_second_host(
    tmp_path: Path, simulator: Simulator
) -> None:
    """As an extra variable, and by inventory plugin rentals, which shows what is rented."""
    found = {"gpu_rentals": {"hosts": {"other": {"inferops_rental": {"id": "7"}}}}}
    named = inventory(tmp_path, **hosts(gpu_1={"inferops_name": "other"}), **found)
    for options, given in ((named, {}), ((), {"inferops_name": "other"})):
        status, output = play(
            tmp_path,
            playbook("teardown"),
            *("--limit", "gpu-1", *options),
            inferops_api_url=simulator.url,
            **given,
        )
        assert status == 0, output
        assert "Nothing is rented under the name other" in output


def test_strict_reaping_knows_the_hosts_of_every_group(
    tmp_path: Path, simulator: Simulator
) -> None:
    rental = rented(tmp_path, simulator, "gpu-2")
    small = inventory(tmp_path, small={"hosts": {"gpu-1": {}}})
    given = {"inferops_group": "small", "inferops_api_url": simulator.url, **STRICT}
    status, output = play(tmp_path, playbook("reap"), *small, **given)
    assert status == 0, output
    assert "adopted: 1" in output
    assert bills(simulator) == [rental]


@pytest.mark.long
def test_a_host_that_is_only_found_is_no_wish(tmp_path: Path, simulator: Simulator) -> None:
    rental = rented(tmp_path, simulator, "gpu-9")
    found = inventory(tmp_path, gpu_rentals={"hosts": {"gpu-9": {"inferops_rental": {"id": "7"}}}})
    given = {"inferops_api_url": simulator.url}
    status, output = play(tmp_path, playbook("reap"), *found, **given)
    assert status == 0, output
    assert "orphan: 1" in output
    status, output = play(tmp_path, playbook("status"), *found, **given)
    assert status == 0, output
    assert "gpu-9: orphan (the inventory does not name it)" in output
    status, output = play(tmp_path, playbook("reap"), *found, **given, **STRICT)
    assert status != 0
    assert "gpu-9 may be in the inventory only because it is rented" in output
    assert bills(simulator) == [rental]


def test_strict_reaping_goes_by_no_name_of_the_command_line(
    tmp_path: Path, simulator: Simulator
) -> None:
    one = inventory(tmp_path, one={"hosts": {"gpu-1": {}}})
    given = {"inferops_group": "one", "inferops_name": "demo", "inferops_api_url": simulator.url}
    status, output = play(tmp_path, playbook("reap"), *one, **given, **STRICT)
    assert status != 0
    assert "inferops_name as an extra variable hides them" in output
    assert simulator.journal.entries() == []


@pytest.mark.parametrize("name", ["deploy", "reap"])
def test_a_group_is_given_by_the_command_line_or_not_at_all(tmp_path: Path, name: str) -> None:
    group = inventory(tmp_path, gpu_hosts={"vars": {"inferops_group": "fleet"}}, fleet={})
    status, output = play(tmp_path, playbook(name), *group, inferops_model="a/b")
    assert status != 0
    assert "inferops_group works as an extra variable alone, as in -e inferops_group=" in output


@pytest.mark.parametrize(
    "given",
    [
        {"inferops_rental": {}},
        {"inferops_account": {"scope": "other"}},
        {"ansible_ssh_args": "-o StrictHostKeyChecking=ask"},
    ],
    ids="+".join,
)
def test_what_the_roles_find_out_is_not_taken_from_the_command_line(
    tmp_path: Path, simulator: Simulator, given: dict[str, Any]
) -> None:
    """It would outrank what they find: deploy would pay for one host and install on another."""
    needed = {"inferops_model": "a/b", "inferops_api_url": simulator.url}
    status, output = play(tmp_path, playbook("deploy"), "--limit", "gpu-1", **needed, **given)
    assert status != 0
    assert f"{next(iter(given))} is what the roles find out or work out themselves" in output
    assert simulator.journal.entries() == []


def test_no_variable_of_an_import_says_that_a_deploy_is_done(
    tmp_path: Path, simulator: Simulator
) -> None:
    """What a playbook is imported with outranks the variables of its plays."""
    done = {"as_asked": True, "switch_is_set": True}
    plays = imported("deploy", deploy_is_done=True, inferops_look=done)
    given = {
        "inferops_model": "a/b",
        "inferops_controller_hub_endpoint": "",
        "inferops_ssh_private_key_file": str(tmp_path / "key"),
        "inferops_api_url": simulator.url,
        "rent_vram_gib": 1,
    }
    options = ("--check", "--limit", "gpu-1,localhost")
    status, output = play(tmp_path, plays, *options, **given)
    assert status == 0, output
    assert "Would rent offer" in output


def test_every_variable_that_a_readme_says_a_role_sets_is_its_own() -> None:
    """And what is kept in between: how far a deploy has come, what the next step goes by."""
    roles = yaml.safe_load((REPOSITORY / "docs" / "roles.yml").read_text())
    told = {
        name for one in roles.values() for line in one.get("sets", {}) for name in line.split(", ")
    }
    assert len(told) > 20
    told |= {"rent_ledger", "rent_result", "serve_look", "support_bundle_file", "reap_wished"}
    free = [name for name in sorted(told) if variables.taken(name) is None]
    # Whoever says how all hosts are reached knows it better.
    assert free == ["ansible_connection"]


@pytest.mark.parametrize(
    "name",
    [
        *variables.options(),
        "awx_workflow_job_id",
        "ansible_connection",
        "stack_name",
        "my_variable",
    ],
)
def test_what_may_be_given_is_taken_from_the_command_line(name: str) -> None:
    assert variables.taken(name) is None


def test_a_variable_of_the_users_own_gate_is_not_taken(tmp_path: Path) -> None:
    asked = {"required": {"stack_lock": "a lock of the user's own"}}
    tasks = on_the_host({"inferops.gpu.check_variables": asked})
    status, output = play(tmp_path, tasks, stack_lock="mine")
    assert status == 0, output


SCOPES = hosts(gpu_1={"inferops_scope": "prod"}, gpu_2={"inferops_scope": "test"})
KEYS = hosts(gpu_1={"inferops_api_key": "one"}, gpu_2={"inferops_api_key": "secret-of-two"})
TEAMS = hosts(gpu_1={"team": "prod"}, gpu_2={"team": "test"})


OF_THE_PLAY = {"inferops_scope": "{{ team }}"}


@pytest.mark.parametrize(
    ("name", "fleet", "scope", "given", "said"),
    [
        ("status", SCOPES, "", {}, "inferops_scope is prod for gpu-1 and test for gpu-2"),
        ("reap", SCOPES, "", {}, "inferops_scope is prod for gpu-1 and test for gpu-2"),
        ("reap", TEAMS, "", OF_THE_PLAY, "is prod for gpu-1 and test for gpu-2"),
        ("reap", KEYS, "test", {}, "inferops_api_key is not the same for gpu-1 and gpu-2"),
    ],
    ids=["scope-in-status", "scope", "scope-of-the-play", "key"],
)
def test_one_look_at_the_marketplace_does_not_stand_for_two_accounts(
    tmp_path: Path,
    simulator: Simulator,
    name: str,
    fleet: dict[str, Any],
    scope: str,
    given: dict[str, Any],
    said: str,
) -> None:
    """What is rented in the second host's scope would never be shown, nor reaped."""
    options = inventory(tmp_path, **fleet)
    plays = imported(name, **given)
    status, output = play(tmp_path, plays, *options, scope=scope, inferops_api_url=simulator.url)
    assert status != 0
    assert said in output
    assert "Run it once for each, with --limit" in output
    assert "secret-of-two" not in output
    assert simulator.journal.entries() == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("options", "scope", "said"),
    [(("--limit", "gpu-2"), "", "scope: test"), ((), "other", "scope: other")],
    ids=["limit", "extra-variable"],
)
def test_one_scope_after_the_other_can_be_reaped(
    tmp_path: Path, simulator: Simulator, options: tuple[str, ...], scope: str, said: str
) -> None:
    fleet = inventory(tmp_path, **SCOPES)
    status, output = play(
        tmp_path, playbook("reap"), *fleet, *options, scope=scope, inferops_api_url=simulator.url
    )
    assert status == 0, output
    assert said in output


#: What an earlier play of the same run has left of a rental that is gone.
LEFT = {
    "inferops_connected": True,
    "inferops_known_hosts_file": "/dev/null",
    "inferops_ssh": {"host": "192.0.2.1", "port": 1},
}


@pytest.mark.parametrize("looks", [("connect", "main"), ("rent", "found")], ids="-".join)
def test_the_way_to_a_rental_that_is_gone_is_forgotten(
    tmp_path: Path, simulator: Simulator, looks: tuple[str, str]
) -> None:
    shown = "{{ [inferops_rental, inferops_ssh, inferops_known_hosts_file] | to_json }}"
    tasks = on_the_host(
        {"ansible.builtin.set_fact": {**LEFT, "inferops_rental": {"id": "7"}}},
        role(*looks),
        {"ansible.builtin.debug": {"msg": f"left: {shown}"}},
    )
    status, output = play(tmp_path, tasks, inferops_api_url=simulator.url)
    assert status == 0, output
    assert f"left: {json.dumps([{}, {}, ''])}" in output.replace('\\"', '"')


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("recover", "Nothing that can be reached is rented under the name gpu-1"),
        ("status", "nothing is rented under this name"),
    ],
)
def test_no_playbook_contacts_the_host_of_a_rental_that_is_gone(
    tmp_path: Path, simulator: Simulator, name: str, said: str
) -> None:
    earlier = on_the_host({"ansible.builtin.set_fact": {**LEFT, "ansible_host": "192.0.2.1"}})
    later = imported(name)
    status, output = play(
        tmp_path, earlier + later, "--limit", "gpu-1,localhost", inferops_api_url=simulator.url
    )
    assert (status == 0) == (name == "status"), output
    assert said in output
    assert "192.0.2.1" not in output
    assert "UNREACHABLE" not in output
