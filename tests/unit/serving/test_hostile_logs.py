# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A log may be written by somebody who wants to hold us up: what is said of it, and how long that
takes, has a bound.
"""

from __future__ import annotations

import re
from string import Formatter

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.host.engines.vllm.phases import current
from ansible_collections.inferops.gpu.plugins.module_utils.serving import diagnosis, messages
from ansible_collections.inferops.gpu.plugins.module_utils.serving.diagnosis import (
    diagnose,
    explain,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.engine import VLLM
from ansible_collections.inferops.gpu.plugins.module_utils.serving.failures import (
    FAILURES,
    IN_PASSING,
    NOISE,
    Failure,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.messages import (
    MOST_CHARACTERS,
    MOST_LINES,
    PIECE,
)
from tests.growth import grows_with_its_text

CHARACTERS = 200_000
WORDS = ["ray", "ray ", " ", "1", "a", "[", "(", "'", "\t", "-", ".", "_", "│ ", "a | ", "x.py:1] "]
WORDS += [
    "(a pid=1) ",
    "INFO ",
    "\x1b[",
    "\x1b[1",
    "Jan 1 00:00:00 a b[1]: ",
    "2025-01-01 00:00:00 ",
    "ERROR 01-01 00:00:00 [a.py:1] ",
    "ValueError: ",
    "Value error, ",
    "--a ",
    "max_num_seqs ",
    "1 validation error for AConfig ",
    "#033[1m",
    "a.b.",
]
WORDS += ["\n", "\r", "ray\n", "a: b\r\n"]
DISK_FULL = "OSError: [Errno 28] No space left on device"
XID = "NVRM: Xid (PCI:0000:01:00): {}, pid=15349, name=Main"


def patterns_of(failure: Failure) -> tuple[str, ...]:
    return failure.signatures + failure.shapes + failure.last + failure.kernel


def own_words(pattern: str) -> list[str]:
    """The plain texts that a pattern consists of: what it begins to match, again and again."""
    plain = re.sub(r"\\(?=[^\w\s])", "", re.sub(r"\(\?[^)]*\)|\\[a-zA-Z]|[+*?]", " ", pattern))
    return [f"{word} " for word in re.findall(r"[\w.,:()\[\]'`/ -]{4,}", plain)]


def search_all(patterns: list[str], text: str) -> None:
    for pattern in patterns:
        re.search(pattern, text)


def long(word: str) -> str:
    return (word * (CHARACTERS // len(word) + 1))[:CHARACTERS]


ALL_PATTERNS = [pattern for failure in FAILURES for pattern in patterns_of(failure)]
ALL_PATTERNS += [entry.signature for entry in (*NOISE, *IN_PASSING)]
ALL_PATTERNS += [each.pattern for each in (*VLLM.fitting_context, *VLLM.asked_context)]
ALL_PATTERNS += [each.pattern for each in (*VLLM.fitting_requests, *VLLM.asked_rank)]
ALL_PATTERNS += [each.pattern for each in VLLM.asked_step]
ALL_PATTERNS += [
    each.pattern
    for module in (diagnosis, messages)
    for each in vars(module).values()
    if isinstance(each, re.Pattern)
]


@pytest.mark.parametrize("word", WORDS)
def test_no_pattern_of_the_catalogue_can_be_held_up_by_one_word_said_for_ever(word: str) -> None:
    assert grows_with_its_text(lambda text: search_all(ALL_PATTERNS, text), long(word))


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.id)
def test_no_pattern_can_be_held_up_by_what_it_looks_for(failure: Failure) -> None:
    for pattern in map(re.compile, patterns_of(failure)):
        for word in own_words(pattern.pattern):
            assert grows_with_its_text(pattern.search, long(word)), word


@pytest.mark.parametrize("word", WORDS)
def test_an_explanation_takes_a_time_that_grows_with_its_log(word: str) -> None:
    assert grows_with_its_text(lambda text: explain(text, 1, kernel_log=text), long(word))
    assert grows_with_its_text(current, long(word))


def test_of_a_log_without_end_its_begin_and_its_end_are_read() -> None:
    filler = "x" * 4000 + "\n"
    endless = filler * (MOST_CHARACTERS // 2000)
    assert explain(f"{DISK_FULL}\n{endless}", 1)["cause_id"] == "disk_full"
    assert explain(f"{endless}{DISK_FULL}\n", 1)["cause_id"] == "disk_full"
    assert explain(f"{endless}{DISK_FULL}\n{endless}", 1)["cause_id"] == "unknown"
    short = "x\n" * MOST_LINES
    assert explain(f"{short}{DISK_FULL}\n{short}", 1)["cause_id"] == "unknown"
    assert explain(f"{short}{short}{DISK_FULL}", 1)["cause_id"] == "disk_full"


def test_a_cause_is_found_in_a_long_line_and_what_it_says_in_passing_stays_that() -> None:
    assert explain("x" * 10 * PIECE + f" {DISK_FULL}", 1)["cause_id"] == "disk_full"
    asked = "INFO 08-21 03:42:51 [logger.py:40] prompt: '" + "x" * 2 * PIECE + f"{DISK_FULL}'"
    assert diagnose(asked) == []


@pytest.mark.parametrize("xid", [1, 109, 154, 999, 999_999_999])
def test_an_xid_that_nobody_knows_is_explained_as_one(xid: int) -> None:
    failure = explain("", 1, kernel_log=XID.format(xid))
    assert failure["cause_id"] == "gpu_error_unknown"
    assert failure["cause"].endswith(f"Xid {xid}: see the list of NVIDIA.")
    assert failure["evidence"] == [XID.format(xid)]


def test_what_the_log_says_outranks_an_xid_that_nobody_knows() -> None:
    assert explain(DISK_FULL, 1, kernel_log=XID.format(999))["cause_id"] == "disk_full"


@pytest.mark.parametrize("number", ["9" * 5000, "²", "", "-1", "0x4f"])
def test_a_number_that_is_none_ends_nothing(number: str) -> None:
    assert explain("", 1, kernel_log=XID.format(number))["cause_id"] == "unknown"
    said = f"The model's max seq len ({number}) is larger than the maximum number of tokens that"
    explain(f"{said} can be stored in KV cache ({number})", 1)


def test_every_signature_gives_what_its_sentences_ask_for() -> None:
    for failure in FAILURES:
        texts = (failure.cause, failure.remedy)
        asked = {name for text in texts for _1, name, _2, _3 in Formatter().parse(text) if name}
        for pattern in patterns_of(failure):
            assert asked <= set(re.compile(pattern).groupindex), (failure.id, pattern)
