# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has compiled goes to the next of its kind, and nothing that is not just that does."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.playbook.task import Task

from ansible_collections.inferops.gpu.plugins.action import compiled_cache as action
from ansible_collections.inferops.gpu.plugins.module_utils.common import compiled_cache
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.vllm import (
    caches as vllm_caches,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.gpus.gpu import Gpu
from ansible_collections.inferops.gpu.plugins.module_utils.host.gpus.report import Report
from ansible_collections.inferops.gpu.plugins.module_utils.host.server import compiled
from ansible_collections.inferops.gpu.plugins.modules import compiled_cache as module
from ansible_collections.inferops.gpu.plugins.modules import server_cleanup

pytestmark = pytest.mark.vllm

Call = Callable[..., dict[str, Any]]

#: As vLLM 0.33 and its libraries leave them.
FILES = {
    "vllm/torch_compile_cache/torch_aot_compile/9f86d081884c7d65/rank_0_0/model": 40_000,
    "vllm/torch_compile_cache/torch_aot_compile/9f86d081884c7d65/inductor_cache/ab/cab2q.py": 900,
    "vllm/torch_compile_cache/1517964802/rank_0_0/backbone/vllm_compile_cache.py": 300,
    "vllm/torch_compile_cache/1517964802/rank_0_0/backbone/computation_graph.py": 0,
    "vllm/deep_gemm/cache/kernel.fp8_gemm_nt.3f/kernel.cubin": 5_000,
    "vllm/modelinfos/vllm-model_executor-models-llama.json": 90,
    "triton/4KPCUZJVXQ/__grp__fused_moe_kernel.json": 200,
    "triton/4KPCUZJVXQ/fused_moe_kernel.cubin": 9_000,
    "inductor/ab/cab7l3.py": 700,
    ".cache/flashinfer/0.6.1/90a/cached_ops/sampling/sampling.so": 70_000,
}
#: Beside them, and never carried.
OTHERS = {
    "vllm/assets/keep": 10,
    "vllm/torch_compile_cache/1517964802/x.lock": 0,
    ".cache/flashinfer/cubins/fmha.cubin": 10,
}
RENTAL = {"provider": "vastai", "machine_id": "1234"}
ANOTHER = {"provider": "vastai", "machine_id": "77"}


class Host:
    """A rented host whose caches lie below one folder, and the controller that reaches it."""

    def __init__(self, folder: Path, home: Path, python: str, run_module: Call) -> None:
        self.disk, self.home, self.store = folder / "disk", home, folder / "store"
        self.run_module, self.python = run_module, python
        self.calls: list[str] = []
        #: What it answers beside what is so.
        self.lies: dict[str, Any] = {}
        self.fetched: Callable[[Path], None] = lambda _draft: None
        self.options: dict[str, Any] = {}
        self.environment = {
            "VLLM_CACHE_ROOT": str(self.disk / "vllm"),
            "TRITON_CACHE_DIR": str(self.disk / "triton"),
            "TORCHINDUCTOR_CACHE_DIR": str(self.disk / "inductor"),
            "FLASHINFER_WORKSPACE_BASE": str(self.disk),
        }
        self.report = Report(
            True,
            None,
            "580.95.05",
            "13.0",
            [Gpu(0, "NVIDIA L40S", "GPU-1", "8.9", 46068, 0, 46068, 30)],
            "nvml",
        )

    def compile(self) -> None:
        """Serve once."""
        for name, size in {**FILES, **OTHERS}.items():
            file = self.disk / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(hashlib.sha256(name.encode()).digest() * (size // 32))

    def renew(self) -> None:
        """Be another machine of the same kind."""
        for folder in (self.disk, self.home / "caches"):
            shutil.rmtree(folder, ignore_errors=True)

    def files(self) -> set[str]:
        found = self.disk.rglob("*")
        return {str(path.relative_to(self.disk)) for path in found if path.is_file()}

    def act(self, state: str, check: bool = False, **options: Any) -> dict[str, Any]:
        host, self.calls = self, []
        task = Task()
        task.check_mode = check
        task.args = {
            "state": state,
            "home": str(self.home),
            "python": self.python,
            "model": "/root/models/a--b/0a",
            "environment": self.environment,
            "store": str(self.store),
            "scope": "prod",
            "rental": RENTAL,
            **self.options,
            **options,
        }

        class Direct(action.ActionModule):
            def _execute_module(self, **call: Any) -> dict[str, Any]:  # type: ignore[override]
                host.calls.append(call["module_args"]["step"])
                done = host.run_module(module, **call["module_args"])
                return {**done, **host.lies}

            def _transfer_file(self, local_path: str, remote_path: str) -> str:
                host.calls.append("send")
                shutil.copyfile(local_path, remote_path)
                return remote_path

        def fetch(remote: str, local: str) -> None:
            host.calls.append("fetch")
            shutil.copyfile(remote, local)
            host.fetched(Path(local))

        connection = SimpleNamespace(
            transport="local", fetch_file=fetch, _shell=SimpleNamespace(tmpdir="/nowhere")
        )
        done = Direct(task, connection, None, None, None, None)
        return dict(done.run(task_vars={"inventory_hostname": "gpu-1"}))


@pytest.fixture
def host(
    tmp_path: Path, home: Path, fake_python: str, run_module: Call, monkeypatch: pytest.MonkeyPatch
) -> Host:
    made = Host(tmp_path, home, fake_python, run_module)
    monkeypatch.setattr(module.gpus, "report", lambda: made.report)
    return made


@pytest.fixture
def kept(host: Host) -> Host:
    """A host of the same kind as one whose caches are kept."""
    host.compile()
    assert host.act("kept")["carried"], host.calls
    host.renew()
    return host


def lists(store: Path) -> list[Path]:
    return sorted(store.glob("*.json"))


def test_what_a_host_has_compiled_is_there_before_the_next_one_starts(kept: Host) -> None:
    done = kept.act("given")
    assert done["carried"], done
    assert "MiB of what this machine itself has compiled" in done["told"]
    assert kept.files() == set(FILES)
    for name, size in FILES.items():
        written = hashlib.sha256(name.encode()).digest() * (size // 32)
        assert (kept.disk / name).read_bytes() == written
    assert kept.calls == ["look", "send", "unpack"]
    assert {path.name for path in (kept.home / "caches").iterdir()} == {"given.json"}
    assert (kept.disk / "triton").stat().st_mode & 0o777 == 0o700


def test_what_is_kept_says_what_it_is_for_and_where_it_is_from(kept: Host) -> None:
    (file,) = lists(kept.store)
    told = json.loads(file.read_text())
    assert told["key"]["gpu"] == "NVIDIA L40S"
    assert told["key"]["driver"] == "580.95.05"
    assert told["key"]["model"] == "/root/models/a--b/0a"
    assert {"vllm", "torch", "triton", "flashinfer-python", "python"} <= set(told["key"])
    assert told["origin"]["machine_id"] == "1234"
    archive = file.with_suffix(".cache").read_bytes()
    assert hashlib.sha256(archive).hexdigest() == told["archive_sha256"]
    assert [row[0].partition("/")[0] for row in told["files"]].count("graphs") == 4
    assert file.stat().st_mode & 0o077 == 0
    assert kept.store.stat().st_mode & 0o077 == 0


def test_a_host_that_has_compiled_itself_keeps_what_it_has(kept: Host) -> None:
    kept.compile()
    done = kept.act("given")
    assert not done["carried"]
    assert kept.calls == ["look"]


def test_what_is_kept_already_costs_one_look(kept: Host) -> None:
    kept.compile()
    assert not kept.act("kept")["carried"]
    assert kept.calls == ["look"]


def test_a_host_that_was_given_a_cache_gives_none_back(kept: Host) -> None:
    """Or code of one machine would be another's, which more is trusted."""
    kept.options = {"trust": "scope", "rental": ANOTHER}
    assert kept.act("given")["carried"]
    kept.compile()
    assert not kept.act("kept")["carried"]
    assert len(lists(kept.store)) == 1


def test_check_mode_and_a_store_that_is_not_named_carry_nothing(kept: Host) -> None:
    for options in ({"check": True}, {"store": ""}):
        assert not kept.act("given", **options)["carried"]
        assert not kept.calls
    assert not kept.files()


def changed(host: Host, **facts: Any) -> None:
    host.report = dataclasses.replace(host.report, **facts)


@pytest.mark.parametrize(
    ("facts", "options", "told"),
    [
        ({"driver_version": "570.86.10"}, {}, "driver is 570.86.10 here and 580.95.05 there"),
        ({"gpus": [Gpu(0, "L4", "u", "8.9", 1, 0, 1, 1)]}, {}, "gpu is L4 here and NVIDIA L40S"),
        ({"gpus": [Gpu(0, "NVIDIA L40S", "u", "9.0", 1, 0, 1, 1)]}, {}, "compute-capability is"),
        ({}, {"model": "/root/models/a--b/0c"}, "model is /root/models/a--b/0c here"),
        ({}, {"arguments": {"dtype": "float16"}}, "other options"),
        ({}, {"suggested_arguments": {"max_model_len": 4096}}, "other options"),
        ({}, {"extra_args": ["--kv-cache-dtype=fp8"]}, "other options"),
    ],
)
def test_a_cache_of_another_kind_of_host_is_refused_with_the_difference(
    kept: Host, facts: dict[str, Any], options: dict[str, Any], told: str
) -> None:
    changed(kept, **facts)
    done = kept.act("given", **options)
    assert not done["carried"]
    assert f"none of 1 fits: {told}" in done["told"]
    assert not kept.files()


def test_another_vllm_gets_none(kept: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.Stack, "packages_of", lambda *_given: {"vllm": "0.34.0"})
    assert "vllm is 0.34.0 here and none there" in kept.act("given")["told"]


@pytest.mark.parametrize(
    "options",
    [
        {"arguments": {"gpu_memory_utilization": 0.8, "seed": 3}},
        {"extra_args": ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]},
    ],
)
def test_options_that_compile_nothing_else_take_the_same_cache(
    kept: Host, options: dict[str, Any]
) -> None:
    assert kept.act("given", **options)["carried"]


@pytest.mark.parametrize(
    ("rental", "trust", "offer", "carried"),
    [
        (RENTAL, "machine", {}, True),
        (ANOTHER, "machine", {}, False),
        (ANOTHER, "verified", {}, False),
        (ANOTHER, "scope", {}, True),
        ({**RENTAL, "provider": "other"}, "machine", {}, False),
        ({}, "machine", {}, False),
        (ANOTHER, "verified", {"machine_id": "1234", "verified": True}, True),
        (ANOTHER, "machine", {"machine_id": "1234", "verified": True}, False),
        (ANOTHER, "verified", {"machine_id": "9", "verified": True}, False),
        (ANOTHER, "verified", {"machine_id": "1234", "verified": None}, False),
    ],
)
def test_a_host_runs_only_the_code_of_machines_that_the_user_trusts(
    host: Host, rental: dict[str, Any], trust: str, offer: dict[str, Any], carried: bool
) -> None:
    host.compile()
    assert host.act("kept", offer=offer)["carried"]
    host.renew()
    done = host.act("given", rental=rental, trust=trust)
    assert done["carried"] == carried, done
    assert carried or "inferops_cache_trust is" in done["told"]
    assert bool(host.files()) == carried


def test_no_other_scopes_cache_is_taken(kept: Host) -> None:
    done = kept.act("given", scope="test", trust="scope")
    assert "none is kept yet" in done["told"]
    assert not kept.files()


def test_a_machine_replaces_no_other_machines_cache(kept: Host) -> None:
    kept.compile()
    assert kept.act("kept", rental=ANOTHER)["carried"]
    assert len(lists(kept.store)) == 2


def spoil(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))


def test_a_cache_that_was_changed_on_the_controller_is_removed_and_not_given(kept: Host) -> None:
    (file,) = lists(kept.store)
    spoil(file.with_suffix(".cache"))
    done = kept.act("given")
    assert "was changed in its store" in done["told"]
    assert kept.calls == ["look"]
    assert not lists(kept.store)


def repack(file: Path, change: Callable[[dict[str, Any], bytearray], None]) -> None:
    """Write another archive, with its own hash in the list."""
    told = json.loads(file.read_text())
    data = bytearray(zlib.decompress(file.with_suffix(".cache").read_bytes()))
    change(told, data)
    packed = zlib.compress(bytes(data))
    told.update(archive_bytes=len(packed), archive_sha256=hashlib.sha256(packed).hexdigest())
    file.with_suffix(".cache").write_bytes(packed)
    file.write_text(json.dumps(told))


def test_a_file_that_is_not_as_listed_comes_to_no_folder_of_the_engine(kept: Host) -> None:
    def change(_told: dict[str, Any], data: bytearray) -> None:
        data[-1] ^= 1

    repack(lists(kept.store)[0], change)
    done = kept.act("given")
    assert not done["carried"]
    assert "in it is not what its list says" in done["told"]
    assert not [path for path in kept.disk.rglob("*") if path.is_file()]


def test_a_folder_that_the_engine_does_not_have_is_made_by_no_list(kept: Host) -> None:
    def change(told: dict[str, Any], _data: bytearray) -> None:
        told["files"][0][0] = "ssh/authorized_keys"

    repack(lists(kept.store)[0], change)
    assert "no cache that is called ssh" in kept.act("given")["told"]
    assert not kept.files()


def test_what_is_on_a_host_already_is_not_replaced(kept: Host) -> None:
    there = kept.disk / "triton/4KPCUZJVXQ/fused_moe_kernel.cubin"
    there.parent.mkdir(parents=True)
    there.write_text("of this host")
    assert kept.act("given")["carried"]
    assert there.read_text() == "of this host"


def test_a_link_in_the_place_of_a_folder_is_not_followed(kept: Host, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can plant what belongs to another user")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    kept.disk.mkdir()
    os.chown(elsewhere, 4242, 4242)
    (kept.disk / "triton").symlink_to(elsewhere)
    done = kept.act("given")
    assert "of another user" in done["told"]
    assert not list(elsewhere.iterdir())


def test_a_host_without_room_is_left_alone(kept: Host) -> None:
    kept.lies = {"free_bytes": 2**20}
    done = kept.act("given")
    assert "no room" in done["told"]
    assert "send" not in kept.calls


def answers(host: Host, **lies: Any) -> dict[str, Any]:
    """What comes of a host that says so."""
    host.compile()
    host.lies = lies
    return host.act("kept")


def rows(*names: str) -> list[list[Any]]:
    return [[name, 1, "0" * 64] for name in names]


def contents(**lies: Any) -> dict[str, Any]:
    told = {"archive_bytes": 10, "archive_sha256": "0" * 64, "files": rows("graphs/a")}
    return {"contents": {**told, **lies}}


LISTS = [
    contents(files=rows("../evil")),
    contents(files=rows("graphs/../../evil")),
    contents(files=rows("graphs/..")),
    contents(files=rows("graphs/./a")),
    contents(files=rows("/etc/passwd")),
    contents(files=rows("graphs//a")),
    contents(files=rows("graphs")),
    contents(files=rows("graphs/a\n!touch evil")),
    contents(files=rows("graphs/a\x00")),
    contents(files=rows("graphs/a b")),
    contents(files=rows("graphs/ä")),
    contents(files=rows(f"graphs/{'a' * 256}")),
    contents(files=rows("graphs" + "/a" * 17)),
    contents(files=rows("graphs/a", "graphs/a")),
    contents(files=rows("graphs/a", "graphs/a/b")),
    contents(files=[["graphs/a", -1, "0" * 64]]),
    contents(files=[["graphs/a", 1.5, "0" * 64]]),
    contents(files=[["graphs/a", True, "0" * 64]]),
    contents(files=[["graphs/a", "1", "0" * 64]]),
    contents(files=[["graphs/a", 2**40, "0" * 64]]),
    contents(files=[[f"graphs/{number}", 2**31, "0" * 64] for number in range(3)]),
    contents(files=[["graphs/a", 1, "0" * 63]]),
    contents(files=[["graphs/a", 1, 7]]),
    contents(files=[["graphs/a", 1]]),
    contents(files=[7]),
    contents(files=[]),
    contents(files={}),
    contents(files=rows(*(f"graphs/{number}" for number in range(20_001)))),
    contents(archive_bytes=2**31),
    contents(archive_bytes=-1),
    contents(archive_sha256="x"),
    contents(more=1),
]
#: What a host answers, a few of those lists among it.
EVIL = [
    *(LISTS[number] for number in (0, 7, 20, 27)),
    {"contents": []},
    {"contents": None},
    {"outgoing": "/tmp/a\n!touch evil"},
    {"outgoing": "/tmp/../etc/shadow"},
    {"outgoing": "/tmp/$(touch evil)"},
    {"outgoing": "/tmp/*"},
    {"outgoing": "-oProxyCommand=x"},
    {"outgoing": 7},
    {"key": {}},
    {"key": {"gpu": "\x1b[2J"}},
    {"key": {"gpu": "x" * 400}},
    {"key": {"../x": "x"}},
    {"key": {f"a-{number:x}": "x" for number in range(25)}},
    {"key": ["gpu"]},
    {"failed": True, "msg": "no"},
]


KEYS = [lies["key"] for lies in EVIL if "key" in lies]


@pytest.mark.parametrize("told", LISTS, ids=range(len(LISTS)))
def test_a_list_that_is_not_as_we_write_it_is_refused(told: dict[str, Any]) -> None:
    """Whatever hashes it names: before anything is fetched."""
    with pytest.raises(compiled_cache.CacheError):
        compiled_cache.read(told["contents"])


def test_a_host_reads_the_list_itself_before_it_unpacks(kept: Host) -> None:
    told = {"contents": contents(files=rows("graphs/../../evil"))["contents"], "step": "unpack"}
    done = kept.run_module(
        module, state="given", home=str(kept.home), model="a/b", python=kept.python, **told
    )
    assert "leads elsewhere" in done["msg"]


@pytest.mark.parametrize("told", KEYS, ids=range(len(KEYS)))
def test_facts_that_no_host_has_are_refused(told: Any) -> None:
    with pytest.raises(compiled_cache.CacheError):
        compiled_cache.read_key(told)


def test_a_list_as_we_write_it_is_read() -> None:
    told = contents(files=rows("graphs/a-b_c.d=1+2,3@4%5~6/E", "triton/a"))["contents"]
    assert compiled_cache.read(told).to_dict() == told


@pytest.mark.parametrize("lies", EVIL, ids=range(len(EVIL)))
def test_of_a_host_that_lies_nothing_is_kept_and_nothing_fails(
    host: Host, lies: dict[str, Any]
) -> None:
    done = answers(host, **lies)
    assert not done.get("failed")
    assert not done["carried"]
    assert "\x1b" not in done["told"]
    assert not lists(host.store)
    assert not list(host.store.iterdir())


@pytest.mark.parametrize(
    "path", ["/a\n!touch evil", "/a/../../b", "/a;b", "/a b", "/$(x)", "/*", "-x", "a", "", None, 7]
)
def test_the_path_that_a_host_tells_is_never_a_command(path: Any) -> None:
    with pytest.raises(AnsibleActionFail):
        action._remote(path)


@pytest.mark.parametrize("path", ["/root/.inferops/caches/outgoing", "/home/u-1/.a.b/c_d/incoming"])
def test_the_path_of_a_usual_home_is_taken(path: str) -> None:
    assert action._remote(path) == path


def test_a_sending_without_end_is_cut_off_and_not_kept(host: Host) -> None:
    sizes = []

    def flood(draft: Path) -> None:
        try:
            with draft.open("ab") as stream:
                for _number in range(64):
                    stream.write(b"\0" * 2**20)
        finally:
            sizes.append(draft.stat().st_size)

    host.fetched = flood
    assert not answers(host)["carried"]
    assert sizes[0] < 2**20
    assert not list(host.store.iterdir())


def bomb(draft: Path) -> None:
    packer = zlib.compressobj(9)
    draft.write_bytes(b"".join(packer.compress(b"\0" * 2**20) for _n in range(64)) + packer.flush())


def test_an_archive_that_unpacks_to_more_than_it_says_is_not_read_to_its_end(host: Host) -> None:
    """Of 64 MiB in as many KiB nothing is read beyond what was listed."""
    host.compile()
    draft = host.disk / "bomb"
    bomb(draft)
    packed, told = draft.read_bytes(), []
    listed = [["graphs/a", 5, hashlib.sha256(b"\0" * 5).hexdigest()]]
    lies = contents(
        archive_bytes=len(packed),
        archive_sha256=hashlib.sha256(packed).hexdigest(),
        files=listed,
    )
    host.fetched = lambda local: told.append(local.write_bytes(packed))
    done = answers(host, **lies)
    assert told
    assert "does not end with its last file" in done["told"]
    assert not list(host.store.iterdir())


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data + b"more",
        lambda data: b"",
        lambda data: b"no archive" * 99,
    ],
)
def test_an_archive_that_is_not_the_listed_one_is_not_kept(
    host: Host, change: Callable[[bytes], bytes]
) -> None:
    def fetched(draft: Path) -> None:
        data = change(draft.read_bytes())
        draft.write_bytes(data[: 2**20])

    host.fetched = fetched
    done = answers(host)
    assert not done["carried"]
    assert not list(host.store.iterdir())


def test_links_pipes_and_odd_names_stay_on_their_host(host: Host, tmp_path: Path) -> None:
    host.compile()
    secret = tmp_path / "secret"
    secret.write_text("of the host's user")
    folder = host.disk / "triton"
    (folder / "link").symlink_to(secret)
    (folder / "folder").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe")
    (folder / "odd name").write_text("x")
    assert host.act("kept")["carried"]
    host.renew()
    assert host.act("given")["carried"]
    assert host.files() == set(FILES)


def test_what_was_used_longest_ago_goes_first(host: Host) -> None:
    for number in range(4):
        host.compile()
        done = host.act("kept", model=f"/m/{number}", max_count=3)
        assert done["carried"]
        stamp = 1_000_000 + number
        os.utime(host.store / f"{done['cache_id']}.json", (stamp, stamp))
        host.renew()
    models = {json.loads(file.read_text())["key"]["model"] for file in lists(host.store)}
    assert models == {"/m/1", "/m/2", "/m/3"}
    assert len(list(host.store.glob("*.cache"))) == 3
    size = lists(host.store)[0].with_suffix(".cache").stat().st_size
    host.compile()
    assert host.act("kept", model="/m/4", max_gib=2.5 * size / 2**30)["carried"]
    assert len(lists(host.store)) == 2


def test_what_is_larger_than_the_store_is_not_kept(host: Host) -> None:
    host.compile()
    assert "larger than inferops_cache_max_gib" in host.act("kept", max_gib=0)["told"]
    assert not list(host.store.iterdir())


def test_a_step_that_takes_too_long_is_given_up(host: Host) -> None:
    host.compile()
    assert "longer than 0 s" in host.act("kept", timeout_seconds=0)["told"]
    assert not list((host.home / "caches").iterdir())


def test_a_damaged_list_is_no_cache_and_stops_nothing(kept: Host) -> None:
    (file,) = lists(kept.store)
    for text in ("", "{", "[]", "{}", '{"key": 1}', file.read_text().replace("1234", "77")):
        (kept.store / f"{'0' * 32}.json").write_text(text)
        assert kept.act("given")["carried"]
        kept.renew()


def test_a_store_that_cannot_be_written_to_stops_nothing(host: Host) -> None:
    host.compile()
    host.store.write_text("a file")
    for state in ("given", "kept"):
        done = host.act(state)
        assert not done["carried"]
        assert not done.get("failed")


def test_a_host_that_is_gone_stops_nothing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_given: Any, **_options: Any) -> None:
        raise AnsibleConnectionFailure("Connection closed.")

    monkeypatch.setattr(host, "run_module", gone)
    done = host.act("given")
    assert not done["carried"]
    assert "Connection closed" in done["told"]


def test_a_host_that_breaks_off_while_it_unpacks_may_have_it(
    kept: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a start that fails then is made again without."""
    usual = kept.run_module

    def breaks_off(*given: Any, **options: Any) -> Any:
        if options["step"] == "unpack":
            raise AnsibleConnectionFailure("Connection closed.")
        return usual(*given, **options)

    monkeypatch.setattr(kept, "run_module", breaks_off)
    done = kept.act("given")
    assert done["carried"]
    assert "may be there: Connection closed" in done["told"]


def test_a_good_cache_that_took_too_long_to_read_is_kept(kept: Host) -> None:
    assert "longer than 0 s" in kept.act("given", timeout_seconds=0)["told"]
    assert len(lists(kept.store)) == 1
    assert kept.act("given")["carried"]


def test_a_folder_of_the_users_that_leads_to_another_disk_is_filled_there(
    kept: Host, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "larger-disk" / "triton"
    elsewhere.mkdir(parents=True)
    kept.disk.mkdir()
    (kept.disk / "triton").symlink_to(elsewhere)
    assert kept.act("given")["carried"]
    assert (elsewhere / "4KPCUZJVXQ" / "fused_moe_kernel.cubin").is_file()
    assert [path.name for path in elsewhere.parent.iterdir()] == ["triton"]


def test_what_broke_a_start_is_removed_from_host_and_store(kept: Host) -> None:
    done = kept.act("given")
    assert kept.act("withdrawn", cache_id=done["cache_id"])["changed"]
    assert not kept.files()
    assert not list(kept.store.iterdir())
    kept.compile()
    assert kept.act("kept")["carried"]


def test_a_host_whose_caches_were_cleaned_up_gives_what_it_compiles_then(kept: Host) -> None:
    """Playbook recover does so."""
    assert kept.act("given")["carried"]
    variables = json.dumps(kept.environment)
    server = kept.home / "servers" / "main"
    server.mkdir(parents=True)
    (server / "environment.json").write_text(variables)
    options = {"name": "main", "home": str(kept.home), "what": ["compiled"]}
    assert kept.run_module(server_cleanup, **options)["changed"]
    assert not kept.files()
    kept.compile()
    assert kept.act("kept", model="/m/1")["carried"]


@pytest.mark.parametrize(
    ("variables", "name", "place"),
    [
        ({}, "graphs", "~/.cache/vllm/torch_compile_cache"),
        ({"XDG_CACHE_HOME": "/x"}, "graphs", "/x/vllm/torch_compile_cache"),
        ({"VLLM_CACHE_ROOT": "/v", "XDG_CACHE_HOME": "/x"}, "deep_gemm", "/v/deep_gemm"),
        ({"DG_JIT_CACHE_DIR": "/d"}, "deep_gemm", "/d"),
        ({}, "triton", "~/.triton/cache"),
        ({"TRITON_HOME": "/t"}, "triton", "/t/.triton/cache"),
        ({"TRITON_CACHE_DIR": "/c", "TRITON_HOME": "/t"}, "triton", "/c"),
        ({"FLASHINFER_WORKSPACE_BASE": "/f"}, "flashinfer", "/f/.cache/flashinfer"),
    ],
)
def test_each_cache_is_looked_for_where_its_maker_keeps_it(
    variables: dict[str, str], name: str, place: str
) -> None:
    assert vllm_caches.compiled(variables)[name] == Path(place).expanduser()


def test_a_host_without_a_gpu_has_to_have_the_very_same_processor(tmp_path: Path) -> None:
    """There the processor runs the kernels; beside a GPU only how wide it computes counts."""
    one, other, old = (tmp_path / name for name in ("one", "other", "old"))
    one.write_text("processor : 0\nflags\t\t: fpu avx2 avx512f\n")
    other.write_text("flags\t\t: fpu avx2 avx512f avx512_bf16\n")
    old.write_text("flags\t\t: fpu avx2\n")
    wide = [compiled.processor(False, file) for file in (one, other, old)]
    assert wide[0] == wide[1] != wide[2]
    assert len({compiled.processor(True, file) for file in (one, other, old)}) == 3
    assert compiled.processor(True, tmp_path / "none")


def test_an_id_that_is_none_removes_nothing(kept: Host) -> None:
    before = sorted(kept.store.iterdir())
    kept.act("withdrawn", cache_id="../disk")
    assert sorted(kept.store.iterdir()) == before


def test_the_options_of_action_and_module_are_the_same() -> None:
    text = module.DOCUMENTATION
    for name in action.ARGUMENTS:
        assert f"\n  {name}:\n" in text
