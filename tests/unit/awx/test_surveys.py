# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an argument specification becomes a question, for every kind of variable that there is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.plugin_utils import variables
from tests.awx import configuration, rules
from tests.awx.__main__ import FOLDER, stale
from tests.awx.surveys import described, question, survey

SECRETS = sorted(filter(variables.is_secret, variables.options()))
OTHERS = sorted({*variables.options()} - {*SECRETS})


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_no_question(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is a secret"):
        question(name)


@pytest.mark.parametrize("name", OTHERS)
def test_every_other_variable_could_be_asked(name: str) -> None:
    assert rules.survey(survey("form", "", [question(name)])) == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("rent_max_price_usd_per_hour", ("Max price (dollars per hour)", "float", 2)),
        ("rent_gpu_count", ("GPU count", "integer", 1)),
        ("inferops_vllm_version", ("vLLM version", "text", "auto")),
        ("recover_apply", ("Apply", "multiplechoice", "false")),
        ("recover_allow", ("Allow", "multiselect", "model\ndownload\nstack")),
        ("inferops_server_arguments", ("Server arguments", "textarea", "{}")),
        ("recover_ladder", ("Ladder", "textarea", "[]")),
        ("model_cache_revision", ("Revision", "text", "main")),
        ("rent_countries", ("Countries", "text", None)),
        ("rent_vram_gib", ("VRAM (GiB)", "float", None)),
    ],
)
def test_a_question_is_in_the_words_of_awx(name: str, told: tuple[str, str, Any]) -> None:
    asked = question(name)
    assert (asked["question_name"], asked["type"], asked.get("default")) == told


def test_a_description_has_no_markup_and_says_how_to_write_the_answer() -> None:
    option = {
        "description": [
            "Options, as M(a.b.c) and P(a.b.d#role) take them (C(-e)), or O(main:x).",
            "-",
        ],
        "type": "list",
    }
    assert described(option) == "Options, as a.b.c and a.b.d take them (-e), or x. Comma-separated."
    assert "(" not in question("inferops_server_arguments")["question_description"]


def test_what_changes_in_a_specification_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert stale() == []
    option = variables.options()["rent_gpu_count"]
    monkeypatch.setitem(option, "default", 2)
    assert stale() == ["job_templates.yml", "workflows.yml"]


def test_a_file_that_nothing_makes_and_one_that_is_lacking_are_noticed(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "awx")
    (tmp_path / "awx/odd.yml").write_text("---\n")
    (tmp_path / "awx/schedules.yml").unlink()
    assert stale(tmp_path / "awx") == ["odd.yml", "schedules.yml"]


def test_a_form_that_does_not_ask_what_its_playbook_requires_is_no_form(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(configuration.FORMS["templates"]["extend"], "asks", ["extend_shorten"])
    with pytest.raises(ValueError, match="extend does not ask for extend_hours"):
        configuration.questions("extend")
