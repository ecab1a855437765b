# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command lines that people publish mean to vLLM what they mean when they are written as variables.

The files beside recipes.yml hold what vLLM's own parsers said; `make recipes` asks them.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.common.engines.vllm.words import (
    canonical,
    options_of,
    read,
    words,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.unknown import (
    unknown_options,
)
from tests.tools.recipes import FOLDER, published, recipes, rendered

RELEASES = ("0.32.0", "0.33.0")
LEAST = 25
RECIPES = recipes()


def said(release: str) -> dict[str, Any]:
    """What the parser of a release said."""
    found: dict[str, Any] = json.loads((FOLDER / f"{release}.json").read_text())
    return found


@pytest.mark.parametrize("release", RELEASES)
def test_a_published_line_is_written_as_the_parser_has_read_it(release: str) -> None:
    lines = said(release)["lines"]
    assert [rendered(recipe, release) for recipe in RECIPES] == [one["ours"] for one in lines]
    public = [
        one["parsed"]
        for one, recipe in zip(lines, RECIPES, strict=True)
        if not recipe["source"].startswith("nowhere") and "refused" not in one["parsed"]
    ]
    assert len(public) >= LEAST


@pytest.mark.parametrize("release", RELEASES)
def test_no_published_line_is_refused_before_it_is_rented_for(release: str) -> None:
    for recipe in RECIPES:
        extra_args = published(recipe)[1:]
        assert list(unknown_options(recipe["arguments"], extra_args, [release])) == []


@pytest.mark.parametrize("release", RELEASES)
def test_what_is_read_of_a_line_is_what_was_given(release: str) -> None:
    options = options_of(release)
    for recipe in RECIPES:
        line = words(recipe["arguments"], options)
        back = read(line, options)
        assert (back.unknown, back.loose) == ([], [])
        assert read(words(back.arguments, options), options) == back
        assert all(canonical(name, options) == name for name in back.arguments)


@pytest.mark.parametrize("release", RELEASES)
def test_the_table_has_the_options_of_the_real_parser(release: str) -> None:
    options = options_of(release)
    real = {name: kind for name, kind in said(release)["options"].items() if "help" not in name}
    real.pop("-h")
    assert options.names == sorted(real)
    alike = {"json": "value", "commas": "value"}
    for name, kind in real.items():
        ours = options.find(name).option.kind
        assert alike.get(ours, ours) == kind, name
