# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures of the options given."""

from __future__ import annotations

from .entry import ENGINE_ARGUMENTS, Failure

OPTIONS = (
    Failure(
        "option_unknown",
        (r"error: unrecognized arguments: (?P<option>\S+)",),
        "This vLLM version has no option {option}.",
        "Correct or remove it in arguments.",
        "arguments",
        ENGINE_ARGUMENTS,
    ),
    Failure(
        "option_value",
        (
            r"error: argument (?P<option>\S+): invalid",
            r"error: argument (?P<option>\S+): expected",
            r"KeyError: .invalid (?P<option>(?:tool call|reasoning) parser)",
        ),
        "The option {option} does not take that value.",
        "Correct it in arguments.",
        "arguments",
        ENGINE_ARGUMENTS,
    ),
)
