# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures of the driver, of CUDA and of the GPU itself."""

from __future__ import annotations

from .entry import CUDA_COMPATIBILITY, NCCL, VLLM_ISSUES, XID, Failure

GPU = (
    Failure(
        "driver_too_old",
        (
            r"The NVIDIA driver on your system is too old \(found version \d+\)",
            r"the provided PTX was compiled with an unsupported toolchain",
            r"Error 804: forward compatibility was attempted on non supported HW",
            r"CUDA driver version is insufficient for CUDA runtime version",
            r"unsatisfied condition: cuda>=",
        ),
        "The driver is older than the CUDA version that the packages were built for.",
        "Install the stack for this driver's CUDA version, or rent a host with a newer driver.",
        "stack",
        CUDA_COMPATIBILITY,
    ),
    Failure(
        "driver_mismatch",
        (
            r"NVML/RM version mismatch|NVMLError_LibRmVersionMismatch",
            r"Driver/library version mismatch",
        ),
        "The driver was updated and its kernel module still is the old one.",
        "Reboot the host, or rent another one.",
        "host",
        f"{VLLM_ISSUES}/29737",
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
        (
            r"libcuda\.so\.1: cannot open shared object file",
            r"Found no NVIDIA driver on your system",
            r"NVML Shared Library Not Found|NVMLError_DriverNotLoaded",
            r"couldn't communicate with the NVIDIA driver",
        ),
        "There is no NVIDIA driver in this host or container.",
        "Rent a host with a GPU, or start the container with its GPUs.",
        "host",
        f"{VLLM_ISSUES}/27268",
    ),
    Failure(
        "gpu_by_uuid",
        (
            r"invalid literal for int\(\) with base 10: '(?:MIG|GPU)-",
            r"Non-integer device ID \S{1,80} is not supported",
        ),
        "CUDA_VISIBLE_DEVICES names a GPU by its UUID, which this vLLM version cannot read.",
        "Name it by its index, or install a newer vLLM.",
        "CUDA_VISIBLE_DEVICES",
        f"{VLLM_ISSUES}/41848",
    ),
    Failure(
        "no_device",
        (
            r"Failed to infer device type",
            r"No CUDA GPUs are available",
            r"CUDA driver initialization failed, you might not have a CUDA gpu",
            r"no CUDA-capable device is detected",
            r"CUDA unknown error - this may be due to",
            r"^module_name, obj_name = qualname\.rsplit\(",
        ),
        "No usable GPU is visible to the server.",
        "Check the GPU report of the host and CUDA_VISIBLE_DEVICES.",
        "host",
        f"{VLLM_ISSUES}/13946",
        # Of these 2 is memory, and those from 802 to 804 have entries of their own.
        shapes=(
            r"from cudaGetDeviceCount\(\)\..{0,200}\bError (?!2:|80[2-4]:)\d{1,3}: ",
            r"Failed to initialize NVML: |Device string must not be empty",
        ),
    ),
    Failure(
        "toolkit_too_old",
        (
            r"FlashInfer requires (?:GPUs with )?sm",
            r"\bSM \d{1,2}\.\w{1,2} requires CUDA\b",
            r"Unsupported gpu architecture 'compute_\w{1,8}'",
        ),
        "The CUDA toolkit of the host, which compiles kernels, is older than this GPU.",
        "Do without kernels that are compiled on the host (VLLM_USE_FLASHINFER_SAMPLER=0), install "
        "kernels that are compiled already, or take a host with a newer CUDA toolkit.",
        "CUDA toolkit",
        f"{VLLM_ISSUES}/50705",
        shapes=(
            r"requires (?:a )?CUDA(?: toolkit| version)? ?"
            r"(?:>=|at least|[\d.]{1,6} or (?:new|high|lat))",
        ),
    ),
    Failure(
        "attention_backend",
        (
            r"No valid attention backend found for",
            r"Selected backend \S{1,80} is not valid for this configuration",
            r"FlashAttention only supports Ampere GPUs or newer",
            r"Cannot use FA version \d is not supported",
            r"FlexAttention does not support",
            r"^ *assert is_fa_version_supported\(",
        ),
        "No attention kernel can do what this model and these options want on this GPU.",
        "Leave attention_backend and kv_cache_dtype to vLLM, take a newer vLLM, or another GPU.",
        "attention_backend",
        f"{VLLM_ISSUES}/31480",
        shapes=(
            # What speaks of speculation or of another option is about that.
            r"Error: (?!.{0,200}(?:\bspeculat| --\w)).{0,40}"
            r"\b(?:Flash|Flex|Paged|Triton)\w{0,20}(?:Attention|MLA|Infer)\w{0,10}\b"
            r".{0,60}(?:only supports?|not (?:yet )?support|is only supported|unsupported)",
            r"Error: \w{0,40}(?:Attention|MLA)\w{0,20}\.__init__\(\) got an unexpected keyword",
            r"Error: .{0,40}\b[Hh]ead[ _]size \(?\d{1,5}\)? is not supported",
            r"Error: .{0,80}attention backend.{0,80}(?:not support|does not support|is not valid)",
        ),
    ),
    Failure(
        "gpu_architecture",
        (
            r"no kernel image is available for execution on the device",
            r"GPUs with compute capability below 7\.0 are not supported",
            r"ptxas fatal\s{1,4}: Value 'sm_\w{1,8}' is not defined for option 'gpu-name'",
            r"CUDA error: invalid device function",
            r"device kernel image is invalid",
            r"CUDA error \(\S{0,160}/(?:hopper|sm\d{2,3}\w?)/\S{1,80}:\d{1,5}\): invalid argument",
            r"is not compatible with the current PyTorch installation",
            r"Feature '[^']{1,40}' requires \.target sm_\d",
            r"\binvalid value for --gpu-architecture\b",
            r"\bThis kernel only supports sm\d",
            r"Arch conditional MMA instruction used without targeting",
            r"Assertion error \([^)]{0,300}\.\w{1,4}:\d{1,5}\): Unsupported architecture",
        ),
        "This build has no code for the architecture of this GPU.",
        "Take a vLLM version that was built for this GPU (for a new one, with the newest CUDA), or "
        "another GPU.",
        "gpu",
        f"{VLLM_ISSUES}/19185",
        shapes=(
            r"Command '\['\S{0,200}\bptxas'.{0,200}'--gpu-name=sm_\w.{0,300}returned non-zero exit",
            r"Error: .{0,160}\b(?:only (?:support|available)|requires?|needs?)\w{0,3}\b.{0,60}"
            r"(?:\b(?:Hopper|Blackwell|Ampere)\b|\b(?:SM ?|sm_?)\d{2,3}\b|compute capability)",
        ),
    ),
    Failure(
        "fabric_manager",
        (r"\b802\)? ?: system not yet initialized|CUDA error: system not yet initialized",),
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
        "kernel_shared_memory",
        (r"out of resource: shared memory, Required: \d+, Hardware limit: \d+",),
        "A kernel needs more of the memory inside the GPU's processors than this GPU has.",
        "Take another attention_backend, another model, or a larger GPU; the host's memory and "
        "/dev/shm have no part in it.",
        "attention_backend",
        f"{VLLM_ISSUES}/36802",
        shapes=(
            r"\bOutOfResources\b",
            r"CUDA error: too many resources requested for launch",
            r"Error: .{0,80}\b(?:too much|exceeds?) .{0,40}\bshared (?:memory|data)\b",
        ),
    ),
    Failure(
        "gpu_virtualised",
        (
            r"NCCL WARN Cuda failure(?: \d+)? 'operation not supported'",
            r"CUDA error: operation not supported",
        ),
        "The GPU refuses what a whole one can do: mostly a virtual GPU without unified memory.",
        "Allow unified memory in the profile of the virtual GPU, or rent a host with whole GPUs.",
        "host",
        NCCL,
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
            r"CUDA error: the launch timed out and was terminated",
            r"CUDA error: CUBLAS_STATUS_(?:EXECUTION_FAILED|MAPPING_ERROR)",
            r"\.cu:\d+: .{0,200}: block: \[\d+,\d+,\d+\], thread: .{0,40} Assertion",
        ),
        "A program on the GPU failed: mostly a fault of vLLM or of a kernel library with this "
        "model.",
        "Set enforce_eager to true or take another vLLM version; if other models fail too, "
        "another host.",
        "engine version",
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
