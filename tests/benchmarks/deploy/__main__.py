# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment costs in time, against a script by hand and against the old runbook.

Real playbooks, a simulated marketplace, real containers, real uv and pip, real vLLM on the CPU and
a tiny model. What is compared runs by turns, and ratios are those of pairs. Its last line is
``RESULT {...}`` with every figure; it fails when one is not as wanted, after it has said where the
time goes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.deploy import baselines, figures
from tests.benchmarks.deploy.baselines import PARTS as PROOFS
from tests.benchmarks.deploy.baselines import Stack, Took
from tests.benchmarks.deploy.figures import Figures
from tests.benchmarks.deploy.machine import Market, described, inside, market
from tests.benchmarks.deploy.plays import Controller, Played
from tests.integration import engine_image
from tests.rig import engine

RUNS = 5
#: Real servers, so that more do not fit into the memory of a small machine.
FLEET = ("gpu-1", "gpu-2", "gpu-3")
CHECKED = tuple(f"gpu-{number}" for number in range(1, 41))
GROUPS = {"one": list(FLEET[:1]), "fleet": list(FLEET), "checked": list(CHECKED)}
SLOWEST = 12
#: As on a GPU: vLLM compiles, with the host's own compiler, and the model has the depth of one that
#: people serve (32 layers; how wide they are, compilers do not care).
COMPILED = {
    "inferops_model": "inferops/deep-llama",
    "inferops_server_arguments": {
        "dtype": "float32",
        "enforce_eager": False,
        "max_model_len": 512,
        "max_num_seqs": 4,
    },
}


@dataclass
class Bench:
    """The parts that were asked for, and what they have measured so far."""

    market: Market
    runs: int
    parts: tuple[str, ...]
    figures: Figures = field(default_factory=dict)
    #: By part: where its time went, as lines.
    profiles: dict[str, list[str]] = field(default_factory=dict)
    controllers: int = 0

    def controller(self) -> Controller:
        """A controller that has never rented anything, on an empty market."""
        self.market.reset()
        self.controllers += 1
        return Controller.fresh(self.market.folder / str(self.controllers), self.market, **GROUPS)

    # --- deploy: against the floor and against the seed way ---

    def deploy(self) -> None:
        """By turns: ours and what it is compared with, each on a fresh host."""
        compared = [name for name in figures.COMPARISONS if name in self.parts]
        print("deploy: one unmeasured run, which fills the caches of downloads", flush=True)
        _ours, _played, _skipped, stack = self.ours()
        if "seed" in compared:
            self.market.reset()
            baselines.fill_cache_of_pip(self.market.rent(), stack)
        ways: dict[str, Callable[[], Took]] = {
            "floor": lambda: baselines.floor(self.rent_afresh(), stack),
            "seed": lambda: baselines.seed_way(self.rent_afresh(), stack),
        }
        took: dict[str, list[Took]] = defaultdict(list)
        plays: list[Played] = []
        skipped = 0
        for number in range(self.runs):
            order = ["ours", *compared]
            for name in order[number % len(order) :] + order[: number % len(order)]:
                if name == "ours":
                    one, played, missing, _stack = self.ours()
                    skipped += missing
                    plays.append(played)
                else:
                    one = ways[name]()
                took[name].append(one)
                print(f"deploy {number + 1}, {name}: {in_words(one)}", flush=True)
        seconds = {name: [one.seconds for one in all_of] for name, all_of in took.items()}
        if "floor" in compared:
            self.figures["deploy_over_floor"] = figures.ratio(seconds["ours"], seconds["floor"])
        if "seed" in compared:
            self.figures["deploy_over_seed_way"] = figures.ratio(seconds["ours"], seconds["seed"])
        self.figures["skipped_proofs"] = skipped
        laps = [f"{name}: {medians(all_of)}" for name, all_of in took.items()]
        self.profiles["deploy"] = laps + slowest(plays)

    def rent_afresh(self) -> baselines.Host:
        self.market.reset()
        return self.market.rent()

    def ours(self) -> tuple[Took, Played, int, Stack]:
        """A deployment of ours on a fresh host: installation and launch, from its own report."""
        controller = self.controller()
        try:
            played = controller.play("deploy", "one")
            report = controller.report(FLEET[0])
            (container,) = self.market.containers()
            stack = Stack.of(container)
            laps = {name: float(report["seconds"][name]) for name in ("install", "launch")}
            missing = skipped_proofs(container, stack, report["completion"])
            return Took(sum(laps.values()), laps), played, missing, stack
        finally:
            controller.close()

    # --- image: from the rental request to the first token, where the image has vLLM ---

    def image(self) -> None:
        """By turns: ours and the script, each on a fresh host with the same image."""
        engine_image.ensure()
        print("image: one unmeasured run", flush=True)
        _first, _played, _report, stack = self.ours_of_image()
        took: dict[str, list[Took]] = defaultdict(list)
        plays: list[Played] = []
        errors: list[float] = []
        for number in range(self.runs):
            for name in ("ours", "floor")[:: -1 if number % 2 else 1]:
                if name == "ours":
                    one, played, report, _stack = self.ours_of_image()
                    plays.append(played)
                    errors.append(figures.error(report["first_token"]))
                else:
                    self.market.reset()
                    rent = partial(self.market.rent, engine_image.NAME)
                    one = baselines.floor_of_image(rent, engine.PYTHON, stack)
                took[name].append(one)
                print(f"image {number + 1}, {name}: {in_words(one)}", flush=True)
            print(f"image {number + 1}, estimate off by {errors[-1]:.0%}", flush=True)
        seconds = {name: [one.seconds for one in all_of] for name, all_of in took.items()}
        self.figures["first_token_over_floor"] = figures.ratio(seconds["ours"], seconds["floor"])
        self.figures["estimate_error"] = median(errors)
        laps = [f"{name}: {medians(all_of)}" for name, all_of in took.items()]
        self.profiles["image"] = laps + slowest(plays)

    def ours_of_image(self, **wishes: Any) -> tuple[Took, Played, dict[str, Any], Stack]:
        """A deployment of ours from its rental request on; estimates learn from one to the next."""
        controller = self.controller()
        history = str(self.market.folder / "history.jsonl")
        try:
            usual = {**COMPILED, "rent_image": engine_image.NAME, "inferops_history_path": history}
            played = controller.play("deploy", "one", **{**usual, **wishes})
            report = controller.report(FLEET[0])
            (container,) = self.market.containers()
            stack = Stack.of(container, is_installed=False)
            seconds = controller.reported_at(FLEET[0]) - self.market.rented_at()
            laps = {name: float(report["seconds"][name]) for name in ("install", "launch")}
            boot = seconds - sum(laps.values())
            return Took(seconds, {"boot": boot, **laps}), played, report, stack
        finally:
            controller.close()

    # --- again: a fresh host, with what another one has compiled ---

    def again(self) -> None:
        """By pairs: the first host compiles, the second one gets what was kept of it."""
        engine_image.ensure()
        took: dict[str, list[Took]] = defaultdict(list)
        plays: list[Played] = []
        for number in range(self.runs):
            caches = self.market.folder / f"caches-{number}"
            wishes = {
                "inferops_cache_home": str(caches),
                "inferops_cache_trust": "scope",
                "inferops_history_path": "",
            }
            for name in ("first", "second"):
                one, played, _report, _stack = self.ours_of_image(**wishes)
                took[name].append(one)
                print(f"again {number + 1}, {name}: {in_words(one)}", flush=True)
            plays.append(played)
            shutil.rmtree(caches)
        seconds = {name: [one.seconds for one in all_of] for name, all_of in took.items()}
        ratio = figures.ratio(seconds["second"], seconds["first"])
        self.figures["second_deploy_over_first"] = ratio
        laps = [f"{name}: {medians(all_of)}" for name, all_of in took.items()]
        self.profiles["again"] = laps + slowest(plays)

    # --- noop: a deploy of what serves already ---

    def noop(self) -> None:
        """Second deploys of one host, and by turns with them of several."""
        is_fleet = "fleet" in self.parts
        controller = self.controller()
        try:
            print(f"noop: {len(FLEET) if is_fleet else 1} hosts are deployed first", flush=True)
            controller.play("deploy", "fleet" if is_fleet else "one")
            one: list[Played] = []
            several: list[Played] = []
            for number in range(self.runs):
                one.append(controller.play("deploy", "one"))
                print(f"noop {number + 1}, one host: {in_short(one[-1])}", flush=True)
                if is_fleet:
                    several.append(controller.play("deploy", "fleet"))
                    print(f"noop {number + 1}, {len(FLEET)} hosts: {in_short(several[-1])}")
        finally:
            controller.close()
        self.figures["noop_seconds"] = median(played.seconds for played in one)
        self.figures["tasks_per_host_noop"] = median(
            count for played in one for count in played.ran.values()
        )
        self.profiles["noop"] = slowest(one)
        if is_fleet:
            self.figures["noop_cpu_seconds_per_extra_host"] = figures.per_extra(
                [played.cpu_seconds for played in one],
                [played.cpu_seconds for played in several],
                len(FLEET) - 1,
            )
            self.profiles["fleet"] = slowest(several)

    # --- check40: the plan of a fleet ---

    def check40(self) -> None:
        """``deploy.yml --check`` over a fleet that has one wish."""
        checks: list[Played] = []
        searches: list[int] = []
        for number in range(self.runs):
            controller = self.controller()
            try:
                checks.append(controller.play("deploy", "checked", "--check"))
            finally:
                controller.close()
            searches.append(self.market.searches())
            said = f"{in_short(checks[-1])}, {searches[-1]} searches"
            print(f"check40 {number + 1}: {said}", flush=True)
        self.figures["check_40_hosts_seconds"] = median(played.seconds for played in checks)
        self.figures["searches_per_play"] = max(searches)
        self.profiles["check40"] = slowest(checks)

    def measure(self) -> None:
        """Every part; one that fails leaves its figures unmeasured, and the others go on."""
        asked = set(self.parts)
        for part, method in (
            (asked & set(figures.COMPARISONS), self.deploy),
            (asked & {"image"}, self.image),
            (asked & {"again"}, self.again),
            (asked & {"noop", "fleet"}, self.noop),
            (asked & {"check40"}, self.check40),
        ):
            if not part:
                continue
            try:
                method()
            except Exception:  # whatever it is, the other parts and the RESULT line come
                print(f"{' and '.join(sorted(part))} could not be measured:", flush=True)
                traceback.print_exc(file=sys.stdout)


def skipped_proofs(container: str, stack: Stack, completion: str) -> int:
    """How many of the proofs have left no trace: three receipts on the host, one completion.

    The host is new, so a receipt on it is of this very deployment; it must be of this lock.
    """
    missing = 0
    for part in PROOFS:
        receipt = f"{baselines.RECEIPTS}/{part}.json"
        text = inside(container, "sh", "-c", f"cat {receipt} 2>/dev/null || true")
        result = json.loads(text or "{}").get("result") or {}
        missing += result.get("version") != stack.versions[part]
    return missing + (not completion.strip())


def slowest(plays: Iterable[Played]) -> list[str]:
    """The slowest tasks, by the medians of their seconds over these plays: elapsed, of the CPU."""
    by_name: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for played in plays:
        totals: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
        for task in played.tasks:
            elapsed, cpu = totals[task["name"]]
            totals[task["name"]] = elapsed + task["seconds"], cpu + task["cpu_seconds"]
        for name, taken in totals.items():
            by_name[name].append(taken)
    ranked = sorted(
        ((*map(median, zip(*taken, strict=True)), name) for name, taken in by_name.items()),
        reverse=True,
    )
    rest = [(elapsed, cpu) for elapsed, cpu, _name in ranked[SLOWEST:]]
    shown = ranked[:SLOWEST]
    if rest:
        shown.append((*map(sum, zip(*rest, strict=True)), f"in {len(rest)} more tasks"))
    return [f"{elapsed:7.2f} s {cpu:7.2f} CPU s  {name}" for elapsed, cpu, name in shown]


def in_words(took: Took) -> str:
    laps = ", ".join(f"{name} {seconds:.1f}" for name, seconds in took.laps.items())
    return f"{took.seconds:.1f} s ({laps})"


def in_short(played: Played) -> str:
    most = max(played.ran.values(), default=0)
    return f"{played.seconds:.1f} s, {played.cpu_seconds:.1f} CPU seconds, {most} tasks a host"


def medians(all_of: list[Took]) -> str:
    """The medians of a way's seconds and of its laps."""
    laps = {name: median(one.laps[name] for one in all_of) for name in all_of[0].laps}
    return in_words(Took(median(one.seconds for one in all_of), laps))


def show(bench: Bench) -> list[str]:
    """Tell what misses its bound and where its time goes; what misses comes back."""
    lines = figures.missed(bench.figures, bench.parts)
    for name, wanted in figures.asked_for(bench.parts).items():
        value = bench.figures.get(name)
        told = "not measured" if value is None else f"{value:.2f}"
        print(f"{name:34}{told:>14}   wanted: {wanted}")
    missing = {figures.WANTED[line.split()[0]].part for line in lines}
    for part, profile in bench.profiles.items():
        parts = {part, *(figures.COMPARISONS if part == "deploy" else ())}
        if parts & missing:
            print(f"\nWhere the time of {part} goes, in medians:")
            print(*(f"  {line}" for line in profile), sep="\n")
    if lines:
        print("\nMISSED", *lines, sep="\n  ")
    return lines


def main() -> int:
    """Measure, tell, and end with the RESULT line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.deploy", description=__doc__)
    parser.add_argument("--runs", type=int, default=int(os.environ.get("RUNS") or RUNS))
    parser.add_argument("--only", help=f"parts, comma-separated: {', '.join(figures.PARTS)}")
    given = parser.parse_args()
    parts = tuple((given.only or ",".join(figures.PARTS)).split(","))
    if unknown := set(parts) - set(figures.PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    print(f"{described()}; {given.runs} runs of {', '.join(parts)}", flush=True)
    if (load := os.getloadavg()[0]) > os.cpu_count() / 4:
        print(f"Others keep this machine busy (load {load:.1f}): seconds will say too much")
    # However it is ended: the marketplace and its hosts go.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    with contextlib.ExitStack() as stack:
        # A short path: sockets of SSH lie below it.
        scratch = tempfile.TemporaryDirectory(prefix="inferops-", ignore_cleanup_errors=True)
        place = stack.enter_context(market(Path(stack.enter_context(scratch))))
        bench = Bench(place, given.runs, parts)
        # Whoever ends it early sees what was measured until then.
        stack.callback(
            lambda: print(f"RESULT {json.dumps(figures.result(bench.figures))}", flush=True)
        )
        bench.measure()
        lines = show(bench)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
