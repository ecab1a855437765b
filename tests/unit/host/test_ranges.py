# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Large files in pieces over several connections: real downloads from the hub's stand-in, and what
a mirror, a line, a disk and a host can do to one of them.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.action.model_cache import line
from ansible_collections.inferops.gpu.plugins.module_utils.host.models import (
    patience,
    pieces,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.models import store as model_store
from ansible_collections.inferops.gpu.plugins.module_utils.hub.hub import Hub as Client
from ansible_collections.inferops.gpu.plugins.module_utils.hub.hub import HubError
from ansible_collections.inferops.gpu.plugins.modules import model_cache
from tests.hanging import HANGS_AFTER_SECONDS
from tests.simulator.hub import Hub, commit
from tests.simulator.web import Reply, Request, json_reply

ROOT = Path(__file__).parents[3]
NAME = "inferops/large"
WEIGHTS = "model.safetensors"
PIECE, COUNT = 10_000, 12
SIZE = PIECE * COUNT - 1234
TOKEN = "hf_of-the-hub"
Run = Callable[..., dict[str, Any]]


class Mirror(Hub):
    """May name no checksums, break whole files, wait until several answers are under way, or answer
    so many times and then hang.
    """

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.hung = threading.Event()
        self.released = threading.Event()

    names_checksums = True
    breaks_of_the_whole = 0
    meet: threading.Barrier | None = None
    most_answers: int | None = None

    def info(self, request: Request, folder: Path) -> Reply:
        told = json.loads(super().info(request, folder).body)
        for row in told["siblings"] if not self.names_checksums else ():
            row.pop("blobId", None)
            row.pop("lfs", None)
        return json_reply(told)

    def content(self, request: Request, folder: Path, path: Path, tag: str) -> Reply:
        if path.name == WEIGHTS:
            if self.meet:
                self.meet.wait(HANGS_AFTER_SECONDS)
            if self.most_answers is not None and self.answers[WEIGHTS] >= self.most_answers:
                self.hung.set()
                self.released.wait(HANGS_AFTER_SECONDS)
            if self.breaks_of_the_whole > 0 and "range" not in request.headers:
                self.breaks_of_the_whole -= 1
                self.trouble.breaks[WEIGHTS] = 1
        return super().content(request, folder, path, tag)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    (folder / NAME).mkdir(parents=True)
    (folder / NAME / "config.json").write_text("{}")
    header = json.dumps({"x": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}).encode()
    weights = bytearray(random.Random(7).randbytes(SIZE))
    length = SIZE - 8 - len(header)
    header = header.replace(b"[1]", b"[%d]" % length).replace(b"[0, 1]", b"[0, %d]" % length)
    length = SIZE - 8 - len(header)
    header = re.sub(rb"\[\d+\]", b"[%d]" % length, re.sub(rb"0, \d+", b"0, %d" % length, header))
    weights[: 8 + len(header)] = len(header).to_bytes(8, "little") + header
    (folder / NAME / WEIGHTS).write_bytes(weights)
    return folder


@pytest.fixture
def hub(models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    monkeypatch.setattr(patience, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(pieces, "PIECE_BYTES", PIECE)
    hub = Mirror(models, ("127.0.0.1", 0))
    yield hub
    hub.released.set()
    hub.close()


@pytest.fixture
def pauses(hub: Mirror, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited after attempts that failed. Nobody waits."""
    told: list[float] = []
    monkeypatch.setattr(patience, "time", SimpleNamespace(sleep=told.append))
    return told


@pytest.fixture
def elsewhere(hub: Mirror, models: Path) -> Iterator[Mirror]:
    """Where the hub sends everybody for the weights."""
    other = Mirror(models, ("127.0.0.1", 0))
    hub.trouble.elsewhere = f"http://127.0.0.1:{other.port}"
    yield other
    other.close()


@pytest.fixture
def cache(run_module: Run, hub: Mirror, tmp_path: Path) -> Run:
    def call(check: bool = False, **options: Any) -> dict[str, Any]:
        wanted = {"home": str(tmp_path / "home"), "endpoint": f"http://127.0.0.1:{hub.port}"}
        return run_module(model_cache, check=check, model=NAME, **{**wanted, **options})

    return call


@pytest.fixture
def folder(hub: Mirror, tmp_path: Path) -> Path:
    """Where the model comes to lie."""
    return tmp_path / "home/models/inferops--large" / commit(hub.models / NAME)


def asked(hub: Mirror) -> list[str]:
    """The ranges of the weights that were asked for; an empty text is the whole file."""
    return [r.headers.get("range", "") for r in hub.seen if r.path.endswith(WEIGHTS)]


def right(hub: Mirror, folder: Path) -> bool:
    """Whether the weights are there as they are on the hub, and nothing beside them."""
    left = [path.name for path in folder.iterdir() if ".incomplete" in path.name]
    there = (folder / WEIGHTS).is_file()
    return there and not left and same(hub, folder)


def same(hub: Mirror, folder: Path) -> bool:
    """Whether not a byte differs."""
    return (folder / WEIGHTS).read_bytes() == (hub.models / NAME / WEIGHTS).read_bytes()


def changed(hub: Mirror, folder: Path) -> bool:
    """Whether the weights are as they are since they changed on the hub, each byte of them."""
    first = (hub.models / NAME / WEIGHTS).read_bytes()
    return (folder / WEIGHTS).read_bytes() == first[:1000] + first[1000:][::-1]


def break_off(cache: Run, hub: Mirror, after: int) -> None:
    """A download that ends without its last pieces, as that of a process that is killed."""
    kept, answer = pieces.Fetch._keep, []

    def keep(self: pieces.Fetch, piece: pieces.Piece, content: memoryview) -> None:
        if len(self.pieces) > 1 and piece.index >= after:
            answer.append(piece.index)
            raise OSError("killed")
        kept(self, piece, content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces.Fetch, "_keep", keep)
        patch.setattr(model_store, "CONNECTIONS", 1)
        assert "killed" in cache()["msg"]
    hub.seen.clear()


def first_bytes(ranges: list[str]) -> list[int]:
    return sorted(int(text.removeprefix("bytes=").partition("-")[0]) for text in ranges)


def test_a_large_file_comes_in_ranges_over_several_connections(
    cache: Run, hub: Mirror, folder: Path
) -> None:
    # No answer is given before as many have been asked for: one connection alone would never end.
    hub.meet = threading.Barrier(4)
    result = cache()
    assert result["complete"], result
    assert right(hub, folder)
    assert first_bytes(asked(hub)) == list(range(0, SIZE, PIECE))
    assert result["proven_by"] == "checksums"


def test_connections_are_bounded_over_all_files(
    cache: Run, hub: Mirror, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        (models / NAME / f"extra-{number}.json").write_bytes(os.urandom(5 * PIECE))
    at_once, most, guard = [0], [0], threading.Lock()
    poured = pieces.Fetch._pour

    def pour(self: pieces.Fetch, *given: Any) -> None:
        with guard:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        time.sleep(0.02)
        poured(self, *given)
        with guard:
            at_once[0] -= 1

    monkeypatch.setattr(pieces.Fetch, "_pour", pour)
    assert cache()["complete"]
    assert 1 < most[0] <= model_store.CONNECTIONS


def test_only_the_pieces_that_are_lacking_are_fetched_after_a_kill(
    cache: Run, hub: Mirror, folder: Path
) -> None:
    break_off(cache, hub, 5)
    promised = cache(check=True)
    assert promised["download_gib"] == model_store.gib(SIZE - 5 * PIECE)
    hub.seen.clear()
    assert cache()["complete"]
    assert first_bytes(asked(hub)) == list(range(5 * PIECE, SIZE, PIECE))
    assert right(hub, folder)


#: Downloads as the module does, in pieces of a size and to a home folder that are given.
PROCESS = """
import sys
from pathlib import Path
from ansible_collections.inferops.gpu.plugins.module_utils.host.models import pieces, store
from ansible_collections.inferops.gpu.plugins.module_utils.hub.hub import Hub

endpoint, model, home, pieces.PIECE_BYTES = *sys.argv[1:4], int(sys.argv[4])
hub = Hub(endpoint, None, 60)
listing = hub.listing(model, "main")
kept = store.Store.of(Path(home), model)
store.CONNECTIONS = 1
with kept.locked():
    store.download(hub, listing, listing.files, kept)
"""


def test_a_process_that_is_killed_leaves_its_pieces_to_the_next(
    cache: Run, hub: Mirror, folder: Path, tmp_path: Path
) -> None:
    hub.most_answers = 5
    home = str(tmp_path / "home")
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS, f"http://127.0.0.1:{hub.port}", NAME, home, str(PIECE)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "collections")},
    )
    try:
        assert hub.hung.wait(HANGS_AFTER_SECONDS)
    finally:
        process.kill()
        process.wait()
    hub.most_answers = None
    hub.seen.clear()
    assert cache()["complete"]
    assert first_bytes(asked(hub)) == list(range(5 * PIECE, SIZE, PIECE))
    assert right(hub, folder)


def test_a_piece_that_a_restart_of_the_host_has_lost_is_fetched_again_alone(
    cache: Run, hub: Mirror, folder: Path
) -> None:
    break_off(cache, hub, 8)
    part = folder / f"{WEIGHTS}.incomplete"
    with part.open("r+b") as stream:
        stream.seek(3 * PIECE)
        stream.write(bytes(4096))  # a page that never came to the disk
    assert cache()["complete"]
    assert first_bytes(asked(hub)) == [3 * PIECE, *range(8 * PIECE, SIZE, PIECE)]
    assert right(hub, folder)


def test_a_lost_piece_is_found_where_no_checksum_would_tell(
    cache: Run, hub: Mirror, folder: Path
) -> None:
    hub.names_checksums = False
    break_off(cache, hub, 8)
    with (folder / f"{WEIGHTS}.incomplete").open("r+b") as stream:
        stream.write(bytes(4096))
    assert cache()["complete"]
    assert right(hub, folder)


@pytest.mark.parametrize("checksums", [True, False])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: None,
        lambda text: "",
        lambda text: text[:20],
        lambda text: text.replace('"count": 12', '"count": 6'),
        lambda text: "[1]\n" + text,
        lambda text: text[:-4],
    ],
)
def test_a_journal_that_cannot_be_believed_costs_time_and_no_wrong_file(
    cache: Run, hub: Mirror, folder: Path, spoil: Callable[[str], str | None], checksums: bool
) -> None:
    hub.names_checksums = checksums
    break_off(cache, hub, 6)
    journal = folder / f"{WEIGHTS}.incomplete.pieces"
    text = spoil(journal.read_text())
    journal.unlink() if text is None else journal.write_text(text)
    assert cache()["complete"]
    assert right(hub, folder)


def test_a_sparse_part_without_its_journal_is_no_file(
    cache: Run, hub: Mirror, folder: Path
) -> None:
    """A host that was restarted may have kept the one and not the other."""
    hub.names_checksums = False
    break_off(cache, hub, 6)
    (folder / f"{WEIGHTS}.incomplete.pieces").unlink()
    os.truncate(folder / f"{WEIGHTS}.incomplete", SIZE)
    assert cache()["complete"]
    assert right(hub, folder)


@pytest.mark.parametrize("checksums", [True, False])
def test_a_connection_that_dies_in_every_part_ends_in_the_right_file(
    cache: Run, hub: Mirror, folder: Path, checksums: bool
) -> None:
    hub.names_checksums = checksums
    hub.trouble.breaks[WEIGHTS] = 3 * COUNT
    assert cache()["complete"]
    assert right(hub, folder)


def test_a_server_that_shortens_each_range_is_asked_for_the_rest_at_once(
    cache: Run, hub: Mirror, folder: Path, pauses: list[float]
) -> None:
    hub.trouble.shortens[WEIGHTS] = 2 * COUNT
    assert cache()["complete"]
    assert pauses == []
    assert len(asked(hub)) > 2 * COUNT
    assert right(hub, folder)


@pytest.mark.parametrize("checksums", [True, False])
def test_a_mirror_that_ignores_ranges_gives_the_whole_file_by_one_connection(
    cache: Run, hub: Mirror, folder: Path, checksums: bool
) -> None:
    hub.names_checksums = checksums
    hub.trouble.ignores_ranges = True
    hub.trouble.breaks[WEIGHTS] = 2
    assert cache()["complete"]
    assert right(hub, folder)
    assert asked(hub)[-1] == ""


def test_a_mirror_that_ignores_ranges_is_not_asked_for_each_of_them(
    cache: Run, hub: Mirror, folder: Path
) -> None:
    hub.trouble.ignores_ranges = True
    assert cache()["complete"]
    # At most those that were under way, a piece or two that slip through, and the whole file.
    assert len(asked(hub)) < COUNT


def test_a_mirror_that_ignores_ranges_from_now_on_costs_no_piece_that_is_here(
    cache: Run, hub: Mirror, folder: Path
) -> None:
    break_off(cache, hub, 6)
    hub.trouble.ignores_ranges = True
    assert cache()["complete"]
    assert right(hub, folder)


def test_another_range_than_was_asked_for_is_never_written(
    cache: Run, hub: Mirror, folder: Path
) -> None:
    hub.names_checksums = False
    hub.trouble.shifts[WEIGHTS] = 3
    assert cache()["complete"]
    assert right(hub, folder)


def test_a_mirror_that_always_sends_other_ranges_is_given_up_with_what_to_change(
    cache: Run, hub: Mirror, folder: Path
) -> None:
    hub.names_checksums = False
    hub.trouble.shifts[WEIGHTS] = 10_000
    result = cache()
    assert result["failed"]
    assert f"does not give {WEIGHTS} as it lists it: asked for its bytes from " in result["msg"]
    assert "Set the endpoint to another mirror" in result["msg"]
    assert not (folder / WEIGHTS).exists()


@pytest.mark.parametrize("ignores_ranges", [True, False])
@pytest.mark.parametrize("more", [4, -4])
def test_a_file_of_another_size_than_is_listed_is_refused(
    cache: Run, hub: Mirror, folder: Path, ignores_ranges: bool, more: int
) -> None:
    """Without a checksum the first bytes of a longer one would be taken for the whole."""
    hub.names_checksums = False
    hub.trouble.resized = {WEIGHTS: more}
    hub.trouble.ignores_ranges = ignores_ranges
    result = cache()
    assert f"it has {SIZE + more} bytes there, and lists {SIZE}" in result["msg"]
    assert "Set the endpoint to another mirror" in result["msg"]
    assert not (folder / WEIGHTS).exists()


def test_a_range_behind_the_end_of_a_file_is_told_as_one_that_is_too_short(
    cache: Run, hub: Mirror, folder: Path
) -> None:
    break_off(cache, hub, COUNT - 1)
    hub.trouble.resized = {WEIGHTS: -PIECE}
    result = cache()
    assert "as it lists it: it is shorter there. Set the endpoint to another" in result["msg"]
    assert not (folder / WEIGHTS).exists()


def test_bytes_with_another_checksum_are_thrown_away_with_their_journal(
    cache: Run, hub: Mirror, folder: Path
) -> None:
    hub.trouble.corrupt = {WEIGHTS}
    result = cache()
    assert f"{WEIGHTS} of {NAME} has another checksum than" in result["msg"]
    assert "another mirror" in result["msg"]
    assert not list(folder.glob(f"{WEIGHTS}*"))
    hub.trouble.corrupt = set()
    assert cache()["complete"]
    assert right(hub, folder)


@pytest.mark.parametrize("version_by", ["ETag", "weak ETag", "Last-Modified"])
def test_a_file_that_changes_between_pieces_is_no_mixture_of_both(
    cache: Run, hub: Mirror, folder: Path, version_by: str
) -> None:
    """Its server names no checksum, so nothing else would tell. What counts is one answer."""
    hub.names_checksums = False
    hub.trouble.version_by = version_by
    hub.trouble.changes = {WEIGHTS: 5}
    assert cache()["complete"]
    # By a weak name no pieces are joined: the one answer may come before the change.
    assert changed(hub, folder) or (version_by == "weak ETag" and right(hub, folder))


@pytest.mark.parametrize(
    ("version_by", "joined"),
    [("ETag", True), ("Last-Modified", True), ("weak ETag", False), ("nothing", False)],
)
def test_pieces_without_a_checksum_are_joined_by_a_name_that_is_as_good(
    cache: Run, hub: Mirror, folder: Path, version_by: str, joined: bool
) -> None:
    hub.names_checksums = False
    hub.trouble.version_by = version_by
    assert cache()["complete"]
    assert right(hub, folder)
    assert ("" not in asked(hub)) is joined


def test_a_file_that_changes_between_two_runs_is_no_mixture_of_both(
    cache: Run, hub: Mirror, folder: Path
) -> None:
    hub.names_checksums = False
    break_off(cache, hub, 5)
    hub.trouble.changes = {WEIGHTS: 0}
    assert cache()["complete"]
    assert changed(hub, folder)


def test_what_changes_and_has_a_checksum_says_that_it_changed(
    cache: Run, hub: Mirror, folder: Path
) -> None:
    hub.trouble.changes = {WEIGHTS: 5}
    assert "says, and it changed on the way: what arrived was thrown away" in cache()["msg"]
    assert not (folder / WEIGHTS).exists()


def test_what_nothing_holds_together_is_taken_from_one_answer(
    cache: Run, hub: Mirror, folder: Path
) -> None:
    """Neither checksum nor ETag: what a broken answer has left could be of any other file."""
    hub.names_checksums = False
    hub.trouble.version_by = "nothing"
    hub.breaks_of_the_whole, hub.trouble.changes = 2, {WEIGHTS: COUNT + 1}
    assert cache()["complete"]
    assert asked(hub)[-2:] == ["", ""]
    assert right(hub, folder) or changed(hub, folder)


def test_what_has_no_name_is_not_taken_up_by_another_run(
    cache: Run, hub: Mirror, folder: Path
) -> None:
    hub.names_checksums = False
    hub.trouble.version_by = "nothing"
    break_off(cache, hub, 5)
    hub.trouble.version_by = "ETag"
    hub.trouble.changes = {WEIGHTS: 0}
    assert cache()["complete"]
    assert changed(hub, folder)


def test_what_is_left_of_a_small_file_counts_only_where_a_checksum_proves_it(
    cache: Run, hub: Mirror, folder: Path
) -> None:
    hub.names_checksums = False
    folder.mkdir(parents=True, mode=0o700)
    (folder / "config.json.incomplete").write_text("[")
    assert cache()["complete"]
    assert (folder / "config.json").read_text() == "{}"


def test_a_disk_need_not_have_room_for_what_is_on_it_already(
    cache: Run, hub: Mirror, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a piece is fetched again, to where it was."""
    asked_for: list[int] = []
    monkeypatch.setattr(
        model_cache, "require_space", lambda folder, missing, *more: asked_for.append(missing)
    )
    break_off(cache, hub, 5)
    cache(check=True)
    used = (folder / f"{WEIGHTS}.incomplete").stat().st_blocks * 512
    small = 2  # config.json is lacking, too
    assert used >= 5 * PIECE
    assert asked_for[-1] == SIZE + small - used


def test_the_hub_is_asked_once_where_bytes_lie_elsewhere(
    cache: Run, hub: Mirror, elsewhere: Mirror, folder: Path
) -> None:
    """A hub counts requests: a large model would have more pieces than it allows."""
    assert cache()["complete"]
    assert right(hub, folder)
    assert len(asked(elsewhere)) == COUNT
    assert len(asked(hub)) <= model_store.CONNECTIONS


def test_an_address_whose_time_is_over_is_asked_for_anew(
    cache: Run, hub: Mirror, elsewhere: Mirror, folder: Path, pauses: list[float]
) -> None:
    """Which is no failure, and nobody waits for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_store, "CONNECTIONS", 1)
        elsewhere.trouble.good_for = 5
        assert cache()["complete"]
    assert pauses == []
    assert right(hub, folder)
    assert len(asked(hub)) == 3


def test_bytes_that_are_always_refused_elsewhere_are_told_with_what_to_do(
    cache: Run, hub: Mirror, elsewhere: Mirror
) -> None:
    elsewhere.trouble.fails[WEIGHTS], elsewhere.trouble.status = 10_000, 403
    told = cache()["msg"]
    assert "the server that it names answers 403. Check the network, or set the endpoint" in told
    assert "Signature" not in told


def test_the_address_of_the_bytes_never_gets_the_token(
    cache: Run, hub: Mirror, elsewhere: Mirror
) -> None:
    hub.gated, hub.token = (NAME,), TOKEN
    elsewhere.trouble.good_for = 3
    assert cache(token=TOKEN)["complete"]
    assert len(asked(elsewhere)) > COUNT
    assert not [request for request in elsewhere.seen if "authorization" in request.headers]


def test_a_connection_that_is_too_slow_is_exchanged(
    cache: Run, hub: Mirror, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "PIECE_SECONDS", -1)
    monkeypatch.setattr(pieces, "CHUNK_BYTES", PIECE // 3)
    assert cache()["complete"]
    assert len(asked(hub)) > 2 * COUNT
    assert right(hub, folder)


def test_the_first_failure_is_told_and_ends_the_other_files(
    cache: Run, hub: Mirror, models: Path, folder: Path
) -> None:
    (models / NAME / "model-2.safetensors").write_bytes(os.urandom(SIZE * 2))
    hub.trouble.fails[WEIGHTS], hub.trouble.status = 1000, 404
    told = cache()["msg"]
    assert told.startswith(f"http://127.0.0.1:{hub.port} has no model"), told
    assert len(asked(hub)) <= model_store.CONNECTIONS


def test_a_disk_that_reads_otherwise_than_it_was_written_is_named(
    cache: Run, hub: Mirror, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crc = pieces.Fetch._crc
    monkeypatch.setattr(pieces.Fetch, "_crc", lambda self, *given: crc(self, *given) ^ 1)
    assert "the disk of this host is damaged. Take another host." in cache()["msg"]
    assert not (folder / WEIGHTS).exists()


@pytest.mark.parametrize(
    ("busy", "brings", "asked_times"), [(True, 1, 21), (True, 0, 5), (False, 1, 5)]
)
def test_a_server_that_lets_in_fewer_connections_is_no_end_while_the_others_bring(
    pauses: list[float], busy: bool, brings: int, asked_times: int
) -> None:
    asked, brought = [0], [0]

    def question() -> str:
        asked[0] += 1
        brought[0] += brings
        if asked[0] > 20:
            return "let in"
        error = HubError("unreachable", "It answers 503.", "")
        error.busy = busy
        raise error

    def ask() -> str:
        return patience.patiently(question, beside=lambda: brought[0])

    if asked_times > 20:
        assert ask() == "let in"
    else:
        with pytest.raises(HubError):
            ask()
    assert asked[0] == asked_times
    assert max(pauses) <= 32 * patience.FIRST_PAUSE_SECONDS


def test_a_server_that_is_too_busy_says_so(hub: Mirror) -> None:
    client = Client(f"http://127.0.0.1:{hub.port}", None, 30)
    for status, busy in ((503, True), (429, True), (500, False)):
        hub.trouble.fails[WEIGHTS], hub.trouble.status = 1, status
        listing = client.listing(NAME, "main")
        with pytest.raises(HubError) as told, client.read(NAME, listing.commit, WEIGHTS):
            pass
        assert told.value.busy is busy


def test_a_full_disk_is_told_and_what_has_arrived_is_kept(
    cache: Run, hub: Mirror, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = os.pwrite

    def write(handle: int, content: memoryview, offset: int) -> int:
        if offset >= 4 * PIECE:
            raise OSError(28, "No space left on device")
        return written(handle, content, offset)

    monkeypatch.setattr(model_store, "CONNECTIONS", 1)
    monkeypatch.setattr(os, "pwrite", write)
    assert "The disk does not take the model" in cache()["msg"]
    monkeypatch.undo()
    monkeypatch.setattr(pieces, "PIECE_BYTES", PIECE)
    hub.seen.clear()
    assert cache()["complete"]
    assert first_bytes(asked(hub)) == list(range(4 * PIECE, SIZE, PIECE))


def test_an_empty_file_is_there_without_a_request(
    cache: Run, hub: Mirror, models: Path, folder: Path
) -> None:
    (models / NAME / "empty.txt").touch()
    assert "empty.txt" in cache()["files"]
    assert not [request for request in hub.seen if request.path.endswith("empty.txt")]
    assert not cache()["changed"]


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ({}, "model 1.0 of 4.0 GiB, 100 MB/s, about 32 s left"),
        ({"bytes_per_second": 0}, "model 1.0 of 4.0 GiB, 0 MB/s"),
        ({"bytes_done": 2**32}, "model 4.0 of 4.0 GiB, 100 MB/s, 0.5 GiB checked"),
        ({"bytes_done": None}, ""),
        ({"bytes_done": "inf", "bytes_total": "nan"}, None),
        ({"bytes_total": 1e308, "bytes_per_second": 1e-308}, None),
    ],
)
def test_a_line_of_progress_says_what_is_still_to_come(
    told: dict[str, Any], shown: str | None
) -> None:
    usual = {"bytes_done": 2**30, "bytes_total": 2**32, "bytes_per_second": 1e8}
    text = line({**usual, "bytes_checked": 2**29, **told})
    assert shown is None or text == shown


@pytest.mark.long
@pytest.mark.parametrize(
    ("rental", "said"),
    [
        ({"download_mbit_per_second": 800}, "minutes at the 800 Mbit/s that are promised"),
        ({"download_mbit_per_second": None}, ""),
    ],
)
def test_the_role_says_what_a_download_will_take(
    hub: Mirror, tmp_path: Path, rental: dict[str, Any], said: str
) -> None:
    (hub.models / NAME / WEIGHTS).write_bytes(b"")
    os.truncate(hub.models / NAME / WEIGHTS, 50 * 2**20)  # which nobody downloads
    role = {"name": "inferops.gpu.model_cache", "tasks_from": "start"}
    play = {"hosts": "localhost", "tasks": [{"ansible.builtin.include_role": role}]}
    file = tmp_path / "play.json"
    file.write_text(json.dumps([{**play, "gather_facts": False}]))
    given = {
        "ansible_python_interpreter": sys.executable,
        "inferops_model": NAME,
        "inferops_home": str(tmp_path / "home"),
        "inferops_hub_endpoint": f"http://127.0.0.1:{hub.port}",
        "inferops_rental": rental,
    }
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "--check", str(file)]
    done = subprocess.run(
        [*command, "-i", "localhost,", "-c", "local", "-e", json.dumps(given)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER_SECONDS,
        check=False,
    )
    output = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 0, output
    assert f"Would download 0.05 GiB of {NAME} in 2 files to" in output
    assert said in output
    assert ("Mbit/s" in output) is bool(said)
