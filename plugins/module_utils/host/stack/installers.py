# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What resolves a lock and installs from it: uv, and pip for hosts that cannot have uv.

Both work on the same files in one folder: the inputs, the lock, and the environment in ``venv``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ...common.private_files import write_private

_LONGEST_COMMAND_SECONDS = 3600
LOCK_LINE = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)")
_KEPT = "Check disk space and the package sources, then run again: what is there is kept."
_NO_INDEX = (
    "Check the host's way to the package index, give a mirror as inferops_index_url, or put its "
    "wheel into a folder named by inferops_find_links."
)
_UNRESOLVED = (
    "Ask for another vLLM version, check the package sources, put the missing wheel into a "
    "folder named by inferops_find_links, or rent with the plan's container image."
)


class StackError(Exception):
    """A step failed; the text says which, why and what to change. `output` is what it had said."""

    output = ""


@dataclass(frozen=True)
class Sources:
    """Where packages come from. Empty values leave the choice to uv and its environment."""

    torch_backend: str = ""
    torch_index_url: str = ""
    index_url: str = ""
    extra_index_urls: list[str] = field(default_factory=list)
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
        beside = self._beside()
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
        if beside:
            # Versions asked for end with their build (+cu129): the best match is the right one.
            variables["UV_INDEX"] = " ".join(beside)
            variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
        if self.torch_backend and not self.torch_index_url and not self.find_links:
            variables["UV_TORCH_BACKEND"] = self.torch_backend
        return variables

    def environment_of_pip(self) -> dict[str, str]:
        """The same for pip where it does uv's work: it does not know PyTorch's indexes."""
        beside = self._beside()
        if self.torch_backend and not self.torch_index_url and not self.find_links:
            beside.insert(0, f"https://download.pytorch.org/whl/{self.torch_backend}")
        extra = {"PIP_EXTRA_INDEX_URL": " ".join(beside)} if beside else {}
        return {**self.environment(), **extra}

    def options_of_uv(self) -> list[str]:
        """What uv has no variable for (0.13: UV_NO_INDEX is none)."""
        return ["--no-index"] if self.offline else []

    def _beside(self) -> list[str]:
        urls = (self.torch_index_url, *self.extra_index_urls)
        return [url for url in urls if url and not self.offline]


@dataclass(frozen=True)
class Wanted:
    """What the lock is resolved from."""

    requirements: list[str]
    constraints: list[str]
    excluded: list[str]
    python: str
    sources: Sources
    #: Whether the lock pins the hash of each file, too.
    hashes: bool = False
    #: What resolves and installs, uv or pip.
    installer: str = "uv"

    def fingerprint(self) -> str:
        """Changes whenever the lock would have to be resolved again."""
        return sha256(json.dumps(asdict(self), sort_keys=True))


class Uv:
    """uv: resolves fast, knows PyTorch's indexes, brings the Python that is asked for."""

    def __init__(self, bootstrap: Path, folder: Path) -> None:
        self._uv = bootstrap / "bin" / "uv"
        self._folder = folder
        self._python = folder / "venv" / "bin" / "python"
        self._lock_file = folder / "lock.txt"

    def make_environment(self, python: str, sources: Sources, managed: bool = False) -> None:
        """Make a fresh environment with an interpreter that suits *python*.

        uv prefers one of the host's; a *managed* one is its own. A failure leaves what was there.
        """
        command = [str(self._uv), "venv", "--quiet", "--clear", "--python", python]
        command += ["--managed-python"] if managed else []
        run(
            [*command, str(self._folder / "venv")],
            f"Making an environment with Python {python}",
            "Install such a Python, or let the host reach uv's Python downloads or a mirror of "
            "them (stack_python_mirror).",
            sources.environment(),
        )

    def resolve(self, wanted: Wanted) -> None:
        """Write the lock."""
        hashed = ["--generate-hashes"] if wanted.hashes else []
        self._compile(
            "requirements.in",
            [*hashed, "--quiet", *self._limits("constraints.in")],
            ["--output-file", str(self._lock_file)],
            "Resolving the lock",
            wanted.sources,
        )

    def install(self, packages: list[str], sources: Sources, reinstall: bool = False) -> None:
        """Install *packages* with what they need, or without any make all as the lock says."""
        common = ["--quiet", "--python", str(self._python), *sources.options_of_uv()]
        common += ["--reinstall"] if reinstall else []
        hashed = ["--require-hashes"] if "--hash=" in self._lock_file.read_text() else []
        if packages and hashed:
            part = self._write_part(packages, sources)
            command = ["install", *common, *hashed, "--no-deps", "--requirement", str(part)]
        elif packages:
            command = ["install", *common, *self._limits("lock.txt"), *packages]
        else:
            command = ["sync", *common, *hashed, str(self._lock_file)]
        doing = f"Installing {', '.join(packages) or 'the locked packages'}"
        run([str(self._uv), "pip", *command], doing, _KEPT, sources.environment())

    def _limits(self, constraints: str) -> list[str]:
        files = (self._folder / constraints, self._folder / "overrides.in")
        return ["--constraint", str(files[0]), "--override", str(files[1])]

    def _compile(
        self, inputs: str, limits: list[str], output: list[str], doing: str, sources: Sources
    ) -> str:
        command = [str(self._uv), "pip", "compile", "--no-header", "--no-annotate"]
        command += ["--python", str(self._python), *sources.options_of_uv()]
        command += [*limits, *output, str(self._folder / inputs)]
        return run(command, doing, _UNRESOLVED, sources.environment())

    def _write_part(self, packages: list[str], sources: Sources) -> Path:
        """Write the lock's own entries, hashes included, of *packages* and all that they need."""
        write_private(self._folder / "part.in", "".join(f"{name}\n" for name in packages))
        doing = f"Finding what {', '.join(packages)} needs"
        listed = self._compile("part.in", self._limits("lock.txt"), [], doing, sources)
        needed = pinned(listed).keys()
        entries = re.split(r"\n(?=\S)", self._lock_file.read_text())
        part = self._folder / "part.txt"
        chosen = [entry for entry in entries if pinned(entry).keys() & needed]
        write_private(part, "\n".join(chosen) + "\n")
        return part


class Pip:
    """pip: what every host has. It takes the host's own Python, and the lock only as a whole."""

    def __init__(self, bootstrap: Path, folder: Path) -> None:
        self._folder = folder
        python = str(folder / "venv" / "bin" / "python")
        self._pip = [str(bootstrap / "bin" / "pip"), "--python", python]
        self._lock_file = folder / "lock.txt"

    def make_environment(self, python: str, _sources: Sources) -> None:
        """Make a fresh environment: *python* where it is a path, else the host's own."""
        interpreter = python if os.path.isfile(python) else host_python()
        run(
            [interpreter, "-m", "venv", "--clear", "--without-pip", str(self._folder / "venv")],
            f"Making an environment with {interpreter}",
            "On Debian and Ubuntu: apt-get install python3-venv.",
        )

    def resolve(self, wanted: Wanted) -> None:
        """Write the lock, from what pip would install."""
        inputs = ["--requirement", str(self._folder / "requirements.in")]
        limits = ["--constraint", str(self._folder / "constraints.in")]
        command = [*self._pip, "install", "--quiet", "--dry-run", "--ignore-installed"]
        said = run(
            [*command, "--report", "-", *inputs, *limits],
            "Resolving the lock with pip",
            _UNRESOLVED,
            wanted.sources.environment_of_pip(),
        )
        left_out = {normalised(name) for name in wanted.excluded}
        entries = []
        for package in json.loads(said)["install"]:
            name, version = package["metadata"]["name"], package["metadata"]["version"]
            if normalised(name) not in left_out:
                digest = package["download_info"]["archive_info"]["hashes"]["sha256"]
                pin = f"{normalised(name)}=={version}"
                entries.append(f"{pin} --hash=sha256:{digest}" if wanted.hashes else pin)
        write_private(self._lock_file, "".join(f"{entry}\n" for entry in sorted(entries)))

    def install(self, packages: list[str], sources: Sources, reinstall: bool = False) -> None:
        """Make all as the lock says, whatever part of it is asked for."""
        quietly = ["--quiet", "--no-deps", "--requirement", str(self._lock_file)]
        hashed = ["--require-hashes"] if "--hash=" in self._lock_file.read_text() else []
        anew = ["--force-reinstall"] if reinstall else []
        install = [*self._pip, "install", *quietly, *hashed, *anew]
        run(install, "Installing the lock", _KEPT, sources.environment_of_pip())
        listed = run([*self._pip, "list", "--format=json"], "Listing packages", _KEPT)
        there = {normalised(package["name"]) for package in json.loads(listed)}
        foreign = sorted(there - pinned(self._lock_file.read_text()).keys())
        if foreign:
            run([*self._pip, "uninstall", "--yes", *foreign], "Removing packages", _KEPT)


def has_tool(folder: Path, requirement: str) -> bool:
    """Whether the environment *folder* holds this tool, given as name==version."""
    name, _equals, version = requirement.partition("==")
    installed = folder.glob("lib/python*/site-packages/*.dist-info")
    return (normalised(name), version) in map(name_and_version, installed)


def install_tool(folder: Path, requirement: str, sources: Sources, uv: Path | None = None) -> None:
    """Install a tool into the environment *folder*, which is made when missing.

    It takes no more than the host's own Python with venv: uv itself comes this way. *uv* does the
    same in a tenth of the time, where it finds the tool: pip may know an index that it does not.
    """
    sources.require()
    if uv is not None and uv.exists():
        with suppress(StackError):
            _install_tool_by_uv(folder, requirement, sources, uv)
            return
    if not (folder / "bin" / "pip").exists():
        run(
            [host_python(), "-m", "venv", "--clear", str(folder)],
            f"Making an environment for {requirement}",
            "On Debian and Ubuntu: apt-get install python3-venv.",
        )
    run(
        [str(folder / "bin" / "pip"), "install", "--quiet", requirement],
        f"Installing {requirement}",
        _NO_INDEX,
        sources.environment(),
    )


def _install_tool_by_uv(folder: Path, requirement: str, sources: Sources, uv: Path) -> None:
    environment = sources.environment()
    if not (folder / "bin" / "python").exists():
        make = [str(uv), "venv", "--quiet", "--clear", "--python", host_python(), str(folder)]
        run(make, f"Making an environment for {requirement}", _KEPT, environment)
    install = [str(uv), "pip", "install", "--quiet", "--python", str(folder / "bin" / "python")]
    run(
        [*install, *sources.options_of_uv(), requirement],
        f"Installing {requirement}",
        _NO_INDEX,
        environment,
    )


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


def pinned(lock: str) -> dict[str, str]:
    """Versions in the text of a lock by normalised name."""
    matches = (LOCK_LINE.match(line) for line in lock.splitlines())
    return {normalised(found[1]): found[2] for found in matches if found}


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def name_and_version(metadata_folder: Path) -> tuple[str, str]:
    """What a folder such as ``hf_hub-1.0.dist-info`` stands for; the name is normalised."""
    name, _dash, version = metadata_folder.name[: -len(".dist-info")].rpartition("-")
    return normalised(name), version


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
