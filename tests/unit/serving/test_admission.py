# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many requests an engine behind a proxy is sent, and may hold."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.common.engines.vllm.words import having
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.knowledge import (
    USUAL_CONNECTIONS,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.registry import knowledge
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.admission import (
    behind_proxy,
)

STACK = {"vllm_version": "0.33.0"}


@pytest.mark.parametrize(
    ("arguments", "words", "seats"),
    [
        ({}, [], USUAL_CONNECTIONS),
        ({"max_num_seqs": 16}, [], 16),
        ({"max-num-seqs": "1k"}, [], 1000),
        ({"max_num_seqs": 16}, ["--max-num-seqs", "8"], 8),
        ({"max_num_seqs": 16, "data_parallel_size": 2}, [], 32),
    ],
)
def test_it_is_sent_as_many_as_it_works_on_at_once(
    arguments: dict[str, Any], words: list[str], seats: int
) -> None:
    assert behind_proxy(arguments, words, {}).max_connections == seats


def test_it_holds_a_bounded_number_where_its_release_can_and_else_none_is_set() -> None:
    """The first release with such an option is the table's to say."""
    able = set(having("--max-num-queued-reqs"))
    assert "0.29.0" in able
    assert "0.28.0" not in able
    for release in ("0.28.0", "0.29.0", "0.33.0"):
        told = behind_proxy({"max_num_seqs": 100}, [], {"vllm_version": release})
        assert told.arguments == ({"max_num_queued_reqs": 400} if release in able else {})
    few = behind_proxy({"max_num_seqs": 4}, [], STACK)
    assert few == (4, {"max_num_queued_reqs": 256}), "a batch of prompts is one request"
    for release in (None, "", "0.99.0"):
        assert behind_proxy({}, [], {"vllm_version": release}).arguments == {}


@pytest.mark.parametrize(
    ("arguments", "words", "seats"),
    [
        ({}, [], 4),
        ({"parallel": 2}, [], 2),
        ({"parallel": 2}, ["-np", "8"], 8),
        ({"parallel": -1}, [], 4),
    ],
)
def test_llama_cpp_gets_as_many_as_it_has_slots(
    arguments: dict[str, Any], words: list[str], seats: int
) -> None:
    assert knowledge("llama_cpp").admission(arguments, words, {}) == (seats, {})


def test_of_another_engine_nothing_is_known() -> None:
    assert knowledge("stand_in").admission({"max_num_seqs": 4}, [], STACK) == (
        USUAL_CONNECTIONS,
        {},
    )
