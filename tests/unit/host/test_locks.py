# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks that are given, indexes that are confused, environments that servers run from: real uv."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.inferops.gpu.plugins.module_utils.common import lock
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack import tools
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack.installers import (
    Sources,
    Wanted,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack.stack import Stack, StackError
from ansible_collections.inferops.gpu.plugins.modules import stack_lock
from tests.hanging import HANGS_AFTER_SECONDS
from tests.matrix import rig
from tests.matrix.wheels import Wheel
from tests.tools.tree import REPOSITORY

FOREIGN = "--hash=sha256:" + "ab" * 32
PLAN = ("vllm==1.0+cu1", "torch==2.0")
#: What the plan needs, each from its own index.
OWN = {"numpy": "1.1", "torch": "2.0+cu1", "triton": "3.0", "vllm": "1.0+cu1"}
#: Three indexes, each with names that are not its own, in higher versions.
WHEELS = [
    Wheel("vllm", "1.0", requires=("torch==2.0", "numpy"), index="public"),
    Wheel("torch", "2.0", requires=("numpy", "triton"), index="public"),
    Wheel("torch", "2.0+cu1.evil", index="public"),
    Wheel("triton", "9.0", index="public"),
    Wheel("numpy", "1.0", index="public"),
    Wheel("numpy", "1.1", index="public"),
    Wheel("torch", "2.0+cu1", requires=("numpy", "triton"), index="pytorch"),
    Wheel("triton", "3.0", index="pytorch"),
    Wheel("numpy", "5.0", index="pytorch"),
    Wheel("vllm", "1.0+zz", index="pytorch"),
    Wheel("vllm", "1.0+cu1", requires=("torch==2.0", "numpy", "triton"), index="vllm"),
    Wheel("numpy", "7.0", index="vllm"),
    Wheel("torch", "2.0+zz", index="vllm"),
]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with rig.index(tmp_path_factory.mktemp("index"), WHEELS) as url:
        yield url


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with the development environment's uv and pip, and no settings of this machine's."""
    for name in ("UV_FIND_LINKS", "PIP_FIND_LINKS", "UV_INDEX", "UV_DEFAULT_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    bin_dir = tmp_path / "home" / "bootstrap" / "bin"
    bin_dir.mkdir(parents=True)
    (bin_dir / "uv").symlink_to(Path(sys.executable).with_name("uv"))
    (bin_dir / "pip").write_text(f'#!/bin/sh\nexec {sys.executable} -m pip "$@"\n')
    (bin_dir / "pip").chmod(0o755)
    return tmp_path / "home"


def wanted(index: str, *requirements: str, **other: Any) -> Wanted:
    """The wish for these, by default for the plan, from all three indexes."""
    sources = Sources(
        "cu1",
        f"{index}/pytorch",
        f"{index}/public",
        engine_package="vllm",
        engine_index_url=f"{index}/vllm",
    )
    known = {"constraints": [], "excluded": [], "python": sys.executable, "sources": sources}
    return Wanted([*(requirements or PLAN)], **{**known, **other})


@pytest.fixture
def text(home: Path, index: str) -> str:
    """A lock of the plan, as another host has resolved it."""
    other = Stack(str(home))
    other.resolve(wanted(index))
    text = other.lock_file.read_text()
    shutil.rmtree(home / "stack")
    return text


def packages(environment: Path) -> set[str]:
    return {folder.name for folder in environment.glob("lib/python*/site-packages/*.dist-info")}


def test_no_name_is_taken_from_an_index_that_is_not_its_own(home: Path, index: str) -> None:
    stack = Stack(str(home))
    stack.resolve(wanted(index))
    assert stack.locked() == OWN
    for part in (["torch"], []):
        stack.install(part)
        assert stack.differences(part) == {}


@pytest.mark.long
def test_pip_takes_no_name_from_an_index_that_is_not_its_own(home: Path, index: str) -> None:
    stack = Stack(str(home))
    limits = ["numpy<2", "triton==3.0", "torch==2.0+cu1"]
    stack.resolve(wanted(index, installer="pip", constraints=limits))
    assert stack.locked() == OWN
    # Where the highest version of all indexes is not at the name's own, pip cannot go on.
    for lacking in limits:
        others = [limit for limit in limits if limit != lacking]
        with pytest.raises(StackError, match="at the index that it must come from failed"):
            stack.resolve(wanted(index, installer="pip", constraints=others))
    assert stack.locked() == OWN
    stack.install([])
    assert stack.differences([]) == {}


def test_uv_takes_pytorch_s_family_from_pytorch_alone_also_without_a_mirror() -> None:
    """By a rule of its own, for as long as we name its index by the build alone."""
    variables = Sources(
        "cu130", engine_package="vllm", engine_index_url="https://wheels.example/cu130"
    ).environment()
    assert variables["UV_TORCH_BACKEND"] == "cu130"
    assert not {"UV_INDEX", "UV_INDEX_STRATEGY", "UV_EXTRA_INDEX_URL"} & variables.keys()


def test_a_lock_that_was_given_is_taken_as_it_is(home: Path, index: str, text: str) -> None:
    stack = Stack(str(home))
    stack.resolve(wanted(index), "# kept by us\n" + text.replace("numpy==", "NumPy=="))
    assert stack.lock_file.read_text() == text
    assert stack.is_locked(wanted(index), "# kept by us\n" + text.replace("numpy==", "NumPy=="))
    assert not stack.is_locked(wanted(index), text + "# edited\n")
    stack.install([])
    assert stack.installed() == stack.locked()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text + f"evil==1.0 {FOREIGN}\n", "has evil, which nothing that is planned"),
        (lambda text: text + f"tool @ file:///tmp/tool.whl {FOREIGN}\n", "Line 9 .* 'tool'"),
        (lambda text: "--index-url http://127.0.0.1:9\n" + text, "Line 1 .* '--index-url'"),
        (lambda text: text[text.index("torch") :], "lacks numpy, which is needed"),
        (lambda text: text.replace("numpy==1.1", "numpy==5.0"), "Resolving the lock failed"),
        (lambda text: text.replace("triton==3.0", "triton==9.0"), "Resolving the lock failed"),
        (lambda text: re.sub(r"--hash=\S+", FOREIGN, text), "hashes that the lock has for numpy"),
        (lambda text: re.sub(r" \\\n    --hash=\S+", "", text), "has no hash for numpy, torch"),
    ],
)
def test_a_lock_brings_nothing_that_the_host_s_own_indexes_would_not_give(
    home: Path, index: str, text: str, change: Callable[[str], str], said: str
) -> None:
    stack = Stack(str(home))
    with pytest.raises(StackError, match=said):
        stack.resolve(wanted(index), change(text))
    assert not stack.lock_file.exists()


def test_of_a_lock_s_hashes_those_are_taken_that_the_own_index_tells_too(
    home: Path, index: str, text: str
) -> None:
    stack = Stack(str(home))
    stack.resolve(wanted(index), text.replace("numpy==1.1 ", f"numpy==1.1 {FOREIGN} "))
    assert stack.lock_file.read_text() == text


def test_a_file_that_is_not_the_lock_s_is_not_installed(home: Path, tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    Wheel("tool", "1.0").write(wheels)
    stack = Stack(str(home))
    sources = Sources(find_links=[str(wheels)], offline=True)
    stack.resolve(Wanted(["tool==1.0"], [], [], sys.executable, sources))
    Wheel("tool", "1.0", files={"tool.py": "print('exchanged')\n"}).write(wheels)
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(StackError, match=r"(?i)hash mismatch"):
        stack.install([])
    assert stack.installed() == {}


def test_hashes_are_there_by_default_and_who_does_without_them_is_warned(
    home: Path, index: str, run_module: Callable[..., dict[str, Any]]
) -> None:
    version = yaml.safe_load(stack_lock.DOCUMENTATION)["options"]["uv_version"]["default"]
    site_packages = home / "bootstrap" / "lib" / "python3" / "site-packages"
    (site_packages / f"uv-{version}.dist-info").mkdir(parents=True)
    wish = {"home": str(home), "requirements": ["numpy==1.1"], "python": sys.executable}
    wish |= {"index_url": f"{index}/public", "tells_lock": True}
    hashed = run_module(stack_lock, **wish)
    assert lock.read(hashed["lock"])["numpy"].hashes
    assert "warnings" not in hashed
    bare = run_module(stack_lock, hashes=False, **wish)
    assert bare["lock"] == "numpy==1.1\n"
    assert "The lock has no hashes" in str(bare["warnings"])


@pytest.mark.long
def test_another_plan_without_a_network_leaves_all_that_is_there(home: Path, index: str) -> None:
    stack = Stack(str(home))
    stack.resolve(wanted(index))
    stack.install([])
    assert stack.prove("numpy", "print('{}')", {})[1]
    environment = stack.python.parent.parent
    files = [stack.lock_file, *(home / "stack").glob("*.in"), *(home / "stack/receipts").iterdir()]
    before = {file: file.read_bytes() for file in files}
    unreachable = Sources(index_url="http://127.0.0.1:9")
    for python in (sys.executable, "3.99"):
        with pytest.raises(StackError):
            stack.resolve(wanted(index, "vllm==1.0", sources=unreachable, python=python))
        assert stack.python.parent.parent == environment
        assert len(packages(environment)) == len(OWN)
        assert {file: file.read_bytes() for file in files} == before
        assert not stack.prove("numpy", "print('{}')", {})[1]
        assert stack.is_locked(wanted(index))
    assert not (home / "stack" / "draft").exists()


def test_a_server_keeps_the_environment_that_it_runs_from(home: Path, index: str) -> None:
    stack, environments = Stack(str(home)), []

    def change(*requirements: str) -> None:
        stack.resolve(wanted(index, *requirements))
        stack.install([])
        environments.append(stack.python.parent.parent)

    change("numpy==1.0")
    (library,) = environments[0].glob("lib/python*/site-packages/numpy-1.0.dist-info/METADATA")
    # As a server has the libraries of its environment.
    mapped = (
        "import mmap, sys; file = open(sys.argv[1], 'rb'); "
        "held = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ); print(flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", mapped, str(library)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        server.stdout.readline()
        change("numpy==1.1")
        change()
        change("numpy==1.0", "triton==3.0")
        # The first is used, the second is not, and the third was the last one.
        assert [packages(one) != set() for one in environments] == [True, False, True, True]
        server.communicate(b"\n", timeout=HANGS_AFTER_SECONDS)
    specification = home / "servers" / "main" / "spec.json"
    specification.parent.mkdir(parents=True)
    specification.write_text(f'{{"python": "{environments[2]}/bin/python"}}')
    change("numpy==1.1", "triton==3.0")
    # What a server would be started from stays, though none runs.
    assert [packages(one) != set() for one in environments] == [False, False, True, True, True]


def test_the_same_lock_again_has_the_same_environment(home: Path, index: str) -> None:
    stack = Stack(str(home))
    stack.resolve(wanted(index))
    stack.install([])
    python = stack.python
    stack.resolve(wanted(index, constraints=["numpy>=1"]))
    assert stack.python == python
    assert stack.differences([]) == {}
    assert python.samefile(home / "stack" / "venv" / "bin" / "python")


def test_an_environment_that_is_no_link_yet_makes_way(home: Path, index: str) -> None:
    stack = Stack(str(home))
    (home / "stack" / "venv" / "bin").mkdir(parents=True)
    stack.resolve(wanted(index))
    assert (home / "stack" / "venv").is_symlink()
    assert (home / "stack" / "venvs" / "before" / "bin").is_dir()


@pytest.mark.parametrize("has_uv", [False, True])
def test_a_tool_with_other_files_than_the_known_ones_is_not_installed(
    home: Path, tmp_path: Path, has_uv: bool
) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for version in ("4.3.0", "4.3.1"):
        Wheel("supervisor", version).write(wheels)
    sources = Sources(find_links=[str(wheels)], offline=True)
    uv = home / "bootstrap" / "bin" / "uv" if has_uv else None
    with pytest.raises(StackError, match=r"(?i)hash"):
        tools.install_tool(tmp_path / "tool", "supervisor==4.3.0", sources, uv)
    assert not tools.has_tool(tmp_path / "tool", "supervisor==4.3.0")
    # Of a version that somebody asks for on purpose nothing is known.
    tools.install_tool(tmp_path / "tool", "supervisor==4.3.1", sources, uv)
    assert tools.has_tool(tmp_path / "tool", "supervisor==4.3.1")


def test_the_files_of_each_tool_that_is_asked_for_by_itself_are_known() -> None:
    """As the development tools have them: `make lock` asks the package index."""
    uv = yaml.safe_load(stack_lock.DOCUMENTATION)["options"]["uv_version"]["default"]
    launch = yaml.safe_load((REPOSITORY / "roles/launch/defaults/main.yml").read_text())
    asked = {f"uv=={uv}", f"supervisor=={launch['launch_supervisord_version']}"}
    assert asked < tools.HASHES.keys()
    pinned = (REPOSITORY / "requirements-dev.txt").read_text()
    for tool in asked:
        entry = pinned.partition(f"\n{tool} ")[2].partition("    #")[0]
        assert re.findall("sha256:([0-9a-f]{64})", entry) == list(tools.HASHES[tool])


def test_two_engines_on_one_host_take_turns_with_the_lock_and_keep_their_environments(
    home: Path, index: str
) -> None:
    stack, (one, other) = Stack(str(home)), (("numpy==1.0",), ("triton==3.0",))
    stack.resolve(wanted(index, *one))
    stack.install([])
    first = stack.python
    specification = home / "servers" / "one" / "spec.json"
    specification.parent.mkdir(parents=True)
    specification.write_text(f'{{"python": "{first}"}}')
    for _turn in range(2):
        stack.resolve(wanted(index, *other))
        stack.install([])
        assert stack.python != first
        assert not stack.is_locked(wanted(index, *one))
        assert packages(first.parent.parent)
    stack.resolve(wanted(index, *one))
    assert stack.python == first
    assert stack.differences([]) == {}, "what is there is not installed again"
