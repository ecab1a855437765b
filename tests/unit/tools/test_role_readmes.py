# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README files that are made from a role's argument specs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools.role_readmes import is_up_to_date, write_readme

ARGUMENT_SPECS = """
argument_specs:
  main:
    short_description: Rent a host
    description:
      - Needs role P(inferops.gpu.connect#role).
    options:
      rent_name:
        description: Name of the host.
        type: str
        default: "{{ inferops_name | default('gpu-1') }}"
"""
META = """
galaxy_info:
  author: somebody
  description: Rents a host
  license: GPL-3.0-or-later
  platforms:
    - name: Debian
      versions: [bookworm]
"""


@pytest.fixture
def role(tmp_path: Path) -> Path:
    """A role with one option and a README made from it."""
    folder = tmp_path / "roles" / "rent"
    (folder / "meta").mkdir(parents=True)
    (folder / "meta" / "argument_specs.yml").write_text(ARGUMENT_SPECS)
    (folder / "meta" / "main.yml").write_text(META)
    write_readme(folder, folder / "README.md")
    return folder


def test_an_option_stands_in_a_table_that_markdown_readers_can_read(role: Path) -> None:
    """A bar inside of the default does not end its cell."""
    text = (role / "README.md").read_text()
    assert r"| `{{ inferops_name \| default('gpu-1') }}` |" in text
    assert "Needs role `inferops.gpu.connect`." in text


def test_a_fresh_readme_is_up_to_date_until_an_option_changes(role: Path) -> None:
    """The check that keeps README files from going stale."""
    assert is_up_to_date(role)
    specs = role / "meta" / "argument_specs.yml"
    specs.write_text(specs.read_text().replace("Name of the host.", "The host's name."))
    assert not is_up_to_date(role)


def test_what_is_written_by_hand_around_the_generated_part_stays(role: Path) -> None:
    """Only the part between the marks is written."""
    readme = role / "README.md"
    readme.write_text("By hand.\n\n" + readme.read_text())
    assert is_up_to_date(role)
    write_readme(role, readme)
    assert readme.read_text().startswith("By hand.\n")


def test_a_role_without_a_readme_is_not_up_to_date(role: Path) -> None:
    """It was forgotten."""
    (role / "README.md").unlink()
    assert not is_up_to_date(role)
