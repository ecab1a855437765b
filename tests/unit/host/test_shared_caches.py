# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Caches that controllers share: by a real rsync daemon, and by boto3 at a stand-in for S3."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.config
import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.common.compiled_cache import CacheError
from ansible_collections.inferops.gpu.plugins.modules import compiled_cache
from ansible_collections.inferops.gpu.plugins.plugin_utils.cache_shelf import kind_of, shelf_of
from ansible_collections.inferops.gpu.plugins.plugin_utils.controller import wanting
from tests.hanging import HANGS_AFTER_SECONDS
from tests.rig.ports import free_port
from tests.rig.s3 import BUCKET, S3
from tests.unit.host.test_compiled_cache import ANOTHER, FILES, Host

SECRET = "a secret of the scope that is long enough"
CHECKSUMS = ("request_checksum_calculation", "response_checksum_validation")
CONTROLLERS = ("mirror-1", "mirror-2")


class Place(ABC):
    """A store that is shared, and what is there in truth."""

    address: str

    @abstractmethod
    def files(self) -> dict[str, bytes]:
        """The content of what is there, by name."""

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Let somebody write a file there."""

    @abstractmethod
    def clear(self) -> None:
        """Remove all of it."""

    @abstractmethod
    def end(self) -> None:
        """Let it be out of reach from now on."""


class Folder(Place):
    """A module of an rsync daemon."""

    def __init__(self, folder: Path) -> None:
        self.folder, port = folder / "shared", free_port()
        self.folder.mkdir()
        settings = folder / "rsyncd.conf"
        settings.write_text(
            f"address = 127.0.0.1\nport = {port}\nuse chroot = false\nuid = {os.getuid()}\n"
            f"gid = {os.getgid()}\n[caches]\npath = {self.folder}\nread only = false\n"
        )
        command = ["rsync", "--daemon", "--no-detach", f"--config={settings}"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        self.address = f"rsync://127.0.0.1:{port}/caches/team"
        for _turn in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("the rsync daemon does not listen")

    def files(self) -> dict[str, bytes]:
        """Below the module."""
        found = self.folder.glob("team/*")
        return {file.name: file.read_bytes() for file in found}

    def write(self, name: str, content: bytes) -> None:
        """Past rsync."""
        (self.folder / "team").mkdir(exist_ok=True)
        (self.folder / "team" / name).write_bytes(content)

    def clear(self) -> None:
        """With its folder."""
        shutil.rmtree(self.folder / "team")

    def end(self) -> None:
        """Stop the daemon."""
        self.process.terminate()
        self.process.wait(HANGS_AFTER_SECONDS)


class Bucket(Place):
    """A bucket."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.s3 = S3()
        self.address = f"s3://{BUCKET}/team/caches"
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in {
            "AWS_ENDPOINT_URL_S3": self.s3.url,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "eu-north-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/nowhere",
        }.items():
            monkeypatch.setenv(name, value)

    def files(self) -> dict[str, bytes]:
        """Of the folder."""
        prefix = "team/caches/"
        objects = self.s3.objects.items()
        return {key.removeprefix(prefix): content for key, (content, _at) in objects}

    def write(self, name: str, content: bytes) -> None:
        """Past boto3."""
        self.s3.objects[f"team/caches/{name}"] = (content, time.time())

    def clear(self) -> None:
        """Every object."""
        self.s3.objects.clear()

    def end(self) -> None:
        """Stop the server."""
        self.s3.close()


@pytest.fixture(params=["rsync", "s3"])
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    if request.param == "rsync" and shutil.which("rsync") is None:
        pytest.fail("rsync is not installed; run `make setup`")
    made = Folder(tmp_path) if request.param == "rsync" else Bucket(monkeypatch)
    yield made
    made.end()


@pytest.fixture
def team(
    place: Place,
    tmp_path: Path,
    home: Path,
    fake_python: str,
    run_module: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> Host:
    """A host and a first controller, whose store is shared."""
    host = Host(tmp_path, home, fake_python, run_module)
    monkeypatch.setattr(compiled_cache.gpus, "report", lambda: host.report)
    host.options = {"store": place.address, "mirror": str(tmp_path / CONTROLLERS[0])}
    return host


def on_another_controller(team: Host, tmp_path: Path, **options: Any) -> None:
    """A host of the same kind, and a controller that has seen nothing of the store yet."""
    team.renew()
    team.options = {**team.options, "mirror": str(tmp_path / CONTROLLERS[1]), **options}


def kept_by(team: Host) -> str:
    """The id of what a first host has compiled, which is kept."""
    team.compile()
    done = team.act("kept")
    assert done["carried"], done
    return str(done["cache_id"])


def test_what_one_controller_has_kept_another_one_gives(
    team: Host, place: Place, tmp_path: Path
) -> None:
    cache_id = kept_by(team)
    assert set(place.files()) == {f"{cache_id}.json", f"{cache_id}.cache"}
    on_another_controller(team, tmp_path)
    done = team.act("given")
    assert done["carried"], done
    assert team.files() == set(FILES)


def test_it_is_kept_once_for_all_controllers(team: Host, tmp_path: Path) -> None:
    kept_by(team)
    on_another_controller(team, tmp_path)
    team.compile()
    assert team.act("kept")["told"] == "what was compiled is kept already"
    assert "pack" not in team.calls


def test_whose_code_a_host_runs_is_asked_of_what_is_shared_too(team: Host, tmp_path: Path) -> None:
    kept_by(team)
    on_another_controller(team, tmp_path, rental=ANOTHER)
    done = team.act("given")
    assert not done["carried"]
    assert "made on machines whose code this one is not to run" in done["told"]


@pytest.mark.parametrize("end", [".json", ".cache"])
def test_what_was_changed_there_reaches_no_host(
    team: Host, place: Place, tmp_path: Path, end: str
) -> None:
    cache_id = kept_by(team)
    whole = place.files()[f"{cache_id}{end}"]
    place.write(f"{cache_id}{end}", whole[:-40] + b"x" * 40)
    on_another_controller(team, tmp_path)
    done = team.act("given")
    assert not done["carried"], done
    assert team.files() == set()
    assert end == ".json" or place.files() == {}


def test_with_a_secret_no_list_counts_that_others_have_written(
    team: Host, place: Place, tmp_path: Path
) -> None:
    cache_id = kept_by(team)
    unsealed = place.files()[f"{cache_id}.json"]
    on_another_controller(team, tmp_path, scope_secret=SECRET)
    assert "none is kept yet" in team.act("given")["told"]
    team.compile()
    assert team.act("kept")["carried"]
    team.renew()
    assert team.act("given")["carried"]
    team.renew()
    place.write(f"{cache_id}.json", unsealed)
    assert "none is kept yet" in team.act("given")["told"]
    place.write(
        f"{cache_id}.json", unsealed.replace(b'"seal": ""', b'"seal": "' + b"0" * 64 + b'"')
    )
    assert "none is kept yet" in team.act("given")["told"]


def test_an_archive_that_is_not_there_is_told_and_fails_nothing(
    team: Host, place: Place, tmp_path: Path
) -> None:
    cache_id = kept_by(team)
    content = place.files()[f"{cache_id}.json"]
    on_another_controller(team, tmp_path)
    place.clear()
    place.write(f"{cache_id}.json", content)
    done = team.act("given")
    assert not done["carried"]
    assert not done.get("failed")


def test_what_was_kept_anew_elsewhere_takes_the_place_of_an_earlier_one(
    team: Host, tmp_path: Path
) -> None:
    cache_id, first = kept_by(team), dict(team.options)
    on_another_controller(team, tmp_path)
    team.act("given")
    team.act("withdrawn", cache_id=cache_id)
    team.renew()
    team.compile()
    (changed,) = [
        file for file in team.disk.rglob("*") if file.name == Path(next(iter(FILES))).name
    ]
    changed.write_bytes(b"compiled anew")
    assert team.act("kept")["cache_id"] == cache_id
    team.renew()
    team.options = first
    assert team.act("given")["carried"]
    assert changed.read_bytes() == b"compiled anew"


def test_what_breaks_a_start_is_removed_for_all(team: Host, place: Place, tmp_path: Path) -> None:
    cache_id = kept_by(team)
    on_another_controller(team, tmp_path)
    team.act("given")
    team.act("withdrawn", cache_id=cache_id)
    assert place.files() == {}


def test_what_another_controller_has_removed_is_not_given(team: Host, place: Place) -> None:
    kept_by(team)
    team.renew()
    place.clear()
    done = team.act("given")
    assert not done["carried"]
    assert "none is kept yet" in done["told"]


def test_what_was_used_longest_ago_goes_there_as_well(team: Host, place: Place) -> None:
    first = kept_by(team)
    team.renew()
    team.options["rental"] = ANOTHER
    team.compile()
    second = team.act("kept", max_count=1)["cache_id"]
    assert {name.partition(".")[0] for name in place.files()} == {second}
    assert first != second


def test_other_files_in_the_same_place_are_left_alone(
    team: Host, place: Place, tmp_path: Path
) -> None:
    cache_id = kept_by(team)
    place.write("notes.txt", b"ours")
    place.write("notes.json", b"{}")
    on_another_controller(team, tmp_path)
    team.act("given")
    team.act("withdrawn", cache_id=cache_id)
    assert set(place.files()) == {"notes.txt", "notes.json"}


def test_a_store_out_of_reach_fails_nothing_and_is_told(
    team: Host, place: Place, tmp_path: Path
) -> None:
    kept_by(team)
    place.end()
    on_another_controller(team, tmp_path)
    done = team.act("given")
    assert not done.get("failed"), done
    assert not done["carried"]
    assert done["told"].startswith("what was compiled is not given: ")


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("/srv/caches", ""),
        ("~/caches", ""),
        ("caches", ""),
        ("./odd:name", ""),
        ("s3://team-caches", "s3"),
        ("s3://team-caches/a/b.c", "s3"),
        ("ops@host.example:/srv/caches", "rsync"),
        ("host:caches", "rsync"),
        ("rsync://host.example/module/caches", "rsync"),
    ],
)
def test_an_address_says_what_it_is(address: str, kind: str) -> None:
    assert kind_of(address) == kind


@pytest.mark.parametrize(
    "address",
    ["s3:team", "s3://A", "s3://b", "s3://team-caches/../x y", "-e:x", "h:a b", "h:$(id)",
     "rsync://host", "rsync://-x/m", "http://host/folder", "h:-x"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_before_anything_is_rented(address: str) -> None:
    with pytest.raises(CacheError):
        kind_of(address)
    told = " ".join(map(str, wanting({"inferops_cache_home": address})))
    assert "inferops_cache_home: " in told
    assert "is no bucket" in told or "is no target of rsync" in told


def test_a_boto3_that_knows_no_option_for_checksums_shares_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Older(botocore.config.Config):
        """As before 1.36."""

        def __init__(self, **options: Any) -> None:
            if any("checksum" in name for name in options):
                raise TypeError("Got unexpected keyword argument")
            super().__init__(**options, **dict.fromkeys(CHECKSUMS, "when_required"))

    bucket = Bucket(monkeypatch)
    monkeypatch.setattr(botocore.config, "Config", Older)
    name = f"{'a' * 32}.json"
    (tmp_path / name).write_text("{}")
    shelf = shelf_of(bucket.address)
    assert shelf is not None
    shelf.put([name], tmp_path)
    assert bucket.files() == {name: b"{}"}
    bucket.end()


def test_what_a_store_needs_here_is_looked_at_before_anything_is_rented(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    told = " ".join(map(str, wanting({"inferops_cache_home": "host:caches"})))
    assert "The program rsync is not in the PATH of the controller. Install package rsync" in told
