# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""llama.cpp, its own server, as the package xllamacpp has it built."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ....common.engines.llama_cpp import words as llama_words
from ....common.private_files import private_folder
from .. import openai_api
from ..client import Busy, Client, NoAnswer
from ..engine import Engine, Sample, Verdict, Wish
from . import metrics, phases, serve
from .command import ROOT, build_command, check


class LlamaCpp(Engine):
    """The parts are in the files beside this one."""

    name = "llama_cpp"
    title = "llama.cpp"
    key_variable = serve.KEY_VARIABLE
    # A batch is 2048 tokens of a prompt: so many at 3.4 a second, from the host's memory.
    step_seconds = 600
    parts = ("llama_cpp",)

    def command(self, wish: Wish) -> list[str]:
        return build_command(wish)

    def by_name(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Those that are none keep their name, and are refused by it."""
        return {_known(name): value for name, value in arguments.items()}

    def environment(
        self,
        own: Mapping[str, str],
        asked: Mapping[str, str],
        wish: Wish,
        temporary: Path,
        start_seconds: int,
    ) -> dict[str, str]:
        # A crash in the library names no line of Python without it.
        variables = {**own, "PYTHONFAULTHANDLER": "1", "TMPDIR": str(private_folder(temporary))}
        return {**variables, **asked, "PYTHONPATH": str(ROOT)}

    def check_options(
        self, wish: Wish, environment: Mapping[str, str], memory: Path, keep: bool
    ) -> Verdict:
        try:
            command = build_command(wish)
        except ValueError as error:
            return Verdict(str(error), "refused")
        return check(command, environment)

    def progress(self, log: str) -> str:
        return phases.current(log) or "importing llama.cpp"

    def ask(self, check: str, client: Client, name: str, seconds: float) -> str:
        return openai_api.ask(check, client, name, seconds)

    def sample(self, client: Client, seconds: float) -> Sample:
        try:
            answer = client.fetch("GET", "/metrics", seconds=seconds)
        except NoAnswer as error:
            # They wait for the batch that is computed; this does not (tools/server/server.cpp).
            client.call("GET", "/health", seconds=seconds)
            raise Busy(f"{error}, while /health answers: it works on a batch") from error
        return metrics.parse(answer.decode(errors="replace"))

    def compiled(self, environment: Mapping[str, str]) -> dict[str, Path]:
        return {}

    def deciding(self, wish: Wish, environment: Mapping[str, str]) -> dict[str, Any]:
        return {}


def _known(name: str) -> str:
    try:
        return llama_words.find(name).name.replace("-", "_")
    except ValueError:
        return name
