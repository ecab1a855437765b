# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""llama.cpp as an engine: its words, its files, and a real one that serves a tiny model."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.common.engines.llama_cpp import (
    words as llama_words,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.client import (
    Busy,
    Client,
    NotYet,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.engine import Sample, Wish
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.llama_cpp import (
    metrics,
    phases,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.llama_cpp import (
    serve as serve_program,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.registry import ENGINES
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine.files import write_json
from ansible_collections.inferops.gpu.plugins.module_utils.host.models.files import problems
from ansible_collections.inferops.gpu.plugins.module_utils.host.server import health
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import Server
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.spec import Spec
from ansible_collections.inferops.gpu.plugins.modules import model_server_info
from tests.hanging import HANGS_AFTER_SECONDS
from tests.rig import llama_cpp, tiny_gguf

pytestmark = pytest.mark.llama_cpp
ENGINE = ENGINES["llama_cpp"]
CHECKOUT = Path(__file__).parents[3]
FIXTURES = Path(__file__).parents[1] / "serving" / "fixtures"
NAME, KEY = "tiny/model", "key-of-clients"
Call = Callable[..., Any]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_gguf.write(tmp_path / "models" / "tiny.gguf")


def command(model: Path | str, *words: str, **arguments: Any) -> list[str]:
    """The command line without the interpreter and the module."""
    wish = Wish("python", str(model), (NAME,), "127.0.0.1", 8000, arguments, words)
    return ENGINE.command(wish)[3:]


# --- its words ---


def test_options_are_those_that_llama_server_documents(model: Path) -> None:
    asked = command(model, "-np", "2", ctx_size=4096, kv_offload=False, flash_attn=True, fit=None)
    assert asked == [
        *("--model", str(model), "--host", "127.0.0.1", "--port", "8000", "--alias", NAME),
        *("--ctx-size", "4096", "--flash-attn", "on", "--no-kv-offload"),
        *("-np", "2"),
    ]
    assert ENGINE.by_name({"n-gpu-layers": "all", "temperature": 0}) == {
        "gpu_layers": "all",
        "temp": 0,
    }


@pytest.mark.parametrize(
    ("arguments", "words", "said"),
    [
        ({"ctx_sise": 1}, (), "no option --ctx-sise; meant may be --ctx-size"),
        ({"split_mode": "rows"}, (), "invalid choice: 'rows'"),
        ({"jinja": "perhaps"}, (), "jinja is true or false"),
        ({}, ("--ctx-size",), "expected one argument"),
        ({}, ("4096",), "'4096' belongs to no option"),
        ({}, ("-m", "/other.gguf"), "set model, not --model"),
        ({"alias": "other"}, (), "set served_model_name, not --alias"),
        ({}, ("--api-key", "secret"), "api_key"),
        ({"tools": "all"}, (), "no option --tools"),
        ({"no_mmap": True}, (), "no option --no-mmap: set load_mode to none"),
        ({}, ("--mlock",), "no option --mlock: set load_mode to mlock"),
        ({"metrics": True}, (), "they are always published"),
        ({"n_ctx": 4096}, (), "no option --n-ctx: it is --ctx-size"),
        ({"no_kv_offload": True}, (), "set kv_offload to false"),
        ({"lora": "/adapter.gguf"}, (), "merge it into the GGUF file"),
        ({}, ("-hf", "org/model"), "set option 'model', not '-hf'"),
        ({}, ("-hft", "secret"), "would show the token"),
        ({"ctx_size": "4k"}, (), "'4k' is no whole number"),
        ({"ctx_size": 2**31}, (), "is no whole number from"),
        ({"seed": -2}, (), "is no whole number from -1 to"),
        ({"chat_template_kwargs": [1]}, (), "is no JSON of a mapping"),
    ],
)
def test_what_it_does_not_take_is_refused_by_name(
    model: Path, arguments: dict[str, Any], words: tuple[str, ...], said: str
) -> None:
    with pytest.raises(ValueError, match=r"arguments|extra_args") as error:
        command(model, *words, **arguments)
    assert said in str(error.value)
    assert "secret" not in str(error.value)


def test_no_option_has_the_name_of_another_one() -> None:
    names = [*llama_words.OPTIONS, *llama_words.ALSO]
    shorts = [option.short for option in llama_words.OPTIONS.values() if option.short]
    assert len(set(names)) == len(names)
    assert len(set(shorts)) == len(shorts)
    assert set(llama_words.ALSO.values()) <= set(llama_words.OPTIONS)


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ({"ctx_size": 4096.0}, {"ctx-size": 4096}),
        ({"ctx_size": "4096.0"}, {"ctx-size": 4096}),
        ({"seed": -1}, {"seed": 2**32 - 1}),
        (
            {"ui": "yes", "jinja": 1, "cont_batching": "on"},
            {"ui": True, "jinja": True, "cont-batching": True},
        ),
        ({"ui": "no", "jinja": "0"}, {"ui": False, "jinja": False}),
        ({"fit": 1, "flash_attn": "no"}, {"fit": "on", "flash-attn": "off"}),
        (
            {"chat_template_kwargs": {"enable_thinking": False, "effort": "low"}},
            {"chat-template-kwargs": {"enable_thinking": "false", "effort": '"low"'}},
        ),
    ],
)
def test_values_are_read_as_people_write_them(asked: dict[str, Any], meant: dict[str, Any]) -> None:
    settings = llama_words.read(llama_words.spelled(asked))
    read = {setting.option.name: setting.value for setting in settings}
    assert {name: read[name] for name in meant} == meant


@pytest.mark.long
def test_the_real_library_takes_every_option_and_every_choice() -> None:
    paths = os.pathsep.join((str(CHECKOUT / "collections"), str(CHECKOUT)))
    told = subprocess.run(
        [llama_cpp.python(), "-m", "tests.rig.llama_options"],
        env={"PYTHONPATH": paths, "PATH": os.environ["PATH"]},
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        check=True,
        timeout=HANGS_AFTER_SECONDS,
    )
    assert json.loads(told.stdout) == []


def test_a_name_that_it_would_divide_is_refused(tmp_path: Path) -> None:
    divided = tiny_gguf.write(tmp_path / "a,b.gguf")
    for names in (("a,b c",), ("a", "b,c"), ()):
        wish = Wish("python", str(divided), names, "127.0.0.1", 8000, {})
        with pytest.raises(ValueError, match=r"served_model_name: .* has a comma"):
            ENGINE.command(wish)
    assert NAME in command(divided)


# --- its files ---


def test_of_a_folder_the_first_part_is_loaded_with_the_projector_beside_it(tmp_path: Path) -> None:
    for name in ("big-00001-of-00002.gguf", "big-00002-of-00002.gguf", "mmproj-F16.gguf"):
        tiny_gguf.write(tmp_path / name)
    asked = command(tmp_path)
    assert asked[:4] == [
        *("--model", str(tmp_path / "big-00001-of-00002.gguf")),
        *("--mmproj", str(tmp_path / "mmproj-F16.gguf")),
    ]
    assert "--mmproj" not in command(tmp_path / "big-00001-of-00002.gguf")
    files = {path.name: {} for path in tmp_path.glob("*.gguf")}
    write_json(tmp_path / ".inferops.json", {"files": files})
    assert "--mmproj" in command(tmp_path / "big-00001-of-00002.gguf")
    own = command(tmp_path, mmproj="/other.gguf")
    assert own.count("--mmproj") == 1


def test_what_is_no_one_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Leave model_cache_enabled true"):
        command("org/model")
    with pytest.raises(ValueError, match="holds no GGUF file"):
        command(tmp_path)
    for name in ("a-Q4_K_M.gguf", "a-Q8_0.gguf"):
        tiny_gguf.write(tmp_path / name)
    with pytest.raises(ValueError, match=r"holds 2 models: .*Give the path of one file"):
        command(tmp_path)


def test_a_file_counts_as_a_whole_model_by_how_it_begins(tmp_path: Path, model: Path) -> None:
    assert problems(model) == problems(model.parent) == []
    bad = tmp_path / "bad" / "bad.gguf"
    bad.parent.mkdir()
    bad.write_text("<html>")
    for place in (bad, bad.parent):
        assert "no GGUF file, or damaged" in " ".join(problems(place))


# --- its figures and its log ---


def test_work_shows_in_its_steps_while_tokens_are_counted_at_the_end() -> None:
    text = (
        "# TYPE llamacpp:prompt_tokens_total counter\n"
        "llamacpp:prompt_tokens_total 15\n"
        "llamacpp:tokens_predicted_total 0\n"
        "llamacpp:n_decode_total {steps}\n"
        "llamacpp:requests_processing 1\n"
        "llamacpp:requests_deferred 2\n"
    )
    before, after = (metrics.parse(text.format(steps=steps)) for steps in (213, 396))
    assert before == Sample(1, 2, None, 15, 0, None, 213)
    readings = iter((before, after))
    flow = health.watch(lambda: next(readings), 60, lambda: 0.0, lambda _seconds: None)
    assert flow.state == "moving"


def test_phases_are_told_from_its_log() -> None:
    log = (FIXTURES / "healthy" / "llama-cpp.log").read_text()
    assert phases.current(log[: log.index("load_model")]) == "loading weights"
    assert phases.current(log[: log.index("init: listening")]) == "weights loaded"
    assert phases.current("") is None
    assert ENGINE.progress("") == "importing llama.cpp"


class Batch(BaseHTTPRequestHandler):
    """A server whose figures wait for the batch that it computes, as llama.cpp's do."""

    done = threading.Event()
    hangs = False

    def do_GET(self) -> None:
        if self.hangs or self.path == "/metrics":
            self.done.wait(HANGS_AFTER_SECONDS)
        # Whoever asked may have gone.
        with contextlib.suppress(OSError):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"llamacpp:n_decode_total 7\n" if self.path == "/metrics" else b"{}")

    def log_message(self, *_what: Any) -> None:
        pass


@pytest.fixture
def batch() -> Iterator[tuple[type[Batch], Client]]:
    handler = type("One", (Batch,), {"done": threading.Event()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield handler, Client("127.0.0.1", server.server_port, None)
        handler.done.set()
        server.shutdown()


def test_one_that_computes_a_batch_is_busy_and_a_frozen_one_is_not(
    batch: tuple[type[Batch], Client],
) -> None:
    handler, client = batch
    with pytest.raises(Busy, match="/health answers"):
        ENGINE.sample(client, 0.5)
    handler.hangs = True
    with pytest.raises(NotYet, match="/health gave no answer") as error:
        ENGINE.sample(client, 0.5)
    assert not isinstance(error.value, Busy)
    handler.done.set()
    assert ENGINE.sample(client, 5).steps == 7


class Steps:
    """A server that is at a step for so many seconds, and a clock that sleeping moves."""

    def __init__(self, busy_seconds: float) -> None:
        self.now, self.busy_seconds, self.steps = 0.0, busy_seconds, 0

    def read(self) -> Sample:
        if 0 < self.now < self.busy_seconds:
            raise Busy("it works on a batch")
        self.steps += 1
        return Sample(requests_running=1, steps=self.steps)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_batch_is_waited_for_and_then_tells_that_it_serves() -> None:
    server = Steps(busy_seconds=300)
    read = health.patient(server.read, 600, lambda: server.now, server.sleep)
    flow = health.watch(read, 60, lambda: server.now, server.sleep)
    assert flow.state == "moving"
    assert server.now >= 300
    server = Steps(busy_seconds=3000)
    read = health.patient(server.read, 600, lambda: server.now, server.sleep)
    with pytest.raises(Busy):
        health.watch(read, 60, lambda: server.now, server.sleep)
    assert 600 <= server.now < 700


@pytest.mark.parametrize(("mode", "state"), [("quick", "busy"), ("canary", "hung")])
def test_a_long_step_is_told_at_a_glance_and_waited_for_before_anything_is_ended(
    monkeypatch: pytest.MonkeyPatch, mode: str, state: str
) -> None:
    waited: list[float] = []

    def never(_read: Any, busy_seconds: float) -> Callable[[], Sample]:
        waited.append(busy_seconds)
        return busy

    def busy() -> Sample:
        raise Busy("it works on a batch")

    monkeypatch.setattr(health, "patient", never)
    monkeypatch.setattr(health.ports, "listeners", lambda *_what: [1])
    spec = SimpleNamespace(host="127.0.0.1", port=1, api_key=None, runs_on=ENGINE)
    server: Any = SimpleNamespace(spec=lambda: spec, processes=list)
    found = health.check(server, {"phase": "running"}, mode, 60, 60)
    assert found["state"] == state
    assert waited == [ENGINE.step_seconds if mode == "canary" else 60]


# --- its program, with a stand-in for the library ---


class Library:
    """As much of xllamacpp as the program asks for before it serves. No server starts in it."""

    def __init__(self, *devices: int) -> None:
        self.devices, self.params = devices, SimpleNamespace(model=SimpleNamespace())
        self.ggml_backend_dev_type = SimpleNamespace(GGML_BACKEND_DEVICE_TYPE_CPU=0)
        self.started = False

    def get_device_info(self) -> list[dict[str, Any]]:
        return [{"name": "CUDA0" if kind else "CPU", "type": kind} for kind in self.devices]

    def CommonParams(self) -> SimpleNamespace:
        return self.params

    def Server(self, _params: SimpleNamespace) -> None:
        self.started = True
        raise RuntimeError("that is all.")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Library]:
    def call(*devices: int, **environment: str) -> Library:
        library = Library(*devices)
        monkeypatch.setitem(sys.modules, "xllamacpp", library)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        assert serve_program.main(["--model", "/tiny.gguf", "--port", "8000"]) == 1
        return library

    return call


@pytest.mark.parametrize(
    ("devices", "asked", "serves"),
    [((0,), "cpu", True), ((0,), "cuda", False), ((0, 1), "cuda", True)],
)
def test_without_the_gpu_that_was_asked_for_it_does_not_serve(
    run: Callable[..., Library],
    capsys: pytest.CaptureFixture[str],
    devices: tuple[int, ...],
    asked: str,
    serves: bool,
) -> None:
    assert run(*devices, INFEROPS_ACCELERATOR=asked).started == serves
    assert ("no GPU is seen" in capsys.readouterr().err) != serves


def test_its_key_comes_from_its_environment_alone(run: Callable[..., Library]) -> None:
    assert run(0, LLAMA_API_KEY=KEY).params.api_keys == [KEY]
    assert ENGINE.key_variable == "LLAMA_API_KEY"


# --- a real one ---


@pytest.fixture
def serve(start: Call, model: Path) -> Call:
    """Start it as a play does, and wait."""

    def call(**options: Any) -> Any:
        wanted = {
            "engine": ENGINE.name,
            "python": llama_cpp.python(),
            "model": str(model),
            "served_model_name": NAME,
            "api_key": KEY,
            "arguments": {"ctx_size": 2048, "parallel": 2},
        }
        return start(**{**wanted, **options})

    return call


@pytest.mark.long
def test_a_real_one_is_started_looked_at_changed_and_stopped(
    serve: Call, server: Server, stop: Call, run_module: Call, home: Path, free_port: int
) -> None:
    first = serve()
    assert first["changed"]
    assert first["completion"].strip()
    assert set(first["completion"].split()) <= set(tiny_gguf.WORDS)
    (process,) = server.processes()
    assert not serve()["changed"]

    for path in ("/v1/models", "/metrics", "/slots", "/props"):
        with pytest.raises(NotYet, match="401"):
            Client("127.0.0.1", free_port, "another").call("GET", path)
    shown = run_module(
        model_server_info, name="main", home=str(home), health_check="canary", stall_seconds=5
    )
    assert shown["servers"][0]["health"]["state"] == "serving"

    other = serve(served_model_name=["b", "a"])
    assert other["server"]["pid"] != process.pid
    ended = stop()
    assert ended["stopped"] == "proven"
    assert server.record().exit_code == 0
    assert "main loop exited" in server.log.read_text()


@pytest.mark.long
def test_a_long_answer_is_progress_of_a_real_one(
    serve: Call, free_port: int, wait_until: Call
) -> None:
    serve()
    client = Client("127.0.0.1", free_port, KEY)
    body = {"prompt": "the quick", "max_tokens": 900, "ignore_eos": True}
    asking = threading.Thread(
        target=lambda: client.call("POST", "/v1/completions", body, seconds=60)
    )
    before = ENGINE.sample(client, 5)
    asking.start()
    wait_until(lambda: ENGINE.sample(client, 5).requests_running)
    during = wait_until(
        lambda: (seen := ENGINE.sample(client, 5)).progress > before.progress + 20 and seen
    )
    assert during.generation_tokens == before.generation_tokens
    asking.join()
    assert ENGINE.sample(client, 5).generation_tokens == 900 + (before.generation_tokens or 0)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"arguments": {"cache_type_k": "q8_0"}}, "gguf_cache_type"),
        ({"environment": {"INFEROPS_ACCELERATOR": "cuda"}}, "gguf_no_gpu"),
    ],
)
def test_a_real_one_that_cannot_start_says_why(
    serve: Call, change: dict[str, Any], cause: str
) -> None:
    result = serve(**change)
    assert result["failed"]
    assert result["failure"]["cause_id"] == cause


def test_what_the_real_library_refuses_ends_no_server(serve: Call, server: Server) -> None:
    pid = serve()["server"]["pid"]
    refused = serve(arguments={"chat_template_file": "/nowhere.jinja"})
    assert refused["failed"]
    assert "/nowhere.jinja" in refused["msg"]
    assert "Nothing was started or stopped" in refused["msg"]
    assert [process.pid for process in server.processes()] == [pid]


def test_a_file_that_is_cut_short_is_told_by_the_real_one(serve: Call, model: Path) -> None:
    model.write_bytes(model.read_bytes()[:100_000])
    assert serve()["failure"]["cause_id"] == "gguf_damaged"


@pytest.mark.long
def test_a_real_one_that_is_killed_serves_again(
    serve: Call, server: Server, wait_until: Call
) -> None:
    pid = serve()["server"]["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: server.record().pid != pid and server.record().ready_at)
    assert server.record().restarts == 1


def test_another_engine_under_the_same_name_replaces_the_server(
    spec: Callable[..., Spec],
) -> None:
    assert replace(spec(), engine="llama_cpp").hash != replace(spec(), engine="vllm").hash
