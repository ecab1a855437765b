#!/usr/bin/python
# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_info
short_description: Report the GPUs, the driver and the machine around them
version_added: 0.1.0
description:
  - Asks the NVIDIA driver through its management library, or through C(nvidia-smi) where the
    library cannot be loaded. The banner of C(nvidia-smi) is never read.
  - A host without a GPU is not a failure. RV(gpu.present) is then false and RV(gpu.reason) says
    why.
options:
  home:
    description:
      - Folder of this collection on the host. The free disk space is that of its file system.
    type: path
    default: ~/.inferops
extends_documentation_fragment:
  - inferops.gpu.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: Nothing is changed.
  platform:
    platforms: linux
seealso:
  - module: inferops.gpu.model_server
author:
  - inferops.gpu contributors (@inferops)
"""

EXAMPLES = r"""
- name: Look at the GPUs of the host
  inferops.gpu.gpu_info:
  register: found

- name: Insist on one
  ansible.builtin.assert:
    that: found.gpu.present
    fail_msg: "{{ found.gpu.reason }}"
"""

RETURN = r"""
gpu:
  description: The GPUs and their driver.
  returned: success
  type: dict
  contains:
    present:
      description: Whether the driver sees at least one GPU.
      type: bool
      sample: true
    reason:
      description: Why there is none, null when there is one.
      type: str
      sample: null
    driver_version:
      description: Version of the NVIDIA driver, null when unknown.
      type: str
      sample: 580.65.06
    cuda_driver_version:
      description: Newest CUDA version that the driver supports, null when unknown.
      type: str
      sample: "13.0"
    source:
      description: Who was asked, one of V(nvml), V(nvidia-smi) and V(none).
      type: str
      sample: nvml
    gpus:
      description: One entry for each GPU, in the driver's order.
      type: list
      elements: dict
      contains:
        index:
          description: Number of the GPU.
          type: int
          sample: 0
        name:
          description: Product name.
          type: str
          sample: NVIDIA GeForce RTX 4090
        uuid:
          description: Identity of the GPU.
          type: str
          sample: GPU-5f0d3c1e-8a57-4d0c-9d57-0c6a1c1a2b3c
        compute_capability:
          description: Architecture as CUDA numbers it, null when unknown.
          type: str
          sample: "8.9"
        memory_total_mib:
          description: Memory of the GPU in MiB.
          type: int
          sample: 24564
        memory_used_mib:
          description: Memory in use in MiB, whoever uses it.
          type: int
          sample: 12
        memory_free_mib:
          description: Free memory in MiB.
          type: int
          sample: 24552
        temperature_celsius:
          description: Temperature of the GPU, null when unknown.
          type: int
          sample: 41
        processes:
          description:
            - Processes with memory on the GPU, as C(pid) and C(memory_used_mib).
            - Inside a container a driver names the PIDs of the machine around it, or none at all.
          type: list
          elements: dict
          sample: []
host:
  description: The machine around the GPUs. Sizes are in MiB and null where unknown.
  returned: success
  type: dict
  sample:
    architecture: x86_64
    cpu_count: 16
    memory_total_mib: 64312
    memory_available_mib: 60122
    memory_limit_mib: null
    home: /home/user/.inferops
    disk_free_mib: 81920
    shared_memory_mib: 64
    glibc_version: "2.36"
    python: /usr/bin/python3
    python_version: 3.11.2
    open_files_soft_limit: 1024
    open_files_hard_limit: 1048576
    init_system: none
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.host import facts, gpus


def main() -> None:
    module = AnsibleModule(
        argument_spec={"home": {"type": "path", "default": "~/.inferops"}},
        supports_check_mode=True,
    )
    home = Path(module.params["home"])
    if not home.is_absolute():
        module.fail_json(msg=f"home must be an absolute path, not {str(home)!r}.")
    module.exit_json(changed=False, gpu=gpus.report().to_dict(), host=facts.host_facts(home))


if __name__ == "__main__":
    main()
