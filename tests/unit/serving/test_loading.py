# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How weights are read: by what was measured, by the user's own word, and by nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.knowledge import (
    Wish,
    read_line,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.registry import knowledge
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.loading import (
    AHEAD,
    NOT_CHOSEN,
    TABLE,
    choose,
    foreseen,
)
from tests.tools.tree import REPOSITORY

STACK = {"vllm_version": "0.32.0"}
GIB = 1024**3


def host(**weights: Any) -> dict[str, Any]:
    """A host of 64 GiB with 16 GiB of weights on a shared file system, none of it in memory."""
    placed = {"bytes": 16 * GIB, "file_system": "virtiofs", "cached_share": 0.02, **weights}
    return {"host": {"memory_usable_mib": 64 * 1024}, "model": {"weights": placed}}


def wish(**more: Any) -> Wish:
    return Wish(**{"engine": "vllm", "stack": STACK, **more})


@pytest.mark.parametrize("file_system", ["virtiofs", "ceph"])
def test_where_reading_ahead_was_measured_to_be_faster_it_is_chosen(file_system: str) -> None:
    chosen = choose(host(file_system=file_system), wish())
    assert chosen["arguments"] == AHEAD
    assert read_line(chosen) == (
        "weights are read with safetensors_load_strategy prefetch: reading ahead was measured to "
        "be several times as fast there"
    )


@pytest.mark.parametrize(
    ("weights", "why"),
    [
        ({"file_system": "ext4"}, "nothing was measured to be faster there"),
        ({"file_system": "overlay"}, "nothing was measured to be faster there"),
        ({"file_system": "fuse.ceph"}, "nothing was measured to be faster there"),
        ({"file_system": "nfs4"}, "vLLM reads ahead there by itself"),
        ({"file_system": "lustre"}, "vLLM reads ahead there by itself"),
        ({"cached_share": 1.0}, "memory holds them already"),
        ({"cached_share": 0.95}, "memory holds them already"),
    ],
)
def test_everywhere_else_the_default_stays_and_the_reason_is_told(
    weights: dict[str, Any], why: str
) -> None:
    chosen = choose(host(**weights), wish())
    assert chosen["arguments"] == {}
    assert read_line(chosen).startswith(f"weights are read by default: {why}")


def test_what_memory_cannot_hold_is_not_read_ahead() -> None:
    assert choose(host(bytes=57 * GIB), wish())["arguments"] == AHEAD
    large = choose(host(bytes=58 * GIB), wish())
    assert large["arguments"] == {}
    assert "memory does not hold them" in large["why"]
    unknown = {**host(), "host": {"memory_usable_mib": None}}
    assert choose(unknown, wish())["arguments"] == {}


@pytest.mark.parametrize(
    ("arguments", "words", "named"),
    [
        ({"load_format": "auto"}, [], "load_format"),
        ({"load-format": "safetensors"}, [], "load_format"),
        ({"safetensors_load_strategy": "lazy"}, [], "safetensors_load_strategy"),
        ({"safetensors_load_strategy": None}, [], "safetensors_load_strategy"),
        ({}, ["--safetensors-load-strategy", "eager"], "safetensors_load_strategy"),
        ({}, ["--safetensors-load=eager"], "safetensors_load_strategy"),
        ({}, ["--safetensors-prefetch-num-threads", "4"], "safetensors_prefetch_num_threads"),
        ({}, ["--model-loader-extra-config.num_threads=4"], "model_loader_extra_config"),
        ({"model_loader_extra_config": {"num_threads": 4}}, [], "model_loader_extra_config"),
        ({"config": "/a.yml"}, [], "config"),
    ],
)
def test_what_the_user_has_said_of_it_stays(
    arguments: dict[str, Any], words: list[str], named: str
) -> None:
    chosen = choose(host(), wish(arguments=arguments, extra_args=words))
    assert chosen["arguments"] == {}
    assert read_line(chosen) == f"weights are read as you ask: {named} is set"


@pytest.mark.parametrize("release", ["0.20.2", "0.10.2", "0.6.0", "99.0", "", None])
def test_what_a_release_is_not_known_to_do_is_not_asked_of_it(release: str | None) -> None:
    chosen = choose(host(), wish(stack={"vllm_version": release}))
    assert chosen["arguments"] == {}
    assert "which this release is not known to do" in chosen["why"]
    assert choose(host(), wish(stack={"vllm_version": "0.21.0"}))["arguments"] == AHEAD


def test_other_engines_and_servers_on_a_processor_are_left_alone() -> None:
    assert knowledge("other").reading(host(), wish(engine="other"))["arguments"] == {}
    assert choose(host(), wish(accelerator="cpu"))["arguments"] == {}


@pytest.mark.parametrize(
    "weights",
    [None, "none", {}, {"bytes": "9" * 5000}, {"bytes": True}, {"bytes": 10**400}, [1]],
)
def test_a_host_that_tells_nonsense_gets_the_default(weights: Any) -> None:
    placed = {**host()["model"]["weights"], **weights} if isinstance(weights, dict) else weights
    placed = {} if weights == {} else placed
    assert choose({**host(), "model": {"weights": placed}}, wish())["arguments"] == {}
    assert choose({**host(), "model": {}}, wish())["arguments"] == {}


@pytest.mark.parametrize("name", ["file_system", "cached_share"])
@pytest.mark.parametrize("value", [None, "x" * 10**6, ["virtiofs"], {}, float("nan"), -1])
def test_so_does_one_that_tells_it_of_a_part(name: str, value: Any) -> None:
    chosen = choose(host(**{name: value}), wish())
    assert chosen["arguments"] == {}
    assert len(chosen["why"]) < 200


def test_a_plan_says_what_is_expected_of_an_offer() -> None:
    assert "memory holds them already" in foreseen(15.3, 64, wish())["why"]
    assert "memory does not hold them" in foreseen(130.0, 64, wish())["why"]
    for size, ram in ((0, 64), (15.3, 0), (0, 0)):
        assert foreseen(size, ram, wish())["why"] == "nobody knows what memory will hold of them"
    own = wish(arguments={"load_format": "runai_streamer"})
    assert foreseen(15.3, 64, own)["how"] == "as you ask"


def test_nothing_is_chosen_that_needs_a_package_of_its_own() -> None:
    for row in TABLE:
        assert "load_format" not in row.arguments, row.where


def test_the_reference_shows_the_table_with_its_sources() -> None:
    page = (REPOSITORY / "docs" / "reference.md").read_text()
    for row in TABLE:
        chosen = ", ".join(f"`{name}: {value}`" for name, value in row.arguments.items())
        told = f"{row.where} | {chosen or 'the default'} | {row.why} | {row.sources}"
        assert f"| {told} |" in page, told
    for row in NOT_CHOSEN:
        assert f"| {row.where} | {row.why} | {row.sources} |" in page, row.where
