# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the checks and tests of this repository, or those named by --only, fast ones first.

What waits most of its time runs beside what computes. The run goes on after a failure, ends what
it started even when interrupted, and fails when anything is left behind. At the end it names the
tests that failed once more. Its last line is `RESULT {...}` with the numbers of steps and failures
and the seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tests.tools.leftovers import MARK, Before
from tests.tools.tree import REPOSITORY

BIN = Path(sys.executable).parent
# A collection plugin's types are checked under the name by which Ansible imports it.
COLLECTION = "collections/ansible_collections/inferops/gpu"
# The user's own settings and accounts stay out of every check.
NOT_INHERITED = (
    *("ANSIBLE_", "MOLECULE_", "PYTEST_", "VAST"),
    *("PYTHONPATH", "PYTHONDONTWRITEBYTECODE"),
)
STOP_SECONDS = 15
# Most tests wait for others a third of their time, so three at once keep two cores busy. Files
# come in their own order: by the number of their tests, the long ones would come last, with nobody
# beside them.
PYTEST = "pytest --dist loadfile --no-loadscope-reorder --durations 10 --numprocesses"
# A sample of what needs an engine, whichever it is; `make engines` runs all of it.
ANY_ENGINE = " ".join(f"tests/unit/host/test_{name}.py" for name in ("readiness", "launcher"))


@dataclass(frozen=True)
class Step:
    """One command, under a name of its own and a group that a make target names."""

    group: str
    name: str
    command: str
    # The next ones do not wait for it, and its output is shown when they are done.
    beside: bool = False
    # Waits until what runs beside is done: it needs the machine for itself.
    alone: bool = False
    # Runs only where --only names it.
    apart: bool = False


STEPS = (
    # The others can wait for the image that hosts run on, or do not need it.
    Step("molecule", "molecule", "python -m tests.rig.image molecule test --all", beside=True),
    Step("sanity", "sanity", "python -m tests.tools.sanity", beside=True),
    Step("lint", "format", "ruff format --check --quiet ."),
    Step("lint", "ruff", "ruff check --quiet ."),
    Step("lint", "types", f"mypy {COLLECTION}/plugins/module_utils"),
    Step("lint", "yaml", "yamllint --strict ."),
    Step(
        "lint",
        "shell",
        "shellcheck -x -P SCRIPTDIR .ci/run tests/tools/setup.sh "
        "tests/benchmarks/deploy/floor/deploy.sh tests/benchmarks/deploy/floor/serve.sh",
    ),
    Step("lint", "ansible-lint", "ansible-lint --profile production --offline --strict"),
    Step("lint", "role-readmes", "python -m tests.tools.role_readmes --check"),
    Step(
        "lint",
        "collection-docs",
        "antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs self"
        " --skip-rstcheck .",
    ),
    Step("lint", "changelog", "antsibull-changelog lint"),
    Step("unit", "unit", f"{PYTEST} 3 -m 'not long' tests/unit"),
    # Not beside the other unit tests: what stops a server looks at the whole machine's processes.
    Step("unit", "other-engine", f"{PYTEST} 1 --engine stand_in {ANY_ENGINE}", beside=True),
    Step("integration", "integration", f"{PYTEST} 3 -m 'not long' tests/integration", alone=True),
    Step(
        "long", "long", f"{PYTEST} 3 -m long tests/unit tests/integration", alone=True, apart=True
    ),
)


class Interrupted(Exception):
    """The user, or the system, asked for an end."""


def _interrupt(number: int, _frame: object) -> None:
    raise Interrupted(signal.Signals(number).name)


def on_signals(action: Any) -> None:
    """What SIGINT, SIGTERM and SIGHUP do from now on."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, action)


def environment(run_id: str, scratch: Path) -> dict[str, str]:
    """What steps see: the pinned tools, our settings, and a scratch folder for their files."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)
    }
    return {
        **inherited,
        MARK: run_id,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "PYTHONUNBUFFERED": "1",
        # Compiled once for all the processes that tests start, and not into the checkout.
        "PYTHONPYCACHEPREFIX": str(scratch / "byte-code"),
        "TMPDIR": str(scratch),
        "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
        "ANSIBLE_HOME": str(scratch / "ansible"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(scratch / "ssh"),
    }


class Started:
    """A step that runs in a process group of its own."""

    def __init__(self, step: Step, environ: dict[str, str], scratch: Path, beside: bool) -> None:
        """Its output is ours; that of a step beside others waits in a file for its end."""
        self.step, self.report = step, scratch / f"{step.name}.xml"
        self.output = scratch / f"{step.name}.log" if beside else None
        command = shlex.split(step.command)
        if command[0] == "pytest":
            command.append(f"--junit-xml={self.report}")
        where = ", beside the next ones" if beside else ""
        print(f"\n==> {step.name}: {step.command}{where}", flush=True)
        self.began = time.time()
        with self.output.open("wb") if self.output else contextlib.nullcontext() as stream:
            self.process = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env=environ,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )

    def finish(self) -> bool:
        """Wait for the end and tell it. Whether it passed."""
        passed, ended = self.process.wait() == 0, time.time()
        if self.output:
            print(f"\n--- {self.step.name}, which ran beside:", flush=True)
            print(self.output.read_text(errors="replace"))
            ended = max(self.began, self.output.stat().st_mtime)
        word = "passed" if passed else "FAILED"
        print(f"<== {self.step.name}: {word}, {ended - self.began:.1f} s", flush=True)
        return passed

    def end(self) -> None:
        """Let it clean up after itself, then end what is left of its group."""
        for number in (signal.SIGINT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
                return


def failed_tests(report: Path) -> list[str]:
    """One line per test that failed, with its reason, from what pytest reported."""
    lines = []
    # Other tools write no report, and a pytest that was killed writes half of one.
    with contextlib.suppress(FileNotFoundError, ElementTree.ParseError):
        for case in ElementTree.parse(report).iter("testcase"):
            for outcome in (*case.findall("failure"), *case.findall("error")):
                reason = outcome.get("message", "").partition("\n")[0]
                lines.append(f"{case.get('classname')}::{case.get('name')}: {reason}"[:300])
    return lines


def close_ssh_masters(folder: Path) -> None:
    """End the connections that Ansible's ssh keeps open for ten minutes."""
    for socket in folder.glob("*"):
        exit_master = ("ssh", "-O", "exit", "-o", f"ControlPath={socket}", "any")
        subprocess.run(exit_master, stderr=subprocess.DEVNULL, timeout=10, check=False)


def select(only: str | None) -> tuple[Step, ...]:
    """Those whose name or group is in the comma-separated `only`; without, all but those apart."""
    if only is None:
        return tuple(step for step in STEPS if not step.apart)
    wanted = set(only.split(","))
    unknown = wanted - {step.name for step in STEPS} - {step.group for step in STEPS}
    if unknown:
        names = ", ".join(dict.fromkeys(name for step in STEPS for name in (step.group, step.name)))
        raise SystemExit(f"no such check: {', '.join(sorted(unknown))}. There are: {names}")
    return tuple(step for step in STEPS if wanted & {step.name, step.group})


def run(steps: tuple[Step, ...], environ: dict[str, str], scratch: Path) -> dict[str, list[str]]:
    """Run the steps. What failed, with its failed tests."""
    running: list[Started] = []
    failed: dict[str, list[str]] = {}

    def finish_last() -> None:
        if not running[-1].finish():
            failed[running[-1].step.name] = failed_tests(running[-1].report)
        running.pop()

    step = steps[0]
    try:
        for step in steps:
            while running and step.alone:
                finish_last()
            beside = step.beside and step is not steps[-1]
            running.append(Started(step, environ, scratch, beside))
            if not beside:
                finish_last()
        while running:
            finish_last()
    except Interrupted as interruption:
        # A second signal must not keep the clean-up from ending.
        on_signals(signal.SIG_IGN)
        for name in [started.step.name for started in running] or [step.name]:
            print(f"<== {name}: ended by {interruption}, cleaning up", flush=True)
            failed[name] = []
        for started in running:
            started.end()
    return failed


def check(steps: tuple[Step, ...], scratch: Path) -> dict[str, list[str]]:
    """Run the steps and look for what they left behind. What failed, with its failed tests."""
    run_id = uuid.uuid4().hex
    before = Before(run_id)
    on_signals(_interrupt)
    failed = run(steps, environment(run_id, scratch), scratch)
    on_signals(signal.SIG_IGN)
    close_ssh_masters(scratch / "ssh")
    left = before.left_behind()
    if left:
        print("\nleft behind by the steps above:", *left, sep="\n  ", flush=True)
        before.remove()
        failed["leftovers"] = []
    return failed


def main() -> int:
    """Run the checks, say which failed, and end with the RESULT line."""
    parser = argparse.ArgumentParser(description="Run the checks and tests of this repository.")
    parser.add_argument("--only", help="names of steps or groups, comma-separated")
    steps = select(parser.parse_args().only)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="inferops-", ignore_cleanup_errors=True) as scratch:
        failed = check(steps, Path(scratch))
    if failed:
        tests = (test for tests in failed.values() for test in tests)
        print(f"\nFAILED: {', '.join(failed)}", *tests, sep="\n  ")
    seconds = round(time.monotonic() - start, 1)
    print("RESULT", json.dumps({"steps": len(steps), "failed": len(failed), "seconds": seconds}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
