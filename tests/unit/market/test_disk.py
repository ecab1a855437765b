# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much disk is rented for a model, and what is too little for it."""

from __future__ import annotations

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.disk import (
    DiskNeeds,
    model_gib,
)

#: A model of 130 GiB, and the stack as it is installed and as it is fetched.
LARGE = DiskNeeds("a/b", 130.0, 8.0, 3.5, 1.0)
UNKNOWN = DiskNeeds("a/b", 0.0, 8.0, 3.5, 1.0)


@pytest.mark.parametrize(
    ("model", "elsewhere", "asked", "computed", "gib"),
    [
        ("a/b", False, 15.3, 14.9, 15.3),
        ("a/b", False, 0.0, 14.9, 14.9),
        ("a/b", False, 0.0, 0.0, 0.0),
        ("a/b", True, 15.3, 14.9, 0.0),
        ("/models/a", False, 15.3, 14.9, 0.0),
    ],
    ids=["asked", "computed", "unknown", "another disk", "there already"],
)
def test_a_model_takes_what_the_hub_says_or_else_what_its_config_says(
    model: str, elsewhere: bool, asked: float, computed: float, gib: float
) -> None:
    assert model_gib(model, elsewhere, asked, computed) == gib


def test_a_tenth_and_ten_gib_are_rented_beyond_what_is_taken() -> None:
    assert LARGE.least_gib == 139.0
    assert LARGE.disk_gib == 163
    assert DiskNeeds("a/b", 14.96, 8.0, 3.5, 1.0).disk_gib == 37


def test_what_is_downloaded_is_the_model_and_the_stack() -> None:
    assert LARGE.download_gib == 133.5
    assert UNKNOWN.download_gib == 10


def test_a_disk_is_refused_only_where_it_is_known_to_be_too_small() -> None:
    assert LARGE.refused_below_gib == 139.0
    assert UNKNOWN.refused_below_gib == 0
    assert LARGE.to_dict()["why"] == (
        "a/b takes 130.0 GiB, its stack 8.0 GiB, and some has to stay free: set it to 139 or more, "
        "or leave it open."
    )
