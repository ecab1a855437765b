# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a deploy needs of the controller, and of what the controller can ask. Changes nothing.

Each check yields what it finds and raises nothing.
"""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible.release import __version__ as ansible_version

from ansible_collections.inferops.gpu.plugins.module_utils.common.checks import (
    FAILED,
    NOTE,
    OK,
    UNKNOWN,
    Check,
    Problem,
    judged,
)
from ansible_collections.inferops.gpu.plugins.module_utils.common.private_files import (
    NotOurs,
    place_of,
    require_ours,
)
from ansible_collections.inferops.gpu.plugins.module_utils.hub.asking import model_info
from ansible_collections.inferops.gpu.plugins.plugin_utils import controller
from ansible_collections.inferops.gpu.plugins.plugin_utils.guarded_action import injected_facts
from ansible_collections.inferops.gpu.plugins.plugin_utils.key_pair import (
    not_makeable,
    usable_half,
)

#: What the collection is tried with.
LEAST_ANSIBLE, NEWEST_ANSIBLE, LEAST_PYTHON = (2, 19), (2, 21), (3, 11)
#: The first that has StrictHostKeyChecking=accept-new, by which a first contact is made.
LEAST_OPENSSH = (7, 6)
_OPENSSH = re.compile(r"OpenSSH_(\d+)\.(\d+)")
_SECONDS = 20
#: Prints which of its arguments are libraries that the interpreter does not have.
_LOOK = (
    "import importlib.util, sys; "
    "print(*[name for name in sys.argv[1:] if importlib.util.find_spec(name) is None])"
)
CONTROLLER_DIR = "inferops_controller_dir"


def ansible_checks() -> Iterator[Check]:
    """Ansible's version, and the settings of it with which the collection does nothing."""
    version = _numbers(ansible_version)
    told = f"ansible-core {ansible_version} on Python {sys.version.split()[0]}."
    if version < LEAST_ANSIBLE or sys.version_info < LEAST_PYTHON:
        remedy = "Install ansible-core {}.{} or newer".format(*LEAST_ANSIBLE)
        remedy += " for Python {}.{} or newer.".format(*LEAST_PYTHON)
        yield Check("ansible", FAILED, told, remedy)
    elif version > NEWEST_ANSIBLE:
        newest = ".".join(map(str, NEWEST_ANSIBLE))
        yield Check("ansible", NOTE, f"{told} The collection is tried with {newest} at most.")
    else:
        yield Check("ansible", OK, told)
    yield from judged("settings", filter(None, [injected_facts()]), "Hosts set no variables.")


def library_checks(values: Mapping[str, Any], interpreter: str | None) -> Iterator[Check]:
    """What Python lacks that runs Ansible, and the one of *interpreter* that its modules run with.

    None where Ansible itself will look for one.
    """
    names = controller.libraries(values)
    problems = list(controller.missing(*names))
    if interpreter is None:
        yield Check(
            "libraries",
            NOTE,
            "localhost is in the inventory without ansible_python_interpreter, so that modules may "
            "run with another Python than Ansible does.",
            "Set ansible_python_interpreter of localhost to '{{ ansible_playbook_python }}'.",
        )
    elif Path(interpreter) != Path(sys.executable):
        problems += _missing_for(interpreter, names)
    yield from judged("libraries", problems, f"{', '.join(names)} are there.")


def _missing_for(interpreter: str, names: Iterable[str]) -> Iterator[Problem]:
    named = f"{interpreter}, which modules on localhost run with (ansible_python_interpreter)"
    try:
        lacking = _said(interpreter, "-c", _LOOK, *names)
    except (OSError, subprocess.SubprocessError) as error:
        yield Problem(f"{named}, cannot be run: {error}.", "Name a Python that is there.")
        return
    for library in lacking.split():
        yield Problem(
            f"The Python library {library} is missing for {named}.",
            f"Install it: {interpreter} -m pip install {library}.",
        )


def ssh_checks() -> Iterator[Check]:
    """Whether OpenSSH's client is there, and new enough."""
    problems = list(controller.absent(*controller.PROGRAMS))
    if problems:
        yield from judged("ssh client", problems, "")
        return
    try:
        told = _said("ssh", "-V").strip()
    except (OSError, subprocess.SubprocessError) as error:
        told = str(error)
    found = _OPENSSH.search(told)
    if not found:
        yield Check("ssh client", UNKNOWN, f"Nobody knows which version it is: {told[:200]}")
    elif (int(found[1]), int(found[2])) < LEAST_OPENSSH:
        least = ".".join(map(str, LEAST_OPENSSH))
        yield Check("ssh client", FAILED, f"{told} is too old.", f"Install OpenSSH {least}.")
    else:
        yield Check("ssh client", OK, f"{told}.")


def place_checks(values: Mapping[str, Any]) -> Iterator[Check]:
    """Whether there is room for what a deploy writes, and what it reads can be read."""
    for name in controller.PLACES:
        value = values.get(name)
        if not value:
            continue
        problems = list(controller.place(name, value))
        if name == CONTROLLER_DIR and not problems:
            problems += _open_to_others(controller.here(str(value)))
        shown = value if isinstance(value, str) and "{" not in value else "What it holds"
        told = f"{shown} can be used."
        if name == controller.STORE and ":" in str(value):
            told = f"What it takes to reach {shown} is there. Whether it lets you in nobody asked."
        yield from judged(name, problems, told)


def _open_to_others(folder: Path) -> Iterator[Problem]:
    """Why what lies in the controller's folder is not its owner's alone."""
    try:
        there = place_of(folder)
        if not there.exists():
            return  # it will be made private
        require_ours(folder)
        mode = there.stat().st_mode
    except NotOurs as error:
        yield Problem(str(error), f"Or name another folder ({CONTROLLER_DIR}).")
        return
    except OSError as error:
        yield Problem(f"{folder} cannot be looked at: {error}.", "Name another folder.")
        return
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield Problem(
            f"{there} is open to others, who could change the host keys in it.",
            f"Close it with chmod 700 {there}, or name another folder ({CONTROLLER_DIR}).",
        )


def key_checks(private_key_file: str) -> Iterator[Check]:
    """Whether there is a key that logs in without asking anybody, or one can be made."""
    file = controller.here(private_key_file)
    problem = not_makeable(file)
    told = f"{file} is not there yet: the first deploy makes it."
    try:
        if problem is None and file.is_file():
            usable_half(file)
            told = f"{file} is there, private, and can be used without a question."
    except ValueError as error:
        problem = Problem(str(error), "Then run playbook inferops.gpu.doctor again.")
    except OSError as error:
        problem = Problem(f"{file} cannot be read: {error.strerror}.", f"chmod 600 {file}")
    yield from judged("ssh key", filter(None, [problem]), told)


def model_checks(asked: Mapping[str, Any]) -> Iterator[Check]:
    """Whether the hub gives the model to whoever has this token.

    *asked* has the shape of MODEL_INFO_OPTIONS.
    """
    model = asked["model"]
    if not model:
        yield Check(
            "model",
            FAILED,
            "inferops_model is not set.",
            "Name the model to serve, such as Qwen/Qwen3-0.6B.",
        )
        return
    if model.startswith("/"):
        yield Check("model", NOTE, f"{model} has to lie on the host: no hub is asked for it.")
        return
    told = model_info(dict(asked))
    if told.get("failed"):
        failure = told.get("failure") or {}
        remedy = failure.get("remedy") or "Set it again."
        yield Check("model", FAILED, failure.get("cause") or told["msg"], remedy)
    elif not told["reachable"]:
        yield Check(
            "model",
            UNKNOWN,
            f"Nobody knows yet whether {model} can be had. {told['note']}",
            "A deploy goes on without, and leaves it to the host: see that the host reaches it.",
        )
    else:
        gated = " It is gated, and the token may read it." if told["gated"] else ""
        size = f"{told['size_gib']} GiB in {len(told['files'])} files"
        yield Check("model", OK, f"The hub gives {model}, {size}.{gated}")


def _said(*command: str) -> str:
    """What a command prints. Raises OSError or SubprocessError where it cannot be run."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=_SECONDS,
        check=True,
    )
    return done.stdout


def _numbers(version: str) -> tuple[int, ...]:
    """The first two of a version, such as 2 and 19."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])
