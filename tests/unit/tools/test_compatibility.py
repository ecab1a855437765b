# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table against recorded metadata of releases, and what the comparison says of a change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.serving.releases import SERIES, Series
from tests.matrix.wheels import RELEASES
from tests.tools.compatibility import differences

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
    ],
)
def test_each_difference_is_named(change: dict[str, Any], said: str) -> None:
    row: Series = replace(ROWS["0.32.0"], **change)
    (line,) = differences("0.32.0", row, report("0.32.0"))
    assert said in line
