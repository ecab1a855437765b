# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same deployment by other means: by hand as fast as it goes, and as the old runbook does it.

Both get what our own deployment has found out: the lock, the engine's options and environment.
They begin on a host that answers over SSH and end with a completion through a tunnel.
"""

from __future__ import annotations

import io
import json
import shlex
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.inferops.gpu.plugins.module_utils.common.lock import read, versions
from tests.benchmarks.deploy.floor import complete
from tests.benchmarks.deploy.machine import BenchError, Host, inside
from tests.rig.ports import free_port
from tests.tools.tree import REPOSITORY

FLOOR = Path(complete.__file__).parent
PARTS = ("torch", "numpy", "vllm")
#: Where a deployment of ours keeps what it has installed and proven, on its host.
OURS = "/root/.inferops"
UV, LOCK, RECEIPTS = f"{OURS}/bootstrap/bin/uv", f"{OURS}/stack/lock.txt", f"{OURS}/stack/receipts"
ENGINE = ("-m", "vllm.entrypoints.openai.api_server")
#: The options whose value is where our deployment has put the model.
MODEL, NAME = "--model", "--served-model-name"
#: Prints the command line and the environment of the engine that runs on a host.
LOOK = f"""
import json, pathlib
for process in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        words = (process / "cmdline").read_text().split("\\0")[:-1]
        variables = (process / "environ").read_text().split("\\0")
    except OSError:
        continue
    if words[1:3] == {list(ENGINE)}:
        print(json.dumps([words, [line.split("=", 1) for line in variables if "=" in line]]))
        break
"""
TORCH_INDEX = "--index-url https://download.pytorch.org/whl/cpu"
#: The runbook's: a look after a while, a minute for the server to warm up, then more looks.
STEP_SECONDS, WARM_UP_SECONDS, MOST_LOOKS = 5, 60, 48


@dataclass(frozen=True)
class Stack:
    """What a deployment of ours has installed and started, read off its host."""

    lock: str
    uv_version: str
    options: tuple[str, ...]
    environment: dict[str, str]

    @classmethod
    def of(cls, container: str, is_installed: bool = True) -> Stack:
        """Read it off; an image that has it needs no uv. Raises BenchError when none runs there."""
        seen = inside(container, "python3", "-c", LOOK)
        if not seen:
            raise BenchError(f"no process of {' '.join(ENGINE)} runs on {container}")
        words, variables = json.loads(seen)
        options = words[3:]
        # By hand the engine is told the model's name, and downloads it itself.
        if NAME in options:
            name = options[options.index(NAME) + 1]
            options[options.index(MODEL) + 1] = name
        said = inside(container, UV, "--version") if is_installed else "uv -"
        return cls(
            lock=inside(container, "cat", LOCK),
            uv_version=said.split()[1],
            options=tuple(options),
            environment={name: value for name, value in variables if name.startswith("VLLM_")},
        )

    @property
    def versions(self) -> dict[str, str]:
        """The version of each part; vLLM's package for CPUs has another name."""
        pins = versions(read(self.lock))
        return {part: pins.get(part) or pins[f"{part}-cpu"] for part in PARTS}

    @property
    def pins(self) -> bytes:
        """The lock without its hashes, as the runbook writes down versions."""
        found = versions(read(self.lock))
        return "".join(f"{name}=={version}\n" for name, version in found.items()).encode()

    @property
    def assignments(self) -> list[str]:
        """The environment as arguments of env."""
        return [f"{name}={value}" for name, value in self.environment.items()]


@dataclass(frozen=True)
class Took:
    """What a deployment took, and its parts, in seconds."""

    seconds: float
    laps: dict[str, float]


def floor(host: Host, stack: Stack) -> Took:
    """One SSH call that brings one script, as a good engineer writes it; then the tunnel."""
    # torch for CPUs comes from PyTorch's own index where no folder of wheels has it.
    sources = [] if "UV_FIND_LINKS=" in host.run("env") else ["--torch-backend", "cpu"]
    command = ["env", *stack.assignments, "INFEROPS_TORCH_DEVICE=cpu", "bash", "floor/deploy.sh"]
    command += [stack.uv_version, *sources, "--", *stack.options]
    folder = luggage(stack)
    began = time.monotonic()
    said = host.run(f"tar -xf - && exec {shlex.join(command)}", folder)
    laps = [line.split()[1:] for line in said.splitlines() if line.startswith("lap ")]
    require_completion(host, stack)
    seconds = time.monotonic() - began
    return Took(seconds, {name: float(value) for name, value in laps})


def floor_of_image(rent: Callable[[], Host], python: str, stack: Stack) -> Took:
    """The same from the rental request on, on a host whose image has vLLM for this interpreter."""
    began = time.monotonic()
    host = rent()
    booted = time.monotonic() - began
    command = ["env", *stack.assignments, "INFEROPS_TORCH_DEVICE=cpu", "bash", "floor/serve.sh"]
    command += [python, *stack.options]
    said = host.run(f"tar -xf - && exec {shlex.join(command)}", luggage(stack))
    laps = [line.split()[1:] for line in said.splitlines() if line.startswith("lap ")]
    require_completion(host, stack)
    seconds = time.monotonic() - began
    return Took(seconds, {"boot": booted, **{name: float(value) for name, value in laps}})


def luggage(stack: Stack) -> bytes:
    """The folder that the script needs: itself, its helpers, the lock, the roles' own proofs."""
    files = {path.name: path.read_text() for path in FLOOR.iterdir() if path.is_file()}
    files["lock.txt"] = stack.lock
    files["expected.json"] = json.dumps(stack.versions)
    for part in PARTS:
        proof = REPOSITORY / "roles" / part / "files" / "proof.py"
        files[f"prove_{part}.py"] = proof.read_text()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, text in files.items():
            content = text.encode()
            entry = tarfile.TarInfo(f"floor/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def seed_way(host: Host, stack: Stack) -> Took:
    """One SSH command after another, pip, fixed sleeps: how it is done before a tool like this."""
    torch_index = "" if "PIP_FIND_LINKS=" in host.run("env") else TORCH_INDEX
    began = time.monotonic()
    laps: dict[str, float] = {}

    def lap(name: str) -> None:
        laps[name] = time.monotonic() - began - sum(laps.values())

    pip, python, versions = "venv/bin/pip install --quiet", "venv/bin/python", stack.versions
    host.run("nvidia-smi --query-gpu=driver_version --format=csv,noheader | head -1")
    host.run("python3 -m venv venv")
    host.run(f"{pip} torch=={versions['torch']} {torch_index}")
    host.run(f"{python} -c 'import torch; print(torch.__version__)'")
    host.run(f"{pip} numpy=={versions['numpy']}")
    host.run("cat >requirements.txt", stack.pins)
    # What else vLLM asks for is in the lock; torchvision is not, and would break the import.
    host.run(f"{pip} --no-deps --requirement requirements.txt")
    lap("install")
    host.run(f"{python} -c 'from vllm import LLM; print(\"vLLM OK\")'")
    lap("prove")
    variables = shlex.join(["env", *stack.assignments])
    serve = f"{variables} {python} {shlex.join([*ENGINE, *stack.options])}"
    pid = host.run(f"nohup {serve} >vllm.log 2>&1 </dev/null & echo $!").strip()
    time.sleep(STEP_SECONDS)
    require_life(host, pid)
    time.sleep(WARM_UP_SECONDS)
    health = "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health', timeout=5)"
    for _look in range(MOST_LOOKS):
        if host.run(f'{python} -c "{health}" 2>/dev/null && echo ok || true').strip() == "ok":
            break
        require_life(host, pid)
        time.sleep(STEP_SECONDS)
    require_completion(host, stack)
    lap("serve")
    return Took(time.monotonic() - began, laps)


def require_life(host: Host, pid: str) -> None:
    """Fail with the log of a server that has died."""
    if host.run(f"kill -0 {pid} 2>/dev/null && echo alive || true").strip() != "alive":
        raise BenchError(f"the server died: {host.run('tail -50 vllm.log')}")


def fill_cache_of_pip(host: Host, stack: Stack) -> None:
    """Let pip download everything once, as uv has by then."""
    host.run("cat >requirements.txt", stack.pins)
    host.run(
        "python3 -m venv venv && "
        "venv/bin/pip install --quiet --no-deps --requirement requirements.txt"
    )


def require_completion(host: Host, stack: Stack) -> str:
    """A completion through a tunnel, as the user gets it."""
    with tunnel(host) as port:
        text = complete.complete(port, stack.environment["VLLM_API_KEY"])
    if not text.strip():
        raise BenchError("the completion was empty")
    return text


@contextmanager
def tunnel(host: Host) -> Iterator[int]:
    """A tunnel to the server; gives the port on this side."""
    port = free_port()
    control = host.key.with_name("tunnel")
    forward = ["-oExitOnForwardFailure=yes", "-fNM", "-S", str(control)]
    forward += [f"-L127.0.0.1:{port}:127.0.0.1:8000", "root@127.0.0.1"]
    subprocess.run(host.ssh(*forward), check=True, stdin=subprocess.DEVNULL, timeout=60)
    try:
        yield port
    finally:
        leave = ["ssh", "-S", str(control), "-O", "exit", "any"]
        subprocess.run(leave, capture_output=True, timeout=30, check=False)
