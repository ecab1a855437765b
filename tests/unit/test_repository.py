# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of this repository that no ready-made linter knows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.tools import tree

# Modules in no action group: they share no options with others.
UNGROUPED = {
    "check_variables",
    "controller_file",
    "endpoint",
    "model_fit",
    "model_info",
    "offer_check",
    "rental_outcome",
    "ssh_key_pair",
    "ssh_tunnel",
    "stack_plan",
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
ROLES = sorted(path.parent for path in tree.REPOSITORY.glob("roles/*/tasks"))
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


@pytest.mark.parametrize("role", ROLES, ids=role_id)
def test_a_role_has_a_readme_and_a_molecule_scenario(role: Path) -> None:
    """The README is made from the argument specs by `make docs`."""
    assert (role / "README.md").is_file()
    assert (tree.REPOSITORY / "molecule" / role.name / "molecule.yml").is_file()


@pytest.mark.parametrize("role", ROLES, ids=role_id)
def test_the_argument_specs_of_a_role_document_exactly_its_defaults(role: Path) -> None:
    """Same names and same values.

    The checker of collection documentation refuses an expression as the default of anything but a
    string, so there, and only there, the argument spec may say nothing.
    """
    specs = load(role / "meta" / "argument_specs.yml")["argument_specs"]
    documented = {
        name: option
        for entry in specs.values()
        for name, option in entry.get("options", {}).items()
    }
    defaults_file = role / "defaults" / "main.yml"
    defaults = load(defaults_file) if defaults_file.is_file() else {}
    assert set(defaults) <= set(documented), "a default that no argument spec documents"
    missing = object()
    differing = {
        name
        for name, option in documented.items()
        if option.get("default", missing) != defaults.get(name, missing)
    }
    inexpressible = {
        name
        for name in differing
        if "default" not in documented[name]
        and documented[name].get("type", "str") != "str"
        and str(defaults.get(name)).startswith("{{")
    }
    assert differing == inexpressible


@pytest.mark.parametrize("role", ROLES, ids=role_id)
def test_the_variables_of_a_role_carry_its_name_or_the_collections(role: Path) -> None:
    """`inferops_*` is shared by all roles, `<role>_*` belongs to one."""
    specs = load(role / "meta" / "argument_specs.yml")["argument_specs"]
    names = {name for entry in specs.values() for name in entry.get("options", {})}
    assert not {n for n in names if not n.startswith((f"{role.name}_", "inferops_"))}


def test_the_collection_has_no_file_that_ignores_findings_of_sanity() -> None:
    """They are fixed, not ignored."""
    assert not [path for path in FILES if path.match("tests/sanity/ignore*")]
