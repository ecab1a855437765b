# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kind of service that is added as CONTRIBUTING.md says passes the rules of this repository.

The stand-in for an exporter is added to a copy of the checkout, by the files of the table alone.
Where only what is its own was added, the rules name the shared files that are left.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tools import tree

HERE = Path(__file__).parent
MODULE = '''#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: exporter
description:
  - Keeps an exporter.
"""
'''


def _stand_in() -> str:
    """It lies one folder deeper than the file of the tests does."""
    text = (HERE / "host" / "stand_in_exporter.py").read_text()
    text = text.replace("from .", "from ..")
    return text.replace("host.stand_in_exporter", "host.exporter.exporter")


def _after(line: str, added: str) -> Callable[[str], str]:
    def add(text: str) -> str:
        assert text.count(line) == 1, line
        return text.replace(line, line + added)

    return add


def _whole(text: str) -> Callable[[str], str]:
    return lambda _nothing: text


PLACE = "| `plugins/module_utils/host/service/` |"
ARROW = "| `host.service` | `common`, `host.machine` |\n"
#: What is done to each file of the table, by its path there.
ADDED: dict[str, Callable[[str], str]] = {
    "plugins/module_utils/host/<name>/<name>.py": _whole(_stand_in()),
    "plugins/modules/<name>.py": _whole(MODULE),
    "plugins/action/<name>.py": _whole(
        (tree.REPOSITORY / "plugins/action/server_cleanup.py").read_text()
    ),
    "meta/runtime.yml": _after("    - model_server_info\n", "    - exporter\n"),
    "docs/architecture.md": lambda text: _after(
        ARROW, "| `host.exporter` | `host.engines`, `host.machine`, `host.service` |\n"
    )(text.replace(PLACE, f"| `plugins/module_utils/host/exporter/` | an exporter |\n{PLACE}")),
    "docs/reference.md": _after("`model_server`, `model_server_info`,", " `exporter`,"),
    "tests/unit/test_repository.py": _after('    "model_server_info",\n', '    "exporter",\n'),
}
OWN = [path for path in ADDED if "<name>" in path]
#: The rules that a new part and a new module have to keep.
RULES = (
    "tests/unit/test_arrows.py",
    "tests/unit/test_documents.py::test_the_reference_names_every_role_playbook_and_plugin",
    "tests/unit/test_documents.py::test_every_part_has_its_place_and_every_place_is_there",
    "tests/unit/test_repository.py::test_every_python_file_starts_with_the_licence_header",
    "tests/unit/test_repository.py::test_every_module_of_a_group_is_run_by_an_action_that_guards_it",
    "tests/unit/test_repository.py::test_every_module_is_in_exactly_one_action_group_or_listed_as_ungrouped",
    "tests/unit/test_repository.py::test_what_is_internal_to_the_roles_says_so_first",
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this one, which has the collection as this one has it."""
    return tree.checkout(tmp_path / "checkout")


def add(checkout: Path, path: str) -> None:
    """Do to a file what CONTRIBUTING says."""
    file = checkout / path.replace("<name>", "exporter")
    file.parent.mkdir(exist_ok=True)
    file.write_text(ADDED[path](file.read_text() if file.exists() else ""))


def broken(checkout: Path) -> set[str]:
    """The rules that the copy does not keep, each as file and test."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "--tb=line", *RULES],
        cwd=checkout,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return set(re.findall(r"^FAILED tests/unit/\w+\.py::(\w+)", done.stdout, re.MULTILINE))


def test_a_new_kind_of_service_is_the_files_that_contributing_lists(checkout: Path) -> None:
    text = (tree.REPOSITORY / "CONTRIBUTING.md").read_text()
    page = text.split("## Add a supervised service\n")[1].split("\n## ")[0]
    assert re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE) == list(ADDED)
    for path in OWN:
        add(checkout, path)
    assert broken(checkout) == {
        # docs/architecture.md
        "test_every_part_has_its_line_in_the_table_and_no_line_is_of_none",
        "test_a_module_imports_only_what_its_part_may",
        # docs/reference.md
        "test_the_reference_names_every_role_playbook_and_plugin",
        # meta/runtime.yml
        "test_every_module_is_in_exactly_one_action_group_or_listed_as_ungrouped",
        # PUBLIC in tests/unit/test_repository.py
        "test_what_is_internal_to_the_roles_says_so_first",
    }
    for path in set(ADDED) - set(OWN):
        add(checkout, path)
    assert broken(checkout) == set()
