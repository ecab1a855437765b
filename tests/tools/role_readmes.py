# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes each role's README.md from its argument specs and docs/roles.yml.

With --check it says which are out of date.

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
from typing import Any

import yaml

from tests.tools.tree import REPOSITORY

AAR_DOC = Path(sys.executable).with_name("aar-doc")
#: By the name of the role.
SHOWN: dict[str, Any] = yaml.safe_load((REPOSITORY / "docs" / "roles.yml").read_text())
EXAMPLE = "## Example Playbook"
ORDER = ("hosts", "gather_facts", "become", "vars", "roles")


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
    text, shown = tidy(readme.read_text()), SHOWN[role.name]
    before, rest = text.split(EXAMPLE)
    _theirs, after = rest.split("\n## License")
    example = f"{EXAMPLE}\n\n```yaml\n{play(shown['example'])}```\n"
    readme.write_text(f"{before}{table(shown['sets'])}{example}\n## License{after}")


class _Indented(yaml.SafeDumper):
    """Lists stand out, as in every other file here."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def play(example: dict[str, Any]) -> str:
    """A play that runs, with the roles that it needs in their order."""
    whole = {
        "hosts": "gpu_hosts",
        "gather_facts": False,
        **example,
        "vars": {"inferops_scope": "prod", **example.get("vars", {})},
        "roles": [f"inferops.gpu.{name}" for name in example["roles"]],
    }
    ordered = {name: whole[name] for name in ORDER if name in whole}
    return yaml.dump([ordered], Dumper=_Indented, sort_keys=False, width=100)


def table(sets: dict[str, str]) -> str:
    """What the role leaves behind for those after it."""
    if not sets:
        return ""
    rows = []
    for names, told in sets.items():
        told = re.sub(r"P\(([\w.]+)#\w+\)|[MC]\(([^)]+)\)", r"`\1\2`", told)
        rows.append(f"| {', '.join(f'`{name}`' for name in names.split(', '))} | {told} |")
    head = "## Variables that it sets\n\n| Variable | Description |\n|---|---|\n"
    return head + "\n".join(rows) + "\n\n"


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
