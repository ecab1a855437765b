# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rented host gets the token of a hub."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.filter.host_hub_token import host_hub_token

OPEN, CLOSED, UNTOLD = {"needs_token": False}, {"needs_token": True}, {"needs_token": None}


@pytest.mark.parametrize("asked", [OPEN, CLOSED, UNTOLD, {}, None])
@pytest.mark.parametrize("model", ["", "a/b", "/models/a"])
def test_a_token_that_is_for_every_host_goes_to_every_host(asked: Any, model: str) -> None:
    assert host_hub_token("hf_x", True, asked, model) == "hf_x"
    assert host_hub_token("hf_x", "yes", asked, model) == "hf_x"


def test_a_host_gets_no_token_for_a_model_that_everybody_gets() -> None:
    assert host_hub_token("hf_x", False, OPEN) == ""
    assert host_hub_token("hf_x", "false", OPEN, "a/b") == ""


@pytest.mark.parametrize("asked", [CLOSED, UNTOLD, {}, None, {"failed": True}])
def test_a_host_gets_the_token_where_the_model_needs_it_or_nobody_knows(asked: Any) -> None:
    assert host_hub_token("hf_x", False, asked) == "hf_x"
    assert host_hub_token("hf_x", False, asked, "a/b") == "hf_x"


@pytest.mark.parametrize("asked", [OPEN, CLOSED, UNTOLD, {}])
def test_a_server_of_a_model_that_was_downloaded_before_gets_no_token(asked: Any) -> None:
    assert host_hub_token("hf_x", False, asked, "/models/a") == ""
