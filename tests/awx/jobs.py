# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.awx.jobs``: the job templates as AWX runs them, against the simulator.

``jobs.yml`` is the story. Each job has ansible-runner, AWX's paths, environment and injectors, the
answers to its form as text, and an empty container with a user of its own (``container.py``). The
last line is ``RESULT {...}``: how many jobs ran, how many of them ended otherwise than the story
says, how many rentals, containers and processes were left, how many files a job left where the
next would find them, and how many objects and answers AWX would have refused.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import yaml
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tests.awx import container, rules
from tests.awx.configuration import (
    HUB,
    SCOPE,
    credential_type_of,
    marketplaces,
    playbook_of,
    template,
)
from tests.awx.reading import committed
from tests.hanging import HANGS_AFTER_SECONDS
from tests.integration import engine_image
from tests.simulator import daemon
from tests.simulator.market import ACCOUNT_KEY
from tests.tools.tree import REPOSITORY, files

STORY: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("jobs.yml").read_text())
AWX = committed()
TEMPLATES = {one["name"]: one for one in AWX["controller_templates"]}
TYPES = {one["name"]: one for one in AWX["controller_credential_types"]}
NAME_OF_SCOPE = "awx"
JOB_SECONDS = 900


@dataclass(frozen=True)
class Wanted:
    """One entry of the story; ``jobs.yml`` says what each word means."""

    job: str
    answers: Mapping[str, Any] = field(default_factory=dict)
    ends: str = "successful"
    says: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()
    rentals: int | None = None
    later_hours: float = 0
    cancel: bool = False
    hosts: int = 0
    slices: int = 1

    @property
    def sliced(self) -> bool:
        """Whether AWX makes a workflow of it, whose jobs each have a part of the inventory."""
        return self.slices > 1

    def form(self) -> dict[str, Any]:
        """Its survey."""
        return dict(TEMPLATES[template(self.job)]["survey_spec"])

    def answered(self) -> dict[str, Any]:
        """What somebody sends off who has filled in the form, in AWX's types."""
        said, found = {**STORY["answers"], **self.answers}, {}
        for asked in self.form()["spec"]:
            told = asked.get("default")
            told = told.splitlines() if told and asked["type"] == "multiselect" else told
            found[asked["variable"]] = said.get(asked["variable"], told)
        return {name: value for name, value in found.items() if value is not None}

    def refused(self) -> list[str]:
        """What AWX would say of the answers."""
        # Its hosts are in the inventory, so whoever slices it has a form that asks for none.
        unasked = "inferops_hosts is missing" if self.sliced else ""
        return [one for one in rules.answers(self.form(), self.answered(), False) if one != unasked]

    def names(self, part: int) -> list[str]:
        """The hosts of the inventory that a slice gets, as AWX deals them out."""
        return [f"gpu-{number}" for number in range(1, self.hosts + 1)][part :: self.slices]


def story() -> list[Wanted]:
    """All of them, in their order."""
    return [Wanted(**{**one, **_tuples(one)}) for one in STORY["jobs"]]


def _tuples(told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(told[name]) for name in ("says", "artifacts") if name in told}


@dataclass
class Awx:
    """A stand-in for what AWX does with a job, and the marketplace that all of them use."""

    folder: Path
    market: dict[str, Any]
    key: str
    started: list[container.Container] = field(default_factory=list)

    @property
    def jobs(self) -> int:
        """How many there have been, which is the number of the latest."""
        return len(self.started)

    def simulator(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the simulator itself."""
        reply = requests.request(
            method, f"{self.market['url']}/simulator/{path}", json=body, timeout=HANGS_AFTER_SECONDS
        )
        reply.raise_for_status()
        return reply.json()

    def rentals(self) -> list[dict[str, Any]]:
        """What exists and bills, in truth."""
        return list(self.simulator("GET", "state")["rentals"])

    # --- what a job is given ---

    def prepared(self, wanted: Wanted, part: int) -> container.Container:
        """The folder of a job as AWX fills it, and nothing of any job before."""
        folder = self.folder / f"job-{self.jobs + 1}"
        self.started.append(container.Container(folder, random.randrange(100_000, 2_000_000_000)))
        for name in ("env", "inventory", "artifacts", "cp"):
            (folder / name).mkdir(parents=True)
        self.project(folder / "project")
        injected = self.injected(folder)
        hosts = {name: {} for name in wanted.names(part)}
        inventory = {
            "all": {"hosts": [*hosts], "vars": self.inventory()},
            "gpu_hosts": {"hosts": [*hosts]},
            "_meta": {"hostvars": hosts},
        }
        script = folder / "inventory" / "hosts"
        script.write_text(f"#! /usr/bin/env python3\nprint(r'''{json.dumps(inventory)}''')\n")
        script.chmod(0o700)
        extra = folder / "env" / "extravars"
        extra.write_text(_with_answers_unsafe(*self.variables(wanted, injected["extra_vars"])))
        environment = {**self.environment(), **injected["env"]}
        (folder / "env" / "envvars").write_text(json.dumps(environment))
        (folder / "env" / "settings").write_text(json.dumps({"suppress_ansible_output": False}))
        return self.started[-1]

    def project(self, place: Path) -> None:
        """A copy of the repository, as a project update leaves it."""
        for path in files():
            target = place / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / path, target, follow_symlinks=False)

    def inventory(self) -> dict[str, Any]:
        """The variables of the inventory; the hub is the simulator's own."""
        hub = {"inferops_controller_hub_endpoint": self.market["hub_url"]}
        return {**STORY["inventory"], **hub}

    def injected(self, folder: Path) -> dict[str, dict[str, str]]:
        """What the credentials of a job give it, by kind; a file is in the job's folder."""
        inputs = {
            credential_type_of(marketplaces()[0]): {
                "api_key": ACCOUNT_KEY,
                "api_url": f"{self.market['url']}",
            },
            SCOPE: {
                "scope": NAME_OF_SCOPE,
                "scope_secret": "secret of the scope of this story",
                "ssh_private_key": self.key,
            },
            HUB: {"token": ""},
        }
        found: dict[str, dict[str, str]] = {"env": {}, "extra_vars": {}}
        for kind, given in inputs.items():
            injectors = TYPES[kind]["injectors"]
            known: dict[str, Any] = {**given}
            for name, text in injectors.get("file", {}).items():
                word = name.partition(".")[2]
                file = folder / "env" / f"tmp_{word}"
                file.write_text(_rendered(text, known) + "\n")
                file.chmod(0o600)
                known["tower"] = {"filename": {word: f"/runner/env/{file.name}"}}
            for kind_of, told in found.items():
                for name, text in injectors.get(kind_of, {}).items():
                    told[name] = _rendered(text, known)
        return found

    def variables(
        self, wanted: Wanted, injected: Mapping[str, str]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Those of the template, which may have templates in them, and those that may not."""
        told = {"job_id": self.jobs, "job_template_name": template(wanted.job)}
        if wanted.sliced:
            told["workflow_job_id"] = self.jobs
        of_awx = {
            f"{who}_{name}": value for who in ("awx", "tower") for name, value in told.items()
        }
        typed = {name: _as_text(value) for name, value in wanted.answered().items()}
        of_template = dict(TEMPLATES[template(wanted.job)]["extra_vars"])
        return {**of_awx, **of_template}, {**typed, **injected}

    def environment(self) -> dict[str, str]:
        """What AWX sets for every job, and the market's time."""
        kept = "~/.ansible/collections:/usr/share/ansible/collections"
        clock = self.simulator("POST", "clock", {"scale": 1})
        return {
            "ANSIBLE_COLLECTIONS_PATH": f"/runner/requirements_collections:./collections:{kept}",
            "ANSIBLE_RETRY_FILES_ENABLED": "False",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": "/runner/cp",
            "AWX_PRIVATE_DATA_DIR": "/runner",
            "JOB_ID": str(self.jobs),
            "INFEROPS_CLOCK": f"{clock['now']} {time.time()} 1",
        }

    # --- what becomes of it ---

    def run(self, wanted: Wanted) -> Iterator[str]:
        """Run a job, or its slices beside one another; what is not as the story says."""
        if wanted.later_hours:
            self.simulator("POST", "clock", {"advance_seconds": wanted.later_hours * 3600})
        began = time.monotonic()
        started = [self.prepared(wanted, part) for part in range(wanted.slices)]
        for number, one in enumerate(started, self.jobs - wanted.slices + 1):
            one.start(playbook_of(wanted.job), number, check=wanted.job == "plan")
        for one in started:
            yield from self.judged(wanted, one, self.ended(wanted, one))
        there = len(self.rentals())
        if wanted.rentals is not None and there != wanted.rentals:
            yield f"{there} rentals are there, not {wanted.rentals}"
        print(f"{wanted.job}: {time.monotonic() - began:.0f} s", flush=True)

    def ended(self, wanted: Wanted, job: container.Container) -> str:
        """How a job ends, in AWX's word for it."""
        assert job.process is not None
        if wanted.cancel:
            daemon.wait(lambda: bool(self.rentals()) or job.process.poll() is not None, JOB_SECONDS)
            # Not before the controller has its answer, and long before anything serves.
            if job.process.poll() is None:
                job.cancel()
                return "canceled"
        try:
            return "failed" if job.process.wait(JOB_SECONDS) else "successful"
        except subprocess.TimeoutExpired:
            job.cancel()
            return "timed out"

    def judged(self, wanted: Wanted, job: container.Container, ended: str) -> Iterator[str]:
        """What is not as it should be; its output follows."""
        said, wrong = " ".join(job.output().split()), []
        if ended != wanted.ends:
            wrong.append(f"it has {ended}, not {wanted.ends}")
        wrong += [f"it does not say: {text}" for text in wanted.says if text not in said]
        told = artifacts(job.folder)
        wrong += [f"it has no artifact {name}" for name in wanted.artifacts if name not in told]
        hidden = (ACCOUNT_KEY, "secret of the scope of this story")
        wrong += ["it shows a secret" for secret in hidden if secret in said]
        if wrong:
            print(job.output()[-8000:], flush=True)
        yield from (f"{job.folder.name} ({wanted.job}): {text}" for text in wrong)


def artifacts(folder: Path) -> dict[str, Any]:
    """What AWX keeps of a job for the next one of its workflow."""
    for file in sorted(folder.glob("artifacts/*/job_events/*.json")):
        event = json.loads(file.read_text())
        if event.get("event") == "playbook_on_stats":
            return dict(event["event_data"].get("artifact_data") or {})
    return {}


def _rendered(text: str, known: Mapping[str, Any]) -> str:
    return ImmutableSandboxedEnvironment().from_string(text).render(known)


def _as_text(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


class _Unsafe(str):
    """What somebody has typed: AWX lets no template in it be rendered."""


class _Dumper(yaml.SafeDumper):
    """Marks it."""


_Dumper.add_representer(_Unsafe, lambda dumper, text: dumper.represent_scalar("!unsafe", text))


def _with_answers_unsafe(safe: Mapping[str, Any], unsafe: Mapping[str, Any]) -> str:
    marked = {name: _Unsafe(value) for name, value in unsafe.items()}
    return yaml.dump({**safe, **marked}, Dumper=_Dumper, sort_keys=False)


def schema_errors() -> list[str]:
    """What AWX would refuse of what it is told, and of what the forms of the story are answered."""
    offered = rules.playbooks(REPOSITORY)
    told = [text for one in TYPES.values() for text in rules.credential_type(one)]
    told += [text for one in TEMPLATES.values() for text in rules.job_template(one, offered)]
    for workflow in AWX["controller_workflows"]:
        nodes = workflow["simplified_workflow_nodes"]
        told += rules.survey(workflow["survey_spec"])
        told += rules.workflow_nodes(nodes, {*TEMPLATES})
    told += [text for one in AWX["controller_schedules"] for text in rules.rrule(one["rrule"])]
    told += [text for one in AWX["controller_notifications"] for text in rules.notification(one)]
    return told + [f"{one.job}: {text}" for one in story() for text in one.refused()]


def run(only: set[str], folder: Path) -> dict[str, int]:
    """The figures of the last line."""
    container.install()
    engine_image.ensure()
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "awx", "-f", str(folder / "key")],
        check=True,
        timeout=HANGS_AFTER_SECONDS,
    )
    refused = schema_errors()
    instance = daemon.Instance(f"awx-{os.getpid()}", folder / "simulator")
    failed: list[str] = []
    left: list[str] = []
    try:
        market = daemon.start(instance, 0, 0, True)
        awx = Awx(folder, market, (folder / "key").read_text().rstrip())
        for wanted in story():
            if not only or wanted.job in only:
                wrong = list(awx.run(wanted))
                failed += wrong
                print(
                    *wrong or [f"{wanted.job}: {wanted.ends}, as it should"], sep="\n", flush=True
                )
        left = [f"rental {one['id']}" for one in awx.rentals()] if not only else []
        carried = [path for one in awx.started for path in one.left_behind()]
    finally:
        stopped = daemon.stop(instance)
    left += [f"container {one}" for one in range(stopped["containers"])]
    for text in (*failed, *refused, *left, *carried):
        print(text)
    return {
        "jobs": awx.jobs,
        "failed": len(failed),
        "leaked": len(left),
        "carried_over_files": len(carried),
        "schema_errors": len(refused),
    }


def main() -> int:
    """Run the story, and tell what came of it."""
    parser = argparse.ArgumentParser(description="Run the job templates as AWX does.")
    parser.add_argument("--only", help="names of templates, comma-separated")
    chosen = parser.parse_args()
    # Whoever ends it ends the simulator with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="inferops-awx-") as place:
        # Users that no file knows have to get through it.
        Path(place).chmod(0o755)
        result = run(set(filter(None, (chosen.only or "").split(","))), Path(place))
    print("RESULT", json.dumps(result))
    return 1 if any(count for name, count in result.items() if name != "jobs") else 0


if __name__ == "__main__":
    sys.exit(main())
