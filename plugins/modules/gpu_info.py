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
  - A host without a GPU is not a failure. RV(gpu.present) is then false, and RV(gpu.state) and
    RV(gpu.reason) say why, with what to change.
  - Needs no privileges. What this user, this GPU or this container cannot tell is null.
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
    state:
      description:
        - V(works); V(no_gpu) when the driver works and sees none; V(absent) without any part of it.
        - V(no_driver) with GPUs on the PCI bus; V(no_library), V(module_not_loaded) or
          V(no_device_files) when that part is missing; V(version_mismatch) when library and kernel
          module differ; V(no_permission); V(gpu_lost); V(broken) for anything else.
      type: str
      sample: works
    driver:
      description: The parts of the driver as files tell them, whether it works or not.
      type: dict
      contains:
        kernel_version:
          description: Version of the kernel module that is loaded.
          type: str
          sample: 580.65.06
        library_version:
          description: Version of the management library that is installed.
          type: str
          sample: 580.65.06
        cuda_library:
          description: Whether C(libcuda) is installed, without which nothing can compute.
          type: bool
          sample: true
        device_files:
          description: Names of the device files below C(/dev).
          type: list
          elements: str
          sample: [nvidia-uvm, nvidia0, nvidiactl]
        inaccessible_files:
          description: Those of them that this user may not use.
          type: list
          elements: str
          sample: []
        pci_gpus:
          description: GPUs of NVIDIA on the PCI bus, null where the bus cannot be seen.
          type: int
          sample: 1
        other_makers:
          description: Who else has made GPUs on the PCI bus, such as V(AMD).
          type: list
          elements: str
          sample: []
    problems:
      description: What is wrong with single GPUs, in sentences. Empty when nothing is known.
      type: list
      elements: str
      sample: []
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
        processes_shown:
          description:
            - V(all) when the list is complete, V(hidden) inside a container, where others are not
              shown and an empty list proves nothing, V(unknown) when the driver does not tell.
          type: str
          sample: all
        utilization_percent:
          description: Share of the last moment in which the GPU computed.
          type: int
          sample: 0
        pci_bus_id:
          description: Address on the PCI bus.
          type: str
          sample: "00000000:65:00.0"
        ecc:
          description:
            - Error correction of the memory, null where the GPU has none. The errors are those
              since the driver was loaded.
          type: dict
          sample:
            enabled: true
            corrected_errors: 0
            uncorrected_errors: 0
            remapped_rows: 0
            remapping_pending: false
            remapping_failed: false
        mig:
          description:
            - Whether the GPU is divided into instances, and the instances, each with C(name),
              C(uuid), C(memory_total_mib) and C(memory_free_mib). Null where it cannot be divided.
          type: dict
          sample: {enabled: false, instances: []}
        peers:
          description:
            - How this GPU reaches each other one, by C(index). C(topology) says over what,
              C(direct_access) and C(nvlink) whether it may read its memory, and by NVLink.
            - Null where only C(nvidia-smi) could be asked.
          type: list
          elements: dict
          sample:
            - {index: 1, topology: one NUMA node, direct_access: true, nvlink: false}
        xids:
          description:
            - Troubles that the driver wrote to the kernel's log since the machine booted. Null
              where the log cannot be read, as in most containers.
          type: list
          elements: dict
          sample:
            - {xid: 79, message: GPU has fallen off the bus., seconds_after_boot: 5210}
host:
  description:
    - The machine around the GPUs. Sizes are in MiB and null where unknown; limits are V(-1) where
      there is none.
    - C(memory_usable_mib) is what a process can still get, with the control group's limit counted.
    - C(machine_kind) is V(container), V(virtual_machine) or V(bare_metal).
  returned: success
  type: dict
  sample:
    architecture: x86_64
    cpu_count: 16
    memory_total_mib: 64312
    memory_available_mib: 60122
    memory_limit_mib: null
    memory_usable_mib: 60122
    home: /home/user/.inferops
    disk_free_mib: 81920
    disk_total_mib: 102400
    tmp_free_mib: 81920
    shared_memory_mib: 64
    glibc_version: "2.36"
    kernel_version: 6.8.0-60-generic
    distribution: ubuntu
    distribution_version: "24.04"
    distribution_codename: noble
    machine_kind: container
    machine_kind_detail: docker
    hostname: gpu-1
    boot_id: 5f0d3c1e-8a57-4d0c-9d57-0c6a1c1a2b3c
    is_root: true
    python: /usr/bin/python3
    python_version: 3.11.2
    pythons:
      - {path: /usr/bin/python3, version: 3.11.2}
    c_compiler: /usr/bin/cc
    open_files_soft_limit: 1024
    open_files_hard_limit: 1048576
    locked_memory_soft_limit_kib: 8192
    locked_memory_hard_limit_kib: 8192
    core_size_soft_limit_kib: 0
    init_system: none
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.inferops.gpu.plugins.module_utils.host.gpus import report
from ansible_collections.inferops.gpu.plugins.module_utils.host.machine import facts


def main() -> None:
    module = AnsibleModule(
        argument_spec={"home": {"type": "path", "default": "~/.inferops"}},
        supports_check_mode=True,
    )
    home = Path(module.params["home"])
    if not home.is_absolute():
        module.fail_json(msg=f"home must be an absolute path, not {str(home)!r}.")
    module.exit_json(changed=False, gpu=report.report().to_dict(), host=facts.host_facts(home))


if __name__ == "__main__":
    main()
