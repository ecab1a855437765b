# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fence: which part of the collection imports which, and nothing imports in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
UTILS = "module_utils."
PREFIX = "ansible_collections.inferops.gpu.plugins."

#: A part is a folder of module_utils; host and market are parts of parts. Files that lie in host or
#: market themselves are the words that all of it shares.
ARROWS: dict[str, set[str]] = {
    "common": set(),
    "serving": {"common"},
    "hub": {"common"},
    "endpoint": {"common"},
    "host": {"common", "host.machine"},
    "host.machine": {"common"},
    "host.gpus": {"common", "host.machine"},
    "host.stack": {"common", "host.machine"},
    "host.models": {"common", "hub", "host.machine"},
    "host.engines": {"common", "host.machine"},
    "host.service": {"common", "host.machine"},
    "host.server": {
        "common",
        "host.engines",
        "host.gpus",
        "host.machine",
        "host.service",
        "host.stack",
    },
    "market": {"common"},
    "market.access": {"common", "market"},
    "market.providers": {"common", "market", "market.access"},
    "market.offers": {"common", "market", "market.providers"},
    "market.rentals": {"common", "market", "market.access", "market.offers", "market.providers"},
}
#: What runs on the controller reaches a host by modules alone.
CONTROLLER = {"action", "callback", "filter", "inventory", "lookup", "plugin_utils"}
CONTROLLER_MAY = {"common", "endpoint", "hub", "market", "serving"}
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
    assert kind in CONTROLLER | {"modules", "doc_fragments"}
