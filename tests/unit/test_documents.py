# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documents say is so: links, names, defaults, arrows, what people are told to type."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.inferops.gpu.plugins.plugin_utils import variables
from tests.simulator.app import Simulator
from tests.simulator.hosts import PretendHosts
from tests.simulator.market import Market
from tests.tools.role_readmes import SHOWN
from tests.unit.plays import faster, play
from tests.unit.test_arrows import ARROWS

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
DOCS = sorted((ROOT / "docs").glob("*.md"))
ROLE_READMES = sorted(ROOT.glob("roles/*/README.md"))
DOCUMENTS = [README, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *DOCS, *ROLE_READMES]
REFERENCE = (ROOT / "docs/reference.md").read_text()
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
ONE_SCREEN = 90
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
#: What people are told to give on the command line, wherever it stands.
GIVEN = re.compile(r"(?<!\w)-e ([a-z]+_\w+)=('[^']*'|[^\s'`\"),;]*[^\s'`\"),;.])")


def section(text: str, heading: str) -> str:
    """What stands below a heading, up to the next one of its rank."""
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of each line of the tables in it."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| ")
    ]


def code(text: str) -> list[str]:
    """What is marked as code within lines."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}


def test_the_readme_is_one_screen() -> None:
    assert len(README.read_text().splitlines()) <= ONE_SCREEN


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda one: str(one.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    for link in LINK.findall(document.read_text()):
        if link.startswith("https://"):
            continue
        path, _hash, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    defined = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for document in (README, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *DOCS):
        named = set(re.findall(r"`make ([a-z-]+)|^make ([a-z-]+)", document.read_text(), re.M))
        assert {one or other for one, other in named} <= defined, document.name


def test_the_reference_names_every_role_playbook_and_plugin() -> None:
    roles = re.findall(r"\]\(\.\./roles/(\w+)/README\.md\)", section(REFERENCE, "Roles"))
    assert sorted(roles) == sorted(path.name for path in ROOT.glob("roles/*"))

    playbooks = [code(row[0])[0] for row in rows(section(REFERENCE, "Playbooks"))[1:]]
    there = [f"inferops.gpu.{path.stem}" for path in ROOT.glob("playbooks/*.yml")]
    assert sorted(playbooks) == sorted(there)

    named = {
        row[0]: code(row[1])
        for row in rows(section(REFERENCE, "Modules and other plugins"))
        if row[0]
    }
    for line, folder in (
        ("Filters", "filter"),
        ("Inventory", "inventory"),
        ("Lookup", "lookup"),
        ("Callback", "callback"),
    ):
        assert sorted(named.pop(line)) == stems(folder)
    assert sorted(name for names in named.values() for name in names) == stems("modules")
    groups = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]
    assert set(named["The marketplace, from the controller"]) == set(groups["market"])
    assert set(named["The rented host"]) - {"model_fit", "stack_plan"} == set(groups["host"])


def stems(folder: str) -> list[str]:
    files = (ROOT / "plugins" / folder).glob("*.py")
    return sorted(file.stem for file in files if file.stem != "__init__")


def test_the_reference_has_every_shared_variable_with_its_default() -> None:
    specs = yaml.safe_load((ROOT / "roles/inferops/meta/argument_specs.yml").read_text())
    options = specs["argument_specs"]["shared"]["options"]
    table = {
        code(row[0])[0]: row[1]
        for row in rows(section(REFERENCE, "Shared variables"))
        if code(row[0])
    }
    assert set(table) == set(options)
    for name, option in options.items():
        if "default" in option and option["default"] not in ("", [], {}):
            assert code(table[name]) == [as_text(option["default"])], name


def as_text(value: Any) -> str:
    """A value as somebody types it: ``-e name=value``, or the answer to a survey."""
    if isinstance(value, (dict, bool)):
        return json.dumps(value)
    return ",".join(value) if isinstance(value, list) else str(value)


def test_every_part_has_its_place_and_every_place_is_there() -> None:
    places = [
        place for row in rows(section(ARCHITECTURE, "The parts"))[1:] for place in code(row[0])
    ]
    for part in ARROWS:
        assert f"plugins/module_utils/{part.replace('.', '/')}/" in places
    for kind in (path.name for path in (ROOT / "plugins").iterdir() if any(path.glob("*.py"))):
        assert kind == "module_utils" or f"plugins/{kind}/" in places
    assert [place for place in places if not (ROOT / place).is_dir()] == []


def test_every_file_that_the_architecture_names_is_there() -> None:
    below = [ROOT, ROOT / "plugins", ROOT / "plugins/module_utils"]
    named = {one for one in code(ARCHITECTURE) if re.fullmatch(r"[\w./]+/(\w+\.py)?", one)}
    assert named
    assert [one for one in named if not any((folder / one).exists() for folder in below)] == []


TYPED = sorted(
    {
        (name, text.strip("'"))
        for file in (*DOCUMENTS, *ROOT.glob("playbooks/*.yml"), *ROOT.glob("plugins/*/*.py"))
        for name, text in GIVEN.findall(file.read_text())
    }
)


def test_people_are_told_to_type_something() -> None:
    assert len(TYPED) >= 8


@pytest.mark.parametrize(("name", "text"), TYPED)
def test_what_people_are_told_to_type_passes_the_gate(name: str, text: str) -> None:
    assert variables.unknown(name) is None
    assert name in variables.options()
    assert variables.coerce(name, text)[1] is None


def facts(tasks: Any) -> Iterator[str]:
    """What tasks set or register, blocks included."""
    for task in tasks if isinstance(tasks, list) else ():
        yield from filter(None, [task.get("register")])
        yield from task.get("ansible.builtin.set_fact", ())
        for part in ("block", "rescue", "always"):
            yield from facts(task.get(part))


@pytest.mark.parametrize("role", sorted(SHOWN))
def test_a_readme_tells_what_its_role_sets_for_others(role: str) -> None:
    told = {name for names in SHOWN[role]["sets"] for name in names.split(", ")}
    files = (ROOT / "roles" / role / "tasks").glob("*.yml")
    found = {name for file in files for name in facts(yaml.safe_load(file.read_text()))}
    assert told <= found, "a variable that the role does not set"
    # A variable of its own may be for itself; these two kinds never are.
    assert {name for name in found if name.startswith(("inferops_", "ansible_"))} <= told


def test_the_plays_for_hosts_of_ones_own_can_be_read(tmp_path: Path) -> None:
    text = section((ROOT / "docs/own-plays.md").read_text(), "Hosts that you own")
    blocks = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    plays = [one for block in blocks for one in yaml.safe_load(block)]
    status, output = play(tmp_path, plays, "--syntax-check")
    assert status == 0, output
    assert len(plays) == 2


def plays_of_readmes() -> list[dict[str, Any]]:
    found = []
    for readme in ROLE_READMES:
        (block,) = re.findall(r"```yaml\n(.*?)```", readme.read_text(), re.DOTALL)
        found += yaml.safe_load(block)
    return found


def test_the_example_of_every_role_can_be_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing is rented, those do all that they do that need no host."""
    plays = plays_of_readmes()
    assert len(plays) == len(SHOWN)
    for name in {name for one in plays for name in one["vars"]}:
        assert name in variables.options()
    status, output = play(tmp_path, plays, "--syntax-check")
    assert status == 0, output
    market = Market(PretendHosts())
    for name, value in faster(market).items():
        monkeypatch.setenv(name, value)
    simulator = Simulator(market)
    needs_no_host = ("inferops", "connect", "rent", "evidence", "reap", "teardown")
    shown = [one for one in plays if one["roles"][-1].rpartition(".")[2] in needs_no_host]
    assert len(shown) == len(needs_no_host)
    given = {
        "inferops_api_url": simulator.url,
        "inferops_controller_hub_endpoint": "http://127.0.0.1:9",
        "inferops_evidence_dir": str(tmp_path / "evidence"),
        "inferops_ssh_private_key_file": str(tmp_path / "key"),
    }
    try:
        status, output = play(tmp_path, shown, "--check", **given)
    finally:
        simulator.close()
    assert status == 0, output
    for said in ("Would rent offer", "Nothing is rented under the name gpu-1", "counts"):
        assert said in output


def examples() -> list[tuple[str, Any]]:
    """The variables of the inventories that the documents show."""
    found = []
    for document in (README, *DOCS):
        for block in re.findall(r"```yaml\n(.*?)```", document.read_text(), re.DOTALL):
            content = yaml.safe_load(block)
            for group in content.values() if isinstance(content, dict) else ():
                if isinstance(group, dict) and "hosts" in group:
                    found += group.get("vars", {}).items()
                    for own in group["hosts"].values():
                        found += (own or {}).items()
    return found


@pytest.mark.parametrize(("name", "value"), examples())
def test_a_variable_of_an_example_says_the_same_as_text(name: str, value: Any) -> None:
    assert variables.unknown(name) is None
    typed, complaint = variables.coerce(name, value)
    assert complaint is None
    assert variables.coerce(name, as_text(value)) == (typed, None)
