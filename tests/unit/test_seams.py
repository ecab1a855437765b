# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many files a new engine or a new kind of service touches: what CONTRIBUTING.md says of it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.registry import ENGINES
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.registry import SPELLINGS
from ansible_collections.inferops.gpu.plugins.module_utils.serving.failures import FAILURES

ROOT = Path(__file__).resolve().parents[2]
HOST = ROOT / "plugins/module_utils/host"
HERE = ROOT / "tests/unit/host"

#: Which packages an installation consists of is the stack's business, whatever engine they hold.
STACK = (
    HOST / "stack",
    *ROOT.glob("plugins/modules/stack_*.py"),
    *ROOT.glob("plugins/action/stack_*.py"),
)
DOCUMENTATION = ("DOCUMENTATION", "EXAMPLES", "RETURN")


def _naming(word: str, folder: Path) -> list[str]:
    """The files below a folder whose code or comments hold the word; documentation may."""
    found = []
    for file in sorted(folder.rglob("*.py")):
        if any(file == part or part in file.parents for part in STACK):
            continue
        source = text = file.read_text()
        for node in ast.parse(source).body:
            names = [each.id for each in getattr(node, "targets", []) if isinstance(each, ast.Name)]
            if set(names) & set(DOCUMENTATION):
                text = text.replace(ast.get_source_segment(source, node) or "", "")
        if re.search(word, text, re.IGNORECASE):
            found.append(str(file.relative_to(ROOT / "plugins")))
    return found


@pytest.mark.parametrize("engine", list(ENGINES))
def test_an_engine_is_named_in_its_folder_and_in_the_registry(engine: str) -> None:
    folder = f"module_utils/host/engines/{engine}/"
    outside = [file for file in _naming(engine, HOST) if not file.startswith(folder)]
    assert outside == ["module_utils/host/engines/registry.py"]
    assert _naming(engine, ROOT / "plugins/modules") == []
    assert _naming(engine, ROOT / "plugins/action") == []


def test_the_documentation_of_the_option_names_the_engines_that_there_are() -> None:
    text = (ROOT / "plugins/modules/model_server.py").read_text()
    documentation = re.search(r'DOCUMENTATION = r"""(.*?)"""', text, re.DOTALL)
    assert documentation is not None
    options = yaml.safe_load(documentation[1])["options"]
    assert options["engine"]["choices"] == list(ENGINES)


def test_words_and_failures_are_those_of_engines_that_there_are() -> None:
    assert set(SPELLINGS) <= set(ENGINES)
    assert {failure.engine for failure in FAILURES} - {""} <= set(ENGINES)


def test_what_keeps_services_running_knows_no_kind_of_them() -> None:
    for word in (r"\bmodel\b(?! server)", "vram", "completion", "INFEROPS_SERVER", "engine"):
        assert _naming(word, HOST / "service") == [], word


def test_a_stand_in_for_an_engine_or_a_kind_of_service_is_one_small_file() -> None:
    for name in ("stand_in_engine.py", "stand_in_proxy.py"):
        assert len((HERE / name).read_text().splitlines()) <= 110, name
