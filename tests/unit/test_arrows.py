# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fence: which part of the collection imports which, and nothing imports in a circle.

Its table is that of docs/architecture.md.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
UTILS = PLUGINS / "module_utils"
PREFIX = "ansible_collections.inferops.gpu.plugins.module_utils."

ARCHITECTURE = (PLUGINS.parent / "docs" / "architecture.md").read_text()


def _arrows() -> list[tuple[list[str], set[str]]]:
    """The table of arrows, line by line: the parts, and what they may import."""
    table = ARCHITECTURE.split("| Part | may import |\n|---|---|\n")[1].split("\n\n")[0]
    cells = [line.strip("|").split("|") for line in table.splitlines()]
    return [(re.findall("`(.*?)`", who), set(re.findall("`(.*?)`", may))) for who, may in cells]


#: A part is a folder of module_utils; host and market are parts of parts. Files that lie in host or
#: market themselves are the words that all of it shares.
ARROWS: dict[str, set[str]] = {parts[0]: may for parts, may in _arrows()[:-1]}
#: What runs on the controller reaches a host by modules alone.
CONTROLLER, CONTROLLER_MAY = _arrows()[-1]


def _name(file: Path) -> str:
    return ".".join(file.relative_to(UTILS).with_suffix("").parts)


MODULES = {_name(file): file for file in UTILS.rglob("*.py")}


def _imports(file: Path, name: str = "") -> Iterator[str]:
    """The modules of ours that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level:
            base = ".".join([*name.split(".")[: -node.level], *filter(None, [node.module])])
        elif (node.module or "").startswith(PREFIX):
            base = str(node.module)[len(PREFIX) :]
        else:
            continue
        for alias in node.names:
            member = f"{base}.{alias.name}"
            yield member if member in MODULES else base


def _part(module: str) -> str:
    folders = module.split(".")[:-1]
    return ".".join(folders[: 2 if folders[0] in ("host", "market") else 1])


GRAPH = {name: set(_imports(file, name)) for name, file in MODULES.items()}


def test_every_part_has_its_line_in_the_table_and_no_line_is_of_none() -> None:
    assert set(ARROWS) == {_part(module) for module in MODULES}
    named = set().union(*ARROWS.values())
    assert named <= set(ARROWS)


def test_the_controllers_folders_may_import_nothing_of_the_hosts_side() -> None:
    assert {one for one in CONTROLLER_MAY if one.startswith("host")} == set()
    kinds = {folder.name for folder in PLUGINS.iterdir() if any(folder.glob("*.py"))}
    assert kinds - set(CONTROLLER) == {"doc_fragments", "modules"}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_imports_only_what_its_part_may(module: str) -> None:
    allowed = ARROWS[_part(module)] | {_part(module)}
    assert {_part(other) for other in GRAPH[module]} <= allowed


def test_nothing_imports_in_a_circle() -> None:
    try:
        TopologicalSorter(GRAPH).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_the_controller_never_imports_what_runs_on_a_host() -> None:
    files = [file for kind in CONTROLLER for file in (PLUGINS / kind).glob("*.py")]
    assert files
    for file in files:
        parts = {_part(module).partition(".")[0] for module in _imports(file)}
        assert parts <= CONTROLLER_MAY, file
