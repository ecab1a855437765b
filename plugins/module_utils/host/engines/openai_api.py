# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of a server that speaks OpenAI's API, and the only one that counts: a completion.

`/health` says 200 with a hung engine and before a worker dies of an illegal instruction, and
`/v1/models` never touches the model. So a server is ready when it has written some text; one whose
model writes none, when it has made a vector of some text or ranked it.
"""

from __future__ import annotations

from typing import Any

from ...common.proofs import OTHER_PROOFS
from .client import Client, NoRoute, NotYet

PROMPT = "The quick brown fox jumps over"
MAX_TOKENS = 8


def ask(check: str, client: Client, name: str, seconds: float) -> str:
    """See Engine.ask."""
    if check == "health":
        client.call("GET", "/health", seconds=seconds)
    elif check == "model":
        _require_model(client.call("GET", "/v1/models", seconds=seconds), name)
    else:
        return _answer(client, name, seconds)
    return ""


def _answer(client: Client, name: str, seconds: float) -> str:
    """What the model made of some text, by the first of these routes that the server has."""
    body = {"model": name, "prompt": PROMPT, "max_tokens": MAX_TOKENS, "temperature": 0}
    try:
        return _text(client.call("POST", "/v1/completions", body, seconds))
    except NoRoute as error:
        refused = error
    for proof in OTHER_PROOFS:
        try:
            return proof.read(client.call("POST", proof.path, proof.question(name), seconds))
        except NoRoute:
            continue
        except ValueError as error:
            raise NotYet(f"{proof.path} answered, and {error}") from error
    raise refused


def _require_model(answer: Any, name: str) -> None:
    try:
        listed = [n for entry in answer["data"] for n in (entry["id"], *entry.get("aliases", ()))]
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
