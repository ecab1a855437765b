# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a user wants from an offer, checked on our side whatever the provider filtered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from .errors import RequestRefused
from .model import Offer

try:
    import jmespath
except ImportError:  # only needed for the free-form filter
    JMESPATH_MISSING = True
else:
    JMESPATH_MISSING = False

#: A card sold as 24 GB lists 23.99 GiB, one sold as 80 GB may list 79.3: the wish is the sold size.
_VRAM_AS_SOLD = 0.97


@dataclass(frozen=True)
class Wish:
    """Limits on an offer; None means that anything will do. VRAM is per GPU."""

    gpu_names: tuple[str, ...] = ()
    gpu_count: int = 1
    vram_gib: float | None = None
    disk_gib: int = 40
    compute_capability: str | None = None
    driver_version: str | None = None
    max_price_usd_per_hour: float | None = None
    min_reliability: float | None = None
    min_download_mbit_per_second: float | None = None
    countries: tuple[str, ...] = ()
    verified: bool = True
    duration_hours: float | None = None
    filter: str | None = None
    exclude_machines: tuple[str, ...] = ()

    def misses(self, offer: Offer) -> list[str]:
        """Why *offer* does not fulfil the wish, one short reason each; empty when it does."""
        checks = (
            (
                not self.gpu_names or _folded(offer.gpu_name) in map(_folded, self.gpu_names),
                "GPU name",
            ),
            (offer.gpu_count == self.gpu_count, "GPU count"),
            (_at_least(offer.vram_gib / _VRAM_AS_SOLD, self.vram_gib), "VRAM"),
            (offer.disk_gib >= self.disk_gib, "disk"),
            (_version_at_least(offer.compute_capability, self.compute_capability), "architecture"),
            (_version_at_least(offer.driver_version, self.driver_version), "driver"),
            (_at_most(offer.price_usd_per_hour, self.max_price_usd_per_hour), "price"),
            (_at_least(offer.reliability, self.min_reliability), "reliability"),
            (
                _at_least(offer.download_mbit_per_second, self.min_download_mbit_per_second),
                "download speed",
            ),
            (not self.countries or offer.country in self.countries, "country"),
            (offer.verified or not self.verified, "verification"),
            (_at_least(offer.max_duration_hours, self.duration_hours), "duration"),
            (offer.machine_id not in self.exclude_machines, "excluded machine"),
        )
        return [reason for fulfilled, reason in checks if not fulfilled]

    def without_machines(self, machine_ids: Iterable[str]) -> Wish:
        """The same wish, that also shuns these machines."""
        shunned = dict.fromkeys((*self.exclude_machines, *filter(None, machine_ids)))
        return replace(self, exclude_machines=tuple(shunned))

    def select(self, offers: Iterable[Offer]) -> tuple[list[Offer], dict[str, int]]:
        """The offers that fulfil the wish, and how many failed by each reason."""
        matches: list[Offer] = []
        reasons: dict[str, int] = {}
        keep = _compiled(self.filter)
        for offer in offers:
            misses = self.misses(offer)
            if not misses and keep is not None and not keep(offer.to_dict()):
                misses = ["filter"]
            if not misses:
                matches.append(offer)
            for reason in misses:
                reasons[reason] = reasons.get(reason, 0) + 1
        return matches, reasons


def _compiled(expression: str | None) -> Any:
    """A predicate over an offer's plain data, or None without an expression."""
    if not expression:
        return None
    if JMESPATH_MISSING:
        raise RequestRefused(
            "filter needs the Python library jmespath on the controller.",
            remedy="pip install jmespath",
        )
    try:
        compiled = jmespath.compile(expression)
    except jmespath.exceptions.JMESPathError as error:
        raise RequestRefused(
            f"filter {expression!r} is not a JMESPath expression ({error}).",
            remedy="An example: \"country == 'SE' && cpu_cores >= `8`\".",
        ) from error

    def keep(offer: dict[str, Any]) -> bool:
        try:
            return bool(compiled.search(offer))
        except jmespath.exceptions.JMESPathError as error:
            raise RequestRefused(f"filter {expression!r} cannot be applied: {error}.") from error

    return keep


def _folded(name: str) -> str:
    return name.replace("_", " ").casefold()


def _at_least(value: float, minimum: float | None) -> bool:
    return minimum is None or value >= minimum


def _at_most(value: float, maximum: float | None) -> bool:
    return maximum is None or value <= maximum


def _version_at_least(version: str, minimum: str | None) -> bool:
    return minimum is None or version_key(version) >= version_key(minimum)


def version_key(version: str) -> tuple[int, ...]:
    """A dotted version as comparable numbers; parts that are no number count as 0."""
    return tuple(int(part) if part.isdigit() else 0 for part in version.split("."))
