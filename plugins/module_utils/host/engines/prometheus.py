# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from .engine import Sample


def parse(text: str, names: Mapping[str, Collection[str]], added: Collection[str]) -> Sample:
    """A sample, each figure from the first of its names that is there.

    Those of `added` are summed over all series of that name; of the others the highest counts.
    """
    found: dict[str, list[float]] = {}
    for line in text.splitlines():
        name = line.partition("{")[0].partition(" ")[0]
        try:
            found.setdefault(name, []).append(float(line.rsplit(" ", 1)[-1]))
        except ValueError:
            continue
    figures = {}
    for figure, known in names.items():
        values = next((found[name] for name in known if name in found), None)
        if values:
            figures[figure] = sum(values) if figure in added else max(values)
    return Sample(**figures)
