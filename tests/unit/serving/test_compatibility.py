# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which stack the table gives to which host."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.inferops.gpu.plugins.filter.stack_plan import stack_plan
from ansible_collections.inferops.gpu.plugins.module_utils.serving.compatibility import (
    StackImpossible,
    plan_stack,
)


@pytest.mark.parametrize(
    ("driver", "vllm", "backend"),
    [("580.95.05", "0.32.0", "cu130"), ("570.86.10", "0.19.1", "cu128"), (None, "0.32.0", "cu130")],
)
def test_the_newest_vllm_that_the_driver_runs_is_taken(
    driver: str | None, vllm: str, backend: str
) -> None:
    plan = plan_stack("cuda", driver, "8.9")
    assert (plan["vllm_version"], plan["torch_backend"]) == (vllm, backend)
    assert f"vllm=={vllm}" in plan["requirements"]


def test_a_release_that_predates_transformers_5_is_kept_from_it() -> None:
    assert plan_stack("cuda", "550.54.15", "8.0")["constraints"] == ["transformers<5"]


def test_a_driver_that_is_too_old_is_refused_with_what_would_help() -> None:
    with pytest.raises(StackImpossible, match="needs a driver >= 525, here is 470"):
        plan_stack("cuda", "470.256.02", "8.6")


def test_blackwell_on_an_old_driver_is_refused() -> None:
    with pytest.raises(StackImpossible, match="driver >= 570 on this GPU"):
        plan_stack("cuda", "550.54.15", "12.0")


def test_pascal_is_refused_by_its_architecture() -> None:
    with pytest.raises(StackImpossible, match="compute capability"):
        plan_stack("cuda", "580.95.05", "6.1")


def test_a_pinned_release_is_taken_or_refused_never_replaced() -> None:
    assert plan_stack("cuda", "580.95.05", "8.9", "0.19.1")["vllm_version"] == "0.19.1"
    with pytest.raises(StackImpossible, match="needs a driver >= 580"):
        plan_stack("cuda", "535.183.06", "8.9", "0.32.0")
    with pytest.raises(StackImpossible, match=r"use auto or 0\.32\.0 or 0\.19\.1"):
        plan_stack("cuda", "580.95.05", "8.9", "0.0.1")


def test_a_cpu_needs_no_driver_and_leaves_out_what_links_to_cuda() -> None:
    plan = plan_stack("cpu", None, None)
    assert plan["torch_device"] == "cpu"
    assert "torchvision" in plan["excluded"]
    assert plan["torch_version"].endswith("+cpu")


def test_the_filter_takes_an_offer_and_tells_refusals() -> None:
    offer = {"driver_version": "570.86.10", "compute_capability": "8.9", "country": "SE"}
    assert stack_plan(offer)["vllm_version"] == "0.19.1"
    with pytest.raises(AnsibleFilterError, match="Accelerator 'tpu' is unknown: use cuda or cpu"):
        stack_plan({}, "tpu")
