# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long a rented host may answer, and how much, in the process that Ansible has for one task.

Ansible reads whatever comes, to its end, and keeps it several times over. A connection plugin has
no place for a limit, so the process of the task is watched instead: its clock, its memory, and how
much it computes, since a long answer in small pieces is copied once for each of them.
"""

from __future__ import annotations

import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

from ansible.errors import AnsibleActionFail

from ansible_collections.inferops.gpu.plugins.module_utils.common.answers import (
    has_too_many_values,
)

Answer = TypeVar("Answer")

#: Evidence of a host with many logs is a tenth of it.
MOST_LETTERS = 16 * 2**20
#: What such an answer takes, kept several times over and as data.
ROOM_MIB = 128
#: An answer is read in a second of computing, also by a slow machine.
MOST_COMPUTING_SECONDS = 60
TICK_SECONDS = 0.1
#: A host that does not answer twice a second is no slower for it, one that floods is.
LEAST_TURN_SECONDS = 0.5


class _Enough(BaseException):
    """Nothing between the clock and us catches it and tries again."""


def bounded(seconds: int, ask: Callable[[], Answer]) -> Answer:
    """What *ask* returns; AnsibleActionFail when that takes too long, or too much of the machine.

    A time limit that the task has of its own counts instead of *seconds*.
    """
    failed = ""
    try:
        with _watched(), _time_limit(seconds):
            return ask()
    except _Enough as error:
        failed = str(error)
    # Outside of the block: what was read is kept as long as the first error is.
    raise AnsibleActionFail(failed)


def refuse_length(answer: dict[str, Any]) -> None:
    """Raise AnsibleActionFail for what a command has printed if it is too long to look at."""
    if len(answer["stdout"]) + len(answer["stderr"]) > MOST_LETTERS:
        raise AnsibleActionFail(
            f"The host answered with more than {MOST_LETTERS >> 20} MiB, which no module does."
        )
    if has_too_many_values(answer["stdout"]):
        raise AnsibleActionFail("The host answered with more values than any module has.")


@contextmanager
def no_file_above(most_bytes: int) -> Iterator[None]:
    """Let no file that this process writes, or one that it starts, grow beyond so many bytes.

    How long a file is that a host sends is up to the host.
    """
    usual, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    most = most_bytes if hard == resource.RLIM_INFINITY else min(most_bytes, hard)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (usual, hard))


def turns(most_seconds: float) -> Iterator[float]:
    """The seconds since the first turn, for each question to a host, until the time is up.

    Neither how often nor how long it is asked is up to the host.
    """
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < most_seconds:
        yield elapsed
        spent = time.monotonic() - began - elapsed
        time.sleep(max(0.0, LEAST_TURN_SECONDS - spent))


def _watched() -> AbstractContextManager[None]:
    """Interrupt this process when it has grown, or computed, more than any answer needs."""
    most_mib, ticks = (
        _peak_mib() + ROOM_MIB,
        iter(range(int(MOST_COMPUTING_SECONDS / TICK_SECONDS))),
    )

    def look() -> None:
        if _peak_mib() > most_mib:
            raise _Enough("The host answered with more than the controller has room for.")
        if next(ticks, None) is None:
            raise _Enough("The host answered with more than the controller can read in a minute.")

    return _timer(signal.ITIMER_PROF, signal.SIGPROF, TICK_SECONDS, look)


def _time_limit(seconds: int) -> AbstractContextManager[None]:
    """Interrupt this process after so many seconds; 0 is never."""

    def ring() -> None:
        raise _Enough(f"The host has not answered within {seconds / 60:g} minutes.")

    return _timer(signal.ITIMER_REAL, signal.SIGALRM, seconds, ring)


@contextmanager
def _timer(
    kind: int, number: signal.Signals, seconds: float, look: Callable[[], None]
) -> Iterator[None]:
    """Call *look* every so many seconds, unless something has set that timer before."""
    is_main = threading.current_thread() is threading.main_thread()
    if not seconds or not is_main or signal.getsignal(number) is not signal.SIG_DFL:
        yield
        return
    signal.signal(number, lambda _number, _frame: look())
    try:
        try:
            signal.setitimer(kind, seconds, seconds)
            yield
        finally:
            signal.setitimer(kind, 0)
    finally:
        signal.signal(number, signal.SIG_DFL)


def _peak_mib() -> float:
    """How large this process has ever been."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
