# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which GPUs a server sees, by CUDA_VISIBLE_DEVICES."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class UnknownDevice(ValueError):
    """A name is not one of the host's GPUs, such as a part of one (MIG)."""


def visible(gpus: Sequence[Mapping[str, Any]], devices: str) -> list[Mapping[str, Any]]:
    """Those that a server will see, in the order in which it counts them; all for no names.

    Raises UnknownDevice.
    """
    names = [name.strip() for name in devices.split(",") if name.strip()]
    return [_named(name, gpus) for name in names] if names else list(gpus)


def _named(name: str, gpus: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The GPU with this index, or with a UUID that begins so, as CUDA reads it."""
    found = [gpu for gpu in gpus if str(gpu.get("index")) == name]
    if not found and name.startswith("GPU-"):
        found = [gpu for gpu in gpus if str(gpu.get("uuid")).startswith(name)]
    if len(found) != 1:
        raise UnknownDevice(
            f"CUDA_VISIBLE_DEVICES names {name}, which is not one of the host's GPUs"
        )
    return found[0]
