# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a model a server needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from ..common import gguf_names
from .hub import File

WEIGHTS = ("*.safetensors",)
OLD_WEIGHTS = ("*.bin", "*.pt", "*.pth")
INCLUDED = (*WEIGHTS, "*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken", "*.py")
# The same weights once more, in another format or for other programs.
EXCLUDED = ("original/*", "metal/*", "onnx/*", "openvino/*", "coreml/*", ".*")
CONSOLIDATED = "consolidated*.safetensors"

SAFETENSORS, GGUF = "safetensors", "gguf"
FORMATS = (SAFETENSORS, GGUF)
"""What an engine loads its weights from. A GGUF file has all else of its model in it."""

PREFERRED = ("q4_k_m", "q8_0")
"""The quantisation that is taken of a model which is there in many, the best first: llama.cpp takes
the first of them, too. Where there is none of them it is the first by name."""

_PROJECTOR = re.compile(r"mmproj", re.IGNORECASE)
_HALF = re.compile(r"(?<!b)f16", re.IGNORECASE)


def needed(
    files: Iterable[File],
    included: Sequence[str],
    excluded: Sequence[str],
    weights_format: str = SAFETENSORS,
) -> list[File]:
    """The files to download. Without patterns of the user's own, each weight once.

    Old formats count only where there is no safetensors file. Of GGUF files it is one quantisation,
    with all its parts, and one projector where the model takes images.
    """
    if weights_format == GGUF and not included:
        return _one_gguf([file for file in files if not _fits(file.name, excluded)])
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
    return _fits(name, (*WEIGHTS, *OLD_WEIGHTS, f"*.{GGUF}"))


def model_file(names: Iterable[str]) -> str:
    """The GGUF file that is loaded of a model with these files, of one in parts the first.

    Raises ValueError where there is none, or several.
    """
    found = [name for name in sorted(names) if _fits(name, (f"*.{GGUF}",))]
    models = [name for name in found if not _PROJECTOR.search(name) and gguf_names.is_first(name)]
    if len(models) == 1:
        return models[0]
    told = f"several models: {', '.join(models)}" if models else "no GGUF file"
    raise ValueError(
        f"What is chosen has {told}. Choose one by model_cache_include, such as '*Q4_K_M*.gguf'."
    )


def unusable(
    model: str, files: Iterable[File], included: Sequence[str], weights_format: str
) -> str:
    """Why no server could load these files, which `needed` has chosen of a model; else empty."""
    names = [file.name for file in files]
    if not names and weights_format == GGUF and not included:
        return (
            f"{model} has no GGUF file: name a model that has, such as one that ends with -GGUF, "
            "or serve it with another engine (inferops_engine)."
        )
    if not names:
        return f"No file of {model} fits include and exclude: change them."
    try:
        if weights_format == GGUF:
            model_file(names)
    except ValueError as error:
        return str(error)
    return ""


def _one_gguf(files: Sequence[File]) -> list[File]:
    found = sorted((f for f in files if _fits(f.name, (f"*.{GGUF}",))), key=lambda f: f.name)
    projectors = [file for file in found if _PROJECTOR.search(file.name)]
    models: dict[str, list[File]] = {}
    for file in found:
        if file not in projectors:
            models.setdefault(gguf_names.whole(file.name), []).append(file)
    chosen = min(models, key=_rank, default="")
    # Those of half precision are what every GPU and CPU computes with.
    projectors.sort(key=lambda file: not _HALF.search(file.name))
    return [*models.get(chosen, []), *projectors[:1]] if models else []


def _rank(name: str) -> int:
    """Which place a quantisation has; of the same ones the first by name counts."""
    word = name.lower()
    return next((rank for rank, one in enumerate(PREFERRED) if one in word), len(PREFERRED))


def _fits(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
