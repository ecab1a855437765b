# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sample of `make attack`: some attacks of each kind, each in one setting, and broken rules."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest

from tests.attacks import __main__ as attacks
from tests.attacks.registry import ATTACKS, listed
from tests.attacks.stage import Setting
from tests.tools import cores

SAMPLE = (
    "host-sets-variables-by-facts-to-be-kept",
    "host-has-another-s-key",
    "host-asks-for-a-password-for-sudo",
    "market-shows-a-row-with-a-stranger-s-key-in-the-host",
    "market-answers-a-rental-request-with-a-stranger-s-id",
    "market-answers-with-a-bomb",
    "market-is-overheard-in-the-inventory",
    "name-of-a-rental-is-an-option",
    "file-of-evidence-is-a-link",
    "file-netrc-has-a-login-for-everybody",
    "terminal-is-steered-by-a-banner-and-a-refusal",
    "secret-is-shown-by-a-wrong-choice",
    "secret-is-shown-at-vvvvv-by-deploy",
    "secret-is-said-back-by-a-host-to-any-task",
)
SETTINGS = list(itertools.product((cores.OLDEST, cores.NEWEST), attacks.CONFIGURATIONS))
#: A broken rule, and an attack that must succeed then.
NOTICED = {
    "sudo-password-for-strangers": "host-asks-for-a-password-for-sudo",
    "text-of-a-host-printed-as-it-is": "terminal-is-steered-by-a-host-s-msg",
    "lock-file-sent-unread": "file-of-a-lock-has-an-index",
    "said-back-to-another-task": "secret-is-said-back-by-a-host-to-any-task",
}


@pytest.fixture(scope="module")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cores.install(tmp_path_factory.mktemp("collections"))


def setting(collections: Path, version: str, configuration: str) -> Setting:
    return Setting(version, cores.commands(version), configuration, collections)


def test_every_attack_of_the_list_is_there_and_no_other() -> None:
    assert set(listed()) == set(ATTACKS)
    assert len(listed()) >= 60


@pytest.mark.parametrize(
    ("name", "where"), list(zip(SAMPLE, itertools.cycle(SETTINGS), strict=False)), ids=str
)
def test_an_attack_gets_nothing(collections: Path, name: str, where: tuple[str, str]) -> None:
    outcome = attacks.attempt(name, setting(collections, *where))
    assert outcome.met, outcome.output
    assert outcome.harms == (), outcome.output


@pytest.mark.parametrize("mutant", NOTICED)
def test_an_attack_on_a_broken_rule_succeeds(
    collections: Path, tmp_path: Path, mutant: str
) -> None:
    broken = tmp_path / "collections"
    shutil.copytree(collections, broken)
    attacks.broken(broken, mutant)
    outcome = attacks.attempt(NOTICED[mutant], setting(broken, *SETTINGS[0]))
    assert outcome.met, outcome.output
    assert outcome.harms
    assert attacks.summed_up([outcome.name], [outcome])["succeeded"] == 1


def test_an_attack_that_misses_its_aim_counts_as_missing(collections: Path) -> None:
    where = setting(collections, *SETTINGS[0])
    missed = attacks.Outcome("one", where, met=False, harms=())
    hit = attacks.Outcome("two", where, met=True, harms=())
    told = attacks.summed_up(["one", "two", "three"], [missed, hit])
    assert told == {"attacks": 3, "missing": 2, "succeeded": 0}
