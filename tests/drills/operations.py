# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operations of the product, each in a process of its own, in the time of a simulated market.

The processes are forked from one that has loaded Ansible already. They ask their drill for the
time, and for what only the simulator knows.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

#: Nothing may take longer, in the seconds of the market and of this machine.
MARKET_SECONDS, REAL_SECONDS = 3600.0, 60.0

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.drills.performer", "tests.drills.world"])

#: Answers an operation: a word and its argument.
Serve = Callable[[str, Any], Any]


@dataclass(frozen=True)
class Operation:
    """One call: a module's name, ``inventory`` or ``ready``, and its options."""

    kind: str
    options: dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What an operation returned and how many seconds of the market it took.

    ``problem`` says what no operation may do: crash, or never end. It is empty otherwise. A
    ``silent`` one has ended, or was ended, without a word that anybody heard.
    """

    result: dict[str, Any]
    seconds: float
    problem: str = ""
    silent: bool = False

    @property
    def failed(self) -> bool:
        """Whether it told a failure."""
        return bool(self.result.get("failed"))


#: What Ansible makes of a module that has said nothing.
UNHEARD: dict[str, Any] = {"failed": True, "msg": "MODULE FAILURE"}


class Leash:
    """Kills an operation's process, from another thread."""

    def __init__(self) -> None:
        self.process: BaseProcess | None = None
        self.pulled = False

    def pull(self) -> None:
        """Kill it."""
        if self.process is not None:
            self.pulled = True
            self.process.kill()


def run(operation: Operation, serve: Serve, leash: Leash) -> Answer:
    """Do the operation in its own process, and serve it until it has ended."""
    ours, theirs = FORKS.Pipe()
    process = FORKS.Process(target=_in_process, args=(operation, theirs))
    process.start()
    theirs.close()
    leash.process = process
    began, limit = float(serve("now", None)), time.monotonic() + REAL_SECONDS
    try:
        while ours.poll(limit - time.monotonic()):
            word, given = ours.recv()
            seconds = float(serve("now", None)) - began
            if word == "done":
                return Answer(given, seconds, given.get("traceback", ""))
            if seconds > MARKET_SECONDS:
                return Answer({}, seconds, f"it did not end within {MARKET_SECONDS:.0f} s")
            ours.send(serve(word, given))
        return Answer({}, 0.0, f"it did not end within {REAL_SECONDS:.0f} s of real time")
    except (EOFError, ConnectionError):
        if leash.pulled:
            return Answer(UNHEARD, float(serve("now", None)) - began, silent=True)
        return Answer({}, 0.0, "its process died without a word")
    finally:
        ours.close()
        process.kill()
        process.join()


def capabilities() -> dict[str, dict[str, Any]]:
    """What each provider of the registry says of itself, by its name: only a process may ask."""
    told = run(Operation("capabilities", {}), lambda _word, _given: 0.0, Leash()).result
    return {name: can for name, can in told.items() if isinstance(can, dict)}


def _in_process(operation: Operation, line: Connection) -> None:
    # Only this process may load Ansible with our collection: tests of other things share ours.
    from tests.drills.performer import perform

    # Several providers are asked at once, by a thread each.
    turn = threading.Lock()

    def ask(word: str, given: Any) -> Any:
        with turn:
            line.send((word, given))
            return line.recv()

    line.send(("done", perform(operation.kind, operation.options, ask)))
