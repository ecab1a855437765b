# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts that only say that something went wrong elsewhere."""

from __future__ import annotations

from .entry import ENVELOPE, OF_VLLM, TROUBLESHOOTING, Failure

ENVELOPES = (
    Failure(
        "worker_failed",
        (
            r"WorkerProc initialization failed due to an exception",
            r"Worker proc \S+ died unexpectedly",
            r"got fatal signal from worker processes",
        ),
        "A worker process failed; the log does not say why in words that are known here.",
        "Read the worker's traceback above that line.",
        "see the log",
        TROUBLESHOOTING,
        kind=ENVELOPE,
        engine=OF_VLLM,
    ),
    Failure(
        "engine_failed",
        (
            r"Engine core initialization failed|Engine process failed to start",
            r"EngineCore encountered (?:an issue|a fatal error)",
            r"EngineDeadError|Engine is already dead",
            r"Engine core proc \S+ died unexpectedly|Engine process \(pid \d+\) died",
        ),
        "The engine process failed; the log does not say why in words that are known here.",
        "Read the engine's traceback above that line.",
        "see the log",
        TROUBLESHOOTING,
        kind=ENVELOPE,
        engine=OF_VLLM,
    ),
)
