# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One GPU has one key, however a marketplace or a person writes it."""

from __future__ import annotations

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.market.gpus import gpu_key
from ansible_collections.inferops.gpu.plugins.module_utils.market.providers.registry import (
    PROVIDERS,
)
from ansible_collections.inferops.gpu.plugins.module_utils.market.wish import Wish
from tests.unit.market.conformance.subjects import SUBJECTS

WRITTEN = {
    "rtx4090": ("RTX 4090", "RTX_4090", "NVIDIA GeForce RTX 4090", "RTX4090", "4090"),
    "gtx1080ti": ("GTX 1080 Ti", "1080Ti", "NVIDIA GeForce GTX 1080 Ti"),
    "rtx4070tisuper": ("RTX 4070 Ti SUPER", "4070 Ti Super"),
    "rtxa6000": ("RTX A6000", "A6000", "NVIDIA RTX A6000"),
    "rtx6000ada": ("RTX 6000Ada", "NVIDIA RTX 6000 Ada Generation", "6000 Ada"),
    "h100sxm": ("H100 SXM", "H100-SXM5", "NVIDIA H100 SXM5", "h100_sxm"),
    "a100sxm": ("A100 SXM4", "A100 SXM"),
    "a100pcie": ("A100 PCIE", "NVIDIA A100 PCIe"),
    "h200": ("H200", "H200 SXM", "NVIDIA H200 SXM5"),
    "v100": ("Tesla V100", "V100"),
    "rtxpro6000ws": ("RTX PRO 6000 WS", "NVIDIA RTX PRO 6000 Blackwell Workstation Edition"),
    "l40s": ("L40S", "NVIDIA L40S"),
}


@pytest.mark.parametrize("key", WRITTEN)
def test_one_gpu_has_one_key(key: str) -> None:
    assert {gpu_key(name) for name in WRITTEN[key]} == {key}


def test_other_gpus_have_other_keys() -> None:
    others = ("A100 40GB", "A100 80GB", "A100", "A10", "A40", "L4", "L40", "RTX 4000", "RTX A4000")
    keys = {gpu_key(name) for name in others} | {*WRITTEN}
    assert len(keys) == len(others) + len(WRITTEN)
    assert gpu_key("") == ""


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_a_wish_finds_its_gpu_in_the_words_of_every_marketplace(name: str) -> None:
    subject = SUBJECTS[name]()
    try:
        offers = subject.provider().search(Wish(verified=False))
        asked = Wish(gpu_names=("NVIDIA GeForce RTX_4090",), verified=False)
        known = [one for one in offers if "GPU name" not in asked.misses(one)]
        assert known
        assert {one.to_dict()["gpu"] for one in known} == {"rtx4090"}
    finally:
        subject.close()
