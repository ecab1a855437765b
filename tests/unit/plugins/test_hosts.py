# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts a playbook works on: a run that would do nothing fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.simulator.app import Simulator
from tests.simulator.hosts import PretendHosts
from tests.simulator.market import ACCOUNT_KEY, Market
from tests.tools.tree import REPOSITORY
from tests.unit import sampled
from tests.unit.plays import faster
from tests.unit.plugins.test_guarded_actions import PLAYBOOKS, ansible

FLEET = "gpu_hosts: {hosts: {gpu-1: {}, gpu-2: {}}}\nother: {hosts: {web: {}}}\n"


def run(
    folder: Path, playbook: str, *arguments: str, inventory: str = FLEET
) -> tuple[int, str, list[str]]:
    """Exit status, output in one line, and the paths that the marketplace was asked for."""
    hosts = folder / "hosts.yml"
    hosts.write_text(inventory)
    given = {
        "inferops_scope": "test",
        "inferops_controller_dir": str(folder / "controller"),
    }
    market = Market(PretendHosts())
    clock = faster(market)
    simulator = Simulator(market)
    try:
        done = ansible(
            REPOSITORY / "playbooks" / f"{playbook}.yml",
            hosts,
            "-e",
            json.dumps(given),
            *arguments,
            defaults=False,
            VAST_URL=simulator.url,
            VAST_API_KEY=ACCOUNT_KEY,
            **clock,
        )
        asked = [entry["path"] for entry in simulator.journal.entries()]
    finally:
        simulator.close()
    return done.returncode, " ".join(done.stdout.split()), asked


WOULD_DO_NOTHING = {
    "--tags x": "have no tags",
    "--skip-tags always": "have no tags",
    "--start-at-task Release": "are run as a whole",
    "--step": "are run as a whole: whoever leaves a task out by --step",
    "--limit web": "no host in group gpu_hosts within --limit web. Name one of its",
    "-e inferops_group=wrong": "There is no group wrong in the inventory",
}


@pytest.mark.parametrize(
    ("playbook", "words"),
    sampled.sampled(
        [
            *((one, "--limit web") for one in PLAYBOOKS),
            *(("deploy", one) for one in WOULD_DO_NOTHING),
        ],
        lambda one: one[0] == "teardown" or one[1] in ("--tags x", "-e inferops_group=wrong"),
    ),
)
def test_a_run_that_would_do_nothing_fails(tmp_path: Path, playbook: str, words: str) -> None:
    """Each playbook by one way, which shows that it looks; all ways by one playbook."""
    status, output, asked = run(tmp_path, playbook, *words.split())
    assert status != 0
    assert WOULD_DO_NOTHING[words] in output
    assert asked == []


def test_teardown_works_on_the_hosts_of_its_limit_without_localhost(tmp_path: Path) -> None:
    status, output, asked = run(tmp_path, "teardown", "--limit", "gpu-1")
    assert status == 0, output
    assert "Nothing is rented under the name gpu-1" in output
    assert "gpu-2" not in output
    assert asked


@pytest.mark.parametrize(
    "limit",
    ["gpu-*", *(pytest.param(one, marks=pytest.mark.long) for one in ("!gpu-2", "@{file}"))],
)
def test_limits_of_every_form_are_understood(tmp_path: Path, limit: str) -> None:
    file = tmp_path / "limit"
    file.write_text("gpu-1\n")
    status, output, _asked = run(tmp_path, "teardown", "--limit", limit.format(file=file))
    assert status == 0, output
    assert "Nothing is rented under the name gpu-1" in output


def test_status_shows_the_rentals_where_no_host_is_named(tmp_path: Path) -> None:
    status, output, _asked = run(tmp_path, "status", inventory="")
    assert status == 0, output
    assert "Scope test: 0 rentals" in output


def test_a_playbook_for_hosts_says_that_there_are_none(tmp_path: Path) -> None:
    status, output, asked = run(tmp_path, "teardown", inventory="other: {hosts: {web: {}}}\n")
    assert status != 0
    assert "There is no host in group gpu_hosts. Put hosts into this group" in output
    assert asked == []


@pytest.mark.long
def test_a_name_from_a_survey_needs_no_inventory(tmp_path: Path) -> None:
    names = ["-e", '{"inferops_hosts": ["gpu-7"]}']
    status, output, _asked = run(tmp_path, "teardown", *names, inventory="")
    assert status == 0, output
    assert "Nothing is rented under the name gpu-7" in output
    status, output, asked = run(tmp_path, "teardown", *names, "--limit", "gpu-7", inventory="")
    assert status != 0
    assert "leave --limit out" in output
    assert asked == []


#: What names hosts that the limit does not reach, and what is said.
UNREACHED = {
    "named-and-left-out": (
        ["-e", "inferops_hosts=gpu-1,gpu-7", "--limit", "localhost,gpu-1"],
        "inferops_hosts names gpu-7, and --limit localhost,gpu-1 leaves that out",
    ),
    "excluded": (
        ["-e", '{"inferops_hosts": ["gpu-7", "gpu-8"]}', "--limit", "gpu-1:!gpu-8"],
        "inferops_hosts names gpu-7, gpu-8, and --limit gpu-1:!gpu-8 leaves that out",
    ),
    "misspelt": (["--limit", "gpu-1,gpu-tow"], "--limit names gpu-tow, and no host"),
    "misspelt-pattern": (["--limit", "gpu-1,gqu-*"], "--limit names gqu-*, and no host"),
    "misspelt-exclusion": (["--limit", "gpu_hosts:!gpu-tow"], "--limit names gpu-tow, and no"),
    "misspelt-in-a-file": (["--limit", "@{file}"], "--limit names gpu-tow, and no host"),
}


@pytest.mark.parametrize(
    ("playbook", "how"),
    sampled.sampled(
        [
            *((one, "named-and-left-out") for one in PLAYBOOKS if one != "teardown"),
            *(("teardown", how) for how in UNREACHED),
        ],
        lambda one: one[0] in sampled.MONEY,
    ),
)
def test_a_host_that_is_named_and_would_not_be_reached_fails_the_run_before_it_does_anything(
    tmp_path: Path, playbook: str, how: str
) -> None:
    file = tmp_path / "limit"
    file.write_text("gpu-1\ngpu-tow\n")
    words, said = UNREACHED[how]
    arguments = [word.replace("@{file}", f"@{file}") for word in words]
    status, output, asked = run(tmp_path, playbook, *arguments)
    assert status != 0
    assert said in output
    assert asked == []


def test_hosts_that_are_named_and_within_the_limit_are_worked_on(tmp_path: Path) -> None:
    words = ["-e", "inferops_hosts=gpu-1,gpu-7", "--limit", "localhost,gpu-1,gpu-7"]
    status, output, _asked = run(tmp_path, "teardown", *words)
    assert status == 0, output
    assert "Nothing is rented under the name gpu-7" in output


@pytest.mark.parametrize("name", ["../../x", "-x", "localhost", "all", "a b"])
def test_a_name_that_means_something_else_is_refused(tmp_path: Path, name: str) -> None:
    names = ["-e", json.dumps({"inferops_hosts": [name]})]
    status, output, asked = run(tmp_path, "support_bundle", *names, inventory="")
    assert status != 0
    assert "Rename the host" in output
    assert asked == []


def test_a_host_with_the_name_of_its_group_hides_no_other(tmp_path: Path) -> None:
    fleet = "gpu_hosts: {hosts: {gpu-1: {}, gpu_hosts: {}}}\n"
    status, output, asked = run(tmp_path, "teardown", inventory=fleet)
    assert status != 0
    assert "A host is called gpu_hosts, as a group is" in output
    assert asked == []


@pytest.mark.parametrize("show", ["--syntax-check", "--list-hosts", "--list-tasks", "--list-tags"])
def test_a_playbook_can_be_shown_without_hosts(tmp_path: Path, show: str) -> None:
    status, output, _asked = run(tmp_path, "deploy", show, inventory="")
    assert status == 0, output


#: What Ansible forks a process for each task and host from, as it is before the first of them.
LOADED = """
import sys
from ansible.plugins.callback import CallbackBase
class CallbackModule(CallbackBase):
    CALLBACK_VERSION, CALLBACK_TYPE, CALLBACK_NAME = 2.0, "notification", "loaded"
    CALLBACK_NEEDS_ENABLED = True
    def v2_playbook_on_task_start(self, task, is_conditional):
        ours = "ansible_collections.inferops.gpu.plugins.filter."
        loaded = sorted(name.removeprefix(ours) for name in sys.modules if name.startswith(ours))
        self._display.display(f"loaded: {','.join(loaded)}")
"""


def test_filters_are_loaded_once_and_not_by_each_task_of_each_host(tmp_path: Path) -> None:
    (tmp_path / "callbacks").mkdir()
    (tmp_path / "callbacks" / "loaded.py").write_text(LOADED)
    playbook, hosts = tmp_path / "play.yml", tmp_path / "hosts.yml"
    hosts.write_text(FLEET)
    play = {
        "hosts": "{{ query('inferops.gpu.hosts', 'gpu_hosts') }}",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.debug": {"msg": "a task"}}],
    }
    playbook.write_text(json.dumps([play]))
    folder = str(tmp_path / "callbacks")
    settings = {"ANSIBLE_CALLBACK_PLUGINS": folder, "ANSIBLE_CALLBACKS_ENABLED": "loaded"}
    run = ansible(playbook, hosts, defaults=False, **settings)
    filters = (file.stem for file in (REPOSITORY / "plugins" / "filter").glob("*.py"))
    assert f"loaded: {','.join(sorted(filters))}" in run.stdout, run.stdout
