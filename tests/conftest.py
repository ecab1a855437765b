# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of every module need."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils import _internal
from ansible.module_utils.common import warnings
from ansible.module_utils.testing import patch_module_args
from xdist.scheduler import LoadFileScheduling

from tests.hanging import Hanging

#: Plays of tests show every task, unless a test is about the screen that the checkout has.
os.environ["ANSIBLE_STDOUT_CALLBACK"] = "default"
#: Those that watch a play see each line as it is written, by whatever they are run.
os.environ["PYTHONUNBUFFERED"] = "1"

HOST = "tests/unit/host/"
#: Those of the host that neither start nor stop a model server.
WITHOUT_SERVERS = tuple(
    f"{HOST}test_{name}.py"
    for name in (
        *("stack", "shared_caches", "model_cache", "ranges", "hostile_hub", "jobs"),
        *("proxy", "proxy_module", "proxy_parts"),
    )
)


class Scheduler(LoadFileScheduling):
    """Where tests are spread over processes, those of one file stay together.

    So do those of the host that have servers: what stops one looks at the processes and at the
    shared memory of the whole machine.
    """

    def _split_scope(self, nodeid: str) -> str:
        alone = nodeid.startswith(HOST) and not nodeid.startswith(WITHOUT_SERVERS)
        return HOST if alone else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduler:
    """Called by pytest-xdist."""
    return Scheduler(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which inference engine the tests of the host side run on."""
    parser.addoption("--engine", choices=["vllm", "stand_in"], default="vllm")


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    """A call that has not come back when the test looks, unless somebody has waited for it."""
    call = Hanging()
    yield call
    call.test_is_over.set()


@pytest.fixture
def run_module(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, Any]]:
    """Run a module's real main() with these options and return its result."""

    def run(module: ModuleType, *, check: bool = False, **options: Any) -> dict[str, Any]:
        options.update(_ansible_check_mode=check, _ansible_diff=True)
        # A module's process starts without warnings; here one process runs many modules.
        warnings._global_warnings.clear()
        # Nor is it a controller, which a test of an action plugin has made of this process:
        # a controller displays its warnings, a module returns them.
        monkeypatch.setattr(_internal, "is_controller", False)
        with patch_module_args(options), pytest.raises(SystemExit):
            module.main()
        result: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return result

    return run
