# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of a server that speaks OpenAI's API, and the only one that counts: a completion.

`/health` says 200 with a hung engine and before a worker dies of an illegal instruction, and
`/v1/models` never touches the model. So a server is ready when it has written some text.
"""

from __future__ import annotations

from typing import Any

from .client import Client, NotYet

PROMPT = "The quick brown fox jumps over"
MAX_TOKENS = 8


def ask(check: str, client: Client, name: str, seconds: float) -> str:
    """See Engine.ask."""
    if check == "health":
        client.call("GET", "/health", seconds=seconds)
    elif check == "model":
        _require_model(client.call("GET", "/v1/models", seconds=seconds), name)
    else:
        body = {"model": name, "prompt": PROMPT, "max_tokens": MAX_TOKENS, "temperature": 0}
        return _text(client.call("POST", "/v1/completions", body, seconds))
    return ""


def _require_model(answer: Any, name: str) -> None:
    try:
        listed = [entry["id"] for entry in answer["data"]]
    except (KeyError, TypeError) as error:
        raise NotYet("/v1/models answered with something else than a list of models") from error
    if name not in listed:
        raise NotYet(f"model {name!r} is not listed, only {listed}")


def _text(answer: Any) -> str:
    try:
        text = answer["choices"][0]["text"]
    except (KeyError, IndexError, TypeError) as error:
        raise NotYet("the completion has no text field") from error
    if not isinstance(text, str) or not text.strip():
        raise NotYet("the completion is empty")
    return text
