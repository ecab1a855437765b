# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is not rented because it could not serve: wishes that the model's needs speak against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .disk import DiskNeeds


@dataclass(frozen=True)
class Asked:
    """What the user wants to rent for a model; VRAM of 0 and a disk of None are left open.

    ``ignore_fit`` insists on a model that is computed not to fit.
    """

    model: str
    gpu_count: int = 1
    gpu_names: Sequence[str] = ()
    vram_gib: float = 0.0
    disk_gib: float | None = None
    ignore_fit: bool = False


def least_vram_gib(fit: Mapping[str, Any], asked: Asked) -> float:
    """What each GPU must have for the model to start; 0 where nobody knows or the user insists."""
    return 0.0 if asked.ignore_fit else float(fit.get("least_vram_gib") or 0.0)


def refusal(fit: Mapping[str, Any], disk: DiskNeeds, asked: Asked) -> str:
    """Why it is not rented, in words for the user; empty when nothing speaks against it.

    *fit* is what filter model_fit returns, empty for a host without GPUs.
    """
    return next(_refusals(fit, disk, asked), "")


def _is_unknown(fit: Mapping[str, Any]) -> bool:
    """Whether nothing was computed: without a config, and with one that nobody can read."""
    return bool(fit.get("unknown")) or (
        fit.get("fits") == "unknown" and not fit.get("vram_gib") and not fit.get("least_vram_gib")
    )


def _refusals(fit: Mapping[str, Any], disk: DiskNeeds, asked: Asked) -> Iterator[str]:
    model, why = asked.model, fit.get("why", "")
    if fit.get("refusal") and not asked.ignore_fit:
        yield f"{model} {fit['refusal']} If you know better, set launch_ignore_fit."
    # What nobody knows the size of would be rented the cheapest card of all.
    named = asked.vram_gib > 0 or asked.gpu_names
    if _is_unknown(fit) and model and not named and not asked.ignore_fit:
        or_give_it = ", or give the model's config.json as inferops_model_config"
        yield (
            f"Nothing says which GPU {model} needs: {why}. Set rent_vram_gib or rent_gpu_names"
            f"{or_give_it if fit.get('unknown') else ''}."
        )
    gpus = int(fit.get("gpus") or 1)
    if gpus > asked.gpu_count:
        yield (
            f"inferops_server_arguments and inferops_server_extra_args ask for {gpus} GPUs and "
            f"rent_gpu_count is {asked.gpu_count}: set it to as many, or lower "
            "tensor_parallel_size."
        )
    least = least_vram_gib(fit, asked)
    if 0 < asked.vram_gib < least:
        yield (
            f"rent_vram_gib is {asked.vram_gib:g}, and {model} cannot start with less than "
            f"{least:g} GiB on each GPU: {why}. Raise it, leave it out, spread the model over more "
            "GPUs (tensor_parallel_size and rent_gpu_count), or take a smaller or quantised one. "
            "If you know better, set launch_ignore_fit."
        )
    if asked.disk_gib is not None and asked.disk_gib < disk.refused_below_gib:
        yield f"rent_disk_gib is {asked.disk_gib:g}, and {disk.why}"
