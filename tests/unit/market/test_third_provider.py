# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A provider that is added as CONTRIBUTING.md says is three files, and is held to the contract.

One that there is gets another name in a copy of the checkout: its file, its routes and its lines of
the registry. `make docs` writes the rest.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.hanging import HANGS_AFTER_SECONDS
from tests.tools import tree

OLD, NEW = ("TensorDock", "tensordock", "TENSORDOCK"), ("CopyDock", "copydock", "COPYDOCK")
#: Some clauses of each kind: the whole suite runs for the one that there is.
CLAUSES = "lost or gone or twice"


def renamed(text: str) -> str:
    """The words of the one as those of the other."""
    for old, new in zip(OLD, NEW, strict=True):
        text = text.replace(old, new)
    return text


def add(checkout: Path, path: str) -> None:
    """Do to a file of the table what it is for."""
    file = checkout / path.replace("<name>", NEW[1])
    if "<name>" in path:
        file.write_text(renamed((checkout / path.replace("<name>", OLD[1])).read_text()))
        return
    lines = file.read_text().splitlines(keepends=True)
    own = [line for line in lines if OLD[0] in line]
    assert len(own) == 2
    file.write_text("".join(renamed(line) + line if line in own else line for line in lines))


def run(checkout: Path, *words: str) -> str:
    """What a module of Python's prints in the copy."""
    # Settings of Ansible's lead to the collection of the checkout that this test is of.
    others = ("PYTEST_", "ANSIBLE_")
    own = {key: value for key, value in os.environ.items() if not key.startswith(others)}
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=checkout,
        env={**own, "PYTHONPATH": "collections"},
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def touched(checkout: Path) -> set[str]:
    """The files that differ from what git has."""
    status = ["git", "status", "--porcelain", "--untracked-files=all"]
    told = subprocess.run(status, cwd=checkout, capture_output=True, text=True, check=True).stdout
    return {line[3:] for line in told.splitlines()}


def test_a_provider_under_another_name_is_the_files_that_contributing_lists(tmp_path: Path) -> None:
    checkout = tree.checkout(tmp_path / "checkout")
    subprocess.run(["git", "add", "--all"], cwd=checkout, check=True)
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", *who, "commit", "--quiet", "-m", "."], cwd=checkout, check=True)

    page = (checkout / "CONTRIBUTING.md").read_text().split("## Add a provider\n")[1]
    table = re.findall(r"^\| `([^`]+)` \|", page.split("\n## ")[0], re.MULTILINE)
    assert len(table) == 3
    for path in table:
        add(checkout, path)
    assert touched(checkout) == {path.replace("<name>", NEW[1]) for path in table}

    for written in ("provider_table", "market_fragment"):
        run(checkout, f"tests.tools.{written}")
    seam = "tests/unit/market/test_seam.py"
    rules = run(checkout, "pytest", "-q", "-n", "0", seam, "-k", f"{NEW[1]} or document or words")
    assert re.search(r"\d+ passed", rules)
    suite = run(
        checkout,
        "pytest",
        "-q",
        "-n",
        "0",
        "tests/unit/market/conformance/test_clauses.py",
        "-k",
        f"{NEW[1]} and ({CLAUSES})",
    )
    assert int(re.findall(r"(\d+) passed", suite)[0]) >= 10, suite
    options = json.loads(
        run(checkout, "ansible", "doc", "-t", "module", "--json", "inferops.gpu.rental")
    )
    told = options["inferops.gpu.rental"]["doc"]["options"]
    assert NEW[1] in told["provider"]["choices"]
