# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rented host that serves a GGUF file with llama.cpp: a real one, on the host's CPU."""

from __future__ import annotations

import re
from typing import Any

import pytest
import requests

from tests.hanging import HANGS_AFTER_SECONDS
from tests.integration.plays import Controller
from tests.rig import tiny_gguf

ONE = ("--limit", "gpu-1,localhost")
MODEL = "inferops/tiny-llama-GGUF"
WISH: dict[str, Any] = {
    "inferops_engine": "llama_cpp",
    "inferops_model": MODEL,
    "inferops_server_api_key": "key-of-clients",
    "inferops_server_arguments": {"ctx_size": 512, "parallel": 1},
    "inferops_server_environment": {},
}


@pytest.mark.long
def test_a_gguf_file_is_served_by_llama_cpp_from_renting_to_teardown(
    controller: Controller,
) -> None:
    def play(name: str, *arguments: str, **variables: Any) -> str:
        run = controller.play(name, *ONE, *arguments, **{**WISH, **variables})
        assert run.status == 0, run.output[-5000:]
        return run.message()

    refused = controller.play(
        "deploy", *ONE, **{**WISH, "inferops_server_arguments": {"max_model_len": 512}}
    )
    assert "there is no option --max-model-len" in refused.message()
    assert "Plan: llama.cpp b" in play("deploy", "--check")
    assert controller.creates() == []

    deployed = play("deploy")
    (url,) = set(re.findall(r"Endpoint: (http://127\.0\.0\.1:\d+/v1) serves", deployed))
    question = {"model": MODEL, "prompt": "the quick", "max_tokens": 8, "temperature": 0}

    def ask(key: str, path: str = "/completions", **body: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {key}"}
        return requests.post(
            f"{url}{path}", json={**question, **body}, headers=headers, timeout=HANGS_AFTER_SECONDS
        )

    assert ask("another").status_code == 401
    answer = ask("key-of-clients").json()["choices"][0]["text"]
    assert set(answer.split()) <= set(tiny_gguf.WORDS)

    again = play("deploy")
    assert "all is as asked, and a completion came back" in again
    assert set(re.findall(r"changed=(\d+)", again)) == {"0"}
    shown = play("status")
    assert re.search(r"gpu-1/vllm: running, [^;]*; \S+-Q4_K_M.gguf on port 8000", shown), shown

    # Another quantisation is another file, so the server that has the first is replaced.
    other = play("deploy", model_cache_include=["*Q8_0*"])
    assert set(re.findall(r"gpu-1 : .*?changed=(\d+)", other)) != {"0"}
    assert ask("key-of-clients").status_code == 200

    down = play("teardown")
    assert "Server: stopped, proven. Tunnel: closed." in down
    assert controller.rentals() == []
