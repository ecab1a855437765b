# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Models on a host's disk: real downloads over HTTP from the hub's stand-in, and what breaks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.models import patience
from ansible_collections.inferops.gpu.plugins.module_utils.host.models import store as model_store
from ansible_collections.inferops.gpu.plugins.module_utils.hub import asking
from ansible_collections.inferops.gpu.plugins.module_utils.hub import hub as hub_client
from ansible_collections.inferops.gpu.plugins.module_utils.hub.hub import File
from ansible_collections.inferops.gpu.plugins.module_utils.hub.selection import needed
from ansible_collections.inferops.gpu.plugins.modules import model_cache, model_info
from tests.hanging import HANGS_AFTER_SECONDS, Hanging
from tests.rig import tiny_gguf, tiny_model
from tests.simulator.hub import Hub, commit

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
NAME, GATED = "inferops/tiny-llama", "inferops/gated"
WEIGHTS = "model.safetensors"
TOKEN = "hf_of-the-hub"
Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_model.write(folder / NAME)
    (folder / NAME / "pytorch_model.bin").write_bytes(b"the same weights once more")
    tiny_model.write(folder / GATED)
    tiny_model.write(folder / "inferops/truncated", truncated=True)
    return folder


@pytest.fixture
def hub(models: Path) -> Iterator[Hub]:
    hub = Hub(models, ("127.0.0.1", 0), gated=(GATED,), token=TOKEN)
    yield hub
    hub.close()


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_PAUSE_SECONDS", 0.01)


@pytest.fixture
def cache(run_module: Run, hub: Hub, tmp_path: Path) -> Run:
    def call(model: str = NAME, check: bool = False, **options: Any) -> dict[str, Any]:
        wanted = {"home": str(tmp_path / "home"), "endpoint": f"http://127.0.0.1:{hub.port}"}
        return run_module(model_cache, check=check, model=model, **{**wanted, **options})

    return call


def downloads(hub: Hub) -> list[str]:
    return [request.path for request in hub.seen if "/resolve/" in request.path]


def test_a_model_arrives_whole_and_is_not_asked_for_again(cache: Run, hub: Hub) -> None:
    result = cache()
    source, folder = hub.models / NAME, Path(result["path"])
    assert (result["changed"], result["complete"]) == (True, True)
    assert folder.parts[-2:] == ("inferops--tiny-llama", commit(source))
    assert (folder / WEIGHTS).read_bytes() == (source / WEIGHTS).read_bytes()
    assert {"config.json", "tokenizer.json", WEIGHTS} <= set(result["files"])
    assert "pytorch_model.bin" not in result["files"]
    hub.seen.clear()
    again = cache()
    assert (again["changed"], again["path"], again["files"]) == (False, result["path"], [])
    assert hub.seen == []


def test_check_mode_tells_the_size_and_downloads_nothing(
    cache: Run, hub: Hub, tmp_path: Path
) -> None:
    result = cache(check=True)
    assert (result["changed"], result["complete"]) == (True, False)
    assert WEIGHTS in result["files"]
    assert downloads(hub) == []
    assert not (tmp_path / "home").exists()


def test_a_broken_connection_goes_on_where_it_ended(cache: Run, hub: Hub) -> None:
    hub.trouble.breaks[WEIGHTS] = 3
    result = cache()
    assert result["complete"], result
    ranges = [r.headers["range"] for r in hub.seen if WEIGHTS in r.path and "range" in r.headers]
    starts = [int(text.removeprefix("bytes=").rstrip("-")) for text in ranges]
    assert len(starts) == 3
    assert 0 < starts[0] < starts[1] < starts[2]


def test_a_run_that_was_ended_is_continued_by_the_next(
    cache: Run, hub: Hub, tmp_path: Path
) -> None:
    hub.trouble.fails[WEIGHTS] = 1000
    assert "it answers 503" in cache()["msg"]
    source = hub.models / NAME
    folder = tmp_path / "home/models/inferops--tiny-llama" / commit(source)
    (folder / f"{WEIGHTS}.incomplete").write_bytes((source / WEIGHTS).read_bytes()[:100_000])
    hub.trouble.fails.clear()
    hub.seen.clear()
    assert cache()["complete"]
    (weights,) = [request for request in hub.seen if WEIGHTS in request.path]
    assert weights.headers["range"] == "bytes=100000-"
    assert not list(folder.glob("*.incomplete"))


def test_a_hub_that_is_away_for_a_moment_does_not_end_a_deploy(cache: Run, hub: Hub) -> None:
    hub.trouble.away = 3
    assert cache()["complete"]


def test_a_server_that_knows_no_ranges_still_gives_the_file(cache: Run, hub: Hub) -> None:
    hub.trouble.breaks[WEIGHTS] = 1
    hub.trouble.ignores_ranges = True
    result = cache()
    source = hub.models / NAME / WEIGHTS
    assert (Path(result["path"]) / WEIGHTS).read_bytes() == source.read_bytes()


@pytest.mark.parametrize("name", [WEIGHTS, "config.json"])
def test_bytes_with_another_checksum_are_thrown_away_and_told(
    cache: Run, hub: Hub, name: str
) -> None:
    """Large files have a SHA-256, small ones the id that git gives them."""
    hub.trouble.corrupt = {name}
    result = cache()
    assert result["failed"]
    assert f"{name} of {NAME} has another checksum" in result["msg"]
    assert "another mirror" in result["msg"]
    hub.trouble.corrupt = set()
    assert cache()["complete"]


def test_a_file_that_was_changed_on_the_host_is_fetched_again(cache: Run, hub: Hub) -> None:
    folder = Path(cache()["path"])
    (folder / "config.json").write_text("{}")
    os.utime(folder / WEIGHTS)  # touched, and still the same
    hub.seen.clear()
    again = cache()
    assert again["changed"]
    assert [path.rpartition("/")[2] for path in downloads(hub)] == ["config.json"]
    assert json.loads((folder / "config.json").read_text())["model_type"] == "llama"
    assert not cache()["changed"]


QUANTISED = (
    *("tiny-F16.gguf", "tiny-Q4_K_M-00001-of-00002.gguf", "tiny-Q4_K_M-00002-of-00002.gguf"),
    *("tiny-Q8_0.gguf", "mmproj-tiny-BF16.gguf", "mmproj-tiny-f16.gguf", "README.md"),
)


def test_of_many_quantisations_one_is_downloaded_and_its_file_is_told(
    cache: Run, hub: Hub, tmp_path: Path
) -> None:
    for name in QUANTISED:
        tiny_gguf.write(hub.models / "inferops/quantised" / name)

    def ask(*include: str, **options: Any) -> dict[str, Any]:
        wanted = {"weights_format": "gguf", "include": list(include), **options}
        return cache("inferops/quantised", **wanted)

    foreseen, first = ask(check=True), ask()
    assert sorted(first["files"]) == ["mmproj-tiny-f16.gguf", *QUANTISED[1:3]]
    assert foreseen["path"] == first["path"]
    assert Path(first["path"]).name == QUANTISED[1]
    assert (ask()["path"], ask()["changed"]) == (first["path"], False)
    # Another one beside it is another path, so that a server that has the first is replaced.
    other = ask("*Q8_0*")
    assert (other["changed"], Path(other["path"]).name) == (True, "tiny-Q8_0.gguf")
    several = ask("*.gguf")
    assert "several models: tiny-F16.gguf, tiny-Q4_K_M-00001" in several["msg"]
    assert "model_cache_include" in several["msg"]
    assert not list((tmp_path / "home").rglob("tiny-F16.gguf*"))


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["a-q4_k_m.gguf", "a-Q2_K.gguf"], ["a-q4_k_m.gguf"]),
        (["Q8_0/a-Q8_0.gguf", "Q2_K/a-Q2_K.gguf"], ["Q8_0/a-Q8_0.gguf"]),
        (["b-IQ3.gguf", "a-IQ4.gguf"], ["a-IQ4.gguf"]),
        (["a.safetensors", "a.gguf"], ["a.gguf"]),
        (["mmproj.gguf", "a.safetensors"], []),
    ],
)
def test_which_quantisation_is_taken(names: list[str], chosen: list[str]) -> None:
    files = [File(name, 1, None, None) for name in names]
    assert [file.name for file in needed(files, [], [], "gguf")] == chosen


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        (NAME, {"weights_format": "gguf"}, ["has no GGUF file", "inferops_engine"]),
        ("inferops/nothing", {}, ["has no model inferops/nothing", "or it is private"]),
        (NAME, {"revision": "v9"}, ["no revision 'v9'", "such as main"]),
        (GATED, {}, ["is gated, and no token is given", "Ask for access at", "HF_TOKEN"]),
        (GATED, {"token": "hf_stranger"}, ["this token has no access to it"]),
        ("no name", {}, ["is neither organisation/name of a hub nor a path"]),
        (NAME, {"include": ["*.gguf"]}, ["No file", "include"]),
        (NAME, {"endpoint": "http://127.0.0.1:9"}, ["cannot be read", "mirror"]),
    ],
)
def test_what_cannot_be_had_is_refused_with_cause_and_remedy(
    cache: Run, hub: Hub, tmp_path: Path, model: str, options: dict[str, Any], said: list[str]
) -> None:
    result = cache(model, **options)
    assert result["failed"]
    for words in said:
        assert words in result["msg"]
    assert not list((tmp_path / "home").rglob("*.incomplete"))


#: As the public hub words them. Only a lack of consent has a code.
FORBIDDEN = {
    "token": "Please enable access to public gated repositories in your fine-grained token "
    "settings to view this repository.",
    "disabled": "Access to this resource is disabled.",
    "invalid": "Invalid credentials in Authorization header",
}


@pytest.mark.parametrize(
    ("refusal", "kind", "said"),
    [
        ((403, "GatedRepo", "Access is restricted."), "gated", "this token has no access to it"),
        ((403, "", FORBIDDEN["token"]), "refused", "Give it the right to read public gated"),
        ((403, "", FORBIDDEN["disabled"]), "refused", "is disabled on the hub"),
        ((401, "", FORBIDDEN["invalid"]), "refused", "does not accept the token"),
        ((403, "", "Blocked in your region"), "refused", "answers 403 for inferops/tiny-llama: Bl"),
        ((403, "", ""), "refused", "it does not say why"),
        ((429, "", "Too many requests"), "unreachable", "it answers 429"),
    ],
)
def test_a_refusal_is_told_apart_by_what_the_hub_says(
    cache: Run, hub: Hub, refusal: tuple[int, str, str], kind: str, said: str
) -> None:
    hub.trouble.refusal = refusal
    result = cache(token="hf_some")
    assert (result["failure"]["kind"], said in result["msg"]) == (kind, True), result["msg"]
    # Once without the token, and once with it.
    assert len(hub.seen) == (patience.ATTEMPTS if kind == "unreachable" else 2)


def test_a_link_that_is_no_longer_good_is_asked_for_anew(
    cache: Run, hub: Hub, models: Path
) -> None:
    other = Hub(models, ("127.0.0.1", 0))
    try:
        other.trouble.fails[WEIGHTS], other.trouble.status = 2, 403
        hub.trouble.elsewhere = f"http://127.0.0.1:{other.port}"
        assert cache()["complete"]
        assert len([path for path in downloads(hub) if WEIGHTS in path]) == 3
    finally:
        other.close()


def test_access_is_asked_for_the_weights_not_for_what_describes_them(
    cache: Run, hub: Hub, run_module: Run
) -> None:
    hub.trouble.open_files = frozenset({"config.json", "tokenizer.json"})
    asked = run_module(model_info, model=GATED, endpoint=f"http://127.0.0.1:{hub.port}")
    assert "is gated, and no token is given" in asked["msg"]
    assert "is gated, and no token is given" in cache(GATED)["msg"]
    assert {path.rpartition("/")[2] for path in downloads(hub)} == {WEIGHTS}


def test_a_token_opens_a_gated_model_and_is_never_told(cache: Run, hub: Hub) -> None:
    result = cache(GATED, token=TOKEN)
    assert result["complete"]
    assert TOKEN not in json.dumps(result)


def test_the_token_stays_with_the_hub_when_bytes_lie_elsewhere(
    cache: Run, hub: Hub, models: Path
) -> None:
    other = Hub(models, ("127.0.0.1", 0))
    try:
        hub.trouble.elsewhere = f"http://127.0.0.1:{other.port}"
        result = cache(GATED, token=TOKEN)
        assert result["complete"], result
        assert {request.path.rpartition("/")[2] for request in other.seen} == {WEIGHTS}
        assert not [request for request in other.seen if "authorization" in request.headers]
        assert f"Bearer {TOKEN}" in tokens(hub)
    finally:
        other.close()


def test_a_renamed_model_is_found_with_the_token_by_the_hub_s_own_redirect(
    cache: Run, hub: Hub
) -> None:
    hub.trouble.moved = {"inferops/old-name": GATED}
    result = cache("inferops/old-name", token=TOKEN)
    assert result["complete"], result
    assert tokens(hub) == {f"Bearer {TOKEN}"}


def test_a_disk_that_is_too_small_is_refused_before_anything_arrives(
    cache: Run, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2**40, 2**40, 2**30))
    result = cache()
    assert result["failed"]
    assert "Rent a larger disk (rent_disk_gib)" in result["msg"]
    assert downloads(hub) == []


def test_a_disk_has_to_hold_what_is_installed_meanwhile(
    cache: Run, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2**40, 2**40, 8 * 2**30))
    result = cache(installing_gib=8)
    assert "8.0 GiB are installed beside it, and the disk has 8.0 GiB free" in result["msg"]
    assert downloads(hub) == []
    assert cache(installing_gib=6.5)["complete"]
    # Nothing is to be downloaded any more, so this is not the one to refuse.
    assert not cache(installing_gib=80, update=True)["changed"]


def test_weights_that_are_broken_on_the_hub_are_found_before_a_server_dies_of_them(
    cache: Run,
) -> None:
    for _time in range(2):  # and remembered as good by no later run
        result = cache("inferops/truncated")
        assert result["failed"]
        assert "model.safetensors is cut short or damaged: it has" in result["msg"]


def test_a_copy_is_enough_without_a_hub_until_an_update_is_asked_for(cache: Run, hub: Hub) -> None:
    assert cache()["changed"]
    hub.trouble.silent = True
    assert not cache()["changed"]
    assert "cannot be read" in cache(update=True)["msg"]


def folder_with(tmp_path: Path, **files: bytes | None) -> Path:
    """A whole model with these files changed, or without them."""
    folder = tmp_path / "model"
    tiny_model.write(folder)
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.unlink() if content is None else path.write_bytes(content)
    return folder


INDEX = json.dumps({"weight_map": {"a": WEIGHTS, "b": "model-2.safetensors"}}).encode()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, None),
        ({"config__json": None}, "has no config.json"),
        ({"config__json": b""}, "has no config.json"),
        ({"model__safetensors": None}, "has no weights"),
        ({"model__safetensors": b""}, "missing or empty: model.safetensors"),
        ({"model__safetensors": b"\x10\0\0\0\0\0\0\0garbage"}, "cut short or damaged"),
        ({"model__safetensors": b"\x02\0\0\0\0\0\0\0{}tail"}, "it has 14 of 10 bytes"),
        ({"model__safetensors__index__json": INDEX}, "missing or empty: model-2.safetensors"),
        # The index of the old format comes along; what it names was left out.
        ({"pytorch_model__bin__index__json": INDEX}, None),
        (
            {"model__safetensors": None, "pytorch_model__bin__index__json": INDEX},
            "missing or empty: model-2.safetensors, model.safetensors",
        ),
    ],
)
def test_a_model_that_the_user_brought_is_checked_and_nothing_else(
    cache: Run, hub: Hub, tmp_path: Path, files: dict[str, bytes | None], said: str | None
) -> None:
    folder = folder_with(tmp_path, **files)
    result = cache(str(folder))
    assert hub.seen == []
    if said is None:
        assert (result["changed"], result["path"]) == (False, str(folder))
    else:
        assert said in result["msg"]
        assert "Bring the whole model there" in result["msg"]


def test_a_path_that_is_not_there_says_so(cache: Run) -> None:
    assert "There is no folder /nowhere/model" in cache("/nowhere/model")["msg"]


def test_each_weight_is_taken_once() -> None:
    def chosen(*names: str, include: tuple[str, ...] = ()) -> list[str]:
        files = [File(name, 1, None, None) for name in names]
        return [file.name for file in needed(files, include, ())]

    repository = ("config.json", "model-1.safetensors", "consolidated.safetensors", "model.bin")
    assert chosen(*repository, "original/x.safetensors", "README.md", ".gitattributes") == [
        "config.json",
        "model-1.safetensors",
    ]
    assert chosen("config.json", "pytorch_model.bin") == ["config.json", "pytorch_model.bin"]
    assert chosen("params.json", "consolidated.safetensors") == [
        "params.json",
        "consolidated.safetensors",
    ]
    assert chosen(*repository, include=("*.bin",)) == ["model.bin"]


def test_a_second_process_waits_for_the_first_and_then_finds_the_model(
    cache: Run, tmp_path: Path
) -> None:
    store = model_store.Store.of(tmp_path / "home", NAME)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with store.locked() as ours:
            assert ours
            model_store.write_json(store.folder / model_store.PROGRESS, {"bytes_done": 5})
            held.set()
            done.wait(HANGS_AFTER_SECONDS)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert held.wait(HANGS_AFTER_SECONDS)
        seen = cache(watch_seconds=0.1)
        assert (seen["complete"], seen["progress"]) == (False, {"bytes_done": 5})
    finally:
        done.set()
        holder.join()
    assert cache(watch_seconds=0.1)["complete"]


def test_the_hub_is_asked_before_a_host_is_rented(run_module: Run, hub: Hub) -> None:
    endpoint = f"http://127.0.0.1:{hub.port}"
    found = run_module(model_info, model=NAME, endpoint=endpoint)
    assert (found["reachable"], found["gated"]) == (True, False)
    assert found["commit"] == commit(hub.models / NAME)
    assert WEIGHTS in found["files"]
    assert "gated" in run_module(model_info, model=GATED, endpoint=endpoint)["msg"]
    opened = run_module(model_info, model=GATED, endpoint=endpoint, token=TOKEN)
    assert (opened["reachable"], opened["gated"]) == (True, True)
    assert "has no model" in run_module(model_info, model="a/b", endpoint=endpoint)["msg"]


def test_what_a_model_says_of_its_memory_is_asked_for_too(run_module: Run, tmp_path: Path) -> None:
    for name in ("quantised/a", "mistral/b"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / WEIGHTS).write_bytes(b"x" * 1000)
        (tmp_path / name / "tokenizer.json").write_text("{}")
    beside = {"quantization": {"quant_algo": "NVFP4"}}
    (tmp_path / "quantised/a/config.json").write_text(json.dumps({"model_type": "llama"}))
    (tmp_path / "quantised/a/hf_quant_config.json").write_text(json.dumps(beside))
    (tmp_path / "mistral/b/params.json").write_text(json.dumps({"dim": 4096}))
    hub = Hub(tmp_path, ("127.0.0.1", 0))
    asked = {"endpoint": f"http://127.0.0.1:{hub.port}", "config": True}
    quantised = run_module(model_info, model="quantised/a", **asked)
    assert (quantised["config"], quantised["quantization"]) == ({"model_type": "llama"}, beside)
    # The weights alone: neither words nor settings are loaded.
    assert quantised["weights_bytes"] == 1000
    # Mistral's own format has its figures elsewhere.
    mistral = run_module(model_info, model="mistral/b", **asked)
    assert (mistral["config"], mistral["quantization"]) == ({"dim": 4096}, None)
    hub.close()


def test_a_hub_that_does_not_answer_is_a_note_and_no_failure(run_module: Run, hub: Hub) -> None:
    hub.trouble.silent = True
    result = run_module(model_info, model=NAME, endpoint=f"http://127.0.0.1:{hub.port}")
    assert "failed" not in result
    assert (result["reachable"], result["size_gib"]) == (False, None)
    assert "cannot be read" in result["note"]


def test_a_hub_that_hangs_is_given_up_in_time(
    run_module: Run, hub: Hub, monkeypatch: pytest.MonkeyPatch, hanging: Hanging
) -> None:
    """As a name server does that does not answer: no timeout of a connection ends that."""

    monkeypatch.setattr(hub_client.Hub, "listing", hanging)
    result = run_module(model_info, model=NAME, timeout_seconds=0.1)
    assert not hanging.came_back
    assert (result["reachable"], result["size_gib"]) == (False, None)
    assert "does not answer in time" in result["note"]


def test_the_endpoint_is_the_machine_s_own_unless_one_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror")
    assert hub_client.default_endpoint() == "http://mirror"
    monkeypatch.delenv("HF_ENDPOINT")
    assert hub_client.default_endpoint() == hub_client.PUBLIC


@pytest.mark.long
def test_a_play_shows_the_progress_of_a_download_that_it_has_started(
    hub: Hub, tmp_path: Path
) -> None:
    """Real Ansible: one task starts the download in the background, another one waits for it."""
    store = model_store.Store.of(tmp_path / "home", NAME)
    cached = {"home": str(tmp_path / "home"), "model": NAME, "token": TOKEN}
    cached["endpoint"] = f"http://127.0.0.1:{hub.port}"
    tasks = [
        {"inferops.gpu.model_cache": cached, "async": 60, "poll": 0},
        {"inferops.gpu.model_cache": cached, "register": "result"},
        {"ansible.builtin.debug": {"msg": "{{ result.path }} {{ result.complete }}"}},
    ]
    host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    host["ansible_async_dir"] = str(tmp_path / "async")
    playbook = tmp_path / "play.json"
    playbook.write_text(
        json.dumps([{"hosts": "gpu-1", "gather_facts": False, "vars": host, "tasks": tasks}])
    )
    lines = []
    # As a download would that takes its time, until somebody has seen how far it is.
    with store.locked() as ours:
        assert ours
        model_store.write_json(
            store.folder / model_store.PROGRESS,
            {"bytes_done": 2**30, "bytes_total": 2**32, "bytes_per_second": 98_000_000},
        )
        play = subprocess.Popen(
            [str(BIN / "ansible-playbook"), "-i", "gpu-1,", str(playbook), "-vv"],
            cwd=ROOT,
            env={
                **os.environ,
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_HOME": str(tmp_path / "ansible"),
                # Through a pipe lines come as they are written with this alone.
                "PYTHONUNBUFFERED": "1",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert play.stdout is not None
        for line in play.stdout:
            lines.append(line)
            if "gpu-1: model 1.0 of 4.0 GiB, 98 MB/s" in line:
                break
    lines += play.stdout
    told = " ".join(" ".join(lines).split())
    assert play.wait() == 0, told
    assert "gpu-1: model 1.0 of 4.0 GiB, 98 MB/s" in told
    assert f"{store.folder}/{commit(hub.models / NAME)} True" in told
    assert TOKEN not in told


def asked_for(hub: Hub, model: str, **options: Any) -> dict[str, Any]:
    """What module model_info returns, with a token."""
    usual = {name: option.get("default") for name, option in asking.MODEL_INFO_OPTIONS.items()}
    address = {"endpoint": f"http://127.0.0.1:{hub.port}", "token": TOKEN}
    return asking.model_info({**usual, "model": model, **address, **options})


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        (NAME, {"weights_format": "gguf"}, "has no GGUF file"),
        (NAME, {"weights_format": "gguf", "include": ["*.gguf"]}, "fits include and exclude"),
        (NAME, {"include": ["*.gguf"]}, "fits include and exclude"),
        ("inferops/quantised", {"weights_format": "gguf", "include": ["*"]}, "several models"),
    ],
)
def test_what_no_server_could_load_is_refused_before_anything_is_rented(
    hub: Hub, model: str, options: dict[str, Any], said: str
) -> None:
    for name in QUANTISED:
        tiny_gguf.write(hub.models / "inferops/quantised" / name)
    told = asked_for(hub, model, **options)
    assert told["failed"]
    assert said in told["msg"]


def tokens(hub: Hub) -> set[str]:
    """What the hub was shown."""
    return {request.headers.get("authorization", "") for request in hub.seen} - {""}


def test_the_hub_of_a_public_model_never_sees_the_token(cache: Run, hub: Hub) -> None:
    assert cache(token=TOKEN)["complete"]
    assert tokens(hub) == set()
    hub.seen.clear()
    assert cache(token=TOKEN, token_always=True, update=True)["complete"]
    assert tokens(hub) == {f"Bearer {TOKEN}"}


def test_a_gated_model_gets_the_token_when_it_was_refused_without(cache: Run, hub: Hub) -> None:
    assert cache(GATED, token=TOKEN)["complete"]
    shown = [request.headers.get("authorization", "") for request in hub.seen]
    assert shown[0] == ""
    assert tokens(hub) == {f"Bearer {TOKEN}"}


def test_the_token_is_sent_to_nobody_over_http(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_client, "is_closed", lambda url: False)
    told = asked_for(hub, GATED)
    assert "https" in told["failure"]["remedy"]
    assert tokens(hub) == set()
    allowed = asked_for(hub, GATED, token_always=True)
    assert allowed["needs_token"] is False
    assert tokens(hub) == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize(("model", "wanted"), [(NAME, False), (GATED, True)])
def test_who_asks_learns_whether_a_host_needs_the_token(hub: Hub, model: str, wanted: bool) -> None:
    told = asked_for(hub, model, config=True)
    assert told["needs_token"] is wanted
    assert told["config"]["model_type"] == "llama"
