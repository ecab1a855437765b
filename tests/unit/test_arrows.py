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
UTILS = "module_utils."
PREFIX = "ansible_collections.inferops.gpu.plugins."

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
#: What travels to a host with a module.
HOST_MAY = {"common", "host", "hub"}


def _name(file: Path) -> str:
    return ".".join(file.relative_to(PLUGINS).with_suffix("").parts)


FILES = {_name(file): file for file in PLUGINS.rglob("*.py")}


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
            yield member if member in FILES else base


def _part(module: str) -> str:
    """Of module_utils: the part; of other plugins: their kind, such as action."""
    folders = module.removeprefix(UTILS).split(".")[:-1]
    return ".".join(folders[: 2 if folders[0] in ("host", "market") else 1])


def _side(module: str) -> set[str]:
    """What a plugin imports of module_utils: the parts, without their own parts."""
    ours = (other for other in GRAPH[module] if other.startswith(UTILS))
    return {_part(other).partition(".")[0] for other in ours}


GRAPH = {name: set(_imports(file, name)) for name, file in FILES.items()}
KNOWLEDGE = sorted(name for name in FILES if name.startswith(UTILS))


def test_ours_is_imported_by_from_which_this_fence_reads() -> None:
    for file in FILES.values():
        nodes = ast.walk(ast.parse(file.read_text()))
        whole = [node for node in nodes if isinstance(node, ast.Import)]
        names = [alias.name for node in whole for alias in node.names]
        assert [name for name in names if name.startswith(PREFIX)] == [], file


def test_every_part_has_its_line_in_the_table_and_no_line_is_of_none() -> None:
    assert set(ARROWS) == {_part(module) for module in KNOWLEDGE}
    named = set().union(*ARROWS.values())
    assert named <= set(ARROWS)


def test_the_controllers_folders_may_import_nothing_of_the_hosts_side() -> None:
    assert {one for one in CONTROLLER_MAY if one.startswith("host")} == set()
    kinds = {folder.name for folder in PLUGINS.iterdir() if any(folder.glob("*.py"))}
    assert kinds - set(CONTROLLER) == {"doc_fragments", "modules"}


@pytest.mark.parametrize("module", KNOWLEDGE)
def test_a_module_imports_only_what_its_part_may(module: str) -> None:
    allowed = ARROWS[_part(module)] | {_part(module)}
    assert {_part(other) for other in GRAPH[module]} <= allowed


@pytest.mark.parametrize("graph", [GRAPH, ARROWS], ids=["files", "parts"])
def test_nothing_imports_in_a_circle(graph: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("module", sorted(set(FILES) - set(KNOWLEDGE)))
def test_a_plugin_is_of_one_side(module: str) -> None:
    """What runs on the controller imports nothing of a host's, and no module both."""
    kind = module.partition(".")[0]
    on_controller = _side(module) <= CONTROLLER_MAY
    assert on_controller or (kind == "modules" and _side(module) <= HOST_MAY)
    assert kind in {*CONTROLLER, "modules", "doc_fragments"}
