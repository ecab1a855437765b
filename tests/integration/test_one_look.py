# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deploy of what is so already takes one look, and any difference takes the whole way.

The tasks of the playbook run for real on this machine, with stand-ins for the wheels, the driver
and vLLM. No SSH leads to it, so the endpoint fails: what comes before it is what is looked at.
"""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from ansible_collections.inferops.gpu.plugins.module_utils.host.proxy.proxy import proxies
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import Layout
from ansible_collections.inferops.gpu.plugins.module_utils.host.service import lifecycle
from tests.hanging import HANGS_AFTER_SECONDS
from tests.matrix import rig
from tests.matrix.rig import Host, gpu
from tests.rig.ports import free_port
from tests.tools.tree import REPOSITORY

Play = Callable[..., str]

SHORT = "all is as asked, and a completion came back"
LONG = "Start the server and wait until it has answered a completion"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"1234")
    (folder / "config.json").write_text('{"model_type": "brandnew"}')
    return folder


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A host with supervisord, whose servers end with the test."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    # supervisord's socket lies in it, and the path of a socket is short.
    short = tempfile.TemporaryDirectory(prefix="inferops-test-", ignore_cleanup_errors=True)
    with short as folder, rig.index(tmp_path / "index") as url:
        made = Host(Path(folder) / "h", "535.183.06", gpu("Ampere"), url)
        made.prepare()
        tool = made.home / "supervisor" / "venv"
        known = tool / "lib" / "python3" / "site-packages" / "supervisor-4.3.0.dist-info"
        known.mkdir(parents=True)
        (tool / "bin").symlink_to(Path(sys.executable).parent)
        yield made
        for service in (*proxies(made.home), *Layout(made.home).servers()):
            assert not lifecycle.end(service, timeout_seconds=1).left


def wanted(tmp_path: Path, host: Host, model: Path) -> dict[str, Any]:
    """What is asked of this machine, as variables."""
    return {
        "ansible_python_interpreter": sys.executable,
        "inferops_scope": "test",
        "inferops_controller_dir": str(tmp_path / "controller"),
        "inferops_home": str(host.home),
        "inferops_model": str(model),
        "inferops_index_url": f"{host.index}/simple",
        "stack_torch_index_url": host.index + "/whl/{backend}",
        "stack_vllm_index_url": f"{host.index}/vllm",
        "stack_python": sys.executable,
        "inferops_vllm_version": "0.25.1",
        "launch_supervisor": "supervisord",
        "inferops_server_environment": {"FAKE_START_SECONDS": "0"},
    }


@pytest.fixture
def play(tmp_path: Path, host: Host, model: Path) -> Play:
    """Run the playbook's tasks from the look on; returns the output."""
    port = free_port()
    steps = [REPOSITORY / "playbooks" / "tasks" / f"{name}.yml" for name in ("serve", "prove")]
    tasks = [
        {
            "block": [{"ansible.builtin.include_tasks": str(step)} for step in steps],
            "rescue": [{"ansible.builtin.debug": {"msg": "{{ ansible_failed_task.name }} failed"}}],
        },
    ]
    variables = {
        **wanted(tmp_path, host, model),
        "rent_needs": {"beside_gib": 0},
        "rent_wishes_of": ["stack", "torch", "numpy", "vllm", "model_cache", "launch"],
        "ansible_connection": "local",
        "ansible_host": "127.0.0.1",
        "ansible_port": 1,
        "ansible_user": "nobody",
        "ansible_ssh_private_key_file": "/dev/null",
        "inferops_known_hosts_file": "/dev/null",
        "inferops_server_port": port,
    }

    def run(*options: str, **extra: Any) -> str:
        book = tmp_path / "play.json"
        book.write_text(
            json.dumps(
                [
                    {
                        "hosts": "localhost",
                        "gather_facts": False,
                        "roles": ["inferops.gpu.inferops"],
                        "tasks": tasks,
                    }
                ]
            )
        )
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,"]
        done = subprocess.run(
            [*command, str(book), *options, "-e", json.dumps({**variables, **extra})],
            cwd=REPOSITORY,
            env=host.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return " ".join(done.stdout.split())

    return run


def put_server_into(host: Host) -> None:
    """The stand-in wheel has none, so that the first deploy fails there, after the installation."""
    (packages,) = (host.home / "stack" / "venv" / "lib").glob("python*/site-packages")
    server = packages / "vllm" / "entrypoints" / "openai"
    server.mkdir(parents=True)
    for folder in (server, server.parent):
        (folder / "__init__.py").touch()
    fake = REPOSITORY / "tests" / "unit" / "host" / "fake_vllm.py"
    shutil.copy(fake, server / "api_server.py")


@pytest.mark.long
def test_only_what_differs_takes_the_whole_way(play: Play, host: Host, model: Path) -> None:
    assert "died during startup" in play()
    put_server_into(host)
    again = play()
    assert "the server is error: died during startup" in again
    assert LONG in again
    assert "prove it with a completion failed" in again

    for options in ((), ("--check",)):
        short = play(*options)
        assert SHORT in short
        assert LONG not in short
        assert "inferops.gpu.stack" not in short

    wish = {"inferops_server_arguments": {"max_model_len": 64}}
    other = play(**wish)
    assert LONG in other
    assert "changed=1 " in other
    assert SHORT in play(**wish)

    (host.home / "stack" / "receipts" / "numpy.json").write_text("{")
    mended = play(**wish)
    assert "not as asked yet: numpy is not proven for this lock, driver and boot" in mended
    assert LONG in mended
    assert "changed=0 " in mended
    assert SHORT in play(**wish)
    # Whether the hub has a newer model, only the hub knows.
    assert SHORT not in play(**wish, model_cache_update=True)


class Own:
    """This machine as a host of one's own, whom whole playbooks are run for."""

    def __init__(self, folder: Path, host: Host, model: Path) -> None:
        self.folder, self.host = folder, host
        self.variables = {
            **wanted(folder, host, model),
            "inferops_provider": "local",
            "inferops_scope_secret": "twenty-letters-and-some-more",
            "inferops_evidence_dir": str(folder / "evidence"),
            "rent_vram_gib": 1,
        }
        (folder / "hosts.yml").write_text(json.dumps({"gpu_hosts": {"hosts": {"box": {}}}}))

    def run(self, name: str, *options: str, **extra: Any) -> tuple[int, str]:
        """Exit status and output of a playbook."""
        command = [str(Path(sys.executable).with_name("ansible-playbook"))]
        command += ["-i", str(self.folder / "hosts.yml"), f"playbooks/{name}.yml"]
        done = subprocess.run(
            [*command, *options, "-e", json.dumps({**self.variables, **extra})],
            cwd=REPOSITORY,
            env=self.host.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        return done.returncode, " ".join(done.stdout.split())


@pytest.mark.long
def test_a_server_behind_a_proxy_serves_stays_and_is_torn_down(
    tmp_path: Path, host: Host, model: Path
) -> None:
    """The real HAProxy, before a stand-in of vLLM: a deploy, a second one, a key more, its end."""
    own, port = Own(tmp_path, host, model), free_port()
    wish: dict[str, Any] = {"inferops_proxy": True, "inferops_server_port": port}
    status, output = own.run("deploy", **wish)
    assert status != 0
    assert "died during startup" in output
    put_server_into(host)
    status, output = own.run("deploy", **wish)
    assert status == 0, output
    assert f"Endpoint: http://127.0.0.1:{port}/v1 serves" in output
    url, asked = f"http://127.0.0.1:{port}", {"model": str(model), "prompt": "a"}
    assert (
        requests.post(f"{url}/v1/completions", json=asked, timeout=HANGS_AFTER_SECONDS).status_code
        == 401
    )
    assert requests.options(f"{url}/v1/completions", timeout=HANGS_AFTER_SECONDS).status_code == 401

    status, output = own.run("deploy", **wish)
    assert status == 0, output
    assert SHORT in output
    assert "changed=0 " in output

    more = {**wish, "proxy_client_keys": {"alice": "key-of-alice"}}
    status, output = own.run("deploy", **more)
    assert status == 0, output
    assert "not as asked yet: no deploy asked for just this before" in output
    assert "changed=1 " in output
    hers = {"Authorization": "Bearer key-of-alice"}

    def ask() -> requests.Response:
        return requests.post(
            f"{url}/v1/completions", json=asked, headers=hers, timeout=HANGS_AFTER_SECONDS
        )

    assert ask().json()["choices"][0]["text"]
    assert SHORT in own.run("deploy", **more)[1]
    # What a stranger adds to the proxy is seen, told and taken away.
    (proxy,) = proxies(host.home)
    proxy.runtime.ask(f"add map keys.map {'0' * 64} client:mallory")
    status, output = own.run("deploy", **more)
    assert "not as asked yet: the keys of the proxy were changed" in output
    assert "mallory" not in proxy.runtime.ask("show map keys.map")

    for name in ("status", "recover"):
        status, output = own.run(name, **more)
        assert status == 0, output
        assert f"proxy vllm: running on port {port}; vllm UP, 0 sessions" in output
    # One that is mended leads clients to it as before.
    (server,) = Layout(host.home).servers()
    assert not lifecycle.end(server, timeout_seconds=5).left
    status, output = own.run("recover", recover_apply=True, **more)
    assert status == 0, output
    assert re.search(rf"on port {port}; vllm (DOWN|DRAIN)", output), output
    assert ask().json()["choices"][0]["text"]

    status, output = own.run("support_bundle", **more)
    assert status == 0, output
    folder = sorted(path for path in (tmp_path / "evidence").iterdir() if path.is_dir())[-1]
    collected = {path.name: path.read_text() for path in folder.iterdir()}
    assert "client:alice POST /v1/completions" in collected["proxy-vllm.log"]
    assert {"proxy-vllm.launcher.log", "proxy-vllm.haproxy.cfg"} <= set(collected)
    assert "key-of-alice" not in "".join(collected.values())

    # Taken away and put back; what would be done is told before, and does nothing.
    for wish in ({"inferops_server_port": port}, more):
        before = bool(proxy.processes())
        status, output = own.run("deploy", "--check", **wish)
        assert status == 0, output
        assert bool(proxy.processes()) == before
        status, output = own.run("deploy", **wish)
        assert status == 0, output
        assert f"Endpoint: http://127.0.0.1:{port}/v1 serves" in output
        assert bool(proxy.processes()) != before

    # The variable is not needed to end it.
    status, output = own.run("teardown")
    assert status == 0, output
    assert "Proxy: ended, proven. Server: stopped, proven." in output
    assert not proxy.processes()
    assert not proxy.launchers()
