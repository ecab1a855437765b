# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hub, or a mirror of one, may answer anything: no name in it leaves the model's folder, and what
it names no checksum for counts as proven by nobody.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.models import patience
from ansible_collections.inferops.gpu.plugins.module_utils.host.models import store as model_store
from ansible_collections.inferops.gpu.plugins.module_utils.hub import asking
from ansible_collections.inferops.gpu.plugins.module_utils.hub import hub as hub_client
from ansible_collections.inferops.gpu.plugins.modules import model_cache
from tests.simulator.hub import Hub, commit
from tests.simulator.web import Reply, Request, json_reply

NAME = "inferops/small"
WEIGHTS = "model.safetensors"
MANY = [{"rfilename": f"{number}.json", "size": 0} for number in range(10_001)]
Call = Callable[..., dict[str, Any]]


class OddHub(Hub):
    """Its listing goes through `change` before it is told."""

    change: Callable[[dict[str, Any]], Any] = staticmethod(lambda told: told)

    def info(self, request: Request, folder: Path) -> Reply:
        told = json.loads(super().info(request, folder).body)
        return json_reply(self.change(told) or told)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OddHub]:
    monkeypatch.setattr(patience, "FIRST_PAUSE_SECONDS", 0.01)
    folder = tmp_path / "models" / NAME
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    header = b"{}"
    (folder / WEIGHTS).write_bytes(len(header).to_bytes(8, "little") + header)
    hub = OddHub(tmp_path / "models", ("127.0.0.1", 0))
    yield hub
    hub.close()


@pytest.fixture
def cache(run_module: Call, hub: OddHub, tmp_path: Path) -> Call:
    def call(**options: Any) -> dict[str, Any]:
        wanted = {"home": str(tmp_path / "home"), "endpoint": f"http://127.0.0.1:{hub.port}"}
        return run_module(model_cache, model=NAME, **{**wanted, **options})

    return call


def without_checksums(told: dict[str, Any]) -> None:
    for row in told["siblings"]:
        row.pop("blobId")
        row.pop("lfs", None)


def first_file(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda told: told["siblings"][0].update(fields)


def test_what_has_no_checksum_is_complete_and_not_proven(cache: Call, hub: OddHub) -> None:
    proven = cache()
    assert (proven["proven_by"], proven["unproven_files"]) == ("checksums", [])
    assert not proven.get("warnings")
    hub.change = without_checksums
    (Path(proven["path"]) / ".inferops.json").unlink()
    doubted = cache()
    assert (doubted["complete"], doubted["proven_by"]) == (True, "sizes")
    assert set(doubted["unproven_files"]) == {"config.json", WEIGHTS}
    assert set(doubted["files"]) == {"config.json", WEIGHTS}, "a size alone proves no old file"
    assert "only their sizes were compared" in str(doubted["warnings"])
    again = cache()
    assert (again["changed"], again["proven_by"]) == (False, "sizes")
    assert set(again["unproven_files"]) == {"config.json", WEIGHTS}
    assert "only their sizes were compared" in str(again["warnings"])


def test_a_file_that_was_touched_is_not_believed_without_a_checksum(
    cache: Call, hub: OddHub
) -> None:
    hub.change = without_checksums
    weights = Path(cache()["path"]) / WEIGHTS
    weights.write_bytes(bytes(weights.stat().st_size))
    os.utime(weights, ns=(1, 1))
    assert cache()["files"] == [WEIGHTS]
    assert weights.read_bytes() == (hub.models / NAME / WEIGHTS).read_bytes()


@pytest.mark.parametrize(
    "sha", ["../../../etc", "main", "", "a" * 39, "A" * 40, "a" * 40 + "\n", 40 * [1], None, "/tmp"]
)
def test_a_commit_is_forty_digits_and_never_a_path(
    cache: Call, hub: OddHub, tmp_path: Path, sha: Any
) -> None:
    hub.change = lambda told: told.update(sha=sha)
    result = cache()
    assert result["failed"]
    assert "is no commit of 40 hexadecimal digits" in result["msg"]
    assert not list((tmp_path / "home").rglob("*.safetensors"))


@pytest.mark.parametrize(
    "name",
    [
        "../x.json",
        "a/../../x.json",
        "/etc/x.json",
        "a//x.json",
        "./x.json",
        "a\\..\\x.json",
        "a\nb.json",
        "a\x00.json",
        "\x1b[2Jx.json",
        "x" * 501,
        "",
        ".inferops.json",
        ".inferops.json/x.json",
        f"{WEIGHTS}.incomplete",
        f"{WEIGHTS}.incomplete.pieces",
        WEIGHTS,
        7,
        None,
        ["a"],
    ],
)
def test_a_file_lies_within_the_model_under_a_name_of_its_own(
    cache: Call, hub: OddHub, tmp_path: Path, name: Any
) -> None:
    hub.change = first_file(rfilename=name)
    result = cache(include=["*"], exclude=["nothing"])
    assert result["failed"]
    assert "does not answer as a model hub does" in result["msg"]
    assert not list((tmp_path / "home").rglob("*.json"))


@pytest.mark.parametrize(
    "fields",
    [
        {"size": -1},
        {"size": 2**51},
        {"size": "12"},
        {"size": True},
        {"size": 1.5},
        {"size": None},
        {"blobId": "abc"},
        {"blobId": 7},
        {"lfs": {"size": 3, "sha256": "abc"}},
        {"lfs": [1]},
    ],
)
def test_an_odd_size_or_checksum_is_refused_in_words(
    cache: Call, hub: OddHub, fields: dict[str, Any]
) -> None:
    hub.change = first_file(**fields)
    result = cache()
    assert result["failed"]
    assert "does not answer as a model hub does" in result["msg"]


@pytest.mark.parametrize(
    "told",
    [
        [],
        {"id": "a/b"},
        {"id": "../x", "sha": "a" * 40, "siblings": []},
        {"id": "a/b", "sha": "a" * 40, "siblings": {}},
        {"id": "a/b", "sha": "a" * 40, "siblings": ["x"]},
        {"id": "a/b", "sha": "a" * 40, "siblings": MANY},
        "deep",
    ],
    ids=range(7),
)
def test_an_odd_listing_is_refused_wherever_it_is_asked_for(
    cache: Call, hub: OddHub, told: Any
) -> None:
    if told == "deep":
        told = json.loads("[" * 900 + "]" * 900)
    hub.info = lambda request, folder: json_reply(told)  # type: ignore[method-assign]
    assert "does not answer as a model hub does" in cache()["msg"]
    endpoint = f"http://127.0.0.1:{hub.port}"
    client = hub_client.Hub(endpoint, None, 5)
    with pytest.raises(hub_client.HubError, match="does not answer as a model hub does"):
        asking.ask(client, {"model": NAME, "revision": "main", "include": [], "exclude": []})


@pytest.mark.parametrize("token", ["part-one\npart-two", "part-one\n", "pärt-one part-two"])
def test_a_token_that_cannot_be_sent_is_refused_and_not_shown(cache: Call, token: str) -> None:
    """What sends it would say it back, and call the hub unreachable."""
    told = cache(token=token, token_always=True)["msg"]
    assert "The hub's token has a blank or a line break at its end, or a sign" in told
    assert "part-one" not in told
    assert "part-two" not in told


def test_a_listing_without_end_is_given_up(
    cache: Call, hub: OddHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_client, "_MOST_LISTING_BYTES", 2**20)
    hub.info = lambda request, folder: Reply(200, b" " * 2**21)  # type: ignore[method-assign]
    assert "longer than 1 MiB" in cache()["msg"]


def test_a_revision_that_is_a_path_finds_no_copy(cache: Call, hub: OddHub, tmp_path: Path) -> None:
    cache()
    store = model_store.Store.of(tmp_path / "home", NAME)
    true = commit(hub.models / NAME)
    assert (store.commit_of("main"), store.commit_of(true)) == (true, true)
    assert store.commit_of(f"./{true}") is None
    store.remember("main", f"../{store.folder.name}/{true}")
    assert store.commit_of("main") is None
