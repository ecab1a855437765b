# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses to which everybody on the way could read a secret: none is sent there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.common.addresses import is_closed
from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import RequestRefused
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.registry import (
    PROVIDERS,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.options import (
    check_credentials,
    make_provider,
)
from tests.simulator.web import Reply, Request, Server
from tests.tools.tree import REPOSITORY
from tests.unit.plays import play

OPEN = "http://market.example"
KEY = "key-of-the-account"


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Request]]:
    """What somebody hears who is on the way to all that is not https."""
    heard: list[Request] = []

    def note(request: Request) -> Reply:
        heard.append(request)
        return Reply(200, b"{}")

    server = Server(("127.0.0.1", 0), note)
    monkeypatch.setenv("http_proxy", server.url)
    yield heard
    server.close()


def account(provider: str, **options: Any) -> dict[str, Any]:
    keys = {credential.option: KEY for credential in PROVIDERS[provider].credentials}
    return {"provider": provider, **keys, **options}


@pytest.mark.parametrize(
    "url",
    [
        *("https://market.example", "https://10.0.0.7:8443/api", "HTTPS://market.example"),
        *("http://127.0.0.1:9", "http://127.8.0.1", "http://[::1]:8080", "http://localhost:8080"),
        *("http://LOCALHOST", "http://me:password@localhost:8080/api"),
    ],
)
def test_what_nobody_on_the_way_reads_is_closed(url: str) -> None:
    assert is_closed(url)


@pytest.mark.parametrize(
    "url",
    [
        *("http://market.example", "http://10.0.0.7", "http://[fe80::1]", "http://localhost.evil"),
        *("http://127.0.0.1.evil", "http://127.0.0.1@evil.example", "http://evil/@localhost"),
        *("ftp://localhost", "market.example", "//localhost", "http://[", "http:///api", ""),
    ],
)
def test_what_somebody_on_the_way_could_read_is_open(url: str) -> None:
    assert not is_closed(url)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_provider_gets_its_key_over_http(tmp_path: Path, provider: str) -> None:
    options = account(provider, api_url=OPEN, controller_dir=str(tmp_path))
    with pytest.raises(RequestRefused, match=r"http://market\.example is not https") as refused:
        make_provider(options)
    assert PROVIDERS[provider].url_env in str(refused.value)


def test_an_address_of_the_environment_is_looked_at_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VAST_URL", OPEN)
    with pytest.raises(RequestRefused, match="is not https"):
        check_credentials(account("vastai"))


def test_a_login_in_an_address_is_not_shown() -> None:
    with pytest.raises(RequestRefused) as refused:
        check_credentials(account("vastai", api_url="http://me:password@market.example"))
    assert "password" not in str(refused.value)


def test_one_of_several_accounts_is_looked_at_as_well() -> None:
    others = [account("vastai"), account("runpod", api_url=OPEN)]
    with pytest.raises(RequestRefused, match="is not https"):
        check_credentials({"provider": "vastai", "accounts": others, "scope_secret": "x" * 40})


@pytest.mark.parametrize("name", ["deploy", "status", "teardown"])
def test_a_playbook_sends_no_key_over_http(
    tmp_path: Path, listener: list[Request], name: str
) -> None:
    """Not even where a proxy of the environment would take it."""
    status, output = play(
        tmp_path,
        REPOSITORY / "playbooks" / f"{name}.yml",
        inferops_model="a/b",
        inferops_api_url=OPEN,
    )
    assert status != 0
    assert "http://market.example is not https" in output
    assert "Nothing was sent" in output
    assert listener == []


def test_a_module_of_ones_own_play_sends_no_key_over_http(
    tmp_path: Path, listener: list[Request]
) -> None:
    look = {"inferops.gpu.rental_info": {"scope": "test", "api_url": OPEN}}
    tasks = [{"hosts": "localhost", "gather_facts": False, "tasks": [look]}]
    status, output = play(tmp_path, tasks)
    assert status != 0
    assert "http://market.example is not https" in output
    assert listener == []
