# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A failure cause that is added as CONTRIBUTING.md says is known to all who explain failures.

It is added to a copy of the checkout: one entry and one excerpt.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hanging import HANGS_AFTER_SECONDS
from tests.tools import tree

CAUSE = "lid_open"
ENTRY_IN = "plugins/module_utils/serving/failures/ports.py"
EXCERPT = f"tests/unit/serving/fixtures/{CAUSE}/closing.log"
AFTER = "PORTS = (\n"
ENTRY = f"""    Failure(
        "{CAUSE}",
        (r"the lid of bay \\d+ is open",),
        "A lid of the host is open.",
        "Close it, or take another host.",
        "port",
        ENGINE_ARGUMENTS,
    ),
"""
LOG = """source: a test
vllm: none, a test
---
RuntimeError: the lid of bay 7 is open
"""
#: What holds for every cause, and what deploy, evidence, status and recover tell of this one.
RULES = (
    "tests/unit/serving/test_diagnosis.py::test_every_entry_of_the_catalogue_is_shown_to_work",
    "tests/unit/serving/test_diagnosis.py::"
    f"test_a_cause_that_was_once_found_is_still_found[{CAUSE}/closing]",
    "tests/unit/plugins/test_one_explanation.py::test_a_new_cause_is_one_entry_and_one_excerpt",
    "tests/unit/plugins/test_one_explanation.py::"
    f"test_every_failure_has_the_same_cause_whoever_is_asked[{CAUSE}/closing]",
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this one."""
    return tree.checkout(tmp_path_factory.mktemp("second-cause") / "checkout")


def run(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A module of Python's in the copy."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=checkout,
        env={**own, "PYTHONPATH": "collections"},
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER_SECONDS,
        check=False,
    )


def test_a_new_cause_is_the_two_files_that_contributing_lists(checkout: Path) -> None:
    page = (tree.REPOSITORY / "CONTRIBUTING.md").read_text().split("## Add a failure cause\n")[1]
    page = page.split("\n## ")[0]
    assert len(re.findall(r"^\d\. One ", page, re.MULTILINE)) == 2
    assert len(re.findall(r"^\d\. ", page, re.MULTILINE)) == 2
    entries = checkout / ENTRY_IN
    text = entries.read_text()
    assert text.count(AFTER) == 1
    entries.write_text(text.replace(AFTER, AFTER + ENTRY))

    alone = run(checkout, "tests.diagnosis")
    assert alone.returncode == 1
    assert f"missing: {CAUSE} has no excerpt" in alone.stdout

    excerpt = checkout / EXCERPT
    excerpt.parent.mkdir()
    excerpt.write_text(LOG)
    both = run(checkout, "tests.diagnosis")
    assert both.returncode == 0, both.stdout + both.stderr
    known = json.loads(alone.stdout.splitlines()[-1].removeprefix("RESULT "))
    told = json.loads(both.stdout.splitlines()[-1].removeprefix("RESULT "))
    assert (told["causes"], told["excerpts"]) == (known["causes"], known["excerpts"] + 1)

    rules = run(checkout, "pytest", "-q", "-n", "0", "--tb=short", *RULES)
    assert rules.returncode == 0, rules.stdout + rules.stderr
    assert f"{len(RULES)} passed" in rules.stdout
