# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of this repository that no ready-made linter knows."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.inferops.gpu.plugins.module_utils.common.ranges import range_of
from tests.hanging import HANGS_AFTER_SECONDS
from tests.tools import tree

# Modules in no action group: they share no options with others.
UNGROUPED = {
    "awx_configuration",
    "check_variables",
    "compiled_cache",
    "controller_file",
    "doctor",
    "endpoint",
    "fleet_monitoring",
    "fleet_page",
    "model_fit",
    "model_info",
    "offer_check",
    "rental_attempt",
    "scrape_targets",
    "ssh_key_pair",
    "stack_plan",
}

FILTERS = sorted(file.stem for file in (tree.REPOSITORY / "plugins" / "filter").glob("*.py"))

# What playbooks of others may build on. Everything else serves the roles alone, and says so.
PUBLIC = {
    "modules": {
        "awx_configuration",
        "benchmark",
        "deadline_switch",
        "doctor",
        "endpoint",
        "evidence",
        "gateway_access",
        "gateway_tunnels",
        "gpu_info",
        "host_exposure",
        "model_cache",
        "model_info",
        "model_server",
        "model_server_info",
        "offer_info",
        "proxy",
        "rental",
        "rental_costs",
        "rental_extend",
        "rental_info",
        "rental_ready",
        "rental_reap",
        "server_cleanup",
    },
    "filter": {
        "as_type",
        "driver_plan",
        "least_release",
        "model_fit",
        "redact",
        "rental_cost",
        "stack_plan",
        "unknown_options",
    },
}

# Hosts from which packages are downloaded. Which one to use is each machine's own setting.
REGISTRY_HOST = re.compile(
    r"\b(?:pypi\.org|pythonhosted\.org|registry\.npmjs\.org|deb\.debian\.org|crates\.io)\b"
)
# The licence's text is not ours.
NOT_OURS = {Path("LICENSE")}

HEADER = (
    "# Copyright: inferops.gpu contributors",
    "# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)",
    "# SPDX-License-Identifier: GPL-3.0-or-later",
)

FILES = [path for path in tree.files() if path not in NOT_OURS]
ROLES = sorted(path.parent for path in tree.REPOSITORY.glob("roles/*/meta"))
MODULES = {path.stem for path in tree.REPOSITORY.glob("plugins/modules/*.py")}


def text_of(path: Path) -> str:
    """The text of a file of the checkout; nothing for links and for what is not text."""
    full = tree.REPOSITORY / path
    if full.is_symlink() or full.is_dir():
        return ""
    try:
        return full.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def load(path: Path) -> Any:
    """The content of a YAML file; an empty file counts as an empty mapping."""
    return yaml.safe_load(path.read_text()) or {}


def role_id(role: Path) -> str:
    """Names a test case after its role."""
    return role.name


def test_no_file_names_the_host_of_a_package_registry() -> None:
    """A mirror must be enough."""
    naming = {
        f"{path}: {host}"
        for path in FILES
        if path != Path("tests/unit/test_repository.py")
        for host in REGISTRY_HOST.findall(text_of(path))
    }
    assert not naming


def test_no_file_holds_a_path_of_this_checkout_or_of_somebodys_home() -> None:
    """What works only here does not work."""
    paths = {str(tree.REPOSITORY), str(Path.home())} - {"/", "/root"}
    naming = {f"{path}: {own}" for path in FILES for own in paths if own in text_of(path)}
    assert not naming


def test_every_python_file_starts_with_the_licence_header() -> None:
    """Modules have a line for their interpreter before it."""
    lacking = []
    for path in FILES:
        if path.suffix != ".py" or not text_of(path):
            continue
        lines = text_of(path).splitlines()
        start = 1 if lines[0].startswith("#!") else 0
        if tuple(lines[start : start + len(HEADER)]) != HEADER:
            lacking.append(str(path))
    assert not lacking


def test_every_module_is_in_exactly_one_action_group_or_listed_as_ungrouped() -> None:
    """So that module_defaults for a group reaches all of them."""
    groups = load(tree.REPOSITORY / "meta" / "runtime.yml")["action_groups"]
    grouped = [name for names in groups.values() for name in names]
    assert sorted(grouped) == sorted(set(grouped)), "a module is in two groups"
    assert set(grouped) == MODULES - UNGROUPED


def test_every_module_of_a_group_is_run_by_an_action_that_guards_it() -> None:
    groups = load(tree.REPOSITORY / "meta" / "runtime.yml")["action_groups"]
    actions = {path.stem for path in tree.REPOSITORY.glob("plugins/action/*.py")}
    assert {name for names in groups.values() for name in names} <= actions


@pytest.mark.parametrize(
    ("kind", "name"),
    [("modules", name) for name in sorted(MODULES)] + [("filter", name) for name in FILTERS],
)
def test_what_is_internal_to_the_roles_says_so_first(kind: str, name: str) -> None:
    text = (tree.REPOSITORY / "plugins" / kind / f"{name}.py").read_text()
    documentation = re.search(r'DOCUMENTATION = r"""(.*?)"""', text, re.DOTALL)
    assert documentation
    first = yaml.safe_load(documentation[1])["description"][0]
    assert first.startswith("Internal. Used by ") == (name not in PUBLIC[kind])


@pytest.mark.parametrize("role", ROLES, ids=role_id)
def test_a_role_has_a_readme_and_a_molecule_scenario(role: Path) -> None:
    """The README is made from the argument specs by `make docs`; roles may share a scenario."""
    assert (role / "README.md").is_file()
    if not (role / "tasks").is_dir():  # what other roles go by
        return
    plays = [path.read_text() for path in (tree.REPOSITORY / "molecule").glob("*/converge.yml")]
    assert any(f"inferops.gpu.{role.name}\n" in text for text in plays)


def options_of(role: Path) -> dict[str, dict[str, Any]]:
    """The options of all entry points of a role."""
    specs = load(role / "meta" / "argument_specs.yml")["argument_specs"]
    return {
        name: option
        for entry in specs.values()
        for name, option in entry.get("options", {}).items()
    }


def defaults_of(role: Path) -> dict[str, Any]:
    file = role / "defaults" / "main.yml"
    return dict(load(file)) if file.is_file() else {}


@pytest.mark.parametrize("role", ROLES, ids=role_id)
def test_the_argument_specs_of_a_role_document_exactly_its_defaults(role: Path) -> None:
    """Same names and same values. Where the default is an expression, the description tells it."""
    defaults, documented = defaults_of(role), options_of(role)
    assert set(defaults) <= set(documented), "a default that no argument spec documents"
    told = {name: option["default"] for name, option in documented.items() if "default" in option}
    assert told == {name: value for name, value in defaults.items() if "{{" not in str(value)}


@pytest.mark.parametrize("role", ROLES, ids=role_id)
def test_no_argument_spec_holds_a_template_that_ansible_would_show_rendered(role: Path) -> None:
    """When one value is wrong, Ansible prints the whole spec, with every default of it."""
    assert "{{" not in (role / "meta" / "argument_specs.yml").read_text()


@pytest.mark.parametrize("role", ROLES, ids=role_id)
def test_what_may_hold_a_password_is_shown_in_no_message(role: Path) -> None:
    """An address may hold one, and so may what a server's environment is made of."""
    names = (
        r"\w+_(key|client_keys|metrics_keys|secret|token|url|urls|endpoint|mirror|links"
        r"|environment|password)"
    )
    may = {name for name in options_of(role) if re.fullmatch(names, name)}
    assert may == {name for name, option in options_of(role).items() if option.get("no_log")}


def test_a_fact_that_several_roles_share_has_one_name() -> None:
    """No default that is another variable, and each role loads what it shares with others."""
    aliases = {
        name
        for role in ROLES
        for name, value in defaults_of(role).items()
        if re.fullmatch(r"\{\{ \w+( \| default\(.*\))? \}\}", str(value))
    }
    # What may differ from it, but seldom does, and what AWX tells.
    assert aliases == {
        *("inferops_name", "inferops_model_home", "inferops_served_model_name"),
        *("inferops_operator", "inferops_job"),
    }
    for role in ROLES:
        needed = [] if role.name == "inferops" else [{"role": "inferops.gpu.inferops"}]
        assert load(role / "meta" / "main.yml")["dependencies"] == needed


@pytest.mark.parametrize("role", ROLES, ids=role_id)
def test_the_variables_of_a_role_carry_its_name(role: Path) -> None:
    """What is shared by all belongs to role inferops, and so does what single playbooks go by."""
    own = (f"{role.name}_",)
    if role.name == "inferops":
        own += ("costs_", "extend_", "keys_", "mend_", "status_")
    assert not {name for name in options_of(role) if not name.startswith(own)}


def test_every_variable_that_is_a_number_has_a_range() -> None:
    """By the unit at the end of its name."""
    numbers = {
        name
        for role in ROLES
        for name, option in options_of(role).items()
        if {"int", "float"} & {option["type"], option.get("elements")}
    }
    assert {name for name in numbers if range_of(name) is None} == set()


LONGEST_EXPRESSION = 160
WITH_TASKS = [
    path
    for path in FILES
    if path.parts[0] in ("roles", "playbooks", "molecule", "inventories")
    and path.suffix in (".yml", ".yaml")
]
#: Templates lie beside what fills them in, and a plugin may hold one as a text.
WITH_EXPRESSIONS = [
    *WITH_TASKS,
    *(path for path in FILES if path.suffix == ".j2"),
    *(path for path in FILES if path.parts[0] == "plugins" and path.suffix == ".py"),
]


def tasks_in_the_background(node: Any) -> list[dict[str, Any]]:
    """The tasks in *node* that run on while the play does, or while Ansible polls."""
    if isinstance(node, list):
        return [task for one in node for task in tasks_in_the_background(one)]
    if not isinstance(node, dict):
        return []
    return [node] * ("async" in node) + tasks_in_the_background(list(node.values()))


def test_no_task_is_polled_without_a_word() -> None:
    """What is awaited says how far it is; Ansible's own polling says ASYNC POLL and no more."""
    tasks = [one for file in WITH_TASKS for one in tasks_in_the_background(load(file))]
    assert {one["name"]: one["poll"] for one in tasks} == {"Download it in the background": 0}


def conditions(node: Any) -> list[str]:
    """The expressions that stand without braces, wherever they are in *node*."""
    if isinstance(node, list):
        return [text for one in node for text in conditions(one)]
    if not isinstance(node, dict):
        return []
    bare = [node.get(word, []) for word in ("when", "that", "until", "changed_when", "failed_when")]
    own = [one for value in bare for one in (value if isinstance(value, list) else [value])]
    return [one for one in own if isinstance(one, str)] + conditions(list(node.values()))


def templates(file: Path) -> Iterator[str]:
    """The texts of a file that may hold expressions: of Python what its program gets to see."""
    if file.suffix != ".py":
        yield text_of(file)
        return
    for node in ast.walk(ast.parse(text_of(file))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def expressions(file: Path) -> list[str]:
    """All expressions and statements of Jinja in a file, each on one line."""
    found = [
        one for text in templates(file) for one in re.findall(r"{{.*?}}(?!})|{%.*?%}", text, re.S)
    ]
    if file in WITH_TASKS:
        found += conditions(yaml.safe_load(text_of(file)))
    return [" ".join(one.split()) for one in found]


@pytest.mark.parametrize("file", WITH_EXPRESSIONS, ids=str)
def test_decisions_are_made_in_python_and_no_expression_is_long(file: Path) -> None:
    """No test and no mutation reaches what Jinja decides."""
    assert not [one for one in expressions(file) if len(one) > LONGEST_EXPRESSION]


def test_expressions_are_looked_for_in_every_role_playbook_and_template() -> None:
    """A list that is empty finds nothing."""
    assert {path.parts[1] for path in WITH_TASKS if path.parts[0] == "roles"} == {
        role.name for role in ROLES
    }
    assert Path("playbooks/tasks/plan.yml") in WITH_TASKS
    page = Path("plugins/plugin_utils/fleet_page/page.html.j2")
    assert {page, Path("roles/evidence/templates/summary.md.j2")} <= {*WITH_EXPRESSIONS}
    assert "{% for title, key in columns %}" in expressions(page)
    # Examples of plugins are texts in Python that hold some.
    assert expressions(Path("plugins/filter/as_type.py"))


def test_the_collection_has_no_file_that_ignores_findings_of_sanity() -> None:
    """They are fixed, not ignored."""
    assert not [path for path in FILES if path.match("tests/sanity/ignore*")]


_PROGRAMS = re.findall(
    r"(PYTHONPATH=collections )?\$\(BIN\)/python -m (tests\.[\w.]+)",
    (tree.REPOSITORY / "Makefile").read_text(),
)


@pytest.mark.parametrize("with_collection", [False, True])
def test_what_a_make_target_runs_finds_all_that_it_imports(with_collection: bool) -> None:
    """Long targets run seldom, and each sets its own path."""
    names = {name for path, name in _PROGRAMS if bool(path) == with_collection}
    assert len(names) > 4
    packages = {name for name in names if (tree.REPOSITORY / name.replace(".", "/")).is_dir()}
    modules = sorted(f"{name}.__main__" if name in packages else name for name in names)
    environment = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    if with_collection:
        environment["PYTHONPATH"] = "collections"
    done = subprocess.run(
        [sys.executable, "-c", f"import {', '.join(modules)}"],
        cwd=tree.REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
