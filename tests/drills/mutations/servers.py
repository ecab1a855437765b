# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""P4 and P6: the drills with real servers take these by name as well, see CONTRIBUTING.md."""

from __future__ import annotations

from tests.drills.mutations.mutation import Mutation
from tests.drills.mutations.paths import HOST, SERVER_DRILLS

PROOF = "tests/unit/host/test_proof.py"

MUTATIONS = (
    Mutation(
        "kill-pid",
        "only the main process is ended, and only it is looked for afterwards",
        f"{HOST}/service/tree.py",
        "    return [table[pid] for pid in sorted(members - ours) if pid in table]\n",
        "    return [table[identity.pid]] if identity and alive(identity) else []\n",
        (
            f"{SERVER_DRILLS}::test_stop_forgotten",
            f"{SERVER_DRILLS}::test_orphans_stopped",
            f"{SERVER_DRILLS}::test_stop_during_launch",
            f"{SERVER_DRILLS}::test_killed_restarted",
        ),
        least_red=3,
    ),
    Mutation(
        "health-is-enough",
        "a server whose /health is green counts as one that serves",
        f"{HOST}/server/readiness.py",
        "    for stage in CHECKS[1:]:\n",
        '    for stage in ("health",):\n',
        (
            f"{SERVER_DRILLS}::test_sigill",
            f"{SERVER_DRILLS}::test_hung_worker",
            f"{SERVER_DRILLS}::test_hung_at_start",
        ),
        least_red=3,
    ),
    Mutation(
        "used-by-name-alone",
        "a living stranger's semaphore is removed, for it is mapped under another name",
        f"{HOST}/machine/shared_memory.py",
        "    for pid in pids:\n        for handle, target in _handles(pid):\n",
        "    for pid in ():\n        for handle, target in _handles(pid):\n",
        (f"{PROOF}::test_a_semaphore_of_a_living_stranger_stays",),
    ),
    Mutation(
        "asked-before-it-was-there",
        "what a stranger makes while everybody is asked what is in use is removed",
        f"{HOST}/machine/shared_memory.py",
        "    candidates = _candidates(held, since, known)\n    in_use = _in_use(snapshot())\n",
        "    in_use = _in_use(snapshot())\n    candidates = _candidates(held, since, known)\n",
        (f"{PROOF}::test_what_a_stranger_makes_while_everybody_is_asked_stays",),
    ),
    Mutation(
        "pid-is-enough",
        "a stranger that got the PID of a dead server is taken for it, and ended",
        f"{HOST}/machine/processes.py",
        "    return process is not None and process.identity == identity\n",
        "    return process is not None\n",
        (
            f"{SERVER_DRILLS}::test_pid_reused",
            f"{SERVER_DRILLS}::test_stop_after_pid_reused",
            f"{SERVER_DRILLS}::test_start_after_pid_reused",
            f"{SERVER_DRILLS}::test_pid_and_start_time_of_another_boot",
        ),
        least_red=3,
    ),
)
