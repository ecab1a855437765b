# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real processes for the tests of the host side; every test ends all that it started."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.action.model_server import ActionModule
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines import registry
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.engine import Engine, Wish
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import ports, processes
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import Layout, Server
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.spec import Spec
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.tree import (
    SERVER_MARKER,
    server_processes,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.service import lifecycle
from ansible_collections.inferops.gpu.plugins.modules import model_server, model_server_info
from tests.hanging import HANGS_AFTER_SECONDS
from tests.rig.ports import free_port as a_free_port

HOST = "ansible_collections.inferops.gpu.plugins.module_utils.host"
FOLDER = Path(__file__).parent
BIN = Path(sys.executable).parent

Wait = Callable[..., Any]
Call = Callable[..., dict[str, Any]]


def pytest_configure(config: pytest.Config) -> None:
    """With `--engine stand_in` these tests run on the stand-in engine."""
    if config.getoption("--engine") == "stand_in":
        module = put_beside("engines.stand_in", FOLDER / "stand_in_engine.py")
        registry.DEFAULT = module.StandIn.name
        registry.ENGINES[module.StandIn.name] = module.StandIn()
        # What is shipped to the host is the source of the registry, so it names the engine too.
        registry.__loader__ = With(registry.__loader__, REGISTERED)


REGISTERED = """
from .stand_in import StandIn
ENGINES[StandIn.name] = StandIn()
"""


class With:
    """A loader whose source has some lines more."""

    def __init__(self, loader: Any, lines: str) -> None:
        self.loader, self.lines = loader, lines

    def get_source(self, name: str) -> str:
        return str(self.loader.get_source(name)) + self.lines


def put_beside(name: str, file: Path) -> ModuleType:
    """Load a file as a module of the host side, as it would be if it lay there."""
    found = importlib.util.spec_from_file_location(f"{HOST}.{name}", file)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module
    found.loader.exec_module(module)
    return module


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On another engine what needs one is run, unless it is about an engine of ours: the rest of
    these tests would only be the same again."""
    if config.getoption("--engine") == "vllm":
        return
    here = [item for item in items if item.path.is_relative_to(FOLDER)]
    other = [item for item in here if not _runs_on_any(item)]
    items[:] = [item for item in items if item not in other]
    config.hook.pytest_deselected(items=other)


def _runs_on_any(item: pytest.Item) -> bool:
    about_one = any(item.get_closest_marker(name) for name in ("vllm", "llama_cpp"))
    return "the_engine" in getattr(item, "fixturenames", ()) and not about_one


@pytest.fixture
def the_engine() -> Engine:
    """The engine that this run tests with."""
    return registry.ENGINES[registry.DEFAULT]


@pytest.fixture
def key_variable(the_engine: Engine) -> str:
    return the_engine.key_variable


@pytest.fixture
def wish(fake_python: str, free_port: int) -> Wish:
    """The stand-in with its model, on a free port."""
    return Wish(fake_python, "tiny", (), "127.0.0.1", free_port, {})


@pytest.fixture
def wait_until() -> Wait:
    """Call a condition until it holds, for at most some seconds, and return what it gave."""

    def wait(condition: Callable[[], Any], seconds: float = HANGS_AFTER_SECONDS) -> Any:
        deadline = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            assert time.monotonic() < deadline, "the condition did not come true in time"
            time.sleep(0.05)

    return wait


@pytest.fixture
def home() -> Iterator[Path]:
    """A home folder with a short path, as a Unix socket needs one; ends what lives below it."""
    path = Path(tempfile.mkdtemp(prefix="inferops-test-"))
    yield path
    layout = Layout(path)
    for server in layout.servers():
        assert not lifecycle.end(server, timeout_seconds=1).left
    shutil.rmtree(path)


@pytest.fixture
def fake_python(tmp_path: Path, the_engine: Engine) -> str:
    """An "interpreter" that runs the stand-in, whatever module it is told to run.

    A script given by -c runs as it is: that is how the parser of the engine is asked.
    """
    fake = FOLDER / f"fake_{the_engine.name}.py"
    path = tmp_path / "engine" / "bin" / "python"
    path.parent.mkdir(parents=True)
    path.write_text(
        "#!/bin/sh\n"
        f'[ "$1" = -c ] && exec {sys.executable} "$@"\n'
        f'exec {sys.executable} {fake} "$@"\n'
    )
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def free_port() -> int:
    return a_free_port()


@pytest.fixture
def another_port() -> int:
    return a_free_port()


@pytest.fixture
def server(home: Path) -> Server:
    return Layout(home).server("main")


@pytest.fixture
def spec(fake_python: str, free_port: int, the_engine: Engine) -> Callable[..., Spec]:
    """A specification of the stand-in; the keywords are its environment."""

    def make(**environment: str) -> Spec:
        return Spec(
            name="main",
            engine=the_engine.name,
            python=fake_python,
            model="tiny",
            served_model_name="tiny",
            arguments={},
            extra_args=[],
            suggested_arguments={},
            log_max_mib=64,
            host="127.0.0.1",
            port=free_port,
            supervisor="supervisord",
            stop_timeout_seconds=5,
            environment={"FAKE_START_SECONDS": "0", **environment},
        )

    return make


@pytest.fixture
def tree(the_engine: Engine, wish: Wish, wait_until: Wait) -> Iterator[Callable[..., Any]]:
    """Start the stand-in as the launcher would; returns it once it listens and has its tree."""
    ids = []

    def start(
        server_id: str, size: int = 4, listening: bool = True, **environment: str
    ) -> subprocess.Popen[bytes]:
        ids.append(server_id)
        process = subprocess.Popen(
            the_engine.command(wish),
            env={**os.environ, SERVER_MARKER: server_id, **environment},
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until(lambda: len(server_processes(server_id)) == size)
        wait_until(lambda: not listening or ports.owners(wish.port))
        return process

    yield start
    for server_id in ids:
        for process in server_processes(server_id):
            processes.send_signal(process, signal.SIGKILL)


class Told(dict[str, Any]):
    """A result that tells what it says where a test looks for what it does not say."""

    def __missing__(self, key: str) -> Any:
        raise AssertionError(f"no {key} in {dict(self)}")


@pytest.fixture
def run_action(run_module: Call) -> Call:
    """Run model_server as a play does: its action plugin and the real main() of the modules.

    Only the way to the host is left out: both ends are this process.
    """
    modules = {
        f"inferops.gpu.{module.__name__.rpartition('.')[2]}": module
        for module in (model_server, model_server_info)
    }

    class Direct(ActionModule):
        def _execute_module(
            self, module_name: str, module_args: dict[str, Any], task_vars: Any
        ) -> dict[str, Any]:
            check = self._task.check_mode
            return run_module(modules[module_name], check=check, **module_args)

    def run(check: bool = False, **options: Any) -> dict[str, Any]:
        task = SimpleNamespace(args=options, check_mode=check, async_val=0, diff=True)
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/nowhere"))
        action = Direct(task, connection, None, None, None, None)
        return Told(action.run(task_vars={"inventory_hostname": "gpu-1"}))

    return run


@pytest.fixture
def start(run_action: Call, home: Path, fake_python: str, free_port: int) -> Call:
    """Start a server and wait for it as a play does; options and stand-in may be changed."""

    def call(check: bool = False, fake: dict[str, str] | None = None, **options: Any) -> Any:
        wanted = {
            "name": "main",
            "home": str(home),
            "python": fake_python,
            "model": "tiny/model",
            "port": free_port,
            "environment": {"FAKE_START_SECONDS": "0", **(fake or {})},
            "supervisor": "supervisord",
            "supervisord_bin_dir": str(BIN),
            "wait_timeout_seconds": int(HANGS_AFTER_SECONDS),
            "stop_timeout_seconds": 5,
        }
        return run_action(check=check, **{**wanted, **options})

    return call


@pytest.fixture
def stop(run_module: Call, home: Path) -> Call:
    """Run model_server for state=stopped."""

    def call(check: bool = False, **options: Any) -> Any:
        wanted = {
            "name": "main",
            "home": str(home),
            "state": "stopped",
            "stop_timeout_seconds": 5,
        }
        return run_module(model_server, check=check, **{**wanted, **options})

    return call
