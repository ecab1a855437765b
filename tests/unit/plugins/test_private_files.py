# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On a machine with other users: nothing of theirs is used, no link of theirs is followed, and what
is made is private whatever the umask says. On the host and on the controller alike.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.action import evidence as evidence_action
from ansible_collections.inferops.gpu.plugins.module_utils.common import private_files
from ansible_collections.inferops.gpu.plugins.module_utils.common.private_files import (
    NotOurs,
    make_folders,
    open_private,
    place_of,
    private_folder,
    write_private,
)
from ansible_collections.inferops.gpu.plugins.module_utils.endpoint import tunnel as tunnels
from ansible_collections.inferops.gpu.plugins.module_utils.endpoint.tunnel import (
    Target,
    Tunnel,
    TunnelError,
)
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import jobs, locks, speed
from ansible_collections.inferops.gpu.plugins.module_utils.host.models.store import Store
from ansible_collections.inferops.gpu.plugins.module_utils.host.service.logs import Log
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.history import (
    Attempt,
    History,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.shared_file import SharedFile
from tests.strangers import STRANGER, Strangers


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def sticky(tmp_path: Path) -> Path:
    """A folder like /tmp: everybody may make something, and move nothing of others."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


@pytest.fixture
def strangers(monkeypatch: pytest.MonkeyPatch) -> Strangers:
    return Strangers(monkeypatch)


def mode(path: Path) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


def too_open(folder: Path) -> list[str]:
    """What others may do anything with."""
    found = [folder, *folder.rglob("*")]
    return [f"{path} {mode(path):o}" for path in found if mode(path) & 0o077]


def _job(home: Path) -> None:
    jobs.Job(home / "jobs", "abcdefgh").run(lambda tell: {"done": True}, 30)


def _lock(home: Path) -> None:
    with locks.held(home / "locks" / "main", 0):
        pass


def _log(home: Path) -> None:
    private_folder(home / "servers" / "main")
    log = Log(home / "servers" / "main" / "server.log")
    os.write(log.begin(), b"x" * 4096)
    log.keep_below(1024)


def _store(home: Path) -> None:
    store = Store.of(home, "org/model")
    with store.locked():
        store.remember("main", "a" * 40)


def _history(home: Path) -> None:
    told = History(str(home / "history" / "attempts.jsonl")).add(
        Attempt(time=1.0, provider="p", machine_id="m", outcome="served")
    )
    assert not told, told


def _shared(home: Path) -> None:
    with SharedFile(str(home / "cache" / "pace.json")).locked() as slots:
        slots["a"] = 1


WRITERS: dict[str, Callable[[Path], Any]] = {
    "json": lambda home: write_private(home / "servers" / "main" / "record.json", "{}"),
    "job": _job,
    "lock": _lock,
    "log": _log,
    "store": _store,
    "speed": lambda home: speed.disk_mb_per_second(home, 1),
    "history": _history,
    "shared": _shared,
    "evidence": lambda home: evidence_action.write(home / "gpu-1", {"summary.md": "it failed"}),
}


@pytest.mark.parametrize("name", WRITERS)
def test_what_is_made_is_private_under_any_umask(name: str, sticky: Path, no_umask: None) -> None:
    WRITERS[name](sticky / "a" / "home")
    assert not too_open(sticky / "a")


@pytest.mark.parametrize("name", sorted(set(WRITERS) - {"history", "speed"}))
def test_what_an_older_version_left_open_is_closed(name: str, sticky: Path, no_umask: None) -> None:
    home = sticky / "home"
    WRITERS[name](home)
    for path in home.rglob("*"):
        path.chmod(0o777 if path.is_dir() else 0o666)
    WRITERS[name](home)
    closed = [path for path in home.rglob("*") if path.parent != home and path.is_dir()]
    assert not [path for path in closed if mode(path) & 0o077]


@pytest.mark.parametrize("link", ["", "home"])
def test_a_link_that_a_stranger_planted_is_not_followed(
    sticky: Path, strangers: Strangers, link: str
) -> None:
    victim = sticky.parent / "victim"
    victim.mkdir(mode=0o755)
    (victim / "record.json").write_text("mine")
    planted = sticky / "planted"
    planted.symlink_to(victim)
    strangers.give(planted)
    for use in (private_folder, make_folders, place_of, private_files.require_ours):
        with pytest.raises(NotOurs, match="planted is a link of another user"):
            use(planted / link)
    with pytest.raises(NotOurs):
        write_private(planted / "record.json", "{}")
    assert (victim / "record.json").read_text() == "mine"
    assert mode(victim) == 0o755


def test_a_link_of_our_own_leads_where_it_leads(sticky: Path) -> None:
    disk = sticky.parent / "disk"
    disk.mkdir()
    (sticky / "home").symlink_to("../disk/./x/../home")
    write_private(sticky / "home" / "record.json", "{}")
    assert (disk / "home" / "record.json").read_text() == "{}"
    assert place_of(sticky / "home") == disk / "home"


def test_links_in_a_circle_are_told(sticky: Path) -> None:
    (sticky / "a").symlink_to("b")
    (sticky / "b").symlink_to("a")
    with pytest.raises(NotOurs, match="circle of links"):
        place_of(sticky / "a" / "x")


def test_a_folder_that_a_stranger_made_first_is_refused_with_what_to_do(
    sticky: Path, strangers: Strangers
) -> None:
    home = sticky / "home"
    home.mkdir(mode=0o777)
    strangers.give(home)
    for use in (private_folder, make_folders, private_files.require_ours):
        with pytest.raises(NotOurs, match=f"{home} is a file or folder of another user") as told:
            use(home)
        assert "delete it or change its owner, or name another folder" in str(told.value)
    with pytest.raises(NotOurs):
        write_private(home / "record.json", "{}")
    assert list(home.iterdir()) == []


def test_something_of_a_stranger_in_our_own_folder_is_told(
    sticky: Path, strangers: Strangers
) -> None:
    (sticky / "home" / "servers").mkdir(parents=True)
    strangers.give(sticky / "home" / "servers")
    with pytest.raises(NotOurs, match="home/servers is a file or folder of another user"):
        private_files.require_ours(sticky / "home")
    assert private_files.require_ours(sticky / "nowhere") == sticky / "nowhere"


@pytest.mark.parametrize("kind", ["link", "hard link", "pipe", "theirs"])
def test_a_file_that_was_put_in_the_way_is_not_written_to(
    sticky: Path, strangers: Strangers, kind: str
) -> None:
    victim, path = sticky.parent / "victim", sticky / "lock"
    victim.write_text("mine")
    if kind == "link":
        path.symlink_to(victim)
    elif kind == "hard link":
        path.hardlink_to(victim)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_text("mine")
        strangers.give(path)
    with pytest.raises(NotOurs):
        open_private(path, os.O_RDWR | os.O_TRUNC)
    assert victim.read_text() == "mine"
    assert kind != "theirs" or path.read_text() == "mine"


def test_a_draft_that_was_planted_as_a_link_is_replaced_and_not_followed(sticky: Path) -> None:
    victim, path = sticky.parent / "victim", sticky / "home" / "record.json"
    victim.write_text("mine")
    path.parent.mkdir()
    path.with_name(f".record.json.{os.getpid()}").symlink_to(victim)
    path.symlink_to(victim)
    assert write_private(path, "{}")
    assert (victim.read_text(), path.read_text()) == ("mine", "{}")
    assert not path.is_symlink()
    assert not write_private(path, "{}")


def test_whose_it_is_is_what_the_kernel_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "record.json"
    path.write_text("{}")
    if os.geteuid() == 0:
        os.chown(path, STRANGER, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: STRANGER)
    with pytest.raises(NotOurs, match="of another user"):
        open_private(path, os.O_RDONLY)


def test_who_has_become_root_keeps_what_is_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = os.stat_result((stat.S_IFDIR | 0o700, 1, 1, 1, STRANGER, 1, 0, 0, 0, 0))
    monkeypatch.setenv("SUDO_UID", str(STRANGER))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    private_files._require_ours(tmp_path, status)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NotOurs):
        private_files._require_ours(tmp_path, status)


def test_a_folder_that_is_for_all_users_is_not_closed_to_them(sticky: Path) -> None:
    with pytest.raises(NotOurs, match="take a folder below it"):
        write_private(sticky / "record.json", "{}")
    assert mode(sticky) == 0o1777


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a folder there")
def test_a_folder_that_others_pass_through_is_not_closed_to_them(tmp_path: Path) -> None:
    """Such as /etc, or a volume that is mounted there: without it nothing else works any more."""
    folder = Path(f"/inferops-test-{os.getpid()}")
    folder.mkdir()
    try:
        folder.chmod(0o777)
        assert private_folder(folder) == folder
        assert stat.S_IMODE(folder.stat().st_mode) == 0o755
        inside = private_folder(folder / "inside")
        assert stat.S_IMODE(inside.stat().st_mode) == 0o700
    finally:
        (folder / "inside").rmdir()
        folder.rmdir()


def test_the_folder_of_a_tunnel_is_closed(
    sticky: Path, no_umask: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tunnel, "_start", lambda *_given: None)
    (sticky / "cm").mkdir(mode=0o777)
    Tunnel(str(sticky / "cm"), "gpu-1").open(Target("h", 22, "root", "key", "hosts", 8000))
    assert not too_open(sticky / "cm")


def test_a_host_fills_no_folder_with_files_without_number(tmp_path: Path) -> None:
    parts = {f"{number}.log": "" for number in range(2000)}
    assert len(evidence_action.write(tmp_path / "evidence", parts)) == evidence_action.MOST_FILES


TARGET = Target("h", 22, "root", "key", "hosts", 8000)


def test_a_host_that_greets_without_end_fills_no_disk_before_its_tunnel_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh, everything = tmp_path / "ssh", tmp_path / "everything"
    ssh.write_text(
        "#!/bin/sh\nprintf '\\377 refused ' >&2\n"
        f"yes forward | head -c 2000000 >&2 && touch {everything}\nexit 255\n"
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(tunnels, "_TRIES", 1)
    with pytest.raises(TunnelError, match=r"could not be opened: . refused forward") as told:
        Tunnel(str(tmp_path / "cm"), "gpu-1").open(TARGET, 8000)
    assert len(str(told.value)) < 3000
    assert not everything.exists()


@pytest.fixture
def tunnel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tunnel:
    """One that is open, as far as its socket says."""
    monkeypatch.setattr(Tunnel, "_start", lambda *_given: None)
    answers = subprocess.CompletedProcess[bytes]([], 0)
    monkeypatch.setattr(Tunnel, "_control", lambda *_given: answers)
    opened = Tunnel(str(tmp_path / "cm"), "gpu-1")
    opened.open(TARGET, 8000)
    opened._socket.touch()
    return opened


@pytest.mark.parametrize("what", ["the folder", "_socket", "_note"])
def test_a_tunnel_that_somebody_else_has_put_there_is_not_sent_the_key(
    tunnel: Tunnel, strangers: Strangers, what: str
) -> None:
    assert tunnel.local_port(TARGET) == 8000
    strangers.give(tunnel._folder if what == "the folder" else getattr(tunnel, what))
    assert tunnel.local_port(TARGET) is None
    assert not tunnel.is_open()


@pytest.mark.parametrize("text", ["[]", "5", '{"local_port": "x"}', "\xff", "[" * 100_000])
def test_an_odd_note_of_a_tunnel_is_none(tunnel: Tunnel, text: str) -> None:
    tunnel._note.write_text(text)
    assert tunnel.local_port(TARGET) is None
    assert tunnel.keep(TARGET) == (None, json.loads(tunnel._note.read_text())["local_port"])
