# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for vLLM's server: its process tree, its log lines, its endpoints, its bad habits.

Standard library only. It takes vLLM's options, ignores those it does not know, and is told how to
behave through its environment:

  FAKE_START_SECONDS     how long it takes to listen (0.3)
  FAKE_DIE_WITH          exit status with which it ends instead of listening
  FAKE_LOG_FILE          text that it prints before that
  FAKE_SWALLOW_SIGTERM   every process ignores SIGTERM
  FAKE_SWALLOW_FIRST     the main process ignores the first SIGTERM, as vLLM does while starting
  FAKE_EMPTY_COMPLETION  completions hold no text
  FAKE_DIE_AT_COMPLETION the first completion kills it by SIGILL
  FAKE_NO_CHILDREN       the main process only
  FAKE_HANG_FILE         while this file exists completions never come, and health stays green
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType

PR_SET_NAME = 15


def say(text: str) -> None:
    print(f"(APIServer pid={os.getpid()}) INFO 11-20 15:13:35 [fake.py:1] {text}", flush=True)


def option(name: str, default: str = "") -> str:
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


def become(name: str) -> None:
    """Rename this process as vLLM does. The kernel keeps 15 characters."""
    ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode(), 0, 0, 0)
    if "FAKE_SWALLOW_SIGTERM" in os.environ:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def sleep_for_ever() -> None:
    while True:
        time.sleep(60)


def spawn_tree() -> None:
    """EngineCore with a worker, and one that left session and parent behind."""
    if os.fork() == 0:
        become("VLLM::EngineCore")
        if os.fork() == 0:
            become("VLLM::Worker_TP0")
        sleep_for_ever()
    between = os.fork()
    if between == 0:
        os.setsid()
        if os.fork() == 0:
            become("VLLM::Worker_TP1")
            sleep_for_ever()
        os._exit(0)
    os.waitpid(between, 0)


class Handler(BaseHTTPRequestHandler):
    pending = 0
    generated = 0

    def do_GET(self) -> None:
        if self.path == "/health":
            self.answer(200, None)
        elif self.path == "/metrics":
            self.answer(200, self.metrics(), raw=True)
        elif self.allowed():
            self.answer(200, {"data": [{"id": served_name()}]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if not self.allowed():
            return
        if "FAKE_DIE_AT_COMPLETION" in os.environ:
            os.kill(os.getpid(), signal.SIGILL)
        Handler.pending += 1
        while os.path.exists(os.environ.get("FAKE_HANG_FILE", "")):
            time.sleep(0.1)
        Handler.pending -= 1
        Handler.generated += 8
        text = "" if "FAKE_EMPTY_COMPLETION" in os.environ else " the lazy dog."
        self.answer(200, {"choices": [{"text": text}]})

    def allowed(self) -> bool:
        key = os.environ.get("VLLM_API_KEY")
        if key is None or self.headers.get("Authorization") == f"Bearer {key}":
            return True
        self.answer(401, {"error": "Unauthorized"})
        return False

    def metrics(self) -> str:
        label = 'engine="0",model_name="tiny"'
        return (
            "# TYPE vllm:num_requests_running gauge\n"
            f"vllm:num_requests_running{{{label}}} {Handler.pending}.0\n"
            f"vllm:num_requests_waiting{{{label}}} 0.0\n"
            f"vllm:kv_cache_usage_perc{{{label}}} 0.25\n"
            f"vllm:generation_tokens_total{{{label}}} {Handler.generated}.0\n"
        )

    def answer(self, status: int, body: object, raw: bool = False) -> None:
        content = str(body).encode() if raw else b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


def served_name() -> str:
    return option("--served-model-name", option("--model"))


def swallow_first(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def main() -> None:
    if "FAKE_SWALLOW_SIGTERM" in os.environ:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "FAKE_SWALLOW_FIRST" in os.environ:
        signal.signal(signal.SIGTERM, swallow_first)
    say(f"non-default args: {{'model': '{option('--model')}'}}")
    if "FAKE_NO_CHILDREN" not in os.environ:
        spawn_tree()
    say("Resolved architecture: LlamaForCausalLM")
    print("\rLoading safetensors checkpoint shards:  50% Completed | 1/2 [00:00<00:00]", flush=True)
    time.sleep(float(os.environ.get("FAKE_START_SECONDS", "0.3")))
    if "FAKE_LOG_FILE" in os.environ:
        with open(os.environ["FAKE_LOG_FILE"]) as stream:
            print(stream.read(), flush=True)
    if "FAKE_DIE_WITH" in os.environ:
        os._exit(int(os.environ["FAKE_DIE_WITH"]))
    say(f"Starting vLLM server on http://{option('--host')}:{option('--port')}")
    ThreadingHTTPServer((option("--host"), int(option("--port"))), Handler).serve_forever()


if __name__ == "__main__":
    main()
