# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server of the stand-in engine: the habits of fake_vllm.py, told by the same variables, behind
a command line, routes, a key and log lines of its own. vLLM's routes are unknown to it.
"""

from __future__ import annotations

import sys

import fake_vllm

ROUTES = {"/ready": "/health", "/info": "/v1/models", "/generate": "/v1/completions"}


class Handler(fake_vllm.Handler):
    def do_GET(self) -> None:
        if self.path == "/stats":
            figures = {"busy": self.pending_now(), "written": fake_vllm.Handler.generated}
            fake_vllm.Handler.answer(self, 200, figures)
        elif self.known():
            super().do_GET()

    def do_POST(self) -> None:
        if self.known():
            super().do_POST()

    def known(self) -> bool:
        route = ROUTES.get(self.path)
        if route is None:
            self.send_error(404)
            return False
        self.path = route
        return True

    def pending_now(self) -> int:
        return fake_vllm.Handler.pending

    def answer(self, status: int, body: object, raw: bool = False) -> None:
        if isinstance(body, dict) and "data" in body:
            body = {"called": body["data"][0]["id"]}
        elif isinstance(body, dict) and "choices" in body:
            body = {"text": body["choices"][0]["text"]}
        super().answer(status, body, raw)


def say(text: str) -> None:
    """Lines that only the stand-in's engine can read, beside those that tests look for."""
    print(f"[stand-in] {text}", flush=True)
    if text.startswith("Resolved architecture"):
        print("stage: loading weights 1/2", flush=True)


def main() -> None:
    """Behave as the other fake does with these options."""
    given = sys.argv[1:]
    bind = given[given.index("--bind") + 1]
    host, _colon, port = bind.rpartition(":")
    called = given[given.index("--called") + 1]
    sys.argv[1:] = ["--model", given[1], "--host", host, "--port", port]
    sys.argv += ["--served-model-name", called]
    fake_vllm.Handler.key_variable = "STAND_IN_KEY"
    fake_vllm.HANDLER = Handler
    fake_vllm.say = say
    fake_vllm.NAMES = ("standin-core", "standin-work0", "standin-work1")
    fake_vllm.main()


if __name__ == "__main__":
    main()
