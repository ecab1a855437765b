# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image with vLLM for CPUs of the simulator's hosts, with what an installation would bring."""

from __future__ import annotations

import yaml

from ansible_collections.inferops.gpu.plugins.module_utils.serving.engines.vllm.choosing import (
    plan_for,
)
from ansible_collections.inferops.gpu.plugins.modules import stack_lock
from tests.rig import engine
from tests.simulator.hosts import PodmanHosts

NAME = f"inferops/{engine.NAME}:rig"


def ensure() -> None:
    """Make what it has, unless it is there. Raises PodmanError."""
    plan = plan_for({}, accelerator="cpu")
    volumes, variables = PodmanHosts("image", 0).trust()
    # A folder of wheels goes before PyTorch's own index, as for an installation.
    index = [] if "UV_FIND_LINKS" in variables else ["--torch-backend", plan["torch_backend"]]
    options = [f"--volume={one}" for one in volumes]
    options += [f"--env={name}={value}" for name, value in variables.items()]
    uv = yaml.safe_load(stack_lock.DOCUMENTATION)["options"]["uv_version"]["default"]
    wanted = [*index, *plan["requirements"], *plan["constraints"]]
    engine.ensure(wanted, plan["excluded"], options, uv)
