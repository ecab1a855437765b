# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.drills.mutants``: break the safety rules one by one; a test must notice each.

It works on copies of the checkout. The tests that the mutations name must be green without any of
them, and the text that a mutation replaces must be there exactly once: otherwise nothing is
measured, and it says why. A run that neither passes nor fails counts as one that noticed nothing.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import yaml
from jinja2 import Environment, TemplateSyntaxError

from tests.drills.mutations import MUTATIONS, Mutation
from tests.tools import tree

#: What says whether a broken file is one of its language, by how its name ends; else Python.
_PARSES = {".yml": yaml.safe_load, ".j2": Environment(autoescape=True).parse}
_INVALID = (OSError, ValueError, SyntaxError, yaml.YAMLError, TemplateSyntaxError)
RUN_SECONDS = 300
#: For the tests of all mutations together.
GREEN_SECONDS = 1800
#: What pytest's exit status says.
PASSED, FAILED = 0, 1
#: The user's own settings and accounts stay out of the tests.
NOT_INHERITED = (
    *("ANSIBLE_", "INFEROPS_", "PYTEST_", "VAST"),
    *("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"),
)


class Void(Exception):
    """Nothing was measured, for this reason."""


class Copy:
    """A copy of the checkout, in which one mutation at a time is tried."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._second = int(time.time())
        tree.copy(folder)
        link = folder / "collections" / "ansible_collections" / "inferops" / "gpu"
        link.parent.mkdir(parents=True)
        link.symlink_to("../../..")

    @contextlib.contextmanager
    def mutated(self, mutation: Mutation) -> Iterator[None]:
        """The copy with the mutation in it, until the block ends."""
        file = self.folder / mutation.file
        original = file.read_text()
        self._write(file, mutation.applied_to(original))
        try:
            yield
        finally:
            self._write(file, original)

    def _write(self, file: Path, text: str) -> None:
        """Python knows the byte code of another text by the file's size and second alone."""
        file.write_text(text)
        self._second += 1
        os.utime(file, (self._second, self._second))

    def test(
        self, tests: Iterable[str], enough: int = 1, seconds: float = RUN_SECONDS
    ) -> tuple[int | None, str]:
        """The exit status of these tests, None when they took too long, and what they printed.

        They end when *enough* of them have failed.
        """
        until = f"--maxfail={enough}"
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", until, "-q", "--no-header", "--tb=line", *tests],
            cwd=self.folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            printed, _none = process.communicate(timeout=seconds)
            return process.returncode, printed
        except subprocess.TimeoutExpired:
            return None, f"still running after {seconds} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def environment() -> dict[str, str]:
    """What the tests see."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)}
    # Much that is broken on purpose hangs: whoever waits for it says so sooner than elsewhere.
    return {**ours, "INFEROPS_HANGS_AFTER_SECONDS": "60"}


def check_texts(mutations: Iterable[Mutation]) -> None:
    """See that every mutation can be made, and makes a valid file. Raises Void."""
    problems = []
    for mutation in mutations:
        try:
            broken = mutation.applied_to((tree.REPOSITORY / mutation.file).read_text())
            valid = _PARSES.get(Path(mutation.file).suffix, ast.parse)
            valid(broken)
        except _INVALID as error:
            problems.append(f"{mutation.name}: {error}")
    if problems:
        raise Void("\n".join(problems))


def check_green(copies: list[Copy], mutations: Iterable[Mutation]) -> None:
    """See that without a mutation all their tests pass, a share in each copy. Raises Void."""
    tests = dict.fromkeys(test for mutation in mutations for test in mutation.tests)
    files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
    shares = []
    for number in range(len(copies)):
        mine = files[number :: len(copies)]
        shares.append([test for test in tests if test.partition("::")[0] in mine])
    used = [share for share in shares if share]
    with ThreadPoolExecutor(len(copies)) as pool:
        for status, printed in pool.map(partial(Copy.test, seconds=GREEN_SECONDS), copies, used):
            if status != PASSED:
                raise Void(f"without any mutation the tests do not pass:\n{printed}")


def killers(printed: str) -> list[str]:
    """The tests that failed, in what pytest printed."""
    failed = [line for line in printed.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return [line.split(" - ")[0].rpartition("::")[2] for line in failed]


def survives(copy: Copy, mutation: Mutation) -> bool:
    """Try one mutation and tell in one line what became of it."""
    began = time.monotonic()
    with copy.mutated(mutation):
        status, printed = copy.test(mutation.tests, mutation.least_red)
    took = f"{time.monotonic() - began:.1f} s"
    red = killers(printed)
    if status == FAILED and len(red) >= mutation.least_red:
        print(f"{mutation.name}: killed by {', '.join(red)} ({took})", flush=True)
        return False
    noticed = f"{len(red)} tests noticed, not {mutation.least_red}"
    why = noticed if status in (PASSED, FAILED) else f"the tests did not run:\n{printed}"
    print(f"{mutation.name}: SURVIVED, {mutation.breaks}: {why} ({took})", flush=True)
    return True


def try_all(mutations: list[Mutation], scratch: Path, jobs: int) -> int:
    """How many mutations survive. Raises Void."""
    check_texts(mutations)
    copies = [Copy(scratch / str(number)) for number in range(jobs)]
    check_green(copies, mutations)
    free: queue.SimpleQueue[Copy] = queue.SimpleQueue()
    for copy in copies:
        free.put(copy)

    def in_free_copy(mutation: Mutation) -> bool:
        copy = free.get()
        try:
            return survives(copy, mutation)
        finally:
            free.put(copy)

    with ThreadPoolExecutor(jobs) as pool:
        return sum(pool.map(in_free_copy, mutations))


def chosen(names: str | None) -> list[Mutation]:
    """The mutations of these comma-separated names; all without any. Raises SystemExit."""
    if names is None:
        return list(MUTATIONS)
    wanted = names.split(",")
    unknown = set(wanted) - {mutation.name for mutation in MUTATIONS}
    if unknown:
        known = ", ".join(mutation.name for mutation in MUTATIONS)
        raise SystemExit(f"no such mutation: {', '.join(sorted(unknown))}. There are: {known}")
    return [mutation for mutation in MUTATIONS if mutation.name in wanted]


def main() -> int:
    """Try the mutations and end with the RESULT line."""
    parser = argparse.ArgumentParser(description="Break the safety rules one by one.")
    parser.add_argument("--only", help="names of mutations, comma-separated")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1))
    given = parser.parse_args()
    mutations = chosen(given.only)
    try:
        with tempfile.TemporaryDirectory(prefix="inferops-mutants-") as scratch:
            survived = try_all(mutations, Path(scratch), given.jobs)
    except Void as reason:
        print(f"Nothing was measured:\n{reason}", file=sys.stderr)
        return 2
    print("RESULT", json.dumps({"mutants": len(mutations), "survived": survived}))
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
