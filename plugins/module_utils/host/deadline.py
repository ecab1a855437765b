# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dead-man switch on a rented host: whether it is armed, until when, and moving its deadline.

The switch came with the request: a shell process that ends the rental from the inside once the
file `deadline` (epoch seconds by the host's clock) has passed.
"""

from __future__ import annotations

import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from ..common.private_files import write_private
from .machine.processes import command_line, environment_of, read_process

FOLDER = Path("/var/lib/inferops-rental")
"""Where the start script of the rental request puts the switch."""

HOST, NOBODY = "host", "nobody"
"""Who ends the rental at its deadline."""

_SCRIPT = re.compile(r"original=(\d{10})\nkey_variable=(\w+)\n.*\ndone\s*", re.DOTALL)
_DEADLINE = re.compile(r"[1-9]\d{9}")
_START_SECONDS = 5.0

SAME_SECONDS = 60
"""Deadlines that are less apart are the same one."""


@dataclass(frozen=True)
class Switch:
    """The switch as it was found. `problem` says why it is not armed, and is empty when it is.

    `deadline` is what the host goes by, in epoch seconds of its own clock; None without a switch.
    `can_be_armed` tells whether it is armed, or `arm` can make it so.
    """

    deadline: int | None
    pid: int | None
    problem: str
    can_be_armed: bool

    @property
    def armed(self) -> bool:
        """Whether the host will end its rental."""
        return not self.problem

    def is_set_for(self, remaining_seconds: float, now: float) -> bool:
        """Whether the host will end its rental then, so that nothing is to be done."""
        apart = (self.deadline or 0) - now - remaining_seconds
        return self.armed and abs(apart) < SAME_SECONDS

    def to_dict(self, now: float) -> dict[str, object]:
        """The switch as a module returns it; `now` is in epoch seconds."""
        return {
            "armed": self.armed,
            "deadline": self.deadline,
            "remaining_seconds": None if self.deadline is None else round(self.deadline - now),
            "pid": self.pid,
            "problem": self.problem,
            "enforced_by": HOST if self.armed else NOBODY,
        }


def read(folder: Path = FOLDER, first_pid: int = 1) -> Switch:
    """The switch in this folder. `first_pid` has the environment of the container."""
    script = _SCRIPT.fullmatch(_text(folder / "switch.sh"))
    if script is None:
        return Switch(None, None, f"{folder} holds no switch: the request brought none.", False)
    written = _DEADLINE.fullmatch(_text(folder / "deadline").strip())
    deadline = int(written[0] if written else script[1])
    pid = _running(folder)
    if not any(environment_of(one).get(script[2]) for one in (pid, first_pid) if one):
        problem = f"{script[2]} is in no environment, so the host has no key to end its rental."
        return Switch(deadline, pid, problem, False)
    problem = ""
    if pid is None:
        problem = "The process of the switch does not run."
    elif not written:
        problem = "The deadline cannot be read, so the original one counts."
    return Switch(deadline, pid, problem, True)


def arm(
    deadline: int,
    folder: Path = FOLDER,
    first_pid: int = 1,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Let the host end its rental at *deadline* (epoch seconds by its own clock).

    Starts the switch again when it is dead. Raises ValueError for what is no deadline, OSError
    when it cannot be written, and RuntimeError when the switch does not start.
    """
    if not _DEADLINE.fullmatch(str(deadline)):
        raise ValueError(f"{deadline} is no time in epoch seconds.")
    write_private(folder / "deadline", f"{deadline}\n")
    if _running(folder):
        return
    subprocess.Popen(
        ["sh", str(folder / "switch.sh")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        # What the container was started with: a task's own variables may hold secrets.
        env=environment_of(first_pid) or None,
        start_new_session=True,
    )
    for _try in range(int(_START_SECONDS / 0.1)):
        if _running(folder):
            return
        sleep(0.1)
    raise RuntimeError(f"The switch in {folder} did not start within {_START_SECONDS:.0f} s.")


def _running(folder: Path) -> int | None:
    """The PID of the switch when that very script runs under it."""
    recorded = _text(folder / "pid").strip()
    if not recorded.isdecimal() or read_process(int(recorded)) is None:
        return None
    return int(recorded) if str(folder / "switch.sh") in command_line(int(recorded)) else None


def _text(path: Path) -> str:
    """What the file holds; nothing when it cannot be read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
