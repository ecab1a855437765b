# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table against recorded metadata of releases, and what the comparison says of a change."""

from __future__ import annotations

import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm import releases
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.releases import (
    SERIES,
    Series,
)
from tests.matrix.wheels import RELEASES
from tests.tools import compatibility
from tests.tools.compatibility import differences, written

ROWS = {version: row for row in SERIES if row.accelerator == "cuda" for version in row.versions}


def report(version: str, **changes: Any) -> dict[str, Any]:
    """What pip reports of a release, from its recorded metadata."""
    release = {**RELEASES["vllm"][version], **changes}
    url = f"https://index.example/vllm-{version}-{release['tag']}.whl"
    metadata = {"version": version, **release}
    return {"install": [{"metadata": metadata, "download_info": {"url": url}}]}


@pytest.mark.parametrize("version", RELEASES["vllm"])
def test_the_table_says_what_the_release_declares(version: str) -> None:
    assert differences(version, ROWS[version], report(version)) == []


def test_a_release_that_the_table_lacks_is_shown_with_what_it_needs() -> None:
    (line,) = differences("0.32.0", None, report("0.32.0"))
    assert "not in the table" in line
    assert "torch 2.13.0" in line


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"torch": "2.9.0"}, "torch is 2.9.0 in the table, the release declares 2.13.0"),
        ({"numpy": "numpy<2"}, "numpy 2 is False"),
        ({"ray": True}, "ray is True"),
        ({"python": ">=3.9,<3.15"}, "Python >=3.9,<3.15"),
        ({"glibc": "2.17"}, "glibc 2.17"),
        (
            {"transformers": "transformers<5"},
            "transformers<5, the release declares <5.20.0,>=5.16.1",
        ),
    ],
)
def test_each_difference_is_named(change: dict[str, Any], said: str) -> None:
    row: Series = replace(ROWS["0.32.0"], **change)
    (line,) = differences("0.32.0", row, report("0.32.0"))
    assert said in line


def test_a_transformers_that_nobody_caps_is_named() -> None:
    row = replace(ROWS["0.30.0"], transformers="")
    (line,) = differences("0.30.0", row, report("0.30.0"))
    assert "neither the table nor the release caps transformers (>=5.10.4)" in line


def rows_after(reports: dict[str, dict[str, Any]]) -> dict[str, Series]:
    """The rows of the table that is written with these reports, by version."""
    source = written(Path(releases.__file__).read_text(), reports)
    table = types.ModuleType(releases.__name__)
    exec(compile(source, "releases.py", "exec"), table.__dict__)
    rows = [row for row in table.SERIES if row.accelerator == "cuda"]
    assert next(row for row in rows if row.resolved).resolved == "0.33.0"
    return {version: row for row in rows for version in row.versions}


KNOWN = {version: report(version) for version in RELEASES["vllm"]}


def test_what_already_says_the_same_is_written_as_it_was() -> None:
    assert (
        written(Path(releases.__file__).read_text(), KNOWN) == Path(releases.__file__).read_text()
    )


def test_a_new_release_joins_the_row_that_says_the_same() -> None:
    rows = rows_after({**KNOWN, "0.33.1": report("0.33.0")})
    assert rows["0.33.1"].versions == ("0.33.1", "0.33.0")
    assert rows["0.33.1"].torch == "2.14.0"


def test_another_torch_begins_a_row_that_auto_leaves_alone() -> None:
    wants = [
        "torch==2.15.0" if line.startswith("torch==") else line
        for line in RELEASES["vllm"]["0.33.0"]["requires_dist"]
    ]
    rows = rows_after({**KNOWN, "0.34.0": report("0.33.0", requires_dist=wants)})
    new = rows["0.34.0"]
    assert (new.torch, new.python, new.resolved) == ("2.15.0", ">=3.11,<3.15", "")
    assert [build.backend for build in new.builds] == ["cu130"]
    assert "to be proven" in new.source
    assert rows["0.33.0"].versions == ("0.33.0",)


def test_a_column_is_corrected_where_all_releases_of_its_row_say_the_same() -> None:
    def with_torch(version: str, torch: str) -> dict[str, Any]:
        lines = RELEASES["vllm"][version]["requires_dist"]
        wants = [f"torch=={torch}" if line.startswith("torch==") else line for line in lines]
        return report(version, requires_dist=wants)

    rows = rows_after({**KNOWN, "0.33.0": with_torch("0.33.0", "2.14.1")})
    assert rows["0.33.0"].torch == "2.14.1"
    # One of several says otherwise: the row has to be divided, by a person.
    rows = rows_after({**KNOWN, "0.31.0": with_torch("0.31.0", "2.13.1")})
    assert rows["0.31.0"].torch == "2.13.0"


def test_how_far_it_is_is_told_while_releases_are_looked_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = [version for version in RELEASES["vllm"] if version not in ROWS[version].gone][:12]
    monkeypatch.setattr(compatibility, "_lookups", lambda: [(one, ROWS[one]) for one in known])
    monkeypatch.setattr(compatibility, "report_of", report)
    assert compatibility.main([]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "… 5 of 12 releases",
        "… 10 of 12 releases",
        "The table says what the releases declare.",
    ]
