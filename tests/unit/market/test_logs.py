# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of a rental that let nobody in: read in time or not at all, and what is made of it."""

from __future__ import annotations

from typing import cast

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.errors import (
    HostFault,
    ImageRefused,
    ProviderUnavailable,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.model import RentalLog
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.provider import Provider
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals import logs
from ansible_collections.inferops.gpu.plugins.module_utils.market.rentals.logs import (
    explained,
    last_lines,
    read_log,
)
from tests.hanging import Hanging

#: As RunPod's machines print them.
PULLING = "create container some/image"
NO_MANIFEST = (
    "error pulling image: Error response from daemon: manifest for some/image not found: "
    "manifest unknown: manifest unknown"
)
NO_CONTAINER = (
    "error creating container: container: create: container create: Error response from daemon: "
    "No such image: some/image"
)
NO_REGISTRY = (
    "error pulling image: Error response from daemon: Get https://nowhere.example/v2/: dial tcp: "
    "lookup nowhere.example: no such host"
)


class Telling:
    """A provider that tells, or does as it is told."""

    name = "telling"
    tells_log = True

    def __init__(self, log: object) -> None:
        self._log = log

    def log(self, _rental_id: str, _seconds: float) -> RentalLog:
        if isinstance(self._log, Exception):
            raise self._log
        if callable(self._log):
            self._log()
        return cast(RentalLog, self._log)


def heard(log: object) -> logs.Heard:
    return read_log(cast(Provider, Telling(log)), "4711")


def fault(stage: str = "boot", sign: str = "") -> HostFault:
    return HostFault(
        "It did not run.", stage=stage, sign=sign, remedy="Take another.", money="It bills."
    )


# Reading.


def test_a_log_that_hangs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_MOST_SECONDS", 0.1)
    hanging = Hanging()
    told = heard(hanging)
    came_back = hanging.came_back
    hanging.test_is_over.set()
    assert not came_back
    assert told.log == RentalLog()
    assert "not complete after" in told.missing


@pytest.mark.parametrize(
    ("error", "missing"),
    [
        (ProviderUnavailable("It is down.", remedy="Wait."), "It is down."),
        (KeyError("result_url"), "'result_url'"),
        (RecursionError(), "it could not be read"),
        (ProviderUnavailable("GET \x1b[31m/logs"), "GET /logs"),
    ],
)
def test_whatever_breaks_a_log_is_told_and_no_error(error: Exception, missing: str) -> None:
    assert heard(error) == logs.Heard(RentalLog(), missing)


def test_a_log_without_a_line_is_told_to_be_empty() -> None:
    assert heard(RentalLog()).missing == "it is empty"
    assert heard(RentalLog(container="x")).missing == ""


def test_who_tells_no_log_is_not_asked_for_it() -> None:
    silent = Telling(AssertionError())
    silent.tells_log = False
    told = read_log(cast(Provider, silent), "4711")
    assert told == logs.Heard(RentalLog(), "telling does not tell the log of a rental")


# Showing.


def test_people_see_the_end_of_each_part_plain_and_without_secrets() -> None:
    machine = "\n".join(f"layer {number}" for number in range(100))
    container = (
        "\x1b[2J\x1b[31mHF_TOKEN=hf_abcdefghijklmnopqrstuvwx\nlogin as s3cr3t-word\n\n" + "y" * 999
    )
    shown = last_lines(RentalLog(machine, container), ["s3cr3t-word"])
    assert shown[0] == "Its machine says:"
    assert shown[1:41] == [f"layer {number}" for number in range(60, 100)]
    assert shown[41] == "Its container has printed:"
    assert shown[42:44] == ["HF_TOKEN=(redacted)", "login as (redacted)"]
    assert shown[44:] == ["y" * 300]


def test_a_part_without_a_line_has_no_head() -> None:
    assert last_lines(RentalLog(container="hello"), ()) == ["Its container has printed:", "hello"]
    assert last_lines(RentalLog("\n \n"), ()) == []


# Judging.


def test_an_image_that_no_machine_gets_is_told_by_the_log_alone() -> None:
    told = explained("4711", fault(), RentalLog("\n".join((PULLING, NO_MANIFEST, NO_CONTAINER))))
    assert isinstance(told, ImageRefused)
    assert "its registry has no such image or tag" in told.cause
    assert "manifest unknown" in told.cause
    assert told.remedy == "Correct rent_image."
    assert told.money == "It bills."


def test_what_went_wrong_last_is_told_and_is_what_another_machine_would_say_too() -> None:
    log = RentalLog("\n".join((NO_REGISTRY, "create container: waiting")))
    told = explained("4711", fault(), log)
    assert isinstance(told, HostFault)
    assert told.cause == f"It did not run. Its log says: {NO_REGISTRY}"
    assert told.sign == f"boot: {NO_REGISTRY}"
    assert (told.stage, told.blame, told.remedy) == ("boot", "machine", "Take another.")
    assert told.money == "It bills."
    already = explained("4711", fault(sign="ended: exited"), log)
    assert isinstance(already, HostFault)
    assert already.sign == "ended: exited"


def test_a_machine_that_names_no_trouble_changes_nothing() -> None:
    slow = fault()
    assert explained("4711", slow, RentalLog(PULLING)) is slow
    assert explained("4711", slow, RentalLog()) is slow


def test_what_a_container_prints_judges_nobody() -> None:
    slow = fault()
    assert explained("4711", slow, RentalLog(PULLING, NO_MANIFEST)) is slow


def test_a_machine_that_is_refused_something_else_has_its_image() -> None:
    told = explained("4711", fault(), RentalLog("error sending metrics: 403 Forbidden"))
    assert isinstance(told, HostFault)


@pytest.mark.parametrize("stage", ["ssh", "login"])
def test_a_container_that_ran_has_its_image(stage: str) -> None:
    ran = fault(stage)
    assert explained("4711", ran, RentalLog(NO_MANIFEST)) is ran
