# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hub says of a model, in time: the work of module model_info, wherever it is done."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from ..common.answers import parse, within
from .hub import MODEL_NAME, File, Hub, HubError, Listing
from .options import HUB_OPTIONS, make_hub
from .selection import is_weights, needed, unusable

MODEL_INFO_OPTIONS: dict[str, Any] = {
    "model": {"type": "str", "required": True},
    "config": {"type": "bool", "default": False},
    **HUB_OPTIONS,
}
#: A listing, a byte, a config and what its quantiser wrote, each with its own timeout.
REQUESTS = 4
#: The first that is there is the model's config; the second is Mistral's own form of it.
_CONFIGS = ("config.json", "params.json")
_QUANTIZATION = "hf_quant_config.json"
_MOST_CONFIG_BYTES = 8 * 2**20
"""Quantisers name every expert of every layer: 3 MiB for MiniMax M3."""

#: What is not known of a model that nobody told of.
_ANSWERS = (
    "commit",
    "gated",
    "size_gib",
    "weights_bytes",
    "config",
    "quantization",
    "needs_token",
)

Answer = TypeVar("Answer")


def ask(hub: Hub, given: dict[str, Any]) -> tuple[Listing, list[File]]:
    """The model and the files of it that a server needs. Raises HubError."""
    listing = hub.listing(given["model"], given["revision"])
    patterns = given["include"], given["exclude"]
    files = needed(listing.files, *patterns, given["weights_format"])
    if listing.gated and files:
        # The weights: what describes a model may be open while they are not.
        hub.probe(listing.model, listing.commit, max(files, key=lambda file: file.size).name)
    return listing, files


class Told(NamedTuple):
    """What a hub says of a model. A document is None where it is not asked for or not there."""

    listing: Listing
    files: list[File]
    config: dict[str, Any] | None
    quantization: dict[str, Any] | None


def ask_with_config(hub: Hub, given: dict[str, Any]) -> Told:
    """The same, and where it is asked for what the model says of itself. Raises HubError."""
    listing, files = ask(hub, given)
    if not given["config"]:
        return Told(listing, files, None, None)
    return Told(listing, files, _read(hub, listing, *_CONFIGS), _read(hub, listing, _QUANTIZATION))


def _read(hub: Hub, listing: Listing, *names: str) -> dict[str, Any] | None:
    """The first of these documents that is there."""
    there = {file.name for file in listing.files}
    name = next((name for name in names if name in there), None)
    if name is None:
        return None
    with hub.read(listing.model, listing.commit, name) as answer:
        content = parse(answer.read(_MOST_CONFIG_BYTES).decode(errors="replace"))
    return content if isinstance(content, dict) else None


def in_time(hub: Hub, given: dict[str, Any], ask_hub: Callable[[], Answer]) -> Answer:
    """What *ask_hub* returns, given up in time whatever hangs: name servers know no timeout."""
    try:
        return within(REQUESTS * given["timeout_seconds"], ask_hub)
    except TimeoutError as error:
        raise hub.unreachable("it does not answer in time") from error
    except (OSError, http.client.HTTPException) as error:
        raise hub.unreachable(error) from error


def model_info(given: dict[str, Any]) -> dict[str, Any]:
    """The result of the module, which documents it. Under `failed` whether there is no model that
    a server could load."""
    if not MODEL_NAME.fullmatch(given["model"]):
        return _failed(f"model: {given['model']!r} is not organisation/name of a hub.")
    try:
        hub = make_hub(given)
        told = in_time(hub, given, lambda: ask_with_config(hub, given))
    except HubError as error:
        if error.kind == "unreachable":
            unknown = dict.fromkeys(_ANSWERS)
            return {"reachable": False, "note": str(error), "files": [], **unknown}
        failure = {"kind": error.kind, "cause": error.cause, "remedy": error.remedy}
        return _failed(str(error), failure=failure)
    except ValueError as error:
        return _failed(str(error))
    refusal = unusable(given["model"], told.files, given["include"], given["weights_format"])
    if refusal:
        return _failed(refusal)
    return {
        "reachable": True,
        "note": None,
        "commit": told.listing.commit,
        "gated": told.listing.gated,
        "size_gib": round(sum(file.size for file in told.files) / 1024**3, 2),
        "weights_bytes": sum(file.size for file in told.files if is_weights(file.name)) or None,
        "files": [file.name for file in told.files],
        "config": told.config,
        "quantization": told.quantization,
        "needs_token": hub.needs_token,
    }


def _failed(message: str, **more: Any) -> dict[str, Any]:
    return {"failed": True, "msg": message, **more}
