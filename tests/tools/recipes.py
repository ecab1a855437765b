# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks vLLM's own parsers what they make of published command lines, and of ours for the same wish.

Each argument is an interpreter that has a vLLM, of which only the parser is loaded. What it says is
kept beside the recipes, one file for each release, and held by
tests/unit/serving/test_recipes.py: a line of ours that changes has to be asked for again. It exits
1 where both lines do not mean the same. The options of the parser are kept as well.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.inferops.gpu.plugins.module_utils.common.engines.vllm.words import (
    canonical,
    options_of,
    read,
    words,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.vllm.parser import (
    THE_PARSER,
)

FOLDER = Path(__file__).resolve().parents[1] / "unit/serving/fixtures/recipes"
#: vLLM's imports take ten seconds on a quiet machine.
SECONDS = 600
ASK = (
    THE_PARSER
    + """
parser, _cli_args = the_parser()
usual = vars(parser.parse_args([]))

def parsed(words):
    try:
        found = vars(parser.parse_args(words))
    except Refused as error:
        return {"refused": str(error)}
    found["model"] = found.pop("model_tag", None) or found["model"]
    return {name: value for name, value in found.items() if value != usual.get(name)}

def shown(words):
    return {name: repr(value) for name, value in sorted(parsed(words).items())}

def kind(action):
    name = type(action).__name__
    kinds = {"_StoreTrueAction": "flag", "_AppendAction": "repeated"}
    kinds |= {"BooleanOptionalAction": "boolean", "EnableDisableAction": "switch"}
    return kinds.get(name) or {"+": "list", "*": "list", "?": "perhaps"}.get(action.nargs, "value")

names = {name: kind(action) for name, action in parser._option_string_actions.items()}
lines = json.load(sys.stdin)
answers = [[shown(line) for line in pair] for pair in lines]
same = [parsed(first) == parsed(second) == parsed(third) for first, second, third in lines]
print("ANSWER" + json.dumps([names, answers, same]))
"""
)


def recipes() -> list[dict[str, Any]]:
    """The recipes as they are written down."""
    found: list[dict[str, Any]] = yaml.safe_load((FOLDER / "recipes.yml").read_text())
    return found


def published(recipe: dict[str, Any]) -> list[str]:
    """The words behind `vllm serve` of a published line."""
    line = shlex.split(recipe["command"])
    return line[line.index("serve") + 1 :]


def rendered(recipe: dict[str, Any], release: str) -> list[str]:
    """The same as role launch writes it, without the interpreter and its module."""
    line = ["--model", recipe["model"]]
    for name in ("host", "port"):
        line += [f"--{name}", str(recipe[name])] if name in recipe else []
    if "served_model_names" in recipe:
        line += ["--served-model-name", *recipe["served_model_names"]]
    return [*line, *words(recipe["arguments"], options_of(release))]


def read_back(recipe: dict[str, Any], release: str) -> list[str]:
    """The published line again, from what we have read of it."""
    options, line = options_of(release), published(recipe)
    said = read(line[1:], options)
    if said.unknown or said.loose:
        raise ValueError(f"{recipe['source']}: cannot read {said}")
    named = {canonical(name, options): value for name, value in said.arguments.items()}
    return ["--model", line[0], *words(named, options)]


def ask(python: str, release: str) -> list[Any]:
    """The options of this vLLM, what it makes of each line, and whether they mean the same."""
    lines = [[published(one), rendered(one, release), read_back(one, release)] for one in recipes()]
    done = subprocess.run(
        [python, "-c", ASK],
        input=json.dumps(lines),
        stdout=subprocess.PIPE,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    answer = next(line for line in done.stdout.splitlines() if line.startswith("ANSWER"))
    found: list[Any] = json.loads(answer.removeprefix("ANSWER"))
    return found


def version_of(python: str) -> str:
    """The release of vLLM that an interpreter has, without its build."""
    code = "import importlib.metadata as m; print(m.packages_distributions()['vllm'][0])"
    name = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout
    code = f"import importlib.metadata as m; print(m.version({name.strip()!r}))"
    said = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout
    return said.strip().partition("+")[0]


def main(pythons: list[str]) -> int:
    """Ask each; 1 where a line of ours means something else than the published one."""
    wrong = 0
    for python in pythons:
        release = version_of(python)
        names, answers, same = ask(python, release)
        for recipe, (theirs, ours, again), is_same in zip(recipes(), answers, same, strict=True):
            if not is_same:
                wrong += 1
                print(f"{release}: {recipe['source']}\n  {theirs}\n  {ours}\n  {again}")
        content = {
            "options": names,
            "lines": [
                {"ours": rendered(recipe, release), "parsed": ours}
                for recipe, (_theirs, ours, _again) in zip(recipes(), answers, strict=True)
            ],
        }
        file = FOLDER / f"{release}.json"
        file.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
        print(f"{release}: {len(answers)} lines, {same.count(True)} the same")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
