# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes each role's README.md from its argument specs, or with --check says which are out of date.

Only the part between aar-doc's two marks is written; anything around it stays.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.tools.tree import REPOSITORY

AAR_DOC = Path(sys.executable).with_name("aar-doc")


def roles() -> list[Path]:
    """The folders of all roles."""
    return sorted(path.parent.parent for path in REPOSITORY.glob("roles/*/meta/argument_specs.yml"))


def write_readme(role: Path, readme: Path) -> None:
    """Bring the generated part of `readme` up to date with `role`."""
    subprocess.run(
        [AAR_DOC, "--output-file", readme, role, "markdown"],
        stdout=subprocess.DEVNULL,
        check=True,
    )
    readme.write_text(tidy(readme.read_text()))


def tidy(text: str) -> str:
    """What aar-doc writes, without what Markdown and YAML readers stumble over.

    A bar in a table's cell needs a backslash, a reference to a role is a name, a colon in a task's
    name needs quotes, and no line ends with blanks.
    """
    lines = []
    for line in text.replace("- name: Importing role: ", "- name: Import role ").splitlines():
        line = re.sub(r"\bP\(([\w.]+)#role\)", r"`\1`", line)
        if line.startswith("|"):
            line = re.sub(r"`[^`]+`", lambda code: code.group().replace("|", r"\|"), line)
        lines.append(line.rstrip())
    return "\n".join(lines).rstrip() + "\n"


def is_up_to_date(role: Path) -> bool:
    """Whether writing the README would leave it as it is."""
    readme = role / "README.md"
    if not readme.exists():
        return False
    with tempfile.TemporaryDirectory(prefix="inferops-readme-") as folder:
        fresh = Path(folder, "README.md")
        shutil.copy(readme, fresh)
        write_readme(role, fresh)
        return fresh.read_text() == readme.read_text()


def main() -> int:
    """Write or check the README of every role."""
    parser = argparse.ArgumentParser(description="Role README files from argument specs.")
    parser.add_argument("--check", action="store_true", help="write nothing, say what is stale")
    if not parser.parse_args().check:
        for role in roles():
            write_readme(role, role / "README.md")
        return 0
    stale = [role.name for role in roles() if not is_up_to_date(role)]
    if stale:
        print(f"README.md is out of date in these roles: {', '.join(stale)}. Run `make docs`.")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
