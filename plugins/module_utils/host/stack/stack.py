# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Python stack on the host: uv, one lock, its environment, receipts of what was proven.

Everything lies below ``<home>/stack``. The lock is resolved once; parts are installed from it
and proven by running them. A receipt stands while lock, proof, driver and boot are the same.

Each lock has an environment of its own below ``venvs``, and ``venv`` links to the one in use. So a
server that runs from an earlier one keeps all its files, whatever becomes of the next.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ...common import lock
from ...common.lock import LockError, Pin, normalised
from ...common.private_files import write_private
from ..machine.files import read_json, write_json
from ..machine.processes import boot_id, snapshot
from .installers import (
    Pip,
    Sources,
    StackError,
    Uv,
    Wanted,
    left_out,
    name_and_version,
    run,
    sha256,
    write_lines,
)
from .toolchain import has_headers
from .tools import has_tool, install_tool

_REQUIREMENT = re.compile(r"^Requires-Dist: ([A-Za-z0-9._-]+)[^;=]*\(?==\s*([^\s;,)+]+)")
#: An import of vLLM takes seconds, on a slow disk a minute; a GPU that hangs never answers.
MOST_PROOF_SECONDS = 600.0
#: The first with --python and --report alike (pip's changelog).
_LEAST_PIP = (23, 1)
#: The last that runs on Python 3.9.
_PIP = "pip==25.3"
_NO_HASHES = (
    "Take an index that tells the sha256 of its files, or set stack_hashes to false: then any file "
    "of these versions is installed, whatever is in it."
)
_DRIVER_VERSION_FILE = Path("/sys/module/nvidia/version")


_MARK = "inferops-part: "
#: Runs proofs one after the other, as if each were the program. What it was given says which.
_RUNNER = """
import json, os, sys
for part in json.load(sys.stdin):
    print("\\nMARK" + part["name"], flush=True)
    os.environ.update(part["environment"])
    exec(compile(part["script"], part["name"] + " proof", "exec"), {"__name__": "__main__"})
    sys.stdout.flush()
""".replace("MARK", _MARK)


@dataclass(frozen=True)
class Part:
    """A part of the stack, with the script that proves it."""

    name: str
    script: str
    environment: dict[str, str]

    @property
    def sha256(self) -> str:
        """Of the proof: another script, or another environment, is another proof."""
        return sha256(self.script + json.dumps(self.environment, sort_keys=True))


@dataclass(frozen=True)
class Installer:
    """What resolves and installs."""

    #: uv or pip.
    name: str
    #: Whether it had to be installed itself.
    is_new: bool
    #: Why it is not the one that is better.
    warning: str = ""


class Stack:
    """The stack below one home directory."""

    def __init__(self, home: str) -> None:
        root = Path(home).expanduser()
        self._bootstrap = root / "bootstrap"
        self._folder = root / "stack"
        self.uv = self._bootstrap / "bin" / "uv"
        self._link = self._folder / "venv"
        self._environments = self._folder / "venvs"
        self.lock_file = self._folder / "lock.txt"
        self._input_file = self._folder / "lock-input.json"
        # Beside the stack: work that is refused leaves none.
        self.jobs = self._folder.parent / "jobs"

    @property
    def python(self) -> Path:
        """Interpreter of the environment: ours, or the one that was there and was adopted."""
        adopted = (read_json(self._input_file) or {}).get("adopted")
        return Path(adopted) if adopted else self._environment / "bin" / "python"

    @property
    def _environment(self) -> Path:
        """Our environment in use, by its own path: the link leads elsewhere some day."""
        return Path(os.path.realpath(self._link))

    @property
    def is_ours(self) -> bool:
        """Whether there is a lock that was resolved here, for an environment of ours."""
        return self.lock_file.exists() and "adopted" not in (read_json(self._input_file) or {})

    def packages_of(self, python: Path) -> dict[str, str]:
        """Versions of what an environment holds that is not ours, by normalised name."""
        return _versions(_metadata_folders(_search_path(python)))

    def adopt(self, python: Path, packages: dict[str, str]) -> None:
        """Take an environment that is there already: these packages of it become the lock."""
        pins = {name: Pin(version) for name, version in packages.items()}
        write_private(self.lock_file, lock.render(pins))
        write_json(self._input_file, {"adopted": str(python)})

    def provide_installer(
        self, wish: str, uv_version: str, sources: Sources, dry_run: bool
    ) -> Installer:
        """Provide uv of this version, or pip; *wish* is uv, pip or auto for what can be had."""
        if wish == "auto" and self.installer() == "pip":
            wish = "pip"
        warning = ""
        if wish != "pip":
            missing = not has_tool(self._bootstrap, f"uv=={uv_version}")
            try:
                if missing and not dry_run:
                    install_tool(self._bootstrap, f"uv=={uv_version}", sources)
                return Installer("uv", missing)
            except StackError as error:
                if wish == "uv":
                    raise
                warning = (
                    f"pip does the work of uv here, slower and with the host's Python. {error}"
                )
        missing = not self._pip_is_ready()
        if missing and not dry_run:
            self._install_pip(sources)
        return Installer("pip", missing, warning)

    def _install_pip(self, sources: Sources) -> None:
        """Install the pip whose files are known, or one that the user has put into a folder."""
        try:
            install_tool(self._bootstrap, _PIP, sources)
        except StackError:
            if not sources.find_links:
                raise
            least = f"pip>={'.'.join(map(str, _LEAST_PIP))}"
            install_tool(self._bootstrap, least, replace(sources, offline=True))

    def installer(self) -> str | None:
        """What the lock was resolved with, uv or pip; None before the first one."""
        recorded = read_json(self._input_file) or {}
        return str(recorded["installer"]) if "installer" in recorded else None

    def _pip_is_ready(self) -> bool:
        """Whether the bootstrap's pip can work on another environment, which 23.1 is sure to."""
        folders = self._bootstrap.glob("lib/python*/site-packages/pip-*.dist-info")
        versions = [folder.name[len("pip-") : -len(".dist-info")] for folder in folders]
        return any(_numbers(version) >= _LEAST_PIP for version in versions)

    def is_locked(self, wanted: Wanted, given: str = "") -> bool:
        """Whether the lock was resolved from exactly this, and is or was made of the given one."""
        recorded = read_json(self._input_file) or {}
        if given and sha256(given) not in (recorded.get("given_sha256"), self.lock_sha256()):
            return False
        return (
            recorded.get("fingerprint") == wanted.fingerprint()
            and recorded.get("lock_sha256") == self.lock_sha256()
            and self.python.exists()
        )

    def resolve(self, wanted: Wanted, given: str = "", compiles: bool = False) -> None:
        """Resolve the lock, or check the *given* one, and make its environment. Installs nothing.

        All that can fail is done beside what is there, which stands until then. Where a server
        *compiles*, a Python that has no headers is left for one of uv's own.
        """
        wanted.sources.require()
        draft = self._folder / "draft"
        shutil.rmtree(draft, ignore_errors=True)
        try:
            pins = self._resolve_in(draft, wanted, given, compiles)
            self._take(draft, lock.render(pins))
        except LockError as error:
            raise StackError(f"{error} {lock.ANEW}") from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        write_json(
            self._input_file,
            {
                "fingerprint": wanted.fingerprint(),
                "given_sha256": sha256(given),
                "lock_sha256": self.lock_sha256(),
                "sources": asdict(wanted.sources),
                "installer": wanted.installer,
            },
        )

    def _resolve_in(
        self, draft: Path, wanted: Wanted, given: str, compiles: bool
    ) -> dict[str, Pin]:
        """The pins of the lock, found with the inputs and an empty environment in *draft*."""
        held = lock.read(given)
        if given:
            backend = wanted.sources.torch_backend
            lock.require_plan(held, wanted.requirements, backend, wanted.hashes)
        # A lock that was given is a wish for versions. What is in their files, this host asks its
        # own sources, so neither the file nor the host that wrote it brings anything else.
        limits = [f"{name}=={pin.version}" for name, pin in held.items()]
        wanted = replace(wanted, constraints=[*wanted.constraints, *limits])
        self._write_inputs(draft, wanted)
        installer = self._installer(wanted.installer, draft, draft / "venv")
        installer.make_environment(wanted.python, wanted.sources)
        if compiles and isinstance(installer, Uv) and not os.path.isabs(wanted.python):
            _complete(installer, draft / "venv" / "bin" / "python", wanted)
        pins = installer.resolve(wanted, self.locked())
        if wanted.hashes and lock.unhashed(pins):
            raise StackError(
                f"The package sources tell no hash of {lock.unhashed(pins)}. {_NO_HASHES}"
            )
        return lock.agreed(held, pins) if given else pins

    def _take(self, draft: Path, text: str) -> None:
        """Make this lock the one in use, with the inputs and the environment of *draft*."""
        drafted = draft / "venv"
        name = sha256(text + (drafted / "pyvenv.cfg").read_text())[:12]
        environment, before = self._environments / name, self._environment
        if not (environment / "bin" / "python").exists():
            self._environments.mkdir(mode=0o700, exist_ok=True)
            shutil.rmtree(environment, ignore_errors=True)
            # The scripts for shells are all that knows its own place in an empty environment.
            for script in drafted.glob("bin/activate*"):
                script.write_text(script.read_text().replace(str(drafted), str(environment)))
            drafted.rename(environment)
        for inputs in draft.glob("*.in"):
            write_private(self._folder / inputs.name, inputs.read_text())
        write_private(self.lock_file, text)
        link = draft / "link"
        link.symlink_to(environment)
        if self._link.is_dir() and not self._link.is_symlink():
            before = self._link.rename(self._environments / "before")
        link.replace(self._link)
        self._remove_unused({environment.name, before.name})

    def _remove_unused(self, kept: set[str]) -> None:
        """Remove the environments of earlier locks that nothing runs from, nor will."""
        for environment in self._environments.iterdir():
            if environment.name not in kept and not self._is_used(environment):
                shutil.rmtree(environment, ignore_errors=True)

    def _is_used(self, environment: Path) -> bool:
        """Whether a process has files of it open as code, or a service would be started from it."""
        place = f"{os.path.realpath(environment)}/"
        told = [Path("/proc") / str(pid) / "maps" for pid in snapshot()]
        told += self._folder.parent.glob("*/*/spec.json")
        for file in told:
            with suppress(OSError):
                if place in file.read_text(errors="replace"):
                    return True
        return False

    def _write_inputs(self, folder: Path, wanted: Wanted) -> None:
        write_lines(folder / "requirements.in", wanted.requirements)
        write_lines(folder / "constraints.in", wanted.constraints)
        write_lines(folder / "overrides.in", left_out(wanted))

    def lock_sha256(self) -> str | None:
        """The lock's hash, or None when there is no lock."""
        return sha256(self.lock_file.read_text()) if self.lock_file.exists() else None

    def locked(self) -> dict[str, str]:
        """Versions in the lock by normalised name."""
        return lock.versions(self._pins())

    def _pins(self) -> dict[str, Pin]:
        """The lock; one that was damaged holds nothing, and is resolved anew."""
        try:
            return lock.read(self.lock_file.read_text())
        except (OSError, LockError):
            return {}

    def installed(self) -> dict[str, str]:
        """Versions in the environment by normalised name, read off its metadata folders."""
        return _versions(self._metadata_folders())

    def differences(self, packages: list[str]) -> dict[str, dict[str, str | None]]:
        """What *packages*, or without any the whole environment, have to become.

        Each name maps to ``before`` and ``after``, None for not installed.
        """
        locked, installed = self.locked(), self.installed()
        names = {normalised(name) for name in packages} or set(locked) | set(installed)
        unknown = sorted(name for name in names if packages and name not in locked)
        if unknown:
            raise StackError(
                f"Not in the lock: {', '.join(unknown)}. Add it to the stack's requirements."
            )
        return {
            name: {"before": installed.get(name), "after": locked.get(name)}
            for name in sorted(names)
            if installed.get(name) != locked.get(name)
        }

    def replaced(self) -> list[str]:
        """What is installed in another version than the lock's, and which package brought it."""
        locked = self.locked()
        return [
            f"{name} {locked[name]} was replaced by {version} while installing "
            f"{' and '.join(self._asking_for(name, version)) or 'something beside the lock'}"
            for name, version in sorted(self.installed().items())
            if name in locked and version != locked[name]
        ]

    def _asking_for(self, name: str, version: str) -> list[str]:
        return [
            f"{folder.name[: -len('.dist-info')].replace('-', ' ')}, which asks for it"
            for folder in self._metadata_folders()
            if _asks_for(folder, name, version)
        ]

    def _metadata_folders(self) -> list[Path]:
        if "adopted" in (read_json(self._input_file) or {}):
            return _metadata_folders(_search_path(self.python))
        return _metadata_folders(self.python.parent.parent.glob("lib/python*/site-packages"))

    def install(self, packages: list[str], reinstall: bool = False) -> None:
        """Install *packages* with what they need, or without any make all as the lock says.

        With *reinstall* also what has the right version already.
        """
        recorded = read_json(self._input_file) or {}
        if "adopted" in recorded:
            raise StackError(
                f"Nothing is installed into {self.python}, which is not ours. Run role stack again "
                "to take it as it is now, or leave inferops_image_python empty."
            )
        pins = self._pins()
        if not pins:
            raise StackError(
                "There is no lock that can be read. Run role stack, which resolves it."
            )
        # What was proven with packages that are replaced or removed is proven no more. What joins
        # them changes nothing: the lock limits it to the versions that are there.
        if reinstall or any(change["before"] for change in self.differences([]).values()):
            shutil.rmtree(self._folder / "receipts", ignore_errors=True)
        installer = self._installer(
            recorded.get("installer", "uv"), self._folder, self._environment
        )
        sources = Sources(**recorded.get("sources", {}))
        installer.install(pins, packages, sources, reinstall)

    def _installer(self, name: str, folder: Path, environment: Path) -> Uv | Pip:
        return (Pip if name == "pip" else Uv)(self._bootstrap, folder, environment)

    def prove(
        self, name: str, script: str, environment: dict[str, str]
    ) -> tuple[dict[str, Any], bool]:
        """Run *script* in the environment; returns its JSON result and whether it had to run."""
        return self.prove_all([Part(name, script, environment)])[name]

    def prove_all(self, parts: Sequence[Part]) -> dict[str, tuple[dict[str, Any], bool]]:
        """Run the scripts of these parts that have no receipt, one after the other in one process.

        So what they all import is imported once. Each script prints one JSON object as its last
        line, or ends the process with the reason. Returns result and whether it ran, by name.
        """
        outcomes, pending = {}, []
        for part in parts:
            receipt = self._receipt(part.name)
            is_same = receipt.get("stands_while") == self._stands_while(part.sha256)
            if is_same and "result" in receipt:
                outcomes[part.name] = receipt["result"], False
            else:
                pending.append(part)
        for part, result in self._proven(pending):
            stands = self._stands_while(part.sha256)
            write_json(self._receipt_file(part.name), {"stands_while": stands, "result": result})
            outcomes[part.name] = result, True
        return outcomes

    def _proven(self, parts: Sequence[Part]) -> Iterator[tuple[Part, dict[str, Any]]]:
        """Each part with what its script printed. Raises StackError at the first that fails."""
        if not parts:
            return
        doing = f"Proving {' and '.join(part.name for part in parts)}"
        told, failure = "", None
        try:
            told = run(
                [str(self.python), "-c", _RUNNER],
                doing,
                "The installation does not work on this host: see the message above.",
                {key: value for part in parts for key, value in part.environment.items()},
                MOST_PROOF_SECONDS,
                given=json.dumps([asdict(part) for part in parts]),
            )
        except StackError as error:
            told, failure = error.output, error
        # What was proven before one failed is proven, and only that one is to blame.
        said = told.split(_MARK)[1:]
        for number, (part, output) in enumerate(zip(parts, said)):
            if failure and number == len(said) - 1:
                raise StackError(str(failure).replace(doing, f"Proving {part.name}", 1))
            try:
                result = json.loads(output.strip().splitlines()[-1])
            except (ValueError, IndexError) as error:
                raise StackError(
                    f"Proving {part.name}: no JSON in the last line of: {output}"
                ) from error
            yield part, result
        if failure or len(said) < len(parts):
            raise failure or StackError(f"{doing} ended early: {told}")

    def unproven(self, parts: Iterable[str]) -> list[str]:
        """Which of these parts have no receipt that stands now, and what is not as the lock says.

        Whether a receipt is of the proof that is wanted, only who has that proof can tell.
        """
        told = []
        for name in parts:
            receipt = self._receipt(name)
            before = receipt.get("stands_while") or {}
            if "result" not in receipt or before != self._stands_while(before.get("proof_sha256")):
                told.append(f"{name} is not proven for this lock, driver and boot")
        if not told and self.differences([]):
            told.append(f"{' and '.join(self.differences([]))} are not what the lock says")
        return told

    def was_proven(self, name: str) -> bool:
        """Whether there is a receipt, whatever it is worth now."""
        return self._receipt_file(name).exists()

    def _receipt_file(self, name: str) -> Path:
        return self._folder / "receipts" / f"{name}.json"

    def _receipt(self, name: str) -> dict[str, Any]:
        return read_json(self._receipt_file(name)) or {}

    def _stands_while(self, proof_sha256: str | None) -> dict[str, str | None]:
        """What a receipt names, and has to be the same for it to stand."""
        return {
            "lock_sha256": self.lock_sha256(),
            "python": str(self.python),
            "proof_sha256": proof_sha256,
            "driver_version": _driver_version(),
            "boot_id": boot_id(),
        }


def _complete(uv: Uv, python: Path, wanted: Wanted) -> None:
    """Take a Python of uv's own where the host's has no headers, and one can be had."""
    if not has_headers(python):
        # Without one the host's serves, with the warning that the caller gives.
        with suppress(StackError):
            uv.make_environment(wanted.python, wanted.sources, managed=True)


def _driver_version() -> str | None:
    try:
        return _DRIVER_VERSION_FILE.read_text().strip()
    except OSError:
        return None


def _search_path(python: Path) -> list[Path]:
    """Where an interpreter looks for packages, in its order."""
    said = run(
        [str(python), "-c", "import json, sys; print(json.dumps(sys.path[1:]))"],
        f"Asking {python} where its packages are",
        "Name the interpreter that has the engine by inferops_image_python.",
    )
    return [Path(folder) for folder in json.loads(said)]


def _metadata_folders(places: Iterable[Path]) -> list[Path]:
    """What says which packages are there: the first of each name counts, as for an import."""
    found: dict[str, Path] = {}
    for place in places:
        for folder in sorted(place.glob("*.dist-info")):
            found.setdefault(name_and_version(folder)[0], folder)
    return sorted(found.values(), key=lambda folder: folder.name)


def _versions(folders: Iterable[Path]) -> dict[str, str]:
    return dict(name_and_version(folder) for folder in folders)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def _asks_for(metadata_folder: Path, name: str, version: str) -> bool:
    """Whether an installed package requires exactly this version of *name*."""
    try:
        lines = (metadata_folder / "METADATA").read_text(errors="replace").splitlines()
    except OSError:
        return False
    for line in lines:
        found = _REQUIREMENT.match(line)
        if found and normalised(found[1]) == name and found[2] == version.partition("+")[0]:
            return True
    return False
