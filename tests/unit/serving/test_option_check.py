# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An option that no vLLM knows which may run is told before anything is rented."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.common.engines.vllm.words import releases
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.planning import (
    choosable,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.releases import (
    SERIES,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.unknown import (
    unknown_options,
)


@pytest.mark.parametrize(
    ("arguments", "extra_args", "said"),
    [
        (
            {"max_modle_len": 8192},
            [],
            "arguments: vLLM 0.32.0 has no option --max-modle-len. "
            "The nearest that it has is --max-model-len.",
        ),
        (
            {},
            ["--swap-space=4"],
            "extra_args: vLLM 0.32.0 has no option --swap-space, which 0.6.0 to 0.17.1 had.",
        ),
        (
            {"disable_log_requests": True},
            [],
            "arguments: vLLM 0.32.0 has no option --disable-log-requests, which 0.6.0 to 0.16.0 "
            "and 0.33.0 had. The nearest that it has is --enable-log-requests.",
        ),
        (
            {},
            ["--max-num", "8"],
            "extra_args: --max-num may be --max-num-active-seqs and --max-num-batched-tokens and "
            "--max-num-queued-reqs and --max-num-queued-tokens and --max-num-scheduled-tokens and "
            "--max-num-seqs of vLLM 0.32.0: write it in full.",
        ),
        (
            {},
            ["--enforce-eager", "true"],
            "extra_args: 'true' belongs to no option.",
        ),
    ],
)
def test_an_unknown_option_is_named_with_the_release_and_the_nearest_one(
    arguments: dict[str, Any], extra_args: list[str], said: str
) -> None:
    assert list(unknown_options(arguments, extra_args, ["0.32.0"])) == [said]


@pytest.mark.parametrize(
    ("arguments", "extra_args"),
    [
        ({"tensor-parallel": 2, "-dp": 2, "cc.mode": 3, "hf_overrides.a_b": 1, "O": 3}, []),
        (
            {"no_enable_prefix_caching": True},
            ["--no-enable-lora", "-tp", "2", "-O3", "--seed", "-1"],
        ),
        ({}, ["--lora-modules", "model=/x", "port=/y", "--hf_overrides", '{"a": "--b"}']),
    ],
)
def test_every_way_to_write_an_option_is_known(
    arguments: dict[str, Any], extra_args: list[str]
) -> None:
    assert list(unknown_options(arguments, extra_args, ["0.32.0"])) == []


def test_what_a_release_knows_that_may_run_is_not_refused() -> None:
    may_run = choosable("cuda")
    assert len(may_run) > 1
    gone = {"disable_log_requests": True}
    assert list(unknown_options(gone, [], ["0.32.0", "0.16.0"])) == []
    assert list(unknown_options({"cohere_format": "cmd4"}, [], ["0.33.0", "0.19.1"])) == []
    (told,) = unknown_options({"max_modle_len": 1}, [], may_run)
    assert f"no vLLM that may be chosen ({', '.join(may_run)})" in told


def test_nothing_is_refused_of_a_release_that_the_table_does_not_have() -> None:
    assert list(unknown_options({"max_modle_len": 1}, ["--x"], ["99.0.0"])) == []
    assert list(unknown_options({"max_modle_len": 1}, ["--x"], ["0.32.0", "99.0.0"])) == []


def test_releases_are_chosen_by_the_drivers_and_gpus_that_are_searched_for() -> None:
    assert choosable("cuda", "0.32.0") == ["0.32.0"]
    newest = choosable("cuda")[0]
    assert choosable("cuda", "auto", least_driver="580", least_capability="8.0") == [newest]
    assert choosable("cpu") == ["0.32.0"]


def test_every_release_that_can_be_asked_for_is_in_the_table() -> None:
    asked = {version for row in SERIES for version in row.versions}
    assert asked <= set(releases())
