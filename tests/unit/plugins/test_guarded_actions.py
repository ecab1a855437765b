# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rented host that answers with variables for the controller: real plays, a Python that lies."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display

from ansible_collections.inferops.gpu.plugins.module_utils.market.access.client_key import (
    client_key,
    engine_key,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import (
    GuardedAction,
    _discreet,
)
from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator.app import Simulator
from tests.simulator.hosts import PretendHosts
from tests.simulator.market import Market
from tests.tools.tree import REPOSITORY
from tests.unit import sampled
from tests.unit.plays import of_its_own

PLAYBOOKS = sorted(file.stem for file in (REPOSITORY / "playbooks").glob("*.yml"))
PLAYBOOKS.remove("hosts")
GROUPS = yaml.safe_load((REPOSITORY / "meta" / "runtime.yml").read_text())["action_groups"]
EVIL = {
    "teardown_api_url": "http://203.0.113.9",
    "stack_lock_file": "/etc/shadow",
}
ANSWER = {
    "changed": False,
    "ansible_facts": EVIL,
    "_ansible_facts_cacheable": True,
    "ansible_stats": {"data": EVIL},
    "add_host": {"host_name": "localhost", "host_vars": EVIL},
    "add_group": "gpu_hosts",
    "phase": "told by the host",
    # What action plugins of ours look at.
    "server": {"phase": "running"},
}
#: Options without which an action plugin of ours would refuse the task, or go on asking.
OPTIONS: dict[str, dict[str, Any]] = {
    "evidence": {"dest": "/nowhere"},
    "model_server": {"wait": False},
}


class Host:
    """A host that says the same whatever it is asked, and remembers that it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked = folder / "asked"
        self.python = folder / "python3"
        self.says(ANSWER)

    def says(self, answer: dict[str, Any]) -> None:
        """What it says from now on."""
        self.python.write_text(
            f"#!/bin/sh\necho asked >> '{self.asked}'\ncat <<'END'\n{json.dumps(answer)}\nEND\n"
        )
        self.python.chmod(0o755)

    def play(
        self,
        *tasks: dict[str, Any],
        defaults: bool = False,
        url: str = "http://127.0.0.1:9",
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run a play on it, by Ansible's own defaults or by the checkout's settings."""
        inventory = {
            "gpu-1": {
                "ansible_connection": "local",
                "ansible_python_interpreter": str(self.python),
                "teardown_api_url": url,
            }
        }
        hosts, file = self.folder / "hosts.yml", self.folder / "play.yml"
        hosts.write_text(yaml.safe_dump({"gpu_hosts": {"hosts": inventory}}))
        file.write_text(
            yaml.safe_dump([{"hosts": "gpu-1", "gather_facts": False, "tasks": list(tasks)}])
        )
        return ansible(file, hosts, defaults=defaults, **environment)


def ansible(
    playbook: Path, inventory: Path, *arguments: str, defaults: bool, **environment: str
) -> subprocess.CompletedProcess[str]:
    nothing_set = inventory.with_name("ansible.cfg")
    nothing_set.touch()
    config = {"ANSIBLE_CONFIG": str(nothing_set if defaults else REPOSITORY / "ansible.cfg")}
    paths = {"ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / "collections")}
    return subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"),
            "-i",
            inventory,
            playbook,
            *arguments,
        ],
        cwd=inventory.parent,
        env={**os.environ, **config, **paths, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=HANGS_AFTER_SECONDS,
        check=False,
    )


SHOW = {
    "ansible.builtin.debug": {
        "msg": "<{{ teardown_api_url }}><{{ stack_lock_file | default('unset') }}>"
    }
}

SHOW_TOLD = {"ansible.builtin.debug": {"var": "told"}}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_fact_of_a_host_sets_no_variable_by_the_settings_of_the_checkout(host: Host) -> None:
    """Neither by a module of ours nor by one of Ansible's own."""
    done = host.play({"inferops.gpu.gpu_info": {}}, {"ansible.builtin.stat": {"path": "/"}}, SHOW)
    assert done.returncode == 0, done.stdout
    assert host.asked.exists()
    assert "<http://127.0.0.1:9><unset>" in done.stdout


def test_a_fact_of_a_host_sets_no_variable_by_the_defaults_of_ansible(host: Host) -> None:
    done = host.play({"inferops.gpu.gpu_info": {}}, SHOW, defaults=True)
    assert done.returncode != 0
    assert "inject_facts_as_vars = false" in " ".join(done.stdout.split())
    assert "ANSIBLE_INJECT_FACT_VARS=false" in " ".join(done.stdout.split())
    assert not host.asked.exists(), "the host was asked"


def test_the_answer_of_a_host_is_a_result_and_nothing_else(host: Host) -> None:
    tasks: list[dict[str, Any]] = []
    for module in GROUPS["host"]:
        keys = "{{ told | dict2items | map(attribute='key') | sort | join(' ') }}"
        show = f"{module} told {keys}; {{{{ ansible_facts | length }}}} facts"
        tasks += [
            {f"inferops.gpu.{module}": OPTIONS.get(module, {}), "register": "told"},
            {"ansible.builtin.debug": {"msg": show}},
        ]
    done = host.play(*tasks, SHOW)
    assert done.returncode == 0, done.stdout
    output = " ".join(done.stdout.split())
    for module in GROUPS["host"]:
        assert f"{module} told changed failed phase server warnings; 0 facts" in output
    assert "<http://127.0.0.1:9><unset>" in output


TOKEN = "hf_abcdefghijklmnopqrstuvwxyz"
FORGED = f"\x1b]0;owned\x07\x1b[2Jit failed\nPLAY RECAP ****\ngpu-1 : ok=99 {TOKEN}"


@pytest.mark.parametrize(
    "key", ["msg", "warnings", "deprecations", "exception", "failure", "phase"]
)
def test_no_text_of_a_host_steers_a_terminal_or_forges_a_line_of_ansible(
    host: Host, key: str
) -> None:
    listed = key in ("warnings", "deprecations")
    said: Any = [FORGED] if listed else {"cause": FORGED} if key == "failure" else FORGED
    host.says({"changed": False, "failed": key != "phase", key: said})
    done = host.play({"inferops.gpu.gpu_info": {}, "register": "told"}, SHOW_TOLD)
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout
    assert len(re.findall(r"(?m)^PLAY RECAP", done.stdout)) == 1
    if key != "phase":
        assert TOKEN not in done.stdout


def test_a_secret_that_a_host_says_back_is_shown_at_no_verbosity(host: Host) -> None:
    """Neither in a message, nor in a warning, nor where Ansible tells what came over the wire."""
    key, token = "said-back-as-it-is", "said-back-of-the-environment"
    said = {"failed": True, "msg": f"died of {key}", "warnings": [f"{token} is odd"]}
    host.says({**said, "log": [key, token]})
    server = {"name": "main", "model": "a/b", "wait": False, "api_key": key}
    started = {"inferops.gpu.model_server": {**server, "environment": {"HF_TOKEN": token}}}
    done = host.play({**started, "ignore_errors": True}, SHOW, ANSIBLE_VERBOSITY="5")
    assert "died of" in done.stdout
    assert key not in done.stdout
    assert token not in done.stdout


def test_the_keys_of_a_proxys_clients_are_secrets_whatever_their_names(host: Host) -> None:
    keys = ["said-back-of-alice", "said-back-of-metrics", "said-back-of-the-engine"]
    host.says({"failed": True, "msg": f"died of {keys[0]}", "log": keys})
    options = {"keys": {"alice": keys[0]}, "metrics_keys": {"m": keys[1]}, "server_key": keys[2]}
    asked = {"inferops.gpu.proxy": {"name": "main", **options}, "ignore_errors": True}
    done = host.play(asked, SHOW, ANSIBLE_VERBOSITY="5")
    assert "died of" in done.stdout
    assert not [key for key in keys if key in done.stdout]


def test_a_host_is_sent_no_key_of_a_proxys_clients(host: Host) -> None:
    """Whoever it belongs to has no use for the keys of those who never call it."""
    keys, sent = ["key-of-alice-1", "key-of-metrics-1"], host.folder / "sent"
    host.python.write_text(
        f"#!/bin/sh\ncat \"$@\" >>'{sent}' 2>&1\ncat <<'END'\n{json.dumps(ANSWER)}\nEND\n"
    )
    options = {"name": "main", "keys": {"alice": keys[0]}, "metrics_keys": f"m={keys[1]}"}
    # A task that is tried again asks for the same.
    again = {"until": False, "retries": 1, "delay": 0, "register": "told"}
    host.play({"inferops.gpu.proxy": options, **again}, ANSIBLE_PIPELINING="0")
    told = sent.read_text()
    for key in keys:
        assert key not in told
        assert told.count(f"sha256:{hashlib.sha256(key.encode()).hexdigest()}") == 2


@pytest.mark.parametrize("keys", [{"alice": ["key-of-alice-1"]}, {"alice": 1234567890}, ["al"]])
def test_a_key_that_is_no_text_is_refused_by_its_name_and_without_itself(
    host: Host, keys: Any
) -> None:
    """Nobody would have the key that Python makes of a list."""
    done = host.play({"inferops.gpu.proxy": {"name": "main", "keys": keys}}, ANSIBLE_VERBOSITY="5")
    told = "the key of 'alice' is no text" if isinstance(keys, dict) else "keys: it is no dict"
    assert told in " ".join(done.stdout.split())
    assert not host.asked.exists(), "the host was asked"


@pytest.mark.parametrize("tells", ["vvv", "vvvvv", "debug"])
def test_the_details_that_ansible_tells_of_a_host_hold_no_secret(
    tells: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    display = Display()
    monkeypatch.setattr(display, "verbosity", 5)
    monkeypatch.setattr(constants, "DEFAULT_DEBUG", True)
    with _discreet({"said-back-as-it-is"}):
        getattr(display, tells)(f"(0, b'{TOKEN} said-back-as-it-is {FORGED}')", host="203.0.113.7")
    told = capsys.readouterr().out
    assert "it failed" in told
    assert TOKEN not in told
    assert "said-back-as-it-is" not in told
    assert "\x1b[2J" not in told
    assert "verbose" not in vars(display)


@pytest.mark.parametrize(
    "key",
    [
        "said-back-as-it-is",
        client_key("scope-secret-0123456789", "test", "gpu-1"),
        engine_key("scope-secret-0123456789", "test", "gpu-1"),
    ],
    ids=["given", "derived", "of-the-proxy"],
)
def test_evidence_holds_no_secret_whatever_the_host_has_put_in(
    host: Host, tmp_path: Path, key: str
) -> None:
    """A key of the server that was given, and one that was derived."""
    token = "hf_abcdefghijklmnopqrstuvwxyz"
    log = f"started with {key} and {token}"
    host.says({"changed": False, "server": {"phase": "running"}, "parts": {"server.log": log}})
    collects: dict[str, Any] = {"inferops.gpu.evidence": {"dest": str(tmp_path / "evidence")}}
    variables = {"inferops_server_api_key": "{{ ['said-back', 'as-it-is'] | join('-') }}"}
    done = host.play({**collects, "vars": variables, "ignore_errors": True}, SHOW)
    assert done.returncode == 0, done.stdout
    kept = (tmp_path / "evidence" / "server.log").read_text()
    assert kept == "started with (redacted) and (redacted)"


@pytest.mark.parametrize(
    "diff",
    [
        {"prepared": FORGED},
        {"before": "a", "after": "b", "before_header": FORGED, "after_header": FORGED},
        [{"before": FORGED, "after": "b"}],
        FORGED,
        5,
    ],
    ids=str,
)
def test_no_difference_that_a_host_tells_forges_a_line_of_ansible(host: Host, diff: Any) -> None:
    host.says({"changed": True, "diff": diff})
    # Keyword "diff" asks for it as --diff does.
    done = host.play({"inferops.gpu.gpu_info": {}, "diff": True})
    assert "\x1b" not in done.stdout
    assert len(re.findall(r"(?m)^PLAY RECAP", done.stdout)) == 1


def test_a_difference_of_a_module_of_ours_is_shown(host: Host) -> None:
    host.says({"changed": True, "diff": {"before": {"a": 1}, "after": {"a": 2}}})
    done = host.play({"inferops.gpu.gpu_info": {}, "diff": True})
    shown = done.stdout.splitlines()
    assert [line[0] for line in shown if "a: " in line or '"a": ' in line] == ["-", "+"]


def test_what_a_host_says_to_ansible_itself_is_neither_shown_nor_obeyed(host: Host) -> None:
    own = {"_ansible_item_label": FORGED, "_ansible_no_log": True, "_ansible_new\x1b[2J": FORGED}
    host.says({"changed": False, "phase": "told by the host", **own})
    done = host.play({"inferops.gpu.gpu_info": {}, "register": "told"}, SHOW_TOLD)
    assert "\x1b" not in done.stdout
    assert "told by the host" in done.stdout
    assert "_ansible_" not in done.stdout


def test_a_host_that_calls_itself_unreachable_does_not_end_its_play(host: Host) -> None:
    """Nothing is rescued then, so nothing would be released."""
    host.says({"changed": False, "unreachable": True, "msg": "gone"})
    done = host.play({"inferops.gpu.gpu_info": {}}, SHOW)
    assert "<http://127.0.0.1:9><unset>" in done.stdout
    assert "unreachable=0" in done.stdout


@pytest.mark.parametrize(
    "answer", [{}, {"server": []}, {"server": {"phase": 7}}, {"server": None}, {"server": "x"}]
)
def test_an_answer_of_another_shape_fails_with_a_sentence_and_not_with_a_word_of_python(
    answer: dict[str, Any],
) -> None:
    class Reads(GuardedAction):
        def act(self, variables: dict[str, Any]) -> dict[str, Any]:
            return {"phase": answer["server"]["phase"].upper()}

    action = Reads(
        SimpleNamespace(args={}, check_mode=False, async_val=0),
        SimpleNamespace(transport="ssh", _shell=SimpleNamespace(tmpdir="/nowhere")),
        *[None] * 4,
    )
    with pytest.raises(AnsibleActionFail, match="is not what this collection's module answers"):
        action.run(task_vars={})


def test_what_runs_on_while_its_task_polls_sets_no_variable_either(host: Host) -> None:
    answer = {**ANSWER, "ansible_job_id": "j1", "started": 1, "finished": 1}
    host.says(answer)
    done = host.play({"inferops.gpu.stack_image": {}, "async": 60, "poll": 1}, SHOW)
    assert done.returncode == 0, done.stdout
    assert "<http://127.0.0.1:9><unset>" in done.stdout


def test_no_module_runs_while_facts_become_variables(host: Host) -> None:
    modules = GROUPS["host"] + GROUPS["market"]
    tasks = [
        {"name": f"Run {module}", f"inferops.gpu.{module}": {}, "ignore_errors": True}
        for module in modules
    ]
    done = host.play(*tasks, defaults=True)
    refused = " ".join(done.stdout.split()).count("ERROR]: Task failed: Ansible is set to turn")
    assert refused == len(modules), done.stdout
    assert not host.asked.exists()


@pytest.mark.parametrize("playbook", sampled.playbooks(PLAYBOOKS))
def test_a_playbook_contacts_nobody_while_facts_become_variables(
    tmp_path: Path, playbook: str
) -> None:
    inventory, file = tmp_path / "hosts.yml", REPOSITORY / "playbooks" / f"{playbook}.yml"
    fleet = "gpu_hosts: {hosts: {gpu-1: {ansible_host: 127.0.0.1}}}\n"
    inventory.write_text(fleet + of_its_own(file))
    simulator = Simulator(Market(PretendHosts()))
    try:
        done = ansible(
            file,
            inventory,
            "-e",
            json.dumps({"inferops_scope": "test", "inferops_model": "a/b", "extend_hours": 1}),
            defaults=True,
            VAST_URL=simulator.url,
            VAST_API_KEY="simulated-account-key",
            HF_ENDPOINT=simulator.url,
        )
        asked = simulator.journal.entries()
    finally:
        simulator.close()
    assert done.returncode != 0
    assert "inject_facts_as_vars = false" in " ".join(done.stdout.split())
    assert asked == []
