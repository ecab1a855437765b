# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""llama.cpp as an engine: its words, its files, and a real one that serves a tiny model."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.common.engines.llama_cpp import (
    words as llama_words,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.client import Client, NotYet
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
from tests.rig import llama_cpp, tiny_gguf

pytestmark = pytest.mark.llama_cpp
ENGINE = ENGINES["llama_cpp"]
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


def test_a_file_that_is_cut_short_is_told_by_the_real_one(serve: Call, model: Path) -> None:
    model.write_bytes(model.read_bytes()[:100_000])
    assert serve()["failure"]["cause_id"] == "gguf_damaged"


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
