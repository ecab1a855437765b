# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Python a stack is planned for: uv brings any, pip takes what is there."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.choosing import (
    Wish,
    choose,
)
from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.planning import (
    StackImpossible,
)

OLD = {"path": "/usr/bin/python3.10", "version": "3.10.12"}
NEW = {"path": "/usr/bin/python3.12", "version": "3.12.4"}
GPU: dict[str, Any] = {"driver_version": "580.95.05", "gpus": [{"compute_capability": "9.0"}]}
HOST: dict[str, Any] = {"glibc_version": "2.39", "pythons": [OLD, NEW]}


def test_uv_plans_as_if_any_python_were_there_unless_one_is_asked_for() -> None:
    free = choose(GPU, {**HOST, "pythons": [OLD]}, Wish(), "uv")
    assert free.plan["vllm_version"] == "0.33.0"
    assert free.interpreter == free.plan["python"]
    asked = choose(GPU, HOST, Wish(python="3.10"), "uv")
    assert (asked.plan["vllm_version"], asked.interpreter) == ("0.30.0", "3.10")
    path = choose(GPU, HOST, Wish(python=OLD["path"]), "uv")
    assert (path.plan["vllm_version"], path.interpreter) == ("0.30.0", OLD["path"])
    ranged = choose(GPU, HOST, Wish(python=">=3.11"), "uv")
    assert (ranged.plan["vllm_version"], ranged.interpreter) == ("0.33.0", ">=3.11")


def test_pip_plans_for_what_is_there_and_takes_the_one_that_suits() -> None:
    assert choose(GPU, HOST, Wish(), "pip").interpreter == NEW["path"]
    old = choose(GPU, {**HOST, "pythons": [OLD]}, Wish(), "pip")
    assert (old.plan["vllm_version"], old.interpreter) == ("0.30.0", OLD["path"])
    assert choose(GPU, HOST, Wish(python="3.10"), "pip").interpreter == OLD["path"]
    # 3.1 is not the beginning of 3.10 and 3.12.
    for missing in ("3.1", "3.13", "/opt/python"):
        with pytest.raises(StackImpossible, match=r"are 3\.10\.12 and 3\.12\.4, and stack_python"):
            choose(GPU, HOST, Wish(python=missing), "pip")
