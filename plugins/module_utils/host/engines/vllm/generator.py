# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vLLM's own load generator, `vllm bench serve`, by the functions behind that command.

The command itself fails where the distribution has another name than vllm, and each start imports
vLLM anew, which takes up to a minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....common.engines.vllm.words import canonical, options_of
from ....common.loads import LATENCIES, Load, Plan
from ..client import Client
from ..engine import Wish
from ..generator import EMPTY, MARK, Generator, number
from .environment import server_environment

_LOOPBACK = "127.0.0.1,localhost,::1"
_STATISTICS = ("mean", "p50", "p90", "p99")
_MOST_ERRORS, _MOST_LETTERS = 3, 1000

SCRIPT = (
    """
import argparse, importlib, json, os, sys

answers = os.fdopen(os.dup(1), "w", buffering=1)
# All that it prints itself is its log.
os.dup2(2, 1)

def answer(told):
    answers.write("MARK" + json.dumps(told) + "\\n")

import vllm
serve = importlib.import_module("vllm.benchmarks.serve")
answer({"release": vllm.__version__})

def run(words):
    parser = getattr(serve, "FlexibleArgumentParser", argparse.ArgumentParser)()
    serve.add_cli_args(parser)
    result = serve.main(parser.parse_args(words))
    if not isinstance(result, dict):
        return {"refused": "this release of vLLM returns no result"}
    errors = [str(one)[-LETTERS:] for one in dict.fromkeys(result.get("errors") or ()) if one]
    figures = {k: v for k, v in result.items() if isinstance(v, (int, float))}
    return {"result": figures, "errors": errors[:ERRORS]}

for line in sys.stdin:
    try:
        answer(run(json.loads(line)))
    except (Exception, SystemExit) as error:
        answer({"refused": f"{type(error).__name__}: {error}"[:LETTERS]})
""".replace("MARK", MARK)
    .replace("LETTERS", str(_MOST_LETTERS))
    .replace("ERRORS", str(_MOST_ERRORS))
)


class BenchServe(Generator):
    """The load generator beside a server that serves this wish."""

    title = "vllm bench serve"
    key_variable = "OPENAI_API_KEY"

    def __init__(self, wish: Wish) -> None:
        self._wish = wish

    @property
    def command(self) -> list[str]:
        return [self._wish.python, "-c", SCRIPT]

    def environment(self, own: Mapping[str, str], asked: Mapping[str, str]) -> dict[str, str]:
        variables = server_environment(own, asked, self._wish)
        # It is ended, and what it has said of why it failed has to be in its log by then.
        variables["PYTHONUNBUFFERED"] = "1"
        # A proxy of the host's is for others than this server.
        for name in ("no_proxy", "NO_PROXY"):
            variables[name] = ",".join(filter(None, [variables.get(name), _LOOPBACK]))
        return variables

    def words(self, load: Load, plan: Plan, address: str) -> list[str]:
        wish = self._wish
        words = ["--backend", "openai", "--endpoint", "/v1/completions", "--base-url", address]
        words += ["--model", wish.listed_name, *self._tokenizer()]
        words += ["--dataset-name", "random", "--seed", str(load.seed)]
        words += ["--random-input-len", str(plan.input_tokens)]
        words += ["--random-output-len", str(plan.output_tokens), "--ignore-eos"]
        words += ["--num-prompts", str(load.requests), "--max-concurrency", str(load.concurrency)]
        words += ["--percentile-metrics", ",".join(LATENCIES), "--metric-percentiles", "50,90,99"]
        words += ["--temperature", "0", "--save-detailed", "--disable-tqdm"]
        limits = [f"{name}:{limit:g}" for name, limit in plan.objective_ms.items()]
        return [*words, *(["--goodput", *limits] if limits else [])]

    def _tokenizer(self) -> list[str]:
        known = options_of(None)
        asked = {canonical(name, known): value for name, value in self._wish.arguments.items()}
        words = ["--tokenizer", str(asked.get("tokenizer") or self._wish.model)]
        if asked.get("tokenizer_mode"):
            words += ["--tokenizer-mode", str(asked["tokenizer_mode"])]
        return [*words, *(["--trust-remote-code"] if asked.get("trust_remote_code") else [])]

    def figures(self, result: Mapping[str, Any]) -> dict[str, Any]:
        completed = int(number(result, "completed"))
        told = {**EMPTY, "completed": completed, "failed": int(number(result, "failed"))}
        if not completed:
            return told
        goodput = result.get("request_goodput")
        return {
            **told,
            "seconds": number(result, "duration"),
            "input_tokens": int(number(result, "total_input_tokens")),
            "output_tokens": int(number(result, "total_output_tokens")),
            "requests_per_second": number(result, "request_throughput"),
            "good_requests_per_second": None if goodput is None else float(goodput),
            "output_tokens_per_second": number(result, "output_throughput"),
            "tokens_per_second": number(result, "total_token_throughput"),
            **{f"{name}_ms": _statistics(result, name) for name in LATENCIES},
        }

    def most_tokens(self, client: Client) -> int | None:
        listed = client.call("GET", "/v1/models")
        try:
            most = [one.get("max_model_len") for one in listed["data"]]
        except (AttributeError, KeyError, TypeError):
            return None
        return next((one for one in most if isinstance(one, int)), None)


def _statistics(result: Mapping[str, Any], name: str) -> dict[str, float] | None:
    """Those of one latency. With one token an answer has none between tokens: vLLM says 0 then."""
    found = {one: round(number(result, f"{one}_{name}_ms"), 3) for one in _STATISTICS}
    return found if any(found.values()) else None
