# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of attempts: what it teaches, and that a bad file never stands in the way."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
from pathlib import Path

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market import lines
from ansible_collections.inferops.gpu.plugins.module_utils.market.clock import Clock
from ansible_collections.inferops.gpu.plugins.module_utils.market.offers.history import (
    Attempt,
    History,
    Record,
)
from tests.hanging import HANGS_AFTER_SECONDS

NOW = 1_800_000_000.0


class StillClock:
    """A time that only sleeping moves."""

    def __init__(self) -> None:
        self.seconds = NOW

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.seconds, sleep=self.sleep, now=lambda: self.seconds)


def attempt(outcome: str, machine: str = "7", days_ago: float = 1, seconds: float = 0) -> Attempt:
    time = NOW - days_ago * 86400
    return Attempt(time, "vastai", machine, outcome, "ssh" if outcome == "failed" else "", seconds)


def open_history(path: Path | None) -> History:
    return History(str(path) if path else None, StillClock().clock())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made" / "when-needed" / "history.jsonl"


def remember(path: Path, *attempts: Attempt) -> History:
    for one in attempts:
        assert open_history(path).add(one) == ""
    return open_history(path)


def add_many(path: Path, machine: str) -> None:
    for _number in range(50):
        History(str(path)).add(attempt("served", machine))


def test_a_later_controller_reads_what_an_earlier_one_wrote(path: Path) -> None:
    made = [attempt("served", seconds=80), attempt("failed"), attempt("gone", "8")]
    assert remember(path, *made).attempts() == made


def test_only_the_owner_can_read_the_file_and_its_folder(path: Path) -> None:
    remember(path, attempt("served"))
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_each_machine_and_the_provider_have_a_record(path: Path) -> None:
    history = remember(
        path, attempt("failed", "7"), attempt("failed", "7"), attempt("served", "8", seconds=90)
    )
    assert history.machines("vastai") == {"7": Record(0, 2), "8": Record(1, 0, 90)}
    assert history.provider("vastai") == Record(1, 2, 90)
    assert history.provider("other") == Record()


def test_an_offer_that_was_gone_is_nobodys_failure(path: Path) -> None:
    assert remember(path, attempt("gone")).machines("vastai")["7"] == Record()


def test_one_success_clears_a_machines_earlier_failures_but_not_later_ones(path: Path) -> None:
    history = remember(path, attempt("failed"), attempt("failed"), attempt("served"))
    assert history.machines("vastai")["7"] == Record(served=1, failed=0)
    history = remember(path, attempt("failed"))
    assert history.machines("vastai")["7"] == Record(served=1, failed=1)


def test_what_happened_long_ago_is_forgiven(path: Path) -> None:
    history = remember(path, attempt("failed", days_ago=91), attempt("failed", days_ago=89))
    assert history.machines("vastai")["7"].failed == 1


def test_a_boot_takes_as_long_as_the_machines_median_else_the_providers(path: Path) -> None:
    history = remember(
        path,
        *(attempt("served", "7", seconds=seconds) for seconds in (60, 70, 400)),
        *(attempt("served", "8", seconds=seconds) for seconds in (200, 200)),
        attempt("failed", "9"),
    )
    assert history.boot_seconds("vastai", "7") == 70
    assert history.boot_seconds("vastai", "9") == 200
    assert history.boot_seconds("other", "7") is None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[1]",
        '"time provider"',
        "7",
        "null",
        "[" * 200_000,
        "\0\xff",
        json.dumps({"time": NOW, "provider": "vastai", "machine_id": "7"}),
        json.dumps({"time": NOW, "provider": "vastai", "machine_id": "7", "outcome": "perhaps"}),
        json.dumps({"time": NOW, "provider": "vastai", "machine_id": ["7"], "outcome": "failed"}),
        json.dumps({"time": "now", "provider": "vastai", "machine_id": "7", "outcome": "failed"}),
        f'{{"time": {NOW}, "provider": "vastai", "machine_id": "7", "outcome": "failed",'
        ' "seconds": NaN}',
        f'{{"time": 1{"0" * 400}, "provider": "vastai", "machine_id": "7", "outcome": "failed"}}',
    ],
)
def test_a_corrupt_line_is_skipped(path: Path, line: str) -> None:
    remember(path, attempt("served"))
    with path.open("a", encoding="latin-1") as file:
        file.write(line + "\n")
    history = remember(path, attempt("failed"))
    assert [one.outcome for one in history.attempts()] == ["served", "failed"]


def test_a_field_that_this_version_does_not_know_is_no_error(path: Path) -> None:
    remember(path, attempt("served"))
    line = json.loads(path.read_text())
    path.write_text(json.dumps({**line, "mood": "good"}) + "\n")
    assert len(open_history(path).attempts()) == 1


def test_a_line_that_a_crash_cut_short_does_not_swallow_the_next_one(path: Path) -> None:
    remember(path, attempt("served"))
    path.write_bytes(path.read_bytes()[:-9])
    assert remember(path, attempt("failed")).attempts() == [attempt("failed")]


def test_only_the_last_lines_are_read(path: Path) -> None:
    remember(path, attempt("failed", "old"), attempt("served"))
    old, new = path.read_text().splitlines()
    path.write_text(f"{old}\n" + f"{new}\n" * 10_000)
    assert len(open_history(path).attempts()) == 10_000
    assert "old" not in open_history(path).machines("vastai")


def test_without_a_path_or_a_file_the_history_is_empty(path: Path) -> None:
    assert open_history(None).add(attempt("failed")) == ""
    assert open_history(None).attempts() == []
    assert open_history(path).attempts() == []
    assert not path.parent.exists()


def test_a_path_that_cannot_be_written_is_a_warning_and_no_error(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    for path in (in_the_way / "history.jsonl", tmp_path):
        warning = open_history(path).add(attempt("failed"))
        assert str(path) in warning
        assert "cannot be written" in warning
        assert open_history(path).attempts() == []


def test_a_file_that_stays_locked_is_a_warning_after_a_bounded_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(path, attempt("served"))
    monkeypatch.setattr(lines, "_PATIENCE_SECONDS", 0.1)
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        warning = open_history(path).add(attempt("failed"))
    assert "locked" in warning
    assert len(open_history(path).attempts()) == 1


def test_parallel_hosts_lose_no_line(path: Path) -> None:
    machines = ("1", "2", "3", "4")
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=add_many, args=(path, machine)) for machine in machines]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(HANGS_AFTER_SECONDS)
    records = open_history(path).machines("vastai")
    assert {machine: record.served for machine, record in records.items()} == dict.fromkeys(
        machines, 50
    )
