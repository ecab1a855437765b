# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said when somebody ends a run, with Ctrl-C or kill: nothing is released then."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
from collections.abc import Callable
from functools import cache
from typing import Any

from ansible.utils.display import Display

TOLD = (
    "The run was interrupted and releases nothing more: what is rented goes on billing, until its "
    "deadline where it has one. With the same inventory and variables, ansible-playbook "
    "inferops.gpu.status shows what bills, and ansible-playbook inferops.gpu.teardown releases it."
)
#: Who knows which rentals may bill.
_knowing: list[Callable[[], list[str]]] = []


def say_what_bills(lines: Callable[[], list[str]]) -> None:
    """From now on an interrupted run names what may bill, by plain *lines* that ask nobody."""
    _knowing[:] = [lines]


@cache
def explain_interruption() -> None:
    """Let this process, Ansible's own, say so at its end."""
    pid, ends = os.getpid(), signal.getsignal(signal.SIGTERM)
    atexit.register(_tell, pid)

    def explain(number: int, frame: Any) -> None:
        # The signal may have come in the middle of writing: nothing but this is safe then.
        if os.getpid() == pid:
            os.write(2, f"\n{_told()}\n".encode())
        if callable(ends):
            ends(number, frame)

    # Ansible's own handler, which AWX and timeouts call, ends the process at once.
    if callable(ends):
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGTERM, explain)


def _told() -> str:
    """What is said, with what may bill where somebody knows it. That must not take it away."""
    lines: list[str] = []
    with contextlib.suppress(Exception):
        lines = [f"  {line}" for know in _knowing for line in know()]
    return "\n".join([TOLD, *(["This may bill now:", *lines] if lines else [])])


def _tell(pid: int) -> None:
    # Ansible sets this aside at the first interruption, and at nothing else.
    if os.getpid() == pid and signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        Display().display(_told(), stderr=True)
