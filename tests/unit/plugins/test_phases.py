# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The screen of a run, as a user sees it: real playbooks, a simulated market, pretended hosts."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.inferops.gpu.plugins.callback import phases
from ansible_collections.inferops.gpu.plugins.plugin_utils import phase_table, screen
from ansible_collections.inferops.gpu.plugins.plugin_utils.interruption import TOLD
from ansible_collections.inferops.gpu.plugins.plugin_utils.phase_lines import (
    Card,
    Done,
    Said,
    card_lines,
    entry_lines,
    failure_lines,
)
from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator.app import Simulator
from tests.simulator.hosts import PretendHosts
from tests.simulator.market import Market
from tests.tools.tree import REPOSITORY
from tests.unit.plays import faster
from tests.unit.plugins.pretended import Pretended, wait_for

FORGED = "\x1b[2Jit ended\r\nPLAY RECAP *****\ngpu-1 : ok=99 failed=0"
ENDED = "Rental 1 ended by itself: exited: container died."
#: The words of the default callback for tasks, of which a user need not see any.
WALLS = ("TASK [", "PLAY [", "ok: [", "changed: [", "fatal: [", "included: ", "...ignoring")


@pytest.fixture
def pretended(tmp_path: Path, simulator: Simulator) -> Pretended:
    return Pretended(tmp_path, simulator)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A deploy of three hosts: one serves, one has a server that fails, one needs another offer."""
    market = Market(PretendHosts())
    market.boot_seconds = 0
    clock = faster(market)
    simulator = Simulator(market)
    answers: dict[str, dict[str, Any]] = {
        "model_server of gpu-1": {"takes": 6},
        "model_server of gpu-2": {
            "failed": True,
            "msg": f"Server vllm failed to start: {FORGED}. Lower max_model_len to 16384.",
        },
        "rental_ready of gpu-3": {
            "once": True,
            "failed": True,
            "msg": f"{ENDED} Release it and take another offer.",
            "failure": {
                "kind": "HostFault",
                "stage": "boot",
                "blame": "machine",
                "sign": "ended",
                "cause": ENDED,
                "remedy": "Release it and take another offer.",
            },
        },
    }
    names = ("gpu-1", "gpu-2", "gpu-3")
    made = Pretended(tmp_path_factory.mktemp("story"), simulator, names, answers)
    done = made.run("deploy", environment={**clock, "INFEROPS_PHASES_FIRST_AFTER_SECONDS": "1"})
    simulator.close()
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.strip() == ""
    return done.stdout


def test_a_deploy_of_a_host_is_one_screen_with_a_line_for_each_phase(pretended: Pretended) -> None:
    done = pretended.run("deploy")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) <= 40, done.stdout
    assert not [line for line in lines for wall in WALLS if wall in line]
    shown = re.findall(r"^gpu-1  (\w+) +\d+\.\d s", done.stdout, re.MULTILINE)
    wanted = ["look", "model", "rent", "boot", "verify", "install", "launch", "prove"]
    assert shown == wanted, done.stdout
    assert re.search(r"^gpu-1  launch .* of about \d+ s +\$0\.\d{4} so far$", done.stdout, re.M)
    assert re.search(r"^gpu-1  rent .* offer \d+ of vastai: 1 x RTX 3090 for \$", done.stdout, re.M)
    assert "changed=9 " in done.stdout

    card = done.stdout.partition("gpu-1 serves\n")[2]
    for line in (
        r"  Endpoint: http://127\.0\.0\.1:40213/v1 serves a/b",
        r"  Cost: \d\.\d{4} dollars so far, \d\.\d{4} dollars per hour until it is stopped",
        r"  Deadline: in \d+\.\d hours, enforced by host; .*",
        r"  Stop it: ansible-playbook inferops\.gpu\.teardown .*",
        r"  Try it:\n  curl http://\S+ -H @/tunnels/2c26\.header -d '\{\}'",
    ):
        assert re.search(f"^{line}$", card, re.MULTILINE), (line, card)

    ended = pretended.run("teardown")
    assert ended.returncode == 0, ended.stdout
    assert re.search(
        r"^gpu-1  release .*\ngpu-1: Server: .* proven gone: rental", ended.stdout, re.M
    )
    assert len(ended.stdout.splitlines()) <= 12, ended.stdout


@pytest.mark.long
def test_failures_that_a_play_mends_are_lines_and_no_walls(story: str) -> None:
    assert len(story.splitlines()) <= 80, story
    assert not [wall for wall in WALLS if wall in story]
    assert re.search(r"^gpu-3  boot +failed after +\d\.\d s", story, re.MULTILINE)
    assert re.search(
        r"^gpu-3: Attempt 1 of 5 failed at boot: .* proven gone, for 0\.\d+", story, re.M
    )
    assert len(re.findall(r"^gpu-3  boot", story, re.MULTILINE)) == 2
    assert "gpu-3 failed" not in story


@pytest.mark.long
def test_who_failed_is_told_last_with_the_cause_the_money_and_the_evidence(story: str) -> None:
    _head, _serves, end = story.partition("gpu-2 failed\n")
    said = " ".join(end.split())
    assert said.startswith('At "Start the server and wait until it has answered a completion": ')
    assert "Lower max_model_len to 16384." in said
    assert "was released and proven gone; it cost 0." in said
    assert re.search(r"Evidence: \S+/evidence/gpu-2-\S+\.$", said), said
    assert all(line.startswith("  ") for line in end.splitlines())
    assert story.index("gpu-1 serves") < story.index("gpu-2 failed")


def test_nothing_that_a_host_tells_steers_the_screen(story: str) -> None:
    assert "\x1b" not in story
    assert len(re.findall("^PLAY RECAP", story, re.MULTILINE)) == 1
    assert not re.search("^gpu-1 : ok=99", story, re.MULTILINE)


def test_what_a_host_tells_is_one_plain_line() -> None:
    told = phases._plain(FORGED)
    assert told == "it ended PLAY RECAP ***** gpu-1 : ok=99 failed=0"
    assert phases._plain("ok       api    answers") == "ok       api    answers"
    assert phases._reasons({"msg": "no hf_" + "a" * 34}) == ["no (redacted)"]


def test_a_phase_that_lasts_has_a_line_now_and_then_with_what_is_done(story: str) -> None:
    lasting = re.findall(r"^… .*gpu-1.*: launch, .*$", story, re.MULTILINE)
    assert 2 <= len(lasting) <= 3, story
    assert re.search(
        r", \d\.\d s of about \d+ s, \$0\.\d{4} so far \(loading weights 4/4 \(4 s\)\)$",
        lasting[-1],
    ), lasting


@pytest.mark.long
def test_a_plan_is_shown_as_lines_and_a_refusal_as_its_reason(pretended: Pretended) -> None:
    planned = pretended.run("deploy", "--check")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert re.search(r"^  Would rent offer \d+ of vastai: ", planned.stdout, re.MULTILINE)
    assert "  Nothing was rented and nothing was changed." in planned.stdout
    assert not re.search(r"^gpu-1  \w+ ", planned.stdout, re.MULTILINE)

    refused = pretended.run("deploy", rent_max_price_usd_per_hour=0.001)
    assert refused.returncode == 2
    end = " ".join(refused.stdout.partition("gpu-1 failed")[2].split())
    assert "vastai has no offer for this wish." in end
    assert "Nothing was rented, nothing bills. Evidence: " in end


@pytest.mark.parametrize(
    ("playbook", "line"),
    [
        ("status", r"  Scope test: 0 rentals, 0\.0000 dollars per hour\."),
        ("doctor", r"  ok       ansible +ansible-core .*"),
        ("reap", r"  counts: \{adopted: 0, .*\}"),
    ],
)
def test_what_a_playbook_answers_is_plain_lines(
    pretended: Pretended, playbook: str, line: str
) -> None:
    done = pretended.run(playbook)
    assert re.search(f"^{line}$", done.stdout, re.MULTILINE), done.stdout + done.stderr
    assert not [wall for wall in WALLS if wall in done.stdout]
    assert len(done.stdout.splitlines()) <= 30


@pytest.mark.long
def test_verbose_runs_show_the_tasks_as_ansible_does(pretended: Pretended) -> None:
    done = pretended.run("teardown", "-v")
    assert "TASK [inferops.gpu.teardown : Release the rental and prove it gone]" in done.stdout
    assert "ok: [gpu-1" in done.stdout
    assert not re.search(r"^gpu-1  \w+ ", done.stdout, re.MULTILINE)


OWN = """
- hosts: gpu_hosts
  gather_facts: false
  tasks:
    - name: Say something of my own
      ansible.builtin.debug: {msg: of my own}
    - name: Look it up
      ansible.builtin.include_role: {name: inferops.gpu.connect, tasks_from: lookup}
    - name: Read a secret
      ansible.builtin.command: echo hunter2
      no_log: true
      delegate_to: localhost
    - name: Start a server by myself
      inferops.gpu.model_server: {name: vllm, model: a/b}
    - name: Fail by myself
      ansible.builtin.command: "false"
      delegate_to: localhost
"""


@pytest.mark.long
def test_tasks_of_ones_own_are_shown_as_ansible_shows_them(pretended: Pretended) -> None:
    file = pretended.folder / "own.yml"
    file.write_text(OWN)
    pretended.answers = {"model_server": {"takes": 1}}
    done = pretended.run(file, inferops_api_key="", inferops_provider="vastai")
    assert "PLAY [gpu_hosts] ***" in done.stdout
    assert "TASK [Say something of my own] ***" in done.stdout
    assert "fatal: [gpu-1 -> localhost]: FAILED! =>" in done.stdout
    assert "TASK [inferops.gpu.connect" not in done.stdout
    assert "hunter2" not in done.stdout
    assert "gpu-1 failed" not in done.stdout  # it is shown above
    # Ansible shows the name of a task with its first result.
    shards = [f"gpu-1: loading weights {shard}/4 ({shard} s)" for shard in range(1, 5)]
    assert [line for line in done.stdout.splitlines() if line in shards] == shards


DOCUMENT = """
import json
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "document"

    def v2_playbook_on_stats(self, stats):
        hosts = {host: stats.summarize(host) for host in stats.processed}
        self._display.display(json.dumps(hosts))
"""


@pytest.mark.long
def test_with_a_callback_for_programs_nothing_of_ours_is_on_standard_output(
    pretended: Pretended,
) -> None:
    (pretended.folder / "document.py").write_text(DOCUMENT)
    pretended.answers = {"stack_packages": {"takes": 2}}
    done = pretended.run(
        "deploy",
        environment={
            "ANSIBLE_STDOUT_CALLBACK": "document",
            "ANSIBLE_CALLBACK_PLUGINS": str(pretended.folder),
            "INFEROPS_PROGRESS_FIRST_AFTER_SECONDS": "1",
        },
    )
    assert json.loads(done.stdout)["gpu-1"]["failures"] == 0, done.stdout
    assert "gpu-1: loading weights 4/4 (4 s)" in done.stderr
    assert re.search(r"… gpu-1: .*Install the lock as a whole.*, \d s", done.stderr)
    assert "role inferops.gpu.launch: " in done.stderr


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(signal.SIGINT, id="Ctrl-C"),
        pytest.param(signal.SIGTERM, id="kill", marks=pytest.mark.long),
    ],
)
@pytest.mark.parametrize(
    "callback", ["inferops.gpu.phases", pytest.param("default", marks=pytest.mark.long)]
)
def test_who_interrupts_a_deploy_is_told_which_rentals_may_bill(
    pretended: Pretended, sent: int, callback: str
) -> None:
    pretended.answers = {"model_server": {"takes": 60}}
    with subprocess.Popen(
        pretended.command("deploy"),
        cwd=pretended.folder,
        env={**pretended.environment(), "ANSIBLE_STDOUT_CALLBACK": callback},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        wait_for(run, pretended.folder / "pretended.in.model_server.gpu-1")
        run.send_signal(sent)
        _output, errors = run.communicate(timeout=HANGS_AFTER_SECONDS)
    (rental,) = pretended.simulator.control.state()["rentals"]
    told = " ".join(errors.split())
    assert TOLD in told
    bills = rf"  gpu-1: rental {rental['id']} of vastai, \$0\.\d+ an hour, \$0\.\d+ so far"
    assert re.search(f"^This may bill now:\n{bills}$", errors, re.MULTILINE), errors


@pytest.mark.long
def test_who_interrupts_a_rental_request_is_told_that_it_may_bill(pretended: Pretended) -> None:
    """The request is sent, and its answer has not come yet."""
    sent = pretended.folder / "sent"
    simulator = pretended.simulator

    def observe(phase: str, request: object, _number: int) -> None:
        if phase == "after" and "/asks/" in getattr(request, "path", ""):
            sent.touch()

    simulator.observe = observe
    simulator.control.plan_faults([{"kind": "hidden", "seconds": 3600}])
    with subprocess.Popen(
        pretended.command("deploy"),
        cwd=pretended.folder,
        env=pretended.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        wait_for(run, sent)
        run.send_signal(signal.SIGINT)
        _output, errors = run.communicate(timeout=HANGS_AFTER_SECONDS)
    assert "  gpu-1: a rental request was under way, and nobody has said what became" in errors


def done(host: str, seconds: float = 60.0, spent_usd: float | None = 0.01) -> Done:
    return Done(host, "install", seconds, 70.0, spent_usd)


def test_many_hosts_share_a_line() -> None:
    many = [done(f"gpu-{number}", 50.0 + number) for number in range(1, 26)]
    (line,) = (line for line, _failed in entry_lines(many, 6))
    assert (
        line
        == "gpu-1, gpu-2, gpu-3 and 22 more  install   51 s to 75 s of about 70 s  $0.2500 so far"
    )
    assert len(list(entry_lines(many[:3], 6))) == 3


def test_a_failed_phase_is_not_among_those_that_went_well() -> None:
    hosts = [done(f"gpu-{number}") for number in range(5)]
    entries = [*hosts, Done("gpu-9", "install", 3.0, failed=True)]
    told = list(entry_lines(entries, 5))
    assert [failed for _line, failed in told] == [False, True]
    assert told[1][0] == "gpu-9  install   failed after 3.0 s"


def test_what_many_say_alike_is_said_once() -> None:
    said = [Said(f"gpu-{number}", ("Model: a/b",)) for number in range(1, 6)]
    assert [line for line, _failed in entry_lines(said, 5)] == [
        "gpu-1, gpu-2, gpu-3 and 2 more: Model: a/b"
    ]
    plan = [Said("gpu-1", ("one", "two")), Said("", ("for all",))]
    assert [line for line, _failed in entry_lines(plan, 5)] == [
        *("gpu-1:", "  one", "  two"),
        "  for all",
    ]


def test_a_fleet_that_serves_fits_a_screen() -> None:
    cards = {
        f"gpu-{number}": Card(f"http://127.0.0.1:{number}/v1", "a/b", "curl it", 0.5, 0.1)
        for number in range(1, 26)
    }
    shown = {"gpu-1": ["Endpoint: ...", "Deadline: in 24.0 hours", "Stop it: teardown"]}
    lines = card_lines(cards, shown)
    assert len(lines) == 31
    assert lines[0] == "25 hosts serve"
    assert lines[-5:] == [
        "  Try one:",
        "  curl it",
        "  Cost: 2.5000 dollars so far, 12.5000 dollars per hour until they are stopped",
        "  Deadline: in 24.0 hours",
        "  Stop it: teardown",
    ]


def test_hosts_that_fail_alike_share_the_reason_and_nothing_to_paste_is_broken() -> None:
    path = "/a-folder/that-is-long" * 5
    lines = failure_lines({"gpu-1": ["no offer", path], "gpu-2": ["no offer", path]}, 60)
    assert lines == ["gpu-1, gpu-2 failed", "  no offer", f"  {path}"]
    assert failure_lines({"": ["Not ready"]}, 60) == ["Failed", "  Not ready"]


def test_a_worker_never_waits_for_its_screen() -> None:
    channel = screen._Channel()

    def tell() -> None:
        for number in range(5000):
            channel.put("gpu-1", f"line {number} " + "x" * 100)
        channel.put("gpu-2", "é" * 4000)

    worker = threading.Thread(target=tell, daemon=True)
    worker.start()
    worker.join(HANGS_AFTER_SECONDS)
    assert not worker.is_alive()
    assert channel.take()[0] == ("gpu-1", f"line 0 {'x' * 100}")
    channel.put("gpu-2", "the latest")
    assert channel.take() == [("gpu-2", "the latest")]


def _tasks() -> Iterator[tuple[Path, dict[str, object]]]:
    """Every task of ours, in blocks too, with its file."""

    def inside(tasks: object) -> Iterator[dict[str, object]]:
        for task in tasks if isinstance(tasks, list) else ():
            yield task
            for name in ("block", "rescue", "always", "tasks"):
                yield from inside(task.get(name))

    for pattern in ("playbooks/*.yml", "playbooks/tasks/*.yml", "roles/*/tasks/*.yml"):
        for file in sorted(REPOSITORY.glob(pattern)):
            for task in inside(yaml.safe_load(file.read_text())):
                yield file, task


def test_the_table_knows_every_role_and_names_only_tasks_that_are_there() -> None:
    names = {task.get("name") for _file, task in _tasks()}
    assert set(phase_table.SHOWN) <= names
    assert all((REPOSITORY / place).exists() for place in phase_table.PHASES)
    # A role without tasks has no phase.
    roles = {f"roles/{folder.parent.name}" for folder in REPOSITORY.glob("roles/*/tasks")}
    assert roles <= {"/".join(place.split("/")[:2]) for place in phase_table.PHASES}


def test_whose_task_it_is_says_its_file() -> None:
    wait = REPOSITORY / "roles" / "rent" / "tasks" / "wait.yml"
    linked = REPOSITORY / "collections/ansible_collections/inferops/gpu/roles/rent/tasks/wait.yml"
    assert phase_table.place_of(f"{wait}:3") == phase_table.place_of(f"{linked}:3")
    assert phase_table.phase_of(phase_table.place_of(f"{wait}:3")) == "boot"
    assert phase_table.phase_of("roles/rent/tasks/needs.yml") == ""
    assert phase_table.place_of("/home/user/deploy.yml:3") == ""
    assert phase_table.place_of(f"{REPOSITORY}/molecule/rent/converge.yml:3") == ""
