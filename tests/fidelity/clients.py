# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other people's clients: installed once, each in an environment of its own, and called.

``clients.yml`` lists them. Environments are in ``.rig/witness`` and stay until their pins change.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import yaml

from tests.simulator.daemon import RIG
from tests.tools.pythons import find_or_install_python

HERE = Path(__file__).parent
WITNESSES = RIG / "witness"
INSTALL_SECONDS, CALL_SECONDS = 600, 60


@dataclass(frozen=True)
class Environment:
    """What is installed together; ``packages`` with their dependencies, ``alone`` without."""

    name: str
    packages: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    published_before: str = ""
    #: Of the Python that it needs; without any, the one that runs this.
    python_minors: tuple[int, ...] = ()

    @property
    def folder(self) -> Path:
        """Where it is, by the name and version of the client in it."""
        return WITNESSES / (self.alone or self.packages)[0].replace("==", "-")

    def install(self) -> None:
        """Make it, unless it is there with these pins. Raises CalledProcessError."""
        pins = "\n".join((self.published_before, *self.packages, *self.alone))
        ready = self.folder / ".ready"
        # An installation that was interrupted has no such file.
        if ready.exists() and ready.read_text() == pins:
            return
        python = str(self.folder / "bin" / "python")
        install = ["pip", "install", "--python", python, "--exclude-newer", self.published_before]
        kind = find_or_install_python(self.python_minors) if self.python_minors else sys.executable
        venv = ["venv", "--clear", "--python", str(kind), str(self.folder)]
        steps = [venv, [*install, *self.packages]]
        if self.alone:
            steps.append([*install, "--no-deps", *self.alone])
        for step in steps:
            command = [sys.executable, "-m", "uv", "--quiet", *step]
            subprocess.run(command, check=True, timeout=INSTALL_SECONDS)
        ready.write_text(pins)


@dataclass(frozen=True)
class Client:
    """One client, as ``clients.yml`` describes it."""

    name: str
    provider: str
    environment: Environment
    variables: dict[str, str] = field(default_factory=dict)
    command: str = ""
    options: list[str] = field(default_factory=list)
    module: str = ""
    bare: list[str] = field(default_factory=list)
    idle: dict[str, list[str]] = field(default_factory=dict)
    patch: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    open: str = ""
    arguments: dict[str, str] = field(default_factory=dict)
    change: dict[str, str] = field(default_factory=dict)

    def start(self, url: str, key: str, home: Path) -> Caller:
        """Let it speak to a simulator with this key, and a home folder of its own."""
        home.mkdir(parents=True, exist_ok=True)
        told = filled(
            {one: value for one, value in asdict(self).items() if one != "environment"},
            url=url,
            key=key,
        )
        variables = {"HOME": str(home), "PATH": os.environ["PATH"], **told["variables"]}
        folder = self.environment.folder / "bin"
        if self.command:
            return CommandLine([str(folder / self.command)], self.options, variables)
        return Opened(folder / "python", told, variables)


def filled(value: Any, **words: str) -> Any:
    """The value with the words in their places."""
    if isinstance(value, dict):
        return {key: filled(inner, **words) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, **words) for inner in value]
    for word, text in words.items():
        value = value.replace(f"{{{word}}}", text)
    return value


def all_clients() -> dict[str, Client]:
    """Every client, by its name."""
    told = yaml.safe_load((HERE / "clients.yml").read_text())
    environments = {
        name: Environment(
            name,
            tuple(one.get("packages", ())),
            tuple(one.get("alone", ())),
            told["published_before"],
        )
        for name, one in told["environments"].items()
    }
    return {
        name: Client(name, **{**one, "environment": environments[one["environment"]]})
        for name, one in told["clients"].items()
    }


@dataclass(frozen=True)
class Answer:
    """What a client made of an answer: a value, or ``refused`` with its words."""

    value: Any = None
    refused: str = ""


class Caller(Protocol):
    """A client that is ready to be called."""

    def call(self, *words: Any, **named: Any) -> Answer:
        """One call."""

    def close(self) -> None:
        """No more calls."""


@dataclass
class CommandLine:
    """A command, run anew for each call. What it prints is read as JSON where it is JSON."""

    command: list[str]
    options: list[str]
    variables: dict[str, str]

    def call(self, *words: Any, **named: Any) -> Answer:
        """Run it; an error that it says while it exits 0 is a refusal as well."""
        assert not named
        done = subprocess.run(
            [*self.command, *map(str, words), *self.options],
            env=self.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CALL_SECONDS,
            check=False,
        )
        if done.returncode or "error" in done.stderr.lower():
            return Answer(refused=f"{done.stderr} {done.stdout}".strip() or "it failed silently")
        try:
            return Answer(json.loads(done.stdout))
        except ValueError:
            return Answer(done.stdout)

    def close(self) -> None:
        """Nothing runs between two calls."""


class Opened:
    """A client that is opened inside its own environment, in a process that waits for calls."""

    def __init__(self, python: Path, told: dict[str, Any], variables: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [str(python), str(HERE / "inside.py"), json.dumps(told)],
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        #: How the opening went; some log in with it.
        self.opening = self.read()

    def read(self) -> Answer:
        """The next answer."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            return Answer(refused="the client's process has ended")
        told = json.loads(line)
        if "raised" in told:
            return Answer(refused=f"{told['raised']}: {told['text']}")
        return Answer(told["value"])

    def call(self, *words: Any, **named: Any) -> Answer:
        """The first word is what is called, the others are its arguments."""
        if self.opening.refused:
            return self.opening
        assert self.process.stdin is not None
        asked = {"call": words[0], "args": words[1:], "named": named}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        return self.read()

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(10)
