# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures of the driver, of CUDA and of the GPU itself."""

from __future__ import annotations

from .entry import CUDA_COMPATIBILITY, VLLM_ISSUES, XID, Failure

GPU = (
    Failure(
        "driver_too_old",
        (
            r"The NVIDIA driver on your system is too old \(found version \d+\)",
            r"the provided PTX was compiled with an unsupported toolchain",
            r"Error 804: forward compatibility was attempted on non supported HW",
        ),
        "The driver is older than the CUDA version that the packages were built for.",
        "Install the stack for this driver's CUDA version, or rent a host with a newer driver.",
        "stack",
        CUDA_COMPATIBILITY,
    ),
    Failure(
        "cuda_runtime_missing",
        (r"libcudart\.so\.(?P<major>\d+)[.\d]*: cannot open shared object file",),
        "vLLM was built for CUDA {major} and PyTorch for another one.",
        "Install vLLM and PyTorch of the same CUDA variant, from one lock.",
        "stack",
        f"{VLLM_ISSUES}/52300",
    ),
    Failure(
        "no_driver",
        (r"libcuda\.so\.1: cannot open shared object file",),
        "There is no NVIDIA driver in this host or container.",
        "Rent a host with a GPU, or start the container with its GPUs.",
        "host",
        f"{VLLM_ISSUES}/27268",
    ),
    Failure(
        "no_device",
        (
            r"Failed to infer device type",
            r"No CUDA GPUs are available",
            r"CUDA driver initialization failed, you might not have a CUDA gpu",
        ),
        "No usable GPU is visible to the server.",
        "Check the GPU report of the host and CUDA_VISIBLE_DEVICES.",
        "host",
        f"{VLLM_ISSUES}/13946",
    ),
    Failure(
        "gpu_architecture",
        (
            r"no kernel image is available for execution on the device",
            r"GPUs with compute capability below 7\.0 are not supported",
            r"FlashInfer requires GPUs with sm",
        ),
        "This build has no code for the architecture of this GPU.",
        "Take another GPU, or a vLLM version that was built for this one.",
        "gpu",
        f"{VLLM_ISSUES}/19185",
    ),
    Failure(
        "fabric_manager",
        (r"\b802\)? ?: system not yet initialized",),
        "The GPUs of this host are linked by NVSwitch and its fabric manager does not run.",
        "Rent another host; with root on the machine itself start nvidia-fabricmanager.",
        "host",
        "https://docs.nvidia.com/datacenter/tesla/fabric-manager-user-guide/",
    ),
    Failure(
        "cuda_compat_shadows_driver",
        (r"Error 803: system has unsupported display driver / cuda driver combination",),
        "A CUDA compatibility library hides the driver's own one.",
        "Remove the compat folder from LD_LIBRARY_PATH.",
        "LD_LIBRARY_PATH",
        CUDA_COMPATIBILITY,
    ),
    Failure(
        "gpu_broken",
        (
            r"uncorrectable ECC error encountered",
            r"GPU is lost",
            r"fallen off the bus",
            r"CUDA error: unspecified launch failure",
        ),
        "The GPU or its driver is faulty.",
        "Release this host, exclude its machine and rent another one.",
        "host",
        XID,
        kernel=(r"NVRM: Xid \([^)]{1,60}\): (?:48|6[1-4]|74|79|9[2-5]|119|120),",),
    ),
    Failure(
        "gpu_kernel_fault",
        (
            r"CUDA error: an illegal memory access was encountered",
            r"CUDA error: (?:misaligned address|an illegal instruction was encountered)",
            r"CUDA error: device-side assert triggered",
        ),
        "A program on the GPU failed: mostly a fault of vLLM or of a kernel library with this "
        "model.",
        "Set enforce_eager to true or take another vLLM version; if other models fail too, "
        "another host.",
        "vllm version",
        f"{VLLM_ISSUES}/50189",
        kernel=(r"NVRM: Xid \([^)]{1,60}\): (?:13|31|43),",),
    ),
    Failure(
        "gpu_busy",
        (r"CUDA-capable device\(s\) is/are busy or unavailable",),
        "The GPU refuses a new process: exclusive mode, or it hangs.",
        "Check the compute mode and what runs on the GPU, or take another host.",
        "host",
        XID,
    ),
)

# The driver's error numbers in the kernel's log, in NVIDIA's words. 45 stands in no entry: it is
# what the driver cleans up after any killed process. Of others the last entry of ENDINGS knows.
XIDS = {
    13: "graphics engine exception",
    31: "GPU memory page fault",
    43: "GPU stopped processing",
    48: "double bit ECC error",
    61: "internal micro-controller breakpoint or warning",
    62: "internal micro-controller halt",
    63: "GPU memory remapping event",
    64: "GPU memory remapping failure",
    74: "NVLink error",
    79: "GPU has fallen off the bus",
    92: "high single-bit ECC error rate",
    93: "non-fatal violation of provisioned InfoROM wear limit",
    94: "contained ECC error",
    95: "uncontained ECC error",
    119: "GSP RPC timeout",
    120: "GSP error",
}
