# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is decided before anything is rented: which host, and whether an image has the engine."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.inferops.gpu.plugins.filter.model_plan import model_plan
from ansible_collections.inferops.gpu.plugins.filter.prebuilt_engine import prebuilt_engine
from ansible_collections.inferops.gpu.plugins.filter.rental_needs import rental_needs

LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "torch_dtype": "bfloat16",
}
NEW = {**LLAMA, "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3"}
RENTAL, OFFER = {"id": "7"}, {"id": "1"}
WITH_ENGINE = {**OFFER, "engine_image": {"name": "a/b"}}
WISH = {"engine": "vllm", "python": "auto"}


def test_a_model_says_which_memory_release_and_driver_to_rent() -> None:
    told = model_plan({"config": NEW, "weights_bytes": 0}, {"release": "auto"})
    assert told["fit"]["vram_gib"] > 16
    assert "unknown" not in told["fit"]
    assert told["least_release"] == told["engine"]["least_release"] == "0.8.4"
    assert told["least_driver"]
    assert told["engine"] == {
        "name": "vllm",
        "accelerator": "cuda",
        "release": "auto",
        "least_release": "0.8.4",
    }


def test_a_config_that_is_given_counts_more_than_what_the_hub_says() -> None:
    told = model_plan({"config": LLAMA}, {"config": NEW})
    assert told["least_release"] == "0.8.4"


def test_the_size_that_the_hub_tells_counts_without_a_config() -> None:
    told = model_plan({"weights_bytes": 16060522496}, {})
    assert "unknown" not in told["fit"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"skipped": True, "msg": "skipped"}, "(give inferops_model_config)"),
        ({"note": "it asks for a token", "msg": "x"}, "(it asks for a token)"),
        ({"failed": True, "msg": "no route"}, "(no route)"),
        ({"note": "", "config": {}}, "(the hub has none)"),
    ],
)
def test_a_model_that_nothing_is_known_of_says_why(asked: dict[str, Any], said: str) -> None:
    """Then role rent asks for a size instead of taking the cheapest card of all."""
    told = model_plan(asked, {})
    assert told["fit"]["unknown"]
    assert told["fit"]["why"] == (
        f"its memory is not computed, because its config.json is not known {said}"
    )
    assert "Nothing says which GPU a/b needs" in rental_needs(told["fit"], "a/b")["refusal"]


def test_a_release_that_does_not_know_the_model_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match=r"0\.8\.4"):
        model_plan({"config": NEW}, {"release": "0.7.3"})


def test_an_option_that_is_no_number_is_named_before_anything_is_rented() -> None:
    with pytest.raises(AnsibleFilterError, match=r"Options of the engine: .*max_model_len"):
        model_plan({"config": LLAMA}, {"arguments": {"max_model_len": "long"}})


def test_of_another_engine_nothing_is_computed_and_its_own_driver_counts() -> None:
    told = model_plan({"config": NEW}, {"engine": "llama_cpp"})
    assert (told["least_release"], told["least_driver"]) == ("", "570")
    assert told["fit"]["fits"] == "unknown"


def test_what_is_not_installed_needs_no_disk() -> None:
    stack = {"installed_gib": 8.0, "download_gib": 4.0}
    assert rental_needs({}, "a/b", stack)["stack_gib"] == 8.0
    assert rental_needs({}, "a/b", stack, {"given_python": "/venv/python"})["stack_gib"] == 0.0


@pytest.mark.parametrize(
    ("wish", "installs", "rented"),
    [
        (WISH, False, True),
        (WISH, True, False),
        ({**WISH, "python": ""}, False, False),
        ({**WISH, "python": "/p"}, False, False),
        ({**WISH, "extra_requirements": ["a"]}, False, False),
        ({**WISH, "lock_file": "lock"}, False, False),
        ({**WISH, "engine": "llama_cpp"}, False, False),
    ],
)
def test_an_image_with_the_engine_is_rented_only_where_it_can_do(
    wish: dict[str, Any], installs: bool, rented: bool
) -> None:
    assert prebuilt_engine(wish, installs)["rented"] == rented


@pytest.mark.parametrize(
    ("wish", "rental", "offer", "image", "looked_for"),
    [
        (WISH, RENTAL, WITH_ENGINE, "", True),
        (WISH, RENTAL, OFFER, "", False),
        (WISH, RENTAL, OFFER, "my/image", True),
        (WISH, RENTAL, {}, "", True),
        (WISH, {"own": True}, {}, "", False),
        (WISH, {}, {}, "", False),
        ({**WISH, "python": "/p"}, {"own": True}, OFFER, "", True),
        ({**WISH, "python": ""}, RENTAL, WITH_ENGINE, "", False),
        ({**WISH, "lock_file": "lock"}, RENTAL, WITH_ENGINE, "", False),
        ({**WISH, "extra_requirements": ["a"]}, RENTAL, {}, "", False),
    ],
)
def test_a_host_is_looked_at_for_the_engine_only_where_its_image_may_have_it(
    wish: dict[str, Any],
    rental: dict[str, Any],
    offer: dict[str, Any],
    image: str,
    looked_for: bool,
) -> None:
    told = prebuilt_engine(wish, rental=rental, offer=offer, image=image)
    assert told["looked_for"] == looked_for


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({**WISH, "python": "/p", "lock_file": "lock"}, "stack_lock_file cannot be fulfilled"),
        ({**WISH, "python": "/p", "engine": "llama_cpp"}, "of another engine, and llama_cpp is"),
        ({**WISH, "python": "/p"}, ""),
        ({**WISH, "lock_file": "lock"}, ""),
        ({**WISH, "engine": "llama_cpp"}, ""),
    ],
)
def test_an_environment_that_cannot_do_is_refused(wish: dict[str, Any], said: str) -> None:
    refusal = prebuilt_engine(wish)["refusal"]
    assert said in refusal
    assert bool(refusal) == bool(said)
