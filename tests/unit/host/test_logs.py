# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of a server: what is kept of it, and that reading it takes little memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.server import logs
from ansible_collections.inferops.gpu.plugins.module_utils.host.server.logs import Log

MIB = 1024 * 1024


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "server.log")


def test_a_cut_log_keeps_how_it_began_and_how_it_ends_and_the_writer_goes_on(log: Log) -> None:
    writer = log.begin()
    for number in range(3 * MIB // 64):
        os.write(writer, f"line {number}".ljust(63).encode() + b"\n")
        if number % 4096 == 0:
            log.keep_below(MIB)
    os.write(writer, b"the end\n")
    assert log.path.stat().st_size + log.older.stat().st_size <= MIB
    assert log.kept_head.stat().st_size == logs.HEAD_BYTES
    assert log.head().startswith("line 0 ")
    lines = log.tail(MIB // 2).splitlines()
    assert lines[-2:] == [f"line {3 * MIB // 64 - 1}".ljust(63), "the end"]
    numbers = [int(line.split()[1]) for line in lines[1:-1]]
    assert numbers == list(range(numbers[0], 3 * MIB // 64))
    assert len("\n".join(lines)) > MIB // 4  # both generations are read as one


def test_a_burst_between_two_looks_does_not_break_the_limit(log: Log) -> None:
    writer = log.begin()
    os.write(writer, b"begin\n" + b"x" * 8 * MIB + b"end\n")
    log.keep_below(MIB)
    assert log.path.stat().st_size + log.older.stat().st_size <= MIB
    assert log.head().startswith("begin\n")
    assert log.tail().endswith("xend\n")


def test_a_new_start_has_a_log_of_its_own_and_the_one_before_is_kept(log: Log) -> None:
    os.write(log.begin(), b"the first start\n")
    writer = log.begin()
    assert (log.head(), log.tail()) == ("", "")
    os.write(writer, b"the second\n")
    assert log.tail() == log.head() == "the second\n"
    assert log.older.read_text() == "the first start\n"


def test_reading_a_log_of_gigabytes_takes_little_memory(log: Log) -> None:
    with os.fdopen(log.begin(), "wb") as stream:
        stream.write(b"begin\n")
        stream.seek(8 * 1024 * MIB)  # a file with a hole
        stream.truncate()
        stream.write(b"end\n")
    assert len(log.tail()) == logs.TAIL_BYTES
    assert log.tail().endswith("end\n")
    assert len(log.head()) == logs.HEAD_BYTES


def test_a_log_that_cannot_be_kept_still_makes_room(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.write(log.begin(), b"x" * MIB)

    def full(*arguments: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(logs, "_copy", full)
    log.keep_below(MIB)
    assert log.path.stat().st_size == 0
    assert not log.older.exists()


def test_there_is_no_log_before_the_first_start(log: Log) -> None:
    assert (log.head(), log.tail()) == ("", "")


def lines(first: int, last: int) -> str:
    return "".join(f"line {number}\n".rjust(64) for number in range(first, last))


def test_an_excerpt_of_a_short_log_is_the_log(log: Log) -> None:
    assert log.excerpt(1000, 1000) == ""
    os.write(log.begin(), lines(0, 20).encode())
    assert log.excerpt(640, 640) == lines(0, 20)


def test_an_excerpt_of_a_long_log_says_that_it_left_something_out(log: Log) -> None:
    os.write(log.begin(), lines(0, 30).encode())
    assert log.excerpt(640, 640) == f"{lines(0, 10)}\n{logs.LEFT_OUT}\n{lines(20, 30)}"


def test_a_line_that_is_in_both_ends_of_a_cut_log_is_told_once(log: Log) -> None:
    writer = log.begin()
    os.write(writer, lines(0, 4000).encode())
    log.keep_below(448_000)  # what is kept of the end begins before the kept head ends
    os.write(writer, lines(4000, 4010).encode())
    assert log.excerpt(MIB, MIB) == lines(0, 4010)
