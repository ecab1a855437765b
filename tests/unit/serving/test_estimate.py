# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a model fits on a host is decided from one look at it."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.filter.model_fit import model_fit
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.knowledge import (
    Wish as AnyWish,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.registry import (
    SPELLINGS,
    knowledge,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.spelling import Spelling
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.estimate import (
    on_host,
)

MODELS = json.loads((Path(__file__).parent / "fixtures" / "models.json").read_text())
LLAMA = {**MODELS[0]["config"], "max_position_embeddings": 131072}
SIZE = 16060522496
Wish = partial(AnyWish, "vllm")


def gpu(index: int = 0, used_mib: int = 450) -> dict[str, Any]:
    free = 24564 - used_mib
    memory = {"memory_total_mib": 24564, "memory_used_mib": used_mib, "memory_free_mib": free}
    return {"index": index, "uuid": f"GPU-{index}", "compute_capability": "8.9", **memory}


def look(
    *gpus: dict[str, Any],
    processes: int = 0,
    before: dict[str, int] | None = None,
    config: str | None = json.dumps(LLAMA),
    weights: int | None = SIZE,
    available: int | None = 64000,
    limit: int | None = None,
) -> dict[str, Any]:
    """A host as module host_look returns it, as far as the estimate reads it."""
    return {
        "gpu": {"gpus": list(gpus or [gpu()])},
        "host": {"memory_available_mib": available, "memory_limit_mib": limit},
        "server": {"processes": processes, "memory_before_mib": before or {}},
        "model": {"config": config, "weights_bytes": weights},
    }


CPU = Wish(accelerator="cpu")


def test_what_was_left_open_is_chosen_for_the_gpus_of_the_host() -> None:
    fit = on_host(look(), Wish())
    assert fit["fits"] == "yes"
    assert fit["arguments"]["gpu_memory_utilization"] == 0.9
    assert "(published)" in fit["why"]
    assert "(published)" not in on_host(look(weights=None), Wish())["why"]


class Growing(str):
    """A text of a host's that fills the controller as soon as somebody multiplies it."""

    __slots__ = ()

    def __mul__(self, _factor: object) -> str:
        raise AssertionError("it fills the controller")


@pytest.mark.parametrize("name", ["memory_total_mib", "memory_used_mib"])
@pytest.mark.parametrize("odd", [Growing("9"), [9], True, -1, 10**400, float("nan"), None])
def test_a_size_that_a_host_tells_and_that_is_none_is_not_computed_with(
    name: str, odd: Any
) -> None:
    fit = on_host(look({**gpu(), name: odd}), Wish())
    assert fit["fits"] == "unknown"
    assert fit["why"] == "The driver does not tell how much memory its GPU has"


def test_nothing_is_computed_for_an_engine_that_nobody_has_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(SPELLINGS, "other", Spelling())
    # Options that vLLM would refuse, and a model that does not fit: both are vLLM's business.
    given = {"arguments": {"gpu_memory_utilization": "all", "max_model_len": 10**9}}
    why = "the memory that engine other takes is not computed"
    fit = knowledge("other").fit_on(look(), AnyWish("other", **given))
    assert fit == {"fits": "unknown", "why": why, "arguments": {}}
    searched = model_fit(LLAMA, **given, engine="other")
    nothing = {"refusal": "", "vram_gib": 0, "least_vram_gib": 0, "compiles": True}
    assert searched == {**fit, **nothing}


def test_options_in_either_form_count() -> None:
    for wish in (
        Wish(arguments={"max_model_len": 131072}),
        Wish(extra_args=["--max-model-len", "131072"]),
    ):
        assert on_host(look(), wish)["fits"] == "no"


def test_a_server_that_runs_is_counted_as_if_it_were_stopped_or_nothing_is_said() -> None:
    full = gpu(used_mib=22900)
    assert on_host(look(full), Wish())["fits"] == "no"
    own = on_host(look(full, processes=4, before={"GPU-0": 450}), Wish())
    assert own["fits"] == "yes"
    assert on_host(look(full, processes=4), Wish()) == {
        "fits": "unknown",
        "why": "its server runs already",
        "arguments": {},
    }


def test_on_a_cpu_nobody_knows_what_a_server_that_runs_holds() -> None:
    assert (
        on_host(look(processes=1, before={"GPU-0": 450}), CPU)["why"] == "its server runs already"
    )
    assert on_host(look(), CPU)["fits"] == "yes"


@pytest.mark.parametrize(("available", "limit"), [(64000, 8000), (8000, 64000), (8000, None)])
def test_on_a_cpu_the_smaller_of_what_is_free_and_what_is_allowed_counts(
    available: int, limit: int | None
) -> None:
    assert on_host(look(available=available, limit=limit), CPU)["fits"] == "no"
    assert on_host(look(available=None, limit=64000), CPU)["fits"] == "yes"


def test_on_a_cpu_the_room_that_the_server_is_given_counts() -> None:
    large = Wish(accelerator="cpu", environment={"VLLM_CPU_KVCACHE_SPACE": "60"})
    assert on_host(look(available=40000), CPU)["fits"] == "yes"
    assert on_host(look(available=40000), large)["fits"] == "no"


def test_only_gpus_that_the_server_sees_count() -> None:
    both = (gpu(0, 22900), gpu(1))
    assert on_host(look(*both), Wish())["fits"] == "no"
    assert on_host(look(*both), Wish(environment={"CUDA_VISIBLE_DEVICES": "1"}))["fits"] == "yes"


def test_the_config_on_the_host_counts_and_a_given_one_takes_its_place_where_it_lacks() -> None:
    given = Wish(model_config=LLAMA)
    assert on_host(look(config=None), given)["fits"] == "yes"
    assert on_host(look(config=None), Wish(model_config=json.dumps(LLAMA)))["fits"] == "yes"
    unknown = json.dumps({"model_type": "brandnew"})
    assert on_host(look(config=unknown), given)["fits"] == "unknown"
    assert "neither on the host yet nor given" in on_host(look(config=None), Wish())["why"]


def test_what_a_quantiser_wrote_beside_the_config_counts_on_the_host_too() -> None:
    beside = json.dumps({"quantization": {"quant_algo": "FP8", "exclude_modules": ["lm_head"]}})
    plain, packed = look(gpu(), weights=None), look(gpu(), weights=None)
    packed["model"]["quantization"] = beside
    sizes = [on_host(one, Wish())["weights_gib"]["value"] for one in (plain, packed)]
    assert sizes[1] < 0.6 * sizes[0]
    packed["model"]["quantization"] = "{damaged"
    assert on_host(packed, Wish())["weights_gib"]["value"] == sizes[0]


def test_an_option_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="max_model_len"):
        on_host(look(), Wish(arguments={"max_model_len": "long"}))


def test_the_release_of_the_planned_stack_decides_how_large_a_step_is() -> None:
    """Before 0.8 a step held a whole prompt."""
    asked = {"max_model_len": 16384}
    new, old = (
        on_host(look(), Wish(asked, stack={"vllm_version": release}))
        for release in ("0.33.0", "0.7.3")
    )
    assert new == on_host(look(), Wish(asked))
    assert new["overhead_gib"]["value"] < old["overhead_gib"]["value"]
