# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for vLLM's load generator: its two functions, its options, its result, its errors.

It really asks the server for completions. How long they took is made up: FAKE_LOAD_MS for each
request that is under way at once. It is told otherwise by its environment:

  FAKE_LOAD_HANG_AT   it never ends a load of so many requests at once
  FAKE_LOAD_DIE_AT    it kills itself in one
  FAKE_LOAD_KILLS     a file with the process group that dies of a load of two at once
  FAKE_LOAD_NAN       a latency is no number
  FAKE_LOAD_NOTES     a file that gets the words of each load, and the environment
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
import urllib.error
import urllib.request
from typing import Any

STATISTICS = {"mean": 0.5, "median": 0.5, "std": 0.1, "p50": 0.5, "p90": 0.9, "p99": 1.0}


def add_cli_args(parser: argparse.ArgumentParser) -> None:
    for name in ("backend", "endpoint", "base-url", "model", "tokenizer", "dataset-name"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("percentile-metrics", "metric-percentiles", "tokenizer-mode"):
        parser.add_argument(f"--{name}")
    for name in ("seed", "random-input-len", "random-output-len", "num-prompts", "max-concurrency"):
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in ("ignore-eos", "save-detailed", "disable-tqdm", "trust-remote-code"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--temperature", type=float)
    parser.add_argument("--goodput", nargs="+")


def main(args: argparse.Namespace) -> dict[str, Any]:
    print("this is no answer: the generator's own words")
    note({"words": vars(args), "environment": dict(os.environ)})
    if os.environ.get("FAKE_LOAD_HANG_AT") == str(args.max_concurrency):
        time.sleep(3600)
    if os.environ.get("FAKE_LOAD_DIE_AT") == str(args.max_concurrency):
        os.kill(os.getpid(), signal.SIGKILL)
    if "FAKE_LOAD_KILLS" in os.environ and args.max_concurrency == 2:
        with open(os.environ["FAKE_LOAD_KILLS"]) as stream:
            os.killpg(int(stream.read()), signal.SIGKILL)
    errors = [ask(args) for _ in range(args.num_prompts)]
    return result(args, errors)


def note(told: dict[str, Any]) -> None:
    if "FAKE_LOAD_NOTES" in os.environ:
        with open(os.environ["FAKE_LOAD_NOTES"], "a") as stream:
            stream.write(json.dumps(told) + "\n")


def ask(args: argparse.Namespace) -> str:
    """What went wrong with one request, as vLLM's generator tells it; empty for nothing."""
    question = {"model": args.model, "prompt": "x", "max_tokens": args.random_output_len}
    request = urllib.request.Request(
        args.base_url + args.endpoint,
        json.dumps(question).encode(),
        {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY')}"},
    )
    try:
        with urllib.request.urlopen(request) as answer:
            answer.read()
    except (urllib.error.URLError, OSError) as error:
        return f"Traceback (most recent call last):\n{error!r}"
    return ""


def result(args: argparse.Namespace, errors: list[str]) -> dict[str, Any]:
    completed = errors.count("")
    took = args.max_concurrency * float(os.environ.get("FAKE_LOAD_MS", "10")) * bool(completed)
    rate = args.max_concurrency * 10.0 * bool(completed)
    latencies = {
        f"{one}_{name}_ms": share * took
        for name in args.percentile_metrics.split(",")
        for one, share in STATISTICS.items()
    }
    if "FAKE_LOAD_NAN" in os.environ:
        latencies["p99_ttft_ms"] = float("nan")
    return {
        "backend": args.backend,
        "completed": completed,
        "failed": len(errors) - completed,
        "duration": completed / rate if rate else 0.0,
        "total_input_tokens": completed * args.random_input_len,
        "total_output_tokens": completed * args.random_output_len,
        "request_throughput": rate,
        "request_goodput": rate / 2 if args.goodput else None,
        "output_throughput": rate * args.random_output_len,
        "total_token_throughput": rate * (args.random_input_len + args.random_output_len),
        "errors": errors,
        **latencies,
    }
