# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a model a server needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from .hub import File

WEIGHTS = ("*.safetensors",)
OLD_WEIGHTS = ("*.bin", "*.pt", "*.pth")
INCLUDED = (*WEIGHTS, "*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken", "*.py")
# The same weights once more, in another format or for other programs.
EXCLUDED = ("original/*", "metal/*", "onnx/*", "openvino/*", "coreml/*", ".*")
CONSOLIDATED = "consolidated*.safetensors"


def needed(files: Iterable[File], included: Sequence[str], excluded: Sequence[str]) -> list[File]:
    """The files to download. Without patterns of the user's own, each weight once.

    Old formats count only where there is no safetensors file.
    """
    patterns = tuple(included) or INCLUDED
    without = tuple(excluded) or EXCLUDED
    files = list(files)
    names = [file.name for file in files if not _fits(file.name, without)]
    if not included and not any(_fits(name, WEIGHTS) for name in names):
        patterns += OLD_WEIGHTS
    if not excluded and any(
        _fits(name, WEIGHTS) and not _fits(name, (CONSOLIDATED,)) for name in names
    ):
        without += (CONSOLIDATED,)
    return [f for f in files if _fits(f.name, patterns) and not _fits(f.name, without)]


def is_weights(name: str) -> bool:
    """Whether a file holds weights."""
    return _fits(name, (*WEIGHTS, *OLD_WEIGHTS))


def _fits(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
