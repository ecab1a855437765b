# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rentals an inventory wishes for: all others are orphans."""

from __future__ import annotations

from ansible_collections.inferops.gpu.plugins.filter.wished_names import wished_names

GROUPS = {"all": ["a", "b", "found"], "fleet": ["a"], "team": ["b"], "gpu_rentals": ["found"]}
FOUND = {"inferops_rental": {"id": "7"}}


def test_hosts_of_every_group_are_wishes_and_what_is_only_found_is_none() -> None:
    told = wished_names(GROUPS, {"a": {}, "b": {}, "found": FOUND}, "fleet")
    assert told == {"names": ["a", "b"], "shown": ["found"]}


def test_a_host_of_the_fleet_is_a_wish_while_it_is_rented() -> None:
    told = wished_names(GROUPS, {"a": FOUND, "b": {}, "found": FOUND}, "fleet")
    assert told == {"names": ["a", "b"], "shown": ["found"]}


def test_a_host_wishes_for_one_name_alone() -> None:
    hosts = {"a": {"inferops_name": "x"}, "b": {"inferops_name": "x"}, "found": FOUND}
    assert wished_names(GROUPS, hosts, "fleet")["names"] == ["x"]


def test_a_group_that_is_not_there_has_no_hosts() -> None:
    told = wished_names(GROUPS, {"a": {}, "b": FOUND, "found": FOUND}, "none")
    assert told == {"names": ["a"], "shown": ["b", "found"]}
