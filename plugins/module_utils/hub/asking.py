# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hub says of a model, in time: the work of module model_info, wherever it is done."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from typing import Any, TypeVar

from ..common.answers import parse, within
from .hub import MODEL_NAME, File, Hub, HubError, Listing
from .options import HUB_OPTIONS, make_hub
from .selection import needed

MODEL_INFO_OPTIONS: dict[str, Any] = {
    "model": {"type": "str", "required": True},
    "config": {"type": "bool", "default": False},
    **HUB_OPTIONS,
}
#: A listing, a byte and a config, each with its own timeout.
REQUESTS = 3
_CONFIG = "config.json"
_MOST_CONFIG_BYTES = 2 * 2**20

Answer = TypeVar("Answer")


def ask(hub: Hub, given: dict[str, Any]) -> tuple[Listing, list[File]]:
    """The model and the files of it that a server needs. Raises HubError."""
    listing = hub.listing(given["model"], given["revision"])
    files = needed(listing.files, given["include"], given["exclude"])
    if listing.gated and files:
        # The weights: what describes a model may be open while they are not.
        hub.probe(listing.model, listing.commit, max(files, key=lambda file: file.size).name)
    return listing, files


def ask_with_config(
    hub: Hub, given: dict[str, Any]
) -> tuple[Listing, list[File], dict[str, Any] | None]:
    """The same, and the model's config.json where it is asked for; None where there is none."""
    listing, files = ask(hub, given)
    config = None
    if given["config"] and any(file.name == _CONFIG for file in listing.files):
        with hub.read(listing.model, listing.commit, _CONFIG, first=0) as (answer, _first):
            config = parse(answer.read(_MOST_CONFIG_BYTES).decode(errors="replace"))
    return listing, files, config if isinstance(config, dict) else None


def in_time(hub: Hub, given: dict[str, Any], ask_hub: Callable[[], Answer]) -> Answer:
    """What *ask_hub* returns, given up in time whatever hangs: name servers know no timeout."""
    try:
        return within(REQUESTS * given["timeout_seconds"], ask_hub)
    except TimeoutError as error:
        raise hub.unreachable("it does not answer in time") from error
    except (OSError, http.client.HTTPException) as error:
        raise hub.unreachable(error) from error


def model_info(given: dict[str, Any]) -> dict[str, Any]:
    """The result of the module, which documents it. Under `failed` whether there is no model."""
    if not MODEL_NAME.fullmatch(given["model"]):
        return _failed(f"model: {given['model']!r} is not organisation/name of a hub.")
    try:
        hub = make_hub(given)
        listing, files, config = in_time(hub, given, lambda: ask_with_config(hub, given))
    except HubError as error:
        if error.kind == "unreachable":
            unknown = dict.fromkeys(("commit", "gated", "size_gib", "config", "needs_token"))
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
        "config": config,
        "needs_token": hub.needs_token,
    }


def _failed(message: str, **more: Any) -> dict[str, Any]:
    return {"failed": True, "msg": message, **more}
