# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What evidence tells: what failed and why, what came from the host, and what could not be had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PROVIDERS_LOG = "provider.log"
#: Of evidence that somebody asked for.
ON_DEMAND = {"task": "evidence on demand", "message": "No failure was reported."}


def evidence_outcome(
    collected: Mapping[str, Any], failure: Mapping[str, Any], waited: Mapping[str, Any]
) -> dict[str, Any]:
    """What to write of *collected*, the result of module evidence, after *failure*.

    Without a failure the evidence was asked for, and what its log says is the diagnosis. A failed
    task has said itself what it knows: what an older log says has nothing to do with it. *waited*
    is the result of module rental_ready, which tells what there is of a host that let nobody in.
    """
    diagnosis = failure.get("diagnosis") if failure else collected.get("failure")
    came = "files" in collected
    reason = collected.get("msg") or "no rental is connected under this name"
    told = f"The host was not reached: {reason}"
    if came:
        told = f"It holds {len(collected['files'])} files of the host."
    log = waited.get("log") or []
    missing = collected["missing"] if came else {"everything on the host": reason}
    if waited.get("log_missing"):
        missing = {**missing, PROVIDERS_LOG: waited["log_missing"]}
    return {
        **(failure or ON_DEMAND),
        "diagnosis": diagnosis or {},
        "missing": missing,
        "files": {PROVIDERS_LOG: "".join(f"{line}\n" for line in log)} if log else {},
        "told": told,
    }
