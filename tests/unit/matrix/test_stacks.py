# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole stacks on hosts with a scripted driver: plans that hold, and the failures of old scripts.

Real uv, the product's own modules and the roles' own proofs; the packages are stand-ins.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.planning import (
    plan_stack,
)
from tests.matrix import rig
from tests.matrix.cells import Cell, try_cell
from tests.matrix.judging import judge
from tests.matrix.rig import PARTS, Host, ModuleFailed, gpu

MakeHost = Callable[..., tuple[Host, dict[str, Any]]]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with rig.index(tmp_path_factory.mktemp("index")) as url:
        yield url


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uv-cache")


@pytest.fixture(autouse=True)
def _use_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(cache))


@pytest.fixture
def make(tmp_path: Path, index: str) -> MakeHost:
    """A host and the plan for it."""

    def make_host(driver: str, generation: str, vllm: str = "auto") -> tuple[Host, dict[str, Any]]:
        folder = tmp_path / f"host-{len(list(tmp_path.iterdir()))}"
        host = Host(folder, driver, gpu(generation), index)
        host.prepare()
        return host, plan_stack("cuda", driver, host.gpu["capability"], vllm)

    return make_host


def pip(host: Host, *arguments: str) -> str:
    """What somebody runs by hand in the environment."""
    python = str(host.home / "stack" / "venv" / "bin" / "python")
    command = [str(host.home / "bootstrap" / "bin" / "uv"), "pip", *arguments, "--python", python]
    environ = {**host.environment(), "UV_DEFAULT_INDEX": f"{host.index}/simple"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("driver", "generation", "wish", "vllm"),
    [
        ("580", "Hopper", "auto", "0.33.0"),
        ("535", "Ada", "auto", "0.19.1"),
        ("535", "Ampere", "0.25.1", "0.25.1+cu129"),
        ("570", "Blackwell", "auto", "0.19.1"),
        ("550", "Volta", "0.8.5.post1", "0.8.5.post1"),
        ("550", "Blackwell", "auto", None),
        ("470", "Ampere", "auto", None),
    ],
)
def test_a_cell_installs_and_proves_what_was_planned_or_is_rightly_refused(
    tmp_path: Path, index: str, driver: str, generation: str, wish: str, vllm: str | None
) -> None:
    cell = Cell(driver, generation, wish)
    outcome = try_cell(cell, tmp_path / "host", index)
    assert list(judge(cell, outcome, [])) == []
    assert outcome.packages.get("vllm") == vllm


@pytest.mark.parametrize("order", [PARTS, PARTS[::-1], ("vllm",)])
def test_any_order_of_the_roles_leaves_the_same_packages(
    make: MakeHost, order: tuple[str, ...]
) -> None:
    host, plan = make("580.95.05", "Hopper")
    lock = host.lock(plan)
    for part in order:
        host.install(part, plan, lock)
    frozen = dict(line.split("==") for line in pip(host, "freeze").splitlines())
    assert frozen == lock["packages"]
    again = [host.install(part, plan, lock) for part in order]
    assert not any(result["changed"] or result["proven_now"] for result in again)


def test_a_vllm_install_that_swaps_torch_is_named_and_set_right(make: MakeHost) -> None:
    host, plan = make("550.54.15", "Ampere", "0.16.0")
    lock = host.lock(plan)
    for part in PARTS:
        host.install(part, plan, lock)
    pip(host, "install", "vllm==0.17.1")
    said = "torch 2.9.1+cu128 was replaced by 2.10.0 while installing vllm 0.17.1"
    with pytest.raises(ModuleFailed) as failed:
        host.install("numpy", plan, lock)
    assert said in str(failed.value)
    repaired = host.install("vllm", plan, lock)
    assert any(said in line for line in repaired["replaced"])
    assert repaired["proven_now"]
    assert not host.install("numpy", plan, lock)["replaced"]


def test_numpy_2_under_a_vllm_that_cannot_take_it_is_not_resolved(make: MakeHost) -> None:
    host, plan = make("550.54.15", "Ampere", "0.6.6.post1")
    with pytest.raises(ModuleFailed, match="numpy"):
        host.lock(plan, requirements=[*plan["requirements"], "numpy>=2"])


def test_numpy_2_that_came_later_breaks_vllm_is_named_and_set_right(make: MakeHost) -> None:
    host, plan = make("550.54.15", "Ampere", "0.6.6.post1")
    lock = host.lock(plan)
    host.install("vllm", plan, lock)
    pip(host, "install", "numpy==2.2.6")
    python = str(host.home / "stack" / "venv" / "bin" / "python")
    broken = subprocess.run(
        [python, "-c", "import vllm"], env=host.environment(), capture_output=True, check=False
    )
    assert b"numpy.lib.function_base" in broken.stderr
    with pytest.raises(ModuleFailed, match=r"numpy 1\.26\.4 was replaced by 2\.2\.6"):
        host.install("torch", plan, lock)
    assert host.install("vllm", plan, lock)["changes"] == {
        "numpy": {"before": "2.2.6", "after": "1.26.4"}
    }


def test_torch_without_cuda_is_seen_by_its_own_proof(make: MakeHost) -> None:
    host, plan = make("580.95.05", "Hopper", "0.32.0")
    wrong = [plan["requirements"][0], "torch==2.13.0+cpu"]
    lock = host.lock(plan, requirements=wrong, torch_index_url=f"{host.index}/whl/cpu")
    with pytest.raises(ModuleFailed, match="not compiled with CUDA"):
        host.install("torch", plan, lock)


def test_torch_for_another_cuda_than_vllm_is_seen_by_vllm_s_proof(make: MakeHost) -> None:
    # What a back end chosen by the driver alone makes of an older vLLM.
    host, plan = make("580.95.05", "Hopper", "0.19.1")
    lock = host.lock(plan, torch_index_url=f"{host.index}/whl/cu130")
    host.install("torch", plan, lock)
    with pytest.raises(ModuleFailed, match=r"libcudart\.so\.12"):
        host.install("vllm", plan, lock)


def test_a_driver_too_old_for_the_runtime_is_seen_by_torch_s_proof(make: MakeHost) -> None:
    host, _plan = make("535.183.06", "Ampere")
    plan = plan_stack("cuda", None, "8.0", "0.32.0")
    lock = host.lock(plan)
    with pytest.raises(ModuleFailed, match="driver on your system is too old"):
        host.install("torch", plan, lock)


def test_kernels_for_other_gpus_are_seen_by_torch_s_proof(make: MakeHost) -> None:
    host, _plan = make("570.86.10", "Blackwell")
    plan = plan_stack("cuda", "570.86.10", "8.0", "0.8.5.post1")
    lock = host.lock(plan)
    with pytest.raises(ModuleFailed, match=r"no kernels for compute capability 12\.0"):
        host.install("torch", plan, lock)


def test_a_lock_with_hashes_is_the_same_for_every_host_and_nothing_else_installs(
    make: MakeHost,
) -> None:
    first, plan = make("580.95.05", "Hopper")
    lock = first.lock(plan, tells_lock=True)
    assert lock["lock"].count("--hash=sha256:") >= len(lock["packages"])
    second, _plan = make("580.95.05", "Hopper")
    given = second.lock(plan, lock=lock["lock"])
    assert given["packages"] == lock["packages"]
    assert not second.lock(plan, lock=lock["lock"])["changed"]
    for part in PARTS:
        second.install(part, plan, given)

    third, _plan = make("580.95.05", "Hopper")
    forged = lock["lock"].replace("--hash=sha256:", "--hash=sha256:" + "0" * 8)
    forged = "\n".join(
        line[: line.find("sha256:") + 71] if "--hash=" in line else line
        for line in forged.splitlines()
    )
    with pytest.raises(ModuleFailed, match="The hashes that the lock has for"):
        third.lock(plan, lock=forged)


@pytest.mark.parametrize(
    ("vllm", "driver", "said"),
    [
        (
            "0.32.0",
            "580.95.05",
            r"vllm==0\.32\.0 \(cu130\), and the lock holds 0\.25\.1\.",
        ),
        (
            "0.25.1",
            "535.183.06",
            r"vllm==0\.25\.1\+cu129 \(cu129\), and the lock holds 0\.25\.1\.",
        ),
    ],
)
def test_a_lock_of_another_plan_or_build_is_refused(
    make: MakeHost, vllm: str, driver: str, said: str
) -> None:
    host, plan = make("580.95.05", "Hopper", "0.25.1")
    text = host.lock(plan, tells_lock=True)["lock"]
    other, wanted = make(driver, "Hopper", vllm)
    with pytest.raises(ModuleFailed, match=said):
        other.lock(wanted, lock=text)


@pytest.mark.parametrize(
    ("vllm", "lacking"),
    [("0.6.3.post1", "device_type"), ("0.11.0", "import_kernels"), ("0.11.2", "")],
)
def test_vllm_is_proven_without_what_its_platform_has_in_later_releases_alone(
    make: MakeHost, vllm: str, lacking: str
) -> None:
    host, plan = make("550.54.15", "Ampere", vllm)
    assert host.install("vllm", plan, host.lock(plan))["proven_now"]
    python = str(host.home / "stack" / "venv" / "bin" / "python")
    # A proof that asks the platform itself is red here: the stand-in has no more than the real one.
    asked = "from vllm.platforms import current_platform as p; p.device_type; p.import_kernels()"
    done = subprocess.run(
        [python, "-c", asked], env=host.environment(), capture_output=True, text=True, check=False
    )
    said = f"AttributeError: 'NvmlCudaPlatform' object has no attribute '{lacking}'"
    assert (said in done.stderr) if lacking else done.returncode == 0, done.stderr


def test_an_upgrade_is_not_mistaken_for_a_swap(make: MakeHost) -> None:
    host, old = make("580.95.05", "Hopper", "0.19.1")
    lock = host.lock(old)
    for part in PARTS:
        host.install(part, old, lock)
    new = plan_stack("cuda", "580.95.05", "9.0", "0.32.0")
    lock = host.lock(new)
    for part in PARTS:
        assert host.install(part, new, lock)["replaced"] == []


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({}, None),
        ({"broken": True}, "uncorrectable ECC error"),
        ({"compute_cap": "7.0"}, r"no kernels for compute capability 7\.0 of GPU 1, only sm_75"),
    ],
)
def test_torch_is_proven_on_every_gpu(
    tmp_path: Path, index: str, second: dict[str, Any], said: str | None
) -> None:
    host = Host(tmp_path / "host", "580.95.05", gpu("Ampere"), index, (second,))
    host.prepare()
    plan = plan_stack("cuda", "580.95.05", host.gpu["capability"])
    lock = host.lock(plan)
    if said is None:
        assert host.install("torch", plan, lock)["proof"]["device_names"] == [host.gpu["name"]] * 2
    else:
        with pytest.raises(ModuleFailed, match=said):
            host.install("torch", plan, lock)
