# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hub says of a model, in time: the work of module model_info, wherever it is done."""

from __future__ import annotations

import http.client
from typing import Any

from ..common.answers import within
from .hub import File, Hub, HubError, Listing
from .options import HUB_OPTIONS, MODEL_NAME, make_hub
from .selection import needed

MODEL_INFO_OPTIONS: dict[str, Any] = {"model": {"type": "str", "required": True}, **HUB_OPTIONS}
#: A listing and a byte, each with its own timeout.
REQUESTS = 2


def ask(hub: Hub, given: dict[str, Any]) -> tuple[Listing, list[File]]:
    """The model and the files of it that a server needs. Raises HubError and ValueError."""
    listing = hub.listing(given["model"], given["revision"])
    files = needed(listing.files, given["include"], given["exclude"])
    if listing.gated and files:
        # The weights: what describes a model may be open while they are not.
        hub.probe(listing.model, listing.commit, max(files, key=lambda file: file.size).name)
    return listing, files


def ask_in_time(hub: Hub, given: dict[str, Any]) -> tuple[Listing, list[File]]:
    """The same, given up in time whatever hangs: name servers know no timeout of ours."""
    try:
        return within(REQUESTS * given["timeout_seconds"], lambda: ask(hub, given))
    except TimeoutError as error:
        raise hub.unreachable("it does not answer in time") from error
    except (OSError, http.client.HTTPException) as error:
        raise hub.unreachable(error) from error


def model_info(given: dict[str, Any]) -> dict[str, Any]:
    """The result of the module, which documents it. Under `failed` whether there is no model."""
    if not MODEL_NAME.fullmatch(given["model"]):
        return _failed(f"model: {given['model']!r} is not organisation/name of a hub.")
    try:
        listing, files = ask_in_time(make_hub(given), given)
    except HubError as error:
        if error.kind == "unreachable":
            unknown = dict.fromkeys(("commit", "gated", "size_gib"))
            return {"reachable": False, "note": str(error), "files": [], **unknown}
        failure = {"kind": error.kind, "cause": error.cause, "remedy": error.remedy}
        return _failed(str(error), failure=failure)
    except ValueError as error:
        return _failed(str(error))
    return {
        "reachable": True,
        "note": None,
        "commit": listing.commit,
        "gated": listing.gated,
        "size_gib": round(sum(file.size for file in files) / 1024**3, 2),
        "files": [file.name for file in files],
    }


def _failed(message: str, **more: Any) -> dict[str, Any]:
    return {"failed": True, "msg": message, **more}
