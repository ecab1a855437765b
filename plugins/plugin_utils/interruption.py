# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said when somebody ends a run with Ctrl-C: nothing is released then."""

from __future__ import annotations

import atexit
import os
import signal
from functools import cache

from ansible.utils.display import Display

TOLD = (
    "The run was interrupted, and nothing was released: what is rented goes on billing, until its "
    "deadline at most. With the same inventory and variables, ansible-playbook inferops.gpu.status "
    "shows what bills, and ansible-playbook inferops.gpu.teardown releases it."
)


@cache
def explain_interruption() -> None:
    """Let this process, Ansible's own, say so at its end."""
    atexit.register(_tell, os.getpid())


def _tell(pid: int) -> None:
    # Ansible sets this aside at the first interruption, and at nothing else.
    if os.getpid() == pid and signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        Display().display(TOLD, stderr=True)
