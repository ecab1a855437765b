# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles stack, torch, numpy and vllm in a playbook, on a host with a scripted driver."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.matrix import rig
from tests.matrix.rig import Host, gpu
from tests.matrix.wheels import Wheel
from tests.tools.tree import REPOSITORY

Play = Callable[..., str]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Run roles on a host with this driver and an Ampere GPU; returns the output."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))

    def run(
        host: Host,
        *roles: str,
        status: int = 0,
        check: bool = False,
        tasks: tuple[dict[str, Any], ...] = (),
        **extra: Any,
    ) -> str:
        playbook = tmp_path / "play.yml"
        names = [f"inferops.gpu.{name}" for name in ("stack", *roles)]
        content = {"hosts": "localhost", "gather_facts": False, "roles": names, "tasks": tasks}
        playbook.write_text(json.dumps([content]))
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "ansible_async_dir": str(tmp_path / "async"),
            "inferops_home": str(host.home),
            "inferops_index_url": f"{host.index}/simple",
            "stack_torch_index_url": host.index + "/whl/{backend}",
            "stack_vllm_index_url": f"{host.index}/vllm",
            "stack_python": sys.executable,
            **extra,
        }
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,"]
        command += [str(playbook), "-e", json.dumps(variables), *(["--check"] if check else [])]
        done = subprocess.run(
            command,
            cwd=REPOSITORY,
            env=host.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stdout
        return done.stdout

    return run


def frozen(host: Host) -> str:
    python = str(host.home / "stack" / "venv" / "bin" / "python")
    uv = str(host.home / "bootstrap" / "bin" / "uv")
    command = [uv, "pip", "freeze", "--python", python]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


@pytest.mark.long
def test_the_roles_install_in_any_order_again_and_from_a_kept_lock(
    tmp_path: Path, play: Play
) -> None:
    with rig.index(tmp_path / "index") as url:
        first, second = (
            Host(tmp_path / name, "535.183.06", gpu("Ampere"), url) for name in ("one", "two")
        )
        lock = tmp_path / "kept" / "lock.txt"
        lock.parent.mkdir()
        wish = {"inferops_vllm_version": "0.25.1", "stack_lock_file": str(lock)}
        for host in (first, second):
            host.prepare()

        play(first, "torch", "numpy", "vllm", check=True, **wish)
        assert not (first.home / "stack").exists()
        assert not lock.exists()

        said = play(first, "torch", "numpy", "vllm", **wish)
        assert "vLLM 0.25.1+cu129 is not on the package index" in " ".join(said.split())
        assert "vllm==0.25.1+cu129" in lock.read_text()
        assert "--hash=sha256:" in lock.read_text()
        assert "changed=0" in play(first, "torch", "numpy", "vllm", **wish)

        kept = lock.read_text()
        play(second, "vllm", "numpy", "torch", **wish)
        assert lock.read_text() == kept
        assert frozen(second) == frozen(first)

        # All at once leaves the same, and each role finds its own receipt.
        third = Host(tmp_path / "three", "535.183.06", gpu("Ampere"), url)
        third.prepare()
        whole = {"name": "inferops.gpu.vllm", "tasks_from": "whole"}
        said = play(third, tasks=({"ansible.builtin.include_role": whole},), **wish)
        assert "ASYNC" not in said
        assert frozen(third) == frozen(first)
        receipts = {path: path.read_bytes() for path in third.home.glob("stack/receipts/*.json")}
        assert {path.stem for path in receipts} == {"torch", "numpy", "vllm"}
        assert "changed=0" in play(third, "torch", "numpy", "vllm", **wish)
        assert {path: path.read_bytes() for path in receipts} == receipts


def test_a_host_that_nothing_suits_is_refused_with_what_would_help(
    tmp_path: Path, play: Play
) -> None:
    host = Host(tmp_path / "host", "470.256.02", gpu("Ampere"), "http://127.0.0.1:9")
    host.prepare()
    said = " ".join(play(host, "torch", status=2).split())
    assert "needs a driver >= 525, here is 470.256.02" in said
    assert "What would help: a driver >= 525" in said
    assert not (host.home / "stack").exists()


SUPERVISORD = {
    "ansible.builtin.include_role": {"name": "inferops.gpu.launch", "tasks_from": "supervisord"}
}


def pack_pip(folder: Path) -> None:
    """The development environment's own pip as a wheel: many hosts bring one that is too old."""
    pip = importlib.metadata.distribution("pip")
    parts, made_by_installing = ("pip", f"pip-{pip.version}.dist-info"), ("INSTALLER", "REQUESTED")
    with zipfile.ZipFile(folder / f"pip-{pip.version}-py3-none-any.whl", "w") as archive:
        for file in pip.files or ():
            generated = file.suffix == ".pyc" or file.name in made_by_installing
            if file.parts[0] in parts and not generated:
                archive.write(str(file.locate()), str(file))


@pytest.mark.long
def test_pip_does_all_of_it_where_uv_cannot_be_had(tmp_path: Path, play: Play) -> None:
    """The supervisor's environment, too: containers without systemd need it."""
    with rig.index(tmp_path / "index") as url:
        host = Host(tmp_path / "host", "580.95.05", gpu("Ampere"), url)
        host.prepare()
        shutil.rmtree(host.home / "bootstrap")
        wheels = tmp_path / "wheels"
        wheels.mkdir()
        # Not the version whose files are known: this is a stand-in.
        Wheel("supervisor", "4.3.1").write(wheels)
        pack_pip(wheels)
        wish = {
            "stack_installer": "auto",
            "inferops_find_links": [str(wheels)],
            "stack_python": "",
            "launch_supervisord_version": "4.3.1",
        }
        said = play(host, "torch", "numpy", "vllm", tasks=(SUPERVISORD,), **wish)
        assert "pip does the work of uv here" in " ".join(said.split())
        assert not list(host.home.rglob("bin/uv"))
        assert list(host.home.glob("stack/venv/lib/python3*/site-packages/vllm-0.33.0.dist-info"))
        venv = host.home / "supervisor" / "venv"
        assert list(venv.glob("lib/python*/site-packages/supervisor-4.3.1.dist-info"))
        again = play(host, "torch", "numpy", "vllm", tasks=(SUPERVISORD,), **wish)
        assert "changed=0" in again

        # Only what this host's Pythons can run is planned.
        said = play(host, status=2, **{**wish, "stack_python": "3.2"})
        refused = " ".join(said.split())
        assert "and stack_python asks for 3.2." in refused
        assert "install it there, leave stack_python empty" in refused
        old = host.folder / "bin" / "python3.10"
        old.write_text("#!/bin/sh\necho 3.10.14\n")
        old.chmod(0o755)
        said = play(host, check=True, **{**wish, "stack_python": "3.10"})
        assert "vLLM 0.30.0 with torch 2.13.0" in " ".join(said.split())
        wish |= {"stack_python": str(old), "inferops_vllm_version": "0.32.0"}
        said = " ".join(play(host, status=2, **wish).split())
        assert "needs Python >=3.11,<3.15, here is 3.10.14" in said


def test_the_vllm_of_an_image_is_proven_and_served_without_an_installation(
    tmp_path: Path, play: Play
) -> None:
    with rig.index(tmp_path / "index") as url:
        image, host, old = (
            Host(tmp_path / name, driver, gpu("Ampere"), url)
            for name, driver in (
                ("image", "580.95.05"),
                ("new", "580.95.05"),
                ("old", "535.183.06"),
            )
        )
        for one in (image, host, old):
            one.prepare()
        said = " ".join(play(image, "vllm").split())
        assert "rent with the image docker.io/vllm/vllm-openai:v0.33.0 (rent_image)" in said
        before = frozen(image)

        python = str(image.home / "stack" / "venv" / "bin" / "python")
        wish = {"inferops_image_python": python, "inferops_index_url": "http://127.0.0.1:9/simple"}
        parts = ("torch", "numpy", "vllm")
        said = " ".join(play(host, *parts, **wish).split())
        assert f"nothing is installed: it is served from {python}" in said
        assert "changed=0" in play(host, *parts, **wish)
        assert not (host.home / "stack" / "venv").exists()
        assert frozen(image) == before

        said = " ".join(play(host, status=2, inferops_vllm_version="0.31.0", **wish).split())
        assert "has vLLM 0.33.0 and inferops_vllm_version asks for 0.31.0" in said
        # What the table knows to be impossible is refused before the proof would fail.
        said = " ".join(play(old, *parts, status=2, **wish).split())
        assert "needs a driver >= 580, here is 535.183.06" in said


@pytest.mark.long
def test_the_vllm_of_a_rented_image_is_taken_unasked_and_installed_where_it_fails(
    tmp_path: Path, play: Play
) -> None:
    with rig.index(tmp_path / "index") as url:
        image, taken, other, broken = (
            Host(tmp_path / name, "580.95.05", gpu("Ampere"), url)
            for name in ("image", "taken", "other", "broken")
        )
        for one in (image, taken, other, broken):
            one.prepare()
        play(image, "vllm")
        before = frozen(image)
        python = image.home / "stack" / "venv" / "bin" / "python"
        parts = ("torch", "numpy", "vllm")
        rented = {
            "inferops_rental": {"id": "7"},
            "stack_image_places": ["/nowhere/python3", str(python)],
        }

        offline = {**rented, "inferops_index_url": "http://127.0.0.1:9/simple"}
        said = " ".join(play(taken, *parts, **offline).split())
        assert f"nothing is installed: it is served from {python}" in said
        assert "changed=0" in play(taken, *parts, **offline)
        assert not (taken.home / "stack" / "venv").exists()
        receipts = {path.stem for path in taken.home.glob("stack/receipts/*.json")}
        assert receipts == set(parts)

        # Another release is asked for; on a host of one's own nobody looks for it.
        wish = {**rented, "inferops_vllm_version": "0.31.0"}
        said = " ".join(play(other, check=True, **wish).split())
        assert "the vLLM of the image is not taken:" in said
        assert "vLLM 0.31.0 with torch" in said
        own = {"stack_image_places": [str(python)]}
        assert "nothing is installed" not in play(other, check=True, **own)

        (numpy,) = python.parent.parent.glob("lib/python*/site-packages/numpy/__init__.py")
        numpy.unlink()  # others have the same file
        numpy.write_text("raise ImportError('built for another CPU')")
        said = " ".join(play(broken, *parts, **rented).split())
        assert "The vLLM of the image does not work here, so it is installed:" in said
        assert "built for another CPU" in said
        assert list(broken.home.glob("stack/venv/lib/python3*/site-packages/vllm-0.33.0.dist-info"))
        again = play(broken, *parts, **rented)
        assert "changed=0" in again
        assert "The vLLM of the image" not in again
        assert frozen(image) == before


def test_several_kinds_of_gpus_all_count_ordered_by_number(tmp_path: Path, play: Play) -> None:
    others = ({"compute_cap": "12.0"}, {"compute_cap": "9.0"})
    host = Host(tmp_path / "host", "580.95.05", gpu("Ampere"), "http://127.0.0.1:9", others)
    host.prepare()
    said = " ".join(play(host, check=True).split())
    assert "and compute capability 8.0 and 9.0 and 12.0 (Ampere, Hopper, Blackwell)" in said
