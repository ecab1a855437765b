# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that the controller does in the play itself: real ansible-playbook, without any host."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, TextIO

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.task import Task
from ansible.template import Templar

from ansible_collections.inferops.gpu.plugins.action import host_look, ssh_key_pair
from ansible_collections.inferops.gpu.plugins.action.host_look import ActionModule
from ansible_collections.inferops.gpu.plugins.module_utils.endpoint.completion import (
    NoCompletion,
    complete,
)
from ansible_collections.inferops.gpu.plugins.plugin_utils import own_code
from tests.hanging import HANGS_AFTER_SECONDS
from tests.tools.tree import REPOSITORY

ROLES = ["stack", "torch", "numpy", "vllm", "model_cache", "launch"]

Play = Callable[..., tuple[int, str]]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Run tasks on this machine; returns the exit status and the output in one line."""

    def run(*tasks: dict[str, Any], options: tuple[str, ...] = (), **variables: Any) -> Any:
        book = tmp_path / "play.json"
        book.write_text(
            json.dumps(
                [
                    {
                        "hosts": "localhost",
                        "connection": "local",
                        "gather_facts": False,
                        "vars": {"ansible_python_interpreter": sys.executable},
                        "tasks": list(tasks),
                    }
                ]
            )
        )
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,"]
        done = subprocess.run(
            [*command, str(book), *options, "-e", json.dumps(variables)],
            cwd=REPOSITORY,
            env={**os.environ, "ANSIBLE_HOME": str(tmp_path / "ansible")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=HANGS_AFTER_SECONDS,
            check=False,
        )
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    return run


def digest(**variables: Any) -> str:
    """The digest of these variables for a host, as a deploy makes it."""
    loader = DataLoader()
    action = ActionModule(
        task=Task(),
        connection=None,
        play_context=None,
        loader=loader,
        templar=Templar(loader),
        shared_loader_obj=None,
    )
    known = {"inventory_hostname": "gpu-1", "inferops_model": "a/b", **variables}
    return action.digest(ROLES, known)


def test_a_digest_changes_with_every_wish_and_with_nothing_else(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text("vllm==0.32.0\n")
    assert digest() == digest(rent_gpu_count=2, ansible_port=22, my_own="x")
    rental = {"provider": "vastai", "price_usd_per_hour": 0.3}
    assert digest() == digest(inferops_rental=rental, inferops_offer={"id": "1"})
    assert digest() == digest(inferops_cache_home=str(tmp_path), inferops_cache_trust="scope")
    wishes: list[dict[str, Any]] = [
        {},
        {"inferops_model": "other/model"},
        {"inferops_accelerator": "cpu"},
        {"inferops_vllm_version": "0.30.0"},
        {"stack_extra_requirements": ["ray"]},
        {"inferops_server_arguments": {"max_model_len": 512}},
        {"inferops_server_environment": {"A": "1"}},
        {"inferops_server_environment": {"A": "2"}},
        {"inferops_server_extra_args": ["-tp", "2"]},
        {"launch_start_at_boot": True},
        {"inferops_server_port": 8001},
        {"inferops_server_api_key": "sk-1"},
        {"inferops_server_keyless": True},
        {"model_cache_revision": "other"},
        {"model_cache_include": ["*.json"]},
        {"stack_lock_file": str(lock)},
    ]
    found = [digest(**wish) for wish in wishes]
    lock.write_text("vllm==0.33.0\n")
    found.append(digest(**wishes[-1]))
    assert len(set(found)) == len(found)


def test_other_code_of_ours_may_fulfil_the_same_wish_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "collection"
    for folder in ("plugins", "roles"):
        shutil.copytree(REPOSITORY / folder, copy / folder)
    ours = own_code.digest()
    assert own_code.digest_of(copy) == ours
    proof = copy / "roles" / "torch" / "files" / "proof.py"
    proof.write_text(proof.read_text() + "# stricter\n")
    theirs = own_code.digest_of(copy)
    assert theirs != ours
    before = digest()
    monkeypatch.setattr(own_code, "digest", lambda: theirs)
    assert digest() != before


def test_a_key_pair_is_made_once_and_one_that_is_locked_is_refused(
    play: Play, tmp_path: Path
) -> None:
    key = tmp_path / "ssh" / "key"
    task = {"inferops.gpu.ssh_key_pair": {"private_key_file": str(key)}, "register": "pair"}
    shown = {"ansible.builtin.debug": {"msg": "key {{ pair.public_key }}"}}
    status, output = play(task, shown, options=("--check",))
    assert (status, key.exists()) == (0, False), output
    assert "changed=1" in output
    status, output = play(task, task, shown)
    assert "changed=1" in output
    assert "key ssh-ed25519 " in output
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in key.parent.iterdir()) == ["key", "key.pub"]
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "secret", "-f", str(key)], check=True)
    status, output = play(task)
    assert status != 0
    assert "cannot be used" in output
    assert "Give a key without a passphrase" in output


@pytest.fixture
def held(tmp_path: Path) -> Iterator[TextIO]:
    """The lock of a pair, held by somebody who is stuck."""
    with (tmp_path / "key.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def test_a_lock_that_is_never_given_back_ends_with_its_file_and_what_helps(
    tmp_path: Path, held: TextIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_key_pair, "_PATIENCE_SECONDS", 0.1)
    said = f"its lock {re.escape(held.name)} is held by another process for 0.1 s. End that"
    with ThreadPoolExecutor(1) as threads:
        make = threads.submit(ssh_key_pair._made, tmp_path / "key")
        ended = wait([make], HANGS_AFTER_SECONDS).done
        fcntl.flock(held, fcntl.LOCK_UN)
    assert ended
    with pytest.raises(ValueError, match=said):
        make.result()
    assert not (tmp_path / "key").exists()


def test_a_host_waits_for_another_that_makes_the_pair(tmp_path: Path, held: TextIO) -> None:
    with ThreadPoolExecutor(1) as threads:
        make = threads.submit(ssh_key_pair._made, tmp_path / "key")
        assert not wait([make], 0.3).done
        (tmp_path / "key").write_text("of another host")
        fcntl.flock(held, fcntl.LOCK_UN)
        assert make.result(HANGS_AFTER_SECONDS) is False
    assert (tmp_path / "key").read_text() == "of another host"


@pytest.mark.parametrize("options", [(), ("--check",)])
def test_what_is_no_private_key_is_refused_with_what_helps(
    play: Play, tmp_path: Path, options: tuple[str, ...]
) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    key.chmod(0o644)
    for name, said in (
        (str(tmp_path), "is a folder. Name the file of the private key in it"),
        (f"{key}.pub", "it is a public key. Name the private one, which has no .pub at its end."),
        (str(key), f"others may read it, so ssh refuses it: chmod 600 {key}"),
    ):
        task = {"inferops.gpu.ssh_key_pair": {"private_key_file": name}}
        status, output = play(task, options=options)
        assert status != 0
        assert said in output
        assert "@@@" not in output


def test_a_file_is_written_for_its_owner_and_again_changes_nothing(
    play: Play, tmp_path: Path
) -> None:
    file = tmp_path / "folder" / "file"
    task = {"inferops.gpu.controller_file": {"path": str(file), "content": "text\n"}}
    status, output = play(task, options=("--check",))
    assert "changed=1" in output
    assert not file.parent.exists()
    status, output = play(task, task)
    assert (status, "changed=1" in output) == (0, True)
    assert file.read_text() == "text\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    blocked = {"path": str(file / "below"), "content": ""}
    status, output = play({"inferops.gpu.controller_file": blocked})
    assert status != 0
    assert "cannot be written" in output


@pytest.fixture
def server() -> Iterator[dict[str, Any]]:
    """A server that answers with what it is told, and keeps what it was asked."""
    told: dict[str, Any] = {"status": 200, "body": {"choices": [{"text": " the lazy dog."}]}}
    # How many bytes are written at once: with 1 the answer drips.
    told.update(pace=2**20, gone=threading.Event())

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told["key"] = self.headers.get("Authorization")
            told["asked"] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = told["body"]
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(told["status"])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            for number in range(0, len(content), told["pace"]):
                self.wfile.write(content[number : number + told["pace"]])
                told["gone"].wait(0.05 if told["pace"] == 1 else 0)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    served = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    told["port"] = served.server_port
    yield told
    told["gone"].set()
    served.shutdown()
    served.server_close()


def test_a_completion_is_the_proof_and_the_key_is_shown(server: dict[str, Any]) -> None:
    text = complete(server["port"], {"model": "a/b", "prompt": "Hello"}, "sk-1", 10)
    assert text == " the lazy dog."
    assert server["key"] == "Bearer sk-1"
    assert server["asked"] == {"model": "a/b", "prompt": "Hello"}


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, {"error": "who are you"}, "status 401.*who are you"),
        (200, {"choices": [{"text": "  "}]}, "an empty text"),
        (200, {"choices": []}, "no text"),
        (200, b"<html>", "no text"),
        (200, b"[" * 100_000, "no text"),
        (200, b" " * (2 * 2**20), "no text"),
        (200, {"choices": [{"text": None}]}, "an empty text"),
    ],
)
def test_anything_but_a_text_is_no_completion(
    server: dict[str, Any], status: int, body: Any, said: str
) -> None:
    server.update(status=status, body=body)
    with pytest.raises(NoCompletion, match=said):
        complete(server["port"], {}, "", 10)


def test_an_answer_that_drips_outlives_no_limit(server: dict[str, Any]) -> None:
    server.update(body=b" " * 2000, pace=1)
    with pytest.raises(NoCompletion, match="not complete after"):
        complete(server["port"], {}, "", 0.3)


def test_a_port_where_nobody_listens_is_no_endpoint(server: dict[str, Any]) -> None:
    with pytest.raises(NoCompletion, match="status none"):
        complete(1, {}, "", 10)


def test_an_endpoint_that_is_not_open_is_closed_already(play: Play, tmp_path: Path) -> None:
    closing = {"name": "a/b", "folder": str(tmp_path / "tunnels"), "state": "absent"}
    status, output = play(
        {"inferops.gpu.endpoint": closing, "register": "closed"},
        {"ansible.builtin.debug": {"msg": "port {{ closed.local_port }}."}},
    )
    assert status == 0, output
    assert "port ." in output or "port None." in output
    assert "changed=0" in output


def test_an_endpoint_names_what_it_needs_to_be_opened(play: Play) -> None:
    status, output = play({"inferops.gpu.endpoint": {"name": "a/b", "host": "203.0.113.7"}})
    assert status != 0
    assert "remote_port, model" in output
    # Of a host whose key is pinned nothing is left to the user's own settings of ssh.
    pinned = {"name": "a/b", "known_hosts_file": "hosts", "remote_port": 8000, "model": "a/b"}
    status, output = play({"inferops.gpu.endpoint": pinned})
    assert status != 0
    assert "required by 'known_hosts_file': host, user, private_key_file" in output


def test_a_deploy_is_done_only_where_it_serves_and_ends_by_itself() -> None:
    assert host_look.is_done({"as_asked": True, "switch_is_set": True})
    assert not host_look.is_done({"as_asked": True, "switch_is_set": False})
    assert not host_look.is_done({"as_asked": False, "switch_is_set": True})
