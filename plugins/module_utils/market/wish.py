# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a user wants from an offer, checked on our side whatever the provider filtered."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from .errors import RequestRefused
from .gpus import gpu_key
from .model import Offer

try:
    import jmespath
except ImportError:  # only needed for the free-form filter
    JMESPATH_MISSING = True
else:
    JMESPATH_MISSING = False

#: A card sold as 24 GB lists 23.99 GiB, one sold as 80 GB may list 79.3: the wish is the sold size.
_VRAM_AS_SOLD = 0.97
#: GPUs that no build of an engine is for which is installed here, by how their names read.
_OTHER_MAKERS = {
    "AMD": re.compile(
        r"\b(amd|radeon|instinct|mi ?\d{2,3}[a-z]?|rx ?\d{3,4}|w[67]\d00|gfx\d{3,4}[a-z]?"
        r"|(?:ai )?pro r\d{4}|\d{4} xtx?|ryzen|strix)\b",
        re.I,
    ),
    "Intel": re.compile(
        r"\b(intel|gaudi ?\d?|arc (?:pro )?[ab]\d{2,3}|data center gpu (?:max|flex))\b", re.I
    ),
    "Google": re.compile(r"\btpu\b", re.I),
    "Amazon": re.compile(r"\b(trainium|inferentia)\d?\b", re.I),
    "Huawei": re.compile(r"\bascend\b", re.I),
}


@dataclass(frozen=True)
class _Check:
    """One limit; ``fulfilled`` is None when the offer does not tell what it is about."""

    name: str
    fulfilled: bool | None


@dataclass(frozen=True)
class Wish:
    """Limits on an offer; None means that anything will do. VRAM is per GPU.

    What an offer does not tell misses no limit: it is noted as unchecked.
    """

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
        return [check.name for check in self._checks(offer) if check.fulfilled is False]

    def unchecked(self, offer: Offer) -> list[str]:
        """The limits that nobody can check, because *offer* does not tell what they are about."""
        return [check.name for check in self._checks(offer) if check.fulfilled is None]

    def _checks(self, offer: Offer) -> Iterator[_Check]:
        """Each limit of the wish against *offer*."""
        names = [gpu_key(name) for name in self.gpu_names]
        sold_gib = None if offer.vram_gib is None else offer.vram_gib / _VRAM_AS_SOLD
        yield _Check("GPU name", not names or gpu_key(offer.gpu_name) in names)
        yield _Check("GPU by NVIDIA", other_maker(offer.gpu_name) is None)
        yield _Check("GPU count", offer.gpu_count == self.gpu_count)
        yield _Check("VRAM", _at_least(sold_gib, self.vram_gib))
        yield _Check("disk", _at_least(offer.disk_gib, self.disk_gib))
        for what, version, least in (
            ("architecture", offer.compute_capability, self.compute_capability),
            ("driver", offer.driver_version, self.driver_version),
        ):
            key = None if version is None else version_key(version)
            yield _Check(what, _at_least(key, None if least is None else version_key(least)))
        most = self.max_price_usd_per_hour
        yield _Check("price", most is None or offer.price_usd_per_hour <= most)
        yield _Check("reliability", _at_least(offer.reliability, self.min_reliability))
        least_mbit = self.min_download_mbit_per_second
        yield _Check("download speed", _at_least(offer.download_mbit_per_second, least_mbit))
        yield _Check("country", _one_of(offer.country, self.countries))
        yield _Check("verification", offer.verified if self.verified else True)
        yield _Check("duration", _at_least(offer.max_duration_hours, self.duration_hours))
        yield _Check("excluded machine", offer.machine_id not in self.exclude_machines)

    def without_machines(self, machine_ids: Iterable[str | None]) -> Wish:
        """The same wish, that also shuns these machines."""
        shunned = dict.fromkeys((*self.exclude_machines, *filter(None, machine_ids)))
        return replace(self, exclude_machines=tuple(shunned))

    @property
    def searched(self) -> Wish:
        """The part of the wish that a provider may search by, the same for all hosts of a play.

        What is left out is checked on our side alone.
        """
        return replace(self, filter=None, exclude_machines=())

    def select(self, offers: Iterable[Offer]) -> tuple[list[Offer], dict[str, int]]:
        """The offers that fulfil the wish, and how many failed by each reason."""
        matches: list[Offer] = []
        reasons: dict[str, int] = {}
        keep = compiled(self.filter)
        for offer in offers:
            misses = self.misses(offer)
            if not misses and keep is not None and not keep(offer.to_dict()):
                misses = ["filter"]
            if not misses:
                matches.append(offer)
            for reason in misses:
                reasons[reason] = reasons.get(reason, 0) + 1
        return matches, reasons


def other_maker(gpu_name: str) -> str | None:
    """Who makes a GPU of this name, where that is not NVIDIA."""
    words = gpu_name.replace("_", " ").replace("-", " ")
    return next((maker for maker, names in _OTHER_MAKERS.items() if names.search(words)), None)


def compiled(expression: str | None) -> Any:
    """A predicate over an offer's plain data, or None without an expression."""
    if not expression:
        return None
    if JMESPATH_MISSING:
        raise RequestRefused(
            f"filter needs the Python library jmespath, which {sys.executable} on the controller "
            "lacks.",
            remedy=f"{sys.executable} -m pip install jmespath",
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


def _at_least(value: Any, least: Any) -> bool | None:
    """Whether *value* is large enough, where one is asked for; None when it is not told."""
    if least is None:
        return True
    return None if value is None else bool(value >= least)


def _one_of(value: str | None, accepted: tuple[str, ...]) -> bool | None:
    if not accepted:
        return True
    return None if value is None else value in accepted


def version_key(version: str) -> tuple[int, ...]:
    """A dotted version as comparable numbers; parts that are no number count as 0."""
    return tuple(
        int(part) if part.isascii() and part.isdigit() else 0 for part in version.split(".")
    )
