# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the lock of a stack by a strict grammar: pins with their hashes, comments, nothing else.

A lock that one host resolved is given to the next, and installers take far more from such a file:
addresses, files, options. So both sides read it here, and installers get only what :func:`render`
writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .plain import plain_line

#: The lock of vLLM has 300 packages, some with 200 files, in less than a MiB.
MOST_LETTERS, MOST_PINS, MOST_HASHES = 4 * 2**20, 3000, 1000
_PIN = re.compile(
    r"([A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?)=="
    r"([A-Za-z0-9][A-Za-z0-9.!_-]{0,80}(?:\+[A-Za-z0-9._-]{1,80})?)"
)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_COMMENT = re.compile(r"(?:^|\s)#")
#: What helps where a lock that was given is refused.
ANEW = (
    "Remove the lock file to resolve it anew, with the plan and for the Python that there are now."
)


class LockError(ValueError):
    """A lock that is not taken; the text says what of it."""


@dataclass(frozen=True)
class Pin:
    """One version of a package, and the files of it that may be installed: any without hashes."""

    version: str
    hashes: frozenset[str] = frozenset()


Pins = Mapping[str, Pin]


def normalised(name: str) -> str:
    """The name of a package as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read(text: str) -> dict[str, Pin]:
    """The pins in *text* by normalised name. Raises LockError for whatever else is in it."""
    if len(text) > MOST_LETTERS:
        raise LockError(f"The lock is longer than {MOST_LETTERS >> 20} MiB.")
    pins: dict[str, Pin] = {}
    hashes: set[str] = set()
    name, goes_on = "", False
    for number, line in enumerate(text.split("\n"), 1):
        comment = _COMMENT.search(line)
        words = (line[: comment.start()] if comment else line).split()
        if words and not goes_on:
            found = _PIN.fullmatch(words[0])
            if not found:
                raise _refused(number, words[0])
            name, hashes = normalised(found[1]), set()
            if name in pins:
                raise LockError(f"Line {number} of the lock pins {name} a second time.")
            pins[name] = Pin(found[2])
            del words[0]
        goes_on = bool(words) and words[-1] == "\\"
        for word in words[:-1] if goes_on else words:
            found = _HASH.fullmatch(word)
            if not found or not name:
                raise _refused(number, word)
            hashes.add(found[1])
            pins[name] = Pin(pins[name].version, frozenset(hashes))
        if len(pins) > MOST_PINS or len(hashes) > MOST_HASHES:
            raise LockError(
                f"The lock pins more than {MOST_PINS} packages, or more than {MOST_HASHES} files "
                f"of {name}."
            )
    return pins


def _refused(number: int, word: str) -> LockError:
    return LockError(
        f"Line {number} of the lock has {plain_line(word, 80)!r}, and a lock holds only lines such "
        "as name==1.0 --hash=sha256:... and comments: no address, no option, no marker."
    )


def render(pins: Pins) -> str:
    """The text of a lock that has these pins, always the same for the same ones."""
    entries = []
    for name, pin in sorted(pins.items()):
        words = [f"{name}=={pin.version}", *(f"--hash=sha256:{one}" for one in sorted(pin.hashes))]
        entries.append(" \\\n    ".join(words) + "\n")
    return "".join(entries)


def versions(pins: Pins) -> dict[str, str]:
    """The versions alone."""
    return {name: pin.version for name, pin in pins.items()}


def unhashed(pins: Pins) -> str:
    """The names of pins without a hash, "" for none."""
    return _listed(name for name, pin in pins.items() if not pin.hashes)


def require_plan(pins: Pins, requirements: Sequence[str], build: str, hashes: bool) -> None:
    """Raise LockError unless the pins hold the versions that a plan names, of its *build*."""
    for requirement in requirements:
        name, equals, asked = requirement.partition("==")
        has = pins.get(normalised(name.partition("[")[0].strip()), Pin("")).version
        version, _plus, its_build = has.partition("+")
        if equals and asked not in (has, version if its_build in ("", build) else has):
            raise LockError(
                f"The plan asks for {requirement} ({build}), and the lock holds {has or 'none'}."
            )
    if hashes and unhashed(pins):
        raise LockError(f"The lock has no hash for {unhashed(pins)}.")


def agreed(given: Pins, own: Pins) -> dict[str, Pin]:
    """A lock that was *given*, as far as a host's *own* sources tell the same of all of it.

    So nothing is installed that they would not give by themselves. Raises LockError where they
    differ: in a name, in a version, or in all files of a version.
    """
    both = given.keys() & own.keys()
    differing = (
        ("has {}, which nothing that is planned for this host needs", given.keys() - both),
        ("lacks {}, which is needed on this host", own.keys() - both),
        (
            "has another version than this host's package sources give of {}",
            {name for name in both if given[name].version != own[name].version},
        ),
    )
    for told, names in differing:
        if names:
            raise LockError(f"The lock {told.format(_listed(names))}.")
    pins = {}
    for name, pin in given.items():
        common = pin.hashes & own[name].hashes
        if pin.hashes and own[name].hashes and not common:
            raise LockError(
                f"The hashes that the lock has for {name} {pin.version} are not those of this "
                "host's package sources: one of both has other files than it should have."
            )
        pins[name] = Pin(pin.version, common)
    return pins


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - 10} more" if len(ordered) > 10 else ""
    return ", ".join(ordered[:10]) + more
