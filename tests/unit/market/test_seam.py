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
    DEFAULT_PROVIDER,
    PROVIDERS,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.options import (
    MARKET_OPTIONS,
)
from tests import conformance
from tests.tools import market_fragment, provider_table
from tests.tools.tree import REPOSITORY
from tests.unit.market import wire
from tests.unit.market.conformance.subjects import SUBJECTS

PLUGINS = REPOSITORY / "plugins"
REGISTRY = "plugins/module_utils/market/providers/registry.py"
#: The samples of a module may name a provider.
SAMPLES = {"EXAMPLES", "RETURN"}
#: Their one line that does: which provider is asked when nobody says.
DEFAULT = {
    "roles/inferops/defaults/main.yml": f"inferops_provider: {DEFAULT_PROVIDER}\n",
    "roles/inferops/meta/argument_specs.yml": f"        default: {DEFAULT_PROVIDER}\n",
}
#: Who rents out another's hosts knows the other one.
RESOLD = {"vastai": {"plugins/module_utils/market/providers/shopper.py"}}
#: What is written by `make docs` from the files of the providers.
WRITTEN = "plugins/doc_fragments/market.py"
#: Tests of what one provider says or gets on the wire. All others hold for every provider.
ON_THE_WIRE = (
    *("border", "failed_deploys", "inventory", "labels", "seals", "seam", "several"),
    *("start_script", "transport", "vastai"),
)


def touched() -> list[str]:
    """The paths in the table of CONTRIBUTING's section about a new provider."""
    text = (REPOSITORY / "CONTRIBUTING.md").read_text()
    section = text.split("## Add a provider\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


def code(file: Path) -> Iterator[str]:
    """Names and texts of a Python file, without comments, docstrings and samples."""
    tree = ast.parse(file.read_text())
    left_out: set[ast.AST] = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            left_out.add(first.value)
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in SAMPLES:
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
    # A word of Python's cannot be the name of a file.
    file = PROVIDERS[provider].__module__.rpartition(".")[2]
    assert file in (provider, f"{provider}_cloud")
    paths = {path.replace("<name>", file) for path in touched()}
    assert len(paths) == 3
    assert all((REPOSITORY / path).is_file() for path in paths)
    word = re.compile(provider.removesuffix("ai"), re.IGNORECASE)
    naming = {
        str(file.relative_to(REPOSITORY))
        for file in PLUGINS.rglob("*.py")
        if any(word.search(text) for text in code(file))
    }
    own = {path for path in paths if path.startswith("plugins/")}
    assert naming - {WRITTEN} == own | RESOLD.get(provider, set())
    assert REGISTRY in naming


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_no_role_and_no_playbook_knows_a_provider_by_name(provider: str) -> None:
    word = re.compile(provider.removesuffix("ai"), re.IGNORECASE)
    texts = {
        str(file.relative_to(REPOSITORY)): file.read_text()
        for folder in ("roles", "playbooks")
        for file in sorted((REPOSITORY / folder).rglob("*"))
        # What a role's README says is made of its argument specs.
        if file.is_file() and file.suffix in (".yml", ".j2", ".py", ".sh")
    }
    assert set(DEFAULT) <= set(texts)
    for path, line in DEFAULT.items():
        assert texts[path].count(line) == 1
        texts[path] = texts[path].replace(line, "")
    assert [path for path, text in texts.items() if word.search(text)] == []


def test_what_is_usual_at_a_provider_is_what_it_says_in_words() -> None:
    for kind in PROVIDERS.values():
        usual, own = kind.usual, kind.usual_in_words
        floors = (usual.driver_version, usual.min_reliability)
        figures = [f"{usual.image_gib:g} GiB", f"{usual.disk_gib} GiB of disk"]
        figures += [str(one) for one in floors if one is not None]
        if usual.longest_download_hours:
            figures.append(f"{usual.longest_download_hours:g} hour")
        assert f"C({usual.image})" in own
        assert [one for one in figures if one not in own] == []
        assert ("verified hosts alone" in own) == usual.verified


def test_the_documentation_of_the_options_is_what_the_providers_say() -> None:
    text = market_fragment.FILE.read_text()
    assert market_fragment.written(text) == text, "run make docs"


def test_the_tests_of_the_lifecycle_know_no_providers_paths() -> None:
    words = [path for _method, path in wire.CALLS.values()] + ["/asks", "/instances", "/api/v"]
    naming = {
        file.stem.removeprefix("test_")
        for file in Path(__file__).parent.glob("test_*.py")
        if any(word in file.read_text() for word in words)
    }
    assert naming == set(ON_THE_WIRE)


def test_a_provider_documents_itself() -> None:
    options = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    assert options["provider"]["choices"] == MARKET_OPTIONS["provider"]["choices"]
    assert options["provider"]["default"] == MARKET_OPTIONS["provider"]["default"]
    assert set(options) == set(MARKET_OPTIONS)
    for kind in PROVIDERS.values():
        for credential in kind.credentials:
            told = " ".join(options[credential.option]["description"])
            assert all(f"E({name})" in told for name in credential.environment)


def test_the_page_of_marketplaces_says_what_the_code_can() -> None:
    page = provider_table.PAGE.read_text()
    assert provider_table.written(page) == page
    head = next(line for line in page.splitlines() if line.startswith("|  |"))
    assert all(f"`{name}`" in head for name in PROVIDERS)


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
