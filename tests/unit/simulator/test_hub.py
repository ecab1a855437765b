# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hub stand-in speaks as huggingface_hub's client needs it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.hanging import HANGS_AFTER_SECONDS
from tests.rig import tiny_model
from tests.simulator.hub import Hub

NAME = "inferops/tiny-llama"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    tiny_model.write(tmp_path / NAME)
    tiny_model.write(tmp_path / "inferops/gated")
    hub = Hub(tmp_path, ("127.0.0.1", 0), gated=("inferops/gated",))
    yield hub
    hub.close()


def get(hub: Hub, path: str, method: str = "GET", **headers: str) -> requests.Response:
    url = f"http://127.0.0.1:{hub.port}{path}"
    return requests.request(
        method, url, headers=headers, timeout=HANGS_AFTER_SECONDS, allow_redirects=False
    )


def test_a_model_lists_its_files_under_one_commit(hub: Hub) -> None:
    info = get(hub, f"/api/models/{NAME}/revision/main").json()
    assert info["id"] == NAME
    assert len(info["sha"]) == 40
    names = {file["rfilename"] for file in info["siblings"]}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    tree = get(hub, f"/api/models/{NAME}/tree/{info['sha']}?recursive=true").json()
    assert {row["path"] for row in tree} == names
    assert all(row["size"] > 0 for row in tree)


def test_head_tells_size_tag_and_commit_and_get_gives_the_bytes(hub: Hub) -> None:
    path = f"/{NAME}/resolve/main/model.safetensors"
    head, whole = get(hub, path, "HEAD"), get(hub, path)
    assert head.content == b""
    assert int(head.headers["Content-Length"]) == len(whole.content)
    assert whole.content == (hub.models / NAME / "model.safetensors").read_bytes()
    assert head.headers["ETag"] == whole.headers["ETag"]
    assert len(head.headers["X-Repo-Commit"]) == 40


def test_a_download_can_go_on_where_it_broke(hub: Hub) -> None:
    path = f"/{NAME}/resolve/main/model.safetensors"
    whole = get(hub, path).content
    rest = get(hub, path, Range="bytes=1000-")
    assert rest.status_code == 206
    assert rest.content == whole[1000:]
    assert rest.headers["Content-Range"] == f"bytes 1000-{len(whole) - 1}/{len(whole)}"
    assert get(hub, path, Range=f"bytes={len(whole)}-").status_code == 416


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/models/inferops/nothing/revision/main", 401, "RepoNotFound"),
        ("/inferops/nothing/resolve/main/config.json", 401, "RepoNotFound"),
        (f"/{NAME}/resolve/main/nothing.json", 404, "EntryNotFound"),
        (f"/{NAME}/resolve/main/../gated/config.json", 404, "EntryNotFound"),
        (f"/{NAME}/resolve/v9/config.json", 404, "RevisionNotFound"),
        ("/inferops/gated/resolve/main/config.json", 401, "GatedRepo"),
    ],
)
def test_what_cannot_be_had_has_the_hub_s_own_error_code(
    hub: Hub, path: str, status: int, code: str
) -> None:
    request = requests.Request("GET", f"http://127.0.0.1:{hub.port}").prepare()
    request.url = f"http://127.0.0.1:{hub.port}{path}"  # requests would fold the dots
    answer = requests.Session().send(request, timeout=HANGS_AFTER_SECONDS)
    assert (answer.status_code, answer.headers["X-Error-Code"]) == (status, code)
    assert answer.headers["X-Error-Message"]


def test_the_hub_is_read_only(hub: Hub) -> None:
    assert get(hub, f"/api/models/{NAME}", "DELETE").status_code == 405
