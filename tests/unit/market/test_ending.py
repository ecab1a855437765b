# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a teardown says of the server, the tunnel, the rental and the money."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.filter.teardown_ending import teardown_ending

RENTAL = {"provider": "vastai", "id": "7", "price_usd_per_hour": 0.34, "cost_usd": 0.0841}
NOTHING = "Nothing is rented under the name gpu-1 in scope prod."
GONE = "Released and proven gone: rental 7 of vastai for 0.0841 dollars."
WITH_IT = "What may be left of it went with the rental."
PROVEN = {"changed": True, "stopped": "proven", "remedy": ""}
UNPROVEN = {"changed": True, "stopped": "unproven", "remedy": "Process 42 is left. End it."}
LATE = {"failed": True, "msg": "Timed out."}
SILENT = {"unreachable": True, "msg": "No route."}


def said(*released: dict[str, Any], **results: Any) -> str:
    return teardown_ending({"released": list(released)}, "gpu-1", "prod", **results)


def test_all_that_ended_is_told_with_what_it_has_cost() -> None:
    assert said(RENTAL, server=PROVEN, tunnel={"changed": True}) == (
        f"Server: stopped, proven. Tunnel: closed. {GONE}"
    )


@pytest.mark.parametrize(
    ("server", "told"),
    [
        (UNPROVEN, f"stopped, unproven: Process 42 is left. End it. {WITH_IT}"),
        ({"stopped": "unproven"}, "stopped, unproven: nobody can tell whether something is left"),
        (SILENT, f"not stopped, for its host does not answer. {WITH_IT}"),
        (LATE, f"not stopped: Timed out. {WITH_IT}"),
        ({"skipped": True}, "not looked at."),
        ({}, "not looked at."),
    ],
)
def test_what_is_unproven_about_the_server_is_told(server: dict[str, Any], told: str) -> None:
    message = said(RENTAL, server=server)
    assert message.startswith(f"Server: {told}")
    assert message.endswith(GONE)


@pytest.mark.parametrize(
    ("proxy", "told"),
    [
        ({"stopped": "proven"}, "ended, proven"),
        (
            {"stopped": "unproven", "remedy": "Process 42 of the proxy is left."},
            f"ended, unproven: Process 42 of the proxy is left. {WITH_IT[:-1]}",
        ),
    ],
)
def test_a_proxy_is_told_before_the_server_that_it_stood_before(
    proxy: dict[str, Any], told: str
) -> None:
    server = {**PROVEN, "proxy": proxy}
    assert said(RENTAL, server=server) == f"Proxy: {told}. Server: stopped, proven. {GONE}"
    assert "Proxy" not in said(RENTAL, server={**PROVEN, "proxy": None})
    would = said(RENTAL, server={"changed": True, "proxy": {"stopped": None}}, dry_run=True)
    assert would.startswith("Proxy: would be ended. Server: would be stopped.")


def test_what_kept_the_server_from_being_looked_at_is_told() -> None:
    assert said(RENTAL, failed="Connect failed: no folder.") == (
        f"Server: not stopped: Connect failed: no folder. {WITH_IT} {GONE}"
    )


def test_a_tunnel_that_could_not_be_closed_is_told() -> None:
    message = said(RENTAL, server=PROVEN, tunnel={"failed": True, "msg": "It hangs."})
    assert "Tunnel: not closed: It hangs. Nothing answers in it." in message
    assert "Tunnel" not in said(RENTAL, server=PROVEN, tunnel={"changed": False})


def test_where_nothing_is_rented_that_is_all_that_is_said() -> None:
    assert said() == said(server={"skipped": True}, tunnel={"changed": False}) == NOTHING
    assert said(tunnel={"changed": True}) == f"Tunnel: closed. {NOTHING}"


def test_what_was_stopped_is_told_though_its_rental_is_gone_meanwhile() -> None:
    assert said(server=PROVEN) == f"Server: stopped, proven. {NOTHING}"
    assert WITH_IT in said(server=SILENT)


def test_check_mode_says_what_would_be() -> None:
    assert said(RENTAL, server={"changed": True}, tunnel={"changed": True}, dry_run=True) == (
        "Server: would be stopped. Tunnel: would be closed. "
        "Would release rental 7 of vastai for 0.0841 dollars so far."
    )
    assert "Server: none is there." in said(RENTAL, server={"changed": False}, dry_run=True)
    assert WITH_IT not in said(RENTAL, server=SILENT, dry_run=True)


def test_several_rentals_are_told_one_by_one_and_together() -> None:
    other = {**RENTAL, "id": "8", "cost_usd": 0.01}
    assert said(RENTAL, other).endswith(
        "Released and proven gone: rental 7 of vastai for 0.0841 dollars, rental 8 of vastai for "
        "0.0100 dollars. Together: 0.0941 dollars."
    )


def test_a_price_that_is_not_told_is_not_shown_as_nothing() -> None:
    unpriced = {**RENTAL, "price_usd_per_hour": None, "cost_usd": 0.0}
    message = said(unpriced)
    assert message.endswith("gone: rental 7 of vastai at a price that is not told.")
    assert "0.0000" not in message
    assert "Together: at least 0.0841 dollars." in said(RENTAL, unpriced)


def test_what_was_billed_stands_beside_what_was_to_be_expected() -> None:
    assert said({**RENTAL, "billed_usd": 0.084}).endswith("for 0.0841 dollars (0.0840 billed).")
    # Bills come later.
    some = said({**RENTAL, "cost_usd": 2.0, "billed_usd": 1.5})
    assert some.endswith("for 2.0000 dollars (1.5000 billed so far).")
    unpriced = {**RENTAL, "price_usd_per_hour": None, "cost_usd": 0.0, "billed_usd": 0.3}
    assert said(unpriced).endswith("at a price that is not told (0.3000 billed).")
    assert "billed" not in said({**RENTAL, "billed_usd": None})


STANDS = {
    "changed": True,
    "rental": {"id": "7", "provider": "vastai", "stopped_usd_per_hour": 0.011},
    "cost_usd": 0.0841,
}


def stood(stopped: dict[str, Any], **results: Any) -> str:
    return teardown_ending(stopped, "gpu-1", "prod", **results)


def test_what_stands_still_is_told_with_what_its_disk_bills() -> None:
    told = stood(STANDS, server=PROVEN, tunnel={"changed": True})
    assert told == (
        "Server: stopped, proven. Tunnel: closed. Rental 7 of vastai stands still: its disk bills "
        "0.0110 dollars per hour, and it has cost 0.0841 dollars. Playbook inferops.gpu.deploy "
        "starts it again, if its GPUs are free then, and inferops.gpu.teardown releases it."
    )
    assert "Rental 7 of vastai would stand still" in stood(STANDS, dry_run=True)
    untold = {**STANDS, "rental": {**STANDS["rental"], "stopped_usd_per_hour": None}}
    assert "its disk bills a price that is not told" in stood(untold)


def test_a_server_that_may_still_run_has_ended_with_the_rental_that_stands_still() -> None:
    told = stood(STANDS, server=SILENT)
    assert told.startswith(
        "Server: not stopped, for its host does not answer. What may be left of it ended with the "
        "rental."
    )


def test_where_nothing_is_rented_nothing_stands_still() -> None:
    assert stood({"changed": False, "rental": None}) == NOTHING
