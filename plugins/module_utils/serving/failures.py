# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue of failures: how each shows itself in a log, what causes it, what to change.

One entry is one cause. The texts are those that vLLM 0.10 to 0.33 and the libraries below it
print; log prefixes are not part of them. Order is rank: where a log fits several causes, the entry
that stands first is the likelier one, so specific texts stand before general ones.
"""

from __future__ import annotations

from typing import NamedTuple

VLLM = "https://docs.vllm.ai/en/latest"
VLLM_ISSUES = "https://github.com/vllm-project/vllm/issues"
MEMORY = f"{VLLM}/configuration/conserving_memory/"
ENGINE_ARGUMENTS = f"{VLLM}/configuration/engine_args/"
TROUBLESHOOTING = f"{VLLM}/usage/troubleshooting/"
QUANTIZATION = f"{VLLM}/features/quantization/"
MODELS = f"{VLLM}/models/supported_models/"
PARALLELISM = f"{VLLM}/serving/parallelism_scaling/"
HUB_VARIABLES = (
    "https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables"
)
GATED = "https://huggingface.co/docs/hub/models-gated"
CUDA_COMPATIBILITY = "https://docs.nvidia.com/deploy/cuda-compatibility/"
XID = "https://docs.nvidia.com/deploy/xid-errors/"
NCCL = "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html"

ROOT = "root"
ENVELOPE = "envelope"


class Failure(NamedTuple):
    """One cause.

    signatures: regular expressions, searched in each line of the log.
    cause, remedy: sentences for a person; they may use the signatures' named groups.
    change: the option, variable or thing to change.
    kind: `root` says why, `envelope` only says that something went wrong elsewhere.
    signals: names of signals that point here when no text does.
    """

    id: str
    signatures: tuple[str, ...]
    cause: str
    remedy: str
    change: str
    link: str
    kind: str = ROOT
    signals: tuple[str, ...] = ()


class Noise(NamedTuple):
    """A line that looks bad and means nothing."""

    signature: str
    why: str


NOISE = (
    Noise(r"Found ulimit of \d+ and failed to automatically increase", "a warning, not the limit"),
    Noise(r"destroy_process_group\(\) was not called", "said at every end"),
    Noise(r"resource_tracker: There appear to be \d+ leaked", "said at every forced end"),
    Noise(r"nanobind: leaked|^ - leaked |nanobind: this is likely", "said at every end"),
    Noise(r"\[shutdown\] .*force killing", "how vLLM ends its engine, also on request"),
    Noise(r"\b(?:Future|User|Deprecation)Warning\b", "for developers"),
    Noise(r"^raise |^File \"", "source text inside a traceback, not what happened"),
    Noise(r"Triton is (?:not )?installed", "usual on machines without GPU"),
)

FAILURES = (
    # Memory of the GPU
    Failure(
        "gpu_memory_occupied",
        (
            r"Free memory on device(?: \S+)? \((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\) on startup "
            r"is less than desired GPU memory utilization",
        ),
        "Something else already uses the GPU: only {free} of {total} GiB are free.",
        "Stop what uses it (an earlier server, if any), or lower gpu_memory_utilization.",
        "gpu_memory_utilization",
        f"{VLLM_ISSUES}/25837",
    ),
    Failure(
        "context_exceeds_kv_cache",
        (
            r"To serve at least one request with the models?'s max seq len \((?P<length>\d+)\)",
            r"The model's max seq len \((?P<length>\d+)\) is larger than the maximum number of "
            r"tokens that can be stored in KV cache",
        ),
        "A context of {length} tokens needs more GPU memory than is left for it.",
        "Set max_model_len to the estimate in the message, or raise gpu_memory_utilization.",
        "max_model_len",
        MEMORY,
    ),
    Failure(
        "no_kv_cache_memory",
        (
            r"No available memory for the cache blocks",
            r"Cannot auto-fit max_model_len: not enough GPU memory",
        ),
        "The model's weights leave no GPU memory for the KV cache.",
        "Raise gpu_memory_utilization, take a smaller or quantised model, or more GPUs "
        "(tensor_parallel_size).",
        "gpu_memory_utilization",
        MEMORY,
    ),
    Failure(
        "sampler_warm_up_memory",
        (r"CUDA out of memory occurred when warming up sampler",),
        "The GPU memory does not suffice for the sampler with that many sequences.",
        "Lower max_num_seqs or gpu_memory_utilization.",
        "max_num_seqs",
        MEMORY,
    ),
    Failure(
        "gpu_memory_changed",
        (r"Error in memory profiling\. Initial free memory",),
        "Another process released GPU memory while the server measured it.",
        "Start again when nothing else uses the GPU.",
        "other processes on the GPU",
        TROUBLESHOOTING,
    ),
    Failure(
        "gpu_out_of_memory",
        (r"OutOfMemoryError: CUDA out of memory", r"CUDA out of memory\. Tried to allocate"),
        "The GPU ran out of memory.",
        "While weights load: take a smaller or quantised model, or more GPUs "
        "(tensor_parallel_size). Later: lower gpu_memory_utilization, max_num_seqs or "
        "max_model_len.",
        "gpu_memory_utilization",
        MEMORY,
    ),
    # Driver, CUDA and the GPU itself
    Failure(
        "driver_too_old",
        (r"The NVIDIA driver on your system is too old \(found version (?P<found>\d+)\)",),
        "The driver is older than the CUDA version that PyTorch was built for (found {found}).",
        "Install the stack for this driver's CUDA version, or rent a host with a newer driver.",
        "stack",
        CUDA_COMPATIBILITY,
    ),
    Failure(
        "cuda_runtime_missing",
        (r"libcudart\.so\.(?P<major>\d+): cannot open shared object file",),
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
        (r"Failed to infer device type", r"No CUDA GPUs are available"),
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
        ),
        "This build has no code for the architecture of this GPU.",
        "Take another GPU, or a vLLM version that was built for this one.",
        "gpu",
        f"{VLLM_ISSUES}/19185",
    ),
    Failure(
        "fabric_manager",
        (r"Error 802: system not yet initialized",),
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
            r"NVRM: Xid",
            r"CUDA error: unspecified launch failure",
        ),
        "The GPU or its driver is faulty.",
        "Release this host, exclude its machine and rent another one.",
        "host",
        XID,
    ),
    Failure(
        "gpu_busy",
        (r"CUDA-capable device\(s\) is/are busy or unavailable",),
        "The GPU refuses a new process: exclusive mode, or it hangs.",
        "Check the compute mode and what runs on the GPU, or take another host.",
        "host",
        XID,
    ),
    # Number formats and quantisation
    Failure(
        "bfloat16_unsupported",
        (r"Bfloat16 is only supported on GPUs with compute capability of at least",),
        "This GPU cannot compute in bfloat16.",
        "Set dtype to half.",
        "dtype",
        ENGINE_ARGUMENTS,
    ),
    Failure(
        "quantization_unsupported_gpu",
        (r"The quantization method \S+ is not supported for the current GPU",),
        "This GPU is too old for the model's quantisation.",
        "Take a model with another quantisation, or a newer GPU.",
        "model",
        QUANTIZATION,
    ),
    Failure(
        "quantization_mismatch",
        (
            r"Quantization method specified in the model config \(\S+\) does not match",
            r"Cannot find the config file for (?:awq|gptq|\w+)",
        ),
        "The option quantization does not fit what the model contains.",
        "Leave quantization out: the model says itself how it is quantised.",
        "quantization",
        QUANTIZATION,
    ),
    Failure(
        "quantization_unknown",
        (r"Unknown quantization method:",),
        "This vLLM version does not know that quantisation.",
        "Correct quantization, or leave it out.",
        "quantization",
        QUANTIZATION,
    ),
    # The model and its files
    Failure(
        "weights_truncated",
        (
            r"Error while deserializing header: (?:incomplete metadata|header too (?:small|large)|"
            r"invalid header|metadata incomplete)",
            r"SafetensorError: Error while deserializing",
        ),
        "A weight file is incomplete or damaged.",
        "Delete the model's files on the host and download them again.",
        "model files",
        "https://huggingface.co/docs/safetensors/",
    ),
    Failure(
        "weights_missing",
        (r"Cannot find any model weights with",),
        "The model's folder holds no weight files.",
        "Download the model completely, or correct model.",
        "model files",
        MODELS,
    ),
    Failure(
        "model_config_damaged",
        (r"It looks like the config file at .* is not a valid JSON file",),
        "The model's config.json is damaged.",
        "Delete the model's files on the host and download them again.",
        "model files",
        MODELS,
    ),
    Failure(
        "model_config_inconsistent",
        (
            r"The hidden size \(\d+\) is not a multiple of the number of attention heads",
            r"Class validation error for validator",
        ),
        "The model's config.json contradicts itself.",
        "Take an unchanged copy of the model, or correct its config.json.",
        "model files",
        MODELS,
    ),
    Failure(
        "tokenizer_missing",
        (r"Couldn't instantiate the backend tokenizer from one of", r"Can't load tokenizer for"),
        "The model comes without a usable tokenizer.",
        "Download the tokenizer files too, or name another tokenizer with the option tokenizer.",
        "tokenizer",
        ENGINE_ARGUMENTS,
    ),
    Failure(
        "remote_code",
        (
            r"contains custom code which must be executed to correctly load the model",
            r"Please pass the argument `trust_remote_code=True`",
        ),
        "The model brings Python code of its own, which is not run without consent.",
        "Read that code, then set trust_remote_code to true, or take another model.",
        "trust_remote_code",
        ENGINE_ARGUMENTS,
    ),
    Failure(
        "architecture_unsupported",
        (r"Model architectures \[(?P<names>[^\]]*)\] are not supported",),
        "This vLLM version does not know the model's architecture ({names}).",
        "Install a newer vLLM, or serve the model with another engine.",
        "vllm version",
        MODELS,
    ),
    Failure(
        "architecture_broken",
        (r"Model architectures \[.*\] failed to be inspected",),
        "The code of the model's architecture cannot be imported.",
        "See the traceback before it; mostly a package of another version is installed.",
        "stack",
        MODELS,
    ),
    Failure(
        "model_type_unknown",
        (r"has model type `(?P<type>[^`]+)` but Transformers does not recognize",),
        "The installed transformers does not know the model type {type}.",
        "Install a vLLM version that supports this model, with the transformers it asks for.",
        "vllm version",
        MODELS,
    ),
    Failure(
        "context_exceeds_model",
        (r"User-specified max_model_len \((?P<asked>\d+)\) is greater than the derived",),
        "max_model_len is {asked}, more than the model was made for.",
        "Lower max_model_len to the value in the message.",
        "max_model_len",
        ENGINE_ARGUMENTS,
    ),
    Failure(
        "chat_template_missing",
        (r"The supplied chat template .*appears path-like, but doesn't exist",),
        "The chat template file is not on the host.",
        "Correct the path in chat_template, or copy the file to the host first.",
        "chat_template",
        ENGINE_ARGUMENTS,
    ),
    # Several GPUs
    Failure(
        "too_few_gpus",
        (r"World size \((?P<wanted>\d+)\) is larger than the number of available GPUs",),
        "{wanted} GPUs are asked for and the host has fewer.",
        "Lower tensor_parallel_size times pipeline_parallel_size, or rent more GPUs.",
        "tensor_parallel_size",
        PARALLELISM,
    ),
    Failure(
        "heads_not_divisible",
        (r"Total number of attention heads \(\d+\) must be divisible by tensor parallel size",),
        "The model's attention heads cannot be spread evenly over that many GPUs.",
        "Set tensor_parallel_size to 1, 2, 4 or 8, as divides the number of heads.",
        "tensor_parallel_size",
        PARALLELISM,
    ),
    Failure(
        "shared_memory_small",
        (
            r"Error while creating shared memory segment",
            r"ncclShmOpen",
            r"Bus error",
        ),
        "The shared memory of the container (/dev/shm) is too small for several GPUs.",
        "Give the container more (--shm-size=16g or --ipc=host), or rent another host.",
        "/dev/shm",
        NCCL,
        signals=("SIGBUS",),
    ),
    Failure(
        "nccl",
        (r"NCCL error: unhandled (?:system|cuda) error", r"ncclUnhandledCudaError"),
        "The GPUs cannot talk to each other (NCCL).",
        "Set NCCL_DEBUG=INFO and read its lines; NCCL_P2P_DISABLE=1 helps on some consumer GPUs.",
        "environment",
        NCCL,
    ),
    # Fetching the model
    Failure(
        "model_gated",
        (
            r"You are trying to access a gated repo",
            r"Cannot access gated repo for url",
            r"Access to model \S+ is restricted",
            r"is not in the authorized list",
        ),
        "The model's owner wants its licence accepted before it can be downloaded.",
        "Accept the licence on the model's page and put a token of that account into HF_TOKEN.",
        "HF_TOKEN",
        GATED,
    ),
    Failure(
        "model_path_missing",
        (r"HFValidationError: Repo id must be in the form",),
        "The model's folder does not exist on the host.",
        "Correct model, or bring the files to that folder.",
        "model",
        MODELS,
    ),
    Failure(
        "model_not_found",
        (
            r"RepositoryNotFoundError",
            r"is not a valid model identifier",
            r"Invalid repository ID or local directory specified",
        ),
        "There is no such model, or it is private and no token was given.",
        "Correct model, or set HF_TOKEN to a token that may read it.",
        "model",
        MODELS,
    ),
    Failure(
        "model_not_cached",
        (
            r"Cannot find an appropriate cached snapshot folder",
            r"outgoing traffic has been disabled",
        ),
        "The model is not on the host and downloads are switched off (HF_HUB_OFFLINE).",
        "Download the model first, with the same HF_HOME, or remove HF_HUB_OFFLINE.",
        "HF_HUB_OFFLINE",
        HUB_VARIABLES,
    ),
    Failure(
        "hub_unreachable",
        (
            r"We couldn't connect to 'https?://\S+' to load",
            r"ConnectError: .*Name or service not known",
            r"Temporary failure in name resolution",
            r"Network is unreachable",
        ),
        "The host cannot reach the place that the model is downloaded from.",
        "Check the host's network and name service, or set HF_ENDPOINT to a mirror.",
        "network",
        HUB_VARIABLES,
    ),
    Failure(
        "xet_download",
        (r"Data processing error: CAS service error",),
        "The download service of the model hub failed.",
        "Try again, with HF_HUB_DISABLE_XET=1 in the environment.",
        "HF_HUB_DISABLE_XET",
        HUB_VARIABLES,
    ),
    Failure(
        "disk_full",
        (r"No space left on device", r"\[Errno 28\]", r"StorageFull"),
        "The disk of the host is full.",
        "Rent a larger disk, move HF_HOME to a larger one, or delete models and caches.",
        "disk",
        HUB_VARIABLES,
    ),
    # Ports and limits
    Failure(
        "port_uri",
        (r"VLLM_PORT '[^']*' appears to be a URI",),
        "VLLM_PORT holds a URI, as a Kubernetes service named vllm sets it.",
        "Remove VLLM_PORT from the environment, or rename the service.",
        "VLLM_PORT",
        f"{VLLM}/configuration/env_vars/",
    ),
    Failure(
        "port_taken_inside",
        (r"EADDRINUSE",),
        "A port that the workers use among themselves is taken.",
        "End servers that are left from earlier, or set VLLM_PORT to a free range.",
        "VLLM_PORT",
        f"{VLLM_ISSUES}/11617",
    ),
    Failure(
        "port_taken",
        (r"\[Errno 98\]", r"[Aa]ddress already in use"),
        "The port is taken by another process.",
        "Stop that process, or set port to another one.",
        "port",
        f"{VLLM_ISSUES}/9763",
    ),
    Failure(
        "port_invalid",
        (r"bind\(\): port must be 0-65535",),
        "The port is not a valid one.",
        "Set port to a number from 1 to 65535.",
        "port",
        ENGINE_ARGUMENTS,
    ),
    Failure(
        "port_privileged",
        (r"\[Errno 13\] .*bind|error while attempting to bind .*permission denied",),
        "This user may not bind that port.",
        "Set port to a number above 1023.",
        "port",
        ENGINE_ARGUMENTS,
    ),
    Failure(
        "address_not_local",
        (r"\[Errno 99\]", r"Cannot assign requested address"),
        "The address to bind is not one of this host; a public address is often translated.",
        "Set host to 127.0.0.1.",
        "host",
        ENGINE_ARGUMENTS,
    ),
    Failure(
        "open_files",
        (r"Too many open files", r"\[Errno 24\]"),
        "The limit of open files is too low.",
        "Raise it to 65535 (LimitNOFILE, ulimit -n).",
        "open files limit",
        TROUBLESHOOTING,
    ),
    # The installation
    Failure(
        "c_compiler_missing",
        (r"Failed to find C compiler",),
        "There is no C compiler, and kernels are compiled on the host.",
        "Install the package build-essential.",
        "host packages",
        f"{VLLM_ISSUES}/15329",
    ),
    Failure(
        "python_headers_missing",
        (r"Python\.h: No such file or directory",),
        "The headers of Python are not installed, and kernels are compiled on the host.",
        "Install the package python3-dev, or take a Python that brings them.",
        "host packages",
        f"{VLLM_ISSUES}/15329",
    ),
    Failure(
        "nvcc_missing",
        (r"Could not find nvcc", r"nvcc: not found"),
        "A kernel library wants the CUDA compiler, which is not installed.",
        "Install kernels that are compiled already, or the CUDA toolkit.",
        "stack",
        f"{VLLM_ISSUES}/49497",
    ),
    Failure(
        "libc_too_old",
        (r"version [`']GLIBC(?:XX)?_[\d.]+' not found",),
        "The host's system libraries are older than the packages need.",
        "Take a newer host image, or an older vLLM.",
        "host image",
        f"{VLLM_ISSUES}/39609",
    ),
    Failure(
        "torch_exchanged",
        (r"undefined symbol: _ZN\d*(?:c10|5torch|torch|at)",),
        "PyTorch was exchanged after vLLM had been installed.",
        "Install the stack again from its lock.",
        "stack",
        f"{VLLM_ISSUES}/13608",
    ),
    Failure(
        "torchvision_mismatch",
        (r"operator torchvision::nms does not exist",),
        "torchvision does not belong to the installed PyTorch.",
        "Install the stack again from its lock.",
        "stack",
        TROUBLESHOOTING,
    ),
    Failure(
        "numpy_too_new",
        (r"No module named 'numpy\.lib\.function_base'",),
        "numpy is newer than this vLLM supports.",
        "Install the stack again from its lock.",
        "stack",
        f"{VLLM_ISSUES}/5587",
    ),
    Failure(
        "vllm_metadata",
        (r"No package metadata was found for vllm",),
        "The installed distribution of vLLM has another name.",
        "Start it by its module, python -m vllm.entrypoints.openai.api_server.",
        "stack",
        TROUBLESHOOTING,
    ),
    Failure(
        "vllm_missing",
        (r"No module named '?vllm\b",),
        "vLLM is not installed in this environment.",
        "Correct python, or install the stack first.",
        "python",
        f"{VLLM}/getting_started/installation/",
    ),
    Failure(
        "ray_missing",
        (r"Failed to import Ray",),
        "Ray is asked for and not installed.",
        "Install ray into the environment, or set distributed_executor_backend to mp.",
        "stack",
        PARALLELISM,
    ),
    # Options
    Failure(
        "option_unknown",
        (r"error: unrecognized arguments: (?P<option>\S+)",),
        "This vLLM version has no option {option}.",
        "Correct or remove it in arguments.",
        "arguments",
        ENGINE_ARGUMENTS,
    ),
    Failure(
        "option_value",
        (
            r"error: argument (?P<option>\S+): invalid",
            r"error: argument (?P<option>\S+): expected",
        ),
        "The option {option} does not take that value.",
        "Correct it in arguments.",
        "arguments",
        ENGINE_ARGUMENTS,
    ),
    # Time, and processes that were killed
    Failure(
        "engine_start_timeout",
        (r"Timed out waiting for engine core processes to start",),
        "The engine needed longer to load than vLLM waits.",
        "Raise VLLM_ENGINE_READY_TIMEOUT_S in the environment, or download the model first.",
        "VLLM_ENGINE_READY_TIMEOUT_S",
        f"{VLLM}/configuration/env_vars/",
    ),
    Failure(
        "host_out_of_memory",
        (
            r"died unexpectedly \(exit code: -9\)",
            r"Failed core proc\(s\): \{[^}]*: -9\b",
            r"Out of memory: Killed process",
            r"oom-kill:",
        ),
        "A process was killed by SIGKILL, mostly by the kernel because the host's memory was full.",
        "Rent a host with more memory, or lower what the server takes of it (swap space, KV cache "
        "on the CPU, number of workers).",
        "host memory",
        MEMORY,
        signals=("SIGKILL",),
    ),
    Failure(
        "illegal_instruction",
        (
            r"died unexpectedly \(exit code: -4\)",
            r"Failed core proc\(s\): \{[^}]*: -4\b",
            r"Illegal instruction",
        ),
        "The program uses an instruction that this processor does not have.",
        "On the CPU set dtype to float32; else rent a host with a newer processor.",
        "dtype",
        f"{VLLM}/getting_started/installation/cpu/",
        signals=("SIGILL",),
    ),
    Failure(
        "crash",
        (
            r"died unexpectedly \(exit code: -(?:6|11)\)",
            r"Failed core proc\(s\): \{[^}]*: -(?:6|11)\b",
            r"Segmentation fault",
        ),
        "A process crashed inside native code.",
        "Mostly packages that do not fit together: install the stack again from its lock. If it "
        "stays, set enforce_eager to true.",
        "stack",
        TROUBLESHOOTING,
        signals=("SIGSEGV", "SIGABRT"),
    ),
    Failure(
        "terminated",
        (),
        "Somebody ended the server with SIGTERM or SIGINT while it started.",
        "Start it again, and find out who stops it (another play, the supervisor, a reboot).",
        "nothing",
        TROUBLESHOOTING,
        signals=("SIGTERM", "SIGINT"),
    ),
    # Envelopes: something went wrong elsewhere
    Failure(
        "worker_failed",
        (
            r"WorkerProc initialization failed due to an exception",
            r"Worker proc \S+ died unexpectedly",
        ),
        "A worker process failed; the log does not say why in words that are known here.",
        "Read the worker's traceback above that line.",
        "see the log",
        TROUBLESHOOTING,
        kind=ENVELOPE,
    ),
    Failure(
        "engine_failed",
        (
            r"Engine core initialization failed",
            r"EngineCore encountered (?:an issue|a fatal error)",
            r"EngineDeadError",
        ),
        "The engine process failed; the log does not say why in words that are known here.",
        "Read the engine's traceback above that line.",
        "see the log",
        TROUBLESHOOTING,
        kind=ENVELOPE,
    ),
)


def find(failure_id: str) -> Failure | None:
    """The entry with this id, or None."""
    return next((failure for failure in FAILURES if failure.id == failure_id), None)
