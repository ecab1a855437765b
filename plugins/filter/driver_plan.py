# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters over pure knowledge: which driver a host needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.inferops.gpu.plugins.module_utils.serving.drivers import (
    UBUNTU_SUFFIXES,
    is_controller,
    plan_driver,
    reboot_reason,
)

DOCUMENTATION = r"""
name: driver_plan
short_description: Choose the driver packages that a host needs, or say why it may not change
version_added: "0.1.0"
description:
  - Decides from the facts of a host whether its NVIDIA driver is new enough, which packages of its
    distribution would make it so, and whether it has to boot.
  - Containers, the controller itself and users without root are refused, each with the reason. The
    controller is told by its boot and its name, whatever the connection is called.
positional: _input
options:
  _input:
    description: What M(inferops.gpu.gpu_info) returned.
    type: dict
    required: true
  least:
    description: The least driver branch that will do, such as V(525).
    type: int
    required: true
  branch:
    description: The branch to install where the distribution has several.
    type: int
    default: 580
  kernel_modules:
    description: V(open) for GPUs from Turing on, V(proprietary) for older ones.
    type: str
    choices: [open, proprietary]
    default: open
  packages:
    description: Packages to take in place of the distribution's.
    type: list
    elements: str
    default: []
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: What would be installed?
  ansible.builtin.debug:
    msg: "{{ found | inferops.gpu.driver_plan(580) }}"
"""

RETURN = r"""
_value:
  description:
    - The plan. C(refusal) says why nothing may be done, C(reboot) why the host has to boot as it is
      now; both may be null.
  type: dict
  sample:
    refusal: null
    least: 580
    running_branch: 535
    packages: [nvidia-headless-580-server-open, nvidia-utils-580-server]
    reboot: null
    why: Driver 580 is needed, and driver 535 is older.
"""


_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_HOSTNAME = Path("/proc/sys/kernel/hostname")


def driver_plan(
    found: Mapping[str, Any],
    least: int | str,
    branch: int | str = 580,
    kernel_modules: str = "open",
    packages: Sequence[str] = (),
) -> dict[str, Any]:
    """See DOCUMENTATION."""
    if kernel_modules not in UBUNTU_SUFFIXES:
        raise AnsibleFilterError(f"kernel_modules is open or proprietary, not {kernel_modules!r}.")
    gpu, host, needed = found["gpu"], found["host"], _number(least)
    is_here = is_controller(host, _told(_BOOT_ID), _told(_HOSTNAME))
    plan = plan_driver(gpu, host, needed, _number(branch), kernel_modules, is_here, packages)
    return {**plan, "reboot": reboot_reason(gpu, needed)}


def _told(file: Path) -> str | None:
    """What the controller's kernel says; nothing where it is not Linux."""
    try:
        return file.read_text().strip()
    except OSError:
        return None


def _number(branch: int | str) -> int:
    """580 of 580.65.06."""
    try:
        return int(str(branch).partition(".")[0])
    except ValueError as error:
        raise AnsibleFilterError(
            f"{branch!r} is no driver branch: write a number such as 580."
        ) from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """By name."""
        return {"driver_plan": driver_plan}
