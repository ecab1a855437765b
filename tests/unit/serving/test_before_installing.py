# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused before a stack is installed."""

from __future__ import annotations

from ansible_collections.inferops.gpu.plugins.module_utils.serving.before_installing import (
    no_room,
    unknown_to,
)


def test_an_option_that_the_planned_vllm_does_not_know_is_refused() -> None:
    told = unknown_to("vllm", "0.32.0", {"max_modle_len": 1}, ["--swap-space", "4"], [])
    assert told.startswith("inferops_server_arguments: vLLM 0.32.0 has no option --max-modle-len.")
    assert " inferops_server_extra_args: vLLM 0.32.0 has no option --swap-space" in told
    assert unknown_to("vllm", "0.32.0", {"max_model_len": 1}, [], []) == ""
    # A plugin of vLLM may have added it.
    assert unknown_to("vllm", "0.32.0", {"max_modle_len": 1}, [], ["a-plugin"]) == ""


def test_a_stack_that_the_disk_has_no_room_for_is_refused() -> None:
    told = no_room(["numpy", "torch"], 8.0, 5 * 1024, "/root/.inferops")
    assert "takes about 8.0 GiB, and the disk of /root/.inferops has 5.0 GiB free: free" in told
    assert no_room(["numpy", "torch"], 8.0, 8 * 1024, "/") == ""
    assert no_room(["numpy"], 8.0, 5 * 1024, "/") == ""
