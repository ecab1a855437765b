# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes serving/engines/vllm/models.py: the first release of vLLM that knows each architecture.

It reads the registry of every release of the compatibility table from its wheel on the package
index, of which only that file is fetched, and runs nothing of it. `--check` only tells.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping

from packaging.version import Version

from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm import (
    models,
)
from tests.tools.vllm_options import bring_up_to_date

REGISTRY = re.compile(r"vllm/model_executor/models/(registry|__init__)\.py")
#: The dictionaries of the registry whose keys are architectures of its own; others name classes
#: of transformers, drafts, and what was taken out.
OWN = re.compile(r"_\w*MODELS")
NOT_OWN = re.compile(r"_(PREVIOUSLY\w*|TRANSFORMERS\w*|SPECULATIVE\w*|\w*SUBPROCESS\w*|ROCM\w*)")


def architectures(files: Mapping[str, str]) -> set[str]:
    """The architectures that these sources register."""
    return {name for text in files.values() for name in _registered(ast.parse(text))}


def _registered(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        name = ast.unparse(target) if target else ""
        value = getattr(node, "value", None)
        if OWN.fullmatch(name) and not NOT_OWN.fullmatch(name) and isinstance(value, ast.Dict):
            for key in value.keys:
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value


def table(by_release: Mapping[str, Iterable[str]]) -> str:
    """A line for each release: the architectures that no older one has."""
    seen: set[str] = set()
    lines = []
    for release in sorted(by_release, key=Version):
        new = sorted(set(by_release[release]) - seen)
        seen.update(new)
        lines += [f"{release}: {name}" for name in new]
    return "\n".join(lines)


def written(text: str, by_release: Mapping[str, Iterable[str]]) -> str:
    """The source of the module with another table in it."""
    opening = 'FIRST = """\\\n'
    before, _opening, rest = text.partition(opening)
    return f"{before}{opening}{table(by_release)}\n{rest[rest.index(chr(34) * 3) :]}"


def main(arguments: list[str]) -> int:
    """Bring the table of models up to date, or with --check tell what would change."""
    return bring_up_to_date(models, REGISTRY, architectures, written, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
