# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes AWX's configuration into the folder awx/: `make awx-config`.

With --check it writes nothing and says which files are out of date.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.awx.configuration import Template, files
from tests.tools.tree import REPOSITORY

FOLDER = REPOSITORY / "awx"
#: Of every file.
HEAD = """---
# Written by `make awx-config` from argument specifications, providers and tests/awx. Change those.
"""


class _Dumper(yaml.SafeDumper):
    """Lists stand out, and nothing is an alias of something else."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    Template, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text), style='"')
)


def written(content: dict[str, Any]) -> str:
    """The text of one file."""
    return HEAD + yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=110)


def stale(folder: Path = FOLDER) -> list[str]:
    """The files that are not what they would be now, those among them that should not be there."""
    wanted = {f"{name}.yml": written(content) for name, content in files().items()}
    there = {path.name: path.read_text() for path in folder.glob("*.yml")}
    there.pop("bootstrap.yml", None)
    return sorted(name for name in {*wanted, *there} if wanted.get(name) != there.get(name))


def main() -> int:
    """Write or check."""
    parser = argparse.ArgumentParser(description="AWX's configuration, as code.")
    parser.add_argument("--check", action="store_true", help="write nothing, say what is stale")
    if parser.parse_args().check:
        old = stale()
        if old:
            print(f"Out of date in awx/: {', '.join(old)}. Run `make awx-config`.")
        return 1 if old else 0
    for name, content in files().items():
        (FOLDER / f"{name}.yml").write_text(written(content))
    return 0


if __name__ == "__main__":
    sys.exit(main())
