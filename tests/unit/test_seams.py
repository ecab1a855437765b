# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many files a new engine or a new kind of service touches: what CONTRIBUTING.md says of it.

Where an engine or a service is named beside what is listed there, this test says why.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

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
HOST = ROOT / "plugins/module_utils/host"
HERE = ROOT / "tests/unit/host"

#: Which packages an installation consists of is the stack's business, whatever engine they hold.
STACK = (
    HOST / "stack",
    *ROOT.glob("plugins/modules/stack_*.py"),
    *ROOT.glob("plugins/action/stack_*.py"),
)
#: Where the controller names vLLM beside its registry, and what a second engine would need there.
#: The stack's own roles are named after what they install.
VLLM_ALONE = {
    "plugins/plugin_utils/variables.py": "its release is chosen, and its options are looked up",
    "plugins/filter/engine_plan.py": "the stack of its release, for what has no plan of its own",
    "plugins/filter/least_vllm.py": "which release knows a model",
    "plugins/filter/model_fit.py": "the memory that it takes",
    "plugins/filter/stack_plan.py": "the stack of its release",
    "plugins/filter/unknown_options.py": "which options a release has",
    "roles/driver/defaults/main.yml": "the least driver of its release",
    "roles/inferops/defaults/main.yml": "it is the default, and its release is chosen",
    "roles/inferops/meta/argument_specs.yml": "the same",
    "roles/recover/files/download.py": "a comment: which files of a model it reads",
    "roles/rent/tasks/model.yml": "which release knows the model, and which driver it needs",
    "playbooks/tasks/plan.yml": "the stack of its release, and its options",
    "plugins/plugin_utils/phase_table.py": "the phase of its role",
}
ITS_ROLES = ("roles/stack/", "roles/vllm/")
DOCUMENTATION = ("DOCUMENTATION", "EXAMPLES", "RETURN")


def _undocumented(file: Path) -> str:
    """Code and comments of a plugin."""
    source = text = file.read_text()
    for node in ast.parse(source).body:
        names = [each.id for each in getattr(node, "targets", []) if isinstance(each, ast.Name)]
        if set(names) & set(DOCUMENTATION):
            text = text.replace(ast.get_source_segment(source, node) or "", "")
    return text


def _naming(word: str, folder: Path) -> list[str]:
    """The files below a folder whose code or comments hold the word; documentation may."""
    return [
        str(file.relative_to(ROOT / "plugins"))
        for file in sorted(folder.rglob("*.py"))
        if not any(file == part or part in file.parents for part in STACK)
        and re.search(word, _undocumented(file), re.IGNORECASE)
    ]


@pytest.mark.parametrize("engine", list(ENGINES))
def test_an_engine_is_named_in_its_folder_and_in_the_registry(engine: str) -> None:
    folder = f"module_utils/host/engines/{engine}/"
    outside = [file for file in _naming(engine, HOST) if not file.startswith(folder)]
    assert outside == ["module_utils/host/engines/registry.py"]
    assert _naming(engine, ROOT / "plugins/modules") == []
    assert _naming(engine, ROOT / "plugins/action") == []


def _code(folder: str) -> dict[str, str]:
    """The code and comments of a kind of plugins, without what installs the stack."""
    own = (ROOT / "plugins" / name for name in _naming("", ROOT / "plugins" / folder))
    return {str(file.relative_to(ROOT)): _undocumented(file) for file in own}


def _texts() -> dict[str, str]:
    """What runs on the controller, and the tasks of roles and playbooks, without documentation."""
    found: dict[str, str] = {}
    for folder in ("filter", "lookup", "inventory", "callback", "plugin_utils"):
        found |= _code(folder)
    for folder in ("roles", "playbooks"):
        for file in sorted((ROOT / folder).rglob("*")):
            name = str(file.relative_to(ROOT))
            # Other argument specs and the README files made of them are documentation.
            told = "/meta/" in name and "/inferops/" not in name
            if file.suffix in (".yml", ".j2", ".py", ".sh") and not told:
                found[name] = file.read_text()
    return found


def test_roles_playbooks_and_the_controller_name_vllm_only_where_it_is_said_why() -> None:
    naming = {
        name
        for name, text in _texts().items()
        if re.search("vllm", text, re.IGNORECASE) and not name.startswith(ITS_ROLES)
    }
    assert naming == set(VLLM_ALONE)


def test_no_option_and_no_variable_of_an_engine_is_spelled_outside_of_its_words() -> None:
    """Roles and modules ask the engine; remedies name intents."""
    files = _texts()
    for folder in ("modules", "action"):
        files |= _code(folder)
    words = {ENGINES[name].key_variable for name in ENGINES} | {"download_dir", "import vllm"}
    for spelling in SPELLINGS.values():
        words |= set(spelling.variables.values())
    for name, text in files.items():
        if not name.startswith(ITS_ROLES):
            assert [word for word in words if word in text] == [], name


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


def test_the_documentation_of_the_option_names_the_engines_that_there_are() -> None:
    for module in ("model_server", "model_fit", "compiled_cache"):
        text = (ROOT / f"plugins/modules/{module}.py").read_text()
        documentation = re.search(r'DOCUMENTATION = r"""(.*?)"""', text, re.DOTALL)
        assert documentation is not None
        options = yaml.safe_load(documentation[1])["options"]
        assert options["engine"]["choices"] == list(ENGINES)


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
        assert _naming(word, HOST / "service") == [], word


def test_a_stand_in_for_an_engine_or_a_kind_of_service_is_one_small_file() -> None:
    for name in ("stand_in_engine.py", "stand_in_exporter.py"):
        assert len((HERE / name).read_text().splitlines()) <= 110, name
