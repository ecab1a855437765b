# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of llama.cpp's server: our program, run by the interpreter that has the library.

The library is llama.cpp's own server and no program: serve.py is what starts it. It lies beside
this file, in the launcher's folder on the host, and finds what it imports by PYTHONPATH.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from ....common import gguf_names
from ....common.engines.llama_cpp import words as llama_words
from ....common.server_words import refused
from ...machine.files import MANIFEST, read_json
from ..engine import Verdict, Wish
from . import serve

PACKAGE = __name__.rpartition(".")[0]
PROGRAM = f"{PACKAGE}.serve"
ROOT = Path(__file__).parents[PACKAGE.count(".") + 1]
"""The folder from which PROGRAM is imported."""

MOST_SECONDS = 60.0
SUFFIX = ".gguf"
_PROJECTOR = re.compile(r"mmproj[^/]*$", re.IGNORECASE)


def build_command(wish: Wish) -> list[str]:
    """The command line for this wish. Raises ValueError naming a bad argument."""
    for refusal in refused(wish.arguments, wish.extra_args):
        raise ValueError(refusal)
    for refusal in llama_words.complaints(wish.arguments, wish.extra_args):
        raise ValueError(f"{refusal}.")
    asked = llama_words.spelled(wish.arguments)
    given = llama_words.read([*asked, *wish.extra_args])
    names = wish.served_model_names or (wish.model,)
    for refusal in llama_words.misnamed(names):
        raise ValueError(f"served_model_name: {refusal}.")
    model, projector = model_files(wish.model)
    command = [wish.python, "-m", PROGRAM, "--model", model]
    if projector and all(setting.option.name != "mmproj" for setting in given):
        command += ["--mmproj", projector]
    command += [
        "--host",
        wish.host,
        "--port",
        str(wish.port),
        "--alias",
        ",".join(names),
    ]
    return [*command, *asked, *wish.extra_args]


def check(command: list[str], environment: Mapping[str, str]) -> Verdict:
    """Would the installed library take this command line? It is asked, in a process of its own."""
    asked = [*command[:3], serve.ONLY_CHECKED, *command[3:]]
    try:
        done = subprocess.run(
            asked,
            env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
            timeout=MOST_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Verdict(None, f"not checked: {error}")
    last = (done.stderr.strip().splitlines() or ["no output"])[-1]
    if serve.NOT_TAKEN in last:
        return Verdict(last, "refused")
    if done.returncode:
        return Verdict(None, f"not checked: it ended with status {done.returncode}: {last}")
    return Verdict(None, "accepted by the library that is installed")


def model_files(model: str) -> tuple[str, str | None]:
    """The GGUF file to load, and the one for images that belongs to it. Raises ValueError.

    Of a model in several parts it is the first: llama.cpp finds the others.
    """
    if not model.startswith("/"):
        raise ValueError(
            f"model: llama.cpp loads a file, and {model} is none. Leave model_cache_enabled true, "
            "which downloads it, or give the path of a GGUF file on the host."
        )
    place = Path(model)
    if not place.is_dir():
        return model, _only(filter(_PROJECTOR.search, _downloaded_with(place)))
    files = [str(file) for file in sorted(place.glob(f"**/*{SUFFIX}")) if file.is_file()]
    models = [file for file in files if not _PROJECTOR.search(file) and gguf_names.is_first(file)]
    if len(models) != 1:
        found = f"{len(models)} models: {', '.join(models)}" if models else "no GGUF file"
        raise ValueError(f"model: {model} holds {found}. Give the path of one file.")
    return models[0], _only(filter(_PROJECTOR.search, files))


def _downloaded_with(file: Path) -> list[str]:
    """All that role model_cache has chosen with a file; nothing of one that came otherwise."""
    for folder in file.parents:
        known = read_json(folder / MANIFEST)
        if known:
            return [str(folder / name) for name in known.get("files", {})]
    return []


def _only(found: Iterable[str]) -> str | None:
    several = list(found)
    return several[0] if len(several) == 1 else None
