# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of server drills: what is missing is counted against it.

What concerns supervision runs under both supervisors, the rest under one of them.
"""

from __future__ import annotations

from typing import NamedTuple

SYSTEMD, SUPERVISORD = "systemd", "supervisord"


class Listed(NamedTuple):
    """One drill: its name, what it shows, and the hosts on which it runs."""

    name: str
    shows: str
    hosts: tuple[str, ...]


ONE, OTHER, BOTH = (SYSTEMD,), (SUPERVISORD,), (SYSTEMD, SUPERVISORD)

#: In this order on each host: a drill that leaves a server running stands before one that needs it.
LISTED = (
    Listed("stop-forgotten", "a controller that forgot everything stops a server", BOTH),
    Listed("killed-restarted", "one engine lives after the API server was killed", BOTH),
    Listed("orphans-stopped", "orphans of a killed API server are stopped", OTHER),
    # systemd would end what is left in the unit's control group: not so here.
    Listed("setsid-stopped", "a child that called setsid is stopped", OTHER),
    Listed("stop-during-launch", "a launch is stopped while it imports and while it loads", BOTH),
    Listed("five-times", "five starts and stops in a row leave nothing behind", OTHER),
    Listed("model-switched", "model A, stop, model B", ONE),
    Listed("dead-while-starting", "a death during startup is an error and no restart", ONE),
    Listed("dead-while-running", "a death that nobody restarted is told as a crash", OTHER),
    Listed("pid-reused", "a stranger with the recorded PID is not taken for the server", ONE),
    Listed("pid-reused-stopped", "a stop leaves a stranger with the recorded PID alone", ONE),
    Listed("pid-reused-started", "a start is not fooled by a stranger with the PID", ONE),
    Listed("record-corrupt", "a damaged record is rebuilt from the process table", ONE),
    Listed("record-missing", "a lost record is rebuilt from the process table", OTHER),
    Listed("two-servers", "one of two servers is stopped, the other untouched", ONE),
    Listed("within-the-host", "no process of a server listens beyond the loopback", BOTH),
    Listed("port-of-own-server", "an older server of ours on the port is replaced", OTHER),
    Listed("port-of-stranger", "a stranger on the port is named before anything starts", OTHER),
    Listed("model-missing", "a missing model is named", OTHER),
    Listed("weights-truncated", "truncated weights are named", OTHER),
    Listed("unknown-option", "an unknown option costs no running server", OTHER),
    Listed("disk-full", "a full disk is named", ONE),
    Listed("out-of-memory", "the kernel's out-of-memory kill is named", OTHER),
    Listed("crash-loop", "a crash loop ends", BOTH),
    Listed("sigill", "a worker that dies at the first completion, with green health", OTHER),
    Listed("hung-worker", "a frozen worker, with green health, is replaced", ONE),
    Listed("hung-at-start", "a worker that freezes before it ever completed ends the start", ONE),
    Listed("log-of-gigabytes", "a log of gigabytes costs neither disk nor time", ONE),
    Listed("supervisor-killed", "a killed supervisor leaves a server that can be stopped", BOTH),
    Listed("no-network", "a host without network: the hub is named, a local model serves", ONE),
    Listed("stop-twice", "two stops at once both end well", BOTH),
    Listed("host-restarted", "a host that was restarted is told, and starts again", BOTH),
    Listed("start-at-boot", "a server that shall start with its host does, until stopped", ONE),
    Listed("memory-of-gpu", "memory that stays in use on the GPU is never called stopped", OTHER),
    Listed("mended-hang", "recover restarts a server that hangs", OTHER),
    Listed("mended-crash", "recover restarts a server that nobody restarted", OTHER),
    Listed("mended-weights", "recover takes the next model of the ladder for damaged weights", ONE),
    Listed("mended-missing", "recover takes the next model of the ladder for a missing one", OTHER),
    Listed("mended-context", "recover asks for no longer context than the model has", ONE),
    Listed("mended-sigill", "recover computes in a format that the processor knows", OTHER),
    Listed("mended-port", "recover leaves a port to the stranger that took it", ONE),
    Listed("mended-reboot", "recover starts what the host's restart ended", ONE),
)
