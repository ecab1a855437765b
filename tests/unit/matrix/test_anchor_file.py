# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of anchor cells: each says where it comes from, and none says something unheard."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

FILE = Path(__file__).parents[2] / "matrix" / "anchors.yml"
Anchor = dict[str, Any]
ANCHORS: list[Anchor] = yaml.safe_load(FILE.read_text())["anchors"]

FEWEST = 40
DRIVERS = {"470", "525", "535", "550", "570", "580", "newest"}
GENERATIONS = {
    "pascal",
    "volta",
    "turing",
    "ampere",
    "ada",
    "hopper",
    "blackwell",
    "b200",
    "b300",
    "gb10",
}
ALWAYS = {"id", "driver", "generation", "wish", "expected", "source"}
ALLOWED = {
    "runs": ALWAYS | {"cuda_major", "min_vllm", "max_vllm", "torch", "numpy_below"},
    "impossible": ALWAYS | {"says"},
}
VERSION = re.compile(r"\d+(\.\d+)*(\.post\d+)?")
SOURCE = re.compile(r"https://\S+|\b[\w./-]+#\d+|\bmetadata of vLLM \d")


def by_id(anchor: Anchor) -> str:
    return str(anchor["id"])


def test_there_are_enough_to_judge_by() -> None:
    assert len(ANCHORS) >= FEWEST


def test_no_name_and_no_cell_is_given_twice() -> None:
    for key in (("id",), ("driver", "generation", "wish")):
        counted = Counter(tuple(anchor[part] for part in key) for anchor in ANCHORS)
        assert [named for named, times in counted.items() if times > 1] == []


def test_every_driver_and_every_generation_is_judged() -> None:
    assert {anchor["driver"] for anchor in ANCHORS} == DRIVERS
    assert {anchor["generation"] for anchor in ANCHORS} == GENERATIONS


@pytest.mark.parametrize("anchor", ANCHORS, ids=by_id)
def test_an_anchor_says_only_what_the_format_knows(anchor: Anchor) -> None:
    assert ALWAYS <= set(anchor) <= ALLOWED[anchor["expected"]]
    assert anchor["wish"] == "auto" or VERSION.fullmatch(anchor["wish"])
    assert anchor["id"] == f"{anchor['driver']}-{anchor['generation']}-{anchor['wish']}"
    for key in ("min_vllm", "max_vllm", "torch", "numpy_below"):
        assert key not in anchor or VERSION.fullmatch(anchor[key]), key
    assert anchor.get("cuda_major", 12) in {12, 13}
    assert all(isinstance(word, str) and word for word in anchor.get("says", []))


@pytest.mark.parametrize("anchor", ANCHORS, ids=by_id)
def test_an_anchor_says_where_it_comes_from(anchor: Anchor) -> None:
    assert SOURCE.search(anchor["source"])
