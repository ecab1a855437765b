# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a server reads its weights: one table of what was measured where, and the choice by it.

What nobody has measured is left as vLLM does it by default, which maps the files and reads what it
touches. docs/reference.md shows the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ....common.engines.vllm.words import having
from ..knowledge import BY_DEFAULT, Wish, read
from .given import given_options

GIB = 1024**3
#: Whoever sets one of these has chosen.
OPTIONS = (
    *("load_format", "model_loader_extra_config", "safetensors_load_strategy"),
    *("safetensors_prefetch_num_threads", "safetensors_prefetch_block_size"),
)
#: The first releases that read ahead lacked it, and the bound of memory that the newer ones have.
SINCE = "--safetensors-prefetch-num-threads"
#: vLLM's own bound for reading ahead by itself (PR 37673).
FITS_SHARE = 0.9
CACHED_SHARE = 0.9


@dataclass(frozen=True)
class Row:
    """What is set where weights lie so (`arguments`, nothing for the default), and by which proof.

    `why` continues a sentence for people, `sources` say who has measured it and on what.
    """

    where: str
    why: str
    sources: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


AHEAD = {"safetensors_load_strategy": "prefetch"}

#: The first row that is so counts.
IN_MEMORY = Row(
    "in memory, as after a download",
    "memory holds them already, so there is nothing to read ahead",
    "2 GiB in 3.4 s (2.8 to 3.7), with prefetch in 2.9 s (1.8 to 4.0), with eager in 9.6 s: our "
    "own `tests/benchmarks/loading.py`, vLLM 0.32.0 on 2 busy cores, no GPU",
)
TOO_LARGE = Row(
    "larger than 90 % of the memory that is free",
    "memory does not hold them, so what is read ahead is gone before it is needed",
    "vLLM PR 37673, TensorRT-LLM PR 4140",
)
BY_ITSELF = Row(
    "on nfs, nfs4 or lustre",
    "vLLM reads ahead there by itself",
    "vLLM PRs 37673 and 39422",
)
SHARED = Row(
    "on ceph or virtiofs",
    "reading ahead was measured to be several times as fast there",
    "virtiofs: 1403 GiB in 71 s instead of 1597 s (vLLM PR 51339). ceph: less than 1 s a file "
    "instead of 6 s (vLLM PR 47412)",
    AHEAD,
)
LOCAL = Row(
    "on a local disk, any other file system",
    "nothing was measured to be faster there",
    "ext4: 2 GiB in 5.7 s (5.2 to 7.1), with prefetch in 6.6 s (5.7 to 7.4), with eager in 12.8 s "
    "(our own, as above). 155 GiB in 26 s instead of 74 s with prefetch on 4 GPUs, from a storage "
    "that is not told (vLLM PR 54898)",
)
TABLE = (IN_MEMORY, TOO_LARGE, BY_ITSELF, SHARED, LOCAL)
_BY_FILE_SYSTEM = {
    **dict.fromkeys(("nfs", "nfs4", "lustre"), BY_ITSELF),
    **dict.fromkeys(("ceph", "virtiofs"), SHARED),
}

#: What is never chosen: its `why` says why not.
NOT_CHOSEN = (
    Row(
        "`load_format: fastsafetensors`",
        "needs a package that vLLM does not bring",
        "13 GB from NVMe in 3.7 s instead of 7.3 s (vLLM PR 10647, A100)",
    ),
    Row(
        "`load_format: instanttensor`",
        "needs a package that vLLM does not bring",
        "about 20 s where fastsafetensors takes 55 s (vLLM PR 57973, 8 B200)",
    ),
    Row(
        "`load_format: runai_streamer`",
        "needs a package that vLLM does not bring, and is for object stores",
        "125 GiB from local files: the default is faster (marin issue 7136)",
    ),
    Row(
        "`enable_multithread_load`",
        "keeps whole files in memory beside those that it reads",
        "DeepSeek-R1 from 3 NVMe in 115 s instead of 217 s, from memory in 56 s instead of 60 s "
        "(SGLang PR 7943)",
    ),
    Row(
        "another number of threads",
        "vLLM's 8 stay: nobody has measured another number",
        "none",
    ),
)


def choose(look: Mapping[str, Any], wish: Wish) -> dict[str, Any]:
    """What is set on a host that module host_look has seen: `arguments`, and `why`, for people.

    Nothing is set that the user has set himself, or that the release cannot do.
    """
    own = _own(wish)
    if own:
        return read("as you ask", own)
    row = _kept(wish) or _row(look)
    if isinstance(row, str):
        return read(BY_DEFAULT, row)
    if row.arguments and not _can(wish):
        return read(BY_DEFAULT, f"{row.why}, which this release is not known to do")
    chosen = ", ".join(f"{name} {value}" for name, value in row.arguments.items())
    return read(f"with {chosen}" if chosen else BY_DEFAULT, row.why, row.arguments)


def foreseen(weights_gib: float, ram_gib: float, wish: Wish) -> dict[str, Any]:
    """The same for an offer, whose host will have downloaded the weights to its own disk; 0 is for
    what is not known.
    """
    told = {"bytes": weights_gib * GIB, "file_system": None, "cached_share": None}
    if weights_gib and ram_gib:
        told["cached_share"] = float(weights_gib <= ram_gib * FITS_SHARE)
    usable = ram_gib * 1024 if ram_gib else None
    return choose({"host": {"memory_usable_mib": usable}, "model": {"weights": told}}, wish)


def _own(wish: Wish) -> str:
    """What the user has said of it; empty where it is left open."""
    given, unread = given_options(wish.arguments, wish.extra_args)
    names = {name.partition(".")[0] for name in (*given, *unread)} & {*OPTIONS, "config"}
    return f"{', '.join(sorted(names))} is set" if names else ""


def _kept(wish: Wish) -> str:
    """Why the default stays whatever the host is; empty where there is a choice."""
    if wish.accelerator == "cpu":
        return "the server's own copy takes the memory that reading ahead needs"
    return ""


def _can(wish: Wish) -> bool:
    return str(wish.stack.get("vllm_version") or "") in having(SINCE)


def _row(look: Mapping[str, Any]) -> Row | str:
    """The line of the table; a text where a host does not tell what decides."""
    placed = look["model"].get("weights")
    if not isinstance(placed, Mapping):
        return "no safetensors files are on the host"
    size, share = _number(placed.get("bytes")), _number(placed.get("cached_share"))
    usable = _number(look["host"].get("memory_usable_mib"))
    if size is None or share is None:
        return "nobody knows what memory will hold of them"
    if share >= CACHED_SHARE:
        return IN_MEMORY
    if usable is None or size > FITS_SHARE * usable * 1024**2:
        return TOO_LARGE
    return _BY_FILE_SYSTEM.get(str(placed.get("file_system"))[:20], LOCAL)


def _number(told: Any) -> float | None:
    """What a host tells, where it is a number of this world."""
    is_one = isinstance(told, (int, float)) and not isinstance(told, bool)
    return float(told) if is_one and 0 <= told < 2**60 else None
