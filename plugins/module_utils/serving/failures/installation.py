# Copyright: inferops.gpu contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failures of what is installed."""

from __future__ import annotations

from .entry import OF_VLLM, PARALLELISM, QUANTIZATION, TROUBLESHOOTING, VLLM, VLLM_ISSUES, Failure

INSTALLATION = (
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
        "cuda_link_missing",
        (r"cannot find -lcuda\b", r"libcuda\.so cannot found"),
        "The driver is there, but a linker finds no libcuda.so, only libcuda.so.1.",
        "Link libcuda.so to libcuda.so.1 beside it, or set TRITON_LIBCUDA_PATH to its folder.",
        "host packages",
        f"{VLLM_ISSUES}/16984",
    ),
    Failure(
        "nvcc_missing",
        (
            r"Could not find nvcc",
            r"nvcc: not found",
            r"No such file or directory: '(?:\S{0,80}/)?nvcc'",
            r"CUDA_HOME (?:environment variable )?is not set",
        ),
        "A kernel library wants the CUDA compiler, which is not installed.",
        "Install kernels that are compiled already, or the CUDA toolkit.",
        "stack",
        f"{VLLM_ISSUES}/49497",
    ),
    Failure(
        "deep_gemm",
        (
            r"DeepGEMM backend is not available or outdated",
            r"Assertion error \(?\S{0,200}\b(?:jit|jit_kernels|csrc/(?:apis|utils))/\S{1,100}:\d",
        ),
        "DeepGEMM, which compiles its kernels on the host, is missing or fails there.",
        "Set VLLM_USE_DEEP_GEMM=0, or install deep_gemm and a CUDA toolkit that fits.",
        "VLLM_USE_DEEP_GEMM",
        f"{VLLM}/configuration/env_vars/",
        shapes=(
            r"Error: .{0,80}\b(?:DeepGEMM|deep_gemm)\b",
            r"Assertion error \([^)]{0,200}\.hpp:\d{1,5}\)",
        ),
        engine=OF_VLLM,
    ),
    Failure(
        "kernel_compilation",
        (r"Ninja build failed",),
        "A kernel is compiled on the host, and that fails.",
        "Do without such kernels (VLLM_USE_FLASHINFER_SAMPLER=0), install them compiled already, "
        "or install a CUDA toolkit and compiler that fit.",
        "CUDA toolkit",
        f"{VLLM_ISSUES}/36077",
        shapes=(
            # In the language of the host.
            r"fatal error: \S{1,80}\.(?:h|hpp|cuh): \S",
            r"\bnvcc fatal\b|unsupported GNU version! gcc versions",
            r"No such file or directory: '(?:ninja|g\+\+|cicc)'|Ninja is required to load",
            r"RuntimeError: Cannot find (?:ptxas|cuobjdump|nvdisasm|cicc)\b",
            r"Command '\['\S{0,60}\b(?:gcc|g\+\+|cc|clang|nvcc)'.{0,400}returned non-zero exit",
            r"Error: .{0,80}\b(?:TileLang|tilelang|CuTe ?DSL|cute_dsl)\b.{0,80}(?:error|fail)",
            r"^\[\d{1,4}/\d{1,4}\] \S{0,80}\bnvcc ",
            r"^FAILED: .{0,300}\.o\b",
            r"\b(?:nvcc|ninja|cicc|cudafe)\b.{0,300} returned non-zero exit status",
            r"\bNVRTC(?:_ERROR|.{0,40}(?:failed|error))",
            r"Error (?:building|compiling) extension",
            # Triton's.
            r"PassManager::run failed|^LLVM ERROR: |\btriton\.compiler\.errors\.\w{0,30}Error",
        ),
    ),
    Failure(
        "compile_cache_damaged",
        (
            r"leading to a corrupted compilation artifact",
            r"Inductor cache lookup failed\. Please remove the cache directory",
        ),
        "The compiled graphs that an earlier start has kept are damaged.",
        "Delete vLLM's compile cache and start again.",
        "caches",
        TROUBLESHOOTING,
        # Sizes of another model, or of the same one before it was changed.
        shapes=(r"AssertionError: expected size \d{1,9}==\d{1,9}, stride \d{1,9}==\d",),
        engine=OF_VLLM,
    ),
    Failure(
        "cache_not_writable",
        (r"getpwuid\(\): uid not found",),
        "This user may not write where it is tried, mostly a folder for caches.",
        "Set HOME, XDG_CACHE_HOME, VLLM_CACHE_ROOT and TRITON_CACHE_DIR to a folder of this user.",
        "HOME",
        f"{VLLM}/configuration/env_vars/",
        shapes=(
            r"Permission denied: '?/",
            r"PermissionError: \[Errno 13\]",
            r"Read-only file system",
        ),
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
        (
            r"undefined symbol: _ZNK?(?:3c10|5torch|2at)",
            r"\blib(?:torch|c10)\w{0,20}\.so: cannot open shared object file",
            r"Torch not compiled with CUDA enabled",
        ),
        "PyTorch was exchanged after vLLM had been installed.",
        "Install the stack again from its lock.",
        "stack",
        f"{VLLM_ISSUES}/13608",
        shapes=(r"^AttributeError: module 'torch(?:\.\w{1,30}){0,3}' has no attribute '",),
    ),
    Failure(
        "cuda_libraries_foreign",
        (
            r"undefined symbol: "
            r"(?:__nv|nv|nccl|cublas|cudnn|_ZN5cudnn|cusparse|cusolver|cufft|cu[A-Z])\w+",
            r"cuDNN version incompatibility|CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH",
            r"symbol \w{1,80} version lib\w{1,20}\.so\.\d{1,3} not defined",
            r"\blib(?:cudnn|cublas|nccl|nvrtc|cusparse|nvJitLink|curand|cufft|nvshmem)\w{0,40}"
            r"\.so[.\d]{0,10}: cannot open shared object file",
        ),
        "Libraries of another CUDA are loaded instead of those that PyTorch brings.",
        "Take foreign folders out of LD_LIBRARY_PATH, or install the stack again from its lock.",
        "LD_LIBRARY_PATH",
        f"{VLLM_ISSUES}/10300",
    ),
    Failure(
        "system_library_missing",
        (
            r"Could not load libtorchcodec\. Likely causes",
            r"\bsndfile library not found",
        ),
        "A library of the system is not installed on the host.",
        "Install the package that brings it there (libgl1, libnuma1, libsndfile1, ffmpeg ...).",
        "host packages",
        TROUBLESHOOTING,
        # Those of CUDA and PyTorch have entries of their own.
        shapes=(
            r"(?:Import|OS)Error: lib(?!cuda|torch|c10|nv|nccl)[\w+-]{1,40}\.so[.\d]{0,12}: "
            r"cannot open shared object file",
        ),
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
        (
            r"No module named 'numpy\.lib\.function_base'",
            r"NumPy 1\.x cannot be run in",
            r"_ARRAY_API not found",
            r"Numba needs NumPy [\d.]{1,10} or ",
            r"numpy\.dtype size changed, may indicate binary incompatibility",
            r"module 'numpy' has no attribute '",
        ),
        "numpy is newer than this vLLM supports.",
        "Install the stack again from its lock.",
        "stack",
        f"{VLLM_ISSUES}/5587",
    ),
    Failure(
        "transformers_mismatch",
        (
            r"has no attribute '?all_special_tokens_extended",
            r"cannot import name '\w+' from 'transformers\b",
            r"Tokenizer class \w{1,60} does not exist or is not currently imported",
            r"Converting from (?:SentencePiece and )?Tiktoken failed",
            r"is required for a normal functioning of this module, but found",
            r"Unrecognized configuration class <class '.{1,200}'> to build an? Auto",
            r"is already used by a Transformers config, pick another name",
        ),
        "The installed transformers, or a package that it needs, is newer or older than this vLLM "
        "or the model's files work with.",
        "Install the stack again from its lock.",
        "stack",
        f"{VLLM_ISSUES}/30466",
        shapes=(
            r"\b(?:\w{0,40}Tokenizer|\w{0,40}Processor|TokenizersBackend)(?:Fast)?'? "
            r"(?:object )?has no attribute",
            r"\b\w{0,60}PreTrainedModel\.\w{1,80}\(\) got an unexpected keyword argument",
            r"TypeError: unsupported operand type\(s\) for \|: 'list' and 'set'",
            r"Exception: data did not match any variant of untagged enum",
            r"`rope_scaling`(?:'s \w{1,20} field)? must be ",
            # Special tokens are a list in what transformers 5 has saved.
            r"AttributeError: 'list' object has no attribute 'keys'",
        ),
    ),
    Failure(
        "packages_mismatch",
        (),
        "The installed {package} is newer or older than this vLLM, or what else asks for it, works "
        "with.",
        "Install the stack again from its lock.",
        "stack",
        f"{VLLM_ISSUES}/22482",
        # Of vLLM itself it is another thing, and of a circle of imports as well.
        shapes=(
            r"^ImportError: cannot import name '\w{1,80}' from (?!partially)"
            r"'(?P<package>(?!vllm)\w{1,60})",
            r"^AttributeError: module '(?P<package>(?!vllm|torch\b)[a-z]\w{1,60})[\w.]{0,100}' has "
            r"no attribute '",
            r"\b(?:DistributionNotFound|VersionConflict): .{0,60}?\b(?P<package>[\w-]{2,60})",
            r"Error: .{0,60}?\b(?P<package>[A-Za-z][\w-]{2,40}) ?>= ?\S{1,20} is required\b.{0,60}"
            r"(?:found|installed|got)",
            r"Error: .{0,80}?\brequires (?P<package>(?!vllm)[a-z][\w-]{2,40}) ?>= ?\d\S{0,20}"
            r".{0,60}\bbut (?:got|found|have)\b",
        ),
    ),
    Failure(
        "vllm_metadata",
        (r"No package metadata was found for vllm",),
        "The installed distribution of vLLM has another name.",
        "Start it by its module, python -m vllm.entrypoints.openai.api_server.",
        "stack",
        TROUBLESHOOTING,
        engine=OF_VLLM,
    ),
    Failure(
        "vllm_missing",
        (r"No module named '?vllm(?:$|[^.\w])",),
        "vLLM is not installed in this environment.",
        "Correct python, or install the stack first.",
        "python",
        f"{VLLM}/getting_started/installation/",
        engine=OF_VLLM,
    ),
    Failure(
        "vllm_incomplete",
        (
            r"No module named 'vllm\.",
            r"cannot import name '\w{1,60}' from 'vllm[\w.]{0,80}' \(unknown location\)",
            # Its own kernels: those that this build names and does not hold.
            r"\b_(?:moe_)?C(?:\.\w{1,60}){0,2}\.so: undefined symbol: _Z\d",
            r"'_OpNamespace' '_\w{0,30}C\w{0,20}' object has no attribute",
            r"\b_\w{0,30}C\w{0,20}::\w{1,80}' with arguments from the 'CUDA' backend",
        ),
        "Parts of the installed vLLM are missing, or a folder named vllm hides it.",
        "Install the stack again from its lock, and start it in a folder without vllm.",
        "stack",
        TROUBLESHOOTING,
        engine=OF_VLLM,
    ),
    Failure(
        "ray_missing",
        (r"Failed to import Ray",),
        "Ray is asked for and not installed.",
        "Install ray into the environment, or set distributed_executor_backend to mp.",
        "stack",
        PARALLELISM,
        engine=OF_VLLM,
    ),
    Failure(
        "package_missing",
        (
            r"Please install (?P<package>[\w.<>=-]+) (?:via|by running|with) `pip install",
            r"Please install (?P<package>[\w.<>=-]{1,60}) to use",
            r"PackageNotFoundError: No package metadata was found for (?P<package>[\w.-]{1,60})",
        ),
        "The package {package} is wanted and not installed.",
        "Install it together with vLLM, in the stack.",
        "stack",
        QUANTIZATION,
        shapes=(
            r"^(?:\w{1,40}Error: )?No module named '?(?P<package>\w[\w.]{0,80})",
            r"Error: .{0,60}\b(?:package|needs|requires) [`']?(?P<package>[\w.<>=-]{2,60})[`']?,? "
            r".{0,60}\bpip install\b",
            r"Error: (?P<package>\w{2,40}) kernels not found\. Please",
            r"Error: (?P<package>[\w.-]{2,40}) is required (?:for|to|by|when)\b.{0,200}\binstall",
            r"Error: (?P<package>[\w.-]{2,40}) (?:backend )?is not (?:available|installed)\. "
            r"Please install",
            r"Error: .{0,200}['`](?P<package>[\w.-]{2,40})['`] package is not (?:avail|install)",
            r"Error: .{0,200}\bmake sure (?:you have |that )?[`']?(?P<package>[\w.-]{2,40})[`']? "
            r"(?:is )?installed",
            r"Error: .{0,300}\bpip install (?:-U |--upgrade )?"
            r"[\"']?(?P<package>[a-z][\w.-]{1,39})",
            r"Error: Please (?:first )?install (?P<package>\w[\w.<>=-]{1,40})\b",
            r"Error: .{0,100}\brequires? (?:the |installation of )?(?P<package>[\w.-]{2,40})"
            r"(?: module| package| library)? to be installed",
            r"Error: .{0,60}\brequires installation of (?P<package>[\w-]{2,40})",
            r"Error: .{0,200}['`](?P<package>[\w.-]{2,40})['`] is not installed",
        ),
    ),
)
