# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dynamic inventory, as ansible-inventory shows it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.mark import Mark
from ansible_collections.inferops.gpu.plugins.plugin_utils.connection import NO_PASSWORDS
from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator.market import ACCOUNT_KEY
from tests.unit.market.conftest import Market, order

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def configuration(tmp_path: Path, market: Market) -> Path:
    file = tmp_path / "fleet.rentals.yml"
    file.write_text(
        f"plugin: inferops.gpu.rentals\nscope: test\napi_url: {market.simulator.url}\n"
        f"controller_dir: {tmp_path}/inventory\n"
        "keyed_groups:\n  - key: inferops_rental.provider\n    prefix: market\n"
    )
    return file


def inventory(file: Path, key: str = ACCOUNT_KEY) -> subprocess.CompletedProcess[str]:
    # Nobody waits for a marketplace that is silent as long as a user would.
    faster = f"{time.time()} {time.time()} 30"
    return subprocess.run(
        [Path(sys.executable).with_name("ansible-inventory"), "-i", file, "--list", "--export"],
        cwd=ROOT,
        env={**os.environ, "VAST_API_KEY": key, "INFEROPS_CLOCK": faster},
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER_SECONDS,
        check=False,
    )


def plain(value: Any) -> Any:
    """Strings from outside come marked as unsafe."""
    return value.get("__ansible_unsafe", value) if isinstance(value, dict) else value


def test_rentals_appear_under_their_names_with_what_connects(
    market: Market, configuration: Path
) -> None:
    for name in ("gpu-1", "gpu-2"):
        market.rent(name)
    market.rent("gpu-3", scope="other")
    shown = json.loads(inventory(configuration).stdout)
    assert set(shown["_meta"]["hostvars"]) == {"gpu-1", "gpu-2"}
    assert set(shown["market_vastai"]["hosts"]) == {"gpu-1", "gpu-2"}
    variables = shown["_meta"]["hostvars"]["gpu-1"]
    assert plain(variables["ansible_user"]) == "root"
    assert {name: plain(variables[name]) for name in NO_PASSWORDS} == NO_PASSWORDS
    assert plain(variables["inferops_rental"]["mark"]["name"]) == "gpu-1"


def test_a_wrong_key_is_told(configuration: Path) -> None:
    assert "refused the API key" in inventory(configuration, key="wrong").stderr


def test_what_a_marketplace_answers_is_told_plainly_and_without_secrets(
    market: Market, configuration: Path
) -> None:
    login = "user:planted-password"
    configuration.write_text(configuration.read_text().replace("http://", f"http://{login}@"))
    body = "\x1b[2J\x1b]0;owned\x07 hf_abcdefghijklmnopqrstuvwxyz"
    market.fault("reply", method="GET", path="/api/v1/instances/", times=9, status=418, body=body)
    said = inventory(configuration).stderr
    assert "HTTP 418" in said
    for unwanted in ("\x1b", "\x07", "hf_abc", "planted-password"):
        assert unwanted not in said


@pytest.mark.parametrize("name", ["all", "localhost", "gpu_rentals", "market_vastai"])
def test_a_rental_with_a_misleading_name_hides_no_other(
    market: Market, configuration: Path, name: str
) -> None:
    market.rent("gpu-1")
    offer = market.ranked()[0].offer
    mark = Mark("test", name, "9f2c41aa", 0, 0)
    market.provider().rent(offer, replace(order(), mark=mark))
    done = inventory(configuration)
    shown = json.loads(done.stdout)
    assert set(shown["_meta"]["hostvars"]) == {"gpu-1"}
    assert "is not shown" in done.stderr


# What is kept, and what nobody has marked.


@pytest.fixture
def kept(configuration: Path, tmp_path: Path) -> Path:
    """With a cache."""
    cache = "cache: true\ncache_plugin: ansible.builtin.jsonfile\ncache_timeout: 600\n"
    text = f"{configuration.read_text()}{cache}cache_connection: {tmp_path}/kept\n"
    configuration.write_text(text)
    return configuration


def asked(market: Market) -> int:
    return len(market.simulator.journal.entries())


def test_what_was_read_is_shown_again_without_asking(
    market: Market, kept: Path, tmp_path: Path
) -> None:
    market.rent("gpu-1")
    first = json.loads(inventory(kept).stdout)
    market.rent("gpu-2")
    before = asked(market)
    # What every process of this controller shares for a moment is not what is tried here.
    shutil.rmtree(tmp_path / "inventory" / "market")
    assert json.loads(inventory(kept).stdout) == first
    assert asked(market) == before
    kept.write_text(kept.read_text().replace("scope: test", "scope: other"))
    assert json.loads(inventory(kept).stdout)["_meta"]["hostvars"] == {}


def test_a_cache_tells_no_secret_and_one_that_is_damaged_is_asked_anew(
    market: Market, kept: Path, tmp_path: Path
) -> None:
    market.rent("gpu-1")
    first = json.loads(inventory(kept).stdout)
    (file,) = (tmp_path / "kept").iterdir()
    assert ACCOUNT_KEY not in file.read_text()
    file.write_text(file.read_text().replace("price_usd_per_hour", "prize"))
    done = inventory(kept)
    assert "cannot be read; asking anew" in done.stderr
    assert json.loads(done.stdout) == first


def test_a_marketplace_that_is_silent_has_no_empty_fleet_in_the_cache(
    market: Market, kept: Path, tmp_path: Path
) -> None:
    market.rent("gpu-1")
    market.fault("reply", method="GET", path="/api/v1/instances/", times=99, status=500, body={})
    assert "is unknown" in inventory(kept).stderr
    assert not (tmp_path / "kept").exists() or not list((tmp_path / "kept").iterdir())


def test_what_nobody_has_marked_is_shown_apart_and_nothing_leads_there(
    market: Market, configuration: Path
) -> None:
    market.rent("gpu-1")
    market.rent("gpu-2", scope="other")
    market.simulator.market.strangers = 1
    (stranger,) = [row["id"] for row in market.billing() if row["stranger"]]
    assert "gpu_unclaimed" not in json.loads(inventory(configuration).stdout)
    configuration.write_text(f"{configuration.read_text()}unclaimed: true\n")
    shown = json.loads(inventory(configuration).stdout)
    name = f"unclaimed-vastai-{stranger}"
    assert shown["gpu_unclaimed"]["hosts"] == [name]
    assert shown["gpu_rentals"]["hosts"] == ["gpu-1"]
    variables = shown["_meta"]["hostvars"][name]
    assert set(variables) == {"inferops_rental"}
    assert plain(variables["inferops_rental"]["price_usd_per_hour"]) > 0
