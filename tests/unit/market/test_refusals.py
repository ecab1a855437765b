# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is not rented, because the model that it is for could not be served there."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.filter.rental_needs import rental_needs
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.estimate import (
    estimate,
)

STACK = {"installed_gib": 8.0, "download_gib": 3.5}
FIT = {"why": "it is large", "gpus": 2, "least_vram_gib": 16.1, "checkpoint_gib": 15.0}
LLAMA = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 128,
         "num_attention_heads": 4}  # fmt: skip
ASKED = {"gpu_count": "2", "vram_gib": "24", "gpu_names": []}


def needs(fit: dict[str, Any], model: str = "a/b", **asked: Any) -> dict[str, Any]:
    return rental_needs({**FIT, **fit}, model, STACK, {**ASKED, **asked})


def test_what_can_be_served_is_not_refused() -> None:
    assert needs({}, disk_gib="24")["refusal"] == ""
    assert needs({})["refusal"] == ""
    assert rental_needs({}, "a/b", STACK, {"gpu_count": 1})["refusal"] == ""


@pytest.mark.parametrize("insists", ["yes", True])
def test_what_is_computed_to_be_impossible_is_refused_unless_the_user_insists(insists: Any) -> None:
    impossible = {"refusal": "cannot start so: its heads cannot be shared."}
    told = needs(impossible)["refusal"]
    assert told.startswith("a/b cannot start so: its heads cannot be shared. If you know better")
    assert needs(impossible, ignore_fit=insists)["refusal"] == ""


def test_a_model_of_unknown_size_is_not_rented_just_any_gpu() -> None:
    unknown = {"unknown": True, "gpus": 1, "least_vram_gib": 0}
    told = needs(unknown, vram_gib=0)["refusal"]
    assert "Nothing says which GPU a/b needs: it is large. Set rent_vram_gib" in told
    for named in ({"vram_gib": 24}, {"gpu_names": "L4"}, {"ignore_fit": "true"}):
        assert needs(unknown, **{"vram_gib": 0, **named})["refusal"] == ""
    assert needs(unknown, model="", vram_gib=0)["refusal"] == ""


@pytest.mark.parametrize(
    ("config", "arguments"),
    [
        ({"model_type": "moon9", "architectures": ["Moon9ForCausalLM"]}, {}),
        ('{"hidden_size":', {}),
        (LLAMA, {"config": "/etc/vllm.yaml"}),
    ],
    ids=["a family that is not known", "a damaged config", "options in a file"],
)
def test_a_config_of_which_nothing_can_be_computed_is_no_licence_for_any_gpu(
    config: Any, arguments: dict[str, Any]
) -> None:
    fit = estimate(config, arguments)
    told = rental_needs(fit, "a/b", STACK, {"gpu_count": 1})["refusal"]
    assert f"Nothing says which GPU a/b needs: {fit['why']}" in told
    assert told.endswith("Set rent_vram_gib or rent_gpu_names.")
    assert rental_needs(fit, "a/b", STACK, {"gpu_count": 1, "vram_gib": 24})["refusal"] == ""


def test_fewer_gpus_than_the_options_ask_for_are_refused() -> None:
    assert "ask for 2 GPUs and rent_gpu_count is 1" in needs({}, gpu_count="1")["refusal"]
    assert needs({}, gpu_count=4)["refusal"] == ""


def test_a_card_on_which_the_model_cannot_start_is_refused() -> None:
    told = needs({}, vram_gib="12")["refusal"]
    assert "rent_vram_gib is 12, and a/b cannot start with less than 16.1 GiB" in told
    assert needs({})["least_vram_gib"] == 16.1
    assert needs({}, vram_gib=0)["refusal"] == ""
    insisting = needs({}, vram_gib="12", ignore_fit="true")
    assert (insisting["refusal"], insisting["least_vram_gib"]) == ("", 0)


def test_a_disk_that_is_too_small_for_model_and_stack_is_refused() -> None:
    told = needs({}, disk_gib="20")["refusal"]
    assert told.startswith("rent_disk_gib is 20, and a/b takes 15.0 GiB, its stack 8.0 GiB")
    assert needs({"checkpoint_gib": 0}, disk_gib="20")["refusal"] == ""


def test_a_model_shares_its_disk_with_the_stack_unless_either_lies_elsewhere() -> None:
    assert rental_needs(FIT, "a/b", STACK)["beside_gib"] == 8.0
    assert rental_needs(FIT, "a/b", STACK, lies_elsewhere=True)["beside_gib"] == 0
    assert rental_needs(FIT, "a/b")["beside_gib"] == 0
