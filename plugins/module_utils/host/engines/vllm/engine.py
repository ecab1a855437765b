# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vLLM, its OpenAI server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ....common.engines.vllm.words import canonical, options_of
from .. import openai_api
from ..client import Client
from ..engine import Engine, Sample, Verdict, Weights, Wish
from ..generator import Generator
from . import caches, metrics, parser, phases
from .command import build_command
from .environment import server_environment, temporary_variables
from .generator import BenchServe


class Vllm(Engine):
    """The parts are in the files beside this one."""

    name = "vllm"
    title = "vLLM"
    key_variable = "VLLM_API_KEY"
    shared_memory = ("vllm",)
    compilers = caches.PACKAGES
    not_carried = caches.LEFT_HERE
    parts = ("torch", "numpy", "vllm")

    def command(self, wish: Wish) -> list[str]:
        return build_command(wish)

    def by_name(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        known = options_of(None)
        return {canonical(name, known): value for name, value in arguments.items()}

    def weights(self, arguments: Mapping[str, Any]) -> Weights:
        return Weights(_given(arguments, "revision"), _given(arguments, "download_dir"))

    def environment(
        self,
        own: Mapping[str, str],
        asked: Mapping[str, str],
        wish: Wish,
        temporary: Path,
        start_seconds: int,
    ) -> dict[str, str]:
        own = {**own, **temporary_variables(temporary)}
        return server_environment(own, asked, wish, start_seconds)

    def check_options(
        self, wish: Wish, environment: Mapping[str, str], memory: Path, keep: bool
    ) -> Verdict:
        return parser.check(build_command(wish), environment, memory, keep)

    def progress(self, log: str) -> str:
        return phases.current(log) or "importing vLLM"

    def ask(self, check: str, client: Client, name: str, seconds: float) -> str:
        return openai_api.ask(check, client, name, seconds)

    def sample(self, client: Client, seconds: float) -> Sample:
        answer = client.fetch("GET", "/metrics", seconds=seconds)
        return metrics.parse(answer.decode(errors="replace"))

    def generator(self, wish: Wish) -> Generator | None:
        return BenchServe(wish)

    def compiled(self, environment: Mapping[str, str]) -> dict[str, Path]:
        return caches.compiled(environment)

    def deciding(self, wish: Wish, environment: Mapping[str, str]) -> dict[str, Any]:
        return caches.deciding(wish, environment)


def _given(arguments: Mapping[str, Any], name: str) -> str | None:
    value = arguments.get(name)
    return str(value) if value else None
