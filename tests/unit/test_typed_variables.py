# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No expression of a role or playbook takes a variable for what it may only be written as.

``-e inferops_reaper=no`` is text, which is true. So a variable that is no text goes through a
filter that makes it what it is documented to be, or whole into an option that has a type.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from ansible.module_utils.parsing.convert_bool import BOOLEANS, boolean
from jinja2 import nodes

from ansible_collections.inferops.gpu.plugins.filter.as_type import as_type
from ansible_collections.inferops.gpu.plugins.plugin_utils import variables
from tests.tools.tree import REPOSITORY

#: What makes a variable of a type what it is. Ansible's own filter bool takes no y and no t.
MAKES = {
    "bool": {"inferops.gpu.as_type"},
    "int": {"int", "float"},
    "float": {"float", "int"},
    "list": {"inferops.gpu.as_type"},
    "dict": {"inferops.gpu.as_type"},
}
#: Which types take a value of another one as it is.
WIDER = {"int": ("float",)}
#: Names of a task, and of an assertion, that are expressions without braces.
BARE = ("when", "that", "until", "changed_when", "failed_when")
#: Names of a task that Ansible gives a type.
TYPED = ("timeout", "async")
#: What is named like a module and has no types.
UNTYPED = ("ansible.builtin.set_fact", "ansible.builtin.debug")

Path_ = tuple[str, ...]


def kind_of(name: str) -> str | None:
    """The type of a variable of ours, None where it is text or none of ours."""
    option = {**variables.options().get(name, {}), **variables._SHAPES.get(name, {})}
    return option.get("type") if option.get("type") in MAKES else None


def expressions(node: Any, path: Path_ = ()) -> Iterator[tuple[Path_, str]]:
    """Every template below a node of YAML, with where it stands."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from expressions(value, (*path, str(key)))
    elif isinstance(node, list):
        for value in node:
            yield from expressions(value, path)
    elif isinstance(node, str):
        is_bare = path[-1:] and path[-1] in BARE and "{{" not in node
        yield path, f"{{{{ ({node}) }}}}" if is_bare else node


def named(node: nodes.Node, above: tuple[nodes.Node, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every variable in a template, with what it is part of, the nearest first."""
    if isinstance(node, nodes.Name):
        yield node.name, above
    for child in node.iter_child_nodes():
        yield from named(child, (node, *above))


def is_made(kind: str, above: tuple[nodes.Node, ...]) -> bool:
    """Whether a filter makes a variable what it is, with a default before it or not."""
    if isinstance(above[0], nodes.Test) and above[0].name in ("defined", "undefined"):
        return True
    for one in above:
        if not isinstance(one, nodes.Filter) or one.name not in {"default", *MAKES[kind]}:
            return False
        if one.name != "default":
            words = [each.value for each in one.args if isinstance(each, nodes.Const)]
            return one.name != "inferops.gpu.as_type" or words == [kind]
    return False


def is_whole(above: tuple[nodes.Node, ...]) -> bool:
    """Whether a variable is all that its template holds, but for a default."""
    rest = [one for one in above if not (isinstance(one, nodes.Filter) and one.name == "default")]
    return len(rest) == 2 and isinstance(rest[0], nodes.Output) and len(rest[0].nodes) == 1


def has_a_type(kind: str, path: Path_) -> bool:
    """Whether what stands there is made what it has to be by whoever takes it."""
    if path[-1] in TYPED or kind_of(path[-1]) in (kind, *WIDER.get(kind, ())):
        return True
    takes = [name for name in path if name.count(".") == 2 and name not in UNTYPED]
    if not takes or path[-2] != takes[-1]:
        return False
    module = takes[-1].removeprefix("inferops.gpu.")
    if module == takes[-1]:  # Ansible's own
        return True
    return options_of(module).get(path[-1], {}).get("type") in (kind, *WIDER.get(kind, ()))


def options_of(module: str) -> dict[str, Any]:
    """The options of a module of ours, by its documentation and the fragments that it extends."""
    text = (REPOSITORY / "plugins" / "modules" / f"{module}.py").read_text()
    documented = yaml.safe_load(text.partition('DOCUMENTATION = r"""')[2].partition('"""')[0])
    found = dict(documented.get("options") or {})
    for fragment in documented.get("extends_documentation_fragment", ()):
        found.update(_shared(*fragment.removeprefix("inferops.gpu.").split(".")))
    return found


def _shared(file: str, _part: str = "") -> dict[str, Any]:
    text = (REPOSITORY / "plugins" / "doc_fragments" / f"{file}.py").read_text()
    found: dict[str, Any] = {}
    for part in text.split('r"""')[1:]:
        found.update(yaml.safe_load(part.partition('"""')[0]).get("options") or {})
    return found


def taken_as_they_are(file: Path) -> Iterator[str]:
    """Each variable of a file that is no text, and that nothing makes what it is."""
    text = file.read_text()
    all_of_it = expressions(yaml.safe_load(text)) if file.suffix == ".yml" else [(("",), text)]
    for path, template in all_of_it:
        for name, above in named(jinja2.Environment().parse(template)):
            kind = kind_of(name)
            if kind is None or is_made(kind, above):
                continue
            if not (is_whole(above) and has_a_type(kind, path)):
                yield f"{name} in {'/'.join(path)}: {template.strip()[:80]}"


FILES = sorted(
    file
    for pattern in (
        "roles/*/tasks/*",
        "roles/*/vars/*",
        "roles/*/defaults/*",
        "roles/*/templates/*",
    )
    for file in REPOSITORY.glob(pattern)
) + sorted(REPOSITORY.glob("playbooks/**/*.yml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(REPOSITORY)))
def test_text_means_the_same_as_json_in_every_expression(file: Path) -> None:
    assert list(taken_as_they_are(file)) == []


@pytest.mark.parametrize("word", sorted(BOOLEANS, key=repr), ids=repr)
def test_a_flag_is_what_an_option_of_a_module_takes_it_for(word: Any) -> None:
    assert as_type(word, "bool") is boolean(word)
    assert as_type(str(word), "bool") is boolean(word)


@pytest.mark.parametrize("nothing", ["", None])
def test_a_flag_that_was_left_empty_is_none(nothing: Any) -> None:
    assert as_type(nothing, "bool") is False
