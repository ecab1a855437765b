# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cell runs on: an index over HTTP, and a host that is a folder with a scripted driver.

The product's own modules run, by their main(), with real uv in a real environment. Only the
driver and the packages are stand-ins.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

from ansible.module_utils.common import warnings
from ansible.module_utils.testing import patch_module_args

from ansible_collections.inferops.gpu.plugins.modules import stack_lock, stack_packages
from tests.matrix.wheels import PHYSICS, Wheel, all_wheels, write_index
from tests.tools.tree import REPOSITORY

#: The uv that the role installs; here it is the one of the development tools.
UV_VERSION = "0.13.8"
ROLES = REPOSITORY / "roles"
#: The roles that install, in the order of a deployment.
PARTS = ("torch", "numpy", "vllm")


class ModuleFailed(Exception):
    """A module of ours failed; the text is its message."""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """uv hangs up on pages that it needs no more: that is no error."""


@contextlib.contextmanager
def index(folder: Path, wheels: Iterable[Wheel] | None = None) -> Iterator[str]:
    """Wheels, by default all stand-ins, served from *folder*; yields the address."""
    write_index(folder, all_wheels() if wheels is None else wheels)
    handler = functools.partial(_Quiet, directory=str(folder))
    server = _Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@dataclass(frozen=True)
class Host:
    """A folder that is one host: its driver and GPU are scripted, its packages stand-ins."""

    folder: Path
    driver_version: str
    gpu: Mapping[str, Any]
    index: str
    #: What is different of GPUs beside the first.
    more_gpus: tuple[Mapping[str, Any], ...] = ()

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def prepare(self) -> None:
        """Script nvidia-smi, and put this machine's uv where the product would install its own."""
        tools = self.folder / "bin"
        tools.mkdir(parents=True)
        smi = tools / "nvidia-smi"
        script = REPOSITORY / "tests" / "rig" / "nvidia_smi.py"
        smi.write_text(f'#!/bin/sh\nexec {sys.executable} {script} "$@"\n')
        smi.chmod(0o755)
        first = {
            "name": self.gpu["name"],
            "uuid": "GPU-00000000-0000-0000-0000-000000000000",
            "compute_cap": self.gpu["capability"],
            "memory.total": 24576,
            "memory.used": 1,
            "memory.free": 24575,
            "temperature.gpu": 40,
            "drivers": self.gpu["drivers"],
        }
        others = [{**first, **change} for change in self.more_gpus]
        facts = {"driver_version": self.driver_version, "gpus": [first, *others]}
        (self.folder / "gpus.json").write_text(json.dumps(facts))
        bootstrap = self.home / "bootstrap"
        (bootstrap / "bin").mkdir(parents=True)
        (bootstrap / "bin" / "uv").symlink_to(Path(sys.executable).with_name("uv"))
        (bootstrap / f"lib/python3/site-packages/uv-{UV_VERSION}.dist-info").mkdir(parents=True)

    def environment(self) -> dict[str, str]:
        """What processes on this host see; other settings of uv and pip stay out."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("UV_", "PIP_", "PYTHON")) or name == "UV_CACHE_DIR"
        }
        return {
            **kept,
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{kept['PATH']}",
            "INFEROPS_SIM_GPUS": str(self.folder / "gpus.json"),
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_NO_CONFIG": "1",
        }

    def run(self, module: ModuleType, **options: Any) -> dict[str, Any]:
        """Run a module's main() on this host. Raises ModuleFailed."""
        said = io.StringIO()
        warnings._global_warnings.clear()
        before, here = dict(os.environ), self.environment()
        os.environ.clear()
        os.environ.update(here)
        try:
            with (
                patch_module_args({**options, "_ansible_diff": True}),
                contextlib.redirect_stdout(said),
                contextlib.suppress(SystemExit),
            ):
                module.main()
        finally:
            os.environ.clear()
            os.environ.update(before)
        result: dict[str, Any] = json.loads(said.getvalue().splitlines()[-1])
        if result.get("failed"):
            raise ModuleFailed(result["msg"])
        return result

    def lock(self, plan: Mapping[str, Any], **options: Any) -> dict[str, Any]:
        """Resolve the plan's lock, from the local index alone."""
        vllm = [
            url.replace("https://wheels.vllm.ai", f"{self.index}/vllm") for url in plan["indexes"]
        ]
        wanted = {
            "requirements": plan["requirements"],
            "constraints": plan["constraints"],
            "excluded": plan["excluded"],
            "python": sys.executable,
            "torch_backend": plan["torch_backend"],
            "torch_index_url": f"{self.index}/whl/{plan['torch_backend']}",
            "index_url": f"{self.index}/simple",
            "engine_package": "vllm",
            "engine_index_url": "".join(f"{url}/" for url in vllm),
            "uv_version": UV_VERSION,
        }
        return self.run(stack_lock, home=str(self.home), **{**wanted, **options})

    def install(
        self, part: str, plan: Mapping[str, Any], lock: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Install and prove what one role installs and proves."""
        expected = {
            "torch": plan["torch_version"],
            "numpy": lock["packages"].get("numpy", ""),
            "vllm": plan["vllm_version"],
        }
        return self.run(
            stack_packages,
            home=str(self.home),
            name=part,
            packages=[] if part == "vllm" else [part],
            proof=(ROLES / part / "files" / "proof.py").read_text(),
            environment={
                **plan["environment"],
                "INFEROPS_TORCH_DEVICE": plan["torch_device"],
                "INFEROPS_EXPECTED": expected[part],
            },
        )


def gpu(generation: str) -> dict[str, Any]:
    """The GPU that stands for a generation."""
    return dict(PHYSICS["gpus"][generation])
