# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people read at the end of a run: a line to try, what an interruption leaves, what moved."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.inferops.gpu.plugins.action.endpoint import try_it
from ansible_collections.inferops.gpu.plugins.filter.as_type import as_type
from ansible_collections.inferops.gpu.plugins.module_utils.endpoint.completion import Proven
from ansible_collections.inferops.gpu.plugins.plugin_utils.interruption import TOLD
from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator.app import Simulator
from tests.tools.tree import REPOSITORY
from tests.unit.plays import on_the_host, play


class Completions(BaseHTTPRequestHandler):
    """Remembers what it was asked, and answers as a server does."""

    asked: list[tuple[str, str | None, dict[str, Any]]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, self.headers["Authorization"], body))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"choices": [{"text": " there"}]}')

    def log_message(self, *words: Any) -> None:
        return None


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl here")
@pytest.mark.parametrize("wants_key", [False, True])
def test_the_line_to_try_runs_in_a_shell_as_it_is_shown(tmp_path: Path, wants_key: bool) -> None:
    header = tmp_path / "my key's header"
    header.write_text("Authorization: Bearer the key\n")
    file = str(header) if wants_key else None
    question = {"model": """it's/an "odd" $HOME name""", "prompt": "Hello", "max_tokens": 16}
    proven = Proven("/v1/completions", question, " there")
    kind = type("Asked", (Completions,), {"asked": []})
    with HTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        done = subprocess.run(
            ["sh", "-c", try_it(f"http://127.0.0.1:{server.server_port}/v1", proven, file)],
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=HANGS_AFTER_SECONDS,
            check=True,
        )
    assert " there" in done.stdout
    ((path, key, body),) = kind.asked
    assert path == "/v1/completions"
    assert key == ("Bearer the key" if wants_key else None)
    assert body == question


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "kill"])
def test_who_interrupts_a_run_is_told_what_goes_on_billing(tmp_path: Path, sent: int) -> None:
    began = tmp_path / "began"
    command = f"touch {began}; sleep 30"
    waiting = {"ansible.builtin.shell": command, "delegate_to": "localhost"}
    own = {**on_the_host(waiting)[0], "hosts": "{{ query('inferops.gpu.hosts', 'gpu_hosts') }}"}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([own]))
    (tmp_path / "hosts.yml").write_text("gpu_hosts: {hosts: {gpu-1: {}}}\n")
    with subprocess.Popen(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", "hosts.yml", "play.yml"],
        cwd=tmp_path,
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / "collections"),
            "ANSIBLE_INJECT_FACT_VARS": "false",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        # A worker that has just been forked is not ready for the signal yet.
        while not began.exists() and run.poll() is None:
            time.sleep(0.05)
        run.send_signal(sent)
        _output, errors = run.communicate(timeout=HANGS_AFTER_SECONDS)
    assert ("User interrupted execution" in errors) == (sent == signal.SIGINT)
    assert TOLD in " ".join(errors.split())


def test_a_run_that_ends_by_itself_says_nothing_of_interruptions(tmp_path: Path) -> None:
    own = {**on_the_host()[0], "hosts": "{{ query('inferops.gpu.hosts', 'gpu_hosts') }}"}
    status, output = play(tmp_path, [own])
    assert status == 0, output
    assert "interrupted" not in output


@pytest.mark.long
def test_an_extension_that_moves_nothing_says_so(tmp_path: Path, simulator: Simulator) -> None:
    task = {
        "inferops.gpu.rental": {
            "name": "gpu-1",
            "ssh_public_key": "ssh-ed25519 AAAA user",
            "deadline_hours": 4,
        },
        "delegate_to": "localhost",
        "module_defaults": {"group/inferops.gpu.market": "{{ inferops_account }}"},
    }
    own = [{**on_the_host(task)[0], "roles": ["inferops.gpu.inferops"]}]
    status, output = play(tmp_path, own, inferops_api_url=simulator.url)
    assert status == 0, output
    extend = REPOSITORY / "playbooks" / "extend.yml"
    for hours, said in (
        (1, "it lives as long already; shorten (variable"),
        (8, ""),
    ):
        status, output = play(
            tmp_path,
            extend,
            *("--check", "--limit", "gpu-1"),
            inferops_api_url=simulator.url,
            extend_hours=hours,
        )
        assert status == 0, output
        assert "gpu-1 ends in " in output
        assert ("Nothing was moved" in output) == bool(said)
        assert said in output


@pytest.mark.parametrize(
    ("value", "kind"),
    [(5, "dict"), ("a secret", "dict"), ("[1, ", "list"), ("a secret", "bool"), ([1], "bool")],
)
def test_a_value_of_a_wrong_kind_is_told_in_words_and_not_shown(value: Any, kind: str) -> None:
    with pytest.raises(AnsibleFilterError) as refused:
        as_type(value, kind)
    assert "is needed here, and what was given is n" in str(refused.value)
    assert "class" not in str(refused.value)
    assert str(value) not in str(refused.value)
