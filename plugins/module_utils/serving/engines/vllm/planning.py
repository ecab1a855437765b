# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which vLLM stack suits a host: one pure function that reads the compatibility table.

A wish that no release can fulfil is refused with its cause and with what would make it possible.
The ways out are not written down anywhere: they are changes of the host or of the wish with which
the same function finds a plan.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from ..knowledge import PlanImpossible
from .releases import (
    DRIVER_BRANCHES,
    DRIVER_OF_CUDA,
    FIRST_FOR_MACHINE,
    GENERATIONS,
    PROFILES,
    SERIES,
    Build,
    Generation,
    Series,
)

#: Below it there is no bfloat16 (vLLM's own words: "Bfloat16 is only supported on GPUs with
#: compute capability of at least 8.0"), which is the data type of most models.
_LEAST_CAPABILITY_FOR_BFLOAT16 = 8.0
#: Releases with kernels for them are known to fail on them all the same (#19185).
_DOUBTFUL_CAPABILITY = 7.0

#: What people write for the newest release that the host can run.
NEWEST = ("auto", "latest", "newest", "")
_NUMBERS = r"\d+(?:\.\d+)*(?:\.post\d+)?"
_RELEASE = re.compile(rf"v?({_NUMBERS})")
_LIMIT = re.compile(rf"(>=|<=|==|!=|>|<)v?({_NUMBERS})")
_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}


class StackImpossible(PlanImpossible):
    """No stack fits: the cause, and what would make it possible."""

    def __init__(self, cause: str, ways_out: list[WayOut]) -> None:
        helps = "; or ".join(way.text for way in ways_out)
        super().__init__(f"{cause} What would help: {helps}." if helps else cause)
        self.cause = cause
        self.ways_out = ways_out


@dataclass(frozen=True)
class Wish:
    """A host, as far as it is known, and the vLLM wanted on it. The unknown refuses nothing."""

    accelerator: str
    driver_version: str | None = None
    #: Several where the GPUs that shall serve are of several kinds.
    compute_capability: str | tuple[str, ...] | None = None
    vllm_version: str = "auto"
    #: The Pythons that are there, where no other can be had; none when uv brings what is needed.
    python_versions: tuple[str, ...] = ()
    glibc_version: str | None = None
    #: As the kernel calls the machine: x86_64, aarch64.
    architecture: str | None = None
    #: The oldest release that knows the model.
    least_vllm: str = ""

    @property
    def driver(self) -> int | None:
        """The driver's branch."""
        version = _number(self.driver_version)
        return None if version is None else int(version)

    @property
    def capabilities(self) -> list[float]:
        """The compute capabilities that are known, each once, the lowest first."""
        given = self.compute_capability
        told = (given,) if isinstance(given, str) else given or ()
        return sorted({number for number in map(_number, told) if number is not None})

    @property
    def generations(self) -> list[Generation]:
        """The GPUs' architectures that the table knows."""
        return [
            row
            for row in GENERATIONS
            if any(_within(one, row.capabilities) for one in self.capabilities)
        ]

    @property
    def words(self) -> str:
        """The host in words."""
        parts = [f"driver {self.driver_version}"] if self.driver is not None else []
        if self.capabilities:
            names = ", ".join(row.name for row in self.generations)
            parts.append(
                f"compute capability {self.words_of_gpus}" + (f" ({names})" if names else "")
            )
        return " and ".join(parts) or f"accelerator {self.accelerator}"

    @property
    def words_of_gpus(self) -> str:
        """The compute capabilities in words."""
        return " and ".join(map(str, self.capabilities))


@dataclass(frozen=True)
class WayOut:
    """What would make a refused wish possible; ``wish`` is the one that then has a plan."""

    text: str
    wish: Wish | None = None


@dataclass(frozen=True)
class _Candidate:
    """One release in one build."""

    version: str
    series: Series
    build: Build

    @property
    def name(self) -> str:
        return f"vLLM {self.version}{self.build.local_version}"

    @property
    def index(self) -> str:
        return self.build.index.format(version=self.version)

    @property
    def least_driver(self) -> int:
        return DRIVER_OF_CUDA[self.build.cuda[0]] if self.build.cuda else 0


def plan_stack(
    accelerator: str,
    driver_version: str | None = None,
    compute_capability: str | tuple[str, ...] | None = None,
    vllm_version: str = "auto",
    python_versions: tuple[str, ...] = (),
    glibc_version: str | None = None,
    architecture: str | None = None,
    least_vllm: str = "",
) -> dict[str, Any]:
    """The stack for a host, as plain data.

    Returns ``accelerator``, ``vllm_version``, ``torch_version``, ``torch_backend``,
    ``cuda_version``, ``torch_device``, ``distribution``, ``requirements`` and ``constraints``
    (lines for the resolver), ``python`` (the versions that will do), ``python_version`` (the newest
    of those that are there that will do, "" when any can be had), ``ray`` (whether it comes
    along), ``indexes`` (of wheels beside the package index), ``excluded`` (package names),
    ``environment`` (for the server), ``installed_gib`` and ``download_gib`` (about what it takes),
    ``image`` (the same build as a container, "" for none), ``why``, ``notes``, ``sources``, and
    ``least_driver``, the oldest driver with which this wish can be fulfilled ("" for any). Raises
    StackImpossible.
    """
    wish = Wish(
        accelerator,
        driver_version,
        compute_capability,
        spelled(vllm_version),
        python_versions,
        glibc_version,
        architecture,
        least_vllm,
    )
    if accelerator not in PROFILES:
        known = " or ".join(PROFILES)
        raise StackImpossible(f"Accelerator {accelerator!r} is unknown.", [WayOut(f"use {known}")])
    candidates = list(_candidates(wish))
    if not candidates:
        rows = [row for row in SERIES if row.accelerator == accelerator]
        oldest, newest = rows[-1].versions[-1], rows[0].versions[0]
        span = f"a version from {oldest} to {newest}" if oldest != newest else newest
        raise StackImpossible(
            f"vLLM {wish.vllm_version} on {accelerator} is not in the compatibility table.",
            [
                *_written_out(wish),
                WayOut(f"use auto or {span}", replace(wish, vllm_version="auto")),
            ],
        )
    for candidate in candidates:
        if _obstacle(candidate, wish) is None:
            return _plan(candidate, wish, candidates)
    raise StackImpossible(_cause(candidates, wish), _ways_out(wish))


def _written_out(wish: Wish) -> Iterator[WayOut]:
    """What a number stands for whose last 0 is lost: YAML reads 0.30 as 0.3."""
    release = f"{wish.vllm_version}0.0"
    if any(release in row.versions for row in SERIES if row.accelerator == wish.accelerator):
        yield WayOut(
            f'write "{release}" in quotes, if {wish.vllm_version}0 was meant',
            replace(wish, vllm_version=release),
        )


def spelled(vllm_version: str | None) -> str:
    """A wish for a release in one way: auto, 0.32.0, or limits such as >=0.30,<0.33.

    Raises StackImpossible naming what is none of them.
    """
    text = "" if vllm_version is None else "".join(str(vllm_version).lower().split())
    if text in NEWEST:
        return "auto"
    found = _RELEASE.fullmatch(text.removeprefix("=="))
    if found:
        known = [version for row in SERIES for version in row.versions]
        # 0.32 is how people call 0.32.0.
        return next((one for one in (found[1], f"{found[1]}.0") if one in known), found[1])
    if all(_LIMIT.fullmatch(limit) for limit in text.split(",")):
        return text
    raise StackImpossible(
        f"{vllm_version!r} names no release of vLLM.",
        [WayOut("write auto, a release such as 0.32.0, or limits such as >=0.30,<0.33")],
    )


def fulfils(version: str, vllm_version: str) -> bool:
    """Whether a release is what such a wish asks for."""
    wish = spelled(vllm_version)
    if wish == "auto" or wish == version:
        return True
    limits = [_LIMIT.fullmatch(limit) for limit in wish.split(",")]
    return all(
        limit is not None and _COMPARED[limit[1]](_release(version), _release(limit[2]))
        for limit in limits
    )


def _release(version: str) -> tuple[int, ...]:
    """Numbers that compare: 0.30 is 0.30.0."""
    numbers = _numbers(version)
    return numbers + (0,) * (3 - len(numbers))


def choosable(
    accelerator: str,
    vllm_version: str = "auto",
    least_driver: str | None = None,
    least_capability: str | None = None,
    least_vllm: str = "",
) -> list[str]:
    """The releases that hosts with such drivers and GPUs get, the newest first."""
    driver, capability = _number(least_driver) or 0, _number(least_capability) or 0
    wishes = [
        Wish(
            accelerator,
            str(branch),
            str(max(row.capabilities[0], capability)),
            spelled(vllm_version),
            least_vllm=least_vllm,
        )
        for branch in DRIVER_BRANCHES
        for row in GENERATIONS
        if branch >= int(driver) and row.capabilities[1] >= capability
    ]
    chosen = {
        next((one.version for one in _candidates(wish) if _obstacle(one, wish) is None), "")
        for wish in wishes
    }
    return sorted(chosen - {""}, key=_numbers, reverse=True)


def _candidates(wish: Wish) -> Iterator[_Candidate]:
    """What may fulfil the wish, best first.

    ``auto`` takes what has resolved, and only builds that the package index itself has. Limits take
    that first, and then what they leave beside it.
    """
    rows = [row for row in SERIES if row.accelerator == wish.accelerator]
    if not _RELEASE.fullmatch(wish.vllm_version):
        for row in rows:
            if row.resolved and fulfils(row.resolved, wish.vllm_version):
                yield _Candidate(row.resolved, row, row.builds[0])
    if wish.vllm_version != "auto":
        for row in rows:
            for version in row.versions:
                if fulfils(version, wish.vllm_version):
                    yield from (_Candidate(version, row, build) for build in row.builds)


def _obstacle(candidate: _Candidate, wish: Wish) -> str | None:
    """Why *candidate* cannot run on the host, or None."""
    row = candidate.series
    if candidate.version in row.gone:
        return row.gone[candidate.version]
    if wish.least_vllm and _release(candidate.version) < _release(wish.least_vllm):
        return f"does not know the model, which needs vLLM >= {wish.least_vllm}"
    if candidate.build.cuda and wish.architecture:
        first = FIRST_FOR_MACHINE.get(wish.architecture)
        if first is None:
            return f"has no wheels for {wish.architecture}"
        if first and _release(candidate.version) < _release(first):
            return f"has no wheels for {wish.architecture}: they exist from vLLM {first} on"
    if wish.python_versions and not _python(row, wish):
        return f"needs Python {row.python}, here is {' and '.join(wish.python_versions)}"
    if wish.glibc_version and _numbers(wish.glibc_version) < _numbers(row.glibc):
        return f"needs glibc >= {row.glibc}, here is {wish.glibc_version}"
    return _obstacle_of_gpu(candidate, wish) if candidate.build.cuda else None


def _obstacle_of_gpu(candidate: _Candidate, wish: Wish) -> str | None:
    build = candidate.build
    if not all(_within(capability, build.capabilities) for capability in wish.capabilities):
        lowest, highest = build.capabilities
        return (
            f"has kernels for compute capability {lowest} to {highest}, "
            f"here is {wish.words_of_gpus}"
        )
    for generation in wish.generations:
        if _major(build) < generation.least_cuda:
            return (
                f"is built for CUDA {_major(build)}, and {generation.name} "
                f"({generation.capabilities[0]}) needs a build for CUDA {generation.least_cuda}"
            )
    if wish.driver is None:
        return None
    if wish.driver < candidate.least_driver:
        return (
            f"is built for CUDA {_major(build)} and needs a driver >= {candidate.least_driver}, "
            f"here is {wish.driver_version}"
        )
    for generation in wish.generations:
        if wish.driver < generation.oldest_driver:
            return (
                f"needs a driver >= {generation.oldest_driver} on this GPU ({generation.name}), "
                f"here is {wish.driver_version}"
            )
        if generation.newest_driver and wish.driver > generation.newest_driver:
            newest = generation.newest_driver
            return f"needs a driver that knows {generation.name}: {newest} or older"
    return None


def _cause(candidates: list[_Candidate], wish: Wish) -> str:
    """Each obstacle once, with the newest release that it stops."""
    obstacles: dict[str, str] = {}
    for candidate in candidates:
        obstacles.setdefault(str(_obstacle(candidate, wish)), candidate.name)
    reasons = "; ".join(f"{release} {obstacle}" for obstacle, release in obstacles.items())
    wanted = "any vLLM" if wish.vllm_version == "auto" else f"vLLM {wish.vllm_version}"
    wanted += f" that knows the model (>= {wish.least_vllm})" if wish.least_vllm else ""
    return f"No stack for {wanted} with {wish.words}: {reasons}."


def _ways_out(wish: Wish) -> list[WayOut]:
    """Changes that lead to a plan: one thing at a time, or else GPU and driver together."""
    found = list(_single_changes(wish))
    if found:
        return found
    both = [other for gpu in _other_gpus(wish) for other in _newer_drivers(gpu)]
    text = (
        "a GPU of compute capability {wish.compute_capability} ({wish.generations[0].name}) "
        "with a driver >= {wish.driver_version}"
    )
    return list(_possible(text, both))


def _single_changes(wish: Wish) -> Iterator[WayOut]:
    yield from _possible("a driver >= {wish.driver_version}", _newer_drivers(wish))
    yield from _possible("a driver of branch {wish.driver_version}", _older_drivers(wish))
    yield from _possible(
        "a GPU of compute capability {wish.compute_capability} ({wish.generations[0].name})",
        _other_gpus(wish),
    )
    yield from _possible(
        "only the GPUs of compute capability {wish.compute_capability}, by CUDA_VISIBLE_DEVICES in "
        "inferops_server_environment",
        _fewer_gpus(wish),
    )
    yield from _possible("vLLM {chosen.version}", [replace(wish, vllm_version="auto")])
    yield from _possible("a system with a newer glibc", [replace(wish, glibc_version=None)])
    yield from _possible("a machine with an x86_64 CPU", [replace(wish, architecture="x86_64")])
    yield from _possible("a Python of uv's choice", [replace(wish, python_versions=())])


def _possible(text: str, wishes: Iterable[Wish]) -> Iterator[WayOut]:
    """The first of *wishes* that has a plan."""
    for wish in wishes:
        chosen = next((one for one in _candidates(wish) if _obstacle(one, wish) is None), None)
        if chosen:
            yield WayOut(text.format(wish=wish, chosen=chosen), wish)
            return


def _newer_drivers(wish: Wish) -> Iterator[Wish]:
    for branch in DRIVER_BRANCHES:
        if wish.driver and branch > wish.driver:
            yield replace(wish, driver_version=str(branch))


def _older_drivers(wish: Wish) -> Iterator[Wish]:
    for branch in reversed(DRIVER_BRANCHES):
        if wish.driver and branch < wish.driver:
            yield replace(wish, driver_version=str(branch))


def _other_gpus(wish: Wish) -> Iterator[Wish]:
    """The wish on other architectures, the nearest first."""
    lowest = min(wish.capabilities, default=None)
    if lowest is None:
        return
    others = [row for row in GENERATIONS if row not in wish.generations]
    for row in sorted(others, key=lambda row: abs(row.capabilities[0] - lowest)):
        yield replace(wish, compute_capability=str(row.capabilities[0]))


def _fewer_gpus(wish: Wish) -> Iterator[Wish]:
    """The wish on one kind of its GPUs, the newest first."""
    if len(wish.capabilities) > 1:
        for capability in reversed(wish.capabilities):
            yield replace(wish, compute_capability=str(capability))


def _plan(candidate: _Candidate, wish: Wish, candidates: list[_Candidate]) -> dict[str, Any]:
    profile = PROFILES[wish.accelerator]
    row, build = candidate.series, candidate.build
    version = candidate.version + build.local_version
    of_gpu = max((row.oldest_driver for row in wish.generations), default=0)
    least = min(
        max(other.least_driver, of_gpu if other.build.cuda else 0)
        for other in candidates
        if _obstacle(other, replace(wish, driver_version=None)) is None
    )
    return {
        "accelerator": wish.accelerator,
        "vllm_version": candidate.version,
        "torch_version": row.torch,
        "torch_backend": build.backend,
        "cuda_version": _cuda(build),
        "torch_device": profile.torch_device,
        "distribution": profile.distribution,
        "requirements": [f"{profile.distribution}=={version}", f"torch=={row.torch}"],
        "constraints": [limit for limit in (row.numpy, row.transformers) if limit],
        "python": row.python,
        "python_version": _python(row, wish),
        "ray": row.ray,
        "indexes": [candidate.index] if candidate.index else [],
        "excluded": list(profile.excluded),
        "environment": dict(profile.environment),
        "installed_gib": profile.installed_gib,
        "download_gib": profile.download_gib,
        "image": _image(candidate),
        "least_driver": str(least) if least else "",
        "why": f"{candidate.name} with torch {row.torch} ({build.backend}) suits {wish.words}",
        "notes": list(_notes(candidate, wish, candidates)),
        "sources": [source for source in (row.source, build.source) if source],
    }


def _notes(candidate: _Candidate, wish: Wish, candidates: list[_Candidate]) -> Iterator[str]:
    """What the user should know about this plan."""
    newest = candidates[0]
    if wish.vllm_version == "auto" and newest is not candidate:
        yield f"{newest.name} {_obstacle(newest, wish)}"
    index = candidate.index
    if index:
        yield f"{candidate.name} is not on the package index, but at {index}"
    if index or candidate.version != candidate.series.resolved:
        yield f"{candidate.name} is in the table by its metadata; its lock was not tried"
    if min(wish.capabilities, default=inf) < _LEAST_CAPABILITY_FOR_BFLOAT16:
        yield "this GPU has no bfloat16: models in it need --dtype half"
    if _DOUBTFUL_CAPABILITY in wish.capabilities:
        yield (
            "vLLM no longer supports GPUs of compute capability 7.0 (V100): this release has "
            "kernels for them, and some of its features fail there; one of 7.5 or newer is safer"
        )


def _within(capability: float, span: tuple[float, float]) -> bool:
    return span[0] <= capability <= span[1]


def _cuda(build: Build) -> str:
    return ".".join(str(number) for number in build.cuda) if build.cuda else ""


def _major(build: Build) -> int:
    return build.cuda[0] if build.cuda else 0


def _image(candidate: _Candidate) -> str:
    """The container image of this very build: a release has it for its default build only."""
    is_default = candidate.build is candidate.series.builds[0] and candidate.build.cuda
    return f"docker.io/vllm/vllm-openai:v{candidate.version}" if is_default else ""


def _python(row: Series, wish: Wish) -> str:
    """The newest Python there that the release takes, "" for none."""
    suiting = [version for version in wish.python_versions if _allows(row.python, version)]
    return max(suiting, key=_numbers, default="")


def _allows(span: str, version: str) -> bool:
    """Whether *span*, such as ``>=3.10,<3.14``, allows a Python version."""
    lowest, _comma, above = span.removeprefix(">=").partition(",<")
    return _numbers(lowest) <= _numbers(version)[:2] < _numbers(above)


def _number(text: str | None) -> float | None:
    """The number that a text begins with; nvidia-smi writes [N/A] for what it does not know."""
    found = re.match(r"\d+([.]\d+)?", text or "")
    return float(found[0]) if found else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))
