# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What resolves a lock and installs from it: uv, and pip for hosts that cannot have uv.

Both keep their inputs in one folder and work on one environment. No name comes from two indexes:
PyTorch's family comes from PyTorch's alone, vLLM's other builds from vLLM's, all else from neither.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ...common import lock
from ...common.lock import Pin, Pins, normalised
from ...common.private_files import write_private

_LONGEST_COMMAND_SECONDS = 3600
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_KEPT = "Check disk space and the package sources, then run again: what is there is kept."
_UNRESOLVED = (
    "Ask for another version, check the package sources, put the missing wheel into a "
    "folder named by inferops_find_links, or rent with the plan's container image."
)
_NO_PIN = "Ask for packages by name and version alone (stack_extra_requirements)."

#: What uv 0.13 takes from PyTorch's index alone when it is told a build of torch.
FAMILY = frozenset(
    (
        *("fbgemm-gpu", "fbgemm-gpu-genai", "pytorch-triton", "pytorch-triton-rocm"),
        *("pytorch-triton-xpu", "torch", "torch-tensorrt", "torchao", "torcharrow", "torchaudio"),
        *("torchcodec", "torchcsprng", "torchdistx", "torchrec", "torchserve", "torchtext"),
        *("torchtune", "torchvision", "triton", "triton-rocm", "triton-xpu", "xformers"),
    )
)
_PYTORCH = "pytorch"


class StackError(Exception):
    """A step failed; the text says which, why and what to change. `output` is what it had said."""

    output = ""


@dataclass(frozen=True)
class Sources:
    """Where packages come from. Empty values leave the choice to uv and its environment."""

    torch_backend: str = ""
    #: A mirror of PyTorch's index.
    torch_index_url: str = ""
    index_url: str = ""
    #: The package of an engine whose other builds have an index of their own, and that index, from
    #: which nothing else comes.
    engine_package: str = ""
    engine_index_url: str = ""
    find_links: list[str] = field(default_factory=list)
    #: Where wheels are kept on the host, for the next installation.
    cache_dir: str = ""
    #: Whether no index is asked: all comes from find_links.
    offline: bool = False
    #: Where uv downloads the Pythons from that it brings, "" for its own place.
    python_mirror: str = ""

    def require(self) -> None:
        """Raise StackError where nothing could ever be found."""
        if self.offline and not self.find_links:
            raise StackError(
                "No index may be asked (inferops_offline), and no folder with wheels is given: "
                "name one by inferops_find_links, or allow an index."
            )

    def environment(self) -> dict[str, str]:
        """The sources as pip and uv read them: an address may hold a password, so never in argv.

        A mirror or a folder replaces uv's own choice of PyTorch's index.
        """
        variables = {}
        if self.cache_dir:
            variables["PIP_CACHE_DIR"] = variables["UV_CACHE_DIR"] = self.cache_dir
        if self.python_mirror:
            variables["UV_PYTHON_INSTALL_MIRROR"] = self.python_mirror
        if self.offline:
            variables["PIP_NO_INDEX"] = "1"
            if not self.python_mirror:
                variables["UV_PYTHON_DOWNLOADS"] = "never"
        if self.find_links:
            variables["PIP_FIND_LINKS"] = " ".join(self.find_links)
            variables["UV_FIND_LINKS"] = ",".join(self.find_links)
        if self.index_url and not self.offline:
            variables["PIP_INDEX_URL"] = variables["UV_DEFAULT_INDEX"] = self.index_url
        if self._chooses_pytorch:
            variables["UV_TORCH_BACKEND"] = self.torch_backend
        return variables

    def environment_of_pip(self) -> dict[str, str]:
        """The same for pip, which knows no index of PyTorch's, and asks all of them for each name.

        What it finds is asked for again, each name at its own index alone: `index_of_pip`.
        """
        beside = list(self.beside_of_pip().values())
        extra = {"PIP_EXTRA_INDEX_URL": " ".join(beside)} if beside else {}
        return {**self.environment(), **extra}

    def beside_of_pip(self) -> dict[str, str]:
        """The indexes beside the package index, with PyTorch's own spelt out."""
        own = f"https://download.pytorch.org/whl/{self.torch_backend}"
        return {**({_PYTORCH: own} if self._chooses_pytorch else {}), **self.beside()}

    def options_of_uv(self) -> list[str]:
        """What uv has no variable for (0.13: UV_NO_INDEX is none)."""
        return ["--no-index"] if self.offline else []

    def beside(self) -> dict[str, str]:
        """The indexes beside the package index, by name."""
        named = {
            _PYTORCH: self.torch_index_url,
            normalised(self.engine_package): self.engine_index_url,
        }
        return {name: url for name, url in named.items() if url and not self.offline}

    def elsewhere(self) -> set[str]:
        """The names that never come from the package index."""
        beside = self.beside()
        return {
            name for name in (*FAMILY, normalised(self.engine_package)) if index_of(name, beside)
        }

    @property
    def _chooses_pytorch(self) -> bool:
        """Whether uv itself asks PyTorch's index for the family, and only that."""
        return bool(self.torch_backend and not self.torch_index_url and not self.find_links)


def write_lines(file: Path, lines: Iterable[str]) -> None:
    write_private(file, "".join(f"{line}\n" for line in lines))


def index_of(name: str, beside: Mapping[str, str]) -> str:
    """Which of the indexes *beside* the package index a package comes from; "" for none."""
    name = normalised(name)
    index = _PYTORCH if name in FAMILY else name
    return index if index in beside else ""


@dataclass(frozen=True)
class Wanted:
    """What the lock is resolved from."""

    requirements: list[str]
    constraints: list[str]
    excluded: list[str]
    python: str
    sources: Sources
    #: Whether the lock pins the hash of each file, too.
    hashes: bool = True
    #: What resolves and installs, uv or pip.
    installer: str = "uv"

    def fingerprint(self) -> str:
        """Changes whenever the lock would have to be resolved again."""
        return sha256(json.dumps(asdict(self), sort_keys=True))


def left_out(wanted: Wanted) -> list[str]:
    """Overrides that take packages out of a resolution: their marker is never true."""
    return [f"{name}; sys_platform == 'never'" for name in wanted.excluded]


class Uv:
    """uv: resolves fast, knows PyTorch's indexes, brings the Python that is asked for."""

    def __init__(self, bootstrap: Path, folder: Path, environment: Path) -> None:
        self._uv = bootstrap / "bin" / "uv"
        self._folder = folder
        self._environment = environment
        self._python = environment / "bin" / "python"

    def make_environment(self, python: str, sources: Sources, managed: bool = False) -> None:
        """Make a fresh environment with an interpreter that suits *python*.

        uv prefers one of the host's; a *managed* one is its own. A failure leaves what was there.
        """
        command = [str(self._uv), "venv", "--quiet", "--clear", "--python", python]
        command += ["--managed-python"] if managed else []
        run(
            [*command, str(self._environment)],
            f"Making an environment with Python {python}",
            "Install such a Python, or let the host reach uv's Python downloads or a mirror of "
            "them (stack_python_mirror).",
            sources.environment(),
        )

    def resolve(self, wanted: Wanted, preferred: Mapping[str, str]) -> dict[str, Pin]:
        """The pins of all that is wanted, in *preferred* versions where nothing speaks against.

        uv asks an index beside for direct requirements alone. So what others need of PyTorch's
        family is looked for, in whatever version, until each such name is a direct requirement.
        """
        direct, sources = list(wanted.requirements), wanted.sources
        resolved = self._folder / "resolved.txt"
        options = ["--output-file", str(resolved)]
        options += ["--generate-hashes"] if wanted.hashes else []
        for name in sources.elsewhere():
            # What is only looked for must not run: reading about a source archive may.
            options += ["--only-binary", name]
        while True:
            sought = sources.elsewhere() - set(map(_name, direct))
            limits = [line for line in wanted.constraints if _name(line) not in sought]
            any_version = sorted(sought - set(map(normalised, wanted.excluded)))
            # Without hashes: uv would take those of this file for the index's own.
            write_lines(resolved, _lines(preferred))
            self._compile(
                direct,
                limits,
                [*left_out(wanted), *any_version],
                options,
                "Resolving the lock",
                sources,
            )
            found = _read(resolved.read_text())
            if not sought & found.keys():
                return found
            direct += sorted(sought & found.keys())

    def install(
        self, pins: Pins, packages: list[str], sources: Sources, reinstall: bool = False
    ) -> None:
        """Install *packages* with what they need, or without any make all as the lock says."""
        chosen = {name: pins[name] for name in self._needed(pins, packages, sources)}
        options = ["--quiet", "--python", str(self._python), *sources.options_of_uv()]
        options += ["--reinstall"] if reinstall else []
        if any(pin.hashes for pin in chosen.values()):
            hashes = self._folder / "hashes.txt"
            write_private(hashes, lock.render(chosen))
            options += ["--require-hashes", "--constraint", str(hashes)]
        project = str(self._project(_lines(lock.versions(chosen)), sources))
        what = ["install", "--no-deps", *options, "--requirement", project]
        run(
            [str(self._uv), "pip", *(what if packages else ["sync", *options, project])],
            f"Installing {', '.join(packages) or 'the locked packages'}",
            _KEPT,
            sources.environment(),
        )

    def _needed(self, pins: Pins, packages: list[str], sources: Sources) -> Iterable[str]:
        """The names of *packages* and of all that they need; without any, of all pins."""
        if not packages:
            return pins
        limits = _lines(lock.versions(pins))
        direct = [*packages, *(name for name in pins if name in sources.elsewhere())]
        overrides = (self._folder / "overrides.in").read_text().splitlines()
        doing = f"Finding what {', '.join(packages)} needs"
        return _read(self._compile(direct, limits, overrides, [], doing, sources))

    def _compile(
        self,
        direct: list[str],
        limits: list[str],
        overrides: list[str],
        options: list[str],
        doing: str,
        sources: Sources,
    ) -> str:
        command = [str(self._uv), "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
        command += ["--python", str(self._python), *sources.options_of_uv(), *options]
        for option, lines in (("--constraint", limits), ("--override", overrides)):
            file = self._folder / f"{option[2:]}s.txt"
            write_lines(file, lines)
            command += [option, str(file)]
        project = str(self._project(direct, sources))
        return run([*command, project], doing, _UNRESOLVED, sources.environment())

    def _project(self, direct: Iterable[str], sources: Sources) -> Path:
        """Write what is asked for as a project: only there uv reads which index a name is from.

        An address may hold a password; the file is private.
        """
        beside = sources.beside()
        lines = ["[project]", 'name = "inferops-stack"', 'version = "0"']
        lines += [f"dependencies = {json.dumps(list(direct))}", "[tool.uv.sources]"]
        for name in sorted({normalised(_name(line)) for line in direct}):
            if index_of(name, beside):
                lines.append(f'{name} = {{ index = "{index_of(name, beside)}" }}')
        for name, url in beside.items():
            lines += ["[[tool.uv.index]]", f'name = "{name}"', f"url = {json.dumps(url)}"]
            lines.append("explicit = true")
        project = self._folder / "pyproject.toml"
        write_private(project, "\n".join(lines) + "\n")
        return project


class Pip:
    """pip: what every host has. It takes the host's own Python, and the lock only as a whole."""

    def __init__(self, bootstrap: Path, folder: Path, environment: Path) -> None:
        self._folder = folder
        self._environment = environment
        self._pip = [str(bootstrap / "bin" / "pip"), "--python", str(environment / "bin/python")]

    def make_environment(self, python: str, _sources: Sources) -> None:
        """Make a fresh environment: *python* where it is a path, else the host's own."""
        interpreter = python if os.path.isfile(python) else host_python()
        run(
            [interpreter, "-m", "venv", "--clear", "--without-pip", str(self._environment)],
            f"Making an environment with {interpreter}",
            "On Debian and Ubuntu: apt-get install python3-venv.",
        )

    def resolve(self, wanted: Wanted, _preferred: Mapping[str, str]) -> dict[str, Pin]:
        """The pins of what pip would install."""
        limits = ["--constraint", str(self._folder / "constraints.in")]
        inputs = ["--requirement", str(self._folder / "requirements.in"), *limits]
        doing = "Resolving the lock with pip"
        found = self._report(inputs, doing, wanted.sources.environment_of_pip())
        left_out = {normalised(name) for name in wanted.excluded}
        pins = {name: pin for name, pin in found.items() if name not in left_out}
        if wanted.sources.beside_of_pip():
            pins = self._each_from_its_index(pins, wanted.sources)
        return pins if wanted.hashes else {name: Pin(pin.version) for name, pin in pins.items()}

    def _each_from_its_index(self, pins: Pins, sources: Sources) -> dict[str, Pin]:
        """The same versions, each with the file that its own index gives.

        pip asks every index for every name and takes the highest version. A version that is only
        at an index which is not that name's is an error: where uv takes another one, pip cannot.
        """
        found = {}
        for chosen, alone in _by_index(pins, sources):
            doing = f"Finding {', '.join(chosen)} at the index that it must come from"
            versions = _lines(lock.versions(chosen))
            found.update(self._report(["--no-deps", *versions], doing, alone))
        return found

    def _report(self, inputs: list[str], doing: str, environment: dict[str, str]) -> dict[str, Pin]:
        command = [*self._pip, "install", "--quiet", "--dry-run", "--ignore-installed"]
        said = run([*command, "--report", "-", *inputs], doing, _UNRESOLVED, environment)
        pins = {}
        for package in json.loads(said)["install"]:
            digest = package["download_info"]["archive_info"]["hashes"]["sha256"]
            pin = Pin(package["metadata"]["version"], frozenset([digest]))
            pins[normalised(package["metadata"]["name"])] = pin
        return pins

    def install(
        self, pins: Pins, packages: list[str], sources: Sources, reinstall: bool = False
    ) -> None:
        """Make all as the lock says, whatever part of it is asked for."""
        listed = self._folder / "hashes.txt"
        options = ["--quiet", "--no-deps", "--requirement", str(listed)]
        options += ["--require-hashes"] if any(pin.hashes for pin in pins.values()) else []
        options += ["--force-reinstall"] if reinstall else []
        for chosen, alone in _by_index(pins, sources):
            write_private(listed, lock.render(chosen))
            run([*self._pip, "install", *options], "Installing the lock", _KEPT, alone)
        there = json.loads(run([*self._pip, "list", "--format=json"], "Listing packages", _KEPT))
        foreign = sorted({normalised(package["name"]) for package in there} - pins.keys())
        if foreign:
            run([*self._pip, "uninstall", "--yes", *foreign], "Removing packages", _KEPT)


def _by_index(pins: Pins, sources: Sources) -> Iterator[tuple[Pins, dict[str, str]]]:
    """The pins of each index, and pip's environment with that index alone."""
    beside = sources.beside_of_pip()
    for index in ("", *beside):
        chosen = {name: pin for name, pin in pins.items() if index_of(name, beside) == index}
        url = beside.get(index, sources.index_url)
        # As both, or those that the host's own settings name would be asked as well.
        alone = {"PIP_INDEX_URL": url, "PIP_EXTRA_INDEX_URL": url} if url else {}
        if chosen:
            yield chosen, {**sources.environment(), **alone}


def run(
    command: list[str],
    doing: str,
    remedy: str,
    environment: dict[str, str] | None = None,
    most_seconds: float = _LONGEST_COMMAND_SECONDS,
    given: str = "",
) -> str:
    """The standard output of *command*; raises StackError with the end of what it said.

    *given* is its input.
    """
    try:
        done = subprocess.run(
            command,
            input=given,
            capture_output=True,
            text=True,
            timeout=most_seconds,
            env={**os.environ, **(environment or {})},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        failure = StackError(f"{doing} was ended after {most_seconds:g} seconds. {remedy}")
        failure.output = _text(error.stdout)
        raise failure from error
    except OSError as error:
        raise StackError(f"{doing} failed: {error}. {remedy}") from error
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        said = "\n".join([line for line in lines if not line.startswith("frame #")][-15:])
        failure = StackError(f"{doing} failed (exit status {done.returncode}): {said}\n{remedy}")
        failure.output = done.stdout
        raise failure
    return done.stdout


def _text(output: bytes | str | None) -> str:
    """What a command had said when its time was up: Python gives bytes where text was asked."""
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""


def host_python() -> str:
    """The interpreter that runs us, outside of any virtual environment."""
    return getattr(sys, "_base_executable", "") or sys.executable


def _read(text: str) -> dict[str, Pin]:
    """The pins that an installer printed."""
    try:
        return lock.read(text)
    except lock.LockError as error:
        raise StackError(f"What was resolved is no lock. {error} {_NO_PIN}") from error


def _lines(versions: Mapping[str, str]) -> list[str]:
    return [f"{name}=={version}" for name, version in versions.items()]


def _name(requirement: str) -> str:
    """The name that a requirement line begins with, normalised."""
    found = _NAME.match(requirement.strip())
    return normalised(found[0]) if found else ""


def name_and_version(metadata_folder: Path) -> tuple[str, str]:
    """What a folder such as ``hf_hub-1.0.dist-info`` stands for; the name is normalised."""
    name, _dash, version = metadata_folder.name[: -len(".dist-info")].rpartition("-")
    return normalised(name), version


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
