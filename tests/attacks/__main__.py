# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.attacks``: every attack of attacks.yml, in every setting.

The last line is ``RESULT {...}``: how many attacks there are, how many of them were not tried (they
are not written, are not listed, or did not reach what they are aimed at in some setting), and how
many succeeded in some setting. SECURITY.md says what each is about.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.attacks import files, hosts, markets, names, secrets, terminals
from tests.attacks.registry import ATTACKS, listed
from tests.attacks.stage import Setting, Stage
from tests.drills import mutants
from tests.tools import cores

#: They register their attacks as they are imported.
AGAINST = (hosts, markets, names, files, terminals, secrets)
CONFIGURATIONS = ("defaults", "checkout")
SIDE_BY_SIDE = 2


@dataclass(frozen=True)
class Outcome:
    """What became of one attack in one setting."""

    name: str
    setting: Setting
    met: bool
    harms: tuple[str, ...]
    output: str = ""

    def __str__(self) -> str:
        verdict = "; ".join(self.harms) or ("withstood" if self.met else "NOT TRIED")
        return f"{self.name} [{self.setting}]: {'SUCCEEDED: ' if self.harms else ''}{verdict}"


def broken(collections: Path, mutant: str) -> None:
    """Break one rule of the installed collection: what attacks it must succeed then."""
    (mutation,) = mutants.chosen(mutant)
    file = collections / "ansible_collections" / "inferops" / "gpu" / mutation.file
    file.write_text(mutation.applied_to(file.read_text()))


def settings(
    collections: Path,
    versions: Iterable[str] = (cores.OLDEST, cores.NEWEST),
    configurations: Iterable[str] = CONFIGURATIONS,
) -> list[Setting]:
    """Each ansible-core with each configuration."""
    return [
        Setting(version, cores.commands(version), configuration, collections)
        for version, configuration in itertools.product(versions, configurations)
    ]


def attempt(name: str, setting: Setting) -> Outcome:
    """One attack in one setting, on a stage of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="inferops-attack-") as folder,
        Stage(setting, Path(folder)) as stage,
    ):
        try:
            ATTACKS[name](stage)
        except Exception:
            stage.met = False
            stage.output += traceback.format_exc()
        stage.judge()
        return Outcome(name, setting, stage.met, tuple(stage.harms), stage.output)


def run(names: Sequence[str], where: Sequence[Setting]) -> list[Outcome]:
    """All of these everywhere, with a line for each as it ends."""
    lock = threading.Lock()

    def one(job: tuple[str, Setting]) -> Outcome:
        outcome = attempt(*job)
        with lock:
            print(outcome, flush=True)
            if outcome.harms or not outcome.met:
                print(outcome.output[-6000:], flush=True)
        return outcome

    # One setting after the other: what only waits long does so beside others, not beside itself.
    jobs = [(name, setting) for setting in where for name in names]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        return list(pool.map(one, jobs))


def summed_up(names: Sequence[str], outcomes: Sequence[Outcome]) -> dict[str, int]:
    """The figures of the last line. An attack that is tried nowhere is missing everywhere."""
    tried = {name: [one.met for one in outcomes if one.name == name] for name in names}
    return {
        "attacks": len(names),
        "missing": sum(not (all(met) and met) for met in tried.values()),
        "succeeded": len({one.name for one in outcomes if one.harms}),
    }


def main() -> int:
    """Attack, and tell what came of it."""
    parser = argparse.ArgumentParser(description="Attack what plays of this collection protect.")
    parser.add_argument("--only", help="names of attacks, comma-separated")
    parser.add_argument("--core", choices=[cores.OLDEST, cores.NEWEST])
    parser.add_argument("--configuration", choices=CONFIGURATIONS)
    parser.add_argument("--mutant", help="break this rule of `make mutants` first")
    chosen = parser.parse_args()
    # Its threads tell of each connection that ended early, which is what impostors are for.
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    wanted = chosen.only.split(",") if chosen.only else sorted({*listed(), *ATTACKS})
    strange = sorted({*listed()} ^ {*ATTACKS})
    if strange and not chosen.only:
        print("listed and not written, or written and not listed:", *strange)
    with tempfile.TemporaryDirectory(prefix="inferops-attacked-") as folder:
        collections = cores.install(Path(folder))
        if chosen.mutant:
            broken(collections, chosen.mutant)
        where = settings(
            collections,
            [chosen.core] if chosen.core else (cores.OLDEST, cores.NEWEST),
            [chosen.configuration] if chosen.configuration else CONFIGURATIONS,
        )
        outcomes = run([name for name in wanted if name in ATTACKS], where)
    result = summed_up(wanted, outcomes)
    if not chosen.only:
        result["missing"] += sum(name in ATTACKS for name in strange)
    for one in outcomes:
        if one.harms or not one.met:
            print(one)
    print("RESULT", json.dumps(result))
    return 1 if result["missing"] or result["succeeded"] else 0


if __name__ == "__main__":
    sys.exit(main())
