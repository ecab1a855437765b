# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/awx.md says of AWX is so; its commands are run by test_bootstrap and in integration."""

from __future__ import annotations

import re

import pytest
import yaml

from ansible_collections.inferops.gpu.plugins.inventory import rentals
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.options import (
    MARKET_OPTIONS,
)
from tests.awx.reading import committed
from tests.tools.tree import REPOSITORY

PAGE = (REPOSITORY / "docs/awx.md").read_text()
AWX = committed()
BLOCKS = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]


def test_every_file_is_told_of() -> None:
    told = set(re.findall(r"^\| `(\w+\.yml)` \|", PAGE, re.MULTILINE))
    there = {path.name for path in (REPOSITORY / "awx").glob("*.yml")}
    assert told == there - {"bootstrap.yml"}


@pytest.mark.parametrize("name", re.findall(r"`(inferops [a-z ]+)`", PAGE))
def test_what_has_a_name_of_ours_is_there(name: str) -> None:
    assert name in {one["name"] for told in AWX.values() for one in told}


def test_every_variable_that_fills_a_credential_is_told_of() -> None:
    objects = [*AWX["controller_credentials"], *AWX["controller_notifications"]]
    read = set(re.findall(r"'ansible.builtin.env', '(\w+)'", str(objects).replace("\\'", "'")))
    assert read
    assert {name for name in read if f"`{name}`" not in PAGE} == set()


def test_the_play_for_infra_aap_configuration_reads_files_that_it_knows() -> None:
    ((play,), _inventory) = BLOCKS
    assert play["roles"] == ["infra.aap_configuration.dispatch"]
    (task,) = play["pre_tasks"]
    read = task["ansible.builtin.include_vars"]
    assert read["ignore_files"] == ["bootstrap.yml"]
    assert (REPOSITORY / read["dir"]).is_dir()
    assert {*play["vars"]} == {"aap_hostname", "aap_token"}


def test_the_inventory_of_another_marketplace_is_one() -> None:
    (_plays, inventory) = BLOCKS
    options = yaml.safe_load(rentals.DOCUMENTATION)["options"]
    assert inventory["plugin"] in options["plugin"]["choices"]
    assert inventory["provider"] in MARKET_OPTIONS["provider"]["choices"]


def test_the_page_says_for_which_releases_it_is() -> None:
    assert "AWX 24.6.1, and for Ansible Automation Platform 2.5 and newer" in PAGE
