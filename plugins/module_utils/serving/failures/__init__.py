# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue of failures: how each shows itself, what causes it, what to change.

One entry is one cause. The texts are those that vLLM 0.4 to 0.33 and the libraries below it
print; log prefixes are not part of them. Order is rank: where a log fits several causes, the entry
that stands first is the likelier one, so specific texts stand before general ones.
"""

from __future__ import annotations

from .architecture import ARCHITECTURE
from .download import DOWNLOAD
from .endings import ENDINGS
from .entry import ENVELOPE, ROOT, YIELDING, Failure
from .envelopes import ENVELOPES
from .gpu import GPU
from .gpu_memory import GPU_MEMORY
from .installation import INSTALLATION
from .llama_cpp import LLAMA_CPP
from .model import MODEL
from .noise import IN_PASSING, NOISE
from .options import OPTIONS
from .parallel import PARALLEL
from .ports import PORTS

__all__ = ["ENVELOPE", "FAILURES", "IN_PASSING", "NOISE", "ROOT", "YIELDING", "Failure", "find"]

FAILURES = (
    *LLAMA_CPP,
    *GPU_MEMORY,
    *GPU,
    *MODEL,
    *PARALLEL,
    *DOWNLOAD,
    *PORTS,
    *INSTALLATION,
    *ARCHITECTURE,
    *OPTIONS,
    *ENDINGS,
    *ENVELOPES,
)


def find(failure_id: str) -> Failure | None:
    """The entry with this id, or None."""
    return next((failure for failure in FAILURES if failure.id == failure_id), None)
