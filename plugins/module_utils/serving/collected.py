# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What evidence tells: what failed and why, what came from the host, and what could not be had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Of evidence that somebody asked for.
ON_DEMAND = {"task": "evidence on demand", "message": "No failure was reported."}


def evidence_outcome(collected: Mapping[str, Any], failure: Mapping[str, Any]) -> dict[str, Any]:
    """What to write of *collected*, the result of module evidence, after *failure*.

    Without a failure the evidence was asked for, and what its log says is the diagnosis. A failed
    task has said itself what it knows: what an older log says has nothing to do with it.
    """
    diagnosis = failure.get("diagnosis") if failure else collected.get("failure")
    came = "files" in collected
    reason = collected.get("msg") or "no rental is connected under this name"
    told = f"The host was not reached: {reason}"
    if came:
        told = f"It holds {len(collected['files'])} files of the host."
    return {
        **(failure or ON_DEMAND),
        "diagnosis": diagnosis or {},
        "missing": collected["missing"] if came else {"everything on the host": reason},
        "told": told,
    }
