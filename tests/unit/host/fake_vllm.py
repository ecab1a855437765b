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
  FAKE_EXIT_CLEANLY      SIGTERM ends it with status 0, as it ends vLLM
  FAKE_EMPTY_COMPLETION  completions hold no text
  FAKE_DIE_AT_COMPLETION the first completion kills it by SIGILL
  FAKE_NO_CHILDREN       the main process only
  FAKE_HANG_FILE         while this file exists completions never come, and health stays green
  FAKE_SHARED_MEMORY     a word: main process and engine hold shared memory, a semaphore and a
                         socket named after it, and a System V segment, and never remove them
  FAKE_WORKER_PORT       its processes share a socket that listens there, at the address that vLLM
                         takes among its workers
  FAKE_FLOOD_MIB         it numbers lines of its log, so many MiB of them, once it listens
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType

PR_SET_NAME = 15
KEPT: list[object] = []
NAMES = ("VLLM::EngineCore", "VLLM::Worker_TP0", "VLLM::Worker_TP1")


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


def share(name: str) -> None:
    """Hold shared memory under a name that Python gives, a semaphore, and one under an odd name."""
    word = os.environ.get("FAKE_SHARED_MEMORY")
    if not word:
        return
    for file in (f"psm_{word}_{name}", f"sem.{word}_{name}", f"{word}_{name}_odd"):
        with open(f"/dev/shm/{file}", "wb+") as stream:
            stream.truncate(4096)
            KEPT.append(mmap.mmap(stream.fileno(), 4096))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.path.join(tempfile.gettempdir(), f"{word}_{name}.sock"))
    listener.listen()
    KEPT.append(listener)
    say(f"System V segment {ctypes.CDLL(None).shmget(0, 4096, 0o1600)}")


def spawn_tree() -> None:
    """EngineCore with a worker, and one that left session and parent behind."""
    if os.fork() == 0:
        become(NAMES[0])
        share("engine")
        if os.fork() == 0:
            become(NAMES[1])
        sleep_for_ever()
    between = os.fork()
    if between == 0:
        os.setsid()
        if os.fork() == 0:
            become(NAMES[2])
            sleep_for_ever()
        os._exit(0)
    os.waitpid(between, 0)


class Handler(BaseHTTPRequestHandler):
    key_variable = "VLLM_API_KEY"
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
            sleep_for_ever()  # another thread may be the one that takes the signal
        Handler.pending += 1
        while os.path.exists(os.environ.get("FAKE_HANG_FILE", "")):
            time.sleep(0.1)
        Handler.pending -= 1
        Handler.generated += 8
        text = "" if "FAKE_EMPTY_COMPLETION" in os.environ else " the lazy dog."
        self.answer(200, {"choices": [{"text": text}]})

    def allowed(self) -> bool:
        key = os.environ.get(self.key_variable)
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


HANDLER = Handler


def flood(mib: int) -> None:
    """Lines of 64 bytes, each with its number."""
    for number in range(mib * 1024 * 1024 // 64):
        os.write(1, f"line {number:10d} ".ljust(63, "x").encode() + b"\n")
    say("the flood is over")


def served_name() -> str:
    return option("--served-model-name", option("--model"))


def swallow_first(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def exit_cleanly(number: int, frame: FrameType | None) -> None:
    os._exit(0)


def main() -> None:
    if "FAKE_EXIT_CLEANLY" in os.environ:
        signal.signal(signal.SIGTERM, exit_cleanly)
    if "FAKE_SWALLOW_SIGTERM" in os.environ:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "FAKE_SWALLOW_FIRST" in os.environ:
        signal.signal(signal.SIGTERM, swallow_first)
    say(f"non-default args: {{'model': '{option('--model')}'}}")
    share("main")
    if "FAKE_WORKER_PORT" in os.environ:
        address = os.environ.get("VLLM_HOST_IP") or "0.0.0.0"
        KEPT.append(socket.create_server((address, int(os.environ["FAKE_WORKER_PORT"]))))
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
    server = ThreadingHTTPServer((option("--host"), int(option("--port"))), HANDLER)
    if "FAKE_FLOOD_MIB" in os.environ:
        mib = int(os.environ["FAKE_FLOOD_MIB"])
        threading.Thread(target=flood, args=(mib,), daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
