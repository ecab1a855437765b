# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A provider is one file and one line: nothing else knows it by name."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.inferops.gpu.plugins.doc_fragments.market import ModuleDocFragment
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.registry import (
    PROVIDERS,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.options import (
    MARKET_OPTIONS,
)
from tests import conformance
from tests.tools.tree import REPOSITORY
from tests.unit.market import wire
from tests.unit.market.conformance.subjects import SUBJECTS

PLUGINS = REPOSITORY / "plugins"
REGISTRY = "plugins/module_utils/market/providers/registry.py"
#: What a module documents; its samples may name a provider.
DOCUMENTS = {"DOCUMENTATION", "EXAMPLES", "RETURN"}
#: Tests of what holds for every provider.
NEUTRAL = ("lifecycle", "rentals", "limits", "sharing", "shared_search", "untold", "mark")


def touched() -> list[str]:
    """The paths in the table of CONTRIBUTING's section about a new provider."""
    text = (REPOSITORY / "CONTRIBUTING.md").read_text()
    section = text.split("## Add a provider\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


def code(file: Path) -> Iterator[str]:
    """Names and texts of a Python file, without comments, docstrings and documentation."""
    tree = ast.parse(file.read_text())
    left_out: set[ast.AST] = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            left_out.add(first.value)
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in DOCUMENTS:
            left_out.update(ast.walk(node))
    for node in ast.walk(tree):
        if node in left_out:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        for name in ("id", "attr", "name", "module", "arg"):
            value = getattr(node, name, None)
            if isinstance(value, str):
                yield value


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_what_contributing_lists_is_all_that_names_a_provider(provider: str) -> None:
    paths = {path.replace("<name>", provider) for path in touched()}
    assert len(paths) == 5
    assert all((REPOSITORY / path).is_file() for path in paths)
    word = re.compile(provider.removesuffix("ai"), re.IGNORECASE)
    naming = {
        str(file.relative_to(REPOSITORY))
        for file in PLUGINS.rglob("*.py")
        if any(word.search(text) for text in code(file))
    }
    # The documentation of the options is no code.
    assert naming == {path for path in paths if path.startswith("plugins/module_utils/")}
    assert REGISTRY in naming


def test_the_tests_of_the_lifecycle_know_no_providers_paths() -> None:
    words = [path for _method, path in wire.CALLS.values()] + ["/asks", "/instances", "/api/v"]
    for name in NEUTRAL:
        text = (Path(__file__).parent / f"test_{name}.py").read_text()
        assert [word for word in words if word in text] == [], name


def test_a_provider_documents_itself() -> None:
    options = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    assert options["provider"]["choices"] == MARKET_OPTIONS["provider"]["choices"]
    assert options["provider"]["default"] == MARKET_OPTIONS["provider"]["default"]
    assert set(options) == set(MARKET_OPTIONS)
    for kind in PROVIDERS.values():
        for credential in kind.credentials:
            told = " ".join(options[credential.option]["description"])
            assert all(f"E({name})" in told for name in credential.environment)


def test_every_provider_that_can_be_chosen_is_held_to_the_contract() -> None:
    assert set(PROVIDERS) <= set(SUBJECTS)


@pytest.mark.parametrize("broken", [False, True])
def test_the_suite_fails_for_a_provider_that_breaks_a_clause(
    broken: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_arguments: list[str], plugins: list[Any]) -> pytest.ExitCode:
        for provider in PROVIDERS:
            report = pytest.TestReport(
                f"test_clauses.py::test_a[{provider}]",
                ("", None, ""),
                {},
                "failed" if broken else "passed",
                None,
                "call",
            )
            plugins[0].pytest_runtest_logreport(report)
        return pytest.ExitCode.TESTS_FAILED if broken else pytest.ExitCode.OK

    monkeypatch.setattr(pytest, "main", run)
    monkeypatch.setattr("sys.argv", ["conformance"])
    assert conformance.main() == int(broken)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("RESULT ")
    told = json.loads(last.removeprefix("RESULT "))
    assert told == {"providers": len(PROVIDERS), "clauses": 1, "failed": len(PROVIDERS) * broken}


def test_a_provider_without_a_subject_fails_the_suite(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pytest, "main", lambda *_args, **_kwargs: pytest.ExitCode.OK)
    monkeypatch.setattr("sys.argv", ["conformance"])
    assert conformance.main() == 1
    assert "has no subject" in capsys.readouterr().out
