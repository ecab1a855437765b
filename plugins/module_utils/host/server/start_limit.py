# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a start may take, from the size of the model and the speed of the disk it lies on.

That time is for everything up to an open port, above all. Each check after that has its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ...common import gguf_names
from ...common.server_words import CHECKS_SECONDS

WITHOUT_WEIGHTS_SECONDS = 600
"""Imports, compilation, graphs, the first completion."""

DOWNLOAD_SECONDS = 1800
"""A model that is not here yet: nobody knows how large it is, or how fast it comes."""

MARGIN = 4
"""Several processes read at once, and what is read is copied again."""

EXPECTED_MARGIN = 3
"""Healthy hosts have needed more than twice what was expected of them."""

SAMPLE_BYTES = 256 * 1024 * 1024
SAMPLE_SECONDS = 2.0
CHUNK_BYTES = 4 * 1024 * 1024
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf")


class StartLimit(NamedTuple):
    """`why` is for a person."""

    seconds: int
    why: str


def for_start(model: str, folder: str | None, environment: Mapping[str, str]) -> StartLimit:
    """The time for one start of this model on this host."""
    files = weights(model, folder, environment)
    if not files:
        return StartLimit(
            DOWNLOAD_SECONDS, f"{model} is not on this host yet and may have to be downloaded"
        )
    size = sum(file.stat().st_size for file in files)
    rate = read_bytes_per_second(max(files, key=lambda file: file.stat().st_size))
    seconds = WITHOUT_WEIGHTS_SECONDS + MARGIN * size / rate
    return StartLimit(
        round(seconds),
        f"{WITHOUT_WEIGHTS_SECONDS} s, and {MARGIN} times what reading {size / 1e9:.1f} GB takes "
        f"at the {rate / 1e6:.0f} MB/s measured",
    )


def and_expected(limit: StartLimit, expected_seconds: float) -> StartLimit:
    """*limit*, or three times what the offer lets expect of a launch, where that is longer."""
    least = round(EXPECTED_MARGIN * expected_seconds)
    if least <= limit.seconds:
        return limit
    return StartLimit(
        least, f"{EXPECTED_MARGIN} times the {expected_seconds:.0f} s that are expected of it"
    )


def for_checks(asked: Mapping[str, Any]) -> dict[str, float]:
    """The time for each check, as asked or else our own. Raises ValueError naming a bad one."""
    unknown = sorted(set(asked) - set(CHECKS_SECONDS))
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: there are {', '.join(CHECKS_SECONDS)}")
    for name, value in asked.items():
        try:
            good = not isinstance(value, bool) and 0 < float(value) < float("inf")
        except (TypeError, ValueError):
            good = False
        if not good:
            raise ValueError(f"{name}: {value!r} is no number of seconds above 0")
    return {**CHECKS_SECONDS, **{name: float(value) for name, value in asked.items()}}


def weights(model: str, folder: str | None, environment: Mapping[str, str]) -> list[Path]:
    """The model's weight files here: in a folder of its own, or whole in the hub's cache."""
    own = Path(model) if model.startswith("/") else _snapshot(model, folder, environment)
    if own is None:
        return []
    if own.is_file():
        return _parts(own)
    return [file for file in own.glob("**/*") if file.suffix in WEIGHTS and file.is_file()]


def _parts(file: Path) -> list[Path]:
    """This file, and the other parts of a model that is loaded by the first of them."""
    if not gguf_names.is_part(file.name):
        return [file]
    named = gguf_names.whole(file.name)
    return [
        other
        for other in file.parent.iterdir()
        if gguf_names.is_part(other.name) and gguf_names.whole(other.name) == named
    ]


def _snapshot(model: str, folder: str | None, environment: Mapping[str, str]) -> Path | None:
    """Where the hub's cache holds the model; None unless every file of it has come."""
    seen = {**os.environ, **environment}
    cache = seen.get("XDG_CACHE_HOME") or "~/.cache"
    home = seen.get("HF_HOME") or f"{cache}/huggingface"
    hub = Path(str(folder or seen.get("HF_HUB_CACHE") or f"{home}/hub")).expanduser()
    repository = hub / f"models--{model.replace('/', '--')}"
    if any(repository.glob("blobs/*.incomplete")):
        return None
    snapshots = sorted(repository.glob("snapshots/*"), key=lambda path: path.stat().st_mtime)
    return snapshots[-1] if snapshots else None


def read_bytes_per_second(file: Path) -> float:
    """How fast the start of this file can be read, in a bounded time."""
    began, count = time.monotonic(), 0
    with file.open("rb", buffering=0) as stream:
        while count < SAMPLE_BYTES and time.monotonic() - began < SAMPLE_SECONDS:
            chunk = stream.read(CHUNK_BYTES)
            if not chunk:
                break
            count += len(chunk)
    return max(count, 1) / max(time.monotonic() - began, 1e-6)
