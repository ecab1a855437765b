# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engines that can be asked for, by name, and how each spells intents.

The host's side of them is in ``host/engines``; a test holds both to the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .knowledge import Knowledge
from .llama_cpp.engine import LLAMA_CPP
from .spelling import Spelling
from .vllm.engine import VLLM

DEFAULT = "vllm"
SPELLINGS: dict[str, Spelling] = {"vllm": VLLM, "llama_cpp": LLAMA_CPP}


def spelling(engine: str) -> Spelling:
    """How this engine spells intents. One without words gets the remedies that need none."""
    return SPELLINGS.get(engine, Spelling())


def knowledge(engine: str) -> Knowledge:
    """What is known of this engine before it runs."""
    return spelling(engine).knowledge or Knowledge(engine)


def image_release(host: Mapping[str, Any], asked: Mapping[str, str]) -> tuple[str, str] | None:
    """The release and CUDA of the build of engine ``name`` that a host would get; None where nobody
    knows."""
    return knowledge(asked["name"]).image_release(host, asked)
