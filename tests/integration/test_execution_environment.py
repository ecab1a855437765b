# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The execution environment, as ansible-builder reads it. It is not built: that takes an image."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.awx.builder import builder
from tests.tools import cores
from tests.tools.tree import REPOSITORY

FILE = REPOSITORY / "execution-environment.yml"
TOLD: dict[str, Any] = yaml.safe_load(FILE.read_text())
NEEDED = (REPOSITORY / "meta/requirements.txt").read_text()


def test_what_is_built_has_what_is_tested_and_no_user_of_its_own(tmp_path: Path) -> None:
    (tmp_path / FILE.name).write_text(FILE.read_text())
    page = (REPOSITORY / "docs/awx.md").read_text()
    (typed,) = re.findall(r"^ansible-builder (.*)$", page, re.MULTILINE)
    done = builder(*typed.split(), folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    context = tmp_path / "context"
    (recipe,) = (
        context / name for name in ("Containerfile", "Dockerfile") if (context / name).is_file()
    )
    lines = recipe.read_text().splitlines()
    core = TOLD["dependencies"]["ansible_core"]["package_pip"]
    runner = TOLD["dependencies"]["ansible_runner"]["package_pip"]
    assert f'ARG ANSIBLE_INSTALL_REFS="{core} {runner}"' in lines
    assert [line for line in lines if line.startswith("USER ")][-1] == "USER 1000"
    # Whoever runs it is in the group of root, by whatever number, and has a home to write to.
    assert "RUN chmod ug+rw /etc/passwd" in lines
    assert any("chgrp 0 /runner" in line for line in lines)
    asked = (context / "_build/requirements.txt").read_text().splitlines()
    assert [line.split("  #")[0] for line in asked] == TOLD["dependencies"]["python"]


@pytest.mark.parametrize(
    "change",
    [{"version": 4}, {"images": {"base": "x"}}, {"dependencies": {"python": {"requests": "2"}}}],
    ids=lambda one: next(iter(one)),
)
def test_a_mistake_in_it_would_be_noticed(change: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "wrong.yml").write_text(yaml.safe_dump({**TOLD, **change}))
    done = builder("create", "-f", "wrong.yml", "-c", "context", folder=tmp_path)
    assert done.returncode != 0


def test_what_the_released_collection_needs_is_found_by_itself(tmp_path: Path) -> None:
    installed = cores.install(tmp_path) / "ansible_collections/inferops/gpu"
    done = builder("introspect", tmp_path, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    found = yaml.safe_load(done.stdout)
    python = [line.split("  #")[0] for line in found["python"]]
    assert python == [line for line in NEEDED.splitlines() if not line.startswith("#")]
    assert {line.split()[0] for line in found["system"]} == {"openssh-client", "openssh-clients"}
    # The environment is part of the release, and so is what AWX is told.
    released = json.loads((installed / "FILES.json").read_text())["files"]
    assert {"execution-environment.yml", "awx/job_templates.yml", "awx/bootstrap.yml"} <= {
        entry["name"] for entry in released
    }


def pins(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE))


def test_everything_in_it_is_pinned_to_what_the_tests_run_with() -> None:
    tested = pins((REPOSITORY / "requirements-dev.txt").read_text())
    own = pins("\n".join(TOLD["dependencies"]["python"]))
    assert len(own) == len(TOLD["dependencies"]["python"])
    assert own.items() <= tested.items()
    assert set(re.findall(r"^([a-z]+)>=", NEEDED, re.MULTILINE)) <= own.keys()
    core = TOLD["dependencies"]["ansible_core"]["package_pip"]
    assert core == f"ansible-core=={tested['ansible-core']}"
    assert "==" in TOLD["dependencies"]["ansible_runner"]["package_pip"]
    assert re.fullmatch(r"[\w./-]+:[\d.]+", TOLD["images"]["base_image"]["name"])
    (collection,) = TOLD["dependencies"]["galaxy"]["collections"]
    released = yaml.safe_load((REPOSITORY / "galaxy.yml").read_text())
    assert collection == {"name": "inferops.gpu", "version": released["version"]}
