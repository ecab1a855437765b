# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is a host what its offer promised? The work of module offer_check, wherever it is done."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ...common.private_files import make_folders, replace
from ..errors import HostFault
from ..model import rate
from .promises import compare

OFFER_CHECK_OPTIONS: dict[str, Any] = {
    "offer": {"type": "dict", "required": True},
    "gpu": {"type": "dict", "required": True},
    "host": {"type": "dict", "required": True},
    "speed": {"type": "dict", "default": {}},
    "disk_gib": {"type": "float", "required": True},
    "speed_share": {"type": "float", "default": 0.3},
    "receipt_path": {"type": "path"},
}


def offer_check(given: dict[str, Any], dry_run: bool) -> dict[str, Any]:
    """The result of the module, which documents it. Under `failed` whether a promise is broken."""
    promises = compare(
        given["offer"],
        given["gpu"],
        given["host"],
        given["speed"],
        given["disk_gib"],
        given["speed_share"],
    )
    told: dict[str, Any] = {
        "changed": False,
        "promises": [promise.to_dict() for promise in promises],
        "receipt": {promise.name: promise.receipt() for promise in promises},
        "summary": ", ".join(map(str, promises)),
    }
    if given["receipt_path"] and not dry_run:
        try:
            _keep(Path(given["receipt_path"]), given["offer"], told["receipt"])
        except OSError as error:
            # It must decide about the host whatever becomes of a file.
            told["warnings"] = [f"The receipt cannot be written: {error}"]
    broken = [promise for promise in promises if not promise.kept]
    if not broken:
        return told
    differences = ", ".join(
        f"{one.name} {one.measured} instead of {one.advertised}" for one in broken
    )
    kept = f" All of it: {given['receipt_path']}." if given["receipt_path"] else ""
    fault = HostFault(
        f"The host is not what its offer promised: {differences}.{kept}", stage=broken[0].name
    )
    price = given["offer"]["price_usd_per_hour"]
    fault.money = f"It bills {rate(price)} until it is released."
    return {**told, "failed": True, "msg": str(fault), "failure": fault.to_dict()}


def _keep(path: Path, offer: dict[str, Any], receipt: dict[str, Any]) -> None:
    """Write the receipt, with what it is about, for its owner alone."""
    about = {name: offer.get(name) for name in ("provider", "id", "machine_id", "gpu_name")}
    content = {
        "offer": about,
        "measured_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "kept": all(line["kept"] is not False for line in receipt.values()),
        "promises": receipt,
    }
    replace(make_folders(path.parent) / path.name, json.dumps(content, indent=2) + "\n")
