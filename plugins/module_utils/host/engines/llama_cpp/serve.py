# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that serves: llama.cpp's own server, in the process of this interpreter.

    python3 -m inferops_host.host.engines.llama_cpp.serve --model FILE --port 8000 ...

It runs in the environment that has xllamacpp. Its options are those of llama-server; the key of
its clients stands in LLAMA_API_KEY, as there.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

from ....common.engines.llama_cpp import words as llama_words
from ....common.engines.llama_cpp.words import Setting

KEY_VARIABLE = "LLAMA_API_KEY"
ACCELERATOR_VARIABLE = "INFEROPS_ACCELERATOR"
"""`cuda` where the server must not run without a GPU, which llama.cpp does without a word."""

ONLY_CHECKED = "--only-checked"
NOT_TAKEN = "these options are not taken"

BEFORE = ("--no-ui", "--parallel", "-1")
"""What is asked for unless the command line says otherwise: a page has no place on an endpoint, and
as many requests at once as llama-server takes."""

_WORDS = {
    ("llama_flash_attn_type", "on"): "enabled",
    ("llama_flash_attn_type", "off"): "disabled",
    ("llama_load_mode", "dio"): "direct_io",
}
"""Choices that the library calls otherwise."""
_STATES = {"on": 1, "off": 0, "auto": -1}


class Refused(Exception):
    """Why it does not start, as a clause."""


def main(command: list[str]) -> int:
    """Serve until a signal ends it; returns the exit status. With ONLY_CHECKED before its options
    it ends where it would start."""
    only_checked = command[:1] == [ONLY_CHECKED]
    try:
        xllamacpp, params = parameters(command[1:] if only_checked else command)
    except Refused as error:
        return _failed(str(error))
    return 0 if only_checked else serve(xllamacpp, params)


def parameters(command: list[str]) -> tuple[Any, Any]:
    """The library, and what it is asked for. Raises Refused."""
    try:
        settings = llama_words.read([*BEFORE, *command])
    except ValueError as error:
        raise Refused(f"{NOT_TAKEN}: {error}") from error
    try:
        xllamacpp: Any = import_module("xllamacpp")
    except ImportError as error:
        raise Refused(f"the library cannot be loaded: {error}") from error
    params = xllamacpp.CommonParams()
    params.endpoint_metrics = True  # its health is read from them
    try:
        for setting in settings:
            put(xllamacpp, params, setting)
    except (AttributeError, OSError, OverflowError, TypeError, ValueError) as error:
        raise Refused(f"{NOT_TAKEN}: {error}") from error
    return xllamacpp, params


def serve(xllamacpp: Any, params: Any) -> int:
    """Serve until a signal ends it; returns the exit status."""
    if os.environ.get(ACCELERATOR_VARIABLE) == "cuda" and not gpus(xllamacpp):
        return _failed(
            "no GPU is seen, so it would compute on the CPU. Look at nvidia-smi and at "
            "CUDA_VISIBLE_DEVICES"
        )
    key = os.environ.get(KEY_VARIABLE)
    if key:
        params.api_keys = [key]
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        why = str(error).rstrip(".")
        return _failed(f"the server did not start: {why}")
    # The library has set handlers of its own, and would leave this thread waiting.
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: ended.set())
    ended.wait()
    del server
    return 0


def gpus(xllamacpp: Any) -> list[str]:
    """The devices beside the CPU that the library computes on."""
    cpu = xllamacpp.ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_CPU
    return [device["name"] for device in xllamacpp.get_device_info() if device["type"] != cpu]


def put(xllamacpp: Any, params: Any, setting: Setting) -> None:
    """Set one option where the library has it. Raises ValueError and what reading a file does."""
    *objects, name = setting.option.place.split(".")
    for each in objects:
        params = getattr(params, each)
    value = _value(xllamacpp, setting)
    if setting.option.kind == "numbers":
        # One for each device that there could be.
        value = [*value, *getattr(params, name)[len(value) :]]
    setattr(params, name, value)


def _value(xllamacpp: Any, setting: Setting) -> Any:
    kind, value = setting.option.kind, setting.value
    if kind == "file":
        return Path(value).read_text(encoding="utf-8")
    if kind == "switch":
        return value == "on"
    if kind == "reasoning":
        return _STATES[value]
    if setting.option.name == "alias":
        return set(value)
    if kind in llama_words.CHOICES:
        words = _WORDS.get((kind, value), value).replace("+", "_").replace("-", "_")
        return getattr(getattr(xllamacpp, kind), f"{kind}_{words}".upper())
    return value


def _failed(why: str) -> int:
    sys.stderr.write(f"llama.cpp: {why}.\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
