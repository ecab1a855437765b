# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sample of what `make fit` holds to published sizes, and what it is made of."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.serving.architecture import (
    quantization,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.packing import method_of
from ansible_collections.inferops.gpu.plugins.module_utils.serving.weights import estimate_weights
from tests.fit.judging import HERE, config_of, judge, judge_log, lines, size_of

MODELS = lines("models.jsonl")
BY_NAME = {entry["model"]: entry for entry in MODELS}
#: Long ones name every module of every layer, and take a second each.
SHORT = [entry for entry in MODELS if len(str(entry)) < 3000][::5]


@pytest.mark.parametrize("entry", SHORT, ids=lambda entry: str(entry["model"]))
def test_the_estimate_of_a_real_model_is_within_its_stated_range(entry: dict[str, Any]) -> None:
    assert [found for found in judge(entry) if found.kind != "unknown"] == []


@pytest.mark.parametrize("log", lines("logs.jsonl"), ids=lambda log: str(log["source"]))
def test_servers_held_what_is_computed(log: dict[str, Any]) -> None:
    assert list(judge_log(log, config_of(BY_NAME[log["model"]]))) == []


def test_a_size_that_is_outside_of_the_range_is_found() -> None:
    entry = BY_NAME["HuggingFaceTB/SmolLM3-3B"]
    size = entry["size"]["value"]
    for off, kinds in ((1.0, []), (1.05, ["outside"]), (2.0, ["wrong"])):
        odd = {**entry, "size": {**entry["size"], "value": int(size * off)}}
        assert [found.kind for found in judge(odd)] == kinds
    config = config_of(entry)
    assert size_of(entry, config, estimate_weights(config)) == pytest.approx(size, rel=1e-4)


def test_every_model_is_listed_once_with_where_it_is_from() -> None:
    listed = (HERE / "listed.txt").read_text().splitlines()
    assert listed == [entry["model"] for entry in MODELS]
    assert len(set(listed)) == len(listed) >= 120
    for entry in MODELS:
        assert entry["source"]
        assert "size" not in entry or entry["size"]["source"]
    methods = {method_of(quantization(config_of(entry))) for entry in MODELS}
    usual = {"fp8", "gptq", "awq", "bitsandbytes", "compressed-tensors", "modelopt", "mxfp4"}
    assert usual <= methods
