# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a start has come, read from vLLM's own log lines.

The texts are those of vLLM 0.10 to 0.33. Only the message is matched: prefix, file and line
number of a log line changed several times.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Phase(NamedTuple):
    """One step of a start: `text` may take named groups of the pattern."""

    pattern: str
    text: str


PHASES = (
    Phase(r"version \d+\.\d+\.\d+\S*$|non-default args:", "reading the configuration"),
    Phase(r"Resolved architecture: (?P<arch>\w+)", "configuring {arch}"),
    Phase(r"Initializing a V\d LLM engine", "starting the engine"),
    Phase(r"world_size=\d+ rank=\d+", "joining the workers"),
    Phase(r"Starting to load model", "loading weights"),
    Phase(r"Time spent downloading weights", "loading weights"),
    Phase(
        r"(?:checkpoint shards|Downloading|Fetching \d+ files):\s{1,9}(?P<percent>\d+)%.{0,200}?"
        r"\|\s{0,9}(?P<done>\d+)/(?P<total>\d+)",
        "loading weights {done}/{total}",
    ),
    Phase(r"Loading weights took|Model loading took", "weights loaded"),
    Phase(r"Starting torch\.compile|Dynamo bytecode transform", "compiling"),
    Phase(r"torch\.compile took|Directly load AOT compilation", "compiled"),
    Phase(r"Available KV cache memory|KV cache size:", "reserving the KV cache"),
    Phase(r"Capturing CUDA graphs?", "capturing CUDA graphs"),
    Phase(r"Graph capturing finished", "CUDA graphs captured"),
    Phase(r"init engine \(profile", "engine ready"),
    Phase(r"Starting vLLM (?:API )?server", "opening the port"),
    Phase(r"Application startup complete", "serving"),
)

_COMPILED = tuple((re.compile(phase.pattern), phase.text) for phase in PHASES)


def current(log_text: str) -> str | None:
    """The text of the last phase that the log shows, or None when it shows none."""
    # A progress bar rewrites its line with carriage returns: each part counts as a line.
    for line in reversed(re.split(r"[\r\n]+", log_text)):
        for pattern, text in reversed(_COMPILED):
            match = pattern.search(line)
            if match:
                return text.format(**match.groupdict())
    return None
