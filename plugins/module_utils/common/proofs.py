# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What proves that a model serves which writes no text: a vector, scores, classes or rewards.

They are asked for only where the server says that it has no route for completions. vLLM has each
route for the models that can answer it, and says 404 or 501 for the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Callable, NamedTuple

PROMPT = "The quick brown fox jumps over the lazy dog."
_NO_ROUTE = (404, 405, 501)


class Proof(NamedTuple):
    """A route, what is asked there of a model of this name, and the answer in words.

    `read` raises ValueError for an answer that proves nothing.
    """

    path: str
    question: Callable[[str], dict[str, Any]]
    read: Callable[[Any], str]


def has_no_route(status: int, body: str) -> bool:
    """Whether a server says that its model does not answer such questions."""
    return status in _NO_ROUTE or (status == 400 and "does not support" in body)


def _reads(key: str, words: str) -> Callable[[Any], str]:
    """Reads the numbers that stand under *key* in an answer, and says how many of what."""

    def read(answer: Any) -> str:
        try:
            vector = answer["data"][0][key]
        except (KeyError, IndexError, TypeError) as error:
            raise ValueError("there is no vector in it") from error
        # Of each token one, where nothing is pooled over them.
        if isinstance(vector, list) and vector and isinstance(vector[0], list):
            vector = vector[0]
        if not _are_numbers(vector) or not any(vector):
            raise ValueError("its vector holds no numbers but 0")
        return words.format(len(vector))

    return read


def _scores(answer: Any) -> str:
    try:
        scores = [result["relevance_score"] for result in answer["results"]]
    except (KeyError, TypeError) as error:
        raise ValueError("there are no scores in it") from error
    if not _are_numbers(scores):
        raise ValueError("its scores are no numbers")
    return f"scores {', '.join(f'{score:.3g}' for score in scores)}"


def _are_numbers(values: Any) -> bool:
    return (
        isinstance(values, Sequence)
        and not isinstance(values, str)
        and len(values) > 0
        and all(type(value) in (int, float) and math.isfinite(value) for value in values)
    )


def _input(name: str) -> dict[str, Any]:
    return {"model": name, "input": PROMPT}


#: In the order in which they are tried.
OTHER_PROOFS = (
    Proof("/v1/embeddings", _input, _reads("embedding", "a vector of {} numbers")),
    Proof(
        "/v1/rerank",
        lambda name: {"model": name, "query": "animals", "documents": [PROMPT, "A number."]},
        _scores,
    ),
    # What tells classes, and what gives rewards or something of each token.
    Proof("/classify", _input, _reads("probs", "{} probabilities")),
    Proof("/pooling", _input, _reads("data", "{} numbers")),
)
