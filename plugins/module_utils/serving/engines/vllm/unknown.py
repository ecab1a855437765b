# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which options of a server the vLLM that will run does not know, before anything is rented.

The host asks vLLM's own parser, which says more, when all is paid for and installed. Here a table
of names tells, so nothing is refused that may be right: an option that a plugin adds to the parser,
or one of a release that the table does not have.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ....common.engines.vllm.words import Unknown, canonical, having, options_of, read, releases


def unknown_options(
    arguments: Mapping[str, Any], extra_args: Sequence[str], may_run: Sequence[str]
) -> Iterator[str]:
    """What is wrong with these, one sentence each, whichever of the releases runs; the most likely
    comes first. Nothing where a release is among them that is not known."""
    if not may_run or not set(may_run) <= set(releases()):
        return
    for key in sorted(arguments):
        unknown = [one for release in may_run if (one := _unknown_name(key, release))]
        if len(unknown) == len(may_run):
            yield f"arguments: {_words(unknown[0], may_run)}"
    lines = [read(map(str, extra_args), options_of(release)) for release in may_run]
    for one in lines[0].unknown:
        if all(one.name in [other.name for other in line.unknown] for line in lines):
            yield f"extra_args: {_words(one, may_run)}"
    if not any(line.unknown for line in lines):
        for word in lines[0].loose:
            if all(word in line.loose for line in lines):
                yield f"extra_args: {word!r} belongs to no option."


def _unknown_name(key: str, release: str) -> Unknown | None:
    options = options_of(release)
    head = canonical(key, options).partition(".")[0].replace("_", "-")
    try:
        options.find(f"--{head}")
    except Unknown as unknown:
        return unknown
    return None


def _words(unknown: Unknown, may_run: Sequence[str]) -> str:
    name, options = unknown.name, options_of(may_run[0])
    if unknown.several:
        several = " and ".join(unknown.several)
        return f"{name} may be {several} of vLLM {may_run[0]}: write it in full."
    if len(may_run) == 1:
        said = f"vLLM {may_run[0]} has no option {name}"
    else:
        said = f"no vLLM that may be chosen ({', '.join(may_run)}) has an option {name}"
    others = having(name)
    if others:
        said += f", which {_spans(others)} had"
    near = difflib.get_close_matches(name, options.names, n=1)
    return f"{said}. The nearest that it has is {near[0]}." if near else f"{said}."


def _spans(some: Sequence[str]) -> str:
    """Releases in words, those that follow each other by their first and last."""
    order = releases()
    begins = [one for one in some if one == order[0] or order[order.index(one) - 1] not in some]
    ends = [one for one in some if one == order[-1] or order[order.index(one) + 1] not in some]
    spans = zip(begins, ends)
    return " and ".join(first if first == last else f"{first} to {last}" for first, last in spans)
