# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locking, installing and proving with real uv, from a folder of small wheels made here."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import (
    tools as machine_tools,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack import stack as stack_module
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack import toolchain
from ansible_collections.inferops.gpu.plugins.module_utils.host.stack.stack import (
    Sources,
    Stack,
    StackError,
    Wanted,
)
from ansible_collections.inferops.gpu.plugins.modules import (
    host_tool,
    stack_image,
    stack_lock,
    stack_packages,
)

UV_VERSION = "0"
PROOF = "import json, engine; print('noise'); print(json.dumps({'version': engine.VERSION}))"


def wheel(folder: Path, name: str, version: str, *requires: str) -> None:
    """A pure-Python wheel with one module that knows its version."""
    stem = f"{name}-{version}"
    metadata = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    metadata += [f"Requires-Dist: {line}" for line in requires]
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{stem}.dist-info/METADATA": "\n".join(metadata) + "\n",
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{stem}.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An engine that needs a backend and drags in a package that must be left out."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    wheel(folder, "engine", "1.0", "backend==2.0", "unwanted")
    wheel(folder, "engine", "1.1", "backend==2.1")
    wheel(folder, "backend", "2.0", "tool>=3")
    wheel(folder, "backend", "2.1", "tool>=3")
    wheel(folder, "tool", "3.0")
    wheel(folder, "tool", "3.5")
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("UV_FIND_LINKS", raising=False)
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose uv is the development environment's own."""
    home = tmp_path / "home"
    site_packages = home / "bootstrap" / "lib" / "python3" / "site-packages"
    (site_packages / f"uv-{UV_VERSION}.dist-info").mkdir(parents=True)
    (home / "bootstrap" / "bin").mkdir()
    (home / "bootstrap" / "bin" / "uv").symlink_to(Path(sys.executable).with_name("uv"))
    return home


def wanted(wheels: Path, *requirements: str, constraints: tuple[str, ...] = ()) -> Wanted:
    sources = Sources(torch_backend="cpu", find_links=[str(wheels)])
    return Wanted([*requirements], [*constraints], ["unwanted"], sys.executable, sources)


def test_the_lock_pins_all_and_leaves_out_what_is_excluded(home: Path, wheels: Path) -> None:
    stack = Stack(str(home))
    stack.resolve(wanted(wheels, "engine==1.0", constraints=("tool<3.5",)))
    assert stack.locked() == {"engine": "1.0", "backend": "2.0", "tool": "3.0"}
    assert stack.installed() == {}


def test_a_lock_is_resolved_again_only_for_another_wish(home: Path, wheels: Path) -> None:
    stack = Stack(str(home))
    first = wanted(wheels, "engine==1.0")
    stack.resolve(first)
    assert stack.is_locked(first)
    assert not stack.is_locked(wanted(wheels, "engine==1.1"))
    stack.lock_file.write_text(stack.lock_file.read_text() + "# edited\n")
    assert not stack.is_locked(first)


@pytest.mark.parametrize("order", [["backend", "engine", ""], ["", "engine", "backend"]])
def test_parts_in_any_order_end_at_the_lock(home: Path, wheels: Path, order: list[str]) -> None:
    stack = Stack(str(home))
    stack.resolve(wanted(wheels, "engine==1.0"))
    for part in order:
        packages = [part] if part else []
        if stack.differences(packages):
            stack.install(packages)
    assert stack.installed() == stack.locked()
    assert stack.differences([]) == {}


def test_what_changed_a_package_is_seen_and_set_right(home: Path, wheels: Path) -> None:
    stack = Stack(str(home))
    stack.resolve(wanted(wheels, "engine==1.0"))
    stack.install([])
    (site_packages,) = stack.python.parent.parent.glob("lib/python*/site-packages")
    (site_packages / "backend-2.0.dist-info").rename(site_packages / "backend-9.9.dist-info")
    assert stack.differences(["backend"]) == {"backend": {"before": "9.9", "after": "2.0"}}


def test_an_unknown_part_is_refused(home: Path, wheels: Path) -> None:
    stack = Stack(str(home))
    stack.resolve(wanted(wheels, "engine==1.0"))
    with pytest.raises(StackError, match="Not in the lock: numpy"):
        stack.differences(["numpy"])


def test_an_impossible_wish_tells_the_resolver_s_reason(home: Path, wheels: Path) -> None:
    with pytest.raises(StackError, match=r"Resolving the lock failed[\s\S]*tool<3"):
        Stack(str(home)).resolve(wanted(wheels, "engine==1.0", constraints=("tool<3",)))


def test_a_receipt_stands_until_lock_script_driver_or_boot_change(
    home: Path, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = Stack(str(home))
    stack.resolve(wanted(wheels, "engine==1.0"))
    stack.install([])
    assert stack.prove("engine", PROOF, {}) == ({"version": "1.0"}, True)
    assert stack.prove("engine", PROOF, {}) == ({"version": "1.0"}, False)
    assert stack.prove("engine", PROOF + " # other", {})[1]
    driver = tmp_path / "version"
    driver.write_text("580.95.05\n")
    monkeypatch.setattr(stack_module, "_DRIVER_VERSION_FILE", driver)
    assert stack.prove("engine", PROOF, {})[1]
    monkeypatch.setattr(stack_module, "boot_id", lambda: "another boot")
    assert stack.prove("engine", PROOF, {})[1]


def test_a_failing_proof_shows_its_own_words(home: Path, wheels: Path) -> None:
    stack = Stack(str(home))
    stack.resolve(wanted(wheels, "engine==1.0"))
    stack.install([])
    with pytest.raises(StackError, match="wrong results on mars"):
        stack.prove("engine", "raise SystemExit('wrong results on mars')", {})


def test_parts_that_are_proven_together_import_once_and_each_has_its_receipt(
    home: Path, wheels: Path, tmp_path: Path, run_module: Callable[..., dict[str, Any]]
) -> None:
    stack = Stack(str(home))
    stack.resolve(wanted(wheels, "engine==1.0"))
    count = f"import os; open({str(tmp_path / 'processes')!r}, 'a').write(f'{{os.getpid()}} ')\n"
    shown = "import json, os; print(json.dumps({'says': os.environ['WORD']}))"
    first, second = (
        {"name": name, "proof": count + shown, "environment": {"WORD": name}}
        for name in ("tool", "engine")
    )
    asked = {"home": str(home), "job": "0123456789abcdef", "watch_seconds": 60}
    both = run_module(stack_packages, **asked, **second, prove_before=[first])
    assert both["changed"]
    assert both["proofs"] == {"tool": {"says": "tool"}, "engine": {"says": "engine"}}
    assert both["proof"] == {"says": "engine"}
    assert len(set((tmp_path / "processes").read_text().split())) == 1
    for alone in (first, second):
        again = run_module(stack_packages, home=str(home), **alone)
        assert (again["changed"], again["proven_now"]) == (False, False)
    assert not list(stack.jobs.iterdir())


def test_of_parts_that_are_proven_together_the_one_that_fails_is_named(
    home: Path, wheels: Path
) -> None:
    stack = Stack(str(home))
    stack.resolve(wanted(wheels, "engine==1.0"))
    stack.install([])
    parts = [
        stack_module.Part("tool", "print('{}')", {}),
        stack_module.Part(
            "engine", "import os; print('{}', flush=True); os.kill(os.getpid(), 4)", {}
        ),
        stack_module.Part("more", "print('{}')", {}),
    ]
    with pytest.raises(StackError, match=r"^Proving engine failed \(exit status -4\)"):
        stack.prove_all(parts)
    # What came before it is proven all the same, and nothing else is.
    assert stack.unproven(["tool", "engine", "more"]) == [
        f"{name} is not proven for this lock, driver and boot" for name in ("engine", "more")
    ]
    parts[1] = stack_module.Part("engine", "raise SystemExit('wrong results on mars')", {})
    with pytest.raises(StackError, match=r"^Proving engine failed[^$]*wrong results on mars"):
        stack.prove_all(parts)
    parts[1] = stack_module.Part("engine", "print('no result')", {})
    with pytest.raises(StackError, match=r"^Proving engine: no JSON"):
        stack.prove_all(parts)


def test_a_proof_that_hangs_is_ended(
    home: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = Stack(str(home))
    stack.resolve(wanted(wheels, "engine==1.0"))
    assert 300 <= stack_module.MOST_PROOF_SECONDS <= 600
    monkeypatch.setattr(stack_module, "MOST_PROOF_SECONDS", 0.2)
    with pytest.raises(StackError, match=r"^Proving engine was ended after 0\.2 seconds\."):
        stack.prove("engine", "import time; time.sleep(60)", {})


def test_the_modules_work_together_and_again_change_nothing(
    home: Path, wheels: Path, run_module: Callable[..., dict[str, Any]]
) -> None:
    lock = {
        "home": str(home),
        "requirements": ["engine==1.0"],
        "excluded": ["unwanted"],
        "find_links": [str(wheels)],
        "python": sys.executable,
        "uv_version": UV_VERSION,
    }
    part = {"home": str(home), "name": "engine", "packages": ["engine"], "proof": PROOF}
    assert run_module(stack_lock, check=True, **lock)["changed"]
    assert run_module(stack_packages, check=True, **part)["changed"]
    assert not (home / "stack").exists()

    assert run_module(stack_lock, **lock)["packages"]["engine"] == "1.0"
    installed = run_module(stack_packages, **part)
    assert installed["changed"]
    assert installed["proof"] == {"version": "1.0"}
    assert installed["changes"]["engine"] == {"before": None, "after": "1.0"}

    assert not run_module(stack_lock, **lock)["changed"]
    again = run_module(stack_packages, **part)
    assert not again["changed"]
    assert not again["proven_now"]


def test_a_mirror_or_a_folder_replaces_uv_s_choice_of_pytorch_s_index() -> None:
    assert Sources(torch_backend="cu130").environment() == {"UV_TORCH_BACKEND": "cu130"}
    assert "UV_TORCH_BACKEND" not in Sources("cu130", find_links=["/wheels"]).environment()
    mirrored = Sources("cu130", torch_index_url="https://mirror.example/cu130")
    assert mirrored.beside() == {"pytorch": "https://mirror.example/cu130"}
    assert "UV_TORCH_BACKEND" not in mirrored.environment()


def test_wheels_are_kept_where_the_user_says(home: Path, wheels: Path, tmp_path: Path) -> None:
    stack = Stack(str(home))
    kept = tmp_path / "volume" / "wheels"
    sources = Sources(find_links=[str(wheels)], cache_dir=str(kept))
    stack.resolve(replace(wanted(wheels, "engine==1.0"), sources=sources))
    stack.install([])
    assert any(kept.iterdir())


def test_another_python_makes_another_environment(home: Path, wheels: Path, tmp_path: Path) -> None:
    stack = Stack(str(home))
    stack.resolve(wanted(wheels, "engine==1.0"))
    stack.install([])
    first = stack.python
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "python3"
    other.symlink_to(getattr(sys, "_base_executable", sys.executable))
    stack.resolve(replace(wanted(wheels, "engine==1.0"), python=str(other)))
    assert stack.python != first
    assert stack.installed() == {}


def test_a_repair_is_proven_anew(home: Path, wheels: Path) -> None:
    stack = Stack(str(home))
    stack.resolve(wanted(wheels, "engine==1.0"))
    stack.install([])
    stack.prove("engine", PROOF, {})
    (site_packages,) = stack.python.parent.parent.glob("lib/python*/site-packages")
    (site_packages / "tool-3.5.dist-info").rename(site_packages / "tool-3.0.dist-info")
    stack.install(["backend"])
    assert stack.prove("engine", PROOF, {})[1]
    stack.install([], reinstall=True)
    assert stack.prove("engine", PROOF, {})[1]


def test_what_only_joins_leaves_the_proofs_of_what_is_there(home: Path, wheels: Path) -> None:
    stack = Stack(str(home))
    stack.resolve(wanted(wheels, "engine==1.0"))
    stack.install(["tool"])
    proof = PROOF.replace("engine", "tool")
    assert stack.prove("tool", proof, {}) == ({"version": "3.5"}, True)
    stack.install([])
    assert stack.differences([]) == {}
    assert not stack.prove("tool", proof, {})[1]


def test_a_damaged_file_is_mended_by_a_reinstallation_only(
    home: Path, wheels: Path, run_module: Callable[..., dict[str, Any]]
) -> None:
    stack = Stack(str(home))
    stack.resolve(wanted(wheels, "engine==1.0"))
    stack.install([])
    (module,) = stack.python.parent.parent.glob("lib/python*/site-packages/engine.py")
    module.unlink()
    all_of_it = {"home": str(home), "name": "all", "proof": PROOF}
    assert run_module(stack_packages, **all_of_it)["failed"]
    assert run_module(stack_packages, check=True, reinstall=True, **all_of_it)["changed"]
    assert not module.exists()
    mended = run_module(stack_packages, reinstall=True, **all_of_it)
    assert mended["changed"]
    assert mended["proof"] == {"version": "1.0"}


def put_pip(home: Path) -> None:
    """Leave a pip that works on other environments in the place of uv."""
    (home / "bootstrap" / "bin" / "uv").unlink()
    shutil.rmtree(home / "bootstrap" / "lib")
    version = importlib.metadata.version("pip")
    (home / f"bootstrap/lib/python3/site-packages/pip-{version}.dist-info").mkdir(parents=True)
    for name, options in (("python", ""), ("pip", "-m pip ")):
        program = home / "bootstrap" / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {options}"$@"\n')
        program.chmod(0o755)


@pytest.fixture
def home_without_uv(home: Path) -> Path:
    """A home with such a pip, and no way to get uv."""
    put_pip(home)
    return home


@pytest.mark.long
@pytest.mark.parametrize("hashes", [False, True])
def test_where_uv_cannot_be_had_pip_does_the_same(
    home_without_uv: Path,
    wheels: Path,
    run_module: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    hashes: bool,
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    lock = {
        "home": str(home_without_uv),
        "requirements": ["engine==1.0"],
        "constraints": ["tool<3.5"],
        "excluded": ["unwanted"],
        "find_links": [str(wheels)],
        "python": sys.executable,
        "hashes": hashes,
        "uv_version": "999",
    }
    wheel(wheels, "unwanted", "1.0")
    resolved = run_module(stack_lock, **lock)
    assert resolved["installer"] == "pip"
    assert "Installing uv==999 failed" in str(resolved["warnings"])
    assert resolved["packages"] == {"engine": "1.0", "backend": "2.0", "tool": "3.0"}

    part = {"home": str(home_without_uv), "name": "engine", "packages": ["engine"], "proof": PROOF}
    assert run_module(stack_packages, **part)["proof"] == {"version": "1.0"}
    everything = {**part, "packages": []}
    assert not run_module(stack_packages, **everything)["changed"]
    assert not run_module(stack_lock, **lock)["changed"]


def test_uv_that_is_insisted_on_is_never_replaced_by_pip(
    home_without_uv: Path,
    run_module: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    wish = {"home": str(home_without_uv), "installer": "uv", "uv_version": "999"}
    failed = run_module(stack_lock, requirements=["engine==1.0"], **wish)
    assert failed["failed"]
    assert "Installing uv==" in failed["msg"]


def test_pip_is_told_where_torch_s_builds_are() -> None:
    variables = Sources(torch_backend="cu128").environment_of_pip()
    assert variables["PIP_EXTRA_INDEX_URL"] == "https://download.pytorch.org/whl/cu128"
    assert "PIP_EXTRA_INDEX_URL" not in Sources(torch_backend="cu128").environment()


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """An index that the host's own settings name, and that has nothing; yields what it is asked."""
    asked = []

    class Nothing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Nothing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/simple"
    monkeypatch.setenv("UV_DEFAULT_INDEX", url)
    monkeypatch.setenv("PIP_INDEX_URL", url)
    # What this machine's own settings name beside it is not asked.
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    yield asked
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("offline", [False, True])
@pytest.mark.parametrize("installer", ["uv", "pip"])
@pytest.mark.parametrize("hashes", [pytest.param(False, marks=pytest.mark.long), True])
def test_offline_no_index_is_asked_whatever_the_host_s_settings_name(
    home: Path,
    wheels: Path,
    index: list[str],
    monkeypatch: pytest.MonkeyPatch,
    run_module: Callable[..., dict[str, Any]],
    installer: str,
    hashes: bool,
    offline: bool,
) -> None:
    monkeypatch.delenv("UV_OFFLINE")
    if installer == "pip":
        put_pip(home)
    lock = {
        "home": str(home),
        "requirements": ["engine==1.0"],
        "excluded": ["unwanted"],
        "find_links": [str(wheels)],
        "index_url": "",
        "engine_package": "vllm",
        "engine_index_url": "http://127.0.0.1:9/builds" if offline else "",
        "offline": offline,
        "python": sys.executable,
        "uv_version": UV_VERSION,
        "installer": installer,
        "hashes": hashes,
    }
    wheel(wheels, "unwanted", "1.0")
    assert run_module(stack_lock, **lock)["packages"]["engine"] == "1.0"
    part = {"home": str(home), "name": "engine", "packages": ["engine"], "proof": PROOF}
    assert run_module(stack_packages, **part)["proof"] == {"version": "1.0"}
    assert run_module(stack_packages, **{**part, "packages": []})["proof"]
    assert bool(index) != offline, index


@pytest.fixture
def indexes(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, served as pages and files: an index is one below it. It names no hash."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_words: Any) -> None:
            pass

    folder = tmp_path / "indexes"
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_builds_of_an_engine_come_from_its_own_index_and_are_pinned_to_what_it_gave(
    home: Path,
    wheels: Path,
    indexes: tuple[Path, str],
    monkeypatch: pytest.MonkeyPatch,
    run_module: Callable[..., dict[str, Any]],
    installer: str,
) -> None:
    monkeypatch.delenv("UV_OFFLINE")
    if installer == "pip":
        put_pip(home)
    folder, url = indexes
    digests = {}
    for name in ("simple", "cu128"):
        place = folder / name / "xllamacpp"
        place.mkdir(parents=True)
        # The same version of the same name, with other bytes.
        wheel(place, "xllamacpp", "1.0", *(["tool"] if name == "simple" else []))
        (file,) = place.glob("*.whl")
        digests[name] = hashlib.sha256(file.read_bytes()).hexdigest()
    result = run_module(
        stack_lock,
        home=str(home),
        requirements=["xllamacpp==1.0"],
        index_url=f"{url}/simple",
        engine_package="xllamacpp",
        engine_index_url=f"{url}/cu128",
        python=sys.executable,
        uv_version=UV_VERSION,
        installer=installer,
        tells_lock=True,
    )
    assert digests["cu128"] in result["lock"]
    assert digests["simple"] not in result["lock"]
    part = {"home": str(home), "name": "llama_cpp", "proof": PROOF.replace("engine", "xllamacpp")}
    assert run_module(stack_packages, **part)["proof"] == {"version": "1.0"}


def test_offline_without_a_folder_is_refused_at_once(
    home: Path, run_module: Callable[..., dict[str, Any]]
) -> None:
    failed = run_module(stack_lock, home=str(home), requirements=["engine"], offline=True)
    assert "name one by inferops_find_links" in failed["msg"]


@pytest.mark.long
@pytest.mark.parametrize("offline", [False, True])
def test_a_tool_comes_with_the_host_s_own_python_and_pip(
    tmp_path: Path,
    wheels: Path,
    index: list[str],
    run_module: Callable[..., dict[str, Any]],
    offline: bool,
) -> None:
    wish = {
        "name": "tool",
        "version": "3.0",
        "folder": str(tmp_path / "tool"),
        "find_links": [str(wheels)],
        "offline": offline,
    }
    assert run_module(host_tool, check=True, **wish)["changed"]
    installed = run_module(host_tool, **wish)
    assert installed["changed"], installed
    assert not run_module(host_tool, **wish)["changed"]
    assert bool(index) != offline, index
    assert run_module(host_tool, **{**wish, "version": "3.5"})["changed"]
    python = f"{installed['bin_dir']}/python"
    said = [python, "-c", "import tool; print(tool.VERSION)"]
    done = subprocess.run(said, capture_output=True, text=True, check=True)
    assert done.stdout == "3.5\n"


def test_a_tool_is_found_however_its_name_is_written(
    tmp_path: Path, run_module: Callable[..., dict[str, Any]]
) -> None:
    packages = tmp_path / "lib" / "python3.12" / "site-packages"
    (packages / "Some_Tool-3.0.dist-info").mkdir(parents=True)
    for name in ("some-tool", "some.tool", "Some_Tool"):
        wish = {"name": name, "folder": str(tmp_path)}
        assert not run_module(host_tool, check=True, version="3.0", **wish)["changed"]
        assert run_module(host_tool, check=True, version="3", **wish)["changed"]


def test_pythons_come_from_a_mirror_and_never_by_themselves_offline() -> None:
    offline = Sources(find_links=["/wheels"], offline=True)
    assert offline.environment()["UV_PYTHON_DOWNLOADS"] == "never"
    mirrored = replace(offline, python_mirror="https://mirror.example/pythons").environment()
    assert mirrored["UV_PYTHON_INSTALL_MIRROR"] == "https://mirror.example/pythons"
    assert "UV_PYTHON_DOWNLOADS" not in mirrored


@pytest.mark.parametrize(
    ("wish", "there", "provided", "is_new"),
    [
        ("auto", "uv", "uv", False),
        ("auto", "pip", "pip", False),
        ("pip", "uv", "pip", True),
        ("uv", "pip", "", False),
    ],
)
def test_the_installer_is_known_before_anything_is_planned(
    home: Path,
    wheels: Path,
    index: list[str],
    run_module: Callable[..., dict[str, Any]],
    wish: str,
    there: str,
    provided: str,
    is_new: bool,
) -> None:
    if there == "pip":
        put_pip(home)
    wheel(wheels, "pip", "99.0")
    version = UV_VERSION if there == "uv" else "999"
    asked = {"home": str(home), "installer": wish, "uv_version": version}
    asked["find_links"] = [str(wheels)]
    said = run_module(stack_lock, **asked)
    if provided:
        assert (said["installer"], said["changed"]) == (provided, is_new)
        assert "lock_file" not in said
        assert bool(said.get("warnings")) == (wish == "auto" and there == "pip")
    else:
        assert "Installing uv==999 failed" in said["msg"]


def carried(tmp_path: Path, wheels: Path) -> Path:
    """The interpreter of an environment that an image brought along."""
    folder = tmp_path / "image"
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    python = folder / "bin" / "python"
    command = [uv, "pip", "install", "--quiet", "--no-index", "--find-links", str(wheels)]
    subprocess.run([*command, "--python", str(python), "backend==2.0", "tool==3.0"], check=True)
    subprocess.run([*command, "--python", str(python), "--no-deps", "engine==1.0"], check=True)
    return python


def test_what_an_image_carries_is_proven_and_never_changed(
    home: Path, wheels: Path, tmp_path: Path, run_module: Callable[..., dict[str, Any]]
) -> None:
    python = carried(tmp_path, wheels)
    image = {"home": str(home), "python": str(python), "distribution": "engine"}
    part = {"home": str(home), "name": "engine", "packages": ["engine"], "proof": PROOF}
    assert run_module(stack_image, check=True, **image)["changed"]
    assert not (home / "stack").exists()
    taken = run_module(stack_image, **image)
    assert taken["packages"] == {"engine": "1.0", "backend": "2.0", "tool": "3.0"}
    assert (taken["vllm_version"], taken["python"]) == ("1.0", str(python))
    assert not run_module(stack_image, **image)["changed"]
    proven = run_module(stack_packages, **part)
    assert (proven["changed"], proven["proof"]) == (False, {"version": "1.0"})
    assert not run_module(stack_packages, **{**part, "packages": []})["changed"]

    (metadata,) = python.parent.parent.glob("lib/python*/site-packages/tool-3.0.dist-info")
    metadata.rename(metadata.with_name("tool-3.5.dist-info"))
    refused = run_module(stack_packages, **{**part, "packages": []})
    assert f"Nothing is installed into {python}" in refused["msg"]
    assert run_module(stack_image, **image)["packages"]["tool"] == "3.5"


def test_after_an_image_s_environment_our_own_is_made_as_ever(
    home: Path, wheels: Path, tmp_path: Path
) -> None:
    stack = Stack(str(home))
    python = carried(tmp_path, wheels)
    stack.adopt(python, stack.packages_of(python))
    assert stack.python == python
    stack.resolve(wanted(wheels, "engine==1.1"))
    stack.install([])
    assert stack.python.samefile(home / "stack/venv/bin/python")
    assert stack.installed()["engine"] == "1.1"
    assert stack.packages_of(python)["engine"] == "1.0"


def test_an_image_is_looked_at_only_before_there_is_an_installation(
    home: Path, wheels: Path, tmp_path: Path, run_module: Callable[..., dict[str, Any]]
) -> None:
    python = str(carried(tmp_path, wheels))
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    look = {
        "home": str(home),
        "python": "auto",
        "places": ["/nowhere/python", str(broken), python],
        "distribution": "engine",
    }
    found = run_module(stack_image, **look)
    assert (found["changed"], found["python"], found["vllm_version"]) == (False, python, "1.0")
    assert not (home / "stack").exists()
    nothing = run_module(stack_image, **{**look, "distribution": "vllm"})
    assert (nothing["python"], nothing["packages"]) == ("", {})

    # Taken, it is found again; with an installation of ours nobody asks for it any more.
    run_module(stack_image, **{**look, "python": python})
    assert run_module(stack_image, **look)["python"] == python
    Stack(str(home)).resolve(wanted(wheels, "engine==1.1"))
    assert run_module(stack_image, **look)["python"] == ""


def test_an_image_without_vllm_is_refused(
    home: Path, wheels: Path, tmp_path: Path, run_module: Callable[..., dict[str, Any]]
) -> None:
    python = str(carried(tmp_path, wheels))
    refused = run_module(stack_image, home=str(home), python=python)
    assert f"{python} has no vllm, only 3 other packages" in refused["msg"]
    refused = run_module(stack_image, home=str(home), python="/nowhere/python")
    assert "Name the interpreter that has the engine by inferops_image_python" in refused["msg"]


def test_what_a_server_would_compile_with_and_lacks_is_told_before_the_download(
    home: Path,
    wheels: Path,
    tmp_path: Path,
    run_module: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lock = {
        "home": str(home),
        "requirements": ["engine==1.1"],
        "find_links": [str(wheels)],
        "python": sys.executable,
        "uv_version": UV_VERSION,
    }
    tools = tmp_path / "tools"
    tools.mkdir()
    compiler = tools / "gcc"
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setattr(machine_tools, "SYSTEM_FOLDERS", ())
    monkeypatch.delenv("CC", raising=False)
    assert "warnings" not in run_module(stack_lock, compiles=True, **lock)
    bare = tmp_path / "python"
    bare.write_text("#!/bin/sh\necho False; echo python3.12\n")
    bare.chmod(0o755)
    assert "apt-get install python3.12-dev" in toolchain.lacking(bare)[0]
    compiler.unlink()
    (warning,) = run_module(stack_lock, compiles=True, **lock)["warnings"]
    assert "There is no C compiler on this host" in str(warning)
    assert "apt-get install gcc libc6-dev" in str(warning)
    assert "warnings" not in run_module(stack_lock, **lock)


@pytest.mark.parametrize(
    ("python", "compiles", "can_be_had", "warned"),
    [
        (">=3.9", True, True, False),
        (">=3.9", True, False, True),
        # What is asked for by its path is taken, and without a GPU nothing is compiled.
        (sys.executable, True, True, True),
        (">=3.9", False, True, False),
    ],
)
def test_a_python_without_headers_is_left_for_one_of_uv_s_own(
    home: Path,
    run_module: Callable[..., dict[str, Any]],
    python: str,
    compiles: bool,
    can_be_had: bool,
    warned: bool,
) -> None:
    uv = home / "bootstrap" / "bin" / "uv"
    uv.unlink()
    log, managed = home / "asked.log", "found=True" if can_be_had else "exit 2"
    uv.write_text(
        f"""#!/bin/sh
echo "$@" >> {log}
found=False
case "$*" in (*--managed-python*) {managed};; esac
for venv; do :; done
if [ "$1" = venv ]; then
  mkdir -p $venv/bin
  printf "#!/bin/sh\\necho $found python3.12\\n" > $venv/bin/python
  chmod +x $venv/bin/python
  touch $venv/pyvenv.cfg
fi
"""
    )
    uv.chmod(0o755)
    wish = {"home": str(home), "requirements": ["engine"], "uv_version": UV_VERSION}
    said = run_module(stack_lock, python=python, compiles=compiles, **wish)
    assert said["changed"]
    asked_for_its_own = "--managed-python" in log.read_text()
    assert asked_for_its_own == (compiles and python != sys.executable)
    assert ("has no Python.h" in str(said.get("warnings"))) == warned
