# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many files a new engine or a new kind of service touches: what CONTRIBUTING.md says of it.

Where an engine or a service is named beside what is listed there, this test says why.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.inferops.gpu.plugins.action import model_fit
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines import registry
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.registry import ENGINES
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.registry import (
    DEFAULT,
    SPELLINGS,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.failures import FAILURES
from ansible_collections.inferops.gpu.plugins.module_utils.serving.remedies import BY_CHANGE
from ansible_collections.inferops.gpu.plugins.plugin_utils import variables

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests/unit/host"

#: How people and programs write each engine.
WRITTEN = {"vllm": r"vllm", "llama_cpp": r"llama_?cpp|llama\.cpp"}
REGISTRIES = {f"plugins/module_utils/{side}/engines/registry.py" for side in ("host", "serving")}
#: What else names an engine in its code, and why it may.
EXCEPTIONS = {
    "plugins/action/stack_plan.py": "the plan of vLLM's roles, for role stack alone",
    "plugins/filter/stack_plan.py": "the same, as a filter for people",
    "plugins/modules/stack_image.py": "the vLLM of an image, for role stack alone",
    "plugins/module_utils/market/providers/vastai.py": "which engine it has images of, by name",
    "plugins/module_utils/serving/failures/": "what logs say; each entry has its engine",
    "roles/monitoring/files/rules.yml": "figures of each engine under its own names",
    "roles/inferops/defaults/main.yml": "which engine is usual, and whose release can be asked for",
}
DOCUMENTATION = ("DOCUMENTATION", "EXAMPLES", "RETURN")


def _is_documentation(node: ast.AST) -> bool:
    """Whether nobody runs this: a docstring, or a plugin's documentation."""
    if isinstance(node, ast.Assign):
        names = {each.id for each in node.targets if isinstance(each, ast.Name)}
        return bool(names & set(DOCUMENTATION))
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _words_of(node: ast.AST) -> Iterator[str]:
    """The names and texts of code: identifiers, imports, strings; comments are none of it."""
    if _is_documentation(node):
        return
    for _field, value in ast.iter_fields(node):
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, ast.AST):
                yield from _words_of(one)
            elif isinstance(one, str):
                yield one


def _texts_of(value: Any) -> Iterator[str]:
    """All keys and values of YAML but the names of tasks, which are for people."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            is_title = key == "name" and isinstance(inner, str) and " " in inner
            if not is_title:
                yield from _texts_of(inner)
    elif isinstance(value, list):
        for one in value:
            yield from _texts_of(one)
    else:
        yield str(value)


def _code_of(file: Path) -> list[str]:
    text = file.read_text()
    if file.suffix == ".py":
        return list(_words_of(ast.parse(text)))
    if file.suffix == ".yml":
        return list(_texts_of(yaml.safe_load(text)))
    return [re.sub(r"(?m)^\s*#.*", "", text)]


def _all() -> dict[str, list[str]]:
    """The code of all plugins, roles and playbooks, by file. What roles say of themselves in their
    argument specs and README files is documentation."""
    files = sorted((ROOT / "plugins").rglob("*.py"))
    for folder in ("roles", "playbooks"):
        for file in sorted((ROOT / folder).rglob("*")):
            if file.suffix in (".yml", ".j2", ".py", ".sh") and "meta" not in file.parts:
                files.append(file)
    return {str(file.relative_to(ROOT)): _code_of(file) for file in files}


CODE = _all()


def _naming(word: str, below: str = "") -> set[str]:
    """The files below a folder whose code holds the word."""
    return {
        name
        for name, words in CODE.items()
        if name.startswith(below) and any(re.search(word, one, re.IGNORECASE) for one in words)
    }


def _home(engine: str) -> tuple[str, ...]:
    """Where an engine may be named: its folders, and the roles that install it."""
    sides = (f"plugins/module_utils/{side}/engines/" for side in ("common", "host", "serving"))
    roles = (f"roles/{role}/" for role in SPELLINGS[engine].roles)
    return (*(f"{side}{engine}/" for side in sides), *roles)


def test_an_engine_is_named_at_home_and_in_the_registries_or_it_is_said_why() -> None:
    outside: set[str] = set()
    for engine in ENGINES:
        naming = _naming(WRITTEN[engine])
        assert naming >= REGISTRIES
        outside |= {name for name in naming if not name.startswith(_home(engine))}
    excepted = {
        next((one for one in EXCEPTIONS if name.startswith(one)), name)
        for name in outside - REGISTRIES
    }
    assert excepted == set(EXCEPTIONS)


@pytest.mark.parametrize(
    "code",
    ["from .vllm import VLLM", "vllm_version = 1", "ask('vllm')", "f(vllm=1)", "def vllm(): ..."],
)
def test_a_name_counts_wherever_code_has_it_and_nowhere_else(code: str) -> None:
    assert any("vllm" in word.lower() for word in _words_of(ast.parse(code)))
    documented = ast.parse(f'"""{code}"""\nDOCUMENTATION = """{code}"""\n# {code}')
    assert list(_words_of(documented)) == []


def test_no_option_and_no_variable_of_an_engine_is_spelled_outside_of_its_home() -> None:
    """Roles and modules ask the engine; remedies name intents."""
    for engine, spelling in SPELLINGS.items():
        own = {*spelling.variables.values(), ENGINES[engine].key_variable, f"import {engine}"}
        for word in own:
            found = {
                name
                for name in _naming(re.escape(word))
                if not name.startswith((*_home(engine), "plugins/module_utils/serving/failures/"))
            }
            assert found == set(), word


def test_remedies_go_by_what_an_option_is_for_and_not_by_its_name() -> None:
    for name, spelling in SPELLINGS.items():
        own = {**spelling.options, **spelling.variables}
        named = {word for intent, word in own.items() if word != intent}
        assert not named & set(BY_CHANGE), name


def test_whoever_starts_a_server_or_computes_its_memory_says_on_which_engine() -> None:
    asked = {f"inferops.gpu.{name}": 0 for name in ("model_server", "model_fit", "compiled_cache")}
    for file in ROOT.glob("roles/*/tasks/*.yml"):
        for task in yaml.safe_load(file.read_text()):
            for module in set(asked) & set(task):
                if task[module].get("state") != "stopped":
                    assert "engine" in task[module], file
                    asked[module] += 1
    assert list(asked.values()) == [2, 1, 1]


def test_every_option_that_names_an_engine_has_the_engines_that_there_are() -> None:
    told = set()
    for file in sorted((ROOT / "plugins/modules").glob("*.py")):
        documentation = re.search(r'DOCUMENTATION = r"""(.*?)"""', file.read_text(), re.DOTALL)
        assert documentation is not None
        option = yaml.safe_load(documentation[1]).get("options", {}).get("engine", {})
        if "choices" in option:
            assert option["choices"] == list(ENGINES), file
            assert option.get("default", registry.DEFAULT) == registry.DEFAULT, file
            told.add(file.stem)
    assert told == {"model_server", "model_fit", "compiled_cache"}
    for file in ROOT.glob("roles/*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(file.read_text())["argument_specs"].values():
            option = entry.get("options", {}).get("inferops_engine", {})
            assert option.get("choices", list(ENGINES)) == list(ENGINES), file
            assert option.get("default", registry.DEFAULT) == registry.DEFAULT, file


def test_what_modules_take_at_run_time_is_the_registrys_own_list() -> None:
    for module in ("model_server", "compiled_cache"):
        assert {"registry", "ENGINES", "DEFAULT"} <= set(CODE[f"plugins/modules/{module}.py"])
    assert model_fit.ARGUMENTS["engine"]["choices"] == list(SPELLINGS)
    assert model_fit.ARGUMENTS["engine"]["default"] == DEFAULT


def test_both_sides_have_the_same_engines_and_failures_are_theirs() -> None:
    assert list(SPELLINGS) == list(ENGINES)
    assert DEFAULT == registry.DEFAULT
    assert variables.options()["inferops_engine"]["choices"] == list(ENGINES)
    assert variables.options()["inferops_engine"]["default"] == registry.DEFAULT
    assert {failure.engine for failure in FAILURES} - {""} <= set(ENGINES)


def _page(title: str) -> str:
    """What CONTRIBUTING.md says below this heading."""
    return (ROOT / "CONTRIBUTING.md").read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("engine", list(ENGINES))
def test_an_engine_is_the_files_that_contributing_lists(engine: str) -> None:
    listed = re.findall(r"^\| `([^`]+)` \|", _page("Add an engine"), re.MULTILINE)
    own = f"plugins/module_utils/host/engines/{engine}/engine.py"
    choosing = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "plugins").rglob("*.py")
        if re.search(rf"choices: \[.*\b{engine}\b", file.read_text())
    }
    registries = {
        f"plugins/module_utils/{side}/engines/registry.py" for side in ("host", "serving")
    }
    paths = {path.replace("<name>", engine) for path in listed}
    assert paths == {own, *registries, *choosing}
    assert all((ROOT / path).is_file() for path in paths)


def test_most_failure_causes_are_named_in_one_file_alone() -> None:
    """Beside their excerpts; those with steps of recover of their own in a second one."""
    words = {
        file: set(re.findall(r"\w+", file.read_text()))
        for folder in ("plugins", "roles", "playbooks", "docs")
        for file in (ROOT / folder).rglob("*")
        if file.suffix in (".py", ".yml", ".md", ".j2") and "__pycache__" not in file.parts
    }
    places = [
        [file for file, found in words.items() if failure.id in found] for failure in FAILURES
    ]
    alone = [named for named in places if len(named) == 1]
    assert all(file.parent.name == "failures" for named in alone for file in named)
    assert len(alone) > len(FAILURES) / 2


def test_what_keeps_services_running_knows_no_kind_of_them() -> None:
    for word in (r"\bmodel\b(?! server)", "vram", "completion", "INFEROPS_SERVER", "engine"):
        assert _naming(word, "plugins/module_utils/host/service/") == set(), word


def test_a_stand_in_for_an_engine_or_a_kind_of_service_is_one_small_file() -> None:
    for name in ("stand_in_engine.py", "stand_in_exporter.py"):
        assert len((HERE / name).read_text().splitlines()) <= 110, name
